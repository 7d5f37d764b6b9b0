package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

func inline() (list []*projections.Projection) {
	for _, p := range waybill.Projections() {
		list = append(list, projections.Inline(p))
	}
	return list
}

// Whoever gets the result of a command finds it in the view, also while the view is rebuilt, rolled back and rebuilt again.
func TestInlineReadsItsWritesDuringRebuilds(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB, inline()...)
	for _, name := range allViews {
		if err := engine.Rebuild(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, engine)
	ctx, cancel := context.WithCancel(t.Context())
	var appenders sync.WaitGroup
	defer appenders.Wait()
	defer cancel()
	for g := range 3 {
		appenders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("ord_%d_%d", g, i)
				for _, c := range life(id) {
					result, err := engine.Execute(context.Background(), c)
					if err != nil {
						t.Error(err)
						return
					}
					var shown int
					if err := d.QueryRow(`SELECT version FROM view_orders WHERE generation = live_generation('orders') AND workspace = 'default' AND id = $1`, id).
						Scan(&shown); err != nil || shown != result.Version {
						t.Errorf("the view shows version %d of %s, the command led to version %d: %v", shown, id, result.Version, err)
						return
					}
				}
			}
		})
	}
	for range 3 {
		for _, name := range []string{"orders", "shipments"} {
			if err := engine.Rebuild(t.Context(), name, nil); err != nil {
				t.Error(err)
			}
		}
		if _, err := engine.Projections().Rollback(t.Context(), "orders"); err != nil {
			t.Error(err)
		}
	}
	cancel()
	appenders.Wait()
	settled(t, engine)
	verified(t, engine, allViews...)
}

// A transaction that is left open, anywhere on the server, keeps the log from settling. What appends have written is in the view all the same,
// also after it was rebuilt meanwhile; and what such a transaction commits late is not skipped.
func TestRebuildWhileTheLogIsHeld(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB, inline()...)
	for _, name := range allViews {
		if err := engine.Rebuild(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	late := newEngine(t, d.DB) // without the views, so that nobody but the runner shows what it appends
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := late.ExecuteTx(t.Context(), tx, draft("late")); err != nil {
		t.Fatal(err)
	}
	run(t, engine, life("ord_1")...)
	if _, err := engine.Projections().Rebuild(t.Context(), "orders", projections.RebuildOptions{NoSwap: true}, nil); err != nil {
		t.Fatal(err)
	}
	result, err := engine.Execute(t.Context(), order.StartFulfillment{OrderID: "ord_1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Rebuild(t.Context(), "orders", nil); err != nil { // now it only catches up and swaps
		t.Fatal(err)
	}
	if got := query[int](t, d.DB, `SELECT version FROM view_orders WHERE generation = live_generation('orders') AND id = 'ord_1'`); got != result.Version {
		t.Errorf("after the rebuild the view shows version %d, the command led to version %d", got, result.Version)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	follow(t, engine)
	settled(t, engine)
	verified(t, engine, allViews...)
}

// What is rolled back with the caller's transaction is not in the view, nor is it remembered.
func TestInlineWithinACallersTransaction(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB, inline()...)
	for _, name := range allViews {
		if err := engine.Rebuild(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	run(t, engine, draft("ord_1"))
	for _, commit := range []bool{false, true} {
		tx, err := d.Begin()
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(commit)
		if _, err := engine.ExecuteTx(t.Context(), tx, order.Update{OrderID: "ord_1", Number: &text}); err != nil {
			t.Fatal(err)
		}
		var within string
		if err := tx.QueryRow(`SELECT number FROM view_orders WHERE id = 'ord_1' AND generation = live_generation('orders')`).Scan(&within); err != nil || within != text {
			t.Errorf("within the transaction the view shows %q, %v", within, err)
		}
		if err := map[bool]func() error{false: tx.Rollback, true: tx.Commit}[commit](); err != nil {
			t.Fatal(err)
		}
		run(t, engine, order.Submit{OrderID: "ord_1"}, order.RevertToDraft{OrderID: "ord_1"})
		verified(t, engine, allViews...)
	}
}

// A process without the inline view appends as well. The runner mends what that leaves out.
func TestInlineIsMended(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	writing, other := newEngine(t, d.DB, inline()...), newEngine(t, d.DB)
	for _, name := range allViews {
		if err := writing.Rebuild(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	run(t, writing, draft("ord_1"))
	run(t, other, order.Submit{OrderID: "ord_1"})
	run(t, other, life("ord_2")...)
	if n := query[int](t, d.DB, `SELECT count(*) FROM view_orders WHERE id = 'ord_2'`); n != 0 {
		t.Fatal("the other process writes the view as well")
	}
	follow(t, writing)
	settled(t, writing)
	verified(t, writing, allViews...)
	run(t, writing, order.RevertToDraft{OrderID: "ord_1"})
	verified(t, writing, allViews...)
}

// Several processes that rebuild the same view share the work, and one of them puts it in place.
func TestRebuildsShareTheWork(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engines := []*waybill.Engine{newEngine(t, d.DB), newEngine(t, d.DB), newEngine(t, d.DB)}
	fill(t, engines[0], d.DB, 8000)
	var all sync.WaitGroup
	for _, e := range engines {
		all.Go(func() {
			if err := e.Rebuild(context.Background(), "orders", nil); err != nil && !errors.As(err, new(*projections.OvertakenError)) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	verified(t, engines[0], "orders")
	if n := query[int](t, d.DB, `SELECT count(*) FROM projection_generations WHERE state = 'building'`); n != 0 {
		t.Errorf("%d generations are still being built", n)
	}
}

// A stream that is longer than a page of a rebuild is folded as a whole; so is one with poison in it.
func TestRebuildOfALongStream(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	execute(t, d.DB, notesTable)
	engine := newEngine(t, d.DB, notes(false), waybill.Projections()[0])
	text := "note"
	for _, id := range []string{"long", "poisoned"} {
		run(t, engine, draft(id), order.Update{OrderID: id, Note: &text})
		execute(t, d.DB, `INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
			SELECT transaction_id, workspace, stream, n, gen_random_uuid(), type, 1, json_build_object('note', CASE WHEN stream = 'order/poisoned' AND n = 10001
				THEN 'panic' ELSE n::text END), metadata, recorded_at, hash
			FROM events, generate_series(3, 25000) n WHERE stream = 'order/' || $1 AND version = 2`, id)
	}
	run(t, engine, draft("next"))
	for _, name := range []string{"notes", "orders"} {
		if err := engine.Rebuild(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := query[string](t, d.DB, `SELECT string_agg(id || ' ' || note, ', ' ORDER BY id) FROM notes`)
	if got != "long 25000, next , poisoned 10000" {
		t.Errorf("the view shows %q", got)
	}
	verified(t, engine, "orders")
}
