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
	"github.com/waybill-dev/waybill/outbox/profile"
)

// kind is what became of a delivery with an attempt.
type kind string

const (
	delivered kind = "delivered"
	failed    kind = "failed"   // to be tried again
	givenUp   kind = "given_up" // not to be tried again
	skipped   kind = "skipped"  // there was nothing to say, so there was no attempt either
)

// verdict is what an attempt says about its receiver's health; empty where it says nothing.
type verdict string

const (
	success verdict = "success"
	failure verdict = "failure"
	gone    verdict = "gone" // a failure, and the receiver wants nothing any more
)

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 24 * time.Hour

// outcome is an attempt that was made, and what follows from it.
type outcome struct {
	queue      *queue
	item       *item
	kind       kind
	startedAt  time.Time
	duration   time.Duration
	status     int    // 0 where no response came
	problem    string // empty where delivered; begins with its class
	headers    string
	excerpt    string
	verdict    verdict
	dueAt      time.Time     // of the next attempt, where failed
	retryAfter time.Duration // what the receiver asked for
	overload   bool          // the receiver should be asked less
	holds      bool          // recording it changes what is held back
	circuit    profile.Circuit
	followers  []*item // of a failed one: the later ones of its stream that are in memory
}

// response judges an answer.
func (o *outcome) response(t *target, a answer, pause func(time.Duration) time.Duration) {
	o.duration, o.status, o.headers, o.excerpt, o.retryAfter = a.duration, a.status, a.headers, a.excerpt, a.retryAfter
	switch {
	case !a.answered:
		o.overload, o.verdict = true, failure
		o.fail(t, a.problem, pause)
	case t.profile.Success(a.status):
		o.kind, o.verdict = delivered, success
	default:
		o.overload = a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout
		o.verdict = failure
		o.fail(t, strings.TrimSpace(fmt.Sprintf("status: the receiver answered %d %s", a.status, http.StatusText(a.status))), pause)
		if t.profile.GivesUp(a.status) {
			o.kind, o.verdict = givenUp, gone
		}
	}
}

// fail makes it a failed attempt, with another one to follow unless it was the last.
func (o *outcome) fail(t *target, problem string, pause func(time.Duration) time.Duration) {
	o.kind, o.problem = givenUp, clean([]byte(problem))
	ended := o.startedAt.Add(o.duration)
	due, again := t.schedule.Next(o.item.attempts-o.item.earlier+1, ended, pause)
	if !again {
		return
	}
	o.kind, o.dueAt = failed, due
	if asked := ended.Add(o.retryAfter); asked.After(due) {
		o.dueAt = asked
		if sweep := t.schedule.Sweep; sweep > 0 { // sweeps come at their times only
			o.dueAt = asked.UTC().Add(sweep - 1).Truncate(sweep)
		}
	}
}

// askedToSlowDown says whether the receiver has said that it gets too much.
func (o *outcome) askedToSlowDown() bool {
	return o.status == http.StatusTooManyRequests || o.status == http.StatusServiceUnavailable
}

// recorder writes outcomes down, those of all webhooks together, in one statement and one commit for as many as there are. It leaves at
// once; what arrives meanwhile goes with the next. While there is much to do it lets some more gather, which saves the database a tenth of
// its time and delays nothing but the next of a stream.
type recorder struct {
	d      *Deliverer
	filled chan struct{}

	mu      sync.Mutex
	waiting []*outcome
}

const (
	busy   = 32 // outcomes in a statement are much to do
	gather = 8 * time.Millisecond
)

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
			if len(batch) >= busy {
				<-time.After(gather)
			}
		}
	}
}

// record writes a batch down, again and again until it is in, or until nobody may write it any more. Doing it twice is the same as
// doing it once.
func (r *recorder) record(batch []*outcome) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		began := time.Now()
		known, err := r.write(batch)
		if err == nil {
			r.d.config.Metrics.Record.Observe(time.Since(began).Seconds())
			r.d.config.Metrics.Recorded.Observe(float64(len(batch)))
			r.report(batch, known)
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

// report tells each queue of its own outcomes. known has those whose lease was ours when they were recorded.
func (r *recorder) report(batch []*outcome, known map[int64]standing) {
	byQueue := map[*queue][]*outcome{}
	for _, o := range batch {
		byQueue[o.queue] = append(byQueue[o.queue], o)
	}
	noticed := false
	for q, outcomes := range byQueue {
		s, ours := known[q.number]
		if ours {
			r.d.config.Metrics.count(outcomes, s)
			r.mourn(q, outcomes)
			if s.stopped {
				r.d.log.Warn("failures have stopped a webhook", "webhook", q.settings().id, "failures", s.failures)
			}
			noticed = noticed || s.noticed
			if s.stopped || s.revision != q.settings().revision {
				r.d.Refresh() // the webhook was stopped just now, or changed or deleted meanwhile
			}
		}
		q.recorded(outcomes, s, !ours)
	}
	if noticed && r.d.config.Noticed != nil {
		r.d.config.Noticed()
	}
}

// standing is how a webhook stands after a batch was recorded.
type standing struct {
	revision int
	failures int  // in a row
	stopped  bool // by this batch
	noticed  bool // there are notices for owners, of this webhook or another of the batch
}

// mourn tells the operator of deliveries that will not be tried again.
func (r *recorder) mourn(q *queue, outcomes []*outcome) {
	for _, o := range outcomes {
		if o.kind == givenUp {
			e := o.item.occurrence
			r.d.log.Warn("a delivery was given up", "webhook", q.settings().id, "event", e.ID, "stream", e.Stream.String(), "version", e.Version,
				"attempts", o.item.attempts+1, "status", o.status, "reason", o.problem)
		}
	}
}

// recordOutcomes records attempts, and what becomes of their deliveries, for all webhooks whose lease is still ours; it returns those.
// The locks on the leases make a takeover wait until this is done, or this find the takeover.
//
// Where a delivery ends that had held its stream back, the next of that stream becomes a retry that is due at once.
//
// Failures are counted in the order of the batch (n), and only those attempts that were logged just now: where the batch was recorded
// before, and nobody knew, nothing is counted twice. Of each webhook's attempts a success begins a new run; failures is how many there
// have been in a row after each attempt. The first that stops the webhook is the last that counts, whatever else was under way.
const recordOutcomes = `
WITH guard AS MATERIALIZED (
	SELECT l.webhook, g.notice_at, g.open_at, g.disable_after * interval '1 microsecond' AS disable_after
	FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::integer[], $6::bigint[]) AS g (webhook, fence, notice_at, open_at, disable_after)
	JOIN leases l ON l.webhook = g.webhook AND l.fence = g.fence AND l.owner = $1::uuid
	ORDER BY l.webhook FOR SHARE OF l
), tried AS MATERIALIZED (
	SELECT t.*, timestamptz 'epoch' + t.started * interval '1 microsecond' AS started_at,
		timestamptz 'epoch' + (t.started + 1000 * t.duration_ms::bigint) * interval '1 microsecond' AS at
	FROM unnest($7::bigint[], $8::bigint[], $9::bigint[], $10::integer[], $11::bigint[], $12::integer[], $13::text[],
			$14::integer[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::text[]) WITH ORDINALITY
		AS t (webhook, transaction_id, position, number, started, duration_ms, outcome,
			status_code, error_class, error, response_headers, response_excerpt, due, verdict, n)
	JOIN guard ON guard.webhook = t.webhook
), ended AS (
	DELETE FROM deliveries d USING tried t
	WHERE t.outcome <> 'failed' AND d.webhook = t.webhook AND d.transaction_id = t.transaction_id AND d.position = t.position
	RETURNING d.webhook, d.stream, d.transaction_id, d.position, d.state, d.resent
), postponed AS (
	UPDATE deliveries d SET state = 'retry', attempts = t.number, due_at = timestamptz 'epoch' + t.due * interval '1 microsecond'
	FROM tried t
	WHERE t.outcome = 'failed' AND d.webhook = t.webhook AND d.transaction_id = t.transaction_id AND d.position = t.position
), blocked AS (
	UPDATE deliveries d SET state = 'blocked'
	FROM unnest($21::bigint[], $22::bigint[], $23::bigint[]) AS b (webhook, transaction_id, position)
	JOIN guard ON guard.webhook = b.webhook
	WHERE d.webhook = b.webhook AND d.transaction_id = b.transaction_id AND d.position = b.position AND d.state = 'ready'
), promoted AS (
	UPDATE deliveries d SET state = 'retry', due_at = timestamptz 'epoch' + $24::bigint * interval '1 microsecond'
	FROM ended e CROSS JOIN LATERAL (
		SELECT n.transaction_id, n.position FROM deliveries n
		WHERE n.webhook = e.webhook AND n.stream = e.stream AND n.state <> 'ready' AND n.resent = e.resent
			AND (n.transaction_id, n.position) > (e.transaction_id, e.position)
		ORDER BY n.transaction_id, n.position LIMIT 1) next
	WHERE e.state = 'retry' AND d.webhook = e.webhook AND d.state = 'blocked'
		AND d.transaction_id = next.transaction_id AND d.position = next.position
), logged AS (
	INSERT INTO attempts (webhook, transaction_id, position, number, started_at, duration_ms, outcome, status_code, error_class, error,
		response_headers, response_excerpt)
	SELECT webhook, transaction_id, position, number, started_at, duration_ms, outcome, nullif(status_code, 0), nullif(error_class, ''),
		nullif(error, ''), nullif(response_headers, '')::json, nullif(response_excerpt, '')
	FROM tried WHERE outcome <> 'skipped'
	ON CONFLICT DO NOTHING
	RETURNING webhook, transaction_id, position
), circuit AS MATERIALIZED (
	SELECT c.webhook, c.state, c.failures, c.failing_since FROM circuits c JOIN guard ON guard.webhook = c.webhook
	ORDER BY c.webhook FOR NO KEY UPDATE OF c -- a reset can come at any time
), counted AS (
	SELECT t.webhook, t.n, t.verdict, t.at, t.error, g.notice_at, g.open_at, g.disable_after,
		coalesce(c.failures, 0) AS before, c.failing_since AS before_since,
		count(*) FILTER (WHERE t.verdict = 'success') OVER (PARTITION BY t.webhook ORDER BY t.n) AS run
	FROM tried t
	JOIN logged l ON l.webhook = t.webhook AND l.transaction_id = t.transaction_id AND l.position = t.position
	JOIN guard g ON g.webhook = t.webhook
	LEFT JOIN circuit c ON c.webhook = t.webhook
	WHERE t.verdict <> '' AND (c.state = 'failing' OR c.state IS NULL AND t.webhook = ANY ($25::bigint[]))
), streaks AS (
	SELECT k.*,
		count(*) FILTER (WHERE verdict <> 'success') OVER earlier + CASE WHEN run = 0 THEN before ELSE 0 END AS failures,
		coalesce(CASE WHEN run = 0 THEN before_since END, min(at) FILTER (WHERE verdict <> 'success') OVER earlier) AS since
	FROM counted k WINDOW earlier AS (PARTITION BY webhook, run ORDER BY n)
), judged AS (
	SELECT s.*, lag(failures, 1, before) OVER (PARTITION BY webhook ORDER BY n) AS previous,
		CASE WHEN verdict = 'gone' OR verdict = 'failure' AND disable_after > interval '0' AND at - since >= disable_after THEN 'disabled'
			WHEN verdict = 'failure' AND open_at > 0 AND failures >= open_at THEN 'open' END AS stop,
		CASE WHEN verdict = 'gone' THEN regexp_replace(error, '^[a-z]+: ', '')
			ELSE 'every attempt has failed since ' || to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS reason
	FROM streaks s
), effective AS MATERIALIZED (
	SELECT j.* FROM judged j
	LEFT JOIN (SELECT webhook, min(n) AS n FROM judged WHERE stop IS NOT NULL GROUP BY webhook) first ON first.webhook = j.webhook
	WHERE first.n IS NULL OR j.n <= first.n
), last AS MATERIALIZED (
	SELECT DISTINCT ON (webhook) * FROM effective ORDER BY webhook, n DESC
), healed AS (
	DELETE FROM circuits c USING last WHERE c.webhook = last.webhook AND last.failures = 0
), worsened AS (
	INSERT INTO circuits (webhook, state, failures, failing_since, stopped_at, reason)
	SELECT webhook, coalesce(stop, 'failing'), failures, since, CASE WHEN stop IS NOT NULL THEN at END, CASE WHEN stop = 'disabled' THEN reason ELSE '' END
	FROM last WHERE failures > 0
	ON CONFLICT (webhook) DO UPDATE SET state = excluded.state, failures = excluded.failures, failing_since = excluded.failing_since,
		stopped_at = excluded.stopped_at, reason = excluded.reason
), noticed AS (
	INSERT INTO notices (webhook, kind, failures, failing_since, reason, at)
	SELECT e.webhook, k.kind, CASE WHEN k.kind = 'recovered' THEN e.previous ELSE e.failures END, e.since,
		CASE WHEN k.kind = 'disabled' THEN e.reason ELSE '' END, e.at
	FROM effective e CROSS JOIN LATERAL (VALUES
		(1, 'failing', e.verdict <> 'success' AND e.notice_at > 0 AND e.failures = e.notice_at),
		(2, 'recovered', e.verdict = 'success' AND e.notice_at > 0 AND e.previous >= e.notice_at),
		(3, 'circuit_opened', e.stop = 'open'), (4, 'disabled', e.stop = 'disabled')) AS k (place, kind, holds)
	WHERE k.holds
	ORDER BY e.webhook, e.n, k.place
	RETURNING number
)
SELECT guard.webhook, w.revision, coalesce(last.failures, circuit.failures, 0), last.stop IS NOT NULL, EXISTS (SELECT FROM noticed)
FROM guard JOIN webhooks w ON w.number = guard.webhook
LEFT JOIN last ON last.webhook = guard.webhook LEFT JOIN circuit ON circuit.webhook = guard.webhook`

// recordDelivered is what recordOutcomes does for first attempts that succeeded, of webhooks whose last attempt did so too; that is nearly
// all there is to record. It takes a third of the time. It returns the webhooks that are ours and have no circuit to see to.
const recordDelivered = `
WITH guard AS MATERIALIZED (
	SELECT l.webhook FROM unnest($2::bigint[], $3::bigint[]) AS g (webhook, fence)
	JOIN leases l ON l.webhook = g.webhook AND l.fence = g.fence AND l.owner = $1::uuid
	WHERE NOT EXISTS (SELECT FROM circuits c WHERE c.webhook = l.webhook)
	ORDER BY l.webhook FOR SHARE OF l
), tried AS MATERIALIZED (
	SELECT t.* FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::integer[], $9::integer[], $10::text[], $11::text[])
		AS t (webhook, transaction_id, position, started, duration_ms, status_code, response_headers, response_excerpt)
	JOIN guard ON guard.webhook = t.webhook
), ended AS MATERIALIZED (
	SELECT end_deliveries(array_agg(webhook), array_agg(transaction_id), array_agg(position)) AS n FROM tried
), logged AS (
	INSERT INTO attempts (webhook, transaction_id, position, number, started_at, duration_ms, outcome, status_code, response_headers, response_excerpt)
	SELECT webhook, transaction_id, position, 1, timestamptz 'epoch' + started * interval '1 microsecond', duration_ms, 'delivered', status_code,
		nullif(response_headers, '')::json, nullif(response_excerpt, '')
	FROM tried
	ON CONFLICT DO NOTHING
)
SELECT guard.webhook, w.revision FROM guard JOIN webhooks w ON w.number = guard.webhook
WHERE (SELECT n FROM ended) >= 0 -- what nobody asks for is not done
`

// recordTimeout bounds one try to record, so that a connection that hangs does not hang us.
const recordTimeout = 10 * time.Second

// plain says whether it is a first attempt that succeeded, and nothing is held back because of it.
func (o *outcome) plain() bool {
	return o.kind == delivered && o.verdict == success && !o.holds && o.item.attempts == 0
}

// write runs the statements, and returns how each webhook that is ours stands. A webhook's outcomes stay together, in their order.
func (r *recorder) write(batch []*outcome) (map[int64]standing, error) {
	known := map[int64]standing{}
	involved := map[int64]bool{} // webhooks with outcomes that are not plain
	for _, o := range batch {
		if !o.plain() {
			involved[o.queue.number] = true
		}
	}
	var plain, rest []*outcome
	for _, o := range batch {
		if involved[o.queue.number] {
			rest = append(rest, o)
		} else {
			plain = append(plain, o)
		}
	}
	if len(plain) > 0 {
		if err := r.writeDelivered(plain, known); err != nil {
			return nil, err
		}
		for _, o := range plain {
			if _, done := known[o.queue.number]; !done {
				rest = append(rest, o) // lost, or with a circuit
			}
		}
	}
	if len(rest) > 0 {
		if err := r.writeOutcomes(rest, known); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func (r *recorder) writeDelivered(batch []*outcome, known map[int64]standing) error {
	var gWebhook, gFence pq.Int64Array
	n := len(batch)
	ints := func() pq.Int64Array { return make(pq.Int64Array, 0, n) }
	webhook, transactionID, position, started, duration, status := ints(), ints(), ints(), ints(), ints(), ints()
	headers, excerpts := make(pq.StringArray, 0, n), make(pq.StringArray, 0, n)
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
		started = append(started, o.startedAt.UnixMicro())
		duration = append(duration, o.duration.Milliseconds())
		status = append(status, int64(o.status))
		headers = append(headers, o.headers)
		excerpts = append(excerpts, o.excerpt)
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	rows, err := r.d.statements.deliveredStmt.QueryContext(ctx, r.d.id, gWebhook, gFence,
		webhook, transactionID, position, started, duration, status, headers, excerpts)
	if err != nil {
		return pgerr.Wrap("record deliveries", err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var s standing
		if err := rows.Scan(&number, &s.revision); err != nil {
			return pgerr.Wrap("record deliveries", err)
		}
		known[number] = s
	}
	return pgerr.Wrap("record deliveries", rows.Err())
}

// writeOutcomes adds to known.
func (r *recorder) writeOutcomes(batch []*outcome, known map[int64]standing) error {
	var gWebhook, gFence, gNotice, gOpen, gDisable, failing pq.Int64Array
	var webhook, transactionID, position, number, started, duration, status, due pq.Int64Array
	var kinds, classes, problems, headers, excerpts, verdicts pq.StringArray
	var bWebhook, bTransactionID, bPosition pq.Int64Array
	seen, seenFailing := map[int64]bool{}, map[int64]bool{}
	for _, o := range batch {
		q := o.queue
		if !seen[q.number] {
			seen[q.number] = true
			c := o.circuit
			gWebhook, gFence = append(gWebhook, q.number), append(gFence, q.fence)
			gNotice, gOpen, gDisable = append(gNotice, int64(c.NoticeAt)), append(gOpen, int64(c.OpenAt)), append(gDisable, c.DisableAfter.Microseconds())
		}
		if (o.verdict == failure || o.verdict == gone) && !seenFailing[q.number] {
			seenFailing[q.number] = true
			failing = append(failing, q.number)
		}
		webhook = append(webhook, q.number)
		transactionID = append(transactionID, o.item.key.transactionID)
		position = append(position, o.item.key.position)
		number = append(number, int64(o.item.attempts+1))
		started = append(started, o.startedAt.UnixMicro())
		duration = append(duration, o.duration.Milliseconds())
		kinds = append(kinds, string(o.kind))
		status = append(status, int64(o.status))
		classes = append(classes, classOf(o.problem))
		problems = append(problems, o.problem)
		headers = append(headers, o.headers)
		excerpts = append(excerpts, o.excerpt)
		due = append(due, o.dueAt.UnixMicro())
		verdicts = append(verdicts, string(o.verdict))
		for _, f := range o.followers {
			bWebhook = append(bWebhook, q.number)
			bTransactionID = append(bTransactionID, f.key.transactionID)
			bPosition = append(bPosition, f.key.position)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	rows, err := r.d.statements.recordStmt.QueryContext(ctx, r.d.id, gWebhook, gFence, gNotice, gOpen, gDisable,
		webhook, transactionID, position, number, started, duration, kinds, status, classes, problems, headers, excerpts, due, verdicts,
		bWebhook, bTransactionID, bPosition, r.d.config.Clock().UnixMicro(), failing)
	if err != nil {
		return pgerr.Wrap("record deliveries", err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var s standing
		if err := rows.Scan(&number, &s.revision, &s.failures, &s.stopped, &s.noticed); err != nil {
			return pgerr.Wrap("record deliveries", err)
		}
		known[number] = s
	}
	return pgerr.Wrap("record deliveries", rows.Err())
}
