package eventstore

import (
	"context"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// A page of one workspace's part of the log is found by walking along the whole log, because an index by workspace would cost every append.
// So that no call takes long where others have much and the workspace little, the walk ends somewhere, and the next call goes on there.
const (
	firstStride = 500
	maxStride   = 10_000
	maxWalk     = 50_000
)

const (
	// strideQuery looks at the next $4 events of the log, and returns how many there were, the place of the last one, and the places of
	// the first $5 that are asked for.
	strideQuery = `
		WITH stride AS MATERIALIZED (
			SELECT * FROM next_events($2, $3, log_horizon(), 0, $4)
		), wanted AS (
			SELECT transaction_id, position FROM stride WHERE workspace = $1 AND ($6 = '' OR type = $6)
			ORDER BY transaction_id, position LIMIT $5
		), last AS (
			SELECT transaction_id, position FROM stride ORDER BY transaction_id DESC, position DESC LIMIT 1
		)
		SELECT (SELECT count(*) FROM stride), (SELECT transaction_id FROM last), (SELECT position FROM last),
			ARRAY(SELECT transaction_id FROM wanted ORDER BY transaction_id, position),
			ARRAY(SELECT position FROM wanted ORDER BY transaction_id, position)`

	placesQuery = `SELECT ` + eventColumns + `
		FROM unnest($1::bigint[], $2::bigint[]) AS n (transaction_id, position)
		JOIN events e ON e.transaction_id = n.transaction_id AND e.position = n.position
		ORDER BY e.transaction_id, e.position`
)

// WorkspaceLog returns a page of up to limit events of one workspace behind a place in the log, in the order of the log, and the place
// behind which to go on; more is false where there was nothing further when it was read. Of an event type, where one is given, else of
// every one. A page may be short, or even empty, although there are more.
//
// Like [Store.ReadLog] it leaves out what may not be settled yet.
func (s *Store) WorkspaceLog(ctx context.Context, workspace, eventType string, after Cursor, limit int) (
	page []domain.Recorded, next Cursor, more bool, err error,
) {
	statement, err := s.statement(ctx, nil, &s.strideStmt, strideQuery)
	if err != nil {
		return nil, after, false, err
	}
	var transactionIDs, positions pq.Int64Array
	next = after
	for walked, stride := 0, firstStride; ; stride = min(4*stride, maxStride) {
		var seen int
		var lastTransaction, lastPosition *int64
		var t, p pq.Int64Array
		wanted := limit + 1 - len(positions)
		err := statement.QueryRowContext(ctx, workspace, next.TransactionID, next.Position, stride, wanted, eventType).
			Scan(&seen, &lastTransaction, &lastPosition, &t, &p)
		if err != nil {
			return nil, after, false, pgerr.Wrap("read events", err)
		}
		transactionIDs, positions = append(transactionIDs, t...), append(positions, p...)
		if len(positions) > limit {
			transactionIDs, positions, more = transactionIDs[:limit], positions[:limit], true
			next = Cursor{transactionIDs[limit-1], positions[limit-1]}
			break
		}
		if seen > 0 {
			next = Cursor{*lastTransaction, *lastPosition}
		}
		if walked += seen; seen < stride || walked >= maxWalk {
			more = seen == stride
			break
		}
	}
	if len(positions) > 0 {
		if page, err = collect(s.db.QueryContext(ctx, placesQuery, transactionIDs, positions)); err == nil {
			err = s.open(ctx, nil, page)
		}
	}
	return page, next, more, err
}
