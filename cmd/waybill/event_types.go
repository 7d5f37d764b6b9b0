package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
)

func (p *program) eventTypesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "event-types",
		Short: "List the events that webhooks can subscribe to",
		Args:  noWords,
		RunE: func(*cobra.Command, []string) error {
			types := eventTypes()
			if p.json() {
				type eventType struct {
					Name          string `json:"name"`
					Description   string `json:"description"`
					SchemaVersion int    `json:"schemaVersion"`
				}
				list := make([]eventType, len(types))
				for i, t := range types {
					list[i] = eventType{t.Name, t.Description, t.SchemaVersion()}
				}
				return p.printJSON(list)
			}
			p.printEventTypes(types)
			return nil
		},
	}
}

// eventTypes lists the events of every aggregate: those of the order, then those of each other one.
func eventTypes() (types []domain.EventType) {
	for _, a := range waybill.Aggregates() {
		types = append(types, a.Codec.Types()...)
	}
	return types
}

func (p *program) printEventTypes(types []domain.EventType) {
	var t table
	family := ""
	for _, et := range types {
		if first, _, _ := strings.Cut(et.Name, "."); first != family {
			if family != "" {
				t.add()
			}
			family = first
		}
		t.add(p.style.bold(et.Name), et.Description)
	}
	t.write(p.stdout, "")
}
