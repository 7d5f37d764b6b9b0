package waybill

import (
	"context"
	"database/sql"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// EventTypes lists what webhooks of a profile can subscribe to, sorted by name. It returns a [*domain.InvalidCommandError] for a profile
// that does not exist.
func (e *Engine) EventTypes(profileName string) ([]profile.Event, error) {
	profiles := e.profiles()
	p := profiles[profileName]
	if p == nil {
		return nil, &domain.InvalidCommandError{Command: "list event types", Fields: []domain.FieldError{
			{Field: "profile", Message: "has to be one of " + strings.Join(profiles.Names(), ", ")}}}
	}
	return p.Events, nil
}

// Profiles lists the profiles that webhooks can have, sorted.
func (e *Engine) Profiles() []string { return e.profiles().Names() }

// CreateWebhookTx is [Workspace.CreateWebhook] within the caller's transaction, which a refusal leaves usable.
func (w *Workspace) CreateWebhookTx(ctx context.Context, tx *sql.Tx, n webhook.New) (webhook.Webhook, webhook.Secret, error) {
	store, err := w.webhooks("create a webhook")
	if err != nil {
		return webhook.Webhook{}, "", err
	}
	return store.CreateTx(ctx, tx, w.name, n)
}
