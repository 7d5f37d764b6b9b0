package delivery

import (
	"context"
	"sync"
	"time"
)

// lease is what a process knows of a lease that it has: until when it can rely on it. The time is taken before the database is asked
// to renew, so it always lies before the expiry that other processes see.
type lease struct {
	margin time.Duration // before the expiry, within which nothing may be under way
	timer  *time.Timer   // ends what is under way

	mu      sync.Mutex
	until   time.Time
	renewed chan struct{} // closed at the next renewal
}

func newLease(until time.Time, ttl time.Duration, lapse func()) *lease {
	l := &lease{margin: ttl / 5, until: until, renewed: make(chan struct{})}
	l.timer = time.AfterFunc(time.Until(until)-l.margin, lapse)
	return l
}

func (l *lease) extend(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
	l.timer.Reset(time.Until(until) - l.margin)
	close(l.renewed)
	l.renewed = make(chan struct{})
}

// wait returns true as soon as the lease is good for long enough to begin an attempt, and false once ctx ends.
func (l *lease) wait(ctx context.Context) bool {
	for {
		l.mu.Lock()
		good, renewed := l.left() > 2*l.margin, l.renewed
		l.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if good {
			return true
		}
		select {
		case <-ctx.Done():
		case <-renewed:
		}
	}
}

// left is the shorter of what the monotonic clock says, which stands still while the machine is suspended, and what the wall clock
// says, which somebody may set. The caller holds the lock.
func (l *lease) left() time.Duration {
	now := time.Now()
	return min(l.until.Sub(now), l.until.Round(0).Sub(now.Round(0)))
}

// expired says that the database, too, may have given the lease to another process by now.
func (l *lease) expired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until) < 0
}

// end stops the timer.
func (l *lease) end() { l.timer.Stop() }
