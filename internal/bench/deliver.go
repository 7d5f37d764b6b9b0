package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

// deliver measures how fast what is in the log gets to so many webhooks.
func deliver(webhooks int, goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		events := max(1, r.Sizes.Deliveries/webhooks)
		return r.deliver(ctx, takes, webhooks, events, goal)
	}
}

func slow(goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		return r.deliver(ctx, slows, 1, r.Sizes.Slow, goal)
	}
}

func (r *run) deliver(ctx context.Context, kind string, webhooks, events int, goal float64) ([]Result, error) {
	to, err := r.sink(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.subject(ctx)
	if err != nil {
		return nil, err
	}
	l, err := s.newLife(ctx)
	if err != nil {
		return nil, err
	}
	for i := range webhooks {
		if _, err := s.subscribe(ctx, to, kind, i); err != nil {
			return nil, err
		}
	}
	if err := r.fill(ctx, s, s.engine.Name(), l, events); err != nil {
		return nil, err
	}
	if err := r.settle(ctx, s); err != nil {
		return nil, err
	}
	times, err := newProcessorTimes(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	total := webhooks * events
	// One round: what is delivered is delivered. Each half of the loop is half as long.
	limit, value, err := alternate(1, func() (float64, error) {
		return r.loop(ctx, to, kind, l.messages, max(1, total/2))
	}, func() (float64, error) {
		return r.drain(ctx, s, to, total, times)
	})
	if err != nil {
		return nil, err
	}
	result := atLeast("rate", "deliveries/s", value, limit, goal)
	result.Note = times.each("a delivery", "the relay", total)
	return []Result{result}, nil
}

// subscribe makes a webhook of a kind of receiver.
func (s *subject) subscribe(ctx context.Context, to *sink, kind string, number int) (webhook.Webhook, error) {
	name := fmt.Sprintf("%s-%d", kind[1:len(kind)-1], number)
	w, _, err := s.engine.CreateWebhook(ctx, webhook.New{Name: name, URL: fmt.Sprint(to.url, kind, number)})
	return w, err
}

// drain returns how many deliveries per second a relay makes of what is in the log, n in all: from the moment at which its process has
// started until each is recorded.
func (r *run) drain(ctx context.Context, s *subject, to *sink, n int, times *processorTimes) (float64, error) {
	before, err := to.count(ctx)
	if err != nil {
		return 0, err
	}
	r.Progress("starting the relay", 0, n)
	relay, err := r.relay(ctx, s)
	if err != nil {
		return 0, err
	}
	times.begin(relay.cmd.Process.Pid)
	began := time.Now()
	if err := to.until(ctx, before, n, func(done int) { r.Progress("delivering", done, n) }); err != nil {
		return 0, fmt.Errorf("%w: %s", err, relay.stderr)
	}
	if err := until(ctx, 2*time.Millisecond, func() (bool, error) { return delivered(ctx, s) }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	times.end()
	if err := relay.stop(); err != nil {
		return 0, err
	}
	if made, attempts, err := successes(ctx, s); err != nil || made != n || attempts != n {
		return 0, fmt.Errorf("%d deliveries and %d attempts are recorded, not %d (%w): %s", made, attempts, n, err, relay.stderr)
	}
	return float64(n) / took.Seconds(), nil
}

// until looks again and again until something is so.
func until(ctx context.Context, pause time.Duration, so func() (bool, error)) error {
	for since := time.Now(); ; {
		if ok, err := so(); ok || err != nil {
			return err
		}
		if time.Since(since) > patience {
			return fmt.Errorf("nothing has happened for %s", patience)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}
