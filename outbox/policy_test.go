package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

var ctx = context.Background()

// native gives relays the native profile with another policy.
func native(change func(*profile.Profile)) func(*Config) {
	return func(c *Config) {
		p := profile.Native(c.Aggregates)
		change(p)
		c.Profiles = profile.NewSet(p)
	}
}

func quickly(n int) profile.Schedule {
	return profile.Schedule{Pauses: slices.Repeat([]time.Duration{time.Millisecond}, n)}
}

func (k *kit) health(id string) webhook.Health {
	k.t.Helper()
	w, err := k.store.Get(ctx, "default", id)
	check(k.t, err)
	return w.Health
}

func (k *kit) notices() (list []string) {
	k.t.Helper()
	rows, err := k.db.Query(`SELECT kind FROM notices ORDER BY number`)
	check(k.t, err)
	defer rows.Close()
	for rows.Next() {
		var kind string
		check(k.t, rows.Scan(&kind))
		list = append(list, kind)
	}
	return list
}

// The circuit opens at 30 failures in a row, over all events, and no 31st attempt is made, however many could be under way at once.
// What waits goes out after a reset, in order.
func TestCircuitOpensAtThirtyAndResumesAfterAReset(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var well atomic.Bool
	r := k.receiver(func(int, *request) int {
		if well.Load() {
			return 200
		}
		return 400 // which leaves the number of senders as it is
	})
	w := k.webhook(r)
	policy := native(func(p *profile.Profile) {
		p.Circuit, p.Schedule = profile.Circuit{NoticeAt: 5, OpenAt: 30}, quickly(1000)
	})
	total := k.appendMany(50, 3)
	run := k.relay(policy)
	k.eventually("the circuit is open", `SELECT count(*) = 1 FROM circuits WHERE state = 'open'`)
	k.eventually("the webhook is given back", `SELECT count(*) = 0 FROM leases WHERE expires_at > now()`)
	if h := k.health(w.ID); h.State != webhook.CircuitOpen || h.ConsecutiveFailures != 30 || h.CircuitOpenedAt == nil || h.FailingSince == nil {
		t.Errorf("health %+v", h)
	}
	if got := k.notices(); !slices.Equal(got, []string{"failing", "circuit_opened"}) {
		t.Errorf("notices %v", got)
	}
	total += k.appendMany(50, 1)
	run.Wake()
	k.eventually("what comes later waits, too", `SELECT count(*) = $1 FROM deliveries`, total)
	if n, logged := len(r.got()), k.number(`SELECT count(*) FROM attempts`); n != 30 || logged != 30 {
		t.Errorf("%d requests, %d attempts, want 30", n, logged)
	}
	well.Store(true)
	reset, err := k.store.Reset(ctx, "default", w.ID)
	check(t, err)
	if reset.Health.State != webhook.Healthy || reset.Health.ConsecutiveFailures != 0 {
		t.Errorf("after the reset: %+v", reset.Health)
	}
	run.Refresh()
	k.drained(total)
	inOrder(t, r.got(), 4)
	if n := len(r.got()); n != total+30 {
		t.Errorf("%d requests for %d events and 30 failures", n, total)
	}
	if got := k.notices(); !slices.Equal(got, []string{"failing", "circuit_opened", "reset"}) {
		t.Errorf("notices %v", got)
	}
}

// Processes that die between answers and their record do not make the circuit count wrong: it opens when 30 failures in a row are on record.
func TestCircuitCountSurvivesDeath(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(int, *request) int { return 400 })
	k.webhook(r)
	k.appendMany(20, 1)
	policy := native(func(p *profile.Profile) { p.Circuit, p.Schedule = profile.Circuit{OpenAt: 30}, quickly(1000) })
	for _, answers := range []int64{7, 9} {
		run, d := k.doomed(answers, policy)
		<-d.dead
		run.cancel()
	}
	k.relay(policy)
	k.eventually("the circuit is open", `SELECT count(*) = 1 FROM circuits WHERE state = 'open' AND failures = 30`)
	k.eventually("the webhook is given back", `SELECT count(*) = 0 FROM leases WHERE expires_at > now()`)
	if n := k.number(`SELECT count(*) FROM attempts`); n != 30 {
		t.Errorf("%d attempts are recorded", n)
	}
	if n := k.number(`SELECT count(*) FROM notices WHERE kind = 'circuit_opened'`); n != 1 {
		t.Errorf("%d notices that the circuit opened", n)
	}
}

// The owner is told once for each row of failures, and once that it is over.
func TestNoticeOncePerStreak(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(n int, _ *request) int { // seven failures, a success, four failures, a success, five failures, a success
		if slices.Contains([]int{8, 13, 19}, n) {
			return 200
		}
		return 500
	})
	w := k.webhook(r)
	k.append("ord_1", 3)
	k.relay(native(func(p *profile.Profile) { p.Circuit, p.Schedule = profile.Circuit{NoticeAt: 5}, quickly(1000) }))
	k.drained(3)
	if got, want := k.notices(), []string{"failing", "recovered", "failing", "recovered"}; !slices.Equal(got, want) {
		t.Errorf("notices %v, want %v", got, want)
	}
	if h := k.health(w.ID); h.State != webhook.Healthy || h.FailingSince != nil {
		t.Errorf("health %+v", h)
	}
}

// 410 disables the webhook: it is told of nothing any more, until somebody enables it.
func TestGoneDisables(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var back atomic.Bool
	r := k.receiver(func(int, *request) int {
		if back.Load() {
			return 200
		}
		return 410
	})
	w := k.webhook(r)
	run := k.relay()
	k.append("ord_1", 2)
	k.eventually("it is disabled", `SELECT count(*) = 1 FROM circuits WHERE state = 'disabled'`)
	got, err := k.store.Get(ctx, "default", w.ID)
	check(t, err)
	if got.Active || got.Health.State != webhook.Disabled || got.Health.DisabledReason != "the receiver answered 410 Gone" {
		t.Errorf("%+v", got)
	}
	k.append("ord_2", 1)
	run.Wake()
	k.eventually("the log is read on", `SELECT coalesce((SELECT position FROM checkpoints) = (SELECT max(position) FROM events), false)`)
	if n := k.number(`SELECT count(*) FROM deliveries WHERE stream = 'order/ord_2'`); n != 0 {
		t.Error("a disabled webhook is still told of events")
	}
	back.Store(true)
	active := true
	got, err = k.store.Update(ctx, "default", w.ID, webhook.Update{Active: &active})
	check(t, err)
	if !got.Active || got.Health.State != webhook.Healthy {
		t.Errorf("enabled again: %+v", got)
	}
	run.Refresh()
	k.drained(1) // the second event of ord_1, which waited
	if got := k.notices(); !slices.Equal(got, []string{"disabled", "reset"}) {
		t.Errorf("notices %v", got)
	}
}

// Goody's endpoints are disabled after five days of failures.
func TestDisabledAfterFiveDays(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(int, *request) int { return 500 })
	w := k.webhook(r)
	c := &clock{now: time.Now()}
	began := c.Now()
	k.relay(func(config *Config) { config.Clock = c.Now }, native(func(p *profile.Profile) {
		p.Circuit = profile.Circuit{DisableAfter: 5 * 24 * time.Hour}
		p.Schedule = profile.Schedule{Pauses: slices.Repeat([]time.Duration{10 * time.Hour}, 100)}
	}))
	k.append("ord_1", 1)
	for n := 1; ; n++ {
		k.eventually("one more attempt is recorded", `SELECT count(*) = $1 FROM attempts`, n)
		h := k.health(w.ID)
		elapsed := c.Now().Sub(began)
		if h.State == webhook.Disabled {
			if elapsed < 5*24*time.Hour || !strings.Contains(h.DisabledReason, "every attempt has failed since 20") {
				t.Errorf("disabled after %s: %s", elapsed, h.DisabledReason)
			}
			break
		}
		if elapsed >= 5*24*time.Hour+10*time.Hour {
			t.Fatalf("still %s after %s", h.State, elapsed)
		}
		c.set(c.Now().Add(11 * time.Hour))
	}
}

// A webhook's own schedule takes the place of the profile's; an empty one is no retry at all.
func TestOwnSchedule(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(int, *request) int { return 500 })
	k.webhook(r, func(n *webhook.New) {
		n.Name, n.Retries = "two", []webhook.Duration{webhook.Duration(time.Millisecond), webhook.Duration(time.Millisecond)}
	})
	k.webhook(r, func(n *webhook.New) { n.Name, n.Retries = "none", []webhook.Duration{} })
	k.append("ord_1", 1)
	k.relay()
	k.eventually("both are given up, after three attempts and one", `
		SELECT count(*) FILTER (WHERE w.name = 'two' AND a.number = 3) = 1 AND count(*) FILTER (WHERE w.name = 'none' AND a.number = 1) = 1
		FROM attempts a JOIN webhooks w ON w.number = a.webhook WHERE a.outcome = 'given_up'`)
}

// With a rate of 10 a second, a standing clock allows one attempt, and each tenth of a second one more.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	w := k.webhook(r, func(n *webhook.New) { n.RateLimit = 10 })
	c := &clock{now: time.Now()}
	k.appendMany(30, 1)
	run := k.relay(func(config *Config) { config.Clock = c.Now })
	other := k.webhook(k.receiver(ok)) // whose deliveries show that the relay is at work
	for n := 1; n <= 10; n++ {
		r.awaitCount(t, n)
		k.append(fmt.Sprintf("more_%d", n), 1)
		run.Wake()
		k.eventually("another webhook goes on", `SELECT count(*) = $1 FROM attempts a JOIN webhooks w ON w.number = a.webhook WHERE w.id = $2`, n, other.ID)
		if got := len(r.got()); got != n {
			t.Fatalf("%d attempts in %d tenths of a second", got, n)
		}
		c.set(c.Now().Add(100 * time.Millisecond))
	}
	none := 0
	_, err := k.store.Update(ctx, "default", w.ID, webhook.Update{RateLimit: &none})
	check(t, err)
	run.Refresh()
	k.eventually("without a limit the rest goes out", `SELECT count(*) = 50 FROM attempts`)
}

// A receiver that gets too much, and says until when, is left in peace until then by all deliveries of its webhook, for five minutes at
// most; a reset ends that. Nothing is lost, and orders stay in order.
func TestRetryAfterHoldsForTheWholeWebhook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, seconds int
		quiet           time.Duration
		reset           bool
	}{
		"two minutes":     {503, 120, 2 * time.Minute, false},
		"a day":           {429, 86400, 5 * time.Minute, false},
		"until it is set": {429, 86400, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			r := k.receiver(ok)
			r.handle(func(w http.ResponseWriter, h *http.Request) {
				if r.add(&request{ID: h.Header.Get("webhook-id")}) == 1 {
					w.Header().Set("Retry-After", fmt.Sprint(c.seconds))
					w.WriteHeader(c.status)
				}
			})
			w, other := k.webhook(r), k.webhook(k.receiver(ok))
			at := &clock{now: time.Now()}
			total := k.appendMany(20, 2)
			run := k.relay(func(config *Config) { config.Clock = at.Now; config.Limits.SendersPerWebhook = 1 })
			r.awaitCount(t, 1)
			began := at.Now()
			for n, elapsed := range []time.Duration{0, c.quiet - time.Second} {
				at.set(began.Add(max(0, elapsed)))
				k.append(fmt.Sprintf("more_%d", n), 1)
				total++
				run.Wake()
				k.eventually("another webhook goes on", `SELECT count(*) = $1 FROM attempts a JOIN webhooks w ON w.number = a.webhook WHERE w.id = $2`, total, other.ID)
				if got := len(r.got()); got != 1 {
					t.Fatalf("%d attempts within %s", got, elapsed)
				}
			}
			if c.reset {
				_, err := k.store.Reset(ctx, "default", w.ID)
				check(t, err)
				run.Refresh()
			} else {
				at.set(began.Add(c.quiet))
			}
			r.awaitCount(t, total-1) // all but what waits behind the one that failed
			at.set(began.Add(25 * time.Hour))
			k.drained(2 * total)
			if got := len(r.got()); got != total+1 {
				t.Errorf("%d attempts for %d deliveries", got, total)
			}
		})
	}
}

// After a rotation both secrets sign, the new one first, and at exactly 24 hours the new one alone; the time is that of the attempt.
func TestRotation(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	store, err := webhook.NewStore(webhook.Config{DB: k.db.DB, Sealer: k.sealer, Profiles: profile.NewSet(profile.Native(aggregates)), AllowHTTP: true, Clock: c.Now})
	check(t, err)
	k.store = store
	r := k.receiver(ok)
	w := k.webhook(r)
	secrets := []string{r.secret} // oldest first
	run := k.relay(func(config *Config) { config.Clock = c.Now })
	rotate := func() {
		t.Helper()
		run.stop() // rather than waiting until it notices
		secret, until, err := store.RotateSecret(ctx, "default", w.ID, "")
		check(t, err)
		if !until.Equal(c.Now().Add(24 * time.Hour)) {
			t.Errorf("the old one signs until %s", until)
		}
		secrets = append(secrets, secret.Reveal())
		run = k.relay(func(config *Config) { config.Clock = c.Now })
	}
	sent := 0
	expect := func(what string, signers ...int) {
		t.Helper()
		k.append("ord_1", 1)
		run.Wake()
		sent++
		got := r.awaitCount(t, sent)[sent-1]
		var want []string
		for _, i := range signers {
			want = append(want, secrets[i])
		}
		sign, err := profile.StandardSigner(want)
		check(t, err)
		header := http.Header{}
		sign(header, profile.Message{ID: got.ID, Body: []byte(got.Body)}, c.Now())
		if got.Signature != header.Get("webhook-signature") {
			t.Errorf("%s: signed %s, want %s", what, got.Signature, header.Get("webhook-signature"))
		}
		k.drained(sent)
	}
	expect("at first", 0)
	rotate()
	expect("after a rotation", 1, 0)
	c.set(c.Now().Add(24*time.Hour - time.Microsecond))
	expect("just before 24 hours", 1, 0)
	c.set(c.Now().Add(time.Microsecond))
	expect("at exactly 24 hours", 1)
	rotate()
	rotate()
	expect("after two rotations", 3, 2)
}

// A body that the filter refuses ends its delivery without an attempt, and holds nothing up; one that it cannot judge counts as refused.
func TestFilter(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	k.webhook(r, func(n *webhook.New) { n.Filter = `body.data.version % 2 == 0 && event == "order.noted"` })
	k.webhook(k.receiver(ok), func(n *webhook.New) { n.Name, n.Filter = "puzzled", `body.data.nothing.here == 1` })
	k.append("ord_1", 6)
	metrics := delivery.NewMetrics()
	k.relay(func(c *Config) { c.Metrics = metrics })
	k.eventually("nothing is left to deliver", `SELECT coalesce((SELECT position FROM checkpoints) = (SELECT max(position) FROM events), false) AND NOT EXISTS (SELECT FROM deliveries)`)
	var versions []int
	for _, q := range r.got() {
		versions = append(versions, q.Version)
	}
	if !slices.Equal(versions, []int{2, 4, 6}) {
		t.Errorf("versions %v were sent", versions)
	}
	if n := k.number(`SELECT count(*) FROM attempts`); n != 3 {
		t.Errorf("%d attempts", n)
	}
	if n := value(t, metrics.Filters); n != 6 {
		t.Errorf("%v errors of filters were counted", n)
	}
}

// Tests reach inactive webhooks, count for nothing, and show in the log as what they are.
func TestTestSends(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(func(_ int, q *request) int {
		if strings.Contains(q.Body, `"order.sung"`) {
			return 503
		}
		return 200
	})
	w := k.webhook(r, func(n *webhook.New) { n.Inactive, n.Filter = true, "false" })
	tester := delivery.Tester{DB: k.db.DB, Sealer: k.sealer, Profiles: profile.NewSet(profile.Native(aggregates)), AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	run, err := tester.Test(ctx, "default", w.ID, "")
	check(t, err)
	if run.TestsRun != 3 || run.TestsSucceeded != 2 || run.TestsFailed != 1 || len(run.Tests) != 3 || run.StartedAt.IsZero() {
		t.Fatalf("%+v", run)
	}
	for i, name := range []string{"order.destroyed", "order.noted", "order.sung"} {
		x := run.Tests[i]
		if x.Name != name || x.Success != (name != "order.sung") || name == "order.sung" && (x.Status != 503 || !strings.HasPrefix(x.Error, "status: ")) {
			t.Errorf("%+v", x)
		}
		_, id, err := delivery.ParseID(x.ID)
		check(t, err)
		d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, id)
		check(t, err)
		if !d.Test || d.Event.Type != name || len(d.Attempts) != 1 || d.Attempts[0].StatusCode != x.Status {
			t.Errorf("%+v", d)
		}
	}
	list, _, err := delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{})
	check(t, err)
	if len(list) != 3 || !list[0].Test {
		t.Errorf("listed %+v", list)
	}
	if h := k.health(w.ID); h.State != webhook.Healthy {
		t.Errorf("a test that failed counts: %+v", h)
	}
	if run, err = tester.Test(ctx, "default", w.ID, "order.noted"); err != nil || run.TestsRun != 1 {
		t.Errorf("one event: %+v, %v", run, err)
	}
	if _, err = tester.Test(ctx, "default", w.ID, "order.eaten"); !errors.As(err, new(*webhook.InvalidError)) {
		t.Errorf("an unknown event: %v", err)
	}
	if _, err = tester.Test(ctx, "other", w.ID, ""); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("another workspace: %v", err)
	}
	for _, q := range r.got() {
		sign, err := profile.StandardSigner([]string{r.secret})
		check(t, err)
		header := http.Header{}
		var at int64
		fmt.Sscan(q.Timestamp, &at)
		sign(header, profile.Message{ID: q.ID, Body: []byte(q.Body)}, time.Unix(at, 0))
		if header.Get("webhook-signature") != q.Signature {
			t.Error("a test is not signed")
		}
	}
}

// A test says nothing about a webhook's health: it goes out while the circuit is open or the webhook disabled, and leaves that as it is,
// whatever comes of it.
func TestTestsLeaveTheCircuitAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var status atomic.Int64
	r := k.receiver(func(int, *request) int { return int(status.Load()) })
	w := k.webhook(r)
	tester := delivery.Tester{DB: k.db.DB, Sealer: k.sealer, Profiles: profile.NewSet(profile.Native(aggregates)), AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	sent := 0
	for _, state := range []string{"failing", "open", "disabled"} {
		_, err := k.db.Exec(`INSERT INTO circuits (webhook, state, failures, failing_since, stopped_at, reason)
			VALUES (1, $1, 29, now(), CASE WHEN $1 <> 'failing' THEN now() END, CASE WHEN $1 = 'disabled' THEN 'x' ELSE '' END)
			ON CONFLICT (webhook) DO UPDATE SET state = excluded.state, stopped_at = excluded.stopped_at, reason = excluded.reason`, state)
		check(t, err)
		before := k.health(w.ID)
		for _, answer := range []int64{200, 500, 410} {
			status.Store(answer)
			run, err := tester.Test(ctx, "default", w.ID, "order.noted")
			check(t, err)
			if sent++; run.TestsRun != 1 || (run.TestsSucceeded == 1) != (answer == 200) || run.TestsRun != run.TestsSucceeded+run.TestsFailed || len(r.got()) != sent {
				t.Errorf("%s, answered %d: %+v", state, answer, run)
			}
			if h := k.health(w.ID); h.State != before.State || h.ConsecutiveFailures != 29 || len(k.notices()) != 0 {
				t.Errorf("%s, answered %d: %+v", state, answer, h)
			}
		}
	}
}

// What was sent is sent again with the same bytes, its attempts go on counting, and a new schedule begins.
func TestResend(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var down atomic.Bool
	r := k.receiver(func(int, *request) int {
		if down.Load() {
			return 500
		}
		return 200
	})
	w := k.webhook(r)
	events := k.append("ord_1", 3)
	run := k.relay(native(func(p *profile.Profile) { p.Schedule = quickly(2) }))
	k.drained(3)
	resend := func(i int) {
		t.Helper()
		check(t, delivery.Resend(ctx, k.db.DB, "default", w.ID, events[i].ID))
		run.Refresh()
	}
	resend(1)
	k.drained(4)
	down.Store(true)
	resend(1)
	k.eventually("it fails three times more", `SELECT count(*) = 5 AND count(*) FILTER (WHERE outcome = 'given_up' AND number = 5) = 1 FROM attempts
		WHERE position = $1`, k.position(events[1].ID))
	down.Store(false)
	resend(1)
	resend(0)
	k.eventually("both are delivered", `SELECT count(*) = 6 AND NOT EXISTS (SELECT FROM deliveries) FROM attempts WHERE outcome = 'delivered'`)
	sameBytes(t, r.got())
	d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, events[1].ID)
	check(t, err)
	if d.Status != delivery.Delivered || len(d.Attempts) != 6 || d.Attempts[5].Number != 6 {
		t.Errorf("%+v", d)
	}
	list, _, err := delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{})
	check(t, err)
	if len(list) != 3 || list[1].Event.ID != events[1].ID || list[1].Status != delivery.Delivered {
		t.Errorf("listed %+v", list)
	}
	if list, _, err = delivery.List(ctx, k.db.DB, "default", w.ID, delivery.ListOptions{Status: delivery.GivenUp}); err != nil || len(list) != 0 {
		t.Errorf("given up are %+v, %v", list, err)
	}
	for what, err := range map[string]error{
		"an unknown event":  delivery.Resend(ctx, k.db.DB, "default", w.ID, uuid.New()),
		"another workspace": delivery.Resend(ctx, k.db.DB, "other", w.ID, events[0].ID),
	} {
		if !errors.As(err, new(*domain.NotFoundError)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func (k *kit) position(event uuid.UUID) int {
	return k.number(`SELECT position FROM events WHERE id = $1`, event)
}

// A replay sends a range again, each stream in order, also where a failure comes in between; and it holds nothing up that is new.
func TestReplay(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var failed atomic.Int64
	var again atomic.Bool
	r := k.receiver(func(_ int, q *request) int {
		if again.Load() && q.Order == "ord_1" && q.Version == 2 && failed.Add(1) <= 3 {
			return 500
		}
		return 200
	})
	w := k.webhook(r)
	total := k.appendMany(3, 4)
	run := k.relay(hasty(10))
	k.drained(total)
	for what, c := range map[string]struct {
		replay delivery.Replay
		want   int
	}{
		"all":           {delivery.Replay{}, total},
		"a type":        {delivery.Replay{Types: []string{"order.noted"}}, total},
		"another type":  {delivery.Replay{Types: []string{"order.sung"}}, 0},
		"what failed":   {delivery.Replay{FailedOnly: true}, 0},
		"later":         {delivery.Replay{Since: time.Now().Add(time.Hour)}, 0},
		"an hour":       {delivery.Replay{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, total},
		"before it all": {delivery.Replay{Until: time.Now().Add(-time.Hour)}, 0},
	} {
		if n, err := delivery.CountReplay(ctx, k.db.DB, "default", w.ID, c.replay); err != nil || n != c.want {
			t.Errorf("%s: %d, %v, want %d", what, n, err, c.want)
		}
	}
	again.Store(true)
	n, err := delivery.StartReplay(ctx, k.db.DB, "default", w.ID, delivery.Replay{})
	check(t, err)
	run.Refresh()
	k.drained(2 * total)
	k.eventually("the replay is done", `SELECT count(*) = 1 FROM replays WHERE finished_at IS NOT NULL AND sent = $1`, n)
	got := r.got()
	sameBytes(t, got)
	inOrder(t, got[:total], 4)
	inOrder(t, got[total:], 4)
	if len(got) != 2*total+3 || n != total {
		t.Errorf("%d requests for %d events twice", len(got), total)
	}
	if n := k.number(`SELECT count(*) FROM (SELECT FROM attempts WHERE outcome = 'delivered' GROUP BY webhook, transaction_id, position HAVING count(*) = 2) x`); n != total {
		t.Errorf("%d of %d were delivered twice", n, total)
	}
}

// What was given up can be sent again as a whole, once.
func TestReplayOfWhatFailed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var well atomic.Bool
	r := k.receiver(func(_ int, q *request) int {
		if well.Load() || q.Order == "ord_0" {
			return 200
		}
		return 500
	})
	w := k.webhook(r)
	total := k.appendMany(3, 2)
	run := k.relay(hasty(0))
	k.eventually("four are given up", `SELECT count(*) = 4 AND NOT EXISTS (SELECT FROM deliveries) FROM attempts WHERE outcome = 'given_up'`)
	well.Store(true)
	for _, want := range []int{4, 0} {
		n, err := delivery.StartReplay(ctx, k.db.DB, "default", w.ID, delivery.Replay{FailedOnly: true})
		check(t, err)
		if n != want {
			t.Errorf("%d are to be sent again, want %d", n, want)
		}
		run.Refresh()
		k.drained(total)
	}
	if n := len(r.got()); n != total+4 {
		t.Errorf("%d requests", n)
	}
}

// Two processes lay a replay out, and are interrupted in between; nothing is lost or doubled.
func TestReplayIsResumed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	w := k.webhook(r)
	total := k.appendMany(10, 5)
	run := k.relay()
	k.drained(total)
	run.stop()
	_, err := delivery.StartReplay(ctx, k.db.DB, "default", w.ID, delivery.Replay{})
	check(t, err)
	for i := range 3 {
		canceled, cancel := context.WithCancel(ctx)
		if i > 0 {
			cancel() // before it is committed
		}
		_, err := delivery.ReplayStep(canceled, k.db.DB, 7)
		cancel()
		if (err == nil) != (i == 0) {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if n := k.number(`SELECT count(*) FROM deliveries`); n != 7 {
		t.Errorf("%d are laid out", n)
	}
	// Another process takes the lock and dies with it.
	db := k.open()
	tx, err := db.Begin()
	check(t, err)
	_, err = tx.Exec(`SELECT FROM replays FOR UPDATE`)
	check(t, err)
	if more, err := delivery.ReplayStep(ctx, k.db.DB, 7); more || err != nil {
		t.Errorf("while another works on it: %v, %v", more, err)
	}
	db.Close()
	tx.Rollback()
	for more := true; more; {
		more, err = delivery.ReplayStep(ctx, k.db.DB, 7)
		check(t, err)
	}
	if n := k.number(`SELECT count(*) FROM deliveries`); n != total {
		t.Errorf("%d are laid out, want %d", n, total)
	}
	k.relay()
	k.drained(2 * total)
	inOrder(t, r.got()[total:], 5)
}

// Notices become history once each, in order, whoever moves them and whatever fails in between.
func TestNoticesAreAnnouncedOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	w := k.webhook(k.receiver(ok))
	_, err := k.db.Exec(`INSERT INTO notices (webhook, kind, failures, reason, at) SELECT 1, 'failing', i, '', now() FROM generate_series(1, 25) i;
		CREATE TABLE told (n integer PRIMARY KEY, place integer GENERATED ALWAYS AS IDENTITY)`)
	check(t, err)
	fails := errors.New("not now")
	calls := 0
	announce := func(ctx context.Context, tx *sql.Tx, workspace string, n webhook.Notice) error {
		if calls++; calls%7 == 0 {
			return fails
		}
		if workspace != "default" || n.Webhook != w.ID {
			t.Errorf("%s, %+v", workspace, n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO told VALUES ($1)`, n.ConsecutiveFailures)
		return err
	}
	for tries := 0; k.number(`SELECT count(*) FROM notices`) > 0; tries++ {
		if _, err := webhook.Announce(ctx, k.db.DB, 4, announce); err != nil && !errors.Is(err, fails) || tries > 100 {
			t.Fatal(tries, err)
		}
	}
	if n := k.number(`SELECT count(*) FROM told a JOIN told b ON b.place > a.place AND b.n < a.n`) + 25 - k.number(`SELECT count(*) FROM told`); n != 0 {
		t.Error("notices were lost, or came out of order")
	}
}

// A webhook hears of other webhooks' trouble only where it asks for that by name, and never of its own.
func TestOperationalEventsHaveToBeNamed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	all := k.webhook(k.receiver(ok), func(n *webhook.New) { n.Name = "all" })
	named := k.webhook(k.receiver(ok), func(n *webhook.New) { n.Name = "named" })
	_, err := k.db.Exec(`UPDATE webhooks SET types = '{webhook.failing}' WHERE id = $1`, named.ID)
	check(t, err)
	for i, id := range []string{all.ID, named.ID} {
		_, err := k.db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
			VALUES (era_base() | pg_current_xact_id()::text::bigint, 'default', 'webhook/' || $1, $2, gen_random_uuid(), 'webhook.failing', 1, '{}', '{}', now(), sha256(''))`, id, i+1)
		check(t, err)
	}
	k.append("ord_1", 1)
	// Somebody else delivers, so that the rows stay.
	_, err = k.db.Exec(`INSERT INTO leases SELECT number, gen_random_uuid(), 1, 'infinity' FROM webhooks`)
	check(t, err)
	k.relay()
	k.eventually("the log is read", `SELECT coalesce((SELECT position FROM checkpoints) = (SELECT max(position) FROM events), false)`)
	var got string
	check(t, k.db.QueryRow(`SELECT string_agg(w.name || ' of ' || coalesce(o.name, d.stream), ', ' ORDER BY w.name) FROM deliveries d
		JOIN webhooks w ON w.number = d.webhook LEFT JOIN webhooks o ON d.stream = 'webhook/' || o.id`).Scan(&got))
	if got != "all of order/ord_1, named of all" {
		t.Errorf("deliveries: %s", got)
	}
}

// What tells of trouble makes none: its failures are on record, and counted for nobody.
func TestOperationalEventsDoNotCount(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	troubled := map[string]*domain.Aggregate{"order": aggregates["order"], "webhook": domain.Define("webhook", nil,
		domain.NewCodec(domain.EventOf[told]("Trouble.")), func(noteOrder, domain.Command) ([]domain.Event, error) { return nil, nil },
		func(o noteOrder, _ domain.Event, _ time.Time) noteOrder { return o })}
	r := k.receiver(func(int, *request) int { return 500 })
	w := k.webhook(r)
	_, err := k.db.Exec(`UPDATE webhooks SET types = '{webhook.failing}';
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		VALUES (era_base() | pg_current_xact_id()::text::bigint, 'default', 'webhook/wh_other', 1, gen_random_uuid(), 'webhook.failing', 1, '{}', '{}', now(), sha256(''))`)
	check(t, err)
	k.relay(func(c *Config) { c.Aggregates = troubled }, native(func(p *profile.Profile) {
		p.Circuit, p.Schedule = profile.Circuit{NoticeAt: 1, OpenAt: 2}, quickly(6)
	}))
	k.eventually("it is given up", `SELECT count(*) = 7 AND NOT EXISTS (SELECT FROM deliveries) FROM attempts`)
	if h := k.health(w.ID); h.State != webhook.Healthy || len(k.notices()) != 0 {
		t.Errorf("health %+v, notices %v", h, k.notices())
	}
}

type told struct{}

func (told) EventType() string { return "webhook.failing" }

// Attempts are listed with what the receiver said, by status, event and time.
func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.receiver(ok)
	r.handle(func(w http.ResponseWriter, h *http.Request) {
		w.Header().Set("X-Trace", "abc")
		w.Header().Set("Set-Cookie", "session=secret")
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-Long-%d", i), strings.Repeat("x", 1000))
		}
		if h.Header.Get("webhook-id") != "" && r.add(&request{}) == 2 {
			w.WriteHeader(418)
		}
		w.Write([]byte("said"))
	})
	w := k.webhook(r)
	var events []domain.Recorded
	for range 4 { // each of its own time
		events = append(events, k.append("ord_1", 1)...)
	}
	k.relay(hasty(0))
	k.eventually("all have ended", `SELECT count(*) = 4 FROM attempts`)
	d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, events[1].ID)
	check(t, err)
	a := d.Attempts[0]
	if a.ErrorClass != "status" || a.StatusCode != 418 || a.ResponseExcerpt != "said" || a.ResponseHeaders["Set-Cookie"] != "" || len(a.ResponseHeaders) < 3 {
		t.Errorf("%+v", a)
	}
	if text, err := json.Marshal(a.ResponseHeaders); err != nil || len(text) > 2<<10 {
		t.Errorf("%d bytes of headers are kept, %v", len(text), err)
	}
	for what, c := range map[string]struct {
		options delivery.ListOptions
		want    int
	}{
		"all":           {delivery.ListOptions{}, 4},
		"delivered":     {delivery.ListOptions{Status: delivery.Delivered}, 3},
		"given up":      {delivery.ListOptions{Status: delivery.GivenUp}, 1},
		"pending":       {delivery.ListOptions{Status: delivery.Pending}, 0},
		"an event":      {delivery.ListOptions{Event: "order.noted"}, 4},
		"another event": {delivery.ListOptions{Event: "order.sung"}, 0},
		"by its types":  {delivery.ListOptions{Event: "orders.note", Types: []string{"order.noted"}}, 4},
		"since then":    {delivery.ListOptions{Since: events[2].RecordedAt}, 2},
		"later":         {delivery.ListOptions{Since: time.Now().Add(3 * time.Hour)}, 0},
	} {
		var listed []delivery.Delivery
		c.options.Limit = 1
		for {
			page, next, err := delivery.List(ctx, k.db.DB, "default", w.ID, c.options)
			check(t, err)
			if listed = append(listed, page...); next == "" {
				break
			}
			c.options.Cursor = next
		}
		if len(listed) != c.want {
			t.Errorf("%s: %d, want %d", what, len(listed), c.want)
		}
	}
}

// value is what a counter has come to.
func value(t *testing.T, c prometheus.Collector) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	check(t, registry.Register(c))
	families, err := registry.Gather()
	check(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}
