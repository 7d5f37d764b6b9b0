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
	// Clock gives the time for created_at. Defaults to time.Now.
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
	n.Profile = cmp.Or(n.Profile, DefaultProfile)
	n.Secret = cmp.Or(n.Secret, NewSecret())
	n.Events = sortedCopy(n.Events)
	types, err := n.check(s.config.Profiles, s.config.AllowHTTP)
	if err != nil {
		return Webhook{}, "", err
	}
	w := Webhook{
		ID: newID(), Workspace: workspace, Name: n.Name, URL: n.URL, Profile: n.Profile, Events: n.Events,
		Ordered: !n.Unordered, Active: !n.Inactive, CreatedAt: s.config.Clock().UTC().Truncate(time.Microsecond),
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO webhooks (id, workspace, name, url, profile, events, types, ordered, active, secret, created_at, since, since_running)
		SELECT $1, $2, $3, $4, $5, $6::text[], $7::text[], $8, $9, $10, $11, base | pg_snapshot_xmax(now)::text::bigint,
			ARRAY(SELECT base | running::text::bigint FROM pg_snapshot_xip(now) running)
		FROM pg_current_snapshot() now, era_base() base
		ON CONFLICT (workspace, name) WHERE deleted_at IS NULL DO NOTHING`,
		w.ID, workspace, w.Name, w.URL, w.Profile, pq.StringArray(n.Events), pq.StringArray(types), w.Ordered, w.Active,
		s.config.Sealer.Seal(workspace, w.ID, n.Secret), w.CreatedAt)
	if err != nil {
		return Webhook{}, "", pgerr.Wrap("create a webhook", err)
	}
	if made, err := result.RowsAffected(); err != nil || made == 0 {
		return Webhook{}, "", cmp.Or[error](err, &NameTakenError{Workspace: workspace, Name: w.Name})
	}
	return w, n.Secret, nil
}

const columns = `id, workspace, name, url, profile, events, ordered, active, created_at`

func scan(row interface{ Scan(...any) error }) (w Webhook, err error) {
	err = row.Scan(&w.ID, &w.Workspace, &w.Name, &w.URL, &w.Profile, (*pq.StringArray)(&w.Events), &w.Ordered, &w.Active, &w.CreatedAt)
	w.CreatedAt = w.CreatedAt.UTC()
	return w, err
}

// Get returns a webhook. It returns a [*domain.NotFoundError] where there is none.
func (s *Store) Get(ctx context.Context, workspace, id string) (Webhook, error) {
	w, err := scan(s.config.DB.QueryRowContext(ctx, `SELECT `+columns+` FROM webhooks
		WHERE id = $1 AND workspace = $2 AND deleted_at IS NULL`, id, workspace))
	if errors.Is(err, sql.ErrNoRows) {
		return Webhook{}, &domain.NotFoundError{Kind: "webhook", ID: id}
	}
	return w, pgerr.Wrap("read a webhook", err)
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
	rows, err := s.config.DB.QueryContext(ctx, `SELECT `+columns+` FROM webhooks
		WHERE workspace = $1 AND number > $2 AND deleted_at IS NULL ORDER BY number LIMIT $3`, workspace, after, limit+1)
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
		UPDATE webhooks SET deleted_at = now(), active = false, secret = '', revision = revision + 1
		WHERE id = $1 AND workspace = $2 AND deleted_at IS NULL`, id, workspace)
	if err != nil {
		return pgerr.Wrap("delete a webhook", err)
	}
	if deleted, err := result.RowsAffected(); err != nil || deleted == 0 {
		return cmp.Or[error](err, &domain.NotFoundError{Kind: "webhook", ID: id})
	}
	return nil
}
