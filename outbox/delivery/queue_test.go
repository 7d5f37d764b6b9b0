package delivery

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type counted struct {
	N int `json:"n"`
}

func (counted) EventType() string { return "counter.counted" }

// A counter's state is the sum of what was counted, so that it tells whether every event was folded, and once.
var counters = map[string]*domain.Aggregate{
	"counter": domain.Define("counter", nil, domain.NewCodec(domain.EventOf[counted]("Something was counted.")),
		func(int, domain.Command) ([]domain.Event, error) { return nil, nil },
		func(sum int, e domain.Event, _ time.Time) int { return sum + e.(counted).N }),
}

// backlog is a database with n events of n/100 counters, and a delivery of each to one webhook. Nothing in it has been analysed.
func backlog(t *testing.T, n int) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	for _, statement := range []string{
		`ALTER TABLE events SET (autovacuum_enabled = off)`, `ALTER TABLE deliveries SET (autovacuum_enabled = off)`,
		`INSERT INTO webhooks (id, workspace, name, url, profile, events, types, secret, created_at, since, since_running)
			VALUES ('wh_1', 'default', 'one', 'http://127.0.0.1', 'native', '{}', '{}', '', now(), 0, '{}')`,
	} {
		_, err := db.Exec(statement)
		check(t, err)
	}
	_, err := db.Exec(`
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, 'default', 'counter/' || i % ($1 / 100), 1 + i / ($1 / 100), gen_random_uuid(), 'counter.counted', 1, '{"n":1}', '{}', now(), sha256('')
		FROM generate_series(0, $1 - 1) i ORDER BY i`, n)
	check(t, err)
	_, err = db.Exec(`INSERT INTO deliveries (webhook, transaction_id, position, stream)
		SELECT 1, transaction_id, position, stream FROM events ORDER BY transaction_id, position`)
	check(t, err)
	return db
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A large backlog of a receiver that does not answer costs a bounded number of rows in memory, all the time.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	db := backlog(t, 20_000)
	sealer, err := webhook.NewSealer(make([]byte, 32))
	check(t, err)
	_, err = db.Exec(`UPDATE webhooks SET secret = $1`, sealer.Seal("default", "wh_1", webhook.NewSecret()))
	check(t, err)
	var d *Deliverer
	var most, attempts atomic.Int64
	enough := make(chan struct{})
	d, err = New(Config{
		DB: db.DB, Aggregates: counters, Sealer: sealer, Profiles: profile.NewSet(profile.Native(counters)), Logger: slog.New(slog.DiscardHandler),
		History: func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error) {
			return nil, errors.New("not needed")
		},
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			q := d.snapshot()[0]
			q.mu.Lock()
			open := int64(q.open)
			q.mu.Unlock()
			for m := most.Load(); open > m && !most.CompareAndSwap(m, open); m = most.Load() {
			}
			if attempts.Add(1) == 150 {
				close(enough)
			}
			return nil, errors.New("away")
		}),
		Limits: Limits{ReadAhead: 1000, RenewInterval: 50 * time.Millisecond},
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	<-enough
	cancel()
	check(t, <-ended)
	if most.Load() > 1000 {
		t.Errorf("%d deliveries were in memory, at most 1000 were allowed", most.Load())
	}
	if d.busy.Load() != 0 {
		t.Errorf("%d queues that are drained count as busy", d.busy.Load())
	}
}

// Of each stream only what is sent next is folded; what follows is folded on top of that when it is its turn, without a look anywhere.
func TestStatesArePassedOnAlongALane(t *testing.T) {
	t.Parallel()
	t.Run("a webhook that is told everything", func(t *testing.T) {
		t.Parallel()
		const events = 4000 // of 40 counters
		db := backlog(t, events)
		if histories := deliverCounters(t, db, events); histories > events/4 { // with each page those of streams that were through before it came
			t.Errorf("%d histories were read, at most %d were expected", histories, events/4)
		}
	})
	t.Run("a webhook that is told some", func(t *testing.T) {
		t.Parallel()
		db := backlog(t, 300)
		_, err := db.Exec(`DELETE FROM deliveries d USING events e WHERE e.version % 3 = 0 AND (e.transaction_id, e.position) = (d.transaction_id, d.position)`)
		check(t, err)
		deliverCounters(t, db, 201)
	})
}

// deliverCounters delivers what there is, so many deliveries, and sees that each is told in its turn with the state as of its event. It returns
// how many histories that took.
func deliverCounters(t *testing.T, db *pgtest.Database, deliveries int) (histories int) {
	t.Helper()
	sealer, err := webhook.NewSealer(make([]byte, 32))
	check(t, err)
	_, err = db.Exec(`UPDATE webhooks SET secret = $1`, sealer.Seal("default", "wh_1", webhook.NewSecret()))
	check(t, err)
	var mu sync.Mutex
	last := map[string]int{} // version, by counter
	received := 0
	all := make(chan struct{})
	d, err := New(Config{
		DB: db.DB, Aggregates: counters, Sealer: sealer, Profiles: profile.NewSet(profile.Native(counters)), Logger: slog.New(slog.DiscardHandler),
		History: func(_ context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
			mu.Lock()
			defer mu.Unlock()
			histories += len(at)
			list := make([][]domain.Recorded, len(at))
			for i, a := range at {
				for v := range a.Version {
					list[i] = append(list[i], domain.Recorded{Workspace: a.Workspace, Stream: a.Stream, Version: v + 1, Type: "counter.counted", SchemaVersion: 1, Data: json.RawMessage(`{"n":1}`)})
				}
			}
			return list, nil
		},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			var body struct {
				Data struct {
					CounterID        string
					Version, Counter int
				}
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if body.Data.Version <= last[body.Data.CounterID] || body.Data.Counter != body.Data.Version {
				t.Errorf("after version %d came %+v", last[body.Data.CounterID], body)
			}
			last[body.Data.CounterID] = body.Data.Version
			if received++; received == deliveries {
				close(all)
			}
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		}),
		Limits: Limits{ReadAhead: 1000, States: 1},
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	<-all
	cancel()
	check(t, <-ended)
	if d.busy.Load() != 0 {
		t.Errorf("%d queues that are drained count as busy", d.busy.Load())
	}
	return histories
}

// Only what nothing in memory leads up to is looked for.
func TestHeads(t *testing.T) {
	t.Parallel()
	q := &queue{lanes: map[string]*lane{"a": {last: 3}}}
	var items []*item
	for _, lane := range strings.Fields("a4 a5 b1 b2 c5 a7 c6 b4") {
		it := &item{lane: lane[:1]}
		it.occurrence.Version = int(lane[1] - '0')
		items = append(items, it)
	}
	heads := ""
	for _, it := range q.heads(items) {
		heads += fmt.Sprintf(" %s%d", it.lane, it.occurrence.Version)
	}
	if heads != " c5 a7 b4" {
		t.Errorf("the heads are%s", heads)
	}
}

// That the database cannot be read when a delivery's turn comes is no failed attempt: it is read again.
func TestUnreadableHistoryIsNoFailedAttempt(t *testing.T) {
	t.Parallel()
	sealer, err := webhook.NewSealer(make([]byte, 32))
	check(t, err)
	reads, requests := 0, 0
	var q *queue
	d, err := New(Config{
		DB: new(sql.DB), Aggregates: counters, Sealer: sealer, Profiles: profile.NewSet(profile.Native(counters)), Logger: slog.New(slog.DiscardHandler),
		History: func(_ context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
			if reads++; reads < 3 {
				if reads == -997 {
					q.cancel(errStopped)
				}
				return nil, pgerr.Wrap("read a stream", driver.ErrBadConn)
			}
			history := make([]domain.Recorded, at[0].Version)
			for v := range history {
				history[v] = domain.Recorded{Stream: at[0].Stream, Version: v + 1, Type: "counter.counted", SchemaVersion: 1, Data: json.RawMessage(`{"n":1}`)}
			}
			return [][]domain.Recorded{history}, nil
		},
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			requests++
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		}),
	})
	check(t, err)
	q = &queue{d: d, target: to(t, "http://receiver.example"), lease: newLease(time.Now().Add(time.Hour), time.Hour, func() {})}
	defer q.lease.end()
	item := func(version int) *item {
		it := &item{key: key{position: int64(version)}}
		it.occurrence.Recorded = domain.Recorded{Stream: domain.StreamID{Aggregate: "counter", ID: "1"}, Version: version, Type: "counter.counted", SchemaVersion: 1, Data: json.RawMessage(`{"n":1}`)}
		return it
	}
	q.ctx, q.cancel = context.WithCancelCause(t.Context())
	if o := q.attempt(item(5)); o == nil || o.kind != delivered || reads != 3 || requests != 1 {
		t.Errorf("%+v after %d reads and %d requests", o, reads, requests)
	}
	reads = -1000 // from now on in vain
	if o := q.attempt(item(9)); o != nil || requests != 1 {
		t.Errorf("once the queue is cut: %+v, %d requests", o, requests)
	}
}

func TestReadAheadIsShared(t *testing.T) {
	t.Parallel()
	d := &Deliverer{config: Config{Limits: Limits{ReadAhead: 1000}}}
	queues := make([]*queue, 30)
	for i := range queues {
		queues[i] = &queue{d: d, window: 8}
	}
	capacities := func(want ...int) {
		t.Helper()
		for i, w := range want {
			if got := queues[i].capacity(); got != w {
				t.Errorf("queue %d may hold %d, want %d", i, got, w)
			}
		}
	}
	capacities(1000, 1000)
	queues[0].hold(700)
	capacities(1000, 500)
	queues[1].hold(1)
	queues[1].hold(400)
	capacities(500, 500, 333)
	queues[0].hold(-600)
	capacities(500, 500, 333)
	queues[0].hold(-100)
	capacities(500, 1000)
	for _, q := range queues[2:] {
		q.hold(1)
	}
	capacities(64, 64, 64)
	queues[1].hold(-401)
	for _, q := range queues[2:] {
		q.hold(-1)
	}
	queues[0].window = 1
	capacities(256, 1000)
}

// plan runs a statement as the database would plan it for any arguments, and returns the plan and how many pages it took.
func plan(t *testing.T, db *pgtest.Database, generic, along bool, query string, args ...any) (text string, pages int) {
	t.Helper()
	tx, err := db.Begin()
	check(t, err)
	defer tx.Rollback() // EXPLAIN ANALYZE does what it explains
	mode := map[bool]string{true: "force_generic_plan", false: "force_custom_plan"}[generic]
	settings := `SET LOCAL plan_cache_mode = ` + mode
	if along {
		settings += ";" + alongIndexes
	}
	_, err = tx.Exec(settings)
	check(t, err)
	check(t, tx.QueryRow(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+query, args...).Scan(&text))
	var parsed []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	check(t, json.Unmarshal([]byte(text), &parsed))
	return text, parsed[0].Plan.Hit + parsed[0].Plan.Read
}

// What a statement costs must not depend on how much waits, and on whether the tables have been analysed since it came.
func TestPlans(t *testing.T) {
	t.Parallel()
	const rows = 120_000
	db := backlog(t, rows)
	owner := uuid.New()
	_, err := db.Exec(`INSERT INTO leases VALUES (1, $1, 1, now())`, owner)
	check(t, err)
	keys := func(from, n int) (webhooks, transactionIDs, positions pq.Int64Array) {
		result, err := db.Query(`SELECT transaction_id, position FROM deliveries ORDER BY transaction_id, position OFFSET $1 LIMIT $2`, from, n)
		check(t, err)
		defer result.Close()
		for result.Next() {
			var transactionID, position int64
			check(t, result.Scan(&transactionID, &position))
			webhooks, transactionIDs, positions = append(webhooks, 1), append(transactionIDs, transactionID), append(positions, position)
		}
		return webhooks, transactionIDs, positions
	}
	webhooks, transactionIDs, positions := keys(rows/2, 50)
	ones := make(pq.Int64Array, 50)
	for i := range ones {
		ones[i] = 1
	}
	words := func(word string) pq.StringArray {
		return pq.StringArray(strings.Split(strings.Repeat(word+" ", 49)+word, " "))
	}
	record := func(kind string) []any {
		verdict, failing := "success", pq.Int64Array{}
		if kind == "failed" {
			verdict, failing = "failure", pq.Int64Array{1}
		}
		return []any{owner, pq.Int64Array{1}, pq.Int64Array{1}, pq.Int64Array{5}, pq.Int64Array{30}, pq.Int64Array{1},
			webhooks, transactionIDs, positions, ones, ones, ones, words(kind), ones, words("status"), words("x"), words("{}"), words("x"), ones,
			words(verdict), pq.Int64Array{}, pq.Int64Array{}, pq.Int64Array{}, 0, failing}
	}
	const last = int64(1<<63 - 1)
	// Some have ended.
	_, err = db.Exec(`INSERT INTO attempts (webhook, transaction_id, position, number, started_at, duration_ms, outcome)
		SELECT 1, transaction_id, position, 1, now(), 1, CASE WHEN position % 100 = 0 THEN 'given_up' ELSE 'delivered' END FROM events WHERE position > $1`, rows/2+100)
	check(t, err)
	replayed := func(from int64) []any {
		return []any{1, transactionIDs[0], from, last, last, "default", pq.StringArray{}, time.Unix(0, 0), time.Now().Add(time.Hour), 50}
	}
	middle := []any{1, transactionIDs[0], positions[0]}
	middle = middle[:3:3] // so that every append copies
	along := map[string]bool{"list": true, "an event": true, "retrying": true, "given up": true, "replay": true, "failures": true, "read again": true, "earlier": true}
	statements := func(held string, walk int) {
		for name, c := range map[string]struct {
			most  int
			query string
			args  []any
		}{
			"page":       {700, readPage, append(middle, 50, true)},
			"first":      {700, readPage, []any{1, 0, 0, 50, true}},
			"due":        {600, readDue, []any{1, time.Now(), 50, true}},
			"walk":       {walk, `SELECT count(*) FROM next_deliveries($1, $2, $3, $4)`, append(middle, 2000)},
			"walk due":   {3000, `SELECT count(*) FROM next_retries($1, $2)`, []any{1, 2000}},
			"walk log":   {300, `SELECT count(*) FROM next_events($2, $3, $2, 1000000000, $4) WHERE $1 = 1`, append(middle, 2000)},
			"unread":     {60, unread, []any{webhooks[:1], transactionIDs[:1], positions[:1]}},
			"delivered":  {3000, recordOutcomes, record("delivered")},
			"failed":     {5000, recordOutcomes, record("failed")},
			"block":      {3000, blockRows, []any{1, owner, 1, transactionIDs, positions}},
			"read again": {600, insertResent, []any{1, transactionIDs, positions, time.Now()}},
			"earlier":    {600, countEarlier, []any{1, transactionIDs, positions}},
			"list":       {2500, listDeliveries, []any{1, last, last, 0, "", "", "", pq.StringArray{""}, "-infinity", 51, 51}},
			"an event":   {80000, listDeliveries, []any{1, last, last, 0, "", "", "counter.counted", pq.StringArray{"counter.counted"}, "-infinity", scanned, 51}},
			"retrying":   {80000, listDeliveries, []any{1, last, last, 0, "retry", "-", "", pq.StringArray{""}, "-infinity", scanned, 51}},
			"given up":   {2500, listDeliveries, []any{1, last, last, 0, "-", "given_up", "", pq.StringArray{""}, "-infinity", 51, 51}},
			"replay":     {1500, replayPage, replayed(positions[0])},
			"failures":   {2500, failurePage, replayed(0)},
			"a stream":   {2500, ofStreamQuery, []any{"default", "counter/7", 0}},
			"renew":      {300, renew, []any{owner, "5 s", pq.Int64Array{1}, pq.Int64Array{1}}},
		} {
			for _, generic := range []bool{false, true} {
				text, pages := plan(t, db, generic, along[name], c.query, c.args...)
				if pages > c.most {
					t.Errorf("%s, %s, generic %v: %d pages, want at most %d\n%s", name, held, generic, pages, c.most, text)
				}
				for _, table := range []string{"deliveries", "events", "attempts"} {
					if strings.Contains(strings.ReplaceAll(text, "\n", ""), `"Node Type": "Seq Scan"`) && scans(text, table) {
						t.Errorf("%s, %s, generic %v: reads all of %s\n%s", name, held, generic, table, text)
					}
				}
			}
		}
	}
	statements("never analysed", 400)
	_, err = db.Exec(`ANALYZE`)
	check(t, err)
	statements("analysed", 400)
	// Now most of it is held back, and lies scattered among the dead rows of the updates.
	_, err = db.Exec(`UPDATE deliveries SET state = 'retry', due_at = now() + position * interval '1 ms' WHERE position % 10 = 0`)
	check(t, err)
	_, err = db.Exec(`UPDATE deliveries SET state = 'blocked' WHERE position % 10 BETWEEN 1 AND 8`)
	check(t, err)
	statements("held back since", 4000)
	_, err = db.Exec(`ANALYZE`)
	check(t, err)
	statements("held back and analysed", 4000)
}

// A plan that was made while everything was delivered has to do when much is waiting.
func TestPlanOfAnEmptyTable(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	db := backlog(t, rows)
	owner := uuid.New()
	for _, statement := range []string{
		`INSERT INTO leases VALUES (1, '` + owner.String() + `', 1, now())`,
		`CREATE TABLE waiting AS SELECT * FROM deliveries WHERE position < (SELECT max(position) FROM deliveries)`,
		`DELETE FROM deliveries WHERE position < (SELECT max(position) FROM deliveries)`, // the last one keeps the table as long as it is
		`VACUUM ANALYZE deliveries`,
	} {
		_, err := db.Exec(statement)
		check(t, err)
	}
	conn, err := db.Conn(t.Context())
	check(t, err)
	defer conn.Close()
	exec := func(statement string) {
		_, err := conn.ExecContext(t.Context(), statement)
		check(t, err)
	}
	var keys [2]string
	check(t, db.QueryRow(`SELECT array_agg(transaction_id), array_agg(position)
		FROM (SELECT transaction_id, position FROM waiting ORDER BY transaction_id, position OFFSET $1 LIMIT 50) w`, rows/2).Scan(&keys[0], &keys[1]))
	fifty := func(word string) string { return "'{" + strings.Repeat(word+",", 49) + word + "}'" }
	execute := "EXECUTE q ('" + owner.String() + "', '{1}', '{1}', " + fifty("1") + ", '" + keys[0] + "', '" + keys[1] + "', " +
		strings.Join([]string{fifty("1"), fifty("1"), fifty("200"), fifty("{}"), fifty("x")}, ", ") + ")"
	execute = strings.Replace(execute, fifty("{}"), fifty(`"{}"`), 1)
	exec(`SET plan_cache_mode = force_generic_plan`)
	exec(`PREPARE q AS ` + recordDelivered)
	exec(execute)
	_, err = db.Exec(`DELETE FROM attempts; INSERT INTO deliveries SELECT * FROM waiting`)
	check(t, err)
	var text string
	check(t, conn.QueryRowContext(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+execute).Scan(&text))
	for _, found := range regexp.MustCompile(`"Rows Removed by .*": (\d+)`).FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(found[1]); err != nil || n > 100 {
			t.Errorf("50 of %d deliveries: %s\n%s", rows, found[0], text)
		}
	}
	var left int
	check(t, db.QueryRow(`SELECT count(*) FROM deliveries`).Scan(&left))
	if left != rows-50 {
		t.Errorf("%d deliveries are left", left)
	}
}

// scans says whether a plan has a sequential scan of a table.
func scans(text, table string) bool {
	var node func(v any) bool
	node = func(v any) bool {
		switch v := v.(type) {
		case map[string]any:
			if v["Node Type"] == "Seq Scan" && v["Relation Name"] == table {
				return true
			}
			for _, child := range v {
				if node(child) {
					return true
				}
			}
		case []any:
			for _, child := range v {
				if node(child) {
					return true
				}
			}
		}
		return false
	}
	var parsed any
	return json.Unmarshal([]byte(text), &parsed) == nil && node(parsed)
}

func TestStatesAreFoldedAsOfTheEvent(t *testing.T) {
	t.Parallel()
	stream := domain.StreamID{Aggregate: "counter", ID: "1"}
	log := make([]domain.Recorded, 20)
	for i := range log {
		log[i] = domain.Recorded{Workspace: "w", Stream: stream, Version: i + 1, Type: "counter.counted", SchemaVersion: 1, Data: json.RawMessage(`{"n":1}`)}
	}
	reads := 0
	s, err := newStates(counters, func(_ context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
		reads++
		histories := make([][]domain.Recorded, len(at))
		for i, a := range at {
			histories[i] = log[:a.Version]
		}
		return histories, nil
	}, erased{}, 4)
	check(t, err)
	fold := func(wantReads int, versions ...int) {
		t.Helper()
		reads = 0
		items := make([]*item, len(versions))
		for i, v := range versions {
			items[i] = &item{occurrence: profile.Occurrence{Recorded: log[v-1]}}
		}
		check(t, s.fold(context.Background(), items))
		for i, it := range items {
			if it.fault != nil || it.occurrence.Before != versions[i]-1 || it.occurrence.After != versions[i] || it.occurrence.Event != (counted{1}) {
				t.Errorf("version %d: %+v, fault %v", versions[i], it.occurrence, it.fault)
			}
		}
		if reads != wantReads {
			t.Errorf("versions %v took %d reads, want %d", versions, reads, wantReads)
		}
	}
	fold(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) // more than the cache holds
	fold(0, 10)                        // behind what is cached
	fold(0, 10)                        // another webhook
	fold(1, 1, 3, 5)                   // with gaps, and long gone
	fold(1, 15, 16, 20)
	fold(1, 19)
}

// Each pause is drawn from zero to the schedule's; a receiver may ask for more, and 410 ends it all.
func TestWhatFollowsFromAnAnswer(t *testing.T) {
	t.Parallel()
	p := profile.Native(counters)
	native := &target{profile: p, schedule: p.Schedule}
	longest := func(d time.Duration) time.Duration { return d }
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	judge := func(attempts int, a answer) *outcome {
		o := &outcome{item: &item{attempts: attempts}, startedAt: at}
		a.duration = time.Second
		o.response(native, a, longest)
		return o
	}
	for attempts, pause := range profile.NativeRetries {
		if o := judge(attempts, answer{answered: true, status: 500}); o.kind != failed || !o.dueAt.Equal(at.Add(time.Second+pause)) || !o.overload {
			t.Errorf("after attempt %d: %s, due at %s", attempts+1, o.kind, o.dueAt)
		}
	}
	for name, c := range map[string]struct {
		attempts int
		answer   answer
		kind     kind
		pause    time.Duration
		overload bool
	}{
		"the last":      {9, answer{answered: true, status: 500}, givenUp, 0, true},
		"cut off late":  {12, answer{problem: "reset"}, givenUp, 0, true},
		"no answer":     {0, answer{problem: "reset"}, failed, 5 * time.Second, true},
		"success":       {3, answer{answered: true, status: 204}, delivered, 0, false},
		"asks for more": {0, answer{answered: true, status: 503, retryAfter: time.Hour}, failed, time.Hour, true},
		"asks for less": {4, answer{answered: true, status: 429, retryAfter: time.Second}, failed, 5 * time.Hour, true},
		"gone":          {0, answer{answered: true, status: 410, retryAfter: time.Hour}, givenUp, 0, false},
		"refused":       {0, answer{answered: true, status: 400}, failed, 5 * time.Second, false},
		"redirect":      {0, answer{answered: true, status: 301}, failed, 5 * time.Second, false},
	} {
		o := judge(c.attempts, c.answer)
		if o.kind != c.kind || o.overload != c.overload || o.kind == failed && !o.dueAt.Equal(at.Add(time.Second+c.pause)) {
			t.Errorf("%s: %s, due at %s, overload %v", name, o.kind, o.dueAt, o.overload)
		}
		if (o.problem == "") != (o.kind == delivered) {
			t.Errorf("%s: problem %q", name, o.problem)
		}
	}
	d, err := New(Config{DB: new(sql.DB), Aggregates: counters, Sealer: new(webhook.Sealer), Profiles: profile.NewSet(p),
		History: func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error) { return nil, nil }})
	check(t, err)
	below, above := false, false
	for range 1000 {
		pause := d.config.Pause(time.Hour)
		if pause < 0 || pause > time.Hour {
			t.Fatalf("a pause of %s", pause)
		}
		below, above = below || pause < 10*time.Minute, above || pause > 50*time.Minute
	}
	if !below || !above {
		t.Error("the pauses are not spread")
	}
}

// A renewal that crosses a release must not bring the lease back: nobody would use it, and nobody else could.
func TestReleasedLeaseIsNotRenewed(t *testing.T) {
	t.Parallel()
	db := backlog(t, 100)
	ctx := context.Background()
	var s statements
	check(t, s.prepare(ctx, db.DB))
	defer s.close()
	me, other := uuid.New(), uuid.New()
	take := func(id uuid.UUID, want int64) {
		t.Helper()
		fences, err := s.take(ctx, id, time.Hour, 10)
		check(t, err)
		if fences[1] != want {
			t.Errorf("taken with fence %d, want %d", fences[1], want)
		}
	}
	take(me, 1)
	take(other, 0) // it is mine
	q := &queue{number: 1, fence: 1}
	renewed, fair, err := s.renew(ctx, me, time.Hour, []*queue{q})
	check(t, err)
	if _, ours := renewed[1]; !ours || fair != 1 {
		t.Errorf("renewed %v, fair share %d", renewed, fair)
	}
	check(t, s.release(q, me, time.Minute))
	if renewed, _, err = s.renew(ctx, me, time.Hour, []*queue{q}); err != nil || len(renewed) != 0 {
		t.Errorf("after the release: renewed %v, %v", renewed, err)
	}
	take(other, 2)
	check(t, s.release(q, me, time.Minute)) // too late, and with an old fence
	take(me, 0)
}
