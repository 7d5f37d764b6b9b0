package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// What each platform promises about attempts: how many there are, which answers end them well, and when they come.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	set := profile.All(map[string]*domain.Aggregate{order.Name: order.Aggregate()})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	longest := func(d time.Duration) time.Duration { return d }
	for name, want := range map[string]struct {
		attempts int
		good     []int // of 200 … 299
		timeout  time.Duration
		circuit  profile.Circuit
		gone     bool // 410 ends it
	}{
		"native":        {10, nil, 15 * time.Second, profile.Circuit{NoticeAt: 5}, true},
		"commercelayer": {11, nil, 5 * time.Second, profile.Circuit{NoticeAt: 5, OpenAt: 30}, false},
		"chord":         {6, []int{200, 201, 202, 204}, 15 * time.Second, profile.Circuit{}, false},
		"goody":         {8, nil, 15 * time.Second, profile.Circuit{DisableAfter: 5 * 24 * time.Hour}, true},
		"ordergroove":   {1 + 3*24*12, nil, 5 * time.Second, profile.Circuit{}, false},
		"up42":          {6, nil, 15 * time.Second, profile.Circuit{}, true},
	} {
		p := set[name]
		tt := &target{profile: p, schedule: p.Schedule}
		attempt := func(attempts, status int) *outcome {
			o := &outcome{item: &item{attempts: attempts}, startedAt: at}
			o.response(tt, answer{answered: true, status: status, duration: time.Second}, longest)
			return o
		}
		n := 0
		for o := attempt(0, 500); o.kind == failed; o = attempt(n, 500) {
			if !o.dueAt.After(at) {
				t.Fatalf("%s: attempt %d is followed by one at %s", name, n+1, o.dueAt)
			}
			if name == "ordergroove" && !o.dueAt.Equal(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)) {
				t.Errorf("the queue is swept at %s", o.dueAt)
			}
			n++
		}
		if n+1 != want.attempts {
			t.Errorf("%s: %d attempts, want %d", name, n+1, want.attempts)
		}
		for status := 100; status < 600; status++ {
			good := status >= 200 && status <= 299
			if want.good != nil {
				good = slices.Contains(want.good, status)
			}
			o := attempt(0, status)
			if (o.kind == delivered) != good || (o.verdict == success) != good {
				t.Errorf("%s: after %d: %s, %s", name, status, o.kind, o.verdict)
			}
			if (o.kind == givenUp) != (want.gone && status == 410) || (o.verdict == gone) != (want.gone && status == 410) {
				t.Errorf("%s: after %d: %s, %s", name, status, o.kind, o.verdict)
			}
		}
		if p.Timeout != want.timeout || p.Circuit != want.circuit {
			t.Errorf("%s: timeout %s, circuit %+v", name, p.Timeout, p.Circuit)
		}
	}
}

// A receiver that asks for patience gets it, and at Ordergroove's up to the next sweep.
func TestSweepAfterRetryAfter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for asked, want := range map[time.Duration]time.Time{
		0:                at.Add(time.Minute),
		30 * time.Second: at.Add(time.Minute),
		time.Minute:      at.Add(time.Minute),
		2 * time.Minute:  at.Add(6 * time.Minute),
		time.Hour:        at.Add(time.Hour + time.Minute),
	} {
		p := profile.Native(counters)
		tt := &target{profile: p, schedule: profile.Schedule{Sweep: 5 * time.Minute, MaxRetries: 3}}
		o := &outcome{item: &item{}, startedAt: at}
		o.response(tt, answer{answered: true, status: 503, retryAfter: asked}, nil)
		if !o.dueAt.Equal(want) {
			t.Errorf("asked for %s: due at %s, want %s", asked, o.dueAt, want)
		}
	}
}

// In no second are there many more attempts than the rate, however the clock jumps.
func TestBucket(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{1, 7, 100, 1000} {
		var b bucket
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var spent []time.Time
		for range 5 * rate {
			for {
				wait := b.wait(rate, now)
				if wait == 0 {
					break
				}
				now = now.Add(wait)
			}
			b.spend()
			spent = append(spent, now)
		}
		if took := now.Sub(spent[0]); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("%d attempts at %d a second took %s", len(spent), rate, took)
		}
		for i := range spent {
			n := 0
			for _, at := range spent[i:] {
				if at.Sub(spent[i]) < time.Second {
					n++
				}
			}
			if n > rate+max(1, rate/10) {
				t.Fatalf("%d attempts within a second at a rate of %d", n, rate)
			}
		}
		now = now.Add(time.Hour) // saves up nothing
		n := 0
		for ; b.wait(rate, now) == 0; n++ {
			b.spend()
		}
		if n > max(1, rate/10) {
			t.Errorf("%d at once after an hour, at a rate of %d", n, rate)
		}
	}
}
