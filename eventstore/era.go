package eventstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// era is what the log calls the transactions of the cluster that it lives in: base | PostgreSQL's id. Every append names the server that it
// learned this from, so that nothing is appended under a wrong name should connections lead to another one meanwhile: to a standby
// that was promoted, which is the same era, or to a cluster that a dump was restored into, where a new one begins.
type era struct {
	base   int64
	server time.Time // when it was started, which tells servers from each other, at no cost in a statement
	log    int64     // the table's oid, which tells databases of a server from each other
}

const thisTransaction = `($1::bigint | pg_current_xact_id()::text::bigint)`

const expectEra = `pg_postmaster_start_time() = $2 AND 'events'::regclass::oid = $3`

// currentEra returns the era that appends are made in.
func (s *Store) currentEra(ctx context.Context, tx *sql.Tx) (*era, error) {
	if e := s.era.Load(); e != nil {
		return e, nil
	}
	if !s.holdsAll(tx) {
		tx = nil
	}
	if err := s.checkSchema(ctx, tx); err != nil {
		return nil, err
	}
	e, err := s.askEra(ctx, tx)
	if err != nil {
		return nil, err
	}
	if tx == nil { // else the era, which perhaps begins just now, may be rolled back with the transaction
		s.era.Store(e)
	}
	return e, nil
}

// eraChanged says whether the server is another than the one that e was learned from. Then the era is to be asked for again. A caller's
// transaction may be older than the era, so which one it is does not count there.
func (s *Store) eraChanged(ctx context.Context, tx *sql.Tx, e *era) (bool, error) {
	now, err := s.askEra(ctx, tx)
	if err != nil || now.server.Equal(e.server) && now.log == e.log && (now.base == e.base || tx != nil) {
		return false, err
	}
	s.era.CompareAndSwap(e, nil)
	return true, nil
}

// askEra asks within tx, if there is one.
func (s *Store) askEra(ctx context.Context, tx *sql.Tx) (*era, error) {
	ask := s.db.QueryRowContext
	if tx != nil {
		ask = tx.QueryRowContext
	}
	var e era
	err := ask(ctx, `SELECT begin_era(), pg_postmaster_start_time(), 'events'::regclass::oid`).Scan(&e.base, &e.server, &e.log)
	return &e, pgerr.Wrap("ask for the era of the log", err)
}
