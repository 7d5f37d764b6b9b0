package webhook

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// transact runs f in a transaction of its own.
func (s *Store) transact(ctx context.Context, op string, f func(*sql.Tx) error) error {
	tx, err := s.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return pgerr.Wrap(op, tx.Commit())
}

// Update changes a webhook's settings; attempts that begin afterwards follow them. It returns the webhook as it is then.
//
// Update returns an [*InvalidError], a [*NameTakenError], or a [*domain.NotFoundError].
func (s *Store) Update(ctx context.Context, workspace, id string, u Update) (w Webhook, err error) {
	err = s.transact(ctx, "update a webhook", func(tx *sql.Tx) (err error) {
		w, err = s.UpdateTx(ctx, tx, workspace, id, u)
		return err
	})
	return w, err
}

// UpdateTx is [Store.Update] within the caller's transaction, which a refusal leaves usable.
func (s *Store) UpdateTx(ctx context.Context, tx *sql.Tx, workspace, id string, u Update) (Webhook, error) {
	const op = "update a webhook"
	// No stronger lock: what records attempts refers to the row.
	w, err := get(tx.QueryRowContext(ctx, selectWebhook+`
		WHERE w.id = $1 AND w.workspace = $2 AND w.deleted_at IS NULL FOR NO KEY UPDATE OF w`, id, workspace), id)
	if err != nil {
		return Webhook{}, err
	}
	set(&w.Name, u.Name)
	set(&w.URL, u.URL)
	set(&w.Filter, u.Filter)
	set(&w.RateLimit, u.RateLimit)
	set(&w.Retries, u.Retries)
	set(&w.Ordered, u.Ordered)
	// A disabled webhook is shown as inactive, and stays as its owner wanted it unless he says otherwise.
	if u.Active != nil {
		w.Active = *u.Active
	}
	if u.Events != nil {
		w.Events = sortedCopy(*u.Events)
	}
	if u.Include != nil {
		w.Include = sortedCopy(*u.Include)
	}
	invalid := &InvalidError{}
	types := w.check(s.config.Profiles, s.config.AllowHTTP, invalid)
	rotates := false
	if u.Secret != nil {
		if *u.Secret == "" {
			invalid.add("secret", "must not be empty; leave it out to keep the present one")
		}
		chooseSecret(s.config.Profiles[w.Profile], *u.Secret, invalid)
		present, err := s.holds(ctx, tx, workspace, id, *u.Secret)
		if err != nil {
			return Webhook{}, pgerr.Wrap(op, err)
		}
		rotates = !present
	}
	if len(invalid.Fields) > 0 {
		return Webhook{}, invalid
	}
	w.UpdatedAt = s.now()
	taken, err := nameTaken(ctx, tx, `
		UPDATE webhooks SET name = $3, url = $4, events = $5::text[], types = $6::text[], include = $7::text[], filter = $8, rate_limit = $9,
			retries = $10::bigint[], ordered = $11, active = coalesce($12, active), updated_at = $13, revision = revision + 1
		WHERE id = $1 AND workspace = $2`,
		id, workspace, w.Name, w.URL, pq.StringArray(w.Events), pq.StringArray(types), pq.StringArray(w.Include), w.Filter, w.RateLimit,
		pauses(w.Retries), w.Ordered, u.Active, w.UpdatedAt)
	if err != nil {
		return Webhook{}, pgerr.Wrap(op, err)
	}
	if taken {
		return Webhook{}, &NameTakenError{Workspace: workspace, Name: w.Name}
	}
	if u.Active != nil && *u.Active && w.Health.State == Disabled {
		if err := s.closeCircuit(ctx, tx, id); err != nil {
			return Webhook{}, err
		}
		w.Health = Health{State: Healthy}
	}
	if rotates {
		_, _, err = s.RotateSecretTx(ctx, tx, workspace, id, *u.Secret)
	}
	return w, err
}

// nameTaken runs a statement, and says whether it changed nothing because the name is taken, perhaps by a transaction at the same time.
// Such a statement fails, which would spoil the caller's transaction: so it has a savepoint.
func nameTaken(ctx context.Context, tx *sql.Tx, statement string, args ...any) (taken bool, err error) {
	if _, err := tx.ExecContext(ctx, `SAVEPOINT name_taken`); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, statement, args...)
	if taken = err != nil && pq.As(err, pqerror.UniqueViolation) != nil; taken {
		_, err = tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT name_taken`)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `RELEASE SAVEPOINT name_taken`)
	}
	return taken, err
}

// holds says whether a webhook's secret is this one.
func (s *Store) holds(ctx context.Context, tx *sql.Tx, workspace, id string, secret Secret) (bool, error) {
	var sealed []byte
	if err := tx.QueryRowContext(ctx, `SELECT secret FROM webhooks WHERE id = $1`, id).Scan(&sealed); err != nil || len(sealed) == 0 {
		return false, err
	}
	present, err := s.config.Sealer.Open(workspace, id, sealed)
	return err == nil && subtle.ConstantTimeCompare([]byte(present), []byte(secret)) == 1, nil // one that cannot be opened is another
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// RotateSecret gives a webhook a new secret: the given one, or a random one where that is empty. The old one goes on signing beside it,
// the new one first, up to the time returned, at which only the new one signs. A further rotation before that leaves the newest two.
//
// RotateSecret returns an [*InvalidError] or a [*domain.NotFoundError].
func (s *Store) RotateSecret(ctx context.Context, workspace, id string, given Secret) (secret Secret, until time.Time, err error) {
	err = s.transact(ctx, "rotate a secret", func(tx *sql.Tx) (err error) {
		secret, until, err = s.RotateSecretTx(ctx, tx, workspace, id, given)
		return err
	})
	return secret, until, err
}

// RotateSecretTx is [Store.RotateSecret] within the caller's transaction, which a refusal leaves usable.
func (s *Store) RotateSecretTx(ctx context.Context, tx *sql.Tx, workspace, id string, given Secret) (Secret, time.Time, error) {
	const op = "rotate a secret"
	w, err := get(tx.QueryRowContext(ctx, selectWebhook+`
		WHERE w.id = $1 AND w.workspace = $2 AND w.deleted_at IS NULL FOR NO KEY UPDATE OF w`, id, workspace), id)
	if err != nil {
		return "", time.Time{}, err
	}
	invalid := &InvalidError{}
	p := s.config.Profiles[w.Profile]
	if p == nil {
		invalid.add("profile", "is "+w.Profile+", which this program does not know")
		return "", time.Time{}, invalid
	}
	if given == "" {
		given = Secret(p.NewSecret()) // also where the profile could do without
	}
	if chooseSecret(p, given, invalid); len(invalid.Fields) > 0 {
		return "", time.Time{}, invalid
	}
	now := s.now()
	until := now.Add(p.Rotation)
	// Where there was no secret, there is none to sign beside the new one.
	_, err = tx.ExecContext(ctx, `
		UPDATE webhooks SET secret = $2, secret_before = nullif(secret, ''), secret_before_until = CASE WHEN secret <> '' THEN $3::timestamptz END,
			updated_at = $4, revision = revision + 1
		WHERE id = $1`, id, s.seal(workspace, id, given), until, now)
	return given, until, pgerr.Wrap(op, err)
}

// Reset closes a webhook's circuit and forgets its failures; one that failures have disabled is enabled again. What waits for a retry is
// due at once, so that what was held back goes out, in order.
//
// Reset returns a [*domain.NotFoundError].
func (s *Store) Reset(ctx context.Context, workspace, id string) (w Webhook, err error) {
	err = s.transact(ctx, "reset a webhook", func(tx *sql.Tx) error {
		// The webhook first, as in an update. Whoever records attempts locks the circuit only.
		if _, err := get(tx.QueryRowContext(ctx, selectWebhook+`
			WHERE w.id = $1 AND w.workspace = $2 AND w.deleted_at IS NULL FOR NO KEY UPDATE OF w`, id, workspace), id); err != nil {
			return err
		}
		if err := s.closeCircuit(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE webhooks SET revision = revision + 1 WHERE id = $1 AND deleted_at IS NULL`, id); err != nil {
			return pgerr.Wrap("reset a webhook", err)
		}
		w, err = get(tx.QueryRowContext(ctx, selectWebhook+` WHERE w.id = $1 AND w.workspace = $2 AND w.deleted_at IS NULL`, id, workspace), id)
		return err
	})
	if err != nil {
		return Webhook{}, err
	}
	return w, s.hurry(ctx, id)
}

// closeCircuit forgets a webhook's failures, and leaves a notice of that where there were any.
func (s *Store) closeCircuit(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `
		WITH closed AS (
			DELETE FROM circuits c USING webhooks w WHERE w.id = $1 AND c.webhook = w.number
			RETURNING c.webhook, c.failures, c.failing_since
		)
		INSERT INTO notices (webhook, kind, failures, failing_since, reason, at)
		SELECT webhook, 'reset', failures, failing_since, '', $2 FROM closed`, id, s.now())
	return pgerr.Wrap("close a circuit", err)
}

// hurryBatch is how many retries are made due in one statement.
const hurryBatch = 1000

const makeDue = `
	UPDATE deliveries d SET due_at = $2
	FROM webhooks w CROSS JOIN LATERAL (
		SELECT n.transaction_id, n.position FROM deliveries n WHERE n.webhook = w.number AND n.state = 'retry' AND n.due_at > $2
		ORDER BY n.webhook, n.due_at LIMIT $3) n
	WHERE w.id = $1 AND d.webhook = w.number AND d.transaction_id = n.transaction_id AND d.position = n.position
		AND d.state = 'retry' AND d.due_at > $2`

// hurry makes a webhook's retries due now. If it is interrupted, the rest are due when they would have been.
func (s *Store) hurry(ctx context.Context, id string) error {
	for now := s.now(); ; {
		result, err := s.config.DB.ExecContext(ctx, makeDue, id, now, hurryBatch)
		if err != nil {
			return pgerr.Wrap("make retries due", err)
		}
		if n, err := result.RowsAffected(); err != nil || n < hurryBatch {
			return pgerr.Wrap("make retries due", err)
		}
	}
}
