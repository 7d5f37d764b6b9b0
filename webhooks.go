package waybill

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	notice "github.com/waybill-dev/waybill/domain/webhook"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/delivery"
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
		Personal:     e.vault,
		Profiles:     e.profiles(),
		Clock:        e.config.Now,
		Logger:       e.config.Logger,
		AllowTargets: e.config.AllowTargets,
		ListenDSN:    e.config.ListenDSN,
		Metrics:      e.deliveries,
		Announce:     e.announce,
	})
	if err != nil {
		return nil, err
	}
	e.relays.add(relay)
	return relay, nil
}

// announce makes history of a notice.
func (e *Engine) announce(ctx context.Context, tx *sql.Tx, workspace string, n webhook.Notice) error {
	report := notice.Report{
		WebhookID: n.Webhook, Kind: n.Kind, Name: n.Name, URL: n.URL, Profile: n.Profile,
		ConsecutiveFailures: n.ConsecutiveFailures, Reason: n.Reason, OccurredAt: n.At,
	}
	if !n.FailingSince.IsZero() {
		report.FailingSince = &n.FailingSince
	}
	_, err := e.Workspace(workspace).ExecuteTx(ctx, tx, report, Actor("relay"))
	return err
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

// CreateWebhookTx is [Workspace.CreateWebhook] within the caller's transaction, which a refusal leaves usable. Once that is committed,
// [Engine.WebhooksChanged] saves relays the second that it takes them to notice.
func (w *Workspace) CreateWebhookTx(ctx context.Context, tx *sql.Tx, n webhook.New) (webhook.Webhook, webhook.Secret, error) {
	store, err := w.webhooks("create a webhook")
	if err != nil {
		return webhook.Webhook{}, "", err
	}
	return store.CreateTx(ctx, tx, w.name, n)
}

// WebhooksChanged says that a transaction was committed in which [Workspace.CreateWebhookTx] made a webhook, so that the relays of this
// process need not find out by looking.
func (e *Engine) WebhooksChanged() { e.relays.refresh() }

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

// UpdateWebhook changes a subscription; attempts that begin afterwards follow it. It returns a [*webhook.InvalidError], a
// [*webhook.NameTakenError] or a [*domain.NotFoundError].
func (w *Workspace) UpdateWebhook(ctx context.Context, id string, u webhook.Update) (webhook.Webhook, error) {
	store, err := w.webhooks("update a webhook")
	if err != nil {
		return webhook.Webhook{}, err
	}
	defer w.engine.relays.refresh()
	return store.Update(ctx, w.name, id, u)
}

// RotateWebhookSecret gives a subscription a new secret: the given one, or a random one where that is empty. The old one signs beside it
// until the time returned. The secret is returned here and never again. It returns a [*webhook.InvalidError] or a [*domain.NotFoundError].
func (w *Workspace) RotateWebhookSecret(ctx context.Context, id string, given webhook.Secret) (webhook.Secret, time.Time, error) {
	store, err := w.webhooks("rotate a webhook's secret")
	if err != nil {
		return "", time.Time{}, err
	}
	defer w.engine.relays.refresh()
	return store.RotateSecret(ctx, w.name, id, given)
}

// ResetWebhook closes a subscription's circuit, forgets its failures, and enables it where they had disabled it. What waits goes out, in
// order. It returns a [*domain.NotFoundError] where there is none.
func (w *Workspace) ResetWebhook(ctx context.Context, id string) (webhook.Webhook, error) {
	store, err := w.webhooks("reset a webhook")
	if err != nil {
		return webhook.Webhook{}, err
	}
	defer w.engine.relays.refresh()
	return store.Reset(ctx, w.name, id)
}

// TestWebhook sends a sample of an event, or where event is empty one of each that the webhook subscribes to, and waits for the answers;
// see [delivery.Tester.Test]. It returns a [*webhook.InvalidError] or a [*domain.NotFoundError].
func (w *Workspace) TestWebhook(ctx context.Context, id, event string) (delivery.TestRun, error) {
	if err := w.check("test a webhook"); err != nil {
		return delivery.TestRun{}, err
	}
	sealer, err := w.engine.sealer()
	if err != nil {
		return delivery.TestRun{}, err
	}
	tester := delivery.Tester{
		DB: w.engine.db, Sealer: sealer, Profiles: w.engine.profiles(), Clock: w.engine.config.Now, AllowTargets: w.engine.config.AllowTargets,
	}
	return tester.Test(ctx, w.name, id, event)
}

// Deliveries returns a page of what a subscription was sent and is to be sent, tests included, the newest event first, and the cursor of
// the next page, which is empty at the end. The event that options ask for may be one of the webhook's profile, or one of the log. See
// [delivery.List] for the errors.
func (w *Workspace) Deliveries(ctx context.Context, id string, options delivery.ListOptions) (page []delivery.Delivery, next string, err error) {
	if err := w.check("list deliveries"); err != nil {
		return nil, "", err
	}
	if options.Event != "" && len(options.Types) == 0 {
		if options.Types, err = w.types(ctx, id, []string{options.Event}); err != nil {
			return nil, "", err
		}
	}
	return delivery.List(ctx, w.engine.db, w.name, id, options)
}

// Delivery returns what became of an event at a subscription, with every attempt. It returns a [*domain.NotFoundError] where there is no
// such delivery, or not yet.
func (w *Workspace) Delivery(ctx context.Context, id string, event uuid.UUID) (delivery.Delivery, error) {
	if err := w.check("show a delivery"); err != nil {
		return delivery.Delivery{}, err
	}
	return delivery.Show(ctx, w.engine.db, w.name, id, event)
}

// ResendDelivery has an event sent to a subscription again, with the same id and the same bytes; see [delivery.Resend]. It returns a
// [*domain.NotFoundError].
func (w *Workspace) ResendDelivery(ctx context.Context, id string, event uuid.UUID) error {
	if err := w.check("send a delivery again"); err != nil {
		return err
	}
	defer w.engine.relays.refresh()
	return delivery.Resend(ctx, w.engine.db, w.name, id, event)
}

// Replay says what [Workspace.ReplayWebhook] shall send again: events that were recorded at Since or later and before Until.
type Replay struct {
	Since, Until time.Time // Until defaults to now
	Events       []string  // the profile's names, or types of the log. Defaults to all that the webhook subscribes to
	FailedOnly   bool      // only those that were given up, and not sent again since
	CountOnly    bool      // say how many there are, and send nothing
}

// ReplayWebhook has events sent to a subscription again, those of one stream in order, whether it was told of them before or not, and
// returns how many; see [delivery.StartReplay]. The relay does the work from then on, also after an interruption. It returns a
// [*delivery.ReplayTooLargeError], a [*delivery.NoRelayError] or a [*domain.NotFoundError].
func (w *Workspace) ReplayWebhook(ctx context.Context, id string, r Replay) (n int, err error) {
	if err := w.check("replay events"); err != nil {
		return 0, err
	}
	x := delivery.Replay{Since: r.Since, Until: r.Until, FailedOnly: r.FailedOnly}
	if x.Types, err = w.types(ctx, id, r.Events); err != nil {
		return 0, err
	}
	if r.CountOnly {
		return delivery.CountReplay(ctx, w.engine.db, w.name, id, x)
	}
	defer w.engine.relays.refresh()
	return delivery.StartReplay(ctx, w.engine.db, w.name, id, x)
}

// types are the log's event types that names of a webhook's profile stand for; a name that the profile does not have is one itself.
func (w *Workspace) types(ctx context.Context, id string, names []string) (types []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	hook, err := w.Webhook(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		types = append(types, name)
		if p := w.engine.profiles()[hook.Profile]; p != nil {
			if event, err := p.Event(name); err == nil {
				types = append(types, event.Types...)
			}
		}
	}
	return types, nil
}

// Profiles lists the profiles that webhooks can have, sorted.
func (e *Engine) Profiles() []string { return e.profiles().Names() }

// EventTypes lists what webhooks of a profile can subscribe to; "" stands for the native one. It returns a [*domain.NotFoundError] for a
// profile that there is none of.
func (w *Workspace) EventTypes(profileName string) ([]profile.Event, error) {
	p := w.engine.profiles()[cmp.Or(profileName, webhook.DefaultProfile)]
	if p == nil {
		return nil, &domain.NotFoundError{Kind: "profile", ID: profileName}
	}
	return p.Events, nil
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

// wake says that there are new events. It returns whether a relay is running.
func (r *relays) wake() (running bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, relay := range r.all {
		running = relay.Wake() || running
	}
	return running
}

// refresh says that webhooks have changed.
func (r *relays) refresh() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, relay := range r.all {
		relay.Refresh()
	}
}
