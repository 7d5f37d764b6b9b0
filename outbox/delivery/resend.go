package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// What is sent again gets a row of deliveries like any other, made by whoever asks and not by the owner. It is a retry that is due, so the
// owner finds it although it has passed its place; and the owner puts several of one stream in order when it reads them (fetchDue).
//
// The number of attempts that were made before is read in a statement of its own, once the row is there: while another row for the same
// event was open, its attempts went on, and the insertion waited for its end.

// insertResent makes rows for events of the log ($2, $3), to be sent again, and leaves open ones as they are.
const insertResent = `
INSERT INTO deliveries (webhook, transaction_id, position, stream, state, resent, due_at)
SELECT $1, e.transaction_id, e.position, e.stream, 'retry', true, $4
FROM unnest($2::bigint[], $3::bigint[]) AS k (transaction_id, position)
JOIN events e ON e.transaction_id = k.transaction_id AND e.position = k.position
ON CONFLICT DO NOTHING
RETURNING transaction_id, position`

const countEarlier = `
UPDATE deliveries d SET attempts = a.number, earlier = a.number
FROM unnest($2::bigint[], $3::bigint[]) AS k (transaction_id, position)
CROSS JOIN LATERAL (SELECT max(number) AS number FROM attempts
	WHERE webhook = $1 AND transaction_id = k.transaction_id AND position = k.position) a
WHERE d.webhook = $1 AND d.transaction_id = k.transaction_id AND d.position = k.position AND a.number > 0`

// resend lays events out to be sent again, and returns how many were not open anyway.
func resend(ctx context.Context, tx *sql.Tx, webhook int64, transactionIDs, positions pq.Int64Array, now time.Time) (int, error) {
	if len(positions) == 0 {
		return 0, nil
	}
	rows, err := tx.QueryContext(ctx, insertResent, webhook, transactionIDs, positions, now)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var madeIDs, madePositions pq.Int64Array
	for rows.Next() {
		var k key
		if err := rows.Scan(&k.transactionID, &k.position); err != nil {
			return 0, err
		}
		madeIDs, madePositions = append(madeIDs, k.transactionID), append(madePositions, k.position)
	}
	if err := rows.Err(); err != nil || len(madeIDs) == 0 {
		return 0, err
	}
	rows.Close()
	_, err = tx.ExecContext(ctx, countEarlier, webhook, madeIDs, madePositions)
	return len(madeIDs), err
}

// Resend has an event sent to a webhook again, whatever became of it: with the same id and the same bytes, and with all the retries that
// a new one has. Where it is still to be retried, that becomes due now. The event need not be one that the webhook subscribes to now.
//
// It returns a [*domain.NotFoundError] where there is no such webhook, or no such event that the fan-out has passed; a test cannot be sent
// again.
func Resend(ctx context.Context, db *sql.DB, workspace, webhookID string, event uuid.UUID) error {
	const op = "send a delivery again"
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if err := ResendTx(ctx, tx, workspace, webhookID, event); err != nil {
		return err
	}
	return pgerr.Wrap(op, tx.Commit())
}

// ResendTx is [Resend] within the caller's transaction.
func ResendTx(ctx context.Context, tx *sql.Tx, workspace, webhookID string, event uuid.UUID) error {
	const op = "send a delivery again"
	var webhook int64
	err := tx.QueryRowContext(ctx, `SELECT number FROM webhooks WHERE workspace = $1 AND id = $2 AND deleted_at IS NULL`, workspace, webhookID).Scan(&webhook)
	if errors.Is(err, sql.ErrNoRows) {
		return &domain.NotFoundError{Kind: "webhook", ID: webhookID}
	}
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	var k key
	var now time.Time
	err = tx.QueryRowContext(ctx, `
		SELECT e.transaction_id, e.position, clock_timestamp() FROM events e JOIN checkpoints c ON c.consumer = $3
		WHERE e.id = $1 AND e.workspace = $2 AND (e.transaction_id, e.position) <= (c.transaction_id, c.position)`,
		event, workspace, Consumer).Scan(&k.transactionID, &k.position, &now)
	if errors.Is(err, sql.ErrNoRows) {
		return &domain.NotFoundError{Kind: "delivery", ID: ID(webhookID, event)}
	}
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	made, err := resend(ctx, tx, webhook, pq.Int64Array{k.transactionID}, pq.Int64Array{k.position}, now)
	if err == nil && made == 0 {
		_, err = tx.ExecContext(ctx, `UPDATE deliveries SET due_at = least(due_at, $4)
			WHERE webhook = $1 AND transaction_id = $2 AND position = $3 AND state = 'retry'`, webhook, k.transactionID, k.position, now)
	}
	return pgerr.Wrap(op, err)
}

// Replay says what is to be sent again: events that were recorded at Since or later and before Until, and that the webhook subscribes to,
// whether it was told of them or not.
type Replay struct {
	Since, Until time.Time // Until defaults to now
	Types        []string  // the log's event types. Defaults to those that the webhook subscribes to
	FailedOnly   bool      // only those that were given up
}

// MaxReplay is how many events one replay may have.
const MaxReplay = 1_000_000

// ReplayTooLargeError says that a replay would have more than [MaxReplay] events.
type ReplayTooLargeError struct{}

func (*ReplayTooLargeError) Error() string {
	return fmt.Sprintf("more than %d events would be sent again: ask for a shorter time", MaxReplay)
}

// NoRelayError says that nothing can be sent again, because no relay has ever run.
type NoRelayError struct{}

func (*NoRelayError) Error() string {
	return "no relay has run on this database yet, so there is nothing to send again"
}

// replay is a [Replay] with everything filled in.
type replay struct {
	number      int64
	webhook     int64
	workspace   string
	types       []string
	since       time.Time
	until       time.Time
	failedOnly  bool
	after, upTo key
}

const resolveReplay = `
SELECT w.number, w.workspace, w.types, log_place($3), c.transaction_id, c.position, now()
FROM webhooks w LEFT JOIN checkpoints c ON c.consumer = $4
WHERE w.workspace = $1 AND w.id = $2 AND w.deleted_at IS NULL`

func (r Replay) resolve(ctx context.Context, db *sql.DB, workspace, webhookID string) (x replay, err error) {
	x = replay{since: r.Since, until: r.Until, failedOnly: r.FailedOnly}
	var now time.Time
	var upTo struct{ transactionID, position sql.NullInt64 }
	err = db.QueryRowContext(ctx, resolveReplay, workspace, webhookID, r.Since.Add(-early), Consumer).Scan(&x.webhook, &x.workspace,
		(*pq.StringArray)(&x.types), &x.after.transactionID, &upTo.transactionID, &upTo.position, &now)
	if errors.Is(err, sql.ErrNoRows) {
		return x, &domain.NotFoundError{Kind: "webhook", ID: webhookID}
	}
	if err != nil {
		return x, pgerr.Wrap("prepare a replay", err)
	}
	if !upTo.transactionID.Valid {
		return x, &NoRelayError{}
	}
	x.upTo = key{upTo.transactionID.Int64, upTo.position.Int64}
	x.after.position = 1<<63 - 1 // behind all of that transaction
	if len(r.Types) > 0 {
		x.types = r.Types
	}
	if x.until.IsZero() {
		x.until = now
	}
	return x, nil
}

func (x *replay) arguments(limit int) []any {
	return []any{x.webhook, x.after.transactionID, x.after.position, x.upTo.transactionID, x.upTo.position, x.workspace,
		pq.StringArray(append([]string{}, x.types...)), x.since, x.until, limit}
}

// What a replay is made of, behind one place and up to another: events that are subscribed to, or deliveries that were given up and not
// sent again since. Operational events have to be named, as ever.
const (
	replayedEvents = `
	SELECT e.transaction_id, e.position FROM events e
	WHERE $1::bigint IS NOT NULL AND (e.transaction_id, e.position) > ($2, $3) AND (e.transaction_id, e.position) <= ($4, $5)
		AND e.workspace = $6 AND (cardinality($7::text[]) = 0 AND e.stream NOT LIKE 'webhook/%' OR e.type = ANY ($7))
		AND e.recorded_at >= $8 AND e.recorded_at < $9
	LIMIT $10`
	replayedFailures = `
	SELECT a.transaction_id, a.position FROM attempts a
	JOIN events e ON e.transaction_id = a.transaction_id AND e.position = a.position
	WHERE a.webhook = $1 AND a.outcome = 'given_up' AND a.position > 0
		AND (a.transaction_id, a.position) > ($2, $3) AND (a.transaction_id, a.position) <= ($4, $5)
		AND e.workspace = $6 AND (cardinality($7::text[]) = 0 OR e.type = ANY ($7)) AND e.recorded_at >= $8 AND e.recorded_at < $9
		AND NOT EXISTS (SELECT FROM attempts n WHERE n.webhook = a.webhook AND n.transaction_id = a.transaction_id
			AND n.position = a.position AND n.number > a.number)
	ORDER BY a.webhook, a.transaction_id, a.position LIMIT $10`
)

func (x *replay) source() string {
	if x.failedOnly {
		return replayedFailures
	}
	return replayedEvents
}

func (x *replay) count(ctx context.Context, db *sql.DB) (n int, err error) {
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (`+x.source()+`) x`, x.arguments(MaxReplay+1)...).Scan(&n); err != nil {
		return 0, pgerr.Wrap("count what to send again", err)
	}
	if n > MaxReplay {
		return 0, &ReplayTooLargeError{}
	}
	return n, nil
}

// CountReplay returns how many events [StartReplay] would send again. It returns a [*ReplayTooLargeError], a
// [*NoRelayError] or a [*domain.NotFoundError].
func CountReplay(ctx context.Context, db *sql.DB, workspace, webhookID string, r Replay) (int, error) {
	x, err := r.resolve(ctx, db, workspace, webhookID)
	if err != nil {
		return 0, err
	}
	return x.count(ctx, db)
}

// StartReplay has events sent to a webhook again, each with the same id and the same bytes, those of one stream in order and besides
// whatever else is under way. It returns how many there are. A relay lays them out bit by bit; what it has done and what is left is kept in
// the database, so that nothing is lost or doubled if it stops in between. What is still open is not sent twice.
//
// It returns a [*ReplayTooLargeError], a [*NoRelayError] or a [*domain.NotFoundError].
func StartReplay(ctx context.Context, db *sql.DB, workspace, webhookID string, r Replay) (n int, err error) {
	x, err := r.resolve(ctx, db, workspace, webhookID)
	if err != nil {
		return 0, err
	}
	if n, err = x.count(ctx, db); err != nil || n == 0 {
		return n, err
	}
	_, err = db.ExecContext(ctx, `
		INSERT INTO replays (webhook, since, until, types, failed_only, after_transaction, after_position, upto_transaction, upto_position, found, asked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now())`,
		x.webhook, x.since, x.until, pq.StringArray(append([]string{}, x.types...)), x.failedOnly, x.after.transactionID, x.after.position,
		x.upTo.transactionID, x.upTo.position, n)
	return n, pgerr.Wrap("start a replay", err)
}

// One step of a replay takes the oldest unfinished one that nobody else works on.
const (
	nextReplay = `
	SELECT r.number, r.webhook, w.workspace, r.types, r.since, r.until, r.failed_only,
		r.after_transaction, r.after_position, r.upto_transaction, r.upto_position, w.deleted_at IS NOT NULL
	FROM replays r JOIN webhooks w ON w.number = r.webhook
	WHERE r.finished_at IS NULL ORDER BY r.number LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED`
	// replayPage walks along the log and picks events as replayedEvents does, in the order of the log. The last row tells how far it came.
	replayPage = `
	SELECT n.transaction_id, n.position, $1::bigint IS NOT NULL AND n.workspace = $6
		AND (cardinality($7::text[]) = 0 AND n.stream NOT LIKE 'webhook/%' OR n.type = ANY ($7))
		AND (SELECT e.recorded_at >= $8 AND e.recorded_at < $9 FROM events e WHERE e.transaction_id = n.transaction_id AND e.position = n.position)
	FROM next_events($2, $3, $4, $5, $10) n ORDER BY n.transaction_id, n.position`
	failurePage = `SELECT x.transaction_id, x.position, true FROM (` + replayedFailures + `) x ORDER BY x.transaction_id, x.position`
	moveReplay  = `
	UPDATE replays SET after_transaction = $2, after_position = $3, sent = sent + $4, finished_at = CASE WHEN $5 THEN now() END WHERE number = $1`
)

// ReplayStep lays out the next events of a replay, at most limit, and says whether there may be more to do.
func ReplayStep(ctx context.Context, db *sql.DB, limit int) (more bool, err error) {
	const op = "replay events"
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, alongIndexes); err != nil {
		return false, pgerr.Wrap(op, err)
	}
	if more, err = replayStep(ctx, tx, limit); err == nil && more {
		err = tx.Commit()
	}
	return more && err == nil, pgerr.Wrap(op, err)
}

func replayStep(ctx context.Context, tx *sql.Tx, limit int) (more bool, err error) {
	var x replay
	var deleted bool
	err = tx.QueryRowContext(ctx, nextReplay).Scan(&x.number, &x.webhook, &x.workspace, (*pq.StringArray)(&x.types), &x.since, &x.until,
		&x.failedOnly, &x.after.transactionID, &x.after.position, &x.upTo.transactionID, &x.upTo.position, &deleted)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	query, walked := replayPage, 0
	if x.failedOnly {
		query = failurePage
	}
	var transactionIDs, positions pq.Int64Array
	if !deleted {
		rows, err := tx.QueryContext(ctx, query, x.arguments(limit)...)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			var wanted bool
			if err := rows.Scan(&x.after.transactionID, &x.after.position, &wanted); err != nil {
				return false, err
			}
			if walked++; wanted {
				transactionIDs, positions = append(transactionIDs, x.after.transactionID), append(positions, x.after.position)
			}
		}
		if err := rows.Err(); err != nil {
			return false, err
		}
		rows.Close()
	}
	var now time.Time
	if err := tx.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return false, err
	}
	sent, err := resend(ctx, tx, x.webhook, transactionIDs, positions, now)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, moveReplay, x.number, x.after.transactionID, x.after.position, sent, walked < limit)
	return true, err
}
