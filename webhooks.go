package waybill

import (
	"context"
	"errors"
	"sync"

	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// ErrNoMasterKey says that webhooks need [Config.MasterKey], which seals their secrets.
var ErrNoMasterKey = errors.New("webhooks need a master key of 32 bytes to seal their secrets: set Config.MasterKey, or WAYBILL_MASTER_KEY for the command line")

// Relay returns a relay that delivers the log of every workspace to its webhooks, while its Run is running. Any number of processes
// may run one each; they share the work. It returns [ErrNoMasterKey] without [Config.MasterKey].
func (e *Engine) Relay() (*outbox.Relay, error) {
	sealer, err := e.sealer()
	if err != nil {
		return nil, err
	}
	relay, err := outbox.New(outbox.Config{
		DB:           e.db,
		Aggregates:   e.aggregates,
		History:      e.store.StreamsAt,
		Sealer:       sealer,
		Profiles:     e.profiles(),
		Clock:        e.config.Now,
		Logger:       e.config.Logger,
		AllowTargets: e.config.AllowTargets,
	})
	if err != nil {
		return nil, err
	}
	e.relays.add(relay)
	return relay, nil
}

// CreateWebhook makes a subscription. It is told of every event that is committed after it. The secret is returned here and never
// again. It returns a [*webhook.InvalidError] or a [*webhook.NameTakenError].
func (w *Workspace) CreateWebhook(ctx context.Context, n webhook.New) (webhook.Webhook, webhook.Secret, error) {
	store, err := w.webhooks("create a webhook")
	if err != nil {
		return webhook.Webhook{}, "", err
	}
	defer w.engine.relays.refresh()
	return store.Create(ctx, w.name, n)
}

// Webhook returns one subscription, or a [*domain.NotFoundError].
func (w *Workspace) Webhook(ctx context.Context, id string) (webhook.Webhook, error) {
	store, err := w.webhooks("read a webhook")
	if err != nil {
		return webhook.Webhook{}, err
	}
	return store.Get(ctx, w.name, id)
}

// Webhooks returns a page of up to limit subscriptions, in the order in which they were made, and the cursor of the next page, which
// is empty at the end.
func (w *Workspace) Webhooks(ctx context.Context, cursor string, limit int) (page []webhook.Webhook, next string, err error) {
	store, err := w.webhooks("list webhooks")
	if err != nil {
		return nil, "", err
	}
	return store.List(ctx, w.name, cursor, limit)
}

// DeleteWebhook ends a subscription: nothing more is delivered to it. It returns a [*domain.NotFoundError] where there is none.
func (w *Workspace) DeleteWebhook(ctx context.Context, id string) error {
	store, err := w.webhooks("delete a webhook")
	if err != nil {
		return err
	}
	defer w.engine.relays.refresh()
	return store.Delete(ctx, w.name, id)
}

func (w *Workspace) webhooks(op string) (*webhook.Store, error) {
	if err := w.check(op); err != nil {
		return nil, err
	}
	sealer, err := w.engine.sealer()
	if err != nil {
		return nil, err
	}
	return webhook.NewStore(webhook.Config{
		DB: w.engine.db, Sealer: sealer, Profiles: w.engine.profiles(), AllowHTTP: w.engine.config.AllowHTTP, Clock: w.engine.config.Now,
	})
}

func (e *Engine) sealer() (*webhook.Sealer, error) {
	if len(e.config.MasterKey) == 0 {
		return nil, ErrNoMasterKey
	}
	return webhook.NewSealer(e.config.MasterKey)
}

func (e *Engine) profiles() profile.Set { return profile.All(e.aggregates) }

// relays are those of this process. They are told at once of what they would else find out a little later.
type relays struct {
	mu  sync.RWMutex
	all []*outbox.Relay
}

func (r *relays) add(relay *outbox.Relay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, relay)
}

// wake says that there are new events.
func (r *relays) wake() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, relay := range r.all {
		relay.Wake()
	}
}

// refresh says that webhooks have changed.
func (r *relays) refresh() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, relay := range r.all {
		relay.Refresh()
	}
}
