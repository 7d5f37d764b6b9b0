package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

// A rebuild is killed five times, at random, while orders are made and changed and the view is followed. Whoever reads sees every order that
// was there, at every moment; in the end the view is the fold of the log, and the killed ones' work was gone on with.
func TestRebuildKilledUnderLiveCommands(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB)
	const old = 6000
	fill(t, engine, d.DB, old)
	if err := engine.Rebuild(t.Context(), "orders", nil); err != nil {
		t.Fatal(err)
	}
	follow(t, engine)
	deliveries := query[int](t, d.DB, `SELECT count(*) FROM deliveries`)

	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	var looks atomic.Int64
	for g := range 2 { // commands, on new orders and old ones
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				for _, c := range life(fmt.Sprintf("new_%d_%d", g, i)) {
					_, err := engine.Execute(ctx, c)
					if err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
				note := fmt.Sprint(i)
				if _, err := engine.Execute(ctx, order.StartFulfillment{OrderID: fmt.Sprintf("old_%d", 1+g+2*i)}); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", note, err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond): // the processor is for the rebuild, too
				}
			}
		})
	}
	others.Go(func() { // whoever reads
		before := 0
		for ctx.Err() == nil {
			var olds, all int
			err := d.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE starts_with(id, 'old_')), count(*) FROM view_orders
				WHERE generation = live_generation('orders') AND workspace = 'default'`).Scan(&olds, &all)
			if ctx.Err() != nil {
				return
			}
			if err != nil || olds != old || all < before {
				t.Errorf("the view shows %d of %d old orders, and %d in all where it has shown %d: %v", olds, old, all, before, err)
				return
			}
			before = all
			looks.Add(1)
		}
	})

	for kills := 0; kills < 5; {
		c := start(t, role{"rebuild", d.DSN})
		swapped := false
		for range 1 + rand.IntN(6) {
			c.lines.Scan()
			swapped = swapped || strings.HasPrefix(c.lines.Text(), "swapped")
		}
		if c.kill(); !swapped {
			kills++
		}
	}
	c := start(t, role{"rebuild", d.DSN})
	resumed := false
	for c.lines.Scan() {
		resumed = resumed || c.lines.Text() == "resumed true"
	}
	c.stop()
	cancel()
	others.Wait()
	settled(t, engine)
	verified(t, engine, "orders")
	if !resumed {
		t.Log("the last rebuild had nothing to go on with")
	}
	if n := query[int](t, d.DB, `SELECT max(generation) FROM projection_generations WHERE projection = 'orders'`); n < 2 {
		t.Errorf("there are %d generations", n)
	}
	if n := query[int](t, d.DB, `SELECT count(*) FROM deliveries`); n != deliveries {
		t.Errorf("there are %d deliveries, %d were there before", n, deliveries)
	}
	t.Logf("generation %d after %d looks", query[int](t, d.DB, `SELECT live_generation('orders')`), looks.Load())
}

// Two processes follow the log while they are killed, the server crashes, and connections are cut. Nothing is lost, and no row is written
// twice: a trigger notes every row that is, in the transaction that writes it.
func TestRunnerSurvivesFaults(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	engine := newEngine(t, server.DB)
	execute(t, server.DB, `
		CREATE TABLE written (generation integer, id text, version integer);
		CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO written VALUES (new.generation, new.id, new.version); RETURN NULL; END $$;
		CREATE TRIGGER note_row AFTER INSERT ON view_orders FOR EACH ROW EXECUTE FUNCTION note_row()`)
	children := []*child{start(t, role{"follow", server.DSN}), start(t, role{"follow", server.DSN})}

	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	var executed atomic.Int64
	for g := range 3 {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				for _, c := range life(fmt.Sprintf("ord_%d_%d", g, i)) {
					if _, err := engine.Execute(ctx, c); err == nil {
						executed.Add(1)
					} // else the server is away, or an earlier command of this life was lost with it
				}
			}
		})
	}
	progress := func() {
		t.Helper()
		goal := executed.Load() + 40
		eventually(t, "commands go on", func() bool { return executed.Load() >= goal })
	}
	for i := range 12 {
		progress()
		switch i % 4 {
		case 0, 2:
			n := rand.IntN(len(children))
			children[n].kill()
			children[n] = start(t, role{"follow", server.DSN})
		case 1:
			_, _ = server.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		case 3:
			server.Crash()
			server.Start()
		}
	}
	progress()
	cancel()
	others.Wait()
	settled(t, engine)
	verified(t, engine, allViews...)
	if n := query[int](t, server.DB, `SELECT count(*) FROM (SELECT FROM written GROUP BY generation, id, version HAVING count(*) > 1) twice`); n > 0 {
		t.Errorf("%d rows were written twice", n)
	}
	for _, c := range children {
		c.stop()
	}
	t.Logf("%d commands, %d rows written", executed.Load(), query[int](t, server.DB, `SELECT count(*) FROM written`))
}

// Whatever happens between the rows and the checkpoint, both are there or neither.
func TestCrashBetweenRowsAndCheckpoint(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB)
	runner := engine.Projections()
	if err := engine.Rebuild(t.Context(), "orders", nil); err != nil {
		t.Fatal(err)
	}
	run(t, engine, life("ord_1")...)
	crashed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	runner.BeforeCheckpoint(func() { once.Do(func() { cancel(); close(crashed) }) })
	if err := runner.Run(ctx); err != nil {
		t.Fatal(err)
	}
	<-crashed
	if n := query[int](t, d.DB, `SELECT count(*) FROM view_orders`); n != 0 {
		t.Errorf("%d rows without their checkpoint", n)
	}
	follow(t, engine)
	settled(t, engine)
	verified(t, engine, "orders")
}
