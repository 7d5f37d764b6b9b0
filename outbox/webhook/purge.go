package webhook

import (
	"context"
	"database/sql"
	"errors"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Purge removes up to limit open deliveries of deleted webhooks, and says whether there may be more to remove. fanOut names the
// checkpoint of whoever makes deliveries.
//
// A fan-out that began before the deletion can still be about to make deliveries for the webhook. So a webhook is marked as purged
// only together with a touch of the fan-out's checkpoint: a fan-out with an older snapshot than that fails when it moves the
// checkpoint, and one with a newer snapshot sees the deletion.
func Purge(ctx context.Context, db *sql.DB, fanOut string, limit int) (more bool, err error) {
	var webhook int64
	err = db.QueryRowContext(ctx, `
		SELECT number FROM webhooks WHERE deleted_at IS NOT NULL AND NOT purged ORDER BY number LIMIT 1`).Scan(&webhook)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, pgerr.Wrap("look for deleted webhooks", err)
	}
	result, err := db.ExecContext(ctx, `
		DELETE FROM deliveries WHERE (webhook, transaction_id, position) IN (
			SELECT webhook, transaction_id, position FROM deliveries
			WHERE webhook = $1 ORDER BY transaction_id, position LIMIT $2 FOR UPDATE SKIP LOCKED)`, webhook, limit)
	if err != nil {
		return false, pgerr.Wrap("remove deliveries of a deleted webhook", err)
	}
	if removed, err := result.RowsAffected(); err != nil || removed > 0 {
		return true, err
	}
	return markPurged(ctx, db, webhook, fanOut)
}

func markPurged(ctx context.Context, db *sql.DB, webhook int64, fanOut string) (marked bool, err error) {
	const op = "mark a webhook as purged"
	tx, err := db.BeginTx(ctx, nil) // read committed: the second statement sees what the first one waited for
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `UPDATE checkpoints SET position = position WHERE consumer = $1`, fanOut); err != nil {
		return false, pgerr.Wrap(op, err)
	}
	err = tx.QueryRowContext(ctx, `
		WITH purged AS (
			UPDATE webhooks SET purged = true
			WHERE number = $1 AND NOT EXISTS (SELECT FROM deliveries WHERE webhook = $1)
			RETURNING number
		), released AS (
			DELETE FROM leases USING purged WHERE webhook = number
		), closed AS (
			DELETE FROM circuits c USING purged WHERE c.webhook = purged.number
		), dropped AS (
			DELETE FROM replays r USING purged WHERE r.webhook = purged.number
		)
		SELECT count(*) = 1 FROM purged`, webhook).Scan(&marked)
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	return marked, pgerr.Wrap(op, tx.Commit())
}
