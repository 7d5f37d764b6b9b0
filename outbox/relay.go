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
	// PurgeInterval is how often to look for deleted webhooks with deliveries to remove. Defaults to 5 seconds.
	PurgeInterval time.Duration
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
	deliverer, err := delivery.New(delivery.Config{
		DB: config.DB, Aggregates: config.Aggregates, History: config.History, Sealer: config.Sealer, Profiles: config.Profiles,
		Clock: config.Clock, Logger: config.Logger, Transport: config.Transport, AllowTargets: config.AllowTargets, Limits: config.Limits,
		Metrics: config.Metrics,
	})
	if err != nil {
		return nil, err
	}
	return &Relay{config: config, deliverer: deliverer, wake: make(chan struct{}, 1), purge: make(chan struct{}, 1)}, nil
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
	helpers.Go(func() { r.removeDeleted(ctx) })
	if r.config.ListenDSN != "" {
		helpers.Go(func() { r.listen(ctx) })
	}
	return r.deliverer.Run(ctx)
}

// Wake says that events were appended. It costs next to nothing, so whoever appends may call it after every commit. It returns whether
// the relay is running.
func (r *Relay) Wake() bool {
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return r.running.Load()
}

// Refresh says that webhooks were made, changed or deleted, so that this process sees it at once and not at the next look.
func (r *Relay) Refresh() {
	r.deliverer.Refresh()
	select {
	case r.purge <- struct{}{}:
	default:
	}
}

// purgeBatch is how many deliveries of a deleted webhook are removed in one statement.
const purgeBatch = 5000

// removeDeleted removes the open deliveries of deleted webhooks.
func (r *Relay) removeDeleted(ctx context.Context) {
	ticker := time.NewTicker(r.config.PurgeInterval)
	defer ticker.Stop()
	for {
		more, err := webhook.Purge(ctx, r.config.DB, delivery.Consumer, purgeBatch)
		if err != nil && ctx.Err() == nil {
			r.config.Logger.Warn("removing deliveries of deleted webhooks failed", "error", err, "cause", errors.Unwrap(err))
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.purge:
		}
	}
}
