package delivery

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// key is an event's place in the log, and so a delivery's place in its webhook's queue.
type key struct {
	transactionID int64
	position      int64
}

// item is a delivery in memory.
type item struct {
	key        key
	lane       string             // items of a lane are sent one after the other: the stream, where the webhook is ordered
	attempts   int                // made so far
	earlier    int                // of these, before it was sent again
	retry      bool               // the row is in state 'retry'
	occurrence profile.Occurrence // the event's own data at once; the rest when it is folded
	before     folded             // what is true before it, where that was at hand
	keys       []uuid.UUID        // with which parts of the occurrence were opened
	fault      error              // why it cannot be rendered
}

// queue is one webhook's deliveries in memory, for as long as the webhook is ours.
//
// The rows follow one rule: what is held back (the rows in state 'retry', and where the webhook is ordered the streams behind them)
// changes only while nobody reads. So what a read says is still true when its rows are taken in. Outcomes that change it – failures of an
// ordered webhook, and whatever becomes of a retry – wait in unsettled until the reader is done, and no read begins until they are
// recorded. Everything else is read and recorded at the same time.
type queue struct {
	d      *Deliverer
	number int64
	fence  int64
	lease  *lease

	ctx     context.Context // of attempts; ended by cut, with a cause
	cancel  context.CancelCauseFunc
	wake    chan struct{}
	closed  chan struct{}  // nothing new is begun
	pending sync.WaitGroup // the reader, the senders, and outcomes that are being recorded

	waitsForSlot bool // belongs to slots

	mu        sync.Mutex
	closing   bool
	target    *target
	cursor    key       // every row up to here has been read once
	unread    bool      // there may be rows behind cursor
	due       time.Time // when the next retry is due; zero where none is known of
	reading   bool
	sated     bool // the reader waits until there is less to send
	unsettled []*outcome
	settling  int // outcomes being recorded that change what is held back
	lanes     map[string]*lane
	retries   map[key]bool // items in memory whose row is in state 'retry'
	open      int          // items in memory: waiting, sendable, being sent or being recorded
	sendable  []*item      // in the order in which they became so
	window    int          // how many senders the receiver has earned
	senders   int
	own       bool      // one of them uses the queue's own slot
	failures  int       // in a row, as last recorded
	atRisk    int       // attempts under way, and failures that are not recorded yet
	quiet     time.Time // nothing is begun before, because the receiver asked for that
	bucket    bucket
	pausing   *time.Timer // until the next attempt is allowed; nil where none is waited for
}

// lane is a stream with an item under way.
type lane struct {
	last    int // version of the item that was taken in last
	waiting []*item
	passed  bool // a retry was passed over because of it
}

// Why attempts are cut off.
var (
	errLeaseLost = errors.New("the lease of the webhook was lost")
	errStopped   = errors.New("the relay was stopping, or the webhook was switched off")
)

const firstWindow = 8

// maxQuiet bounds how long an answer to one delivery keeps all others of its webhook waiting. Then one of them asks again.
const maxQuiet = 5 * time.Minute

func newQueue(d *Deliverer, number, fence int64, t *target, until time.Time) *queue {
	q := &queue{
		d: d, number: number, fence: fence, target: t,
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		unread: true,
		due:    d.config.Clock(), // perhaps; the first read tells
		lanes:  map[string]*lane{}, retries: map[key]bool{},
		failures: t.failures,
		window:   min(firstWindow, d.config.SendersPerWebhook),
	}
	q.ctx, q.cancel = context.WithCancelCause(context.Background())
	q.lease = newLease(until, d.config.LeaseTTL, func() { q.cut(errLeaseLost) })
	q.pending.Add(1)
	go q.read()
	signal(q.wake)
	return q
}

// arrived says that there are new rows.
func (q *queue) arrived() {
	q.mu.Lock()
	q.unread = true
	q.mu.Unlock()
	signal(q.wake)
}

// hasEnough says whether nothing needs to be read for now, so that more comes at a time. The caller holds the lock.
func (q *queue) hasEnough() bool { return len(q.sendable) >= 2*q.window }

// elapsed goes on once the receiver's time of quiet is over, and wakes the reader if a retry is due.
func (q *queue) elapsed(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.quiet.IsZero() && !q.quiet.After(now) {
		q.quiet = time.Time{}
		q.startSenders()
	}
	if !q.due.IsZero() && !q.due.After(now) {
		signal(q.wake)
	}
}

// dueBy notes that a retry is due at a time. The caller holds the lock.
func (q *queue) dueBy(at time.Time) {
	if q.due.IsZero() || at.Before(q.due) {
		q.due = at
	}
}

// read fills the queue until it is closed.
func (q *queue) read() {
	defer q.pending.Done()
	for {
		select {
		case <-q.closed:
			return
		case <-q.wake:
		}
		for q.fill() {
		}
	}
}

// capacity is how many items the queue may hold: fewer, the less its receiver copes with, and the more other queues hold some. The caller
// holds the lock.
func (q *queue) capacity() int {
	busy := int(q.d.busy.Load())
	if q.open == 0 {
		busy++ // with us
	}
	return min(aheadPerSender*q.window, max(leastAhead, q.d.config.ReadAhead/busy))
}

// Deliveries of a stream wait until the one before is recorded, so the more are in memory, of the more streams some can be under way. Whoever
// was alone, and has more than a fair share, keeps it until it is sent.
const (
	leastAhead     = 64
	aheadPerSender = 256
)

// hold notes that there are so many items more in memory, or fewer. The caller holds the lock.
func (q *queue) hold(n int) {
	switch was := q.open > 0; {
	case !was && q.open+n > 0:
		q.d.busy.Add(1)
	case was && q.open+n == 0:
		q.d.busy.Add(-1)
	}
	q.open += n
}

// fill reads once, if there is something to read and room for it, and says whether to try again at once.
func (q *queue) fill() bool {
	q.mu.Lock()
	now := q.d.config.Clock()
	due := !q.due.IsZero() && !q.due.After(now)
	room := q.capacity() - q.open
	q.sated = q.hasEnough()
	if q.closing || q.target.fault != nil || q.settling > 0 || !due && (!q.unread || q.sated) || room < q.capacity()/2 {
		q.mu.Unlock()
		return false
	}
	q.reading = true
	r := reading{target: q.target, cursor: q.cursor, now: now, limit: room, lanes: len(q.lanes)}
	if due {
		r.due, r.limit = true, room/2+1 // half of the room at most: retries must not keep what is new from being sent
		r.retries = maps.Clone(q.retries)
	} else {
		q.unread = false
	}
	q.mu.Unlock()

	page, err := q.fetch(r)

	q.mu.Lock()
	defer q.mu.Unlock()
	q.reading = false
	if err != nil {
		q.unread = q.unread || !r.due
		if q.ctx.Err() == nil {
			q.d.log.Error("reading deliveries failed", "webhook", q.target.id, "error", err, "cause", errors.Unwrap(err))
			time.AfterFunc(time.Second, func() { signal(q.wake) })
		}
	} else if r.due {
		q.due = page.nextDue
	} else {
		q.cursor = page.cursor
		q.unread = q.unread || page.full
	}
	for _, it := range page.items {
		q.admit(it)
	}
	q.settle()
	q.startSenders()
	return err == nil && (q.unread || page.full)
}

// admit takes an item in. The caller holds the lock.
func (q *queue) admit(it *item) {
	l := q.lanes[it.lane]
	switch {
	case l != nil && it.retry: // it is in memory already, or it was asked for again while a later one is
		l.passed = l.passed || !q.retries[it.key]
		return
	case l != nil:
		l.waiting, l.last = append(l.waiting, it), it.occurrence.Version
	default:
		q.lanes[it.lane] = &lane{last: it.occurrence.Version}
		q.sendable = append(q.sendable, it)
	}
	q.hold(1)
	if it.retry {
		q.retries[it.key] = true
	}
}

// startSenders starts as many senders as there is work for, and as the receiver and the process allow. The caller holds the lock.
func (q *queue) startSenders() {
	for q.senders < q.window && q.mayBegin() {
		own := !q.own
		if !own && !q.d.slots.take(q) {
			return
		}
		if own {
			q.own = true
		}
		q.senders++
		q.pending.Add(1)
		go q.sendFrom(q.pop(), own)
	}
}

// mayBegin says whether there is an item to send and an attempt may begin now. The caller holds the lock.
func (q *queue) mayBegin() bool {
	if q.closing || q.target.fault != nil || len(q.sendable) == 0 || q.d.config.Clock().Before(q.quiet) {
		return false
	}
	// No more attempts are under way than may fail: a circuit that opens after so many failures has seen exactly so many.
	if openAt := q.target.profile.Circuit.OpenAt; openAt > 0 && q.atRisk > 0 && q.failures+q.atRisk >= openAt {
		return false // until something is recorded
	}
	if wait := q.bucket.wait(q.target.rateLimit, q.d.config.Clock()); wait > 0 {
		if q.pausing == nil {
			q.pausing = time.AfterFunc(wait, q.resume)
		}
		return false
	}
	return true
}

// resume goes on after a pause.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pausing = nil
	q.startSenders()
}

// pop takes the next item, of which mayBegin has just said that it may be sent.
func (q *queue) pop() *item {
	it := q.sendable[0]
	q.sendable[0] = nil
	q.sendable = q.sendable[1:]
	if q.sated && !q.hasEnough() {
		q.sated = false
		signal(q.wake)
	}
	q.atRisk++
	q.bucket.spend()
	return it
}

// sendFrom sends an item, and then others for as long as there are any.
func (q *queue) sendFrom(it *item, own bool) {
	defer q.pending.Done()
	for it != nil {
		if o := q.attempt(it); o != nil {
			q.finish(o)
		}
		q.mu.Lock()
		it = nil
		if q.senders <= q.window && (own || !q.d.slots.contended()) && q.mayBegin() {
			it = q.pop()
			q.mu.Unlock()
			continue
		}
		q.senders--
		if own {
			q.own = false
		}
		q.mu.Unlock()
		if !own {
			q.d.slots.release()
		}
		q.mu.Lock()
		q.startSenders() // in the queue's own slot, where this one was given up for others
		q.mu.Unlock()
	}
}

// attempt renders and sends an item. It returns nil where nothing is to be recorded, because the webhook is not ours any more.
func (q *queue) attempt(it *item) *outcome {
	q.mu.Lock()
	t := q.target
	q.mu.Unlock()
	o := &outcome{queue: q, item: it, startedAt: q.d.config.Clock(), circuit: t.profile.Circuit}
	message, err := q.render(t, it)
	switch {
	case err != nil && q.ctx.Err() != nil:
		return nil
	case errors.As(err, new(errFilter)):
		q.d.config.Metrics.Filters.Inc()
		if !t.complained.Swap(true) {
			q.d.log.Warn("a webhook's filter cannot be applied to an event, which counts as no match; more of the kind are not reported until the webhook is changed",
				"webhook", t.id, "event", it.occurrence.ID, "error", err)
		}
		o.kind = skipped
		return o
	case errors.Is(err, profile.ErrNothingToSay):
		o.kind = skipped
		return o
	case err != nil:
		o.fail(t, "render: the body could not be rendered: "+err.Error(), q.d.config.Pause)
		return o
	case !q.lease.wait(q.ctx):
		return nil
	}
	q.d.config.Metrics.underWay.Inc()
	a := q.d.send.attempt(q.ctx, t, message)
	q.d.config.Metrics.underWay.Dec()
	a.excerpt = q.d.states.conceal(a.excerpt, it)
	o.response(t, a, q.d.config.Pause)
	switch {
	case a.answered:
	case context.Cause(q.ctx) == errLeaseLost:
		return nil
	case q.ctx.Err() != nil:
		o.kind, o.verdict, o.problem, o.dueAt = failed, "", "stopped: "+errStopped.Error()+" before the receiver answered", o.startedAt
	}
	// What becomes of an event that tells of a webhook's trouble counts for nobody's: else trouble could make trouble for ever.
	if it.occurrence.Stream.Aggregate == operational && o.verdict != gone {
		o.verdict = ""
	}
	return o
}

// render renders an item, again and again for as long as the database cannot be read: that says nothing about the delivery.
func (q *queue) render(t *target, it *item) (profile.Message, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		m, err := q.d.render(q.ctx, t, it)
		if q.ctx.Err() != nil || !errors.As(err, new(*pgerr.Error)) {
			return m, err
		}
		q.d.log.Warn("reading what a delivery shows failed", "webhook", t.id, "event", it.occurrence.ID, "error", err, "cause", errors.Unwrap(err))
		select {
		case <-q.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// operational is the aggregate whose events tell of webhooks' trouble.
const operational = "webhook"

// finish has an outcome recorded.
func (q *queue) finish(o *outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case o.overload && o.askedToSlowDown():
		q.window = 1
		if until := q.d.config.Clock().Add(min(o.retryAfter, maxQuiet)); o.retryAfter > 0 && until.After(q.quiet) {
			q.quiet = until
		}
	case o.overload:
		q.window = max(1, q.window/2)
	case o.kind == delivered:
		q.window = min(q.window+1, q.d.config.SendersPerWebhook)
	}
	if !o.atRisk() {
		q.atRisk--
	}
	if o.kind == skipped {
		q.bucket.refund()
	}
	if o.holds = o.item.retry || q.target.ordered && o.kind == failed; !o.holds {
		q.pending.Add(1)
		q.d.recorder.submit(o)
		return
	}
	q.unsettled = append(q.unsettled, o)
	q.settle()
}

// atRisk says whether the outcome may count as one more failure once it is recorded.
func (o *outcome) atRisk() bool { return o.verdict == failure || o.verdict == gone }

// settle has those outcomes recorded that change what is held back, unless somebody is reading. The caller holds the lock.
func (q *queue) settle() {
	if q.reading {
		return
	}
	for _, o := range q.unsettled {
		if l := q.lanes[o.item.lane]; o.kind == failed {
			o.followers, l.waiting = l.waiting, nil
		}
		q.settling++
		q.pending.Add(1)
		q.d.recorder.submit(o)
	}
	q.unsettled = nil
}

// recorded takes note of outcomes that were recorded or, if lost, cannot be any more because the webhook is not ours.
func (q *queue) recorded(outcomes []*outcome, s standing, lost bool) {
	if lost {
		q.cut(errLeaseLost)
	}
	if s.stopped {
		q.close() // the keeper does the rest
	}
	q.mu.Lock()
	q.failures = s.failures
	for _, o := range outcomes {
		q.hold(-1 - len(o.followers))
		if o.atRisk() {
			q.atRisk--
		}
		if o.item.retry {
			delete(q.retries, o.item.key)
		}
		if o.holds {
			q.settling--
		}
		if o.kind == failed {
			q.dueBy(o.dueAt)
		} else if o.holds {
			q.dueBy(q.d.config.Clock()) // the next of the stream, if there is one, is due now
		}
		l := q.lanes[o.item.lane]
		if l.passed {
			l.passed = false
			q.dueBy(q.d.config.Clock())
		}
		if len(l.waiting) > 0 {
			next := l.waiting[0]
			next.follow(o.item)
			q.sendable = append(q.sendable, next)
			l.waiting[0] = nil // what was sent need not stay in memory for as long as the lane does
			l.waiting = l.waiting[1:]
		} else {
			delete(q.lanes, o.item.lane)
		}
	}
	q.startSenders()
	if q.settling == 0 && q.open <= q.capacity()/2 && (q.unread || !q.due.IsZero()) {
		signal(q.wake)
	}
	q.mu.Unlock()
	q.pending.Add(-len(outcomes))
}

// retarget changes where and how the queue sends from now on.
func (q *queue) retarget(t *target) {
	q.mu.Lock()
	q.target, q.quiet = t, time.Time{}
	q.startSenders() // the rate or the receiver may have changed, or the webhook was reset
	q.mu.Unlock()
	signal(q.wake)
}

// close begins nothing new any more. What is under way goes on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closing {
		q.closing = true
		close(q.closed)
	}
}

// cut closes the queue and cuts off the attempts that are under way.
func (q *queue) cut(cause error) {
	q.close()
	q.cancel(cause)
}

// drain closes the queue, waits until what is under way is recorded, and cuts off what takes longer than grace.
func (q *queue) drain(grace time.Duration) {
	q.close()
	timer := time.AfterFunc(grace, func() { q.cut(errStopped) })
	q.pending.Wait()
	timer.Stop()
	q.lease.end()
	q.cut(errStopped)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold(-q.open) // what was read is forgotten
	if q.pausing != nil {
		q.pausing.Stop()
	}
}
