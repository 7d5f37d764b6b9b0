package waybill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/webhook"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/migrations"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/projections"
)

// Engine runs aggregates on one database, which is the caller's. It is safe for concurrent use.
//
// An Engine is itself the workspace "default": engine.Execute(…) is engine.Workspace("default").Execute(…).
type Engine struct {
	*defaultWorkspace

	db         *sql.DB
	config     Config
	vault      *vault.Vault
	store      *eventstore.Store
	aggregates map[string]*domain.Aggregate
	cache      *lru.Cache[cacheKey, entry] // nil where nothing is to be kept
	turns      turns
	relays     relays
	herald     outbox.Herald
	profiles   func() profile.Set // made when it is first asked for
	deliveries *delivery.Metrics
	views      *projections.Runner
}

// Migrate brings the database to the schema that this program needs. Several processes may call it at once. It returns a
// [*migrations.NewerSchemaError] where a newer program was here before.
func Migrate(ctx context.Context, db *sql.DB) error {
	_, err := migrations.Up(ctx, db)
	return err
}

// New returns an engine on db, which must be opened with lib/pq ("postgres"). It checks every machine's table, and returns what is
// wrong with them; it does not touch the database yet.
func New(db *sql.DB, config Config) (*Engine, error) { return newEngine(db, config, time.Now) }

func newEngine(db *sql.DB, config Config, watch func() time.Time) (*Engine, error) {
	if db == nil {
		return nil, errors.New("the database is nil: give what sql.Open returned")
	}
	config = config.withDefaults()
	keys, err := vault.New(vault.Config{DB: db, MasterKeys: config.masterKeys(), Watch: watch})
	if err != nil {
		return nil, err
	}
	store := eventstore.New(db, eventstore.WithVault(keys))
	e := &Engine{db: db, config: config, vault: keys, store: store, aggregates: map[string]*domain.Aggregate{}}
	e.herald.DB, e.deliveries = db, delivery.NewMetrics()
	for _, a := range append(slices.Clone(config.Aggregates), webhook.Aggregate()) {
		if a == nil {
			return nil, errors.New("one of Config.Aggregates is nil")
		}
		if err := a.Check(); err != nil {
			return nil, err
		}
		if _, taken := e.aggregates[a.Name]; taken {
			return nil, fmt.Errorf("two aggregates are named %q", a.Name)
		}
		e.aggregates[a.Name] = a
	}
	for _, p := range config.Profiles {
		if p == nil || p.Name == "" {
			return nil, errors.New("one of Config.Profiles is nil, or has no name")
		}
	}
	if e.views, err = projections.New(projections.Config{
		DB: db, Projections: config.Projections, Personal: keys, Holding: vault.Holding{Vault: keys}, Logger: config.Logger, Listen: config.listen(),
	}); err != nil {
		return nil, err
	}
	if config.CacheSize > 0 {
		e.cache, _ = lru.New[cacheKey, entry](config.CacheSize) // fails only for sizes below one
	}
	if config.Metrics != nil {
		for _, metrics := range []prometheus.Collector{e.store.Metrics(), e.deliveries, outbox.LagMetrics{DB: db}, e.views.Metrics()} {
			if err := config.Metrics.Register(metrics); err != nil {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	e.profiles = sync.OnceValue(func() profile.Set {
		set := profile.All(e.aggregates)
		for _, p := range config.Profiles {
			set[p.Name] = p
		}
		return set
	})
	e.defaultWorkspace = e.Workspace(DefaultWorkspace)
	return e, nil
}

// Close ends telling other processes of what is appended, and waits for a message that is under way. An engine has nothing else to close:
// a program that ends without Close loses nothing, and everything else works on.
func (e *Engine) Close() { e.herald.Close() }

// Log returns the engine's own store of events, for whoever reads more of the log than one stream. It opens what is personal in them.
func (e *Engine) Log() *eventstore.Store { return e.store }

// Wake says that a transaction was committed in which [Workspace.ExecuteTx] appended something, so that relays and
// views need not find out by looking.
//
// Those of this process are told at once. Where it does not run both, those of others may be waiting for these events, and are told as well;
// a relay that runs here tells by itself whom its deliveries concern.
func (e *Engine) Wake() {
	relays, views := e.relays.wake(), e.views.Wake()
	if !relays || !views {
		e.herald.Announce()
	}
}

// Workspace returns the workspace with that name, 1–64 of A–Z a–z 0–9 _ -. It need not be created; a name of another form makes
// every call on it fail with a [*domain.InvalidCommandError].
func (e *Engine) Workspace(name string) *Workspace {
	return &Workspace{engine: e, name: name, misnamed: !workspaceName.MatchString(name)}
}

// defaultWorkspace lets an Engine have the methods of a Workspace beside a method of that name.
type defaultWorkspace = Workspace

// Workspace is one tenant's part of an engine. Its streams, webhooks and keys are out of reach for every other.
type Workspace struct {
	engine   *Engine
	name     string
	misnamed bool
}

// Name is the workspace's name.
func (w *Workspace) Name() string { return w.name }

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (w *Workspace) check(op string) error {
	if w.misnamed {
		return &domain.InvalidCommandError{Command: op, Fields: []domain.FieldError{
			{Field: "workspace", Message: fmt.Sprintf("%.80q is not a name: use 1 to 64 of A-Z a-z 0-9 _ -", w.name)}}}
	}
	return nil
}
