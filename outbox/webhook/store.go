package webhook

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// Config configures a [Store]. DB, Sealer and Profiles are needed.
type Config struct {
	DB       *sql.DB // lib/pq
	Sealer   *Sealer
	Profiles profile.Set
	// AllowHTTP lets webhooks have plain http URLs. Defaults to false: https only.
	AllowHTTP bool
	// Clock gives the times at which webhooks were made and changed, and the end of an old secret. Defaults to time.Now.
	Clock func() time.Time
}

// Store keeps webhooks. Everything it does is within one workspace. It is safe for concurrent use.
type Store struct {
	config Config
}

// NewStore returns a store.
func NewStore(config Config) (*Store, error) {
	if config.DB == nil || config.Sealer == nil || len(config.Profiles) == 0 {
		return nil, errors.New("webhook: DB, Sealer and Profiles are needed")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	return &Store{config: config}, nil
}

// Create makes a webhook. It is told of every event that is committed after it. Its secret is returned here and never again.
//
// Create returns an [*InvalidError], or a [*NameTakenError].
func (s *Store) Create(ctx context.Context, workspace string, n New) (w Webhook, secret Secret, err error) {
	tx, err := s.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return Webhook{}, "", pgerr.Wrap("create a webhook", err)
	}
	defer tx.Rollback()
	if w, secret, err = s.CreateTx(ctx, tx, workspace, n); err != nil {
		return Webhook{}, "", err
	}
	if err := tx.Commit(); err != nil {
		return Webhook{}, "", pgerr.Wrap("create a webhook", err)
	}
	return w, secret, nil
}

// CreateTx is [Store.Create] within the caller's transaction, which a refusal leaves usable.
func (s *Store) CreateTx(ctx context.Context, tx *sql.Tx, workspace string, n New) (Webhook, Secret, error) {
	now := s.now()
	w := Webhook{
		ID: newID(), Workspace: workspace, Name: n.Name, URL: n.URL, Profile: cmp.Or(n.Profile, DefaultProfile),
		Events: sortedCopy(n.Events), Include: sortedCopy(n.Include), Filter: n.Filter, RateLimit: n.RateLimit, Retries: n.Retries,
		Ordered: !n.Unordered, Active: !n.Inactive, Health: Health{State: Healthy}, CreatedAt: now, UpdatedAt: now,
	}
	invalid := &InvalidError{}
	types := w.check(s.config.Profiles, s.config.AllowHTTP, invalid)
	secret := chooseSecret(s.config.Profiles[w.Profile], n.Secret, invalid)
	if len(invalid.Fields) > 0 {
		return Webhook{}, "", invalid
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO webhooks (id, workspace, name, url, profile, events, types, include, filter, rate_limit, retries, ordered, active,
			secret, created_at, updated_at, since, since_running)
		SELECT $1, $2, $3, $4, $5, $6::text[], $7::text[], $8::text[], $9, $10, $11::bigint[], $12, $13, $14, $15, $15,
			base | pg_snapshot_xmax(now)::text::bigint, ARRAY(SELECT base | running::text::bigint FROM pg_snapshot_xip(now) running)
		FROM pg_current_snapshot() now, era_base() base
		ON CONFLICT (workspace, name) WHERE deleted_at IS NULL DO NOTHING`,
		w.ID, workspace, w.Name, w.URL, w.Profile, pq.StringArray(w.Events), pq.StringArray(types), pq.StringArray(w.Include), w.Filter,
		w.RateLimit, pauses(w.Retries), w.Ordered, w.Active, s.seal(workspace, w.ID, secret), w.CreatedAt)
	if err != nil {
		return Webhook{}, "", pgerr.Wrap("create a webhook", err)
	}
	if made, err := result.RowsAffected(); err != nil || made == 0 {
		return Webhook{}, "", cmp.Or[error](err, &NameTakenError{Workspace: workspace, Name: w.Name})
	}
	return w, secret, nil
}

func (s *Store) now() time.Time { return s.config.Clock().UTC().Truncate(time.Microsecond) }

// seal seals a secret; where there is none, nothing is stored.
func (s *Store) seal(workspace, id string, secret Secret) []byte {
	if secret == "" {
		return []byte{}
	}
	return s.config.Sealer.Seal(workspace, id, secret)
}

// pauses are stored in microseconds; nil is NULL.
func pauses(list []Duration) pq.Int64Array {
	if list == nil {
		return nil
	}
	stored := make(pq.Int64Array, len(list))
	for i, d := range list {
		stored[i] = time.Duration(d).Microseconds()
	}
	return stored
}

const selectWebhook = `
SELECT w.id, w.workspace, w.name, w.url, w.profile, w.events, w.include, w.filter, w.rate_limit, w.retries, w.ordered, w.active,
	w.created_at, w.updated_at, c.state, coalesce(c.failures, 0), c.failing_since, c.stopped_at, coalesce(c.reason, '')
FROM webhooks w LEFT JOIN circuits c ON c.webhook = w.number`

func scan(row interface{ Scan(...any) error }) (w Webhook, err error) {
	var retries pq.Int64Array
	var state sql.NullString
	var failingSince, stoppedAt sql.NullTime
	err = row.Scan(&w.ID, &w.Workspace, &w.Name, &w.URL, &w.Profile, (*pq.StringArray)(&w.Events), (*pq.StringArray)(&w.Include), &w.Filter,
		&w.RateLimit, &retries, &w.Ordered, &w.Active, &w.CreatedAt, &w.UpdatedAt,
		&state, &w.Health.ConsecutiveFailures, &failingSince, &stoppedAt, &w.Health.DisabledReason)
	w.CreatedAt, w.UpdatedAt = w.CreatedAt.UTC(), w.UpdatedAt.UTC()
	if retries != nil {
		w.Retries = make([]Duration, len(retries))
		for i, us := range retries {
			w.Retries[i] = Duration(us * int64(time.Microsecond))
		}
	}
	if failingSince.Valid {
		at := failingSince.Time.UTC()
		w.Health.FailingSince = &at
	}
	switch state.String {
	case "":
		w.Health.State = Healthy
	case "failing":
		w.Health.State = Failing
	case "open":
		at := stoppedAt.Time.UTC()
		w.Health.State, w.Health.CircuitOpenedAt = CircuitOpen, &at
	case "disabled":
		w.Health.State, w.Active = Disabled, false
	}
	return w, err
}

// Get returns a webhook. It returns a [*domain.NotFoundError] where there is none.
func (s *Store) Get(ctx context.Context, workspace, id string) (Webhook, error) {
	return get(s.config.DB.QueryRowContext(ctx, selectWebhook+` WHERE w.id = $1 AND w.workspace = $2 AND w.deleted_at IS NULL`, id, workspace), id)
}

func get(row *sql.Row, id string) (Webhook, error) {
	w, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Webhook{}, &domain.NotFoundError{Kind: "webhook", ID: id}
	}
	if err != nil {
		return Webhook{}, pgerr.Wrap("read a webhook", err)
	}
	return w, nil
}

// MaxPage is how many webhooks [Store.List] returns at most.
const MaxPage = 200

// List returns the webhooks of a workspace in the order in which they were made: the first ones behind a cursor, which is the id of
// a webhook, or empty for the beginning. next is the cursor of the following page, empty at the end. A limit of 0 means [MaxPage].
//
// List returns an [*InvalidError] for a cursor that is none.
func (s *Store) List(ctx context.Context, workspace, cursor string, limit int) (page []Webhook, next string, err error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	var after int64
	if cursor != "" {
		// Deleted webhooks are fine as cursors: a reader need not start again because of them.
		err := s.config.DB.QueryRowContext(ctx, `SELECT number FROM webhooks WHERE id = $1 AND workspace = $2`, cursor, workspace).Scan(&after)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, "", &InvalidError{Fields: []domain.FieldError{{Field: "cursor", Message: "is not one that this list gave"}}}
		}
		if err != nil {
			return nil, "", pgerr.Wrap("list webhooks", err)
		}
	}
	rows, err := s.config.DB.QueryContext(ctx, selectWebhook+`
		WHERE w.workspace = $1 AND w.number > $2 AND w.deleted_at IS NULL ORDER BY w.number LIMIT $3`, workspace, after, limit+1)
	if err != nil {
		return nil, "", pgerr.Wrap("list webhooks", err)
	}
	defer rows.Close()
	for rows.Next() {
		w, err := scan(rows)
		if err != nil {
			return nil, "", pgerr.Wrap("list webhooks", err)
		}
		page = append(page, w)
	}
	if len(page) > limit {
		page, next = page[:limit], page[limit-1].ID
	}
	return page, next, pgerr.Wrap("list webhooks", rows.Err())
}

// CountByHealth returns how many webhooks there are in each state of health, of all workspaces and whether they are active or not.
func CountByHealth(ctx context.Context, db *sql.DB) (map[State]int, error) {
	var all, failing, open, disabled int
	err := db.QueryRowContext(ctx, `
		SELECT count(*), count(*) FILTER (WHERE c.state = 'failing'), count(*) FILTER (WHERE c.state = 'open'), count(*) FILTER (WHERE c.state = 'disabled')
		FROM webhooks w LEFT JOIN circuits c ON c.webhook = w.number WHERE w.deleted_at IS NULL`).Scan(&all, &failing, &open, &disabled)
	return map[State]int{Healthy: all - failing - open - disabled, Failing: failing, CircuitOpen: open, Disabled: disabled},
		pgerr.Wrap("count webhooks", err)
}

// Delete removes a webhook. Once it is committed no further attempt is recorded for it as a delivery to make: what is still open is
// dropped, bit by bit, by the relay. The attempts that were made are kept. A new webhook may take the name at once.
//
// Delete returns a [*domain.NotFoundError] where there is none.
func (s *Store) Delete(ctx context.Context, workspace, id string) error {
	return s.delete(ctx, s.config.DB, workspace, id)
}

// DeleteTx is [Store.Delete] within the caller's transaction.
func (s *Store) DeleteTx(ctx context.Context, tx *sql.Tx, workspace, id string) error {
	return s.delete(ctx, tx, workspace, id)
}

func (s *Store) delete(ctx context.Context, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, workspace, id string) error {
	result, err := db.ExecContext(ctx, `
		UPDATE webhooks SET deleted_at = now(), active = false, secret = '', secret_before = NULL, secret_before_until = NULL, revision = revision + 1
		WHERE id = $1 AND workspace = $2 AND deleted_at IS NULL`, id, workspace)
	if err != nil {
		return pgerr.Wrap("delete a webhook", err)
	}
	if deleted, err := result.RowsAffected(); err != nil || deleted == 0 {
		return cmp.Or[error](err, &domain.NotFoundError{Kind: "webhook", ID: id})
	}
	return nil
}
