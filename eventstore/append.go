package eventstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

const appendStatement = `SELECT id, position, transaction_id FROM append_events(
	$1, $2, $3, $4::uuid[], $5::uuid[], $6::bytea[], $7::text[], $8::text[], $9::integer[], $10::text[],
	$11::smallint[], $12::json[], $13::json[], $14::timestamptz[], $15::bytea[],
	$16::uuid[], $17::text[], $18::text[], $19::bytea[], $20::text[], $21::integer[], $22::integer[], $23::timestamptz[])`

// plainStatement is what append_events does for batches of one event and without a key, which are most, in a third of the function's time.
// It has room for so many batches: a row of parameters costs far less than an element in each of eleven arrays. Rows that stay empty, as
// NULL, are not inserted.
//
// A batch is left out where the stream has grown meanwhile. Two that want the same version at the same moment can only be told apart by
// the index: the later one fails the whole statement if it is hopeful, and is left out if not, which takes a sixth more of the server's time.
func plainStatement(room int, hopeful bool) string {
	var s strings.Builder
	s.WriteString(`INSERT INTO events (transaction_id, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
	SELECT ` + thisTransaction + `, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash
	FROM (VALUES `)
	for row := range room {
		if row > 0 {
			s.WriteString(", ")
		}
		first := eraArguments + row*plainColumns
		fmt.Fprintf(&s, "($%d::bytea, $%d::uuid, $%d::text, $%d::text, $%d::integer, $%d::text, $%d::smallint, $%d::json, $%d::json, $%d::timestamptz, $%d::bytea)",
			first+1, first+2, first+3, first+4, first+5, first+6, first+7, first+8, first+9, first+10, first+11)
	}
	s.WriteString(`) AS e (previous, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
	WHERE (e.version = 1 OR (
		SELECT CASE WHEN p.version = e.version - 1 AND p.transaction_id <= ` + thisTransaction + ` THEN p.hash END
		FROM events p WHERE p.workspace = e.workspace AND p.stream = e.stream ORDER BY p.version DESC LIMIT 1
	) = e.previous) AND ` + expectEra)
	if !hopeful {
		s.WriteString(` ON CONFLICT ON CONSTRAINT events_stream DO NOTHING`)
	}
	s.WriteString(` RETURNING id, position, transaction_id`)
	return s.String()
}

// waryFor is how long no statement is hopeful after a lost race: where there is one rival, more of the kind follow, and each statement that
// fails leaves a line in the server's log.
const waryFor = time.Second

const (
	eraArguments = 3  // base, server and log come first in each statement
	plainColumns = 11 // of a row of plainStatement
	plainSlots   = 9  // room for 1, 2, 4, … 256 batches
)

// plainSlot says which of the prepared plain statements has room for so many batches.
func plainSlot(batches int) (slot, room int) {
	slot = bits.Len(uint(batches - 1))
	return slot, 1 << slot
}

// Append adds a batch to its stream, together with whatever other batches are being appended right now, and fills in the positions
// of its events. It returns nil once everything is committed; a [*ConflictError] or [*KeyTakenError] where nothing was written; or a
// database error, whose Unknown field says whether the batch may have been committed all the same. The same holds for the error of
// a ctx that ends while the statement is under way.
func (s *Store) Append(ctx context.Context, b *Batch) error {
	return s.group.append(ctx, b)
}

// AppendTx adds a batch within the caller's transaction. A lost race is reported as by [Store.Append] and leaves the transaction
// usable; what it needs then is a new transaction, because within this one the rival's work stays out of reach or out of order.
func (s *Store) AppendTx(ctx context.Context, tx *sql.Tx, b *Batch) error {
	verdicts, err := s.call(ctx, tx, []*Batch{b})
	if err != nil {
		return err
	}
	return verdicts[0]
}

// appendAll appends batches, sorted by their streams, in one statement and one commit, and returns a verdict for each.
func (s *Store) appendAll(ctx context.Context, batches []*Batch) ([]error, error) {
	return s.call(ctx, nil, batches)
}

// call runs the statement that fits the batches, within tx if there is one. If nothing came of it, that may be because the server is
// another than we knew of; then it is run again. Within a caller's transaction it is never hopeful, because that has to go on.
func (s *Store) call(ctx context.Context, tx *sql.Tx, batches []*Batch) ([]error, error) {
	for {
		era, err := s.currentEra(ctx, tx)
		if err != nil {
			return nil, err
		}
		hopeful := tx == nil && time.Now().UnixMilli() >= s.waryUntil.Load()
		verdicts, nothing, err := s.callIn(ctx, era, tx, batches, hopeful)
		if hopeful && lostRace(err) { // and nothing was written
			s.waryUntil.Store(time.Now().Add(waryFor).UnixMilli())
			continue
		}
		if err != nil || !nothing {
			return verdicts, err
		}
		if changed, err := s.eraChanged(ctx, tx, era); err != nil || !changed {
			return verdicts, err
		}
	}
}

// callIn also says whether the database did nothing at all.
func (s *Store) callIn(ctx context.Context, era *era, tx *sql.Tx, batches []*Batch, hopeful bool) (verdicts []error, nothing bool, err error) {
	arguments := []any{era.base, era.server, era.log}
	slot, query := &s.appendStmt, appendStatement
	if plain(batches) {
		i, room := plainSlot(len(batches))
		slot = &s.plainStmts[i]
		if hopeful {
			slot = &s.hopefulStmts[i]
		}
		if slot.Load() == nil {
			query = plainStatement(room, hopeful)
		}
		arguments = appendPlain(arguments, batches, room)
	} else {
		arguments = appendArrays(arguments, batches)
	}
	statement, err := s.statement(ctx, tx, slot, query)
	if err != nil {
		return nil, false, err
	}
	began := time.Now()
	defer func() { s.metrics.Seconds.Observe(time.Since(began).Seconds()) }()
	s.metrics.GroupSize.Observe(float64(len(batches)))
	rows, err := statement.QueryContext(ctx, arguments...)
	if err != nil {
		return nil, false, pgerr.Wrap(describe(batches), err)
	}
	defer rows.Close()

	positions := make(map[uuid.UUID]int64, len(batches))
	var taken []uuid.UUID
	var transactionID int64
	for rows.Next() {
		var id uuid.UUID
		var position sql.NullInt64
		if err := rows.Scan(&id, &position, &transactionID); err != nil {
			return nil, false, pgerr.Wrap(describe(batches), err)
		}
		if position.Valid {
			positions[id] = position.Int64
		} else {
			taken = append(taken, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, pgerr.Wrap(describe(batches), err)
	}

	verdicts = make([]error, len(batches))
	for i, b := range batches {
		switch {
		case slices.Contains(taken, b.ID):
			verdicts[i] = &KeyTakenError{Key: b.Key.Name}
		case len(b.Events) > 0 && positions[b.ID] == 0:
			verdicts[i] = &ConflictError{Stream: b.Stream, Expected: b.After.Version, Actual: -1}
		default:
			s.metrics.Events.Add(float64(len(b.Events)))
			for j := range b.Events {
				b.Events[j].Position = positions[b.Events[j].ID]
				b.Events[j].TransactionID = transactionID
			}
			continue
		}
		s.metrics.Conflicts.Inc()
	}
	return verdicts, len(positions) == 0 && len(taken) == 0, nil
}

// lostRace says whether a rival had the same version of a stream in hand, and was faster.
func lostRace(err error) bool {
	reported := pq.As(err, pqerror.UniqueViolation)
	return reported != nil && reported.Constraint == "events_stream"
}

func describe(batches []*Batch) string {
	if len(batches) == 1 {
		return "append to " + batches[0].stream
	}
	return fmt.Sprintf("append to %d streams", len(batches))
}

// plain says whether each batch is one event without a key.
func plain(batches []*Batch) bool {
	for _, b := range batches {
		if len(b.Events) != 1 || b.Key != nil {
			return false
		}
	}
	return true
}

// appendPlain lays the batches out as the rows that a plain statement with that much room wants. What is long goes as bytes, which
// neither database/sql nor lib/pq copies or converts.
func appendPlain(arguments []any, batches []*Batch, room int) []any {
	arguments = slices.Grow(arguments, room*plainColumns)
	for _, b := range batches {
		e := &b.Events[0]
		arguments = append(arguments, b.After.Hash, e.ID.String(), e.Workspace, b.stream, int64(e.Version), e.Type,
			int64(e.SchemaVersion), []byte(e.Stored()), []byte(e.Metadata), timestamp(e.RecordedAt), e.Hash)
	}
	return append(arguments, make([]any, (room-len(batches))*plainColumns)...)
}

// appendArrays lays the batches out as the arrays that append_events wants.
func appendArrays(arguments []any, batches []*Batch) []any {
	var (
		head, id, version, schemaVersion, recordedAt plainArray
		workspace, stream, eventType, data, metadata pq.StringArray
		previous, hash                               pq.ByteaArray
		kCommand, kFirst, kLast, kRecordedAt         plainArray
		kWorkspace, kKey, kStream                    pq.StringArray
		kFingerprint                                 pq.ByteaArray
	)
	for _, b := range batches {
		at := string(timestamp(b.at))
		for i := range b.Events {
			e := &b.Events[i]
			head.add(b.ID.String())
			id.add(e.ID.String())
			previous = append(previous, b.After.Hash)
			version.add(strconv.Itoa(e.Version))
			schemaVersion.add(strconv.Itoa(e.SchemaVersion))
			recordedAt.add(at)
			workspace = append(workspace, b.Workspace)
			stream = append(stream, b.stream)
			eventType = append(eventType, e.Type)
			data = append(data, string(e.Stored()))
			metadata = append(metadata, string(e.Metadata))
			hash = append(hash, e.Hash)
		}
		if b.Key != nil {
			kCommand.add(b.ID.String())
			kFirst.add(strconv.Itoa(b.After.Version + 1))
			kLast.add(strconv.Itoa(b.After.Version + len(b.Events)))
			kRecordedAt.add(at)
			kWorkspace = append(kWorkspace, b.Workspace)
			kKey = append(kKey, b.Key.Name)
			kStream = append(kStream, b.stream)
			kFingerprint = append(kFingerprint, b.Key.Fingerprint[:])
		}
	}
	return append(arguments,
		head.String(), id.String(), pq.ByteaArray(append([][]byte{}, previous...)), nonNil(workspace), nonNil(stream), version.String(), nonNil(eventType),
		schemaVersion.String(), nonNil(data), nonNil(metadata), recordedAt.String(), pq.ByteaArray(append([][]byte{}, hash...)),
		kCommand.String(), nonNil(kWorkspace), nonNil(kKey), pq.ByteaArray(append([][]byte{}, kFingerprint...)), nonNil(kStream),
		kFirst.String(), kLast.String(), kRecordedAt.String())
}

// nonNil makes sure that no elements are an empty array, not NULL.
func nonNil(a pq.StringArray) pq.StringArray {
	if a == nil {
		return pq.StringArray{}
	}
	return a
}

// plainArray is a PostgreSQL array literal of elements that need no quoting.
type plainArray struct{ strings.Builder }

func (a *plainArray) add(element string) {
	if a.Len() > 0 {
		a.WriteByte(',')
	}
	a.WriteString(element)
}

func (a *plainArray) String() string { return "{" + a.Builder.String() + "}" }

// timestamp is a time, in UTC, as PostgreSQL reads it.
func timestamp(t time.Time) []byte {
	return t.AppendFormat(make([]byte, 0, len(time.RFC3339Nano)), time.RFC3339Nano)
}
