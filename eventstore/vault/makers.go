package vault

import (
	"context"
	"sync"
	"time"
)

// makers lets those who want the current keys of subjects at the same time get them with one statement: while it is under way, others
// gather for the next. It has no goroutine of its own: whoever comes while none is under way leads, and hands the lead on.
type makers struct {
	make func(context.Context, []owner) (map[owner]*key, error)

	mu      sync.Mutex
	busy    bool
	waiting []*wish
}

type wish struct {
	owner owner
	lead  chan struct{} // receives once when it is this one's turn to lead
	done  chan struct{} // closed once key or err is there
	key   *key
	err   error
}

const (
	maxWishes   = 256
	makeTimeout = 30 * time.Second // a statement for many answers to no single caller's context, but not for ever
)

func (m *makers) get(ctx context.Context, o owner) (*key, error) {
	w := &wish{owner: o, lead: make(chan struct{}, 1), done: make(chan struct{})}
	m.mu.Lock()
	m.waiting = append(m.waiting, w)
	if !m.busy {
		m.busy = true
		w.lead <- struct{}{}
	}
	m.mu.Unlock()
	select {
	case <-w.done:
	case <-w.lead:
		m.fulfil(ctx, w)
	case <-ctx.Done():
		m.leave(w)
		return nil, ctx.Err()
	}
	return w.key, w.err
}

// fulfil gets the keys for the leader and everybody who waits, and hands the lead on.
func (m *makers) fulfil(ctx context.Context, leader *wish) {
	m.mu.Lock()
	taken := []*wish{leader}
	var rest []*wish
	for _, w := range m.waiting {
		switch {
		case w == leader:
		case len(taken) < maxWishes:
			taken = append(taken, w)
		default:
			rest = append(rest, w)
		}
	}
	m.waiting = rest
	m.mu.Unlock()

	owners := make([]owner, 0, len(taken))
	seen := make(map[owner]bool, len(taken))
	for _, w := range taken {
		if !seen[w.owner] {
			seen[w.owner] = true
			owners = append(owners, w.owner)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeTimeout)
	defer cancel()
	keys, err := m.make(ctx, owners)
	for _, w := range taken {
		w.key, w.err = keys[w.owner], err
		close(w.done)
	}
	m.release()
}

// release hands the lead on, or gives it up where nobody waits.
func (m *makers) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		m.busy = false
		return
	}
	m.waiting[0].lead <- struct{}{}
}

// leave takes one who cannot wait any longer out of the line. If it was just called to lead, the next one is.
func (m *makers) leave(me *wish) {
	m.mu.Lock()
	for i, w := range m.waiting {
		if w == me {
			m.waiting = append(m.waiting[:i:i], m.waiting[i+1:]...)
			break
		}
	}
	m.mu.Unlock()
	select {
	case <-me.lead:
		m.release()
	default:
	}
}
