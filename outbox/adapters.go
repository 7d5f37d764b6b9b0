package outbox

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	watermill "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// LogSchema makes the log a topic of watermill-sql: a subscriber with this schema and [Checkpoints] reads it, whatever topic it names.
// A message does not stand for one event but for a [Range] of them, because that is what can be worked on in one statement.
//
// The subscriber's transaction reads only, until the message is acknowledged or its handler writes. So an idle subscriber takes no
// transaction id and does not hold others up. An advisory lock, released with the transaction, keeps a second subscriber of the same
// consumer group from getting a message at the same time; it gets none, and looks again later.
//
// watermill-sql does not look at the error that ends a result early. Here that is harmless: no row is no message, and the next look
// finds it.
type LogSchema struct {
	// BatchSize is how many events a message stands for at most. Defaults to 2000.
	BatchSize int
}

// DefaultBatchSize is the default of [LogSchema.BatchSize].
const DefaultBatchSize = 2000

// Place is a place in the log: right behind the event with this transaction and position.
type Place struct {
	TransactionID int64 `json:"transactionId"`
	Position      int64 `json:"position"`
}

// Range is the events behind one place, up to and including the one at another.
type Range struct {
	After Place `json:"after"`
	UpTo  Place `json:"upTo"`
}

// RangeOf returns the range that a message stands for.
func RangeOf(m *message.Message) (r Range, err error) {
	if err := json.Unmarshal(m.Payload, &r); err != nil {
		return Range{}, fmt.Errorf("message %s is not a range of the log: %w", m.UUID, err)
	}
	return r, nil
}

const nextOffset = `SELECT c.transaction_id, c.position FROM checkpoints c WHERE c.consumer = $1`

// selectRange returns a consumer's checkpoint and the last of the events that come next, or no row. Only events whose transaction is
// older than every running one are read, so those before the first position of the oldest: nothing can appear among them any more,
// however late it commits.
//
// The lock is tried for only where there is something to do. Its holder may just have moved the checkpoint while our snapshot still
// shows the old one; then acknowledging fails, because the row was updated after the snapshot (repeatable read), and all is rolled back.
const selectRange = `
WITH checkpoint AS MATERIALIZED (
	` + nextOffset + `
), batch AS MATERIALIZED (
	SELECT e.transaction_id, e.position FROM checkpoint c CROSS JOIN LATERAL
		next_events(c.transaction_id, c.position, log_horizon(), 0, $2) e
), last AS MATERIALIZED (
	SELECT b.transaction_id, b.position FROM batch b ORDER BY b.transaction_id DESC, b.position DESC LIMIT 1
)
SELECT checkpoint.transaction_id, checkpoint.position, last.transaction_id, last.position FROM checkpoint CROSS JOIN last
WHERE pg_try_advisory_xact_lock('checkpoints'::regclass::oid::integer, hashtext($1))`

// SelectQuery is called by the subscriber.
func (s LogSchema) SelectQuery(p watermill.SelectQueryParams) (watermill.Query, error) {
	size := s.BatchSize
	if size <= 0 {
		size = DefaultBatchSize
	}
	return watermill.Query{Query: selectRange, Args: []any{p.ConsumerGroup, size}}, nil
}

// UnmarshalMessage is called by the subscriber.
func (s LogSchema) UnmarshalMessage(p watermill.UnmarshalMessageParams) (watermill.Row, error) {
	var r Range
	if err := p.Row.Scan(&r.After.TransactionID, &r.After.Position, &r.UpTo.TransactionID, &r.UpTo.Position); err != nil {
		return watermill.Row{}, fmt.Errorf("read a range of the log: %w", err)
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return watermill.Row{}, fmt.Errorf("read a range of the log: %w", err)
	}
	return watermill.Row{
		Offset:    r.UpTo.Position, // 0 would mean that there is no message; positions begin with 1
		Msg:       message.NewMessage(uuid.NewString(), payload),
		ExtraData: map[string]any{rangeKey: r},
	}, nil
}

const rangeKey = "range"

// SubscribeIsolationLevel is repeatable read: the range and what is done about it are of one snapshot.
func (LogSchema) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelRepeatableRead }

// InsertQuery refuses: the log is written through the event store only.
func (LogSchema) InsertQuery(watermill.InsertQueryParams) (watermill.Query, error) {
	return watermill.Query{}, errors.New("the log cannot be published to: append events through the event store")
}

// SchemaInitializingQueries returns none: tables belong in the migrations.
func (LogSchema) SchemaInitializingQueries(watermill.SchemaInitializingQueriesParams) ([]watermill.Query, error) {
	return nil, nil
}

// Checkpoints keeps how far each consumer group of the log has come.
type Checkpoints struct{}

// BeforeSubscribingQueries makes a new consumer's checkpoint, at the beginning of the log.
func (Checkpoints) BeforeSubscribingQueries(p watermill.BeforeSubscribingQueriesParams) ([]watermill.Query, error) {
	return []watermill.Query{{Query: `SELECT begin_era()`}, {
		Query: `INSERT INTO checkpoints (consumer) VALUES ($1) ON CONFLICT DO NOTHING`, Args: []any{p.ConsumerGroup},
	}}, nil
}

// NextOffsetQuery returns a consumer's checkpoint.
func (Checkpoints) NextOffsetQuery(p watermill.NextOffsetQueryParams) (watermill.Query, error) {
	return watermill.Query{Query: nextOffset, Args: []any{p.ConsumerGroup}}, nil
}

const moveCheckpoint = `UPDATE checkpoints SET transaction_id = $2, position = $3
	WHERE consumer = $1 AND (transaction_id, position) = ($4, $5)`

// AckMessageQuery moves the checkpoint from the beginning of a range to its end.
func (Checkpoints) AckMessageQuery(p watermill.AckMessageQueryParams) (watermill.Query, error) {
	r, ok := p.LastRow.ExtraData[rangeKey].(Range)
	if !ok {
		return watermill.Query{}, errors.New("checkpoints are for messages of LogSchema")
	}
	return watermill.Query{
		Query: moveCheckpoint,
		Args:  []any{p.ConsumerGroup, r.UpTo.TransactionID, r.UpTo.Position, r.After.TransactionID, r.After.Position},
	}, nil
}

// ConsumedMessageQuery returns none.
func (Checkpoints) ConsumedMessageQuery(watermill.ConsumedMessageQueryParams) (watermill.Query, error) {
	return watermill.Query{}, nil
}

// SchemaInitializingQueries returns none: tables belong in the migrations.
func (Checkpoints) SchemaInitializingQueries(watermill.OffsetsSchemaInitializingQueriesParams) ([]watermill.Query, error) {
	return nil, nil
}
