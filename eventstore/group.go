package eventstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

const (
	maxGroup     = 1 << (plainSlots - 1) // batches in one statement
	worthwhile   = 4                     // batches, at least, that justify a second statement while one is under way
	forget       = 0.998                 // what each statement leaves of the memory of a crowd
	stuckAfter   = 2 * time.Millisecond  // when statements under way are no longer waited for
	maxFlushes   = 8                     // statements under way at once, two of them not stuck
	groupTimeout = 30 * time.Second      // a statement with many batches answers to no single caller's context, but not for ever
)

// group lets batches that arrive together share one statement and one commit. It has no goroutine of its own and nothing to close:
// the first in line leads a statement for all who wait, as soon as none is under way, or half of the usual crowd waits, or those under way
// have come to nothing for a while: one may wait for a lock that somebody holds. Each waits for its own verdict only.
//
// Half of the crowd, because then two statements take turns: while one commits, the other half decides what comes next.
type group struct {
	appendAll  func(context.Context, []*Batch) ([]error, error)
	stuckAfter time.Duration
	aboard     atomic.Int64 // batches in statements under way

	mu       sync.Mutex
	waiting  []*waiter
	boarding bool    // somebody was called to lead, and will take all who wait
	flushing int     // statements under way, and the one that is boarding
	finished int     // statements that are done
	stuck    int     // statements under way that nobody waits for any longer
	watching bool    // a timer is set to find out which are
	crowd    float64 // batches that waited or were aboard at once, at most, of late
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
	g.crowd = max(g.crowd, float64(len(g.waiting)+int(g.aboard.Load())))
	g.depart()
	g.mu.Unlock()

	select {
	case err := <-me.verdict:
		return err
	case <-me.lead:
		taken := g.take(me)
		verdicts := g.flush(ctx, taken)
		g.aboard.Add(-int64(len(taken))) // at once: who hears his verdict may be in line again, and is not to be counted twice
		for i, t := range taken {
			t.verdict <- verdicts[i]
		}
		g.done()
		return <-me.verdict
	case <-ctx.Done():
		g.leave(me)
		return ctx.Err()
	}
}

// depart calls the first in line to lead if it is time for another statement. The lock is held, here and in the two that follow.
func (g *group) depart() {
	switch {
	case len(g.waiting) == 0 || g.boarding || g.flushing == maxFlushes:
	case g.flushing <= g.stuck, g.flushing == g.stuck+1 && float64(len(g.waiting)) >= max(worthwhile, g.crowd/2):
		g.board()
	default:
		g.watch()
	}
}

// board gives the lead to the first in line, who thereby leaves the line.
func (g *group) board() {
	g.boarding = true
	g.flushing++
	g.waiting[0].lead <- struct{}{}
	g.waiting = g.waiting[1:]
}

// watch sees to it that nobody waits for statements that come to nothing.
func (g *group) watch() {
	if g.watching {
		return
	}
	g.watching = true
	finished := g.finished
	time.AfterFunc(g.stuckAfter, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.watching = false
		if g.finished == finished {
			g.stuck = g.flushing
		}
		g.depart()
	})
}

// take returns the leader and all who wait, in the order in which every statement inserts: two that want the same streams wait for
// each other, but never in a circle.
func (g *group) take(leader *waiter) []*waiter {
	g.mu.Lock()
	n := min(len(g.waiting), maxGroup-1)
	taken := append([]*waiter{leader}, g.waiting[:n]...)
	g.waiting = g.waiting[n:]
	g.boarding = false
	g.aboard.Add(int64(len(taken)))
	g.depart()
	g.mu.Unlock()
	slices.SortFunc(taken, func(a, b *waiter) int {
		return cmp.Or(strings.Compare(a.batch.Workspace, b.batch.Workspace), strings.Compare(a.batch.stream, b.batch.stream))
	})
	return taken
}

func (g *group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flushing--
	g.finished++
	g.crowd *= forget
	g.stuck = min(g.stuck, g.flushing)
	g.depart()
}

// leave takes one who cannot wait any longer out of the line. If it was just called to lead, the next one is called instead; if its
// statement is under way already, its verdict goes unheard.
func (g *group) leave(me *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, me); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	select {
	case <-me.lead:
		g.boarding = false
		g.flushing--
		g.stuck = min(g.stuck, g.flushing)
		g.depart()
	default:
	}
}

// flush appends the batches of those who were taken, and returns their verdicts.
func (g *group) flush(ctx context.Context, taken []*waiter) []error {
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
	if err == nil {
		return verdicts
	}
	verdicts = make([]error, len(taken))
	for i := range taken {
		verdicts[i] = err
		if len(taken) > 1 && rejected(err) {
			// The database refused the statement because of one of them, and nothing was written: each goes alone.
			alone, err := g.appendAll(ctx, batches[i:i+1])
			if err == nil {
				err = alone[0]
			}
			verdicts[i] = err
		}
	}
	return verdicts
}

// rejected says whether the database answered, and the answer was about the content of the statement or a rival transaction.
func rejected(err error) bool {
	var database *pgerr.Error
	return errors.As(err, &database) && (database.Kind == pgerr.Internal || database.Kind == pgerr.Conflict || database.Kind == pgerr.TimedOut)
}
