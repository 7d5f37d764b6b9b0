package waybill

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/stock"
	"github.com/waybill-dev/waybill/domain/subscription"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/projections"
)

// Default values of [Config].
const (
	DefaultWorkspace = "default"
	DefaultCacheSize = 10_000
)

// Config tunes an [Engine]. The zero Config works.
type Config struct {
	// Aggregates are the kinds of streams that the engine runs.
	// Defaults to [Aggregates]: all that there are.
	Aggregates []*domain.Aggregate

	// Projections are the views that the engine keeps. To one of [projections.Inline] every append writes in its own transaction.
	// Defaults to [Projections]: orders, shipments, daily and lifecycle.
	Projections []*projections.Projection

	// Profiles are further profiles that webhooks can have, besides those that come with Waybill; one of the same name takes their place.
	// Defaults to none.
	Profiles []*profile.Profile

	// CacheSize is how many folded aggregates are kept in memory, so that repeated commands on them need not read their streams.
	// It has no influence on what is decided: the database alone says whether a cached state is current.
	// Defaults to 10,000. A negative size keeps none.
	CacheSize int

	// MasterKey seals webhooks' secrets at rest, and the keys of customers: 32 bytes. Every process that works on the same database needs
	// the same.
	// Defaults to none: then webhooks can neither be made nor delivered to, and customers' keys are stored as they are.
	MasterKey []byte

	// Forgetters are told, in the same transaction, when a customer is to be forgotten.
	// Defaults to none.
	Forgetters []Forgetter

	// AllowTargets lists address ranges that webhooks may reach although they are not public, such as 127.0.0.0/8 in development.
	// Defaults to none.
	AllowTargets []netip.Prefix

	// AllowHTTP lets webhooks have plain http URLs, as in development.
	// Defaults to false: https only.
	AllowHTTP bool

	// Now is the clock.
	// Defaults to time.Now.
	Now func() time.Time

	// ListenDSN is the connection string of the same database. A relay makes a connection of its own with it, on which other processes
	// tell it that there is something to do; so does what keeps the views.
	// Defaults to none: then they find what other processes have done by looking, every 100 ms.
	ListenDSN string

	// Metrics, where given, gets the engine's Prometheus metrics registered; their names begin with waybill_.
	// Defaults to none.
	Metrics prometheus.Registerer

	// Logger receives what an operator should know.
	// Defaults to discarding everything.
	Logger *slog.Logger
}

// Aggregates are all kinds of streams that this program knows, the order first.
func Aggregates() []*domain.Aggregate {
	return []*domain.Aggregate{
		order.Aggregate(),
		stock.Aggregate(),
		batch.Aggregate(),
		gift.Aggregate(),
		customer.Aggregate(),
		customer.SubscriptionAggregate(),
		customer.PasswordResetAggregate(),
		imports.Aggregate(),
		subscription.SubscriberAggregate(),
		subscription.ItemAggregate(),
	}
}

// listen is how views hear of what other processes append; nil where they do not.
func (c Config) listen() func(context.Context, func()) {
	if c.ListenDSN == "" {
		return nil
	}
	return func(ctx context.Context, heard func()) { outbox.Listen(ctx, c.ListenDSN, c.Logger, heard) }
}

func (c Config) masterKeys() [][]byte {
	if len(c.MasterKey) == 0 {
		return nil
	}
	return [][]byte{c.MasterKey}
}

func (c Config) withDefaults() Config {
	if len(c.Aggregates) == 0 {
		c.Aggregates = Aggregates()
	}
	if c.Projections == nil {
		c.Projections = Projections()
	}
	c.CacheSize = cmp.Or(c.CacheSize, DefaultCacheSize)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return c
}
