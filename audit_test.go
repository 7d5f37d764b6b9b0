package waybill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/audit"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestOrderDiff(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	engine, err := waybill.New(pgtest.New(t).DB, waybill.Config{Now: func() time.Time { at = at.Add(time.Hour); return at }})
	if err != nil {
		t.Fatal(err)
	}
	create := order.Create{OrderID: "ord_1", Currency: "USD", Customer: &order.Customer{ID: "cus_1"},
		LineItems: []order.LineItemInput{{ID: "li_1", Name: "Book", SKU: "b", Quantity: 1, UnitPrice: 1000}}}
	email := "customer@example.com"
	for _, command := range []domain.Command{create, order.Submit{OrderID: "ord_1"}, order.Update{OrderID: "ord_1", Email: &email}} {
		if _, err := engine.Execute(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		from, to waybill.ReadOption
		want     string // versions, statuses and some of the fields
	}{
		"versions":     {waybill.AtVersion(1), waybill.AtVersion(2), "1 2 [order ord_1: draft → pending] [status submittedAt updatedAt]"},
		"to now":       {waybill.AtVersion(2), nil, "2 3 [] [email updatedAt]"},
		"backwards":    {waybill.AtVersion(2), waybill.AtVersion(1), "2 1 [order ord_1: pending → draft] [status submittedAt updatedAt]"},
		"nothing":      {waybill.AtVersion(3), nil, "3 3 [] []"},
		"times":        {waybill.AsOf(day.Add(11 * time.Hour)), waybill.AsOf(day.Add(12 * time.Hour)), "1 2 [order ord_1: draft → pending] [status submittedAt updatedAt]"},
		"from nothing": {waybill.AtVersion(0), waybill.AtVersion(1), "0 1 3 statuses"},
		"before birth": {waybill.AsOf(day), waybill.AtVersion(1), "0 1 3 statuses"},
	} {
		d, err := engine.OrderDiff(t.Context(), "ord_1", test.from, test.to)
		if err != nil {
			t.Fatal(name, err)
		}
		got := fmt.Sprint(d.From, " ", d.To, " ", d.Statuses)
		if d.From == 0 {
			got = fmt.Sprintf("0 %d %d statuses", d.To, len(d.Statuses))
			if i := slices.IndexFunc(d.Fields, func(f waybill.FieldChange) bool { return f.Field == "currency" }); i < 0 || d.Fields[i].From != nil || string(d.Fields[i].To) != `"USD"` {
				t.Errorf("%s: %+v", name, d.Fields)
			}
		} else {
			var fields []string
			for _, f := range d.Fields {
				fields = append(fields, f.Field)
			}
			got += fmt.Sprint(" ", fields)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	for name, moments := range map[string][2]waybill.ReadOption{
		"to the future": {waybill.AtVersion(1), waybill.AtVersion(9)}, "from the future": {waybill.AtVersion(9), nil}, "to before birth": {nil, waybill.AsOf(day)},
	} {
		if _, err := engine.OrderDiff(t.Context(), "ord_1", moments[0], moments[1]); !errors.As(err, new(*domain.NotFoundError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Statuses can be told from the state of every aggregate that there is, and so be held against its machines.
func TestEveryAggregateConforms(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	store := eventstore.New(db)
	for _, a := range waybill.Aggregates() {
		// Nobody can read this event, which would not be noticed if nobody looked.
		b := eventstore.NewBatch("default", domain.StreamID{Aggregate: a.Name, ID: "x"}, eventstore.Head{},
			[]eventstore.Fact{{Type: "x", SchemaVersion: 1, Data: []byte(`{}`)}}, []byte(`{}`), time.Now(), nil)
		if err := store.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := engine.Conform(t.Context(), audit.ConformOptions{})
	if err != nil || len(found.Unchecked) > 0 || int(found.DeviateAt) != len(waybill.Aggregates()) {
		t.Errorf("%+v, %v", found, err)
	}
}

// A thing of the tests with one machine, in two versions of the program: the first says "name" and the second "title".
type (
	thing        struct{ Status, Title string }
	thingMade    struct{ Title string }
	thingMadeOld struct{ Name string }
	thingBroken  struct{}
	makeThing    struct{ ID string }
	breakThing   struct{ ID string }
)

func (thingMade) EventType() string            { return "thing.made" }
func (thingMadeOld) EventType() string         { return "thing.made" }
func (thingBroken) EventType() string          { return "thing.broken" }
func (makeThing) CommandName() string          { return "thing.make" }
func (breakThing) CommandName() string         { return "thing.break" }
func (makeThing) Validate() error              { return nil }
func (breakThing) Validate() error             { return nil }
func (c makeThing) StreamID() domain.StreamID  { return domain.StreamID{Aggregate: "thing", ID: c.ID} }
func (c breakThing) StreamID() domain.StreamID { return domain.StreamID{Aggregate: "thing", ID: c.ID} }

func things(old bool, moves ...fsm.EventDesc) *domain.Aggregate {
	machine := &domain.Machine{Name: "thing", Initial: "whole", Final: []string{"broken"}, Moves: append(fsm.Events{}, moves...)}
	made := domain.EventOf[thingMadeOld]("It was made.")
	if !old {
		made = domain.EventOf[thingMade]("It was made.", func(data json.RawMessage) (json.RawMessage, error) {
			var v1 thingMadeOld
			err := json.Unmarshal(data, &v1)
			return fmt.Appendf(nil, `{"Title":%q}`, v1.Name), err
		})
	}
	return domain.Define("thing", []*domain.Machine{machine}, domain.NewCodec(made, domain.EventOf[thingBroken]("It was broken.")),
		func(s thing, c domain.Command) ([]domain.Event, error) {
			if _, ok := c.(breakThing); ok {
				return []domain.Event{thingBroken{}}, nil
			}
			if old {
				return []domain.Event{thingMadeOld{Name: "Atlas"}}, nil
			}
			return []domain.Event{thingMade{Title: "Globe"}}, nil
		},
		func(s thing, e domain.Event, _ time.Time) thing {
			switch e := e.(type) {
			case thingMade:
				return thing{"whole", e.Title}
			case thingMadeOld:
				return thing{"whole", e.Name}
			}
			return thing{"broken", s.Title}
		})
}

var breaks = fsm.EventDesc{Name: "break", Src: []string{"whole"}, Dst: "broken"}

// What an old program wrote, a new one reads as its own; what a new one wrote, the old one refuses to guess at.
func TestOldEventsAreReadAsNewOnes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	program := func(a *domain.Aggregate) *waybill.Engine {
		engine, err := waybill.New(db, waybill.Config{Aggregates: []*domain.Aggregate{a}})
		if err != nil {
			t.Fatal(err)
		}
		return engine
	}
	older, newer := program(things(true, breaks)), program(things(false, breaks))
	run := func(e *waybill.Engine, commands ...domain.Command) {
		t.Helper()
		for _, c := range commands {
			if _, err := e.Execute(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(older, makeThing{"old"}, breakThing{"old"})
	run(newer, makeThing{"new"})
	for id, want := range map[string]thing{"old": {"broken", "Atlas"}, "new": {"whole", "Globe"}} {
		if state, _, err := newer.State(t.Context(), domain.StreamID{Aggregate: "thing", ID: id}); err != nil || state != want {
			t.Errorf("%s: %+v, %v; want %+v", id, state, err, want)
		}
	}
	var unknown *domain.UnknownEventError
	if _, _, err := older.State(t.Context(), domain.StreamID{Aggregate: "thing", ID: "new"}); !errors.As(err, &unknown) || unknown.SchemaVersion != 2 {
		t.Errorf("the old program reads the new event: %v", err)
	}
	// Reading history as something newer leaves it as it was.
	if report, err := newer.Audit().Verify(t.Context(), audit.Options{}); err != nil || !report.Intact() || report.Events != 3 {
		t.Errorf("%+v, %v", report, err)
	}

	conform := func(e *waybill.Engine) string {
		t.Helper()
		found, err := e.Conform(t.Context(), audit.ConformOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, d := range found.Deviations {
			list = append(list, fmt.Sprintf("%s %d: %s", d.Stream, d.Version, d.Reason))
		}
		return fmt.Sprintf("%d %d %d %v %s", found.Streams, found.Events, found.Transitions, found.Unchecked, strings.Join(list, "; "))
	}
	for name, test := range map[string]struct {
		engine *waybill.Engine
		want   string
	}{
		"the same machine":      {newer, "2 3 3 map[] "},
		"no such move any more": {program(things(false, fsm.EventDesc{Name: "crack", Src: []string{"whole"}, Dst: "cracked"}, fsm.EventDesc{Name: "break", Src: []string{"cracked"}, Dst: "broken"})), "2 3 3 map[] thing/old 2: thing goes from whole to broken, and machine thing has no such move"},
		"an event from ahead":   {older, "2 3 2 map[] thing/new 1: event thing.made has schema version 2, this program reads up to 1: upgrade it"},
	} {
		if got := conform(test.engine); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := conform(program(order.Aggregate())); got != "2 3 0 map[thing:3] " {
		t.Errorf("an aggregate that nobody knows: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newer.Conform(ctx, audit.ConformOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
