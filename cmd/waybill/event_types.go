package main

import (
	"database/sql"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	operational "github.com/waybill-dev/waybill/domain/webhook"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

func (p *program) eventTypesCommand() *cobra.Command {
	var of string
	c := &cobra.Command{
		Use:   "event-types",
		Short: "List the events that webhooks can subscribe to",
		Example: `  waybill event-types
  waybill event-types --profile chord -o json`,
		Args: noWords,
		RunE: func(*cobra.Command, []string) error {
			events, err := profileEvents(of)
			if err != nil {
				return usagef(orElse(suggest(of, profileNames()), "the profiles are "+strings.Join(profileNames(), ", ")), "--profile: there is no profile %.40q", of)
			}
			if p.json() {
				return p.printJSON(withVersions(of, events))
			}
			p.printEventTypes(events)
			return nil
		},
	}
	c.Flags().StringVar(&of, "profile", webhook.DefaultProfile, "in whose words: "+oneOf(profileNames()))
	return c
}

// eventType is a profile's event. An event of the log has a schema version too, that of the data in it.
type eventType struct {
	profile.Event
	SchemaVersion int `json:"schemaVersion,omitempty"`
}

func withVersions(profileName string, events []profile.Event) []eventType {
	versions := map[string]int{}
	if profileName == webhook.DefaultProfile {
		for _, a := range append(waybill.Aggregates(), operational.Aggregate()) {
			for _, t := range a.Codec.Types() {
				versions[t.Name] = t.SchemaVersion()
			}
		}
	}
	types := make([]eventType, len(events))
	for i, e := range events {
		types[i] = eventType{e, versions[e.Name]}
	}
	return types
}

// profileEvents lists what webhooks of a profile can subscribe to. That needs no database.
func profileEvents(name string) ([]profile.Event, error) {
	engine, err := catalog()
	if err != nil {
		return nil, err
	}
	return engine.EventTypes(name)
}

func profileNames() []string {
	engine, err := catalog()
	if err != nil {
		return nil
	}
	return engine.Profiles()
}

// catalog is an engine for questions that no database has to answer. It has one that is never opened.
func catalog() (*waybill.Engine, error) { return waybill.New(new(sql.DB), waybill.Config{}) }

func (p *program) printEventTypes(events []profile.Event) {
	var t table
	family := ""
	for _, e := range events {
		if first, _, dotted := strings.Cut(e.Name, "."); dotted && first != family {
			if family != "" {
				t.add()
			}
			family = first
		}
		t.add(p.style.bold(e.Name), e.Description)
	}
	t.write(p.stdout, "")
}
