package waybill

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
)

// entry is a folded stream.
type entry struct {
	state domain.State
	head  eventstore.Head
	keys  []uuid.UUID // with which parts of its events were opened; never changed in place
}

type cacheKey struct {
	workspace string
	stream    domain.StreamID
}

func (e *Engine) cached(key cacheKey) (entry, bool) {
	if e.cache == nil {
		return entry{}, false
	}
	return e.cache.Get(key)
}

// remember keeps a state. Of two goroutines the later may bring the older one; that costs a lost race and nothing else.
func (e *Engine) remember(key cacheKey, current entry) {
	if e.cache != nil {
		e.cache.Add(key, current)
	}
}

// turns lets the commands on one aggregate that are issued in this process go one after the other. The optimistic lock would sort
// them out as well, but of a crowd on one hot order all but one would decide in vain, again and again.
type turns struct {
	mu   sync.Mutex
	busy map[cacheKey][]chan struct{} // who waits for the turn that somebody has; each is told once
}

// take waits for a turn. The caller must call done.
func (t *turns) take(ctx context.Context, key cacheKey) (done func(), err error) {
	t.mu.Lock()
	line, taken := t.busy[key]
	var mine chan struct{}
	if taken {
		mine = make(chan struct{}, 1)
		line = append(line, mine)
	} else if t.busy == nil {
		t.busy = map[cacheKey][]chan struct{}{}
	}
	t.busy[key] = line
	t.mu.Unlock()

	if taken {
		select {
		case <-mine:
		case <-ctx.Done():
			t.leave(key, mine)
			return nil, ctx.Err()
		}
	}
	return func() { t.pass(key) }, nil
}

// pass gives the turn to the next in line.
func (t *turns) pass(key cacheKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.busy[key]
	if len(line) == 0 {
		delete(t.busy, key)
		return
	}
	line[0] <- struct{}{}
	t.busy[key] = line[1:]
}

// leave takes one out of the line who waits no longer. If the turn has just come to it, the next one gets it.
func (t *turns) leave(key cacheKey, mine chan struct{}) {
	t.mu.Lock()
	line := t.busy[key]
	i := slices.Index(line, mine)
	if i >= 0 {
		t.busy[key] = slices.Delete(line, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		t.pass(key)
	}
}
