package outbox

import (
	"database/sql"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/outbox/delivery"
)

// dying is a transport whose process dies as soon as it has got an answer: from then on it reaches no database.
type dying struct {
	next http.RoundTripper
	db   *sql.DB
	at   int64 // which answer it dies of
	n    atomic.Int64
	dead chan struct{}
}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(r)
	if d.n.Add(1) == d.at {
		d.db.Close()
		close(d.dead)
	}
	return response, err
}

// doomed starts a relay that dies after so many answers.
func (k *kit) doomed(answers int64, change ...func(*Config)) (*running, *dying) {
	d := &dying{db: k.open(), at: answers, dead: make(chan struct{})}
	run := k.relay(append([]func(*Config){func(c *Config) {
		c.DB, c.Transport = d.db, d
		d.next = delivery.NewTransport(c.AllowTargets, c.Limits)
	}}, change...)...)
	return run, d
}

// A process dies after receivers have said 2xx and before that is recorded. This is the one window in which a receiver gets an event
// twice: with the same id and the same bytes.
func TestDeathBetweenAnswerAndRecord(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	total := k.appendMany(10, 4)
	run, d := k.doomed(25)
	<-d.dead
	k.relay() // takes over when the lease has expired
	k.drained(total)
	run.cancel()
	got := r.got()
	sameBytes(t, got)
	distinct := map[string]bool{}
	next := map[string]int{}
	for _, q := range got {
		if !distinct[q.ID] {
			distinct[q.ID] = true
			if next[q.Order]++; q.Version != next[q.Order] {
				t.Errorf("order %s: version %d came in place of %d", q.Order, q.Version, next[q.Order])
			}
		}
	}
	if len(distinct) != total {
		t.Errorf("%d of %d events arrived", len(distinct), total)
	}
	if len(got) == total {
		t.Errorf("nothing was sent twice: the test did not hit the window")
	}
	if n := k.number(`SELECT count(*) FROM attempts WHERE outcome = 'delivered'`); n != total {
		t.Errorf("%d successes are recorded for %d deliveries", n, total)
	}
}

// An attempt of a process that lost its database is cut off before another process can begin one.
func TestTakeoverNeverOverlaps(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var underWay, most atomic.Int64
	first := make(chan struct{})
	var once sync.Once
	r := k.receiver(ok)
	r.handle(func(_ http.ResponseWriter, h *http.Request) {
		defer underWay.Add(-1)
		if n := underWay.Add(1); n > most.Load() {
			most.Store(n)
		}
		hold := false
		once.Do(func() { hold = true })
		if hold {
			close(first)
			r.hang(h)
			return
		}
		r.add(&request{})
	})
	k.webhook(r)
	k.append("ord_1", 3) // one order, so one attempt at a time
	db := k.open()
	k.relay(func(c *Config) { c.DB = db })
	<-first
	var expiry time.Time
	check(t, k.db.QueryRow(`SELECT expires_at FROM leases`).Scan(&expiry))
	k.eventually("the lease was renewed", `SELECT expires_at > $1 FROM leases`, expiry)
	k.relay()
	db.Close()
	k.drained(3)
	if most.Load() != 1 {
		t.Errorf("%d attempts of one stream were under way at once", most.Load())
	}
	if n := len(r.got()); n != 3 {
		t.Errorf("%d answered requests for 3 events", n)
	}
	if n := k.number(`SELECT max(fence)::int FROM leases`); n < 2 {
		t.Errorf("the fence is %d after a takeover", n)
	}
}

// An owner that has been taken over without noticing gets its answer, and records nothing.
func TestStaleOwnerRecordsNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	r := k.receiver(func(n int, _ *request) int {
		if n == 1 {
			close(asked)
			<-answer
		}
		return 200
	})
	k.webhook(r)
	k.append("ord_1", 1)
	run := k.relay(func(c *Config) {
		c.Limits.LeaseTTL, c.Limits.RenewInterval = time.Hour, time.Hour // so it does not notice by itself
	})
	<-asked
	_, err := k.db.Exec(`UPDATE leases SET owner = gen_random_uuid(), fence = fence + 1, expires_at = now() + interval '1 hour'`)
	check(t, err)
	close(answer)
	// The stop waits until the outcome was refused.
	run.stop()
	if n := k.number(`SELECT count(*) FROM attempts`); n != 0 {
		t.Errorf("a stale owner recorded %d attempts", n)
	}
	if n := k.number(`SELECT count(*) FROM deliveries WHERE state = 'ready' AND attempts = 0`); n != 1 {
		t.Errorf("a stale owner changed the delivery")
	}
	if n := k.number(`SELECT count(*) FROM leases WHERE expires_at > now()`); n != 1 {
		t.Errorf("a stale owner released the lease of its successor")
	}
}

func TestStopWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	answer := make(chan struct{})
	r := k.receiver(func(int, *request) int { <-answer; return 200 })
	k.webhook(r)
	const total = 5000
	k.fill(total, 1)
	run := k.relay()
	r.awaitCount(t, 5)
	run.cancel()
	close(answer)
	run.stop()
	sent := len(r.got())
	if n := k.number(`SELECT count(*) FROM attempts WHERE outcome = 'delivered'`); n != sent {
		t.Errorf("%d attempts were answered, %d recorded", sent, n)
	}
	if sent == total {
		t.Errorf("everything was sent: the test did not stop in the middle")
	}
	k.relay()
	k.drained(total)
	if n := len(r.got()); n != total {
		t.Errorf("%d requests for %d events", n, total)
	}
}

func TestRelaysShareWebhooks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	for range 10 {
		k.webhook(r)
	}
	shares := func(what, want string) {
		t.Helper()
		k.eventually(what, `SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') = $1
			FROM (SELECT count(*) AS n FROM leases WHERE expires_at > now() GROUP BY owner) x`, want)
	}
	one := k.relay()
	shares("one relay has all", "10")
	two := k.relay()
	shares("two share them", "5 5")
	k.relay()
	shares("three share them", "2 4 4")
	one.stop()
	two.stop()
	shares("the last has all again", "10")
	k.append("ord_1", 2)
	k.drained(20)
	if n := len(r.got()); n != 20 {
		t.Errorf("%d requests for 20 deliveries", n)
	}
}

// A relay rides out a database that goes away while it records, and comes back: what was answered is recorded at last.
func TestDatabaseGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	k.relay(func(c *Config) {
		c.DB = k.open()
		c.Limits.LeaseTTL = time.Minute
		c.Limits.RenewInterval = 50 * time.Millisecond
	})
	total := k.appendMany(5, 1)
	k.drained(total)
	for range 3 {
		lock, err := k.db.Begin()
		check(t, err)
		defer lock.Rollback()
		_, err = lock.Exec(`LOCK TABLE attempts IN EXCLUSIVE MODE`)
		check(t, err)
		total += k.appendMany(20, 2)
		k.eventually("outcomes are being recorded, and that fails", `
			SELECT count(pg_cancel_backend(pid)) > 0 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%tried AS%'`)
		k.eventually("every other session ends", `
			SELECT count(pg_terminate_backend(pid)) >= 0 FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'`)
		check(t, lock.Rollback())
		k.drained(total)
	}
	if got := r.got(); len(got) != total { // nobody died, so nothing had to be sent again
		t.Errorf("%d requests for %d events", len(got), total)
	}
	if n := k.number(`SELECT count(*) FROM attempts`); n != total {
		t.Errorf("%d attempts are recorded for %d deliveries", n, total)
	}
}
