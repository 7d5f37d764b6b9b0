package delivery

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Status tells how far a delivery has come.
type Status string

const (
	Pending   Status = "pending"   // not tried yet
	Retrying  Status = "retrying"  // tried in vain, or next in a stream that was held back; it will be tried again
	Blocked   Status = "blocked"   // waits for an earlier event of the same stream
	Delivered Status = "delivered" // the receiver has taken it
	GivenUp   Status = "given_up"  // it will not be tried again
)

// Statuses are all of them.
var Statuses = []Status{Pending, Retrying, Blocked, Delivered, GivenUp}

// Delivery is one event for one webhook.
type Delivery struct {
	ID            string     `json:"id"` // webhook id and event id with a slash between them
	Webhook       string     `json:"webhook"`
	Status        Status     `json:"status"`
	Event         Event      `json:"event"`
	Test          bool       `json:"test,omitempty"` // it was a test: there is no such event in the log
	AttemptsMade  int        `json:"attemptsMade"`
	NextAttemptAt *time.Time `json:"nextAttemptAt,omitempty"` // of a retrying one, UTC
	Attempts      []Attempt  `json:"attempts,omitempty"`      // in order; not in lists
}

// Event says what a delivery is about.
type Event struct {
	ID         uuid.UUID `json:"id"`
	Type       string    `json:"type"` // of the log; of a test the profile's name
	Stream     string    `json:"stream,omitempty"`
	Version    int       `json:"version,omitempty"`
	RecordedAt time.Time `json:"recordedAt"`
}

// Attempt is one HTTP request.
type Attempt struct {
	Number          int               `json:"number"`
	StartedAt       time.Time         `json:"startedAt"`
	DurationMS      int               `json:"durationMs"`
	Outcome         string            `json:"outcome"`              // delivered, failed or given_up
	StatusCode      int               `json:"statusCode,omitempty"` // none where no response came
	ErrorClass      string            `json:"errorClass,omitempty"` // one of [ErrorClasses]
	Error           string            `json:"error,omitempty"`
	ResponseHeaders map[string]string `json:"responseHeaders,omitempty"` // at most 2 KiB, without cookies and what every answer has
	ResponseExcerpt string            `json:"responseExcerpt,omitempty"` // at most 1 KiB
}

// ID is the public id of the delivery of an event to a webhook.
func ID(webhookID string, eventID uuid.UUID) string { return webhookID + "/" + eventID.String() }

// ParseID takes a delivery's id apart. It returns a [*domain.NotFoundError] for one that cannot be any.
func ParseID(id string) (webhookID string, eventID uuid.UUID, err error) {
	webhookID, event, _ := strings.Cut(id, "/")
	if eventID, err = uuid.Parse(event); err != nil || webhookID == "" {
		return "", uuid.UUID{}, &domain.NotFoundError{Kind: "delivery", ID: id}
	}
	return webhookID, eventID, nil
}

// Show returns a delivery with its attempts, those of deleted webhooks included. It returns a [*domain.NotFoundError] where there is
// none: the event was not for this webhook, or has not come to its turn in the fan-out yet.
func Show(ctx context.Context, db *sql.DB, workspace, webhookID string, eventID uuid.UUID) (Delivery, error) {
	const op = "show a delivery"
	d := Delivery{ID: ID(webhookID, eventID), Webhook: webhookID}
	var webhook int64
	var k key
	var state, last sql.NullString
	var made, logged int
	var due sql.NullTime
	err := db.QueryRowContext(ctx, `
		SELECT w.number, e.transaction_id, e.position, e.id, e.type, e.stream, e.version, e.recorded_at,
			d.state, coalesce(d.attempts, 0), d.due_at, coalesce(a.number, 0), a.outcome
		FROM webhooks w
		JOIN events e ON e.id = $3 AND e.workspace = w.workspace
		LEFT JOIN deliveries d ON d.webhook = w.number AND d.transaction_id = e.transaction_id AND d.position = e.position
		LEFT JOIN LATERAL (SELECT number, outcome FROM attempts a
			WHERE a.webhook = w.number AND a.transaction_id = e.transaction_id AND a.position = e.position
			ORDER BY number DESC LIMIT 1) a ON true
		WHERE w.workspace = $1 AND w.id = $2 AND (d.state IS NOT NULL OR a.outcome IS NOT NULL)`,
		workspace, webhookID, eventID).Scan(&webhook, &k.transactionID, &k.position,
		&d.Event.ID, &d.Event.Type, &d.Event.Stream, &d.Event.Version, &d.Event.RecordedAt, &state, &made, &due, &logged, &last)
	if errors.Is(err, sql.ErrNoRows) {
		d.Test = true
		err = db.QueryRowContext(ctx, `
			SELECT w.number, a.transaction_id, a.position, a.test_id, a.test_event, a.started_at, a.number, a.outcome
			FROM webhooks w JOIN attempts a ON a.webhook = w.number AND a.test_id = $3 WHERE w.workspace = $1 AND w.id = $2`,
			workspace, webhookID, eventID).Scan(&webhook, &k.transactionID, &k.position,
			&d.Event.ID, &d.Event.Type, &d.Event.RecordedAt, &logged, &last)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return Delivery{}, &domain.NotFoundError{Kind: "delivery", ID: d.ID}
	}
	if err != nil {
		return Delivery{}, pgerr.Wrap(op, err)
	}
	d.Event.RecordedAt = d.Event.RecordedAt.UTC()
	d.Status = statusOf(state.String, last.String)
	d.AttemptsMade = max(made, logged)
	d.NextAttemptAt = utc(due)

	rows, err := db.QueryContext(ctx, `
		SELECT number, started_at, duration_ms, outcome, coalesce(status_code, 0), coalesce(error_class, ''), coalesce(error, ''),
			response_headers, coalesce(response_excerpt, '')
		FROM attempts WHERE webhook = $1 AND transaction_id = $2::bigint AND position = $3 ORDER BY number`,
		webhook, k.transactionID, k.position)
	if err != nil {
		return Delivery{}, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a Attempt
		var headers []byte
		if err := rows.Scan(&a.Number, &a.StartedAt, &a.DurationMS, &a.Outcome, &a.StatusCode, &a.ErrorClass, &a.Error, &headers, &a.ResponseExcerpt); err != nil {
			return Delivery{}, pgerr.Wrap(op, err)
		}
		if headers != nil {
			if err := json.Unmarshal(headers, &a.ResponseHeaders); err != nil {
				return Delivery{}, fmt.Errorf("%s: the headers of attempt %d: %w", op, a.Number, err)
			}
		}
		a.StartedAt = a.StartedAt.UTC()
		d.Attempts = append(d.Attempts, a)
	}
	return d, pgerr.Wrap(op, rows.Err())
}

// statusOf tells the status from the row of an open delivery or, where there is none, from its last attempt.
func statusOf(state, last string) Status {
	switch state {
	case "ready":
		return Pending
	case "retry":
		return Retrying
	case "blocked":
		return Blocked
	}
	return Status(last)
}

// ListOptions narrow a list down.
type ListOptions struct {
	Status Status    // Defaults to any
	Event  string    // an event type of the log, or the profile's name of a test's event. Defaults to any
	Types  []string  // the log's event types that Event stands for. Defaults to Event itself
	Since  time.Time // of events recorded then or later. Defaults to any
	Cursor string    // of the page before. Defaults to the beginning, which is the newest event
	Limit  int       // Defaults to 50, which is at most 200
}

// scanned is how many deliveries are looked at for one page of those of an event or status: where few of them are, a page may be short or
// even empty although there are more.
const scanned = 5_000

// early is how much earlier than asked a range of time begins in the log: an event can lie before the place of its time, by as long as
// the transaction that appended it had been open.
const early = time.Hour

// CursorError says that a cursor is none that a list has given.
type CursorError struct{ Cursor string }

func (e *CursorError) Error() string {
	return fmt.Sprintf("cursor %q is not one that this list gave", e.Cursor)
}

// alongIndexes is for transactions that walk along indexes and stop after a few rows. On tables that have grown since they were last
// analysed the planner would rather fetch and sort everything; this leaves it no choice.
const alongIndexes = `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;
	SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`

// listDeliveries walks down two primary keys, that of open deliveries and that of attempts, for as many rows as a page may take; only then
// it looks at the events. A delivery that was sent again is shown once, as it is now.
const listDeliveries = `
WITH open AS (
	SELECT d.transaction_id, d.position, d.state, '' AS outcome, d.attempts, d.due_at, NULL::uuid AS test_id, NULL::text AS test_event, NULL::timestamptz AS started_at
	FROM deliveries d
	WHERE d.webhook = $1 AND (d.transaction_id, d.position) < ($2::bigint, $3::bigint) AND d.transaction_id >= $4::bigint AND $5::text <> '-'
	ORDER BY d.transaction_id DESC, d.position DESC LIMIT $10::integer
), ended AS (
	SELECT a.transaction_id, a.position, '' AS state, a.outcome, a.number AS attempts, NULL::timestamptz AS due_at, a.test_id, a.test_event, a.started_at
	FROM attempts a
	WHERE a.webhook = $1 AND (a.transaction_id, a.position) < ($2::bigint, $3::bigint) AND a.transaction_id >= $4::bigint
		AND a.outcome <> 'failed' AND $6::text <> '-' AND ($6 <> 'given_up' OR a.outcome = 'given_up')
	ORDER BY a.transaction_id DESC, a.position DESC, a.number DESC LIMIT $10::integer
), walked AS MATERIALIZED (
	SELECT * FROM (SELECT * FROM open UNION ALL SELECT * FROM ended) rows
	ORDER BY transaction_id DESC, position DESC LIMIT $10::integer
), last AS (
	SELECT transaction_id, position, (SELECT count(*) FROM walked) AS walked FROM walked ORDER BY transaction_id, position LIMIT 1
), page AS (
	SELECT o.transaction_id, o.position, o.state, o.outcome, o.attempts, o.due_at, o.test_id IS NOT NULL AS test,
		coalesce(e.id, o.test_id) AS id, coalesce(e.type, o.test_event) AS type, coalesce(e.stream, '') AS stream, coalesce(e.version, 0) AS version,
		coalesce(e.recorded_at, o.started_at) AS recorded_at
	FROM walked o LEFT JOIN events e ON e.transaction_id = o.transaction_id AND e.position = o.position
	WHERE (o.state <> '' OR (SELECT count(*) FROM (SELECT FROM attempts n WHERE n.webhook = $1 AND n.transaction_id = o.transaction_id
			AND n.position = o.position AND n.number > o.attempts LIMIT 1) later) -- a LIMIT keeps these the look-ups that they are
			+ (SELECT count(*) FROM (SELECT FROM deliveries n WHERE n.webhook = $1 AND n.transaction_id = o.transaction_id
			AND n.position = o.position LIMIT 1) open) = 0)
		AND ($5 = '' OR o.state = $5 OR o.state = '') AND ($6 = '' OR o.outcome = $6 OR o.outcome = '')
		AND ($7::text = '' OR e.type = ANY ($8::text[]) OR o.test_event = $7)
		AND coalesce(e.recorded_at, o.started_at) >= $9::timestamptz
	ORDER BY o.transaction_id DESC, o.position DESC LIMIT $11::integer
)
SELECT l.transaction_id, l.position, l.walked, p.transaction_id, p.position, p.state, p.outcome, p.attempts, p.due_at, p.test,
	p.id, p.type, p.stream, p.version, p.recorded_at
FROM last l LEFT JOIN page p ON true ORDER BY p.transaction_id DESC, p.position DESC`

// List returns deliveries of a webhook, tests included, the newest event first, and the cursor of the next page, which is empty at the
// end. A page may be short, or empty, and have a next one all the same. It returns a [*domain.NotFoundError] for a webhook that does not
// exist, or a [*CursorError].
func List(ctx context.Context, db *sql.DB, workspace, webhookID string, o ListOptions) (page []Delivery, next string, err error) {
	const op = "list deliveries"
	limit := o.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 200)
	before, err := parseCursor(o.Cursor)
	if err != nil {
		return nil, "", err
	}
	if len(o.Types) == 0 {
		o.Types = []string{o.Event}
	}
	since := sql.NullTime{Time: o.Since.Add(-early), Valid: !o.Since.IsZero()}
	var webhook, from int64
	err = db.QueryRowContext(ctx, `SELECT number, CASE WHEN $3::timestamptz IS NULL THEN 0 ELSE log_place($3) END
		FROM webhooks WHERE workspace = $1 AND id = $2`, workspace, webhookID, since).Scan(&webhook, &from)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", &domain.NotFoundError{Kind: "webhook", ID: webhookID}
	}
	if err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	exactly := any("-infinity")
	if since.Valid {
		exactly = o.Since
	}
	scan := limit + 1
	if o.Event != "" || o.Status != "" && o.Status != GivenUp { // which has an index
		scan = scanned
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, alongIndexes); err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	rows, err := tx.QueryContext(ctx, listDeliveries, webhook, before.transactionID, before.position, from, stateOf(o.Status), endOf(o.Status),
		o.Event, pq.StringArray(o.Types), exactly, scan, limit+1)
	if err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	defer rows.Close()
	var end, last key
	walked := 0
	for rows.Next() {
		d := Delivery{Webhook: webhookID}
		var transactionID, position, attempts, version sql.NullInt64
		var state, outcome, eventType, stream sql.NullString
		var due, recordedAt sql.NullTime
		var test sql.NullBool
		var id uuid.NullUUID
		if err := rows.Scan(&end.transactionID, &end.position, &walked, &transactionID, &position, &state, &outcome, &attempts, &due, &test,
			&id, &eventType, &stream, &version, &recordedAt); err != nil {
			return nil, "", pgerr.Wrap(op, err)
		}
		if !transactionID.Valid {
			continue // nothing that was walked along is of the kind asked for
		}
		if len(page) == limit {
			return page, last.cursor(), nil
		}
		last = key{transactionID.Int64, position.Int64}
		d.ID, d.Test, d.AttemptsMade = ID(webhookID, id.UUID), test.Bool, int(attempts.Int64)
		d.Event = Event{ID: id.UUID, Type: eventType.String, Stream: stream.String, Version: int(version.Int64), RecordedAt: recordedAt.Time.UTC()}
		d.Status, d.NextAttemptAt = statusOf(state.String, outcome.String), utc(due)
		page = append(page, d)
	}
	if walked == scan {
		next = end.cursor()
	}
	return page, next, pgerr.Wrap(op, rows.Err())
}

func stateOf(s Status) string {
	return map[Status]string{Pending: "ready", Retrying: "retry", Blocked: "blocked", Delivered: "-", GivenUp: "-"}[s]
}

func endOf(s Status) string {
	return map[Status]string{Pending: "-", Retrying: "-", Blocked: "-", Delivered: "delivered", GivenUp: "given_up"}[s]
}

// cursor is opaque to clients: a page continues behind this delivery.
func (k key) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", k.transactionID, k.position))
}

func parseCursor(cursor string) (k key, err error) {
	if cursor == "" {
		return key{transactionID: 1<<63 - 1, position: 1<<63 - 1}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d.%d", &k.transactionID, &k.position)
	}
	if err != nil || k.cursor() != cursor {
		return key{}, &CursorError{Cursor: cursor}
	}
	return k, nil
}

func utc(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	at := t.Time.UTC()
	return &at
}
