package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// hasty has retries that come within milliseconds, n of them.
func hasty(n int) func(*Config) {
	return func(c *Config) {
		p := profile.Native(c.Aggregates)
		p.Schedule = profile.Schedule{Pauses: slices.Repeat([]time.Duration{time.Millisecond}, n)}
		c.Profiles = profile.NewSet(p)
	}
}

// Not parallel: it looks at all goroutines.
func TestStopLeavesNothingBehind(t *testing.T) {
	k := newKit(t)
	hangs := make(chan struct{})
	var once sync.Once
	letGo := func() { once.Do(func() { close(hangs) }) }
	r := k.receiver(func(n int, _ *request) int { <-hangs; return 200 })
	t.Cleanup(letGo) // before the receiver is closed, which waits
	k.webhook(r)
	k.appendMany(30, 2)
	run := k.relay(func(c *Config) {
		c.Limits.StopGrace, c.Limits.LeaseTTL, c.ListenDSN = time.Millisecond, time.Minute, k.db.DSN
	})
	r.awaitCount(t, 5)
	if err := run.Run(context.Background()); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Run returned %v", err)
	}
	run.stop()
	letGo()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "waybill/outbox/delivery.") || strings.Contains(stack, "outbox.(*fanOut)") || strings.Contains(stack, "watermill") || strings.Contains(stack, "lib/pq.(*Listener") {
			t.Errorf("still running:\n%s", stack)
		}
	}
	if left := k.number(`SELECT count(*) FROM leases WHERE expires_at > now()`) + k.number(`SELECT count(*) FROM relays`); left != 0 {
		t.Errorf("%d leases and relays are left", left)
	}
	again := k.start(run.Relay) // the same relay can run again
	k.drained(60)
	again.stop()
	sameBytes(t, r.got())
}

func TestEveryEventOnceToEachWebhookInOrder(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	one, two := k.receiver(ok), k.receiver(ok)
	k.webhook(one)
	k.webhook(two)
	total := k.appendMany(10, 5)
	run := k.relay(func(c *Config) { c.BatchSize = 11 })
	for range 5 {
		total += k.appendMany(10, 1)
		run.Wake()
	}
	k.drained(2 * total)
	for _, r := range []*receiver{one, two} {
		got := r.got()
		if len(got) != total {
			t.Errorf("%d requests for %d events", len(got), total)
		}
		inOrder(t, got, 10)
	}
	if logged := k.number(`SELECT count(*) FROM attempts`); logged != 2*total {
		t.Errorf("%d attempts were recorded for %d deliveries", logged, 2*total)
	}
}

// The signature is the one of the specification, and verifies with the secret that was shown once.
func TestSignedRequest(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r)
	events := k.append("ord_1", 2)
	k.relay()
	k.drained(2)
	for i, got := range r.got() {
		if got.ID != events[i].ID.String() {
			t.Errorf("webhook-id is %s, want the event's %s", got.ID, events[i].ID)
		}
		sign, err := profile.StandardSigner([]string{r.secret})
		check(t, err)
		var at int64
		fmt.Sscan(got.Timestamp, &at)
		want := http.Header{}
		sign(want, profile.Message{ID: got.ID, Body: []byte(got.Body)}, time.Unix(at, 0))
		if got.Signature != want.Get("webhook-signature") {
			t.Errorf("signature %s, want %s", got.Signature, want.Get("webhook-signature"))
		}
	}
}

// Many orders, many failures: what fails holds back its own order, and only that.
func TestOrderHoldsThroughFailures(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var mu sync.Mutex
	failures := map[string]int{} // by order and version: how often it has yet to fail
	var violation string
	next := map[string]int{}
	r := k.receiver(func(_ int, q *request) int {
		mu.Lock()
		defer mu.Unlock()
		if next[q.Order]+1 != q.Version {
			violation = fmt.Sprintf("order %s: version %d was sent when %d was next", q.Order, q.Version, next[q.Order]+1)
		}
		name := fmt.Sprint(q.Order, q.Version)
		if _, known := failures[name]; !known {
			failures[name] = rand.IntN(3)
		}
		if failures[name] > 0 {
			failures[name]--
			return []int{500, 400, 302, 429}[rand.IntN(4)]
		}
		next[q.Order]++
		return 200
	})
	k.webhook(r)
	total := k.appendMany(15, 6)
	relays := []*running{k.relay(hasty(10)), k.relay(hasty(10), func(c *Config) { c.DB = k.open() })}
	for range 6 {
		total += k.appendMany(15, 1)
		for _, run := range relays {
			run.Wake()
		}
	}
	k.drained(total)
	if violation != "" {
		t.Error(violation)
	}
	got := r.got()
	inOrder(t, got, 12)
	sameBytes(t, got)
	if n := k.number(`SELECT count(*) FROM attempts`); n != len(got) {
		t.Errorf("%d attempts were recorded, %d were made", n, len(got))
	}
	if n := k.number(`SELECT count(*) FROM (SELECT FROM attempts WHERE outcome = 'delivered' GROUP BY webhook, transaction_id, position HAVING count(*) > 1) x`); n != 0 {
		t.Errorf("%d deliveries have two recorded successes", n)
	}
}

// What comes after a failure waits until it is through: what is read later, too, and by another process.
func TestLaterEventsWaitBehindARetry(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var well atomic.Bool
	r := k.receiver(func(_ int, q *request) int {
		if well.Load() || q.Order == "other" {
			return 200
		}
		return 500
	})
	k.webhook(r)
	c := &clock{now: time.Now()}
	still := func(config *Config) { config.Clock = c.Now }
	k.append("ord_1", 1)
	run := k.relay(still)
	waiting := func(blocked int) {
		t.Helper()
		k.eventually("one is to be retried, and the others are blocked", `SELECT count(*) FILTER (WHERE state = 'retry') = 1
			AND count(*) FILTER (WHERE state = 'blocked') = $1 AND count(*) FILTER (WHERE state = 'ready') = 0 FROM deliveries`, blocked)
	}
	waiting(0)
	k.append("ord_1", 3) // read after the failure
	waiting(3)
	run.stop()
	k.append("ord_1", 2) // read by the next owner
	k.append("other", 1)
	k.relay(still)
	waiting(5)
	k.eventually("another order is delivered meanwhile", `SELECT count(*) = 1 FROM attempts WHERE outcome = 'delivered'`)
	well.Store(true)
	c.set(c.Now().Add(time.Hour))
	k.drained(7)
	got := r.got()
	if len(got) != 8 {
		t.Errorf("%d requests, want 7 and the one that failed", len(got))
	}
	for i, q := range got {
		if q.Order == "ord_1" && i >= 2 && q.Version != i-1 {
			t.Errorf("request %d is version %d", i, q.Version)
		}
	}
}

func TestUnorderedWebhookHoldsNothingBack(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	r.handle(func(w http.ResponseWriter, h *http.Request) {
		switch r.add(&request{}) {
		case 1:
			r.hang(h)
		case 2:
			w.WriteHeader(500)
		}
	})
	k.webhook(r, func(n *webhook.New) { n.Unordered = true })
	k.append("ord_1", 6)
	k.relay(func(c *Config) { c.Limits.StopGrace = time.Millisecond })
	k.eventually("four are delivered while one is under way and another waits for its retry", `
		SELECT (SELECT count(*) FROM attempts WHERE outcome = 'delivered') = 4
			AND (SELECT count(*) = 2 AND count(*) FILTER (WHERE state = 'retry') = 1 FROM deliveries)`)
}

// Each retry has its own time.
func TestOnlyWhatIsDueIsRetried(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	var mu sync.Mutex
	attempts := map[string]int{}
	r.handle(func(w http.ResponseWriter, h *http.Request) {
		id := h.Header.Get("webhook-id")
		mu.Lock()
		defer mu.Unlock()
		if attempts[id]++; attempts[id] > 1 {
			return
		}
		w.Header().Set("Retry-After", fmt.Sprint(3600*len(attempts)))
		w.WriteHeader(500) // which asks for this delivery only
	})
	k.webhook(r)
	c := &clock{now: time.Now()}
	k.relay(func(config *Config) { config.Clock = c.Now })
	k.appendMany(5, 1)
	k.eventually("all have failed once", `SELECT count(*) = 5 FROM deliveries WHERE state = 'retry'`)
	for n := 1; n <= 5; n++ {
		c.set(c.Now().Add(time.Hour + time.Minute))
		k.eventually("one more is delivered", `SELECT count(*) = $1 FROM attempts WHERE outcome = 'delivered'`, n)
	}
	if n := k.number(`SELECT count(*) FROM attempts`); n != 10 {
		t.Errorf("%d attempts for 5 deliveries that failed once", n)
	}
}

// clock is a clock that stands still until it is told the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func TestRetriesFollowTheScheduleAndEnd(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(_ int, q *request) int {
		if q.Version == 1 {
			return 503
		}
		return 200
	})
	w := k.webhook(r)
	c := &clock{now: time.Now()}
	k.relay(func(config *Config) { config.Clock = c.Now })
	events := k.append("ord_1", 3)
	ctx := context.Background()
	for i, longest := range profile.NativeRetries {
		k.eventually("an attempt has failed", `SELECT count(*) = $1 FROM attempts`, i+1)
		d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, events[0].ID)
		check(t, err)
		if d.Status != delivery.Retrying || d.AttemptsMade != i+1 || len(d.Attempts) != i+1 || d.NextAttemptAt == nil {
			t.Fatalf("after attempt %d: %+v", i+1, d)
		}
		if a := d.Attempts[i]; a.StatusCode != 503 || a.Outcome != "failed" || !strings.Contains(a.Error, "503") {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
		if pause := d.NextAttemptAt.Sub(d.Attempts[i].StartedAt); pause < 0 || pause > longest+time.Minute {
			t.Errorf("the pause after attempt %d is %s, want at most %s", i+1, pause, longest)
		}
		follower, err := delivery.Show(ctx, k.db.DB, "default", w.ID, events[1].ID)
		check(t, err)
		if follower.Status != delivery.Blocked && follower.Status != delivery.Pending {
			t.Errorf("the next event of the order is %s", follower.Status)
		}
		c.set(*d.NextAttemptAt)
	}
	k.drained(2) // the others go out once the first is given up
	d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, events[0].ID)
	check(t, err)
	if d.Status != delivery.GivenUp || d.AttemptsMade != 10 || d.NextAttemptAt != nil {
		t.Errorf("in the end: %+v", d)
	}
	list, next, err := delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{Limit: 2})
	check(t, err)
	if len(list) != 2 || list[0].Event.Version != 3 || list[0].Status != delivery.Delivered || next == "" {
		t.Errorf("first page: %+v, next %q", list, next)
	}
	list, next, err = delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{Limit: 2, Cursor: next})
	check(t, err)
	if len(list) != 1 || list[0].Status != delivery.GivenUp || next != "" {
		t.Errorf("second page: %+v, next %q", list, next)
	}
	list, _, err = delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{Status: delivery.Delivered})
	check(t, err)
	if len(list) != 2 {
		t.Errorf("%d delivered", len(list))
	}
}

func TestGoneEndsAtOnceAndRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	r.handle(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	k.webhook(r, func(n *webhook.New) { n.Name = "gone"; n.URL += "/gone" })
	k.webhook(r, func(n *webhook.New) { n.Name = "later" })
	k.append("ord_1", 1)
	k.relay()
	k.eventually("one is given up, and the other waits for an hour", `
		SELECT (SELECT count(*) FROM attempts WHERE outcome = 'given_up' AND status_code = 410 AND number = 1) = 1
			AND (SELECT count(*) FROM deliveries JOIN attempts USING (webhook, transaction_id, position)
				WHERE state = 'retry' AND due_at BETWEEN started_at + interval '3599 s' AND started_at + interval '3700 s') = 1`)
}

func TestDeadReceiverCostsOnlyItself(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hanging := k.receiver(nil)
	hanging.handle(func(_ http.ResponseWriter, h *http.Request) { hanging.hang(h) })
	refusing := k.receiver(ok)
	good := k.receiver(ok)
	for range 5 {
		k.webhook(hanging)
		k.webhook(refusing)
	}
	refusing.Close()
	w := k.webhook(good)
	total := k.appendMany(40, 2)
	// So few senders that the hanging ones could take them all.
	k.relay(func(c *Config) { c.Limits.Senders = 4; c.Limits.StopGrace = time.Millisecond })
	k.eventually("the good receiver has everything, while the others hang", `
		SELECT count(*) = $1 FROM attempts a JOIN webhooks w ON w.number = a.webhook WHERE w.id = $2 AND outcome = 'delivered'`, total, w.ID)
	inOrder(t, good.got(), 2)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	innocent := k.receiver(ok)
	r := k.receiver(ok)
	r.handle(http.RedirectHandler(innocent.URL, http.StatusTemporaryRedirect).ServeHTTP)
	k.webhook(r)
	k.append("ord_1", 1)
	k.relay(hasty(0))
	k.eventually("the redirect counts as a failure", `
		SELECT count(*) = 1 FROM attempts WHERE outcome = 'given_up' AND status_code = 307`)
	if n := len(innocent.got()); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	var huge atomic.Int64
	r.handle(func(w http.ResponseWriter, h *http.Request) {
		switch h.URL.Path {
		case "/huge": // endless, as fast as it goes
			for {
				n, err := w.Write(make([]byte, 64<<10))
				if huge.Add(int64(n)); err != nil {
					return
				}
			}
		case "/drip": // endless, as slow as it goes
			w.Write([]byte("once"))
			w.(http.Flusher).Flush()
			r.hang(h)
		case "/hang":
			r.hang(h)
		case "/binary":
			w.Write([]byte("a\x00b\xff\xfec"))
		case "/slam":
			panic(http.ErrAbortHandler)
		}
	})
	for _, path := range []string{"huge", "drip", "hang", "binary", "slam"} {
		k.webhook(r, func(n *webhook.New) { n.Name, n.URL = path, n.URL+"/"+path })
	}
	k.append("ord_1", 1)
	k.relay(func(c *Config) {
		p := profile.Native(c.Aggregates)
		p.Timeout, p.Schedule = 300*time.Millisecond, profile.Schedule{}
		c.Profiles = profile.NewSet(p)
	})
	k.eventually("everything is recorded", `SELECT count(*) = 5 FROM attempts`)
	if n := huge.Load(); n > 16<<20 { // what fits into the buffers on the way
		t.Errorf("%d bytes of an endless answer were taken", n)
	}
	for path, want := range map[string]string{
		"huge": `delivered 200 - 1023`, "drip": `delivered 200 - 4`, "hang": `given_up 0 timeout 0`,
		"binary": "delivered 200 - 12", "slam": `given_up 0 reset 0`,
	} {
		var got string
		check(t, k.db.QueryRow(`SELECT concat_ws(' ', outcome, coalesce(status_code, 0), coalesce(split_part(error, ':', 1), '-'),
			coalesce(octet_length(response_excerpt), 0)) FROM attempts a JOIN webhooks w ON w.number = a.webhook WHERE w.name = $1`, path).Scan(&got))
		if path == "binary" {
			got = got[:len("delivered 200 - ")] + "12" // how many bytes the replacements take is of no interest
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestDeletedWebhookStopsAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(nil)
	cutOff := make(chan struct{}, 1000)
	r.handle(func(w http.ResponseWriter, h *http.Request) {
		if r.add(&request{}) <= 3 {
			return // delivered
		}
		r.hang(h)
		cutOff <- struct{}{}
	})
	w := k.webhook(r)
	k.appendMany(200, 1)
	run := k.relay(func(c *Config) {
		c.PurgeInterval = time.Hour
		p := profile.Native(c.Aggregates)
		p.Timeout = time.Hour
		c.Profiles = profile.NewSet(p)
	})
	r.awaitCount(t, 6)
	k.eventually("three deliveries are recorded", `SELECT count(*) = 3 FROM attempts`)
	check(t, k.store.Delete(context.Background(), "default", w.ID))
	select {
	case <-cutOff:
	case <-time.After(patience):
		t.Fatal("an attempt under way was not cut off")
	}
	run.Refresh()
	k.relay() // which looks for what to remove all the time
	k.eventually("its deliveries are removed, and the webhook is marked", `
		SELECT NOT EXISTS (SELECT FROM deliveries) AND purged AND NOT EXISTS (SELECT FROM leases) FROM webhooks`)
	if n := k.number(`SELECT count(*) FROM attempts WHERE outcome = 'delivered'`); n != 3 {
		t.Errorf("%d successful attempts are kept, want 3", n)
	}
	sent := len(r.got())
	k.append("another", 1)
	k.eventually("the log is read on", `SELECT (SELECT position FROM checkpoints) = (SELECT max(position) FROM events)`)
	if n := len(r.got()); n != sent {
		t.Errorf("%d requests after the deletion", n-sent)
	}
}

// What cannot be rendered is a failed attempt of its own delivery, and nothing else.
func TestUnknownEventBlocksItsOrderOnly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	w := k.webhook(r)
	k.append("strange", 1)
	id := uuid.New()
	_, err := k.db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		VALUES (era_base() | pg_current_xact_id()::text::bigint, 'default', 'order/strange', 2, $1, 'order.teleported', 1, '{}', '{}', now(), sha256(''))`, id)
	check(t, err)
	k.append("plain", 2)
	k.relay()
	k.eventually("all others are delivered", `SELECT count(*) = 3 FROM attempts WHERE outcome = 'delivered'`)
	k.eventually("the strange one has failed", `SELECT count(*) = 1 FROM attempts WHERE outcome = 'failed'`)
	d, err := delivery.Show(context.Background(), k.db.DB, "default", w.ID, id)
	check(t, err)
	if d.Status != delivery.Retrying || !strings.Contains(d.Attempts[0].Error, `unknown event type "order.teleported"`) {
		t.Errorf("got %+v", d)
	}
}

// A change of a webhook is noticed by whoever owns it, and what cannot be used holds deliveries back without spending their attempts.
func TestChangesOfAWebhookAreNoticed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	before, after := k.receiver(ok), k.receiver(ok)
	k.webhook(before)
	k.relay()
	k.append("ord_1", 1)
	k.drained(1)
	change := func(what string, args ...any) {
		t.Helper()
		_, err := k.db.Exec(`UPDATE webhooks SET `+what+`, revision = revision + 1`, args...)
		check(t, err)
	}
	var sealed []byte
	check(t, k.db.QueryRow(`SELECT secret FROM webhooks`).Scan(&sealed))
	change(`secret = '\x00'`)
	var expiry time.Time
	for range 2 { // renewals, the first of which may have been under way
		check(t, k.db.QueryRow(`SELECT expires_at FROM leases`).Scan(&expiry))
		k.eventually("the lease is renewed", `SELECT expires_at > $1 FROM leases`, expiry)
	}
	k.append("ord_1", 2)
	k.eventually("the log is read", `SELECT count(*) = 2 FROM deliveries WHERE state = 'ready'`)
	change(`secret = $1, url = $2`, sealed, after.URL)
	k.drained(3)
	if b, a := len(before.got()), len(after.got()); b != 1 || a != 2 {
		t.Errorf("%d requests before the change and %d after, want 1 and 2", b, a)
	}
	if n := k.number(`SELECT count(*) FROM attempts`); n != 3 {
		t.Errorf("%d attempts", n)
	}
}
