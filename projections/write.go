package projections

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// tails returns what streams have behind a version each. LATERAL and OFFSET leave the planner no choice but to walk along the key, stream
// by stream; the ORDER BY lets the fold go through them one after the other.
const tails = `
SELECT s.n, e.version, e.type, e.schema_version, e.data, e.metadata, e.recorded_at
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS s (workspace, stream, after, n)
CROSS JOIN LATERAL (SELECT * FROM events WHERE workspace = s.workspace AND stream = s.stream AND version > s.after OFFSET 0) e
ORDER BY s.n, e.version`

// catchUp folds what streams lack, of what the transaction sees. A stream of which something was erased since it was folded begins anew.
func catchUp(ctx context.Context, tx *sql.Tx, personal Personal, p *Projection, streams []*stream) error {
	if err := beginErasedAnew(ctx, tx, personal, p, streams); err != nil {
		return err
	}
	workspaces, names, after := make(pq.StringArray, len(streams)), make(pq.StringArray, len(streams)), make(pq.Int64Array, len(streams))
	for i, s := range streams {
		workspaces[i], names[i], after[i] = s.workspace, p.prefix()+s.id, int64(s.version)
	}
	rows, err := tx.QueryContext(ctx, tails, workspaces, names, after)
	if err != nil {
		return pgerr.Wrap("read events", err)
	}
	defer rows.Close()
	var read tail
	for rows.Next() {
		var n int
		var r domain.Recorded
		if err := rows.Scan(&n, &r.Version, &r.Type, &r.SchemaVersion, &r.Data, &r.Metadata, &r.RecordedAt); err != nil {
			return pgerr.Wrap("read events", err)
		}
		s := streams[n-1]
		r.Workspace, r.Stream, r.RecordedAt = s.workspace, domain.StreamID{Aggregate: p.aggregate.Name, ID: s.id}, r.RecordedAt.UTC()
		read.add(s, r)
	}
	if err := rows.Err(); err != nil {
		return pgerr.Wrap("read events", err)
	}
	rows.Close()
	return read.fold(ctx, tx, personal, p)
}

func beginErasedAnew(ctx context.Context, tx *sql.Tx, personal Personal, p *Projection, streams []*stream) error {
	var keys []uuid.UUID
	for _, s := range streams {
		keys = append(keys, s.keys...)
	}
	if len(keys) == 0 {
		return nil
	}
	gone, err := personal.Destroyed(ctx, tx, keys)
	if err != nil || len(gone) == 0 {
		return err
	}
	for _, s := range streams {
		if slices.ContainsFunc(s.keys, func(key uuid.UUID) bool { return slices.Contains(gone, key) }) {
			here := s.origin
			*s = *p.newStream(s.streamKey)
			s.origin = here
		}
	}
	return nil
}

// tail is what was read of streams, and is still to be opened and folded.
type tail struct {
	streams []*stream
	events  []domain.Recorded
}

func (t *tail) add(s *stream, r domain.Recorded) {
	t.streams, t.events = append(t.streams, s), append(t.events, r)
}

// fold opens the events, with one look for all keys, and folds them. One that cannot be opened is one that cannot be read.
func (t *tail) fold(ctx context.Context, tx *sql.Tx, personal Personal, p *Projection) error {
	var sealed []*domain.Recorded
	for i := range t.events {
		if domain.IsSealed(t.events[i].Data) {
			sealed = append(sealed, &t.events[i])
		}
	}
	failures := map[*domain.Recorded]error{}
	if len(sealed) > 0 {
		err := personal.Open(ctx, tx, sealed)
		if errors.As(err, new(*pgerr.Error)) || ctx.Err() != nil {
			return err
		}
		for _, r := range sealed {
			if err != nil && r.Sealed == nil { // one of them it is
				failures[r] = personal.Open(ctx, tx, []*domain.Recorded{r})
				if errors.As(failures[r], new(*pgerr.Error)) {
					return failures[r]
				}
			}
		}
	}
	for i := range t.events {
		s, r := t.streams[i], &t.events[i]
		if err := failures[r]; err != nil && s.failure == nil {
			s.failure, s.failedAt = err, r.Version
		}
		s.next(p, *r)
	}
	return nil
}

// replaceRows makes the rows of some streams those that are given, and touches only what differs. The INSERT waits for the DELETE, by
// asking how many rows it took.
const replaceRows = `
WITH new AS MATERIALIZED (
	SELECT * FROM json_populate_recordset(NULL::{T}, $4::json)
), old AS MATERIALIZED (
	SELECT s.workspace, s.id, o.ctid, o.t FROM unnest($2::text[], $3::text[]) AS s (workspace, id)
	CROSS JOIN LATERAL (SELECT t.ctid, t FROM {T} t WHERE t.generation = $1 AND t.workspace = s.workspace AND t.id = s.id OFFSET 0) o
), gone AS (
	DELETE FROM {T} WHERE ctid = ANY (ARRAY(SELECT old.ctid FROM old WHERE NOT EXISTS (
		SELECT FROM new WHERE new.workspace = old.workspace AND new.id = old.id AND new IS NOT DISTINCT FROM old.t)))
	RETURNING 1
)
INSERT INTO {T} SELECT new.* FROM new WHERE (SELECT count(*) FROM gone) >= 0 AND NOT EXISTS (
	SELECT FROM old WHERE old.workspace = new.workspace AND old.id = new.id AND new IS NOT DISTINCT FROM old.t)`

const park = `
INSERT INTO projection_parked (projection, generation, workspace, id, version, error) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (projection, generation, workspace, id) DO UPDATE SET version = excluded.version, error = excluded.error, parked_at = excluded.parked_at`

// savepoint is what to go back to where the table refuses rows.
const savepoint = "projection_rows"

// write brings the rows of streams to what was folded, and parks those that cannot be. It says which were parked. With fresh there are no
// rows of these streams yet.
func write(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream, fresh bool) (parked []*stream, err error) {
	if len(streams) == 0 {
		return nil, nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return nil, pgerr.Wrap("write view "+p.name, err)
	}
	if err = writeRows(ctx, tx, p, generation, streams, fresh); refused(err) {
		err = writeOneByOne(ctx, tx, p, generation, streams, fresh)
	}
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT "+savepoint); err != nil {
		return nil, pgerr.Wrap("write view "+p.name, err)
	}
	for _, s := range streams {
		if s.failure == nil {
			continue
		}
		parked = append(parked, s)
		if _, err := tx.ExecContext(ctx, park, p.name, generation, s.workspace, s.id, s.failedAt, excerpt(s.failure)); err != nil {
			return nil, pgerr.Wrap("park a stream of view "+p.name, err)
		}
	}
	return parked, nil
}

// writeOneByOne finds out which of the streams it was whose rows were refused.
func writeOneByOne(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream, fresh bool) error {
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); err != nil {
		return pgerr.Wrap("write view "+p.name, err)
	}
	for _, s := range streams {
		then := "RELEASE SAVEPOINT " + savepoint + "; SAVEPOINT " + savepoint
		err := writeRows(ctx, tx, p, generation, []*stream{s}, fresh)
		if refused(err) {
			s.failure, s.failedAt = fmt.Errorf("its rows were refused: %w", errors.Unwrap(err)), s.version
			then, err = "ROLLBACK TO SAVEPOINT "+savepoint, nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, then); err != nil {
			return pgerr.Wrap("write view "+p.name, err)
		}
	}
	return nil
}

// writeRows writes what was folded of streams, also of those with an event that could not be: up to that event.
func writeRows(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream, fresh bool) error {
	if fresh {
		return copyRows(ctx, tx, p, generation, streams)
	}
	text := rowsOf(generation, streams)
	workspaces, ids := pq.StringArray{}, pq.StringArray{}
	for _, s := range streams {
		if !s.rowless { // else it keeps the rows that it has
			workspaces, ids = append(workspaces, s.workspace), append(ids, s.id)
		}
	}
	_, err := tx.ExecContext(ctx, p.statement(replaceRows), generation, workspaces, ids, text)
	return pgerr.Wrap("write view "+p.name, err)
}

// copyRows adds rows by COPY, which takes the database half as long as JSON does.
func copyRows(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream) (err error) {
	columns := "generation, workspace, id"
	for _, c := range p.columns {
		columns += ", " + pq.QuoteIdentifier(c.name)
	}
	statement, err := tx.PrepareContext(ctx, p.statement("COPY {T} ("+columns+") FROM STDIN"))
	if err != nil {
		return pgerr.Wrap("write view "+p.name, err)
	}
	defer func() { err = pgerr.Wrap("write view "+p.name, errors.Join(err, statement.Close())) }()
	for _, s := range streams {
		if err := s.copyRows(ctx, statement, generation); err != nil {
			return err
		}
	}
	_, err = statement.ExecContext(ctx)
	return err
}

// rowsOf is the rows of streams as a JSON array.
func rowsOf(generation int, streams []*stream) string {
	var b bytes.Buffer
	b.WriteByte('[')
	for _, s := range streams {
		s.appendRows(&b, generation)
	}
	b.WriteByte(']')
	return b.String()
}

// refused says that the database would not have these rows, and never will.
func refused(err error) bool {
	reported := pq.As(err)
	return reported != nil && (reported.Code.Class() == pqerror.ClassDataException || reported.Code.Class() == pqerror.ClassIntegrityConstraintViolation)
}

const maxError = 1000 // bytes of an error that are kept

func excerpt(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "\uFFFD")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}
