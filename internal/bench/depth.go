package bench

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

// depth compares two databases: an empty one, and one that holds much.
type depth struct {
	*run
	to          *sink
	empty, full *subject
	lives       map[*subject]*life
}

// depth makes both, of which full is not filled yet.
func (r *run) depth(ctx context.Context) (*depth, error) {
	to, err := r.sink(ctx)
	if err != nil {
		return nil, err
	}
	d := &depth{run: r, to: to, lives: map[*subject]*life{}}
	for _, s := range []**subject{&d.empty, &d.full} {
		if *s, err = r.subject(ctx); err != nil {
			return nil, err
		}
		if d.lives[*s], err = (*s).newLife(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// stuck is a workspace of which nothing is measured.
const stuck = "stuck"

func bigLog(goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		d, err := r.depth(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.fill(ctx, d.full, d.full.engine.Name(), d.lives[d.full], r.Sizes.Log); err != nil {
			return nil, err
		}
		return d.compare(ctx, goal)
	}
}

func backlog(goal, mebibytes float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		d, err := r.depth(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.fill(ctx, d.full, stuck, d.lives[d.full], r.Sizes.Backlog); err != nil {
			return nil, err
		}
		w, _, err := d.full.engine.Workspace(stuck).CreateWebhook(ctx, webhook.New{Name: "stuck", URL: d.to.url + hangs + "stuck"})
		if err != nil {
			return nil, err
		}
		r.Progress("piling deliveries up", 0, r.Sizes.Backlog)
		piled, err := pile(ctx, d.full, w.ID, stuck)
		if err != nil {
			return nil, err
		}
		results, err := d.compare(ctx, goal)
		if err != nil {
			return nil, err
		}
		used, ok, err := d.workOff(ctx, piled)
		if ok && err == nil {
			results = append(results, atMost("relay memory", "MiB", used, mebibytes, 1))
		}
		return results, err
	}
}

// compare measures both databases in turns.
func (d *depth) compare(ctx context.Context, goal float64) ([]Result, error) {
	for _, s := range []*subject{d.empty, d.full} {
		if err := passLog(ctx, s); err != nil {
			return nil, err
		}
		if err := d.settle(ctx, s); err != nil {
			return nil, err
		}
		// Its receiver hangs, so that what is measured is the fan-out and not the sending.
		if _, err := s.subscribe(ctx, d.to, hangs, 1); err != nil {
			return nil, err
		}
	}
	var appended, fanned [2]float64 // empty, full
	add := func(i int, s *subject) func() (float64, error) {
		return func() (float64, error) {
			f, err := d.fanOutRate(ctx, s)
			if err != nil {
				return 0, err
			}
			fanned[i] += f
			a, err := d.appendRate(ctx, s)
			appended[i] += a
			return a, err
		}
	}
	rounds := d.Sizes.Rounds
	if _, _, err := alternate(rounds, add(0, d.empty), add(1, d.full)); err != nil {
		return nil, err
	}
	mean := func(sums [2]float64) (limit, value float64) {
		return sums[0] / float64(rounds+1), sums[1] / float64(rounds)
	}
	appendLimit, appendValue := mean(appended)
	fanLimit, fanValue := mean(fanned)
	return []Result{
		atLeast("append", "commands/s", appendValue, appendLimit, goal),
		atLeast("fan-out", "events/s", fanValue, fanLimit, goal),
	}, nil
}

// name says which one it is, for the progress.
func (d *depth) name(s *subject) string {
	if s == d.empty {
		return "the empty database"
	}
	return "the full database"
}

// fanOutRate appends events and returns how many of them per second become deliveries, from the moment at which the relay's process
// has started.
func (d *depth) fanOutRate(ctx context.Context, s *subject) (float64, error) {
	n := d.Sizes.FanOut
	if err := d.fill(ctx, s, s.engine.Name(), d.lives[s], n); err != nil {
		return 0, err
	}
	d.Progress("fan-out in "+d.name(s), 0, 0)
	relay, err := d.relay(ctx, s)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := until(ctx, 2*time.Millisecond, func() (bool, error) { return fannedOut(ctx, s) }); err != nil {
		return 0, err
	}
	rate := float64(n) / time.Since(began).Seconds()
	return rate, d.end(ctx, relay)
}

// appendRate returns how many commands per second are executed while a relay runs.
func (d *depth) appendRate(ctx context.Context, s *subject) (float64, error) {
	relay, err := d.relay(ctx, s)
	if err != nil {
		return 0, err
	}
	d.Progress("commands in "+d.name(s), 0, 0)
	rate, _, err := appendRate(ctx, s.engine, 32, d.Sizes.Measure)
	if err != nil {
		return 0, err
	}
	return rate, d.end(ctx, relay)
}

// end stops a relay whose receivers hang.
func (d *depth) end(ctx context.Context, relay *process) error {
	stopped := make(chan error, 1)
	go func() { stopped <- relay.stop() }()
	for {
		if err := d.to.tell(ctx, "/answer"); err != nil {
			return err
		}
		select {
		case err := <-stopped:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// workOff lets the receiver of the backlog answer, and returns the most memory that the relay had by when it has worked a good part off.
func (d *depth) workOff(ctx context.Context, piled int) (mebibytes float64, known bool, err error) {
	relay, err := d.relay(ctx, d.full)
	if err != nil {
		return 0, false, err
	}
	before, err := d.to.count(ctx)
	if err != nil {
		return 0, false, err
	}
	if err := d.to.tell(ctx, "/answer-all"); err != nil {
		return 0, false, err
	}
	part := max(1, min(piled/2, 100_000))
	if err := d.to.until(ctx, before, part, func(done int) { d.Progress("working the backlog off", done, part) }); err != nil {
		return 0, false, err
	}
	mebibytes, known = peakMemory(relay.cmd.Process.Pid)
	return mebibytes, known, relay.stop()
}
