package delivery

import (
	"context"
	"errors"
	"sync"
	"time"
)

// keeper decides which webhooks this process delivers for: it renews their leases, takes over what is free, and gives up what is more
// than its fair share. Only its own goroutine, in run, adds queues and removes them.
type keeper struct {
	d       *Deliverer
	left    chan *queue // queues that were drained
	leaving map[*queue]bool
	drains  sync.WaitGroup
}

func newKeeper(d *Deliverer) *keeper {
	return &keeper{d: d, left: make(chan *queue), leaving: map[*queue]bool{}}
}

// run keeps leases until ctx ends, and then until every queue is done with and given back.
func (k *keeper) run(ctx context.Context) {
	ticker := time.NewTicker(k.d.config.RenewInterval)
	defer ticker.Stop()
	ending := ctx.Done()
	stopping := false
	for tick := true; !stopping || len(k.d.queues) > 0; {
		if tick {
			if err := k.tick(stopping); err != nil {
				k.d.log.Warn("keeping leases failed", "error", err, "cause", errors.Unwrap(err))
			}
		}
		select {
		case <-ending:
			ending, stopping, tick = nil, true, false
			for _, q := range k.d.snapshot() {
				if k.leaving[q] {
					time.AfterFunc(k.d.config.StopGrace, func() { q.cut(errStopped) })
				}
				k.leave(q, k.d.config.StopGrace)
			}
		case q := <-k.left:
			tick = false
			k.remove(q)
		case <-ticker.C:
			tick = true
		case <-k.d.changed:
			tick = true
		}
	}
	k.drains.Wait()
	if err := k.d.statements.depart(k.d.id, k.d.config.LeaseTTL/2); err != nil {
		k.d.log.Warn("signing off failed; others will notice in a few seconds", "error", err, "cause", errors.Unwrap(err))
	}
}

// patience is how long a queue that is given up, for others to take over, may go on with what is under way: longer than any attempt.
const patience = time.Minute

// leave gives a webhook up: once its queue is drained, the lease is released for others to take at once.
func (k *keeper) leave(q *queue, grace time.Duration) {
	if k.leaving[q] {
		return
	}
	k.leaving[q] = true
	k.d.log.Info("leaving a webhook to others", "webhook", q.settings().id, "fence", q.fence)
	k.drains.Go(func() {
		q.drain(grace)
		if !q.lease.expired() {
			if err := k.d.statements.release(q, k.d.id, k.d.config.LeaseTTL/2); err != nil {
				k.d.log.Warn("releasing a lease failed; it will expire", "webhook", q.settings().id, "error", err, "cause", errors.Unwrap(err))
			}
		}
		k.left <- q
	})
}

// lose drops a webhook that another process may have by now.
func (k *keeper) lose(q *queue) {
	if !k.leaving[q] {
		k.d.log.Warn("the lease of a webhook was lost", "webhook", q.settings().id, "fence", q.fence)
	}
	q.cut(errLeaseLost)
	k.leave(q, patience) // the release names the fence, so it does nothing to a new owner's lease
}

func (k *keeper) remove(q *queue) {
	delete(k.leaving, q)
	k.d.mu.Lock()
	delete(k.d.queues, q.number)
	k.d.owned.Store(int64(len(k.d.queues)))
	k.d.mu.Unlock()
}

// tick renews, gives up, and takes. While stopping, it only renews.
func (k *keeper) tick(stopping bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), k.d.config.LeaseTTL/2)
	defer cancel()
	queues := k.d.snapshot()
	until := time.Now().Add(k.d.config.LeaseTTL)
	renewed, fair, err := k.d.statements.renew(ctx, k.d.id, k.d.config.LeaseTTL, queues)
	if err != nil {
		return err // leases that run out meanwhile end their queues by themselves
	}
	staying := 0
	var changed []int64
	for _, q := range queues {
		r, ours := renewed[q.number]
		switch {
		case k.leaving[q] && ours:
			q.lease.extend(until)
		case k.leaving[q]:
		case !ours || q.ctx.Err() != nil:
			k.lose(q)
		case !r.wanted:
			q.lease.extend(until)
			q.cut(errStopped)
			k.leave(q, patience)
		default:
			q.lease.extend(until)
			staying++
			if t := q.settings(); r.revision != t.revision || t.fault != nil {
				changed = append(changed, q.number)
			}
			if !r.due.IsZero() {
				q.mu.Lock()
				q.dueBy(r.due)
				q.mu.Unlock()
			}
		}
	}
	if stopping {
		return nil
	}
	if err := k.reload(ctx, changed); err != nil {
		return err
	}
	for _, q := range queues {
		if staying > fair && !k.leaving[q] {
			k.leave(q, patience)
			staying--
		}
	}
	if staying < fair {
		return k.take(ctx, fair-staying)
	}
	return nil
}

// reload looks again at webhooks that have changed.
func (k *keeper) reload(ctx context.Context, numbers []int64) error {
	if len(numbers) == 0 {
		return nil
	}
	targets, err := k.targets(ctx, numbers)
	if err != nil {
		return err
	}
	for number, t := range targets {
		q := k.d.queues[number]
		if q.settings().ordered != t.ordered {
			k.leave(q, patience) // what is in memory was laid out for the other way; whoever takes the webhook next reads it anew
			continue
		}
		if t.fault != nil && q.settings().revision != t.revision {
			k.complain(t)
		}
		q.retarget(t)
	}
	return nil
}

// take takes leases that are free, and starts delivering.
func (k *keeper) take(ctx context.Context, limit int) error {
	until := time.Now().Add(k.d.config.LeaseTTL)
	fences, err := k.d.statements.take(ctx, k.d.id, k.d.config.LeaseTTL, limit)
	if err != nil || len(fences) == 0 {
		return err
	}
	numbers := make([]int64, 0, len(fences))
	for number := range fences {
		numbers = append(numbers, number)
	}
	targets, err := k.targets(ctx, numbers)
	if err != nil {
		return err // and these leases run out
	}
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	for number, t := range targets {
		if t.fault != nil {
			k.complain(t)
		}
		// A queue that was lost and is still being drained keeps its place; the lease runs out and is taken again later.
		if k.d.queues[number] == nil {
			k.d.queues[number] = newQueue(k.d, number, fences[number], t, until)
			k.d.owned.Store(int64(len(k.d.queues)))
			k.d.log.Info("delivering for a webhook", "webhook", t.id, "workspace", t.workspace, "fence", fences[number])
		}
	}
	return nil
}

func (k *keeper) complain(t *target) {
	k.d.log.Error("a webhook cannot be delivered to; its deliveries wait", "webhook", t.id, "error", t.fault)
}

func (q *queue) settings() *target {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.target
}
