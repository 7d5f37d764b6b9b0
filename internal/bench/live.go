package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
)

// live is a subject whose relay runs in this process and has delivered something already.
type live struct {
	*subject
	to     *sink
	before int // requests so far
	stop   func() error
}

func (r *run) live(ctx context.Context, to *sink, healthy, hanging int) (*live, error) {
	s, err := r.subject(ctx)
	if err != nil {
		return nil, err
	}
	for i := range healthy {
		if _, err := s.subscribe(ctx, to, takes, i); err != nil {
			return nil, err
		}
	}
	for i := range hanging {
		if _, err := s.subscribe(ctx, to, hangs, i); err != nil {
			return nil, err
		}
	}
	stop, err := r.relayHere(ctx, s)
	if err != nil {
		return nil, err
	}
	before, err := to.count(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.engine.Execute(ctx, draft()); err != nil {
		return nil, err
	}
	if err := to.until(ctx, before, healthy, func(done int) { r.Progress("warming up", done, healthy) }); err != nil {
		return nil, err
	}
	return &live{s, to, before + healthy, stop}, nil
}

const (
	steadyGoroutines = 32
	steadyWindow     = 4096 // how far commands may be ahead of deliveries
)

// steady measures how many commands per second are delivered while they are issued, neither running away from the other.
func steady(command func() order.Create, goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		to, err := r.sink(ctx)
		if err != nil {
			return nil, err
		}
		v, err := r.live(ctx, to, 1, 0)
		if err != nil {
			return nil, err
		}
		elsewhere := v.engine.Workspace(elsewhere)
		created, err := elsewhere.Execute(ctx, command())
		if err != nil {
			return nil, err
		}
		l, err := v.life(ctx, elsewhere, created.ID)
		if err != nil {
			return nil, err
		}
		n := max(1, r.Sizes.Deliveries/2)
		limit, value, err := alternate(1, func() (float64, error) {
			return r.loop(ctx, to, takes, l.messages, n)
		}, func() (float64, error) { return r.keepUp(ctx, v, command) })
		if err != nil {
			return nil, err
		}
		return []Result{atLeast("rate", "commands/s", value, limit, goal)}, nil
	}
}

// keepUp returns the lower of the two rates, of commands and of deliveries, over four fifths of the time; the first fifth lets both
// find their pace.
func (r *run) keepUp(ctx context.Context, v *live, command func() order.Create) (float64, error) {
	before, err := v.to.count(ctx)
	if err != nil {
		return 0, err
	}
	issuing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var executed atomic.Int64
	var issuers sync.WaitGroup
	defer issuers.Wait()
	defer stop(nil)
	room := make(chan struct{}, steadyWindow) // an element for each command that may be issued
	for range steadyWindow {
		room <- struct{}{}
	}
	for range steadyGoroutines {
		issuers.Go(func() {
			for {
				select {
				case <-issuing.Done():
					return
				case <-room:
				}
				if _, err := v.engine.Execute(issuing, command()); err != nil {
					stop(err)
					return
				}
				executed.Add(1)
			}
		})
	}

	began := time.Now()
	settled := r.Sizes.Live / 5
	var at time.Time // since when it counts
	var executedThen, deliveredThen, delivered int
	for {
		now, err := v.to.count(ctx)
		if err != nil {
			return 0, err
		}
		now -= before
		for ; delivered < now; delivered++ {
			room <- struct{}{}
		}
		if issuing.Err() != nil {
			return 0, context.Cause(issuing)
		}
		switch running := time.Since(began); {
		case at.IsZero() && running >= settled:
			at, executedThen, deliveredThen = time.Now(), int(executed.Load()), delivered
		case running >= r.Sizes.Live && delivered > deliveredThen:
			took := time.Since(at).Seconds()
			rate := min(float64(int(executed.Load())-executedThen), float64(delivered-deliveredThen)) / took
			stop(nil)
			issuers.Wait()
			// What was issued last still comes, and must not get in the way of what is measured next.
			return rate, v.to.until(ctx, before, int(executed.Load()), func(int) {})
		case running > r.Sizes.Live+patience:
			return 0, fmt.Errorf("nothing was delivered for %s", patience)
		}
		r.Progress("commands and deliveries", delivered, 0)
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func latency(median, high time.Duration) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		to, err := r.sink(ctx)
		if err != nil {
			return nil, err
		}
		v, err := r.live(ctx, to, 1, 0)
		if err != nil {
			return nil, err
		}
		took, err := r.pace(ctx, v, 1, 500)
		if err != nil {
			return nil, err
		}
		return []Result{
			atMost("p50", "ms", milliseconds(percentile(took, 50)), milliseconds(median), 1),
			atMost("p99", "ms", milliseconds(percentile(took, 99)), milliseconds(high), 1),
		}, nil
	}
}

// hangingPace is how many events per second there are, each for every webhook.
const hangingPace = 20

func hanging(webhooks int, goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		to, err := r.sink(ctx)
		if err != nil {
			return nil, err
		}
		measure := func(hanging int) (float64, error) {
			v, err := r.live(ctx, to, webhooks, hanging)
			if err != nil {
				return 0, err
			}
			took, err := r.pace(ctx, v, webhooks, hangingPace)
			if err != nil {
				return 0, err
			}
			stopped := make(chan error, 1)
			go func() { stopped <- v.stop() }()
			for { // what hangs would hold the relay's end up
				if err := to.tell(ctx, "/answer"); err != nil {
					return 0, err
				}
				select {
				case err := <-stopped:
					return milliseconds(percentile(took, 99)), err
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		none, err := measure(0)
		if err != nil {
			return nil, err
		}
		beside, err := measure(webhooks)
		if err != nil {
			return nil, err
		}
		return []Result{atMost("p99", "ms", beside, none, goal)}, nil
	}
}

// pace issues so many commands per second, each at its time whether or not the one before is done, and returns how long each took from
// its commit to its receipt by each of the healthy webhooks.
func (r *run) pace(ctx context.Context, v *live, webhooks, perSecond int) ([]time.Duration, error) {
	if err := v.to.tell(ctx, "/record"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n := max(1, int(r.Sizes.Live.Seconds()*float64(perSecond)))
	ids, committed := make([]string, n), make([]time.Time, n)
	var issuers sync.WaitGroup
	began := time.Now()
	for i := range n {
		if err := sleep(ctx, time.Until(began.Add(time.Duration(i)*time.Second/time.Duration(perSecond)))); err != nil {
			break
		}
		issuers.Go(func() {
			result, err := v.engine.Execute(ctx, draft())
			if err != nil {
				cancel(err)
				return
			}
			committed[i], ids[i] = time.Now(), result.Events[0].ID.String()
		})
		r.Progress(fmt.Sprintf("%d events per second to %d webhooks", perSecond, webhooks), i, n)
	}
	issuers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := v.to.until(ctx, v.before, n*webhooks, func(int) {}); err != nil {
		return nil, err
	}
	receipts, err := v.to.receipts(ctx)
	if err != nil {
		return nil, err
	}
	at := make(map[string]time.Time, n)
	for i, id := range ids {
		at[id] = committed[i]
	}
	var took []time.Duration
	for key, received := range receipts {
		if commit, ok := at[key.id]; ok && strings.HasPrefix(key.receiver, takes) {
			took = append(took, max(0, received.Sub(commit))) // the receiver may be faster than our look at the clock
		}
	}
	if len(took) != n*webhooks {
		return nil, fmt.Errorf("%d events were received, not %d", len(took), n*webhooks)
	}
	return took, nil
}

// percentile is the smallest duration that at least so many in a hundred do not exceed.
func percentile(durations []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[(len(sorted)*percent+99)/100-1]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
