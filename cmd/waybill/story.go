package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/jsondiff"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

// step is one event of an order's life, with what it changed, and what became of telling webhooks of it.
type step struct {
	domain.Recorded
	event      domain.Event
	metadata   domain.Metadata
	changes    []order.Change
	fields     []waybill.FieldChange
	deliveries []delivery.OfEvent
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
	if s.fields, err = jsondiff.Compare(t.state, after); err != nil {
		return s, err
	}
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

// because is what the command belongs to and was caused by, as far as its caller said.
func (s step) because() string {
	var parts []string
	for _, part := range []struct{ name, value string }{
		{"correlation", s.metadata.CorrelationID}, {"caused by", s.metadata.CausationID}, {"key", s.metadata.IdempotencyKey},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+clean(part.value))
		}
	}
	return strings.Join(parts, ", ")
}

// maxFields is how many fields of an update a history shows.
const maxFields = 8

// details are lines that tell more of a step: which fields an update changed, and how far its deliveries are.
func (s step) details(style style) (lines []string) {
	if _, update := s.event.(order.Updated); update {
		shown := 0
		for _, f := range s.fields {
			if f.Field == "updatedAt" {
				continue
			}
			if shown++; shown <= maxFields {
				lines = append(lines, fieldLine(style, f))
			}
		}
		if shown > maxFields {
			lines = append(lines, style.dim(fmt.Sprintf("and %d more; `waybill order diff %s %d %d` shows all", shown-maxFields, s.Stream.ID, s.Version-1, s.Version)))
		}
	}
	for _, d := range s.deliveries {
		line := style.dim("to "+clean(d.Name)) + " " + style.status(string(d.Status))
		if d.AttemptsMade != 1 || d.Status != delivery.Delivered {
			line += style.dim(", " + counted(d.AttemptsMade, "attempt"))
		}
		if d.NextAttemptAt != nil {
			line += style.dim(", next at " + when(*d.NextAttemptAt))
		}
		lines = append(lines, line)
	}
	return lines
}

// fieldLine shows a field as it was and as it is.
func fieldLine(style style, f waybill.FieldChange) string {
	value := func(text []byte) string {
		if text == nil {
			return "∅"
		}
		if len(text) > 60 {
			return clean(strings.ToValidUTF8(string(text[:60]), "")) + "…"
		}
		return clean(string(text))
	}
	return fmt.Sprintf("%s  %s → %s", clean(f.Field), style.dim(value(f.From)), value(f.To))
}
