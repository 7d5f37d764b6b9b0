package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

func (p *program) eventTypesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "event-types",
		Short: "List the events that webhooks can subscribe to",
		Args:  noWords,
		RunE: func(*cobra.Command, []string) error {
			types := order.Aggregate().Codec.Types()
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
