package delivery

import (
	"database/sql"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// readPage reads the rows behind a cursor, with their events, whatever their state: so the cursor always moves on, and a million rows
// that wait for something else are passed once and not at every look. What comes back are the rows to send, those that are held back
// by an earlier one of their stream, and the last row, to move the cursor to.
const readPage = `
WITH page AS MATERIALIZED (
	SELECT d.transaction_id, d.position, d.stream, d.state, d.resent FROM next_deliveries($1, $2, $3, $4) d
), judged AS MATERIALIZED (
	SELECT p.transaction_id, p.position, p.stream,
		p.state = 'ready' OR p.state = 'blocked' AND NOT $5::boolean AND NOT p.resent AS wanted,
		p.state = 'ready' AND $5::boolean
			AND (SELECT EXISTS (SELECT FROM next_retries($1, 1))) -- asked once: without a retry nothing is held back
			AND EXISTS (SELECT FROM deliveries h WHERE h.webhook = $1 AND h.stream = p.stream AND h.state <> 'ready' AND NOT h.resent
				AND (h.transaction_id, h.position) < (p.transaction_id, p.position)) AS held
	FROM page p
)
SELECT j.transaction_id, j.position, j.stream, j.wanted, j.held, (SELECT count(*) FROM page),
	e.id, e.version, e.type, e.schema_version, e.data, e.recorded_at
FROM judged j LEFT JOIN events e
	ON j.wanted AND NOT j.held AND e.transaction_id = j.transaction_id AND e.position = j.position
WHERE j.wanted OR (j.transaction_id, j.position) =
	(SELECT p.transaction_id, p.position FROM page p ORDER BY p.transaction_id DESC, p.position DESC LIMIT 1)
ORDER BY j.transaction_id, j.position`

// readDue reads the retries that are due, and behind them those that come next, without their events, to know when to look again. What was
// asked to be sent again comes as retries from outside, several of one stream perhaps: but the first they are held back.
const readDue = `
WITH page AS MATERIALIZED (
	SELECT d.transaction_id, d.position, d.stream, d.resent, d.attempts, d.earlier, d.due_at FROM next_retries($1, $3) d
), judged AS MATERIALIZED (
	SELECT p.*, p.resent AND $4::boolean AND p.due_at <= $2 AND EXISTS (SELECT FROM deliveries h
		WHERE h.webhook = $1 AND h.stream = p.stream AND h.state <> 'ready' AND h.resent
			AND (h.transaction_id, h.position) < (p.transaction_id, p.position)) AS held
	FROM page p
)
SELECT p.transaction_id, p.position, p.stream, p.resent, p.attempts, p.earlier, p.due_at, p.held,
	e.id, e.version, e.type, e.schema_version, e.data, e.recorded_at
FROM judged p LEFT JOIN events e
	ON p.due_at <= $2 AND NOT p.held AND e.transaction_id = p.transaction_id AND e.position = p.position
ORDER BY p.due_at`

// blockRows marks rows that are held back, so that they are passed over until what holds them ends and takes up the next of the
// stream. It names the fence, as everything does that is written for the owner.
const blockRows = `
WITH guard AS MATERIALIZED (
	SELECT l.webhook FROM leases l WHERE l.webhook = $1 AND l.owner = $2::uuid AND l.fence = $3 FOR SHARE
), blocked AS (
	UPDATE deliveries d SET state = 'blocked', due_at = NULL
	FROM guard CROSS JOIN unnest($4::bigint[], $5::bigint[]) AS b (transaction_id, position)
	WHERE d.webhook = guard.webhook AND d.transaction_id = b.transaction_id AND d.position = b.position AND (d.state = 'ready' OR d.state = 'retry' AND d.resent)
)
SELECT count(*) FROM guard`

// reading says what to read.
type reading struct {
	target  *target
	due     bool // retries that are due, else rows behind cursor
	cursor  key
	now     time.Time
	limit   int
	lanes   int          // so many streams are under way; retries of theirs may be read, and cannot be taken in
	retries map[key]bool // are in memory, and will be read again
}

// page is what was read.
type page struct {
	items   []*item
	full    bool // there may be more
	cursor  key
	nextDue time.Time
}

// fetch reads rows and makes them items, with what it takes to fold them. If it fails it returns no items.
func (q *queue) fetch(r reading) (page, error) {
	select {
	case q.d.readers <- struct{}{}:
		defer func() { <-q.d.readers }()
	case <-q.ctx.Done():
		return page{}, q.ctx.Err()
	}
	var p page
	var err error
	if r.due {
		p, err = q.fetchDue(r)
	} else {
		p, err = q.fetchPage(r)
	}
	if err == nil {
		err = q.d.states.open(q.ctx, p.items)
	}
	if err == nil {
		err = q.d.states.fold(q.ctx, q.heads(p.items))
	}
	if err != nil {
		return page{}, err
	}
	return p, nil
}

// heads leaves out the items that have the event before theirs in front of them in their lane. They are folded when it is their turn, on top of
// that one: so there is but one state for each lane in memory, and none is folded for a message that was rendered for another webhook.
func (q *queue) heads(items []*item) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	heads := make([]*item, 0, len(items))
	last := make(map[string]int, len(items)) // version, by lane
	for _, it := range items {
		before, ok := last[it.lane]
		if l := q.lanes[it.lane]; !ok && l != nil {
			before = l.last
		}
		if last[it.lane] = it.occurrence.Version; it.occurrence.Version != before+1 { // version 1 needs nothing before it
			heads = append(heads, it)
		}
	}
	return heads
}

func (q *queue) fetchPage(r reading) (page, error) {
	rows, err := q.d.statements.pageStmt.QueryContext(q.ctx, q.number,
		r.cursor.transactionID, r.cursor.position, r.limit, r.target.ordered)
	if err != nil {
		return page{}, pgerr.Wrap("read deliveries", err)
	}
	defer rows.Close()
	p := page{cursor: r.cursor}
	var held []key
	for rows.Next() {
		var e eventColumns
		var k key
		var stream string
		var wanted, isHeld bool
		var scanned int
		if err := rows.Scan(&k.transactionID, &k.position, &stream, &wanted, &isHeld, &scanned,
			&e.id, &e.version, &e.eventType, &e.schemaVersion, &e.data, &e.recordedAt); err != nil {
			return page{}, pgerr.Wrap("read deliveries", err)
		}
		p.cursor, p.full = k, scanned == r.limit
		switch {
		case isHeld:
			held = append(held, k)
		case wanted:
			p.items = append(p.items, newItem(r.target, k, stream, &e))
		}
	}
	if err := rows.Err(); err != nil {
		return page{}, pgerr.Wrap("read deliveries", err)
	}
	rows.Close()
	return p, q.block(held)
}

func (q *queue) fetchDue(r reading) (page, error) {
	limit := r.limit + 2*r.lanes // of each stream, the retry under way and one that was asked for again
	rows, err := q.d.statements.dueStmt.QueryContext(q.ctx, q.number, r.now, limit, r.target.ordered)
	if err != nil {
		return page{}, pgerr.Wrap("read retries", err)
	}
	defer rows.Close()
	var p page
	var held []key
	read := 0
	for rows.Next() {
		var e eventColumns
		var k key
		var stream string
		var attempts, earlier int
		var due time.Time
		var resent, isHeld bool
		if err := rows.Scan(&k.transactionID, &k.position, &stream, &resent, &attempts, &earlier, &due, &isHeld,
			&e.id, &e.version, &e.eventType, &e.schemaVersion, &e.data, &e.recordedAt); err != nil {
			return page{}, pgerr.Wrap("read retries", err)
		}
		if due.After(r.now) {
			p.nextDue = due
			break
		}
		read++
		if isHeld {
			if !r.retries[k] { // one that is under way already stays as it is
				held = append(held, k)
			}
			continue
		}
		it := newItem(r.target, k, stream, &e)
		it.retry, it.attempts, it.earlier = true, attempts, earlier
		if resent {
			it.lane = "again " + it.lane // beside what is told for the first time
		}
		p.items = append(p.items, it)
	}
	if err := rows.Err(); err != nil {
		return page{}, pgerr.Wrap("read retries", err)
	}
	rows.Close()
	if read == limit {
		p.full, p.nextDue = true, r.now
	}
	return p, q.block(held)
}

// block marks rows as held back.
func (q *queue) block(held []key) error {
	if len(held) == 0 {
		return nil
	}
	var transactionIDs, positions pq.Int64Array
	for _, k := range held {
		transactionIDs, positions = append(transactionIDs, k.transactionID), append(positions, k.position)
	}
	var guarded int
	err := q.d.statements.blockStmt.QueryRowContext(q.ctx, q.number, q.d.id, q.fence, transactionIDs, positions).Scan(&guarded)
	if err == nil && guarded == 0 {
		q.cut(errLeaseLost)
		return errLeaseLost
	}
	return pgerr.Wrap("hold deliveries back", err)
}

// eventColumns are null where a row came without its event.
type eventColumns struct {
	id            uuid.NullUUID
	version       sql.NullInt32
	eventType     sql.NullString
	schemaVersion sql.NullInt32
	data          []byte
	recordedAt    sql.NullTime
}

func newItem(t *target, k key, stream string, e *eventColumns) *item {
	it := &item{key: k, lane: stream}
	if !t.ordered {
		it.lane = strconv.FormatInt(k.transactionID, 10) + "/" + strconv.FormatInt(k.position, 10) // a lane of its own
	}
	it.occurrence.Recorded = domain.Recorded{
		Position: k.position, TransactionID: k.transactionID, Workspace: t.workspace, ID: e.id.UUID, Version: int(e.version.Int32),
		Type: e.eventType.String, SchemaVersion: int(e.schemaVersion.Int32), Data: e.data, RecordedAt: e.recordedAt.Time.UTC(),
	}
	it.occurrence.Stream, it.fault = domain.ParseStreamID(stream)
	return it
}
