package waybill

import (
	"context"
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
	busy map[cacheKey]*turn
}

type turn struct {
	free  chan struct{} // holds a token while nobody has the turn
	users int           // who has it and who waits
}

// take waits for a turn. The caller must call done.
func (t *turns) take(ctx context.Context, key cacheKey) (done func(), err error) {
	t.mu.Lock()
	if t.busy == nil {
		t.busy = map[cacheKey]*turn{}
	}
	mine := t.busy[key]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.busy[key] = mine
	}
	mine.users++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.busy, key)
		}
	}
	select {
	case <-mine.free:
		return func() { mine.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
