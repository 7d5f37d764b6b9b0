package profile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/quickjson"
)

// rule is one event of a platform: which of the log's events it stands for, and the body that tells of them.
type rule struct {
	event Event
	// body returns false where the occurrence, looked at closely, is not this event.
	body   func(Occurrence) (body any, is bool, err error)
	schema func(profile string) func() json.RawMessage
}

// change is an occurrence in the life of an aggregate whose state is an S.
type change[S any] struct {
	Occurrence
	name          string // of the platform's event
	before, after S
}

// tell is a rule for aggregates whose state is an S. when, if it is not nil, tells whether a change is the platform's event; body gives
// what is marshalled to tell of it.
func tell[S, B any](name, description string, body func(change[S]) B, when func(change[S]) bool, types ...string) rule {
	return rule{
		event: Event{Name: name, Description: description, Types: types},
		body: func(o Occurrence) (any, bool, error) {
			before, ok := o.Before.(S)
			after, isToo := o.After.(S)
			if !ok || !isToo {
				return nil, false, fmt.Errorf("tell %s as of version %d: its state is a %T, not a %s", o.Stream, o.Version, o.After, reflect.TypeFor[S]())
			}
			c := change[S]{Occurrence: o, name: name, before: before, after: after}
			if when != nil && !when(c) {
				return nil, false, nil
			}
			return body(c), true, nil
		},
		schema: func(profile string) func() json.RawMessage {
			return lazySchema(profile, name, func() object { return describe(reflect.TypeFor[B](), name) })
		},
	}
}

// follow makes the profile send what its rules say, as far as the aggregates can record such events at all. One event of the log gives
// at most one message: where several rules are for it, the first that the webhook has subscribed to tells of it.
func (p *Profile) follow(rules []rule, aggregates map[string]*domain.Aggregate) *Profile {
	known := map[string]bool{}
	for _, aggregate := range aggregates {
		for _, t := range aggregate.Codec.Types() {
			known[t.Name] = true
		}
	}
	byType := map[string][]rule{}
	for _, r := range rules {
		e := r.event
		e.Types = slices.DeleteFunc(slices.Clone(e.Types), func(t string) bool { return !known[t] })
		if len(e.Types) == 0 {
			continue
		}
		slices.Sort(e.Types)
		e.schema = r.schema(p.Name)
		p.Events = append(p.Events, e)
		for _, t := range e.Types {
			byType[t] = append(byType[t], r)
		}
	}
	slices.SortFunc(p.Events, func(a, b Event) int { return strings.Compare(a.Name, b.Name) })
	p.samples = sampler(aggregates)
	p.Render = func(o Occurrence) (Message, error) {
		for _, r := range byType[o.Type] {
			if !p.subscribed(o.Subscribed, r.event.Name) {
				continue
			}
			body, is, err := r.body(o)
			if err != nil {
				return Message{}, err
			}
			if !is {
				continue
			}
			text, err := quickjson.Marshal(body)
			if err != nil {
				return Message{}, fmt.Errorf("tell %s of %s, version %d: %w", r.event.Name, o.Stream, o.Version, err)
			}
			return Message{ID: o.ID.String(), Event: r.event.Name, Body: text}, nil
		}
		return Message{}, ErrNothingToSay
	}
	return p
}

func (p *Profile) subscribed(names []string, name string) bool {
	if len(names) == 0 {
		return true
	}
	for _, asked := range names {
		if asked == name || p.Aliases[asked] == name {
			return true
		}
	}
	return false
}

// asks tells whether the webhook wants something included.
func (o Occurrence) asks(include string) bool { return slices.Contains(o.Include, include) }

// All returns every profile, for what these aggregates can record.
func All(aggregates map[string]*domain.Aggregate) Set {
	return NewSet(
		Native(aggregates),
		CommerceLayer(aggregates),
		Chord(aggregates),
		Goody(aggregates),
		Ordergroove(aggregates),
		UP42(aggregates),
	)
}
