package waybill

import (
	"context"
	"database/sql"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

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
