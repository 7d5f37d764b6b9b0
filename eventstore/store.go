package eventstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/migrations"
)

// Store reads and appends events. It is safe for concurrent use and has nothing to close; the database is the caller's.
type Store struct {
	db      *sql.DB
	vault   *vault.Vault // nil where what is personal stays sealed
	group   group
	metrics Metrics

	era          atomic.Pointer[era]
	checked      atomic.Bool // the schema is the one this program was written for
	appendStmt   atomic.Pointer[sql.Stmt]
	plainStmts   [plainSlots]atomic.Pointer[sql.Stmt]
	hopefulStmts [plainSlots]atomic.Pointer[sql.Stmt]
	waryUntil    atomic.Int64 // in milliseconds since 1970: no plain statement is hopeful until then
	streamStmt   atomic.Pointer[sql.Stmt]
	logStmt      atomic.Pointer[sql.Stmt]
	outcomeStmt  atomic.Pointer[sql.Stmt]
	streamsStmt  atomic.Pointer[sql.Stmt]
	strideStmt   atomic.Pointer[sql.Stmt]
}

// New returns a store on db, which must be a lib/pq database. It does not touch the database yet: the first use checks that the
// schema fits this program, and returns a [*migrations.PendingError] or [*migrations.NewerSchemaError] if not.
func New(db *sql.DB, options ...Option) *Store {
	s := &Store{db: db, metrics: newMetrics()}
	for _, option := range options {
		option(s)
	}
	s.group.appendAll, s.group.stuckAfter = s.appendAll, stuckAfter
	return s
}

// Option is something more that a store can do.
type Option func(*Store)

// WithVault lets a store open what is personal in the events that it reads. Without it, what was sealed reads as [domain.Erased].
func WithVault(v *vault.Vault) Option { return func(s *Store) { s.vault = v } }

// open opens what is personal in events that were just read, within tx if there is one.
func (s *Store) open(ctx context.Context, tx *sql.Tx, pages ...[]domain.Recorded) error {
	var sealed []*domain.Recorded
	for _, events := range pages {
		for i := range events {
			if domain.IsSealed(events[i].Data) {
				sealed = append(sealed, &events[i])
			}
		}
	}
	if len(sealed) > 0 && s.vault != nil {
		return s.vault.Open(ctx, tx, sealed)
	}
	for _, r := range sealed {
		if err := r.Erase(); err != nil {
			return fmt.Errorf("read version %d of %s: %w", r.Version, r.Stream, err)
		}
	}
	return nil
}

// Metrics tells what the store does.
func (s *Store) Metrics() Metrics { return s.metrics }

// checkSchema makes sure, once, that the schema is the one this program was written for.
func (s *Store) checkSchema(ctx context.Context, tx *sql.Tx) (err error) {
	if s.checked.Load() {
		return nil
	}
	if tx != nil {
		err = migrations.CheckTx(ctx, s.db, tx)
	} else {
		err = migrations.Check(ctx, s.db)
	}
	s.checked.Store(err == nil)
	return err
}

// holdsAll says whether a second connection cannot be had beside that of the caller's transaction: to ask for one would be to wait for ever in a
// pool of one.
func (s *Store) holdsAll(tx *sql.Tx) bool {
	if tx == nil {
		return false
	}
	pool := s.db.Stats()
	return pool.MaxOpenConnections > 0 && pool.InUse >= pool.MaxOpenConnections
}

// statement prepares a query once for all, and returns it for use within tx, if there is one. Should two goroutines come first together,
// one's statement is dropped unused.
func (s *Store) statement(ctx context.Context, tx *sql.Tx, slot *atomic.Pointer[sql.Stmt], query string) (*sql.Stmt, error) {
	prepared := slot.Load()
	if prepared == nil {
		if s.holdsAll(tx) { // what all may use is prepared on another connection than the caller's
			if err := s.checkSchema(ctx, tx); err != nil {
				return nil, err
			}
			statement, err := tx.PrepareContext(ctx, query)
			return statement, pgerr.Wrap("prepare a statement", err)
		}
		err := s.checkSchema(ctx, nil)
		if err != nil {
			return nil, err
		}
		if prepared, err = s.db.PrepareContext(ctx, query); err != nil {
			return nil, pgerr.Wrap("prepare a statement", err)
		}
		if !slot.CompareAndSwap(nil, prepared) {
			prepared.Close()
			prepared = slot.Load()
		}
	}
	if tx != nil {
		return tx.StmtContext(ctx, prepared), nil
	}
	return prepared, nil
}
