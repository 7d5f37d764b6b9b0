package outbox

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

// A relay that would not look by itself for an hour hears from other processes, of events and of deliveries, also after its connection broke.
func TestOtherProcessesAreHeard(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	w := k.webhook(r)
	k.relay(func(c *Config) { c.Limits.PollInterval, c.ListenDSN = time.Hour, k.db.DSN })
	k.eventually("the webhook is taken", `SELECT count(*) = 1 FROM leases`)
	const listening = `SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "waybill"'`
	k.eventually("it listens", listening)

	// As another process fans out: the deliveries and the checkpoint at once.
	fanOutElsewhere := func(order string) (number int64) {
		t.Helper()
		tx, err := k.db.Begin()
		check(t, err)
		defer tx.Rollback()
		k.appendTx(tx, order, 1)
		check(t, tx.QueryRow(`INSERT INTO deliveries (webhook, transaction_id, position, stream)
			SELECT w.number, e.transaction_id, e.position, e.stream FROM webhooks w, events e WHERE w.id = $1 AND e.stream = $2
			RETURNING webhook`, w.ID, "order/"+order).Scan(&number))
		_, err = tx.Exec(`UPDATE checkpoints SET (transaction_id, position) =
			(SELECT transaction_id, position FROM events ORDER BY transaction_id DESC, position DESC LIMIT 1)`)
		check(t, err)
		check(t, tx.Commit())
		return number
	}
	tellOwners(context.Background(), k.db.DB, []int64{77, fanOutElsewhere("ord_1"), 78})
	r.awaitCount(t, 1)
	fanOutElsewhere("ord_2")
	many := make([]int64, 5000) // more than a message can name
	for i := range many {
		many[i] = int64(i) + 1000
	}
	tellOwners(context.Background(), k.db.DB, many)
	r.awaitCount(t, 2)

	// Of these nobody is told: the relay finds them because its connection was lost for a while and messages may have been missed.
	fanOutElsewhere("ord_3")
	_, err := k.db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "waybill"'`)
	check(t, err)
	r.awaitCount(t, 3)

	k.eventually("it listens again", listening)
}

func TestAnnouncementsAreHeard(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r, err := New(Config{DB: k.db.DB, ListenDSN: k.db.DSN, Aggregates: aggregates, History: k.events.StreamsAt, Sealer: k.sealer})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() { r.listen(ctx) })
	defer listening.Wait()
	defer cancel()
	k.eventually("it listens", `SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "waybill"'`)
	herald := &Herald{DB: k.db.DB}
	defer herald.Close()
	for range 3 {
		herald.Announce()
		select {
		case <-r.wake:
		case <-time.After(patience):
			t.Fatal("nothing was heard")
		}
	}
}

// However much is announced, there are few messages, and one after the last announcement.
func TestHeraldSaysLittle(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	listener := pq.NewListener(db.DSN, time.Second, time.Second, nil)
	check(t, listener.Listen(newsChannel))
	herald := &Herald{DB: db.DB}
	began := time.Now()
	for range 100_000 {
		herald.Announce()
	}
	took := time.Since(began)
	for deadline, idle := time.After(patience), false; !idle; {
		select {
		case <-deadline:
			t.Fatal("the herald does not come to rest")
		default:
			herald.mu.Lock()
			idle = !herald.busy
			herald.mu.Unlock()
		}
	}
	herald.Close()
	herald.Announce() // no more
	herald.Close()
	_, err := db.Exec(`SELECT pg_notify($1, 'end')`, newsChannel)
	check(t, err)
	heard := 0
	for news := <-listener.Notify; news.Extra != "end"; news = <-listener.Notify {
		heard++
	}
	check(t, listener.Close())
	if most := 2 + int(took/newsInterval); heard < 1 || heard > most {
		t.Errorf("%d messages, want 1 to %d", heard, most)
	}
}
