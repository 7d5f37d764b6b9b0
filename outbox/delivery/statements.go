package delivery

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// statements are prepared once for a run. Those that read and record deliveries stand in read.go and record.go.
type statements struct {
	renewStmt, takeStmt, releaseStmt, departStmt *sql.Stmt
	fannedOutStmt, unreadStmt                    *sql.Stmt
	pageStmt, dueStmt, blockStmt, recordStmt     *sql.Stmt
	deliveredStmt                                *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	for query, slot := range map[string]**sql.Stmt{
		renew: &s.renewStmt, take: &s.takeStmt, release: &s.releaseStmt, depart: &s.departStmt,
		fannedOut: &s.fannedOutStmt, unread: &s.unreadStmt,
		readPage: &s.pageStmt, readDue: &s.dueStmt, blockRows: &s.blockStmt, recordOutcomes: &s.recordStmt,
		recordDelivered: &s.deliveredStmt,
	} {
		statement, err := db.PrepareContext(ctx, query)
		if err != nil {
			s.close()
			return pgerr.Wrap("prepare to deliver", err)
		}
		*slot = statement
	}
	return nil
}

func (s *statements) close() {
	for _, statement := range []*sql.Stmt{s.renewStmt, s.takeStmt, s.releaseStmt, s.departStmt, s.fannedOutStmt, s.unreadStmt,
		s.pageStmt, s.dueStmt, s.blockStmt, s.recordStmt, s.deliveredStmt} {
		if statement != nil {
			statement.Close()
		}
	}
	*s = statements{}
}

// stopped says of a webhook w that failures have stopped it. What there is to deliver to it waits.
const stopped = `EXISTS (SELECT FROM circuits c WHERE c.webhook = w.number AND c.state <> 'failing')`

// renew says that this process is alive, renews its leases, and tells what there is to know about them. Rows are locked in the order
// of their webhooks, here and wherever several are locked, so that nobody waits in a circle.
const renew = `
WITH alive AS (
	INSERT INTO relays (id, expires_at) VALUES ($1::uuid, now() + $2::interval)
	ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
	RETURNING id
), gone AS (
	DELETE FROM relays WHERE id <> $1::uuid AND expires_at < now() - interval '1 minute'
), share AS (
	SELECT ceil((SELECT count(*) FROM webhooks w WHERE w.active AND w.deleted_at IS NULL AND NOT ` + stopped + `)::numeric
		/ (1 + (SELECT count(*) FROM relays WHERE expires_at > now() AND id <> $1::uuid)))::integer AS fair
), mine AS MATERIALIZED (
	SELECT l.webhook FROM leases l
	WHERE l.owner = $1::uuid AND (l.webhook, l.fence) IN (SELECT * FROM unnest($3::bigint[], $4::bigint[]))
		AND l.expires_at > '-infinity' -- not released meanwhile
	ORDER BY l.webhook FOR UPDATE
), renewed AS (
	UPDATE leases l SET expires_at = now() + $2::interval FROM mine WHERE l.webhook = mine.webhook
	RETURNING l.webhook
)
SELECT fair, r.webhook, w.revision, w.active AND w.deleted_at IS NULL AND NOT ` + stopped + `,
	(SELECT d.due_at FROM deliveries d WHERE d.webhook = r.webhook AND d.state = 'retry' ORDER BY d.due_at LIMIT 1)
FROM alive CROSS JOIN share LEFT JOIN (renewed r JOIN webhooks w ON w.number = r.webhook) ON true`

type renewal struct {
	revision int
	wanted   bool      // the webhook is there, active and not stopped
	due      time.Time // when its next retry is due; zero where there is none
}

// renew also returns how many webhooks are this process's fair share.
func (s *statements) renew(ctx context.Context, id uuid.UUID, ttl time.Duration, queues []*queue) (map[int64]renewal, int, error) {
	numbers, fences := make(pq.Int64Array, len(queues)), make(pq.Int64Array, len(queues))
	for i, q := range queues {
		numbers[i], fences[i] = q.number, q.fence
	}
	rows, err := s.renewStmt.QueryContext(ctx, id, interval(ttl), numbers, fences)
	if err != nil {
		return nil, 0, pgerr.Wrap("renew leases", err)
	}
	defer rows.Close()
	renewed := make(map[int64]renewal, len(queues))
	fair := 0
	for rows.Next() {
		var number, revision sql.NullInt64
		var wanted sql.NullBool
		var due sql.NullTime
		if err := rows.Scan(&fair, &number, &revision, &wanted, &due); err != nil {
			return nil, 0, pgerr.Wrap("renew leases", err)
		}
		if number.Valid {
			renewed[number.Int64] = renewal{int(revision.Int64), wanted.Bool, due.Time}
		}
	}
	return renewed, fair, pgerr.Wrap("renew leases", rows.Err())
}

// take takes leases that nobody has, or had for longer than they were good for. An owner that is recording holds its row for that
// long, so it is waited for; afterwards the row has a new fence.
const take = `
WITH free AS (
	SELECT w.number FROM webhooks w LEFT JOIN leases l ON l.webhook = w.number
	WHERE w.active AND w.deleted_at IS NULL AND NOT ` + stopped + ` AND (l.webhook IS NULL OR l.expires_at <= now())
	ORDER BY w.number LIMIT $3
)
INSERT INTO leases AS l (webhook, owner, fence, expires_at)
SELECT number, $1::uuid, 1, now() + $2::interval FROM free ORDER BY number
ON CONFLICT (webhook) DO UPDATE SET owner = excluded.owner, fence = l.fence + 1, expires_at = excluded.expires_at
	WHERE l.expires_at <= now()
RETURNING l.webhook, l.fence`

// take returns the fences of what it took.
func (s *statements) take(ctx context.Context, id uuid.UUID, ttl time.Duration, limit int) (map[int64]int64, error) {
	rows, err := s.takeStmt.QueryContext(ctx, id, interval(ttl), limit)
	if err != nil {
		return nil, pgerr.Wrap("take leases", err)
	}
	defer rows.Close()
	fences := map[int64]int64{}
	for rows.Next() {
		var number, fence int64
		if err := rows.Scan(&number, &fence); err != nil {
			return nil, pgerr.Wrap("take leases", err)
		}
		fences[number] = fence
	}
	return fences, pgerr.Wrap("take leases", rows.Err())
}

const release = `UPDATE leases SET expires_at = '-infinity' WHERE webhook = $1 AND owner = $2::uuid AND fence = $3`

func (s *statements) release(q *queue, id uuid.UUID, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := s.releaseStmt.ExecContext(ctx, q.number, id, q.fence)
	return pgerr.Wrap("release a lease", err)
}

const depart = `DELETE FROM relays WHERE id = $1::uuid`

func (s *statements) depart(id uuid.UUID, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := s.departStmt.ExecContext(ctx, id)
	return pgerr.Wrap("sign off", err)
}

const fannedOut = `SELECT transaction_id, position FROM checkpoints WHERE consumer = '` + Consumer + `'`

// fannedOut tells up to which event there are deliveries.
func (s *statements) fannedOut(ctx context.Context) (k key, err error) {
	err = s.fannedOutStmt.QueryRowContext(ctx).Scan(&k.transactionID, &k.position)
	if err == sql.ErrNoRows {
		return key{}, nil // there has never been a fan-out
	}
	return k, pgerr.Wrap("read the checkpoint", err)
}

const unread = `
SELECT q.webhook FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS q (webhook, transaction_id, position)
WHERE EXISTS (SELECT FROM deliveries d
	WHERE d.webhook = q.webhook AND (d.transaction_id, d.position) > (q.transaction_id, q.position))`

// unread returns the webhooks for which there are deliveries that their queues have not read.
func (s *statements) unread(ctx context.Context, queues []*queue) ([]int64, error) {
	var numbers, transactionIDs, positions pq.Int64Array
	for _, q := range queues {
		q.mu.Lock()
		cursor := q.cursor
		q.mu.Unlock()
		numbers = append(numbers, q.number)
		transactionIDs = append(transactionIDs, cursor.transactionID)
		positions = append(positions, cursor.position)
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	rows, err := s.unreadStmt.QueryContext(ctx, numbers, transactionIDs, positions)
	if err != nil {
		return nil, pgerr.Wrap("look for new deliveries", err)
	}
	defer rows.Close()
	var waiting []int64
	for rows.Next() {
		var number int64
		if err := rows.Scan(&number); err != nil {
			return nil, pgerr.Wrap("look for new deliveries", err)
		}
		waiting = append(waiting, number)
	}
	return waiting, pgerr.Wrap("look for new deliveries", rows.Err())
}

// interval is a duration as PostgreSQL reads it.
func interval(d time.Duration) string {
	return strconv.FormatInt(d.Microseconds(), 10) + " microseconds"
}
