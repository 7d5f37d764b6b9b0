// Package delivery sends what the fan-out laid out: it owns webhooks through leases, reads their deliveries ahead, sends them, and
// records what became of each. Package outbox tells the whole story and why it holds.
//
// A delivery's way through this package, top down:
//
//	keeper.go    which webhooks are ours
//	queue.go     one webhook's deliveries in memory: whose turn is it?
//	read.go      from the tables into memory, with the event and the state around it (states.go)
//	settings.go  where and how a webhook is delivered to
//	bucket.go    how often, at most
//	send.go      one attempt (transport.go: over the wire; target.go: to whom we may connect)
//	record.go    what came of it, many at a time
//	show.go      looking at deliveries from outside
//	resend.go    sending them again
//	test.go      sending samples
package delivery

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// Consumer is the name of the checkpoint up to which events have become deliveries.
const Consumer = "deliveries"

// Config configures a [Deliverer]. DB, Aggregates, History, Sealer and Profiles are needed.
type Config struct {
	DB         *sql.DB // lib/pq
	Aggregates map[string]*domain.Aggregate
	// History returns, for each stream, all its events from the first up to the version named, in the order of the request.
	History  func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error)
	Sealer   *webhook.Sealer
	Profiles profile.Set
	// Personal opens what is personal in the events that are read here; those of History come open. Defaults to leaving it erased.
	Personal Personal

	// Clock gives the time of attempts and decides which retries are due. Defaults to time.Now.
	Clock func() time.Time
	// Logger gets what an operator should know. Defaults to slog.Default().
	Logger *slog.Logger
	// Transport makes the requests. Defaults to one of our own, which connects to public addresses and AllowTargets only.
	Transport http.RoundTripper
	// AllowTargets are the networks that webhooks may reach besides public ones. Defaults to none.
	AllowTargets []netip.Prefix
	// Metrics counts what is done. Defaults to some that nobody sees.
	Metrics *Metrics
	// Pause draws the pause before a retry, given the longest. Defaults to an even draw from zero to it.
	Pause func(longest time.Duration) time.Duration

	// Noticed is called when there is something to tell webhooks' owners: see the table notices. Defaults to nothing.
	Noticed func()

	Limits
}

// Personal opens what is personal in events: see package vault, which does it for the log.
type Personal interface {
	// Open opens events in place, with one look for all their keys.
	Open(ctx context.Context, tx *sql.Tx, events []*domain.Recorded) error
	// Destroyed says which keys are gone, with which events were opened a while ago.
	Destroyed(ctx context.Context, tx *sql.Tx, keys []uuid.UUID) ([]uuid.UUID, error)
}

// erased is a [Personal] without keys.
type erased struct{}

func (erased) Open(_ context.Context, _ *sql.Tx, events []*domain.Recorded) error {
	var errs []error
	for _, r := range events {
		errs = append(errs, r.Erase())
	}
	return errors.Join(errs...)
}

func (erased) Destroyed(context.Context, *sql.Tx, []uuid.UUID) ([]uuid.UUID, error) { return nil, nil }

// Limits bound what one process does at a time.
type Limits struct {
	// SendersPerWebhook is how many requests are under way to one webhook. Defaults to 64.
	SendersPerWebhook int
	// Senders is how many requests are under way in all, besides one for each webhook, which it can always have. Defaults to 1024.
	Senders int
	// ReadAhead is how many deliveries are in memory. Webhooks with something to send share it evenly; each can have 64, however many
	// there are, and has at most 256 for each sender that its receiver copes with. Defaults to 16384.
	ReadAhead int
	// Readers is how many webhooks read ahead at the same time, each with a database connection. Defaults to 4.
	Readers int
	// RecordBatch is how many outcomes are recorded in one statement. Defaults to 1000.
	RecordBatch int
	// States is how many folded states of aggregates are kept to render bodies from. Defaults to 4096.
	States int
	// LeaseTTL is after what time without renewal another process takes a webhook over. Defaults to 5 seconds.
	LeaseTTL time.Duration
	// RenewInterval is how often leases are renewed, and changes of webhooks noticed. Defaults to a fifth of LeaseTTL.
	RenewInterval time.Duration
	// PollInterval is how often to look for what another process fanned out, and for retries that are due. Defaults to 100 ms.
	PollInterval time.Duration
	// StopGrace is how long attempts under way may take to finish when the relay stops. Defaults to 10 seconds.
	StopGrace time.Duration
}

func (l Limits) withDefaults() Limits {
	l.SendersPerWebhook = cmp.Or(l.SendersPerWebhook, 64)
	l.Senders = cmp.Or(l.Senders, 1024)
	l.ReadAhead = cmp.Or(l.ReadAhead, 16384)
	l.Readers = cmp.Or(l.Readers, 4)
	l.RecordBatch = cmp.Or(l.RecordBatch, 1000)
	l.States = cmp.Or(l.States, 4096)
	l.LeaseTTL = cmp.Or(l.LeaseTTL, 5*time.Second)
	l.RenewInterval = cmp.Or(l.RenewInterval, l.LeaseTTL/5)
	l.PollInterval = cmp.Or(l.PollInterval, 100*time.Millisecond)
	l.StopGrace = cmp.Or(l.StopGrace, 10*time.Second)
	return l
}

// Deliverer is one process's part in delivering.
type Deliverer struct {
	config   Config
	id       uuid.UUID
	log      *slog.Logger
	send     sender
	states   *states
	messages *lru.Cache[messageKey, keptMessage]
	owned    atomic.Int64 // queues
	busy     atomic.Int64 // of these, or of those that are being drained, with items in memory
	slots    slots
	readers  chan struct{} // a token for each reader

	statements statements
	recorder   *recorder
	keeper     *keeper

	running atomic.Bool
	changed chan struct{} // webhooks changed: look at them now

	mu     sync.Mutex
	queues map[int64]*queue // by the webhook's number

	// For tests, which crash us here: beforeRecord stands between the answers of receivers and their record.
	beforeRecord func()
}

// ErrRunning says that a [Deliverer] or relay runs already.
var ErrRunning = errors.New("the relay is running already")

// New returns a deliverer. It touches neither the database nor the network yet.
func New(config Config) (*Deliverer, error) {
	if config.DB == nil || config.History == nil || config.Sealer == nil || len(config.Aggregates) == 0 || len(config.Profiles) == 0 {
		return nil, errors.New("delivery: DB, Aggregates, History, Sealer and Profiles are needed")
	}
	config.Limits = config.Limits.withDefaults()
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Transport == nil {
		config.Transport = NewTransport(config.AllowTargets, config.Limits)
	}
	if config.Pause == nil {
		config.Pause = func(longest time.Duration) time.Duration { return rand.N(longest + 1) }
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics()
	}
	if config.Personal == nil {
		config.Personal = erased{}
	}
	states, err := newStates(config.Aggregates, config.History, config.Personal, config.States)
	if err != nil {
		return nil, err
	}
	messages, err := lru.New[messageKey, keptMessage](keptMessages)
	if err != nil {
		return nil, err
	}
	d := &Deliverer{
		messages: messages,
		config:   config,
		log:      config.Logger,
		send:     sender{transport: config.Transport, clock: config.Clock},
		states:   states,
		slots:    slots{free: config.Senders},
		readers:  make(chan struct{}, config.Readers),
		changed:  make(chan struct{}, 1),
		queues:   map[int64]*queue{},
	}
	return d, nil
}

// Run delivers until ctx ends. It then lets attempts under way finish, for a while, records them, and gives its webhooks back. It
// returns an error where it could not start; afterwards it rides out whatever happens to the database.
func (d *Deliverer) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer d.running.Store(false)
	if err := d.statements.prepare(ctx, d.config.DB); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	defer d.statements.close()

	d.id = uuid.New() // a new one for every run: what an earlier one left behind is a stranger's
	d.log = d.config.Logger.With("relay", d.id)
	d.log.Info("the relay runs")
	defer d.log.Info("the relay has stopped")
	d.config.Metrics.deliverer.Store(d)
	d.recorder = newRecorder(d)
	d.keeper = newKeeper(d)
	var helpers sync.WaitGroup
	helping, stop := context.WithCancel(context.WithoutCancel(ctx))
	helpers.Go(func() { d.recorder.run(helping) })
	helpers.Go(func() { d.poll(helping) })
	d.keeper.run(ctx) // returns when every queue is done with
	stop()
	helpers.Wait()
	if t, ok := d.config.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// Wake says that there are new deliveries for these webhooks. It returns those that are not this process's.
func (d *Deliverer) Wake(webhooks []int64) (others []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, number := range webhooks {
		if q := d.queues[number]; q != nil {
			q.arrived()
		} else {
			others = append(others, number)
		}
	}
	return others
}

// WakeAll says that there may be new deliveries.
func (d *Deliverer) WakeAll() {
	for _, q := range d.snapshot() {
		q.arrived()
	}
}

// Refresh says that webhooks were made, changed or deleted. They are looked at now instead of at the next renewal.
func (d *Deliverer) Refresh() { signal(d.changed) }

// poll wakes queues whose retries are due, and those for which another process has made deliveries.
func (d *Deliverer) poll(ctx context.Context) {
	ticker := time.NewTicker(d.config.PollInterval)
	defer ticker.Stop()
	var seen key
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := d.config.Clock()
		queues := d.snapshot()
		for _, q := range queues {
			q.elapsed(now)
		}
		upTo, err := d.statements.fannedOut(ctx)
		if err == nil && upTo != seen {
			var waiting []int64
			if waiting, err = d.statements.unread(ctx, queues); err == nil {
				seen = upTo
				d.Wake(waiting)
			}
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("looking for new deliveries failed", "error", err, "cause", errors.Unwrap(err))
		}
	}
}

// snapshot returns the queues as they are now.
func (d *Deliverer) snapshot() []*queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	queues := make([]*queue, 0, len(d.queues))
	for _, q := range d.queues {
		queues = append(queues, q)
	}
	return queues
}

// signal wakes whoever waits on c, or will; several signals are one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
