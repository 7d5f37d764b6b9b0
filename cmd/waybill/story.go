package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// step is one event of an order's life, with what it changed.
type step struct {
	domain.Recorded
	event    domain.Event
	metadata domain.Metadata
	changes  []order.Change
}

// teller folds an order's events one after the other.
type teller struct{ state order.Order }

func (t *teller) tell(r domain.Recorded) (step, error) {
	s := step{Recorded: r}
	var err error
	if s.event, err = order.Aggregate().Codec.Decode(r); err != nil {
		return s, err
	}
	if err := json.Unmarshal(r.Metadata, &s.metadata); err != nil {
		return s, fmt.Errorf("read the metadata of event %s: %w", r.ID, err)
	}
	after := order.Evolve(t.state, s.event, r.RecordedAt)
	s.changes = order.Changes(t.state, after)
	t.state = after
	return s, nil
}

// text tells the step in one line: the statuses it changed, else what happened.
func (s step) text(style style) string {
	var parts []string
	for _, c := range s.changes {
		subject := c.Machine
		if c.Machine == order.ShipmentMachine.Name {
			subject = c.Subject
		}
		switch {
		case c.From != "":
			parts = append(parts, fmt.Sprintf("%s %s → %s", clean(subject), c.From, style.status(c.To)))
		case c.Machine == order.OrderMachine.Name: // its other machines start with it, which goes without saying
			parts = append(parts, fmt.Sprintf("%s ∅ → %s, %s", c.Machine, style.status(c.To), clean(order.Describe(s.event))))
		case c.Machine == order.ShipmentMachine.Name:
			parts = append(parts, fmt.Sprintf("%s ∅ → %s", clean(subject), style.status(c.To)))
		}
	}
	if len(parts) == 0 {
		return clean(order.Describe(s.event))
	}
	text := strings.Join(parts, ", ")
	var why struct{ Reason string }
	if json.Unmarshal(s.Data, &why) == nil && why.Reason != "" {
		text += ": " + clean(why.Reason)
	}
	return text
}

// by is the command that led to the step, and who issued it.
func (s step) by() string {
	if s.metadata.Actor == "" {
		return s.metadata.Command
	}
	return s.metadata.Command + " by " + clean(s.metadata.Actor)
}
