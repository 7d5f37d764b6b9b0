package eventstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"iter"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

const pageSize = 500 // events per round trip when reading

const (
	columns      = `position, transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash`
	eventColumns = `e.position, e.transaction_id, e.workspace, e.stream, e.version, e.id, e.type, e.schema_version, e.data, e.metadata,
		e.recorded_at, e.hash`
)

const (
	streamQuery = `SELECT ` + columns + ` FROM events
		WHERE workspace = $1 AND stream = $2 AND version > $3 ORDER BY version LIMIT $4`

	logQuery = `SELECT ` + eventColumns + `
		FROM next_events($1, $2, log_horizon(), 0, $3) n JOIN events e ON e.transaction_id = n.transaction_id AND e.position = n.position
		ORDER BY n.transaction_id, n.position`

	streamsQuery = `SELECT ` + columns + `, n
		FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS at (workspace_at, stream_at, version_at, n)
		JOIN events ON workspace = workspace_at AND stream = stream_at AND version <= version_at
		ORDER BY n, version`
)

func scan(rows *sql.Rows) (domain.Recorded, error) {
	var r domain.Recorded
	var stream string
	err := rows.Scan(&r.Position, &r.TransactionID, &r.Workspace, &stream, &r.Version, &r.ID, &r.Type, &r.SchemaVersion,
		&r.Data, &r.Metadata, &r.RecordedAt, &r.Hash)
	if err != nil {
		return r, pgerr.Wrap("read events", err)
	}
	r.RecordedAt = r.RecordedAt.UTC()
	r.Stream, err = domain.ParseStreamID(stream)
	return r, err
}

// Cursor is a place in the log: everything up to and including this event has been read. The zero Cursor is the beginning.
type Cursor struct {
	TransactionID int64
	Position      int64
}

// ReadStream yields the events of a stream with versions above after, in order. A stream that does not exist has none.
func (s *Store) ReadStream(ctx context.Context, workspace string, stream domain.StreamID, after int) iter.Seq2[domain.Recorded, error] {
	return s.readStream(ctx, workspace, stream, after, s.StreamTail)
}

// ReadStored is [Store.ReadStream] without opening what is personal, for whoever looks at hashes only: it needs no keys.
func (s *Store) ReadStored(ctx context.Context, workspace string, stream domain.StreamID, after int) iter.Seq2[domain.Recorded, error] {
	return s.readStream(ctx, workspace, stream, after, s.streamTail)
}

type tailFunc func(ctx context.Context, tx *sql.Tx, workspace string, stream domain.StreamID, after int) ([]domain.Recorded, error)

func (s *Store) readStream(ctx context.Context, workspace string, stream domain.StreamID, after int, tail tailFunc) iter.Seq2[domain.Recorded, error] {
	return func(yield func(domain.Recorded, error) bool) {
		for {
			page, err := tail(ctx, nil, workspace, stream, after)
			if err != nil {
				yield(domain.Recorded{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				after = r.Version
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// StreamTail returns the first events of a stream with versions above after, up to a page of them; fewer than [PageSize] means that
// these were all. With a tx it reads within that transaction.
func (s *Store) StreamTail(ctx context.Context, tx *sql.Tx, workspace string, stream domain.StreamID, after int) ([]domain.Recorded, error) {
	page, err := s.streamTail(ctx, tx, workspace, stream, after)
	if err == nil {
		err = s.open(ctx, tx, page)
	}
	return page, err
}

func (s *Store) streamTail(ctx context.Context, tx *sql.Tx, workspace string, stream domain.StreamID, after int) ([]domain.Recorded, error) {
	statement, err := s.statement(ctx, tx, &s.streamStmt, streamQuery)
	if err != nil {
		return nil, err
	}
	return collect(statement.QueryContext(ctx, workspace, stream.String(), after, pageSize))
}

// PageSize is how many events [Store.StreamTail] returns at most.
const PageSize = pageSize

// ReadLog yields the whole log behind a cursor, in the order of (TransactionID, Position), up to what was settled when it reaches
// the end: it leaves out events whose transaction is not older than every running one, because others may still appear before them.
func (s *Store) ReadLog(ctx context.Context, after Cursor) iter.Seq2[domain.Recorded, error] {
	return func(yield func(domain.Recorded, error) bool) {
		statement, err := s.statement(ctx, nil, &s.logStmt, logQuery)
		if err != nil {
			yield(domain.Recorded{}, err)
			return
		}
		for {
			page, err := collect(statement.QueryContext(ctx, after.TransactionID, after.Position, pageSize))
			if err == nil {
				err = s.open(ctx, nil, page)
			}
			if err != nil {
				yield(domain.Recorded{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				after = Cursor{r.TransactionID, r.Position}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// StreamsAt returns, for each stream, all its events from the first up to the version named, in one round trip. The result has the
// order of at.
func (s *Store) StreamsAt(ctx context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
	statement, err := s.statement(ctx, nil, &s.streamsStmt, streamsQuery)
	if err != nil {
		return nil, err
	}
	workspaces, streams, versions := make(pq.StringArray, len(at)), make(pq.StringArray, len(at)), make(pq.Int64Array, len(at))
	for i, a := range at {
		workspaces[i], streams[i], versions[i] = a.Workspace, a.Stream.String(), int64(a.Version)
	}
	rows, err := statement.QueryContext(ctx, workspaces, streams, versions)
	if err != nil {
		return nil, pgerr.Wrap("read events", err)
	}
	defer rows.Close()
	histories := make([][]domain.Recorded, len(at))
	for rows.Next() {
		var r domain.Recorded
		var stream string
		var n int
		if err := rows.Scan(&r.Position, &r.TransactionID, &r.Workspace, &stream, &r.Version, &r.ID, &r.Type, &r.SchemaVersion,
			&r.Data, &r.Metadata, &r.RecordedAt, &r.Hash, &n); err != nil {
			return nil, pgerr.Wrap("read events", err)
		}
		r.RecordedAt, r.Stream = r.RecordedAt.UTC(), at[n-1].Stream
		histories[n-1] = append(histories[n-1], r)
	}
	if err := rows.Err(); err != nil {
		return nil, pgerr.Wrap("read events", err)
	}
	rows.Close() // before another connection is taken for the keys
	return histories, s.open(ctx, nil, histories...)
}

// EventByID finds an event by its id, within a workspace. It returns a [*domain.NotFoundError] where there is none.
func (s *Store) EventByID(ctx context.Context, workspace string, id uuid.UUID) (domain.Recorded, error) {
	found, err := collect(s.db.QueryContext(ctx, `SELECT `+columns+` FROM events WHERE id = $1 AND workspace = $2`, id, workspace))
	if err != nil {
		return domain.Recorded{}, err
	}
	if len(found) == 0 {
		return domain.Recorded{}, &domain.NotFoundError{Kind: "event", ID: id.String()}
	}
	err = s.open(ctx, nil, found)
	return found[0], err
}

func collect(rows *sql.Rows, err error) ([]domain.Recorded, error) {
	if err != nil {
		return nil, pgerr.Wrap("read events", err)
	}
	defer rows.Close()
	var page []domain.Recorded
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, pgerr.Wrap("read events", rows.Err())
}

// Outcome is what a command that was issued under an idempotency key came to.
type Outcome struct {
	BatchID     uuid.UUID
	Fingerprint [sha256.Size]byte
	Stream      domain.StreamID
	First, Last int // the versions that it appended; Last = First-1 where it changed nothing
}

// Outcome looks an idempotency key up; found is false where no command had an outcome under it. With a tx it reads within that
// transaction.
func (s *Store) Outcome(ctx context.Context, tx *sql.Tx, workspace, key string) (outcome Outcome, found bool, err error) {
	statement, err := s.statement(ctx, tx, &s.outcomeStmt, `SELECT command_id, fingerprint, stream, first_version, last_version
		FROM idempotency_keys WHERE workspace = $1 AND key = $2`)
	if err != nil {
		return Outcome{}, false, err
	}
	var stream string
	var fingerprint []byte
	err = statement.QueryRowContext(ctx, workspace, key).Scan(&outcome.BatchID, &fingerprint, &stream, &outcome.First, &outcome.Last)
	if errors.Is(err, sql.ErrNoRows) {
		return Outcome{}, false, nil
	}
	if err != nil {
		return Outcome{}, false, pgerr.Wrap("look up an idempotency key", err)
	}
	copy(outcome.Fingerprint[:], fingerprint)
	outcome.Stream, err = domain.ParseStreamID(stream)
	return outcome, true, err
}
