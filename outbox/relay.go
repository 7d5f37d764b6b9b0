package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// Config configures a [Relay]. DB, Aggregates, History and Sealer are needed.
type Config struct {
	DB         *sql.DB // lib/pq
	Aggregates map[string]*domain.Aggregate
	// History returns, for each stream, all its events from the first up to the version named, in the order of the request.
	History func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error)
	Sealer  *webhook.Sealer
	// Personal opens what is personal in events. Defaults to leaving it erased.
	Personal delivery.Personal

	// ListenDSN is the connection string of DB's database, for a connection of its own that listens for what other processes have
	// done. Defaults to none: then this process looks by itself, at every PollInterval.
	ListenDSN string
	// Metrics counts what is done. Defaults to some that nobody sees.
	Metrics *delivery.Metrics
	// Profiles are the profiles that webhooks may have. Defaults to the native one.
	Profiles profile.Set
	// Clock gives the time of attempts and decides which retries are due. Defaults to time.Now.
	Clock func() time.Time
	// Logger gets what an operator should know. Defaults to slog.Default().
	Logger *slog.Logger
	// Transport makes the requests. Defaults to one of our own, which connects to public addresses and AllowTargets only.
	Transport http.RoundTripper
	// AllowTargets are the networks that webhooks may reach besides public ones. Defaults to none.
	AllowTargets []netip.Prefix
	// BatchSize is how many events are fanned out in one transaction. Defaults to 2000.
	BatchSize int
	// PurgeInterval is how often to look for what is left to do besides: deleted webhooks with deliveries to remove, events to replay, and
	// notices for the owners of webhooks. Defaults to 5 seconds.
	PurgeInterval time.Duration
	// Announce appends what a notice says to the log, within a transaction that removes the notice. Defaults to none: then notices wait
	// for a relay that has it.
	Announce func(ctx context.Context, tx *sql.Tx, workspace string, n webhook.Notice) error
	// Limits bound what this process does at a time.
	Limits delivery.Limits
}

// Relay delivers the log to webhooks. Any number of processes may run one each; they share the work.
type Relay struct {
	config    Config
	deliverer *delivery.Deliverer
	running   atomic.Bool
	wake      chan struct{} // there are new events
	purge     chan struct{} // webhooks were deleted, perhaps
	replay    chan struct{} // a replay was asked for, perhaps
	notices   chan struct{} // there are notices

	beforeAck func() // for tests: see fanOut
}

// ErrRunning says that the relay runs already.
var ErrRunning = delivery.ErrRunning

// New returns a relay. It touches neither the database nor the network yet.
func New(config Config) (*Relay, error) {
	if config.Profiles == nil {
		config.Profiles = profile.NewSet(profile.Native(config.Aggregates))
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	config.BatchSize = cmp.Or(config.BatchSize, DefaultBatchSize)
	config.PurgeInterval = cmp.Or(config.PurgeInterval, 5*time.Second)
	config.Limits.PollInterval = cmp.Or(config.Limits.PollInterval, 100*time.Millisecond)
	r := &Relay{config: config, wake: make(chan struct{}, 1), purge: make(chan struct{}, 1), replay: make(chan struct{}, 1), notices: make(chan struct{}, 1)}
	var err error
	r.deliverer, err = delivery.New(delivery.Config{
		DB: config.DB, Aggregates: config.Aggregates, History: config.History, Sealer: config.Sealer, Personal: config.Personal, Profiles: config.Profiles,
		Clock: config.Clock, Logger: config.Logger, Transport: config.Transport, AllowTargets: config.AllowTargets, Limits: config.Limits,
		Metrics: config.Metrics, Noticed: func() { signal(r.notices) },
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Run relays until ctx ends; then it finishes what is under way, within limits, and returns nil. It returns [ErrRunning] where it runs
// already, and a database error where it could not start; afterwards it rides out whatever happens to the database.
func (r *Relay) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer r.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()

	made := func(webhooks []int64) { tellOwners(ctx, r.config.DB, r.deliverer.Wake(webhooks)) }
	f := &fanOut{log: r.config.Logger, poll: r.config.Limits.PollInterval, wake: r.wake, made: made, beforeAck: r.beforeAck}
	fanOut, err := f.run(ctx, r.config.DB, r.config.BatchSize)
	if err != nil && ctx.Err() != nil {
		return nil // stopped before it began
	}
	if err != nil {
		return err
	}
	helpers.Go(fanOut)
	helpers.Go(func() { r.chore(ctx, r.purge, "removing deliveries of deleted webhooks", r.removeDeleted) })
	helpers.Go(func() { r.chore(ctx, r.replay, "replaying events", r.replayEvents) })
	if r.config.Announce != nil {
		helpers.Go(func() { r.chore(ctx, r.notices, "telling webhooks' owners", r.announce) })
	}
	if r.config.ListenDSN != "" {
		helpers.Go(func() { r.listen(ctx) })
	}
	return r.deliverer.Run(ctx)
}

// Wake says that events were appended. It costs next to nothing, so whoever appends may call it after every commit. It returns whether
// the relay is running.
func (r *Relay) Wake() bool {
	signal(r.wake)
	return r.running.Load()
}

// Refresh says that webhooks were made, changed, reset or deleted, or that something is to be sent again, so that this process sees it at
// once and not at the next look.
func (r *Relay) Refresh() {
	r.deliverer.Refresh()
	signal(r.purge)
	signal(r.replay)
	signal(r.notices)
}

// signal wakes whoever waits on c, or will; several signals are one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// chore works until there is nothing more to do, again and again: when it is called, and from time to time.
func (r *Relay) chore(ctx context.Context, called <-chan struct{}, what string, work func(context.Context) (more bool, err error)) {
	ticker := time.NewTicker(r.config.PurgeInterval)
	defer ticker.Stop()
	for {
		more, err := work(ctx)
		if err != nil && ctx.Err() == nil {
			r.config.Logger.Warn(what+" failed", "error", err, "cause", errors.Unwrap(err))
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-called:
		}
	}
}

// How much one statement of a chore takes on.
const (
	purgeBatch  = 5000 // deliveries of a deleted webhook
	replayBatch = 1000 // events
	noticeBatch = 100
)

func (r *Relay) removeDeleted(ctx context.Context) (more bool, err error) {
	return webhook.Purge(ctx, r.config.DB, delivery.Consumer, purgeBatch)
}

func (r *Relay) replayEvents(ctx context.Context) (more bool, err error) {
	more, err = delivery.ReplayStep(ctx, r.config.DB, replayBatch)
	if more {
		r.deliverer.Refresh() // which finds what is due
	}
	return more, err
}

func (r *Relay) announce(ctx context.Context) (more bool, err error) {
	return webhook.Announce(ctx, r.config.DB, noticeBatch, r.config.Announce)
}
