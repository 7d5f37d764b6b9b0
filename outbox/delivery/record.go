package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// kind is what became of a delivery with an attempt.
type kind string

const (
	delivered kind = "delivered"
	failed    kind = "failed"   // to be tried again
	givenUp   kind = "given_up" // not to be tried again
	skipped   kind = "skipped"  // there was nothing to say, so there was no attempt either
)

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 24 * time.Hour

// outcome is an attempt that was made, and what follows from it.
type outcome struct {
	queue     *queue
	item      *item
	kind      kind
	startedAt time.Time
	duration  time.Duration
	status    int    // 0 where no response came
	problem   string // empty where delivered
	excerpt   string
	dueAt     time.Time // of the next attempt, where failed
	overload  bool      // the receiver should be asked less
	holds     bool      // recording it changes what is held back
	followers []*item   // of a failed one: the later ones of its stream that are in memory
}

// response judges an answer.
func (o *outcome) response(t *target, a answer, pause func(time.Duration) time.Duration) {
	o.duration, o.status, o.excerpt = a.duration, a.status, a.excerpt
	switch {
	case !a.answered:
		o.overload = true
		o.fail(t, a.problem, pause)
	case t.profile.Success(a.status):
		o.kind = delivered
	default:
		o.overload = a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout
		o.fail(t, strings.TrimSpace(fmt.Sprintf("status: the receiver answered %d %s", a.status, http.StatusText(a.status))), pause)
		if o.kind == failed {
			if asked := o.startedAt.Add(o.duration + a.retryAfter); asked.After(o.dueAt) {
				o.dueAt = asked
			}
		}
		if t.profile.GivesUp(a.status) {
			o.kind = givenUp
		}
	}
}

// fail makes it a failed attempt, with another one to follow unless it was the last.
func (o *outcome) fail(t *target, problem string, pause func(time.Duration) time.Duration) {
	o.kind, o.problem = givenUp, clean([]byte(problem))
	if due, again := t.profile.Schedule.Next(o.item.attempts+1, o.startedAt.Add(o.duration), pause); again {
		o.kind, o.dueAt = failed, due
	}
}

// recorder writes outcomes down, those of all webhooks together, in one statement and one commit for as many as there are. It leaves at
// once; what arrives meanwhile goes with the next.
type recorder struct {
	d      *Deliverer
	filled chan struct{}

	mu      sync.Mutex
	waiting []*outcome
}

func newRecorder(d *Deliverer) *recorder { return &recorder{d: d, filled: make(chan struct{}, 1)} }

// submit hands an outcome over. Its queue hears of it through queue.recorded.
func (r *recorder) submit(o *outcome) {
	r.mu.Lock()
	r.waiting = append(r.waiting, o)
	first := len(r.waiting) == 1
	r.mu.Unlock()
	if first {
		signal(r.filled)
	}
}

func (r *recorder) take() []*outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), r.d.config.RecordBatch)
	batch := r.waiting[:n:n]
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return batch
}

func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return // nobody submits any more: the keeper has seen to it
		case <-r.filled:
		}
		for batch := r.take(); len(batch) > 0; batch = r.take() {
			if r.d.beforeRecord != nil {
				r.d.beforeRecord()
			}
			r.record(batch)
		}
	}
}

// record writes a batch down, again and again until it is in, or until nobody may write it any more. Doing it twice is the same as
// doing it once.
func (r *recorder) record(batch []*outcome) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		revisions, err := r.write(batch)
		if err == nil {
			r.report(batch, revisions)
			return
		}
		r.d.log.Warn("recording deliveries failed", "outcomes", len(batch), "error", err, "cause", errors.Unwrap(err))
		var keep, drop []*outcome
		for _, o := range batch {
			if o.queue.lease.expired() {
				drop = append(drop, o)
			} else {
				keep = append(keep, o)
			}
		}
		r.report(drop, nil)
		if batch = keep; len(batch) == 0 {
			return
		}
		<-time.After(pause)
	}
}

// report tells each queue of its own outcomes. revisions has those whose lease was ours when they were recorded.
func (r *recorder) report(batch []*outcome, revisions map[int64]int) {
	byQueue := map[*queue][]*outcome{}
	for _, o := range batch {
		byQueue[o.queue] = append(byQueue[o.queue], o)
	}
	for q, outcomes := range byQueue {
		revision, ours := revisions[q.number]
		if ours && revision != q.settings().revision {
			r.d.Refresh() // the webhook was changed or deleted meanwhile
		}
		q.recorded(outcomes, !ours)
	}
}

// recordOutcomes records attempts, and what becomes of their deliveries, for all webhooks whose lease is still ours; it returns those.
// The locks on the leases make a takeover wait until this is done, or this find the takeover.
//
// Where a delivery ends that had held its stream back, the next of that stream becomes a retry that is due at once.
const recordOutcomes = `
WITH guard AS MATERIALIZED (
	SELECT l.webhook FROM leases l
	WHERE l.owner = $1::uuid AND (l.webhook, l.fence) IN (SELECT * FROM unnest($2::bigint[], $3::bigint[]))
	ORDER BY l.webhook FOR SHARE
), tried AS MATERIALIZED (
	SELECT t.* FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::integer[], $8::bigint[], $9::integer[], $10::text[],
			$11::integer[], $12::text[], $13::text[], $14::bigint[])
		AS t (webhook, transaction_id, position, number, started, duration_ms, outcome, status_code, error, response_excerpt, due)
	JOIN guard ON guard.webhook = t.webhook
), ended AS (
	DELETE FROM deliveries d USING tried t
	WHERE t.outcome <> 'failed' AND d.webhook = t.webhook AND d.transaction_id = t.transaction_id AND d.position = t.position
	RETURNING d.webhook, d.stream, d.transaction_id, d.position, d.state
), postponed AS (
	UPDATE deliveries d SET state = 'retry', attempts = t.number, due_at = timestamptz 'epoch' + t.due * interval '1 microsecond'
	FROM tried t
	WHERE t.outcome = 'failed' AND d.webhook = t.webhook AND d.transaction_id = t.transaction_id AND d.position = t.position
), blocked AS (
	UPDATE deliveries d SET state = 'blocked'
	FROM unnest($15::bigint[], $16::bigint[], $17::bigint[]) AS b (webhook, transaction_id, position)
	JOIN guard ON guard.webhook = b.webhook
	WHERE d.webhook = b.webhook AND d.transaction_id = b.transaction_id AND d.position = b.position AND d.state = 'ready'
), promoted AS (
	UPDATE deliveries d SET state = 'retry', due_at = timestamptz 'epoch' + $18::bigint * interval '1 microsecond'
	FROM ended e CROSS JOIN LATERAL (
		SELECT n.transaction_id, n.position FROM deliveries n
		WHERE n.webhook = e.webhook AND n.stream = e.stream AND n.state <> 'ready'
			AND (n.transaction_id, n.position) > (e.transaction_id, e.position)
		ORDER BY n.transaction_id, n.position LIMIT 1) next
	WHERE e.state = 'retry' AND d.webhook = e.webhook AND d.state = 'blocked'
		AND d.transaction_id = next.transaction_id AND d.position = next.position
), logged AS (
	INSERT INTO attempts (webhook, transaction_id, position, number, started_at, duration_ms, outcome, status_code, error, response_excerpt)
	SELECT webhook, transaction_id, position, number, timestamptz 'epoch' + started * interval '1 microsecond', duration_ms, outcome,
		nullif(status_code, 0), nullif(error, ''), nullif(response_excerpt, '')
	FROM tried WHERE outcome <> 'skipped'
	ON CONFLICT DO NOTHING
)
SELECT guard.webhook, w.revision FROM guard JOIN webhooks w ON w.number = guard.webhook`

// recordTimeout bounds one try to record, so that a connection that hangs does not hang us.
const recordTimeout = 10 * time.Second

// write runs the statement, and returns the revision of each webhook that is ours.
func (r *recorder) write(batch []*outcome) (map[int64]int, error) {
	n := len(batch)
	ints := func() pq.Int64Array { return make(pq.Int64Array, 0, n) }
	strs := func() pq.StringArray { return make(pq.StringArray, 0, n) }
	webhook, transactionID, position, number, started, duration, status, due := ints(), ints(), ints(), ints(), ints(), ints(), ints(), ints()
	kinds, problem, excerpt := strs(), strs(), strs()
	var bWebhook, bTransactionID, bPosition, gWebhook, gFence pq.Int64Array
	seen := map[int64]bool{}
	for _, o := range batch {
		q := o.queue
		if !seen[q.number] {
			seen[q.number] = true
			gWebhook, gFence = append(gWebhook, q.number), append(gFence, q.fence)
		}
		webhook = append(webhook, q.number)
		transactionID = append(transactionID, o.item.key.transactionID)
		position = append(position, o.item.key.position)
		number = append(number, int64(o.item.attempts+1))
		started = append(started, o.startedAt.UnixMicro())
		duration = append(duration, o.duration.Milliseconds())
		kinds = append(kinds, string(o.kind))
		status = append(status, int64(o.status))
		problem = append(problem, o.problem)
		excerpt = append(excerpt, o.excerpt)
		due = append(due, o.dueAt.UnixMicro())
		for _, f := range o.followers {
			bWebhook = append(bWebhook, q.number)
			bTransactionID = append(bTransactionID, f.key.transactionID)
			bPosition = append(bPosition, f.key.position)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	rows, err := r.d.statements.recordStmt.QueryContext(ctx, r.d.id, gWebhook, gFence,
		webhook, transactionID, position, number, started, duration, kinds, status, problem, excerpt, due,
		bWebhook, bTransactionID, bPosition, r.d.config.Clock().UnixMicro())
	if err != nil {
		return nil, pgerr.Wrap("record deliveries", err)
	}
	defer rows.Close()
	guarded := make(map[int64]int, len(gWebhook))
	for rows.Next() {
		var number int64
		var revision int
		if err := rows.Scan(&number, &revision); err != nil {
			return nil, pgerr.Wrap("record deliveries", err)
		}
		guarded[number] = revision
	}
	return guarded, pgerr.Wrap("record deliveries", rows.Err())
}
