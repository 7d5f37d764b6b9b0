package eventstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

const (
	maxGroup     = 256              // batches in one statement
	maxFlushes   = 2                // statements under way at once: one is written by the database while the next is laid out here
	groupTimeout = 30 * time.Second // a statement with many batches answers to no single caller's context, but not for ever
)

// group lets batches that arrive together share one statement and one commit. It has no goroutine of its own and nothing to close:
// a caller who arrives while few statements are under way leads one, and when that is done hands the lead to the first of those who
// gathered meanwhile. Each waits for its own verdict only.
type group struct {
	appendAll func(context.Context, []*Batch) ([]error, error)

	mu       sync.Mutex
	flushing int       // statements under way
	waiting  []*waiter // not empty only while maxFlushes statements are under way
}

type waiter struct {
	batch   *Batch
	lead    chan struct{} // receives once when it is this one's turn to lead
	verdict chan error    // receives once when its statement is done
}

func (g *group) append(ctx context.Context, b *Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	me := &waiter{batch: b, lead: make(chan struct{}, 1), verdict: make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, me)
	if g.flushing < maxFlushes {
		g.flushing++
		g.callNext()
	}
	g.mu.Unlock()

	select {
	case err := <-me.verdict:
		return err
	case <-me.lead:
		g.flush(ctx, g.take(me))
		g.release()
		return <-me.verdict
	case <-ctx.Done():
		g.leave(me)
		return ctx.Err()
	}
}

// callNext gives the lead to the first in line, who thereby leaves the line. The lock is held.
func (g *group) callNext() {
	g.waiting[0].lead <- struct{}{}
	g.waiting = g.waiting[1:]
}

// take returns the leader and everybody who waits.
func (g *group) take(leader *waiter) []*waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup-1)
	taken := append([]*waiter{leader}, g.waiting[:n]...)
	g.waiting = g.waiting[n:]
	return taken
}

// release hands the lead on, or gives it up where nobody waits.
func (g *group) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		g.callNext()
	} else {
		g.flushing--
	}
}

// leave takes one who cannot wait any longer out of the line. If it was just called to lead, the next one is called instead; if its
// statement is under way already, its verdict goes unheard.
func (g *group) leave(me *waiter) {
	g.mu.Lock()
	for i, t := range g.waiting {
		if t == me {
			g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
			break
		}
	}
	g.mu.Unlock()
	select {
	case <-me.lead:
		g.release()
	default:
	}
}

func (g *group) flush(ctx context.Context, taken []*waiter) {
	if len(taken) > 1 {
		// The leader's context must not cancel what others wait for.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), groupTimeout)
		defer cancel()
	}
	batches := make([]*Batch, len(taken))
	for i, t := range taken {
		batches[i] = t.batch
	}
	verdicts, err := g.appendAll(ctx, batches)
	for i, t := range taken {
		switch {
		case err == nil:
			t.verdict <- verdicts[i]
		case len(taken) > 1 && rejected(err):
			// The database refused the statement because of one of them, and nothing was written: each goes alone.
			verdicts, err := g.appendAll(ctx, batches[i:i+1])
			if err == nil {
				err = verdicts[0]
			}
			t.verdict <- err
		default:
			t.verdict <- err
		}
	}
}

// rejected says whether the database answered, and the answer was about the content of the statement or a rival transaction.
func rejected(err error) bool {
	var database *pgerr.Error
	return errors.As(err, &database) && (database.Kind == pgerr.Internal || database.Kind == pgerr.Conflict)
}
