package httpapi

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// keepKeys is how long an idempotency key is remembered at least.
const keepKeys = 24 * time.Hour

// sealedAnswer is what stands behind an idempotency key.
type sealedAnswer struct {
	Request []byte          `json:"request"` // SHA-256 of the operation and what was asked
	Answer  json.RawMessage `json:"answer"`
}

// once makes a webhook and answers, at most once for an idempotency key: whoever comes with the same key and the same request gets the
// first answer again, its secret included. Key, webhook and answer are committed together, so a request that was refused leaves its key
// free. Without a key every request makes a webhook.
func once[O any](ctx context.Context, a *api, c caller, key, operation string, asked any, n webhook.New,
	answer func(webhook.Webhook, webhook.Secret) *O,
) (*O, error) {
	if key == "" {
		w, secret, err := c.workspace.CreateWebhook(ctx, n)
		if err != nil {
			return nil, err
		}
		return answer(w, secret), nil
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return nil, invalid(domain.FieldError{Field: "Idempotency-Key", Message: "has to be of printable ASCII characters without spaces"})
	}
	if a.sealer == nil {
		return nil, waybill.ErrNoMasterKey
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	request := sha256.Sum256(append([]byte(operation+"\x00"), text...))

	const op = "remember an idempotency key"
	tx, err := a.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	// Of several who come with a key at once, one takes it; the others wait here for what becomes of that.
	taken, err := tx.ExecContext(ctx, `INSERT INTO request_keys (workspace, key, sealed, created_at) VALUES ($1, $2, '', $3) ON CONFLICT DO NOTHING`,
		c.workspace.Name(), key, a.Now().UTC())
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	if rows, err := taken.RowsAffected(); err != nil || rows == 0 {
		if err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		return answered[O](ctx, a, tx, c, key, request[:])
	}
	w, secret, err := c.workspace.CreateWebhookTx(ctx, tx, n)
	if err != nil {
		return nil, err
	}
	out := answer(w, secret)
	if text, err = json.Marshal(out); err == nil {
		text, err = json.Marshal(sealedAnswer{request[:], text})
	}
	if err != nil {
		return nil, err
	}
	sealed := a.sealer.Seal(c.workspace.Name(), sealedFor(key), webhook.Secret(text))
	if _, err := tx.ExecContext(ctx, `UPDATE request_keys SET sealed = $3 WHERE workspace = $1 AND key = $2`, c.workspace.Name(), key, sealed); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	// Whoever remembers a key forgets a few that are old, so that they do not pile up.
	if _, err := tx.ExecContext(ctx, `DELETE FROM request_keys WHERE (workspace, key) IN (
		SELECT workspace, key FROM request_keys WHERE created_at < $1 ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)`,
		a.Now().Add(-keepKeys).UTC()); err != nil {
		return nil, pgerr.Wrap("forget idempotency keys", err)
	}
	if err := tx.Commit(); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	a.Engine.WebhooksChanged()
	return out, nil
}

// answered gives the answer again that stands behind a key.
func answered[O any](ctx context.Context, a *api, tx *sql.Tx, c caller, key string, request []byte) (*O, error) {
	var sealed []byte
	err := tx.QueryRowContext(ctx, `SELECT sealed FROM request_keys WHERE workspace = $1 AND key = $2`, c.workspace.Name(), key).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &problem{status: http.StatusConflict, Code: "try_again", Message: "the idempotency key was being forgotten just then; try again"}
	}
	if err != nil {
		return nil, pgerr.Wrap("look up an idempotency key", err)
	}
	plain, err := a.sealer.Open(c.workspace.Name(), sealedFor(key), sealed)
	if err != nil {
		return nil, fmt.Errorf("look up an idempotency key: %w", err)
	}
	var before sealedAnswer
	if err := json.Unmarshal([]byte(plain.Reveal()), &before); err != nil {
		return nil, fmt.Errorf("look up an idempotency key: %w", err)
	}
	if string(before.Request) != string(request) {
		return nil, &problem{status: http.StatusUnprocessableEntity, Code: "idempotency_mismatch",
			Message: "this idempotency key was used for another request; use a new key for a new request",
			Details: []domain.FieldError{{Field: "Idempotency-Key", Message: "was used for another request"}}}
	}
	out := new(O)
	return out, json.Unmarshal(before.Answer, out)
}

// sealedFor is what an answer is bound to, beside its workspace. No webhook has such an id.
func sealedFor(key string) string { return "Idempotency-Key " + key }
