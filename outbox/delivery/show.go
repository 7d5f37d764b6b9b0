package delivery

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

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
	AttemptsMade  int        `json:"attemptsMade"`
	NextAttemptAt *time.Time `json:"nextAttemptAt,omitempty"` // of a retrying one, UTC
	Attempts      []Attempt  `json:"attempts,omitempty"`      // in order; not in lists
}

// Event says what a delivery is about.
type Event struct {
	ID         uuid.UUID `json:"id"`
	Type       string    `json:"type"`
	Stream     string    `json:"stream"`
	Version    int       `json:"version"`
	RecordedAt time.Time `json:"recordedAt"`
}

// Attempt is one HTTP request.
type Attempt struct {
	Number          int       `json:"number"`
	StartedAt       time.Time `json:"startedAt"`
	DurationMS      int       `json:"durationMs"`
	Outcome         string    `json:"outcome"`              // delivered, failed or given_up
	StatusCode      int       `json:"statusCode,omitempty"` // none where no response came
	Error           string    `json:"error,omitempty"`
	ResponseExcerpt string    `json:"responseExcerpt,omitempty"`
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
	var state sql.NullString
	var made, logged int
	var due sql.NullTime
	var last sql.NullString
	err := db.QueryRowContext(ctx, `
		SELECT w.number, e.transaction_id, e.position, e.id, e.type, e.stream, e.version, e.recorded_at,
			d.state, coalesce(d.attempts, 0), d.due_at, coalesce(a.number, 0), a.outcome
		FROM webhooks w
		JOIN events e ON e.id = $3 AND e.workspace = w.workspace
		LEFT JOIN deliveries d ON d.webhook = w.number AND d.transaction_id = e.transaction_id AND d.position = e.position
		LEFT JOIN LATERAL (SELECT number, outcome FROM attempts
			WHERE webhook = w.number AND transaction_id = e.transaction_id AND position = e.position
			ORDER BY number DESC LIMIT 1) a ON true
		WHERE w.workspace = $1 AND w.id = $2`, workspace, webhookID, eventID).
		Scan(&webhook, &k.transactionID, &k.position, &d.Event.ID, &d.Event.Type, &d.Event.Stream, &d.Event.Version, &d.Event.RecordedAt,
			&state, &made, &due, &logged, &last)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !state.Valid && !last.Valid {
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
		SELECT number, started_at, duration_ms, outcome, coalesce(status_code, 0), coalesce(error, ''), coalesce(response_excerpt, '')
		FROM attempts WHERE webhook = $1 AND transaction_id = $2::bigint AND position = $3 ORDER BY number`,
		webhook, k.transactionID, k.position)
	if err != nil {
		return Delivery{}, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a Attempt
		if err := rows.Scan(&a.Number, &a.StartedAt, &a.DurationMS, &a.Outcome, &a.StatusCode, &a.Error, &a.ResponseExcerpt); err != nil {
			return Delivery{}, pgerr.Wrap(op, err)
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
	Status Status // Defaults to any
	Event  string // an event type of the log. Defaults to any
	Cursor string // of the page before. Defaults to the beginning, which is the newest event
	Limit  int    // Defaults to 50, which is at most 200
}

// CursorError says that a cursor is none that a list has given.
type CursorError struct{ Cursor string }

func (e *CursorError) Error() string {
	return fmt.Sprintf("cursor %q is not one that this list gave", e.Cursor)
}

// List returns deliveries of a webhook, the newest event first, and the cursor of the next page, which is empty at the end. It returns
// a [*domain.NotFoundError] for a webhook that does not exist, or a [*CursorError].
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
	var webhook int64
	err = db.QueryRowContext(ctx, `SELECT number FROM webhooks WHERE workspace = $1 AND id = $2`, workspace, webhookID).Scan(&webhook)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", &domain.NotFoundError{Kind: "webhook", ID: webhookID}
	}
	if err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	// Open deliveries and ended ones are two walks down two primary keys, each as long as the page.
	rows, err := db.QueryContext(ctx, `
		WITH open AS (
			SELECT d.transaction_id, d.position, d.state, '' AS outcome, d.attempts, d.due_at
			FROM deliveries d JOIN events e ON e.transaction_id = d.transaction_id AND e.position = d.position
			WHERE d.webhook = $1 AND (d.transaction_id, d.position) < ($2::bigint, $3::bigint)
				AND ($4 = '' OR d.state = $4) AND ($6 = '' OR e.type = $6)
			ORDER BY d.transaction_id DESC, d.position DESC LIMIT $7
		), ended AS (
			SELECT a.transaction_id, a.position, '' AS state, a.outcome, a.number AS attempts, NULL::timestamptz AS due_at
			FROM attempts a JOIN events e ON e.transaction_id = a.transaction_id AND e.position = a.position
			WHERE a.webhook = $1 AND (a.transaction_id, a.position) < ($2::bigint, $3::bigint)
				AND a.outcome <> 'failed' AND ($5 = '' OR a.outcome = $5) AND ($6 = '' OR e.type = $6)
			ORDER BY a.transaction_id DESC, a.position DESC, a.number DESC LIMIT $7
		)
		SELECT e.transaction_id, e.position, o.state, o.outcome, o.attempts, o.due_at, e.id, e.type, e.stream, e.version, e.recorded_at
		FROM (SELECT * FROM open UNION ALL SELECT * FROM ended ORDER BY transaction_id DESC, position DESC LIMIT $7) o
		JOIN events e ON e.transaction_id = o.transaction_id AND e.position = o.position
		ORDER BY e.transaction_id DESC, e.position DESC`,
		webhook, before.transactionID, before.position, stateOf(o.Status), endOf(o.Status), o.Event, limit+1)
	if err != nil {
		return nil, "", pgerr.Wrap(op, err)
	}
	defer rows.Close()
	var last key
	for rows.Next() {
		if len(page) == limit {
			next = last.cursor()
			break
		}
		d := Delivery{Webhook: webhookID}
		var state, outcome string
		var due sql.NullTime
		if err := rows.Scan(&last.transactionID, &last.position, &state, &outcome, &d.AttemptsMade, &due,
			&d.Event.ID, &d.Event.Type, &d.Event.Stream, &d.Event.Version, &d.Event.RecordedAt); err != nil {
			return nil, "", pgerr.Wrap(op, err)
		}
		d.ID = ID(webhookID, d.Event.ID)
		d.Event.RecordedAt = d.Event.RecordedAt.UTC()
		d.Status, d.NextAttemptAt = statusOf(state, outcome), utc(due)
		page = append(page, d)
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
