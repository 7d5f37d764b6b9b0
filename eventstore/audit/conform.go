package audit

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/subscription"
)

// ConformOptions tune [Log.Conform].
type ConformOptions struct {
	Machine   string // look at this machine only. Defaults to all
	Workspace string // and at this workspace only. Defaults to all
	Workers   int    // Defaults to [DefaultWorkers]
	Progress  *Progress
}

// Conformity says how stored history fits the machines of today.
type Conformity struct {
	Streams     int64       `json:"streams"`
	Events      int64       `json:"events"`
	Transitions int64       `json:"transitions"` // changes of a status that were held against a machine
	Deviations  []Deviation `json:"deviations"`  // the first 100 by name
	DeviateAt   int64       `json:"deviateAt"`   // how many events deviate
	// Unchecked are aggregates whose statuses nobody can tell from their state, or which are not known at all, with the number of their events.
	Unchecked map[string]int64 `json:"unchecked"`
}

// Deviation is an event that has happened and would not be allowed any more.
type Deviation struct {
	Workspace string `json:"workspace"`
	Stream    string `json:"stream"`
	Version   int    `json:"version"`
	Type      string `json:"type"`
	Machine   string `json:"machine,omitempty"` // none where the event cannot be read at all
	Subject   string `json:"subject,omitempty"` // such as "shipment shp_1"
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	Reason    string `json:"reason"`
}

// NonconformError says that history has what the machines of today would not allow.
type NonconformError struct{ Conformity Conformity }

func (e *NonconformError) Error() string {
	d := e.Conformity.Deviations[0]
	text := fmt.Sprintf("version %d of %s, %s: %s", d.Version, d.Stream, d.Type, d.Reason)
	if e.Conformity.DeviateAt == 1 {
		return text
	}
	return fmt.Sprintf("%d events do not conform, the first of them %s", e.Conformity.DeviateAt, text)
}

// Conform folds every stream with the aggregates given, and holds each change of a status that an event makes against their machines: is
// there a move from the one to the other? What was allowed when it happened stays valid history whatever the machines say today; the point
// is to see, before a machine changes, which orders are where they could not have come.
//
// An event that cannot be read deviates too, and ends its stream.
func (l *Log) Conform(ctx context.Context, aggregates []*domain.Aggregate, o ConformOptions) (Conformity, error) {
	total, err := l.estimate(ctx, o.Workspace)
	if err != nil {
		return Conformity{}, err
	}
	o.Progress.begin("history", total)
	known := map[string]*conformer{}
	for _, a := range aggregates {
		known[a.Name] = newConformer(a, o.Machine)
	}
	var mu sync.Mutex
	c := Conformity{Deviations: []Deviation{}, Unchecked: map[string]int64{}}
	var streams, events, transitions atomic.Int64
	workers := cmp.Or(max(o.Workers, 0), DefaultWorkers)
	err = l.streams(ctx, o.Workspace, workers, o.Progress, func() func(domain.Recorded) error {
		var workspace string
		var stream domain.StreamID
		var state domain.State
		skip := false
		return func(r domain.Recorded) error {
			events.Add(1)
			k := known[r.Stream.Aggregate]
			if r.Stream != stream || r.Workspace != workspace {
				streams.Add(1)
				stream, workspace, skip = r.Stream, r.Workspace, false
				if k != nil {
					state = k.aggregate.New()
				}
			}
			if k == nil || k.statuses == nil {
				mu.Lock()
				c.Unchecked[r.Stream.Aggregate]++
				mu.Unlock()
				return nil
			}
			if skip {
				return nil
			}
			checked, deviations, after := k.step(state, r)
			transitions.Add(int64(checked))
			state, skip = after, after == nil
			if len(deviations) > 0 {
				mu.Lock()
				defer mu.Unlock()
				c.DeviateAt++
				if len(c.Deviations) < maxNamed {
					c.Deviations = append(c.Deviations, deviations...)
				}
			}
			return nil
		}
	})
	c.Streams, c.Events, c.Transitions = streams.Load(), events.Load(), transitions.Load()
	slices.SortStableFunc(c.Deviations, func(a, b Deviation) int {
		return cmp.Or(strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.Stream, b.Stream), cmp.Compare(a.Version, b.Version))
	})
	return c, err
}

// status is a status that something is in.
type status struct{ machine, subject, value string }

// conformer knows an aggregate's machines as they are today.
type conformer struct {
	aggregate *domain.Aggregate
	looks     map[string]bool            // the machines that are looked at
	moves     map[status]map[string]bool // of every status there is, by machine and value: the statuses that a move leads to
	statuses  func(domain.State) []status
	gone      string // the status of what is in a state no longer; empty where that means nothing
}

func newConformer(a *domain.Aggregate, only string) *conformer {
	k := &conformer{aggregate: a, looks: map[string]bool{}, moves: map[status]map[string]bool{}, statuses: statusesOf(a)}
	if a.Name == order.Name {
		k.gone = order.ShipmentStatusDestroyed
	}
	for _, m := range a.Machines {
		if only != "" && m.Name != only {
			continue
		}
		k.looks[m.Name] = true
		for _, s := range m.States() {
			k.moves[status{machine: m.Name, value: s}] = map[string]bool{}
		}
		for _, move := range m.Moves {
			for _, from := range move.Src {
				k.moves[status{machine: m.Name, value: from}][move.Dst] = true
			}
		}
	}
	return k
}

// Statuser is a state that tells every status in it, by its subject: "gift", or "subscription sub_1". The subject's first word names the
// machine. States with one machine and a field Status need not be one.
type Statuser interface{ Statuses() map[string]string }

// statusesOf says how the statuses of an aggregate are told from its state; nil where nobody knows.
func statusesOf(a *domain.Aggregate) func(domain.State) []status {
	zero := a.New()
	switch zero.(type) {
	case order.Order:
		return func(s domain.State) []status { return orderStatuses(s.(order.Order)) }
	case subscription.Subscriber:
		return func(s domain.State) []status { return subscriberStatuses(s.(subscription.Subscriber)) }
	}
	if _, ok := zero.(Statuser); ok {
		return func(s domain.State) (all []status) {
			for subject, value := range s.(Statuser).Statuses() {
				machine, _, _ := strings.Cut(subject, " ")
				all = append(all, status{machine, subject, value})
			}
			slices.SortFunc(all, func(a, b status) int { return strings.Compare(a.subject, b.subject) })
			return all
		}
	}
	t := reflect.TypeOf(zero)
	if len(a.Machines) != 1 || t.Kind() != reflect.Struct {
		return nil
	}
	field, ok := t.FieldByName("Status")
	if !ok || field.Type.Kind() != reflect.String {
		return nil
	}
	name := a.Machines[0].Name
	return func(s domain.State) []status {
		return []status{{name, name, reflect.ValueOf(s).FieldByIndex(field.Index).String()}}
	}
}

func orderStatuses(o order.Order) []status {
	all := make([]status, 0, 3+len(o.Shipments))
	all = append(all, status{order.OrderMachine.Name, "order", o.Status}, status{order.PaymentMachine.Name, "payment", o.PaymentStatus},
		status{order.FulfillmentMachine.Name, "fulfillment", o.FulfillmentStatus})
	for _, s := range o.Shipments {
		all = append(all, status{order.ShipmentMachine.Name, "shipment " + s.ID, s.Status})
	}
	return all
}

func subscriberStatuses(s subscription.Subscriber) []status {
	all := []status{{subscription.SubscriberMachine.Name, "subscriber", s.Status}}
	for _, sub := range s.Subscriptions {
		all = append(all, status{subscription.Machine.Name, "subscription " + sub.ID, sub.Status})
	}
	return all
}

// step folds an event, and says what today's machines would not allow of it. The state is nil where the event cannot be read.
func (k *conformer) step(before domain.State, r domain.Recorded) (checked int, deviations []Deviation, after domain.State) {
	deviate := func(s status, from, reason string) {
		deviations = append(deviations, Deviation{r.Workspace, r.Stream.String(), r.Version, r.Type, s.machine, s.subject, from, s.value, reason})
	}
	after, err := k.aggregate.Fold(before, r)
	if err != nil {
		deviate(status{}, "", err.Error())
		return 0, deviations, nil
	}
	was, is := k.statuses(before), k.statuses(after)
	for _, s := range was {
		if k.gone != "" && !slices.ContainsFunc(is, func(now status) bool { return now.subject == s.subject }) {
			is = append(is, status{s.machine, s.subject, k.gone})
		}
	}
	for _, now := range is {
		from := ""
		if i := slices.IndexFunc(was, func(s status) bool { return s.subject == now.subject }); i >= 0 {
			from = was[i].value
		}
		if from == now.value || !k.looks[now.machine] {
			continue
		}
		checked++
		moves, known := k.moves[status{machine: now.machine, value: from}]
		switch {
		case from == "" && k.moves[status{machine: now.machine, value: now.value}] == nil:
			deviate(now, from, fmt.Sprintf("%s begins as %s, which is no status of machine %s", now.subject, now.value, now.machine))
		case from == "":
		case !known:
			deviate(now, from, fmt.Sprintf("%s goes from %s, which is no status of machine %s, to %s", now.subject, from, now.machine, now.value))
		case !moves[now.value]:
			deviate(now, from, fmt.Sprintf("%s goes from %s to %s, and machine %s has no such move", now.subject, from, now.value, now.machine))
		}
	}
	return checked, deviations, after
}
