package webhook

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Notice is something that a webhook's owner should know.
type Notice struct {
	Webhook             string // its id
	Name, URL, Profile  string // as they are now
	Kind                string // failing, recovered, circuit_opened, disabled or reset
	ConsecutiveFailures int    // how many there were when it happened; of what recovered or was reset, before that
	FailingSince        time.Time
	Reason              string // why it was disabled
	At                  time.Time
}

// Announce hands the oldest notices over, at most limit, and says whether there may be more. What appends them does so in the transaction
// that removes them, so each is announced once: after a crash both have happened or neither. One process at a time announces, because the
// notices of a webhook have an order.
func Announce(ctx context.Context, db *sql.DB, limit int, announce func(context.Context, *sql.Tx, string, Notice) error) (more bool, err error) {
	const op = "announce notices"
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, `
		SELECT n.number, w.workspace, w.id, w.name, w.url, w.profile, n.kind, n.failures, n.failing_since, n.reason, n.at
		FROM (SELECT * FROM notices ORDER BY number LIMIT $1) n JOIN webhooks w ON w.number = n.webhook
		WHERE pg_try_advisory_xact_lock('notices'::regclass::oid::integer, 0) ORDER BY n.number`, limit)
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	var numbers pq.Int64Array
	var workspaces []string
	var notices []Notice
	for rows.Next() {
		var number int64
		var workspace string
		var n Notice
		var since sql.NullTime
		if err := rows.Scan(&number, &workspace, &n.Webhook, &n.Name, &n.URL, &n.Profile, &n.Kind, &n.ConsecutiveFailures, &since, &n.Reason, &n.At); err != nil {
			return false, pgerr.Wrap(op, err)
		}
		n.FailingSince, n.At = since.Time.UTC(), n.At.UTC()
		numbers, workspaces, notices = append(numbers, number), append(workspaces, workspace), append(notices, n)
	}
	if err := rows.Err(); err != nil || len(notices) == 0 {
		return false, pgerr.Wrap(op, err)
	}
	rows.Close()
	// First, so that a process which came by the lock too late, with an older view, waits here and then finds them gone.
	result, err := tx.ExecContext(ctx, `DELETE FROM notices WHERE number = ANY ($1)`, numbers)
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	if removed, err := result.RowsAffected(); err != nil || removed != int64(len(notices)) {
		return err == nil, pgerr.Wrap(op, err) // somebody else has announced some of them meanwhile; rolled back, and tried again
	}
	for i, n := range notices {
		if err := announce(ctx, tx, workspaces[i], n); err != nil {
			return false, err
		}
	}
	return true, pgerr.Wrap(op, tx.Commit())
}
