package delivery

import (
	"sync"
	"sync/atomic"
)

// slots bounds the requests that are under way in the whole process. Each queue may always have one, without asking here; for every
// further one it needs a slot, and where none is free it gets a turn later.
type slots struct {
	waiters atomic.Int32 // how many queues wait

	mu      sync.Mutex
	free    int
	waiting []*queue
}

// take returns whether q got a slot. If not, q is called when one is free.
func (s *slots) take(q *queue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return true
	}
	if !q.waitsForSlot {
		q.waitsForSlot = true
		s.waiting = append(s.waiting, q)
		s.waiters.Add(1)
	}
	return false
}

// contended says whether somebody waits, so that whoever holds a slot should give it back after the request under way.
func (s *slots) contended() bool { return s.waiters.Load() > 0 }

// release gives a slot back and calls those who wait, the longest-waiting first, for as long as a slot is free. The caller holds no
// queue's lock.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	for s.free > 0 && len(s.waiting) > 0 {
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		next.waitsForSlot = false
		s.waiters.Add(-1)
		s.mu.Unlock() // a queue's lock comes first
		next.mu.Lock()
		next.startSenders()
		next.mu.Unlock()
		s.mu.Lock()
	}
}
