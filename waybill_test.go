package waybill_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/migrations"
)

// newEngine returns an engine on a fresh database, and that database.
func newEngine(t testing.TB, config waybill.Config) (*waybill.Engine, *sql.DB) {
	t.Helper()
	db := pgtest.New(t).DB
	engine, err := waybill.New(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return engine, db
}

func TestMain(m *testing.M) { pgtest.Main(m) }

// must returns a result, or ends the test with the error.
func must(t testing.TB) func(waybill.Result, error) waybill.Result {
	return func(r waybill.Result, err error) waybill.Result {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// draft creates an order of one line item of 10.00 USD.
func draft(id string) order.Create {
	return order.Create{
		OrderID: id, Currency: "USD", Email: "john@example.com", Customer: &order.Customer{ID: "cus_1", Email: "john@example.com"},
		LineItems: []order.LineItemInput{{ID: "li_1", Name: "Product", SKU: "product-1", Quantity: 2, UnitPrice: 500}},
	}
}

// toPlaced takes a new order to placed, authorized.
func toPlaced(t testing.TB, engine *waybill.Engine, id string) {
	t.Helper()
	for _, command := range []domain.Command{
		draft(id), order.Submit{OrderID: id},
		order.Authorize{OrderID: id, PaymentID: "pay_1", Amount: 1000, Currency: "USD"}, order.Place{OrderID: id},
	} {
		must(t)(engine.Execute(t.Context(), command))
	}
}

// history reads an order's events, and verifies their chain.
func history(t testing.TB, engine *waybill.Engine, id string) []domain.Recorded {
	t.Helper()
	var events []domain.Recorded
	for r, err := range engine.History(context.Background(), id) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, r)
	}
	if _, err := engine.VerifyOrder(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	return events
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExecuteTakesAnOrderThroughItsLife(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	toPlaced(t, engine, "ord_1")
	result := must(t)(engine.Execute(ctx, order.Approve{OrderID: "ord_1"}, waybill.Actor("checkout"), waybill.Correlation("corr"), waybill.Causation("cause")))
	if len(result.Events) != 1 || result.Events[0].Type != "order.approved" || result.Events[0].Position == 0 || result.Events[0].TransactionID == 0 {
		t.Fatalf("approve gave %+v", result)
	}
	var metadata domain.Metadata
	if err := json.Unmarshal(result.Events[0].Metadata, &metadata); err != nil {
		t.Fatal(err)
	}
	if want := (domain.Metadata{Command: "order.approve", Actor: "checkout", CorrelationID: "corr", CausationID: "cause"}); metadata != want {
		t.Errorf("metadata is %+v, want %+v", metadata, want)
	}
	o, err := engine.Order(ctx, "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != "approved" || o.PaymentStatus != "authorized" || o.Total != 1000 {
		t.Errorf("the order is %s, %s, %d", o.Status, o.PaymentStatus, o.Total)
	}

	_, err = engine.Execute(ctx, order.Approve{OrderID: "ord_1"})
	var illegal *domain.IllegalTransitionError
	if !errors.As(err, &illegal) || illegal.Machine != "order" || illegal.State != "approved" || illegal.Command != "order.approve" {
		t.Errorf("a second approval gave %v", err)
	}
	if _, err := engine.Execute(ctx, order.Approve{OrderID: "nobody"}); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("approving an order that does not exist gave %v", err)
	}
}

func TestGeneratedID(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	result := must(t)(engine.Execute(t.Context(), draft("")))
	if !strings.HasPrefix(result.ID, "ord_") {
		t.Fatalf("generated id %q", result.ID)
	}
	if _, err := engine.Order(t.Context(), result.ID); err != nil {
		t.Fatal(err)
	}
}

func TestReadAsItWas(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	engine, _ := newEngine(t, waybill.Config{Now: func() time.Time { clock = clock.Add(time.Hour); return clock }})
	ctx := t.Context()
	toPlaced(t, engine, "ord_1")
	events := history(t, engine, "ord_1")

	state := order.Order{}
	for _, r := range events {
		e, err := order.Aggregate().Codec.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		state = order.Evolve(state, e, r.RecordedAt)
		atVersion, err := engine.Order(ctx, "ord_1", waybill.AtVersion(r.Version))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := asJSON(t, atVersion), asJSON(t, state); got != want {
			t.Errorf("at version %d:\n got %s\nwant %s", r.Version, got, want)
		}
	}
	for _, test := range []struct {
		at     time.Time
		status string
	}{
		{events[0].RecordedAt, "draft"},
		{events[1].RecordedAt.Add(-time.Microsecond), "draft"},
		{events[1].RecordedAt, "pending"},
		{clock.Add(time.Hour), "placed"},
	} {
		o, err := engine.Order(ctx, "ord_1", waybill.AsOf(test.at))
		if err != nil || o.Status != test.status {
			t.Errorf("as of %s: %q, %v; want %q", test.at, o.Status, err, test.status)
		}
	}
	for name, option := range map[string]waybill.ReadOption{
		"before it existed": waybill.AsOf(events[0].RecordedAt.Add(-time.Microsecond)),
		"version 0":         waybill.AtVersion(0),
		"a future version":  waybill.AtVersion(99),
	} {
		if _, err := engine.Order(ctx, "ord_1", option); !errors.As(err, new(*domain.NotFoundError)) {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}

func TestTimesNeverRunBackwardsWithinAStream(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	engine, _ := newEngine(t, waybill.Config{Now: func() time.Time { clock = clock.Add(-time.Minute); return clock }})
	toPlaced(t, engine, "ord_1")
	events := history(t, engine, "ord_1")
	for i, r := range events[1:] {
		if r.RecordedAt.Before(events[i].RecordedAt) {
			t.Errorf("version %d is dated %s, before %s", r.Version, r.RecordedAt, events[i].RecordedAt)
		}
	}
}

func TestWorkspacesAreApart(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	acme, other := engine.Workspace("acme"), engine.Workspace("other")
	must(t)(acme.Execute(ctx, draft("ord_1"), waybill.IdempotencyKey("k")))
	if _, err := other.Order(ctx, "ord_1"); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("another workspace sees the order: %v", err)
	}
	if r := must(t)(other.Execute(ctx, draft("ord_1"), waybill.IdempotencyKey("k"))); r.Repeated {
		t.Error("another workspace's idempotency key was found")
	}
	for _, name := range []string{"", "a b", "ä", strings.Repeat("x", 65), "a/b", "a\x00"} {
		if _, err := engine.Workspace(name).Execute(ctx, draft("ord_2")); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("workspace %q: %v", name, err)
		}
		if _, err := engine.Workspace(name).Order(ctx, "ord_1"); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("reading workspace %q: %v", name, err)
		}
	}
}

func TestExpectVersion(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]waybill.Config{"cached": {}, "uncached": {CacheSize: -1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine, _ := newEngine(t, config)
			ctx := t.Context()
			must(t)(engine.Execute(ctx, draft("ord_1"), waybill.ExpectVersion(0)))
			_, err := engine.Execute(ctx, order.Submit{OrderID: "ord_1"}, waybill.ExpectVersion(0))
			var conflict *eventstore.ConflictError
			if !errors.As(err, &conflict) || conflict.Expected != 0 || conflict.Actual != 1 {
				t.Errorf("a stale version gave %v", err)
			}
			must(t)(engine.Execute(ctx, order.Submit{OrderID: "ord_1"}, waybill.ExpectVersion(1)))
			if _, err := engine.Execute(ctx, order.Submit{OrderID: "ord_1"}, waybill.ExpectVersion(-1)); !errors.As(err, new(*domain.InvalidCommandError)) {
				t.Errorf("a negative version gave %v", err)
			}
		})
	}
}

// A state in memory may be stale, because another process changed the order. What it refuses must be looked at again.
func TestStaleCacheDecidesNothingWrongly(t *testing.T) {
	t.Parallel()
	here, db := newEngine(t, waybill.Config{})
	elsewhere, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must(t)(here.Execute(ctx, draft("ord_1")))
	must(t)(elsewhere.Execute(ctx, order.Submit{OrderID: "ord_1"}))
	must(t)(elsewhere.Execute(ctx, order.Authorize{OrderID: "ord_1", PaymentID: "pay_1", Amount: 1000, Currency: "USD"}))
	must(t)(here.Execute(ctx, order.Place{OrderID: "ord_1"})) // illegal on the draft that is in memory here

	must(t)(elsewhere.Execute(ctx, order.Approve{OrderID: "ord_1"}))
	if _, err := here.Execute(ctx, order.Edit{OrderID: "ord_1"}); !errors.As(err, new(*domain.IllegalTransitionError)) {
		t.Errorf("editing an order that was approved elsewhere gave %v", err)
	}
	if o, err := here.Order(ctx, "ord_1"); err != nil || o.Status != "approved" {
		t.Errorf("the order is %q here, %v", o.Status, err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]waybill.Config{"cached": {}, "uncached": {CacheSize: -1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine, _ := newEngine(t, config)
			ctx := t.Context()
			toPlaced(t, engine, "ord_1")
			first := must(t)(engine.Execute(ctx, order.Approve{OrderID: "ord_1"}, waybill.IdempotencyKey("approve-1")))
			must(t)(engine.Execute(ctx, order.Capture{OrderID: "ord_1", PaymentID: "pay_1", Amount: 1000}))
			again := must(t)(engine.Execute(ctx, order.Approve{OrderID: "ord_1"}, waybill.IdempotencyKey("approve-1")))
			if !again.Repeated || first.Repeated || again.Version != first.Version || asJSON(t, again.Events) != asJSON(t, first.Events) {
				t.Errorf("first %+v, then %+v", first, again)
			}
			_, err := engine.Execute(ctx, order.Cancel{OrderID: "ord_1"}, waybill.IdempotencyKey("approve-1"))
			if !errors.As(err, new(*waybill.IdempotencyMismatchError)) {
				t.Errorf("the key with another command gave %v", err)
			}

			// A refused command had no outcome, so its key is free.
			if _, err := engine.Execute(ctx, order.Approve{OrderID: "ord_1"}, waybill.IdempotencyKey("approve-2")); !errors.As(err, new(*domain.IllegalTransitionError)) {
				t.Errorf("a second approval under a new key gave %v", err)
			}
			if r := must(t)(engine.Execute(ctx, draft("ord_9"), waybill.IdempotencyKey("approve-2"))); r.Repeated {
				t.Error("a refusal was kept as an outcome")
			}

			// Generated ids: the repeated command is about the first one's order.
			one := must(t)(engine.Execute(ctx, draft(""), waybill.IdempotencyKey("new")))
			two := must(t)(engine.Execute(ctx, draft(""), waybill.IdempotencyKey("new")))
			if one.ID != two.ID || !two.Repeated {
				t.Errorf("created %q, then %q", one.ID, two.ID)
			}
			for _, key := range []string{"", strings.Repeat("k", 256), "\xff", "a\x00b"} {
				if _, err := engine.Execute(ctx, draft(""), waybill.IdempotencyKey(key)); !errors.As(err, new(*domain.InvalidCommandError)) {
					t.Errorf("key %q gave %v", key, err)
				}
			}
		})
	}
}

// "Nothing changed" is an outcome too: a late repetition must not change something after all.
func TestIdempotencyKeyOfACommandThatChangedNothing(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	toPlaced(t, engine, "ord_1")
	must(t)(engine.Execute(ctx, order.CreateShipment{OrderID: "ord_1", ShipmentID: "shp_1", LineItems: []order.ShipmentLineItem{{LineItemID: "li_1", Quantity: 1}}}))
	must(t)(engine.Execute(ctx, order.CreateParcel{OrderID: "ord_1", ShipmentID: "shp_1", ParcelID: "prc_1", TrackingNumber: "A"}))
	track := func(number string) order.SetTracking {
		return order.SetTracking{OrderID: "ord_1", ShipmentID: "shp_1", ParcelID: "prc_1", TrackingNumber: &number}
	}
	first := must(t)(engine.Execute(ctx, track("A"), waybill.IdempotencyKey("track-a")))
	if len(first.Events) != 0 || first.Repeated {
		t.Fatalf("setting the same tracking number gave %+v", first)
	}
	must(t)(engine.Execute(ctx, track("B")))
	again := must(t)(engine.Execute(ctx, track("A"), waybill.IdempotencyKey("track-a")))
	if len(again.Events) != 0 || !again.Repeated || again.Version != first.Version {
		t.Errorf("the repetition gave %+v, first was %+v", again, first)
	}
}

func TestManyCommandsOnOneOrder(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]waybill.Config{"cached": {}, "uncached": {CacheSize: -1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const goroutines, each = 64, 5
			here, db := newEngine(t, config)
			there, err := waybill.New(db, config) // as in another process
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			must(t)(here.Execute(ctx, draft("ord_1")))
			var wg sync.WaitGroup
			for g := range goroutines {
				engine := here
				if g%2 == 1 {
					engine = there
				}
				wg.Go(func() {
					for i := range each {
						// Every command under a key that two goroutines, one of each process, use at the same time.
						key := waybill.IdempotencyKey(fmt.Sprintf("key-%d-%d", g/2, i))
						note := fmt.Sprintf("note %d of pair %d", i, g/2)
						if _, err := engine.Execute(ctx, order.Update{OrderID: "ord_1", Note: &note}, key); err != nil {
							t.Errorf("%v", err)
						}
					}
				})
			}
			wg.Wait()
			events := history(t, here, "ord_1")
			if want := 1 + goroutines/2*each; len(events) != want {
				t.Errorf("%d events, want %d: each key exactly once", len(events), want)
			}
			seen := map[string]bool{}
			for i, r := range events {
				if r.Version != i+1 {
					t.Fatalf("version %d at place %d", r.Version, i+1)
				}
				if seen[string(r.Data)] {
					t.Errorf("twice in the log: %s", r.Data)
				}
				seen[string(r.Data)] = true
			}
		})
	}
}

func TestExecuteTx(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{})
	ctx := t.Context()
	if _, err := db.Exec(`CREATE TABLE carts (id text PRIMARY KEY, ordered boolean)`); err != nil {
		t.Fatal(err)
	}
	begin := func() *sql.Tx {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}

	// Rolled back with the caller's rows.
	tx := begin()
	must(t)(engine.ExecuteTx(ctx, tx, draft("ord_1"), waybill.IdempotencyKey("cart-1")))
	must(t)(engine.ExecuteTx(ctx, tx, order.Submit{OrderID: "ord_1"}))
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Order(ctx, "ord_1"); !errors.As(err, new(*domain.NotFoundError)) {
		t.Fatalf("after rollback: %v", err)
	}

	// Committed with them; the key was free again.
	tx = begin()
	if _, err := tx.Exec(`INSERT INTO carts VALUES ('c1', true)`); err != nil {
		t.Fatal(err)
	}
	if r := must(t)(engine.ExecuteTx(ctx, tx, draft("ord_1"), waybill.IdempotencyKey("cart-1"))); r.Repeated {
		t.Error("a key of a rolled-back command was remembered")
	}
	if r := must(t)(engine.ExecuteTx(ctx, tx, draft("ord_1"), waybill.IdempotencyKey("cart-1"))); !r.Repeated {
		t.Error("a key was forgotten within its own transaction")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if o, err := engine.Order(ctx, "ord_1"); err != nil || o.Status != "draft" {
		t.Fatalf("after commit: %q, %v", o.Status, err)
	}

	// A refusal leaves the transaction usable.
	tx = begin()
	if _, err := engine.ExecuteTx(ctx, tx, order.Approve{OrderID: "ord_1"}); !errors.As(err, new(*domain.IllegalTransitionError)) {
		t.Errorf("an illegal command gave %v", err)
	}
	if _, err := tx.Exec(`INSERT INTO carts VALUES ('c2', false)`); err != nil {
		t.Errorf("the transaction was aborted: %v", err)
	}
	tx.Rollback()
}

// A lost race inside a transaction is a typed conflict, and the transaction lives on.
func TestExecuteTxLosesARace(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{})
	ctx := t.Context()
	must(t)(engine.Execute(ctx, draft("ord_1")))
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`CREATE TEMPORARY TABLE mine (n integer) ON COMMIT DROP`); err != nil { // it is the older transaction now
		t.Fatal(err)
	}
	must(t)(engine.Execute(ctx, order.Submit{OrderID: "ord_1"}))

	// The younger event is visible, and the version is right: but an event behind it must not be older in the log.
	_, err = engine.ExecuteTx(ctx, tx, order.RevertToDraft{OrderID: "ord_1"})
	if !errors.As(err, new(*eventstore.ConflictError)) {
		t.Fatalf("an append that would break the order of the log gave %v", err)
	}
	if _, err := tx.Exec(`INSERT INTO mine VALUES (1)`); err != nil {
		t.Errorf("the transaction was aborted: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if events := history(t, engine, "ord_1"); len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
}

func TestSchemaErrors(t *testing.T) {
	t.Parallel()
	empty := pgtest.Empty(t).DB
	engine, err := waybill.New(empty, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Execute(t.Context(), draft("ord_1")); !errors.As(err, new(*migrations.PendingError)) {
		t.Errorf("on an empty database: %v", err)
	}
	// Once migrated, the same engine works.
	if err := waybill.Migrate(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	must(t)(engine.Execute(t.Context(), draft("ord_1")))

	newer := pgtest.New(t).DB
	if _, err := newer.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	engine, err = waybill.New(newer, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Order(t.Context(), "ord_1"); !errors.As(err, new(*migrations.NewerSchemaError)) {
		t.Errorf("on a newer database: %v", err)
	}
	if err := waybill.Migrate(t.Context(), newer); !errors.As(err, new(*migrations.NewerSchemaError)) {
		t.Errorf("migrating a newer database: %v", err)
	}
}

func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{})
	must(t)(engine.Execute(t.Context(), draft("ord_1")))
	if _, err := db.Exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`); err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0) // new connections see the setting
	_, err := engine.Execute(t.Context(), order.Submit{OrderID: "ord_1"})
	var failure *waybill.DatabaseError
	if !errors.As(err, &failure) || failure.Kind != "read_only" {
		t.Errorf("on a read-only database: %v", err)
	}
	if o, err := engine.Order(t.Context(), "ord_1"); err != nil || o.Status != "draft" {
		t.Errorf("reading it: %q, %v", o.Status, err)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", "host=/nonexistent dbname=secret-name sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	engine, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.Execute(t.Context(), draft("ord_1"))
	var failure *waybill.DatabaseError
	if !errors.As(err, &failure) || failure.Kind != "unavailable" || !failure.Retryable() {
		t.Errorf("without a database: %#v", err)
	}
	if strings.Contains(err.Error(), "nonexistent") || strings.Contains(err.Error(), "dial") {
		t.Errorf("the driver's words reach the caller: %v", err)
	}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	ctx := t.Context()
	huge := draft("ord_1")
	huge.Metadata = map[string]string{"blob": strings.Repeat("x", 1<<20)}
	garbled := draft("ord_1")
	garbled.Note = "\xff\xfe"
	for name, command := range map[string]domain.Command{
		"nil": nil, "1 MB of metadata": huge, "invalid UTF-8": garbled, "malformed id": draft("ord 1"), "path in id": draft("a/b"),
	} {
		if _, err := engine.Execute(ctx, command); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, option := range map[string]waybill.Option{
		"long actor": waybill.Actor(strings.Repeat("x", 1<<20)), "garbled correlation": waybill.Correlation("\xff"), "NUL in causation": waybill.Causation("\x00"),
	} {
		if _, err := engine.Execute(ctx, draft("ord_1"), option); !errors.As(err, new(*domain.InvalidCommandError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := engine.Order(ctx, "ord_1"); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("something was written: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := engine.Execute(cancelled, draft("ord_1")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}
