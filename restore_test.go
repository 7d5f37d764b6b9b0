package waybill_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/webhook"
	"github.com/waybill-dev/waybill/projections"
)

// A dump that is restored into another cluster, and from there back into the first, goes on where it was: with what was delivered,
// half delivered, failed, fanned out and not yet fanned out at the time of the dump. The first cluster has seen far more transactions
// than the second will, so that without eras everything new would lie before everything old.
func TestRestoreIntoAnotherCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first, second := pgtest.Cluster(t), pgtest.Cluster(t)
	if _, err := first.DB.Exec(`DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`); err != nil {
		t.Fatal(err)
	}
	r := newLedger(t)

	engine := r.engine(first.DB, 0)
	for _, name := range []string{"healthy", "failing"} {
		if _, _, err := engine.CreateWebhook(ctx, webhook.New{Name: name, URL: r.server.URL + "/" + name}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		must(t)(engine.Execute(ctx, draft(fmt.Sprint("ord_", i))))
		must(t)(engine.Execute(ctx, order.Submit{OrderID: fmt.Sprint("ord_", i)}))
	}
	r.fail("/failing", true)
	r.relayUntil(engine, first.DB, `SELECT count(*) >= 16 + 8 FROM attempts`) // all of healthy's, and eight failures
	for i := range 8 {
		must(t)(engine.Execute(ctx, order.RevertToDraft{OrderID: fmt.Sprint("ord_", i)}))
	}

	restored := second.Restore(first.Dump(first.DSN), "restored")
	r.fail("/failing", false)
	engine = r.engine(restored.DB, time.Hour)
	goOn := func(db *sql.DB, command func(order string) domain.Command) {
		t.Helper()
		for i := range 8 {
			must(t)(engine.Execute(ctx, command(fmt.Sprint("ord_", i))))
		}
		if _, _, err := engine.CreateWebhook(ctx, webhook.New{Name: fmt.Sprint(r.count()), URL: r.server.URL + "/new"}); err != nil {
			t.Fatal(err)
		}
		r.relayUntil(engine, db,
			`SELECT (c.transaction_id, c.position) = (SELECT transaction_id, position FROM events ORDER BY 1 DESC, 2 DESC LIMIT 1) FROM checkpoints c`,
			`SELECT count(*) = 0 FROM deliveries`)
	}
	goOn(restored.DB, func(id string) domain.Command { return order.Submit{OrderID: id} })
	restored = first.Restore(second.Dump(restored.DSN), "back") // its transactions are ahead of the second's, but it is another era all the same
	engine = r.engine(restored.DB, 2*time.Hour)
	goOn(restored.DB, func(id string) domain.Command { return order.RevertToDraft{OrderID: id} })

	want := []string{"order.created", "order.submitted", "order.reverted_to_draft", "order.submitted", "order.reverted_to_draft"}
	for _, path := range []string{"/healthy", "/failing"} {
		for i := range 8 {
			if got := r.accepted(path, fmt.Sprint("ord_", i)); !slices.Equal(got, want) {
				t.Errorf("%s was told of ord_%d: %q, want %q", path, i, got, want)
			}
		}
	}
	for i := range 8 { // the first of the new webhooks was told of the last event, the second of nothing
		if got := r.accepted("/new", fmt.Sprint("ord_", i)); !slices.Equal(got, want[4:]) {
			t.Errorf("/new was told of ord_%d: %q, want %q", i, got, want[4:])
		}
	}
	var eras int
	if err := restored.QueryRow(`SELECT count(*) FROM eras`).Scan(&eras); err != nil || eras != 3 {
		t.Errorf("there are %d eras (%v), want 3", eras, err)
	}
	var last eventstore.Cursor
	var events int
	for e, err := range eventstore.New(restored.DB).ReadLog(ctx, last) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Stream.Aggregate == order.Name { // and not what the owner of /failing is told of it
			events++
		}
		if e.Position <= last.Position {
			t.Errorf("the log goes back from position %d to %d", last.Position, e.Position)
		}
		last = eventstore.Cursor{TransactionID: e.TransactionID, Position: e.Position}
	}
	if events != 40 {
		t.Errorf("the log has %d events of orders, want 40", events)
	}
}

// The views of a dump that is restored into another cluster, and from there back into the first, go on from their checkpoints: with what they
// had seen at the time of the dump, what they had not, and a rebuild under way. Nothing is skipped, and no row that was right is written
// again. The first cluster has seen far more transactions than the second will.
func TestViewsAfterARestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first, second := pgtest.Cluster(t), pgtest.Cluster(t)
	for _, statement := range []string{
		`DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`,
		`CREATE TABLE written (id text, version integer)`,
		`CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.written VALUES (new.id, new.version); RETURN NULL; END $$`,
		`CREATE TRIGGER note_row AFTER INSERT OR UPDATE ON view_orders FOR EACH ROW WHEN (new.generation = 1) EXECUTE FUNCTION note_row()`,
	} {
		if _, err := first.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	const orders = 8
	each := func(engine *waybill.Engine, command func(id string) domain.Command) {
		t.Helper()
		for i := range orders {
			must(t)(engine.Execute(ctx, command(fmt.Sprint("ord_", i))))
		}
	}
	followed := func(engine *waybill.Engine) { // to where the log ends
		t.Helper()
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- engine.Projections().Run(running) }()
		settled(t, engine)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	submit := func(id string) domain.Command { return order.Submit{OrderID: id} }
	revert := func(id string) domain.Command { return order.RevertToDraft{OrderID: id} }

	engine := viewer(t, first.DB)
	followed(engine) // of nothing: from now on there are checkpoints
	each(engine, func(id string) domain.Command { return draft(id) })
	followed(engine)
	if _, err := engine.Projections().Rebuild(ctx, "orders", projections.RebuildOptions{NoSwap: true}, nil); err != nil {
		t.Fatal(err)
	}
	each(engine, submit) // which the views have not seen when the dump is taken

	restored := second.Restore(first.Dump(first.DSN), "restored")
	engine = viewer(t, restored.DB)
	if lag, err := engine.Projections().Lag(ctx, "orders"); err != nil || lag <= 0 {
		t.Errorf("right after the restore the view is behind by %v, %v", lag, err)
	}
	followed(engine) // without an append: the era of this cluster has not begun
	verified(t, engine)
	each(engine, revert)
	followed(engine)
	verified(t, engine)
	if done, err := engine.Projections().Rebuild(ctx, "shipments", projections.RebuildOptions{}, nil); err != nil || done.Different != 0 {
		t.Errorf("a rebuild in the second cluster: %+v, %v", done, err)
	}
	each(engine, submit)

	back := first.Restore(second.Dump(restored.DSN), "back")
	engine = viewer(t, back.DB)
	each(engine, revert) // before anybody follows, this time
	followed(engine)
	verified(t, engine)

	var once, all int
	if err := back.QueryRow(`SELECT count(*), count(DISTINCT (id, version)) FROM written`).Scan(&all, &once); err != nil {
		t.Fatal(err)
	}
	if all != once {
		t.Errorf("%d rows were written, %d different ones", all, once)
	}
	var versions string
	const last = `SELECT string_agg(DISTINCT version::text, ' ') FROM view_orders WHERE generation = 1`
	if err := back.QueryRow(last).Scan(&versions); err != nil || versions != "5" {
		t.Errorf("the orders are at versions %s (%v), want 5", versions, err)
	}
	done, err := engine.Projections().Rebuild(ctx, "orders", projections.RebuildOptions{}, nil) // the one that was begun in another cluster, two eras ago
	if err != nil || !done.Resumed || !done.Swapped || done.Different != 0 || done.Generation != 2 {
		t.Errorf("the rebuild that was under way: %+v, %v", done, err)
	}
	if _, err := engine.Projections().Rollback(ctx, "orders"); err != nil {
		t.Error(err)
	}
	verified(t, engine)
}

// A backup is brought back under the address of the database while the program goes on. What its views had folded of the log that is gone is
// not taken for history of the one that is there now.
func TestViewsOfALogThatWasBroughtBack(t *testing.T) {
	t.Parallel()
	for name, views := range map[string][]*projections.Projection{"following": waybill.Projections(), "inline": inline()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			server := pgtest.Cluster(t)
			engine, err := waybill.New(server.DB, waybill.Config{Projections: views})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(engine.Close)
			for _, p := range views {
				if err := engine.Rebuild(ctx, p.Name(), nil); err != nil {
					t.Fatal(err)
				}
			}
			follow(t, engine)
			must(t)(engine.Execute(ctx, draft("ord_1")))
			settled(t, engine)
			backup := server.Dump(server.DSN)
			must(t)(engine.Execute(ctx, order.Submit{OrderID: "ord_1"}))
			settled(t, engine)

			server.Restore(backup, "restored").Close()
			admin := server.Restore(backup, "elsewhere")
			for _, statement := range []string{
				`ALTER DATABASE waybill ALLOW_CONNECTIONS false`,
				`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'waybill'`,
				`ALTER DATABASE waybill RENAME TO lost`,
				`ALTER DATABASE restored RENAME TO waybill`,
			} {
				if _, err := admin.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			server.SetMaxIdleConns(0) // drops those that were cut
			server.SetMaxIdleConns(2)
			if o, err := engine.Order(ctx, "ord_1"); err != nil || o.Status != order.StatusDraft {
				t.Errorf("the order is %s, %v, as the lost log had it", o.Status, err)
			}
			must(t)(engine.Execute(ctx, order.Destroy{OrderID: "ord_1"})) // as its second event, where the lost log has another
			must(t)(engine.Execute(ctx, draft("ord_2")))
			settled(t, engine)
			verified(t, engine)
		})
	}
}

// viewer is an engine that keeps views.
func viewer(t *testing.T, db *sql.DB) *waybill.Engine {
	t.Helper()
	engine, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

// verified fails the test unless all rows of all views are the fold of the log.
func verified(t *testing.T, engine *waybill.Engine) {
	t.Helper()
	for _, p := range waybill.Projections() {
		v, err := engine.Projections().Verify(t.Context(), p.Name(), 0, nil)
		if err != nil || v.Streams == 0 || v.Different+v.Parked+v.Behind+v.Orphans != 0 {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

// ledger is a receiver that writes down what it accepted.
type ledger struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	failing map[string]bool
	entries []entry
}

type entry struct{ path, order, event string }

func newLedger(t *testing.T) *ledger {
	l := &ledger{t: t, failing: map[string]bool{}}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Type string
		Data struct{ OrderID string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		l.t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing[r.URL.Path] {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	l.entries = append(l.entries, entry{r.URL.Path, body.Data.OrderID, body.Type})
}

func (l *ledger) fail(path string, fail bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing[path] = fail
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// accepted lists the events of an order that were accepted at a path.
func (l *ledger) accepted(path, order string) (events []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.path == path && e.order == order {
			events = append(events, e.event)
		}
	}
	return events
}

// engine is one whose clock is ahead by that much.
func (l *ledger) engine(db *sql.DB, ahead time.Duration) *waybill.Engine {
	l.t.Helper()
	engine, err := waybill.New(db, waybill.Config{
		MasterKey: bytes.Repeat([]byte{7}, 32), AllowTargets: loopback, AllowHTTP: true,
		Now: func() time.Time { return time.Now().Add(ahead) },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return engine
}

// relayUntil relays until all queries are true.
func (l *ledger) relayUntil(engine *waybill.Engine, db *sql.DB, queries ...string) {
	l.t.Helper()
	relay, err := engine.Relay()
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(l.t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- relay.Run(ctx) }()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for tick := time.NewTicker(10 * time.Millisecond); len(queries) > 0; {
		select {
		case <-tick.C:
		case <-deadline.C:
			l.t.Fatalf("in vain waited for %s", queries[0])
		}
		var done bool
		if err := db.QueryRow(queries[0]).Scan(&done); err != nil {
			l.t.Fatal(err)
		}
		if done {
			queries = queries[1:]
		}
	}
	stop()
	if err := <-stopped; err != nil {
		l.t.Fatal(err)
	}
}
