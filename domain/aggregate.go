package domain

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"
)

// State is an aggregate's folded state: a value that is never changed once it was handed out. Its concrete type belongs to the
// aggregate ([Define] checks it once, for all).
type State any

// Aggregate describes one kind of aggregate completely: the engine needs nothing else to run it.
type Aggregate struct {
	Name     string     // the first half of its stream names, such as "order"
	Machines []*Machine // every status of the aggregate, as data
	Codec    Codec      // every event it can record

	// New is the state of an aggregate to which nothing has happened yet.
	New func() State
	// Decide answers a command with the events that follow from it, none if it changes nothing, or an error that says why it is
	// not legal: [*IllegalTransitionError] or [*NotFoundError].
	Decide func(State, Command) ([]Event, error)
	// Evolve returns the state after an event that was recorded at the time given (UTC). It never refuses: what is recorded has
	// happened.
	Evolve func(State, Event, time.Time) State

	personal *shape // of the state; nil where nothing in it is
}

var aggregateName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Define builds an aggregate from functions over its own state type.
func Define[S any](
	name string,
	machines []*Machine,
	codec Codec,
	decide func(S, Command) ([]Event, error),
	evolve func(S, Event, time.Time) S,
) *Aggregate {
	return &Aggregate{
		Name:     name,
		Machines: machines,
		Codec:    codec,
		New:      func() State { var zero S; return zero },
		Decide:   func(s State, c Command) ([]Event, error) { return decide(s.(S), c) },
		Evolve:   func(s State, e Event, at time.Time) State { return evolve(s.(S), e, at) },
		personal: shapeOf(reflect.TypeFor[S]()),
	}
}

// Subject is the id of the customer whom a state is about, or empty where it names none.
func (a *Aggregate) Subject(state State) string {
	if a.personal == nil {
		return ""
	}
	return subjectIn(reflect.ValueOf(state), a.personal)
}

// PersonalStrings are what is personal in a state, in no particular order.
func (a *Aggregate) PersonalStrings(state State) []string {
	if a.personal == nil {
		return nil
	}
	return stringsIn(nil, reflect.ValueOf(state), a.personal)
}

// Check finds mistakes in the aggregate's tables. The engine runs it before anything else.
func (a *Aggregate) Check() error {
	var errs []error
	if !aggregateName.MatchString(a.Name) || a.New == nil || a.Decide == nil || a.Evolve == nil {
		errs = append(errs, fmt.Errorf("aggregate %q: make it with Define, and give it a name of 1 to 63 of a-z 0-9 _ that begins with a letter", a.Name))
	}
	for _, m := range a.Machines {
		if err := m.Check(); err != nil {
			errs = append(errs, fmt.Errorf("aggregate %s: %w", a.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Fold applies recorded events to a state, in their order.
func (a *Aggregate) Fold(state State, events ...Recorded) (_ State, err error) {
	defer Rescue(&err, func() string { return "folding events of " + a.Name })
	for _, r := range events {
		e, err := a.Codec.Decode(r)
		if err != nil {
			return nil, err
		}
		state = a.Evolve(state, e, r.RecordedAt)
	}
	return state, nil
}
