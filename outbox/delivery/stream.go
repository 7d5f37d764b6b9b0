package delivery

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// OfEvent is how far the delivery of one event of a stream to one webhook has come.
type OfEvent struct {
	Version       int        `json:"-"` // of the event
	Webhook       string     `json:"webhook"`
	Name          string     `json:"name"` // of the webhook
	Status        Status     `json:"status"`
	AttemptsMade  int        `json:"attemptsMade"`
	NextAttemptAt *time.Time `json:"nextAttemptAt,omitempty"` // of a retrying one, UTC
}

// ofStreamQuery looks each event up at each webhook, along the primary keys of both tables.
const ofStreamQuery = `
	SELECT e.version, w.id, w.name, d.state, coalesce(d.attempts, 0), d.due_at, coalesce(a.number, 0), a.outcome
	FROM events e
	CROSS JOIN (SELECT number, id, name FROM webhooks WHERE workspace = $1 AND deleted_at IS NULL ORDER BY number LIMIT 100) w
	LEFT JOIN deliveries d ON d.webhook = w.number AND d.transaction_id = e.transaction_id AND d.position = e.position
	LEFT JOIN LATERAL (SELECT number, outcome FROM attempts
		WHERE webhook = w.number AND transaction_id = e.transaction_id AND position = e.position
		ORDER BY number DESC LIMIT 1) a ON true
	WHERE e.workspace = $1 AND e.stream = $2 AND e.version > $3 AND e.version <= $3 + 500
		AND (d.state IS NOT NULL OR a.outcome IS NOT NULL)
	ORDER BY e.version, w.number`

// OfStream tells how the deliveries of up to 500 events of a stream, those with the versions behind after, have come along: to the first
// 100 webhooks of the workspace that there are. It is in the order of versions, and of webhooks as they were made.
func OfStream(ctx context.Context, db *sql.DB, workspace string, stream domain.StreamID, after int) (list []OfEvent, err error) {
	const op = "list the deliveries of a stream"
	rows, err := db.QueryContext(ctx, ofStreamQuery, workspace, stream.String(), after)
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var d OfEvent
		var state, last sql.NullString
		var made, logged int
		var due sql.NullTime
		if err := rows.Scan(&d.Version, &d.Webhook, &d.Name, &state, &made, &due, &logged, &last); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		d.Status, d.AttemptsMade, d.NextAttemptAt = statusOf(state.String, last.String), max(made, logged), utc(due)
		list = append(list, d)
	}
	return list, pgerr.Wrap(op, rows.Err())
}
