package waybill_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/projections"
)

// tinker is a command of an aggregate whose code is wrong in the way that it names.
type tinker struct {
	ID  string
	How string
}

func (tinker) CommandName() string         { return "toy.tinker" }
func (c tinker) StreamID() domain.StreamID { return domain.StreamID{Aggregate: "toy", ID: c.ID} }
func (tinker) Validate() error             { return nil }

type tinkered struct {
	Text  string  `json:"text"`
	Ratio float64 `json:"ratio"`
}

func (tinkered) EventType() string { return "toy.tinkered" }

type unheardOf struct{}

func (unheardOf) EventType() string { return "toy.unheard_of" }

var errDecide = errors.New("what decide panics with")

func toys() *domain.Aggregate {
	machine := &domain.Machine{Name: "toy", Initial: "whole", Final: []string{"broken"}, Moves: fsm.Events{{Name: "break", Src: []string{"whole"}, Dst: "broken"}}}
	return domain.Define("toy", []*domain.Machine{machine}, domain.NewCodec(domain.EventOf[tinkered]("Somebody tinkered.")),
		func(_ int, c domain.Command) ([]domain.Event, error) {
			switch zero := 0.0; c.(tinker).How {
			case "decide":
				panic(errDecide)
			case "nil event":
				return []domain.Event{tinkered{}, nil}, nil
			case "unregistered event":
				return []domain.Event{unheardOf{}}, nil
			case "not UTF-8":
				return []domain.Event{tinkered{Text: "\xff"}}, nil
			case "not a number":
				return []domain.Event{tinkered{Ratio: zero / zero}}, nil
			}
			return []domain.Event{tinkered{Text: c.(tinker).How}}, nil
		},
		func(n int, e domain.Event, _ time.Time) int {
			if e.(tinkered).Text == "evolve" {
				panic("what evolve panics with")
			}
			return n + 1
		})
}

// Whatever an aggregate's own code does, the caller gets an error, nothing of the command is in the log, and the next command finds its turn free.
func TestWrongAggregatesWriteNothing(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{Aggregates: append(waybill.Aggregates(), toys())})
	ctx := t.Context()
	for _, how := range []string{"decide", "evolve", "nil event", "unregistered event", "not UTF-8", "not a number"} {
		command := tinker{ID: "toy_1", How: how}
		_, err := engine.Execute(ctx, command)
		tx, txErr := db.BeginTx(ctx, nil)
		if txErr != nil {
			t.Fatal(txErr)
		}
		_, inTx := engine.ExecuteTx(ctx, tx, command)
		if err == nil || inTx == nil {
			t.Errorf("%s: no error: %v, %v", how, err, inTx)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("%s: the transaction is spoilt: %v", how, err)
		}
		if how != "decide" && how != "evolve" {
			continue
		}
		for _, err := range []error{err, inTx} {
			wrong, ok := errors.AsType[*domain.PanicError](err)
			if !ok || !strings.Contains(err.Error(), "what "+how+" panics with") || len(wrong.Stack) == 0 {
				t.Errorf("%s: got %v", how, err)
			}
			if how == "decide" && !errors.Is(err, errDecide) {
				t.Errorf("%v does not wrap what it panicked with", err)
			}
		}
	}
	for _, id := range []string{"", "a\x00", "\xff", strings.Repeat("a", 256)} {
		if _, err := engine.Execute(ctx, tinker{ID: id}); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("a stream named %.20q: %v", id, err)
		}
	}
	var events int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM events").Scan(&events); err != nil || events != 0 {
		t.Errorf("%d events are in the log: %v", events, err)
	}
	must(t)(engine.Execute(ctx, tinker{ID: "toy_1", How: `\ufffd and a backslash \`})) // which is no mistake
	if state, version, err := engine.State(ctx, tinker{ID: "toy_1"}.StreamID()); err != nil || version != 1 || state != 1 {
		t.Errorf("the toy is %v at version %d: %v", state, version, err)
	}
}

func TestCommandsByPointer(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	create := draft("ord_1")
	must(t)(engine.Execute(ctx, &create, nil, waybill.Actor("checkout")))
	must(t)(engine.Execute(ctx, &order.Submit{OrderID: "ord_1"}))
	if o, err := engine.Order(ctx, "ord_1", nil); err != nil || o.Status != order.StatusPending {
		t.Errorf("the order is %s: %v", o.Status, err)
	}
	for _, command := range []domain.Command{nil, (*order.Create)(nil), (*order.Submit)(nil)} {
		if _, err := engine.Execute(ctx, command); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("%T: %v", command, err)
		}
	}
}

// What somebody does to an order that he was given is his own affair.
func TestReadersOwnWhatTheyRead(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	create := draft("ord_1")
	create.Metadata = map[string]string{"channel": "web"}
	must(t)(engine.Execute(ctx, create))
	was, err := engine.Order(ctx, "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	want := asJSON(t, was)
	was.LineItems[0].Quantity, was.Metadata["channel"], was.Customer.Email = 7, "none", "somebody@example.com"
	if again, err := engine.Order(ctx, "ord_1"); err != nil || asJSON(t, again) != want {
		t.Errorf("the engine's own order became %s: %v", asJSON(t, again), err)
	}
}

// What cannot work at all is refused with the first call, in words.
func TestMisuse(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{})
	ctx := t.Context()
	ended, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ended.Rollback(); err != nil {
		t.Fatal(err)
	}
	readOnly, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Rollback()
	failed, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer failed.Rollback()
	if _, err := failed.ExecContext(ctx, "SELECT nonsense"); err == nil {
		t.Fatal("nonsense was selected")
	}
	shut := pgtest.New(t)
	closed, err := waybill.New(shut.DB, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	shut.DB.Close()

	in := func(tx *sql.Tx) func() error {
		return func() error { _, err := engine.ExecuteTx(ctx, tx, draft("ord_1")); return err }
	}
	with := func(db *sql.DB, config waybill.Config) func() error {
		return func() error { _, err := waybill.New(db, config); return err }
	}
	forget := func(id string) func() error {
		return func() error { _, err := engine.Forget(ctx, id); return err }
	}
	for name, test := range map[string]struct {
		call func() error
		want string
	}{
		"no transaction":              {in(nil), "tx: is missing"},
		"a transaction that is over":  {in(ended), "begin another transaction"},
		"a transaction that failed":   {in(failed), "begin another transaction"},
		"a read-only transaction":     {in(readOnly), "read-only"},
		"a closed pool":               {func() error { _, err := closed.Execute(ctx, draft("ord_1")); return err }, "sql.DB was closed"},
		"forget within nothing":       {func() error { _, err := engine.ForgetTx(ctx, nil, "cus_1"); return err }, "tx: is missing"},
		"forget nobody":               {forget(""), `"" is nobody's id`},
		"forget what cannot be an id": {forget("a\x00"), "is nobody's id"},
		"keys of nobody":              {func() error { _, err := engine.PersonalKeys(ctx, ""); return err }, "is nobody's id"},
		"an order of no name":         {func() error { _, err := engine.Order(ctx, "a\x00"); return err }, `there is no order "a\x00"`},
		"a history of no name": {func() error {
			for _, err := range engine.History(ctx, "\xff") {
				return err
			}
			return nil
		}, "there is no order"},
		"a chain of no name": {func() error { _, err := engine.VerifyOrder(ctx, "\x00"); return err }, "there is no order"},
		"no database":        {with(nil, waybill.Config{}), "the database is nil"},
		"no aggregate":       {with(db, waybill.Config{Aggregates: []*domain.Aggregate{nil}}), "Aggregates is nil"},
		"an aggregate by hand": {with(db, waybill.Config{Aggregates: []*domain.Aggregate{{Name: "thing"}}}),
			`aggregate "thing": make it with Define`},
		"no projection": {with(db, waybill.Config{Projections: []*projections.Projection{nil}}), "projections is nil"},
		"no profile":    {with(db, waybill.Config{Profiles: []*profile.Profile{nil}}), "Profiles is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.call(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := engine.Order(context.WithoutCancel(ctx), "ord_1"); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("something was written: %v", err)
	}
}
