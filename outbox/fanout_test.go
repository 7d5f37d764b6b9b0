package outbox

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// An event whose transaction commits after later ones were read would be lost to a reader that goes by positions.
func TestLateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	_, err := k.db.Exec(`INSERT INTO checkpoints (consumer) VALUES ($1)`, delivery.Consumer)
	check(t, err)
	late, err := k.db.Begin()
	check(t, err)
	defer late.Rollback()
	k.appendTx(late, "late", 1) // has the lower position
	k.append("early", 1)        // and this one is committed first
	if rows, _, _ := k.look(); rows != 0 {
		t.Error("an event is read while an older transaction may still append before it")
	}
	run := k.relay()
	run.Wake()
	check(t, late.Commit())
	k.append("last", 1)
	run.Wake()
	k.drained(3)
	seen := map[string]bool{}
	for _, got := range r.got() {
		seen[got.Order] = true
	}
	if len(seen) != 3 {
		t.Errorf("events of %v were delivered, want late, early and last", seen)
	}
}

// look looks at the log as the relay does, and tells what it got and what that took.
func (k *kit) look() (rows int, locked, writes bool) {
	k.t.Helper()
	query, err := LogSchema{}.SelectQuery(watermillsql.SelectQueryParams{ConsumerGroup: delivery.Consumer})
	check(k.t, err)
	tx, err := k.db.Begin()
	check(k.t, err)
	defer tx.Rollback()
	result, err := tx.Query(query.Query, query.Args...)
	check(k.t, err)
	for result.Next() {
		rows++
	}
	check(k.t, result.Err())
	check(k.t, tx.QueryRow(`SELECT pg_current_xact_id_if_assigned() IS NOT NULL,
		EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`).Scan(&writes, &locked))
	return rows, locked, writes
}

// settled waits until everything in the log may be read: other databases of the server have transactions, too.
func (k *kit) settled() {
	k.t.Helper()
	k.eventually("the log is settled", `SELECT max(transaction_id) < log_horizon() FROM events`)
}

func TestLookingAtTheLogTakesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	_, err := k.db.Exec(`INSERT INTO checkpoints (consumer) VALUES ($1)`, delivery.Consumer)
	check(t, err)
	if rows, locked, writes := k.look(); rows != 0 || locked || writes {
		t.Errorf("with nothing to do: %d rows, locked %v, transaction id %v", rows, locked, writes)
	}
	k.append("ord_1", 3)
	k.settled()
	if rows, locked, writes := k.look(); rows != 1 || !locked || writes {
		t.Errorf("with something to do: %d rows, locked %v, transaction id %v", rows, locked, writes)
	}
}

func TestSeveralRelaysFanOutOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	relays := []*running{}
	for range 3 {
		relays = append(relays, k.relay(func(c *Config) { c.BatchSize = 7; c.DB = k.open() }))
	}
	const writers, each = 4, 50
	var appending sync.WaitGroup
	for w := range writers {
		appending.Go(func() {
			for range each {
				k.append(string(rune('a'+w)), 2)
				for _, relay := range relays {
					relay.Wake()
				}
			}
		})
	}
	appending.Wait()
	k.drained(writers * each * 2)
	got := r.got()
	if len(got) != writers*each*2 {
		t.Errorf("%d requests for %d events", len(got), writers*each*2)
	}
	inOrder(t, got, each*2)
}

// crash runs a relay that ends between making deliveries and moving the checkpoint.
func (k *kit) crash(end func(r *running)) *running {
	k.t.Helper()
	r, err := New(Config{DB: k.open(), Aggregates: aggregates, History: k.events.StreamsAt, Sealer: k.sealer, Limits: quick,
		Logger: slog.New(slog.NewTextHandler(testWriter{k.t}, nil))})
	check(k.t, err)
	reached, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.beforeAck = func() {
		once.Do(func() { close(reached) })
		<-proceed
	}
	run := k.start(r)
	select {
	case <-reached:
	case <-time.After(patience):
		k.t.Fatal("the crash point was not reached")
	}
	end(run)
	close(proceed)
	return run
}

func TestCrashBetweenDeliveriesAndCheckpoint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(k *kit, run *running){
		"stopped": func(k *kit, run *running) { run.cancel() },
		"disconnected": func(k *kit, run *running) {
			k.eventually("the fan-out's session is ended", `
				SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'idle in transaction'`)
			run.cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			r := k.receiver(ok)
			k.webhook(r)
			k.append("ord_1", 5)
			k.crash(func(run *running) { end(k, run) }).stop()
			if made := k.number(`SELECT count(*) FROM deliveries`); made != 0 {
				t.Fatalf("%d deliveries were committed without the checkpoint", made)
			}
			if at := k.number(`SELECT position FROM checkpoints`); at != 0 {
				t.Fatalf("the checkpoint moved to %d", at)
			}
			k.relay()
			k.drained(5)
			if got := r.got(); len(got) != 5 {
				t.Errorf("%d requests for 5 events", len(got))
			}
		})
	}
}

// A handler that fails must not spin in its broken transaction: the next look begins a new one.
func TestFailedFanOutBeginsAnew(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	_, err := k.db.Exec(`ALTER TABLE deliveries ADD CONSTRAINT broken CHECK (stream <> 'order/ord_1')`)
	check(t, err)
	k.append("ord_1", 2)
	k.relay()
	k.eventually("the fan-out fails repeatedly, each time in a new transaction", `
		SELECT xact_rollback > 3 FROM pg_stat_database WHERE datname = current_database()`)
	_, err = k.db.Exec(`ALTER TABLE deliveries DROP CONSTRAINT broken`)
	check(t, err)
	k.drained(2)
}

func TestWebhookIsToldOfWhatIsCommittedAfterIt(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.append("before", 2)
	under, err := k.db.Begin() // began before the webhook, commits after it
	check(t, err)
	defer under.Rollback()
	k.appendTx(under, "under", 1)
	k.webhook(r)
	check(t, under.Commit())
	k.append("after", 1)
	k.append("before", 1)
	k.relay()
	k.drained(3)
	got := map[string]int{}
	for _, q := range r.got() {
		got[q.Order] += q.Version
	}
	if len(got) != 3 || got["under"] != 1 || got["after"] != 1 || got["before"] != 3 {
		t.Errorf("got %v, want under and after at version 1 and before at version 3", got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	all, some, none, elsewhere := k.receiver(ok), k.receiver(ok), k.receiver(ok), k.receiver(ok)
	k.webhook(all)
	k.webhook(some, func(n *webhook.New) { n.Events = []string{"order.sung", "order.destroyed"} })
	k.webhook(none, func(n *webhook.New) { n.Inactive = true })
	_, _, err := k.store.Create(context.Background(), "other", webhook.New{Name: "elsewhere", URL: elsewhere.URL})
	check(t, err)
	k.append("ord_1", 3)
	k.relay()
	k.drained(3)
	if a, s, n, e := len(all.got()), len(some.got()), len(none.got()), len(elsewhere.got()); a != 3 || s != 0 || n != 0 || e != 0 {
		t.Errorf("requests: all %d, some %d, inactive %d, another workspace's %d; want 3 0 0 0", a, s, n, e)
	}
}

// Anybody can subscribe to the log with plain watermill-sql.
func TestPlainSubscriber(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	events := k.append("ord_1", 10)
	subscriber, err := watermillsql.NewSubscriber(watermillsql.BeginnerFromStdSQL(k.db.DB), watermillsql.SubscriberConfig{
		ConsumerGroup: "mine", SchemaAdapter: LogSchema{BatchSize: 4}, OffsetsAdapter: Checkpoints{}, PollInterval: time.Millisecond,
	}, nil)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	messages, err := subscriber.Subscribe(ctx, "events")
	check(t, err)
	var at Place
	refused := false
	for m := range messages {
		r, err := RangeOf(m)
		check(t, err)
		if r.After != at {
			t.Fatalf("a range begins behind %v, want %v", r.After, at)
		}
		if !refused { // a message that is refused comes again
			refused = true
			m.Nack()
			continue
		}
		at = r.UpTo
		m.Ack()
		if at.Position == events[9].Position {
			cancel()
		}
	}
	if at.Position != events[9].Position || at.TransactionID != events[9].TransactionID {
		t.Errorf("the last range ends at %v", at)
	}
}

// A fan-out that began before a webhook was deleted and purged must not leave deliveries behind for it.
func TestFanOutUnderWayDoesNotOutliveAPurge(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	w := k.webhook(r)
	k.append("ord_1", 5)
	k.crash(func(run *running) {
		check(t, k.store.Delete(context.Background(), "default", w.ID))
		run.Refresh()
		k.eventually("it is purged", `SELECT purged FROM webhooks`)
	})
	k.eventually("the fan-out goes on, fails, begins anew, and comes through", `SELECT position > 0 FROM checkpoints`)
	if n := k.number(`SELECT count(*) FROM deliveries`); n != 0 {
		t.Errorf("%d deliveries of a purged webhook are left", n)
	}
}
