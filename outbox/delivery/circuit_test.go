package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// health is a reference model of a circuit: what is known of a webhook's failures, changed by one attempt after the other.
type health struct {
	state    string // "", failing, open, disabled
	failures int
	since    time.Time
	notices  []string
}

func (h *health) attempt(c profile.Circuit, v verdict, at time.Time) {
	if v == "" || h.state == "open" || h.state == "disabled" {
		return
	}
	if v == success {
		if c.NoticeAt > 0 && h.failures >= c.NoticeAt {
			h.notices = append(h.notices, fmt.Sprint("recovered ", h.failures))
		}
		h.state, h.failures, h.since = "", 0, time.Time{}
		return
	}
	if h.failures == 0 {
		h.state, h.since = "failing", at
	}
	h.failures++
	if h.failures == c.NoticeAt {
		h.notices = append(h.notices, fmt.Sprint("failing ", h.failures))
	}
	switch {
	case v == gone, c.DisableAfter > 0 && at.Sub(h.since) >= c.DisableAfter:
		h.state = "disabled"
		h.notices = append(h.notices, fmt.Sprint("disabled ", h.failures))
	case c.OpenAt > 0 && h.failures >= c.OpenAt:
		h.state = "open"
		h.notices = append(h.notices, fmt.Sprint("circuit_opened ", h.failures))
	}
}

func (h *health) reset() {
	if h.state != "" {
		h.notices = append(h.notices, fmt.Sprint("reset ", h.failures))
	}
	h.state, h.failures, h.since = "", 0, time.Time{}
}

// bench is a database with one webhook of many deliveries, and a recorder that has its lease.
type bench struct {
	db *pgtest.Database
	r  *recorder
	q  *queue
}

func newBench(t *testing.T, rows int) *bench {
	t.Helper()
	db := backlog(t, rows)
	sealer, err := webhook.NewSealer(make([]byte, 32))
	check(t, err)
	d, err := New(Config{
		DB: db.DB, Aggregates: counters, Sealer: sealer, Profiles: profile.NewSet(profile.Native(counters)), Logger: slog.New(slog.DiscardHandler),
		History: func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error) {
			return nil, errors.New("not needed")
		},
	})
	check(t, err)
	check(t, d.statements.prepare(context.Background(), db.DB))
	t.Cleanup(d.statements.close)
	d.id = uuid.New()
	_, err = db.Exec(`INSERT INTO leases VALUES (1, $1, 1, 'infinity')`, d.id)
	check(t, err)
	return &bench{db, newRecorder(d), &queue{d: d, number: 1, fence: 1, lease: newLease(time.Now().Add(time.Hour), time.Hour, func() {})}}
}

// keys returns n deliveries.
func (b *bench) keys(t *testing.T, n int) (keys []key) {
	t.Helper()
	rows, err := b.db.Query(`SELECT transaction_id, position FROM events ORDER BY transaction_id, position LIMIT $1`, n)
	check(t, err)
	defer rows.Close()
	for rows.Next() {
		var k key
		check(t, rows.Scan(&k.transactionID, &k.position))
		keys = append(keys, k)
	}
	check(t, rows.Err())
	return keys
}

func (b *bench) health(t rapidOrTest) (h health) {
	var since sql.NullTime
	err := b.db.QueryRow(`SELECT state, failures, failing_since FROM circuits WHERE webhook = 1`).Scan(&h.state, &h.failures, &since)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	if since.Valid {
		h.since = since.Time.UTC()
	}
	rows, err := b.db.Query(`SELECT kind || ' ' || failures FROM notices ORDER BY number`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var notice string
		if err := rows.Scan(&notice); err != nil {
			t.Fatal(err)
		}
		h.notices = append(h.notices, notice)
	}
	return h
}

type rapidOrTest interface{ Fatal(...any) }

// Whatever batches attempts are recorded in, and however often a batch is recorded because nobody knew whether it was, failures are counted
// as if each attempt had been recorded alone and once.
func TestCircuitCountsLikeTheModel(t *testing.T) {
	t.Parallel()
	b := newBench(t, 400)
	keys := b.keys(t, 400)
	store, err := webhook.NewStore(webhook.Config{DB: b.db.DB, Sealer: b.r.d.config.Sealer, Profiles: b.r.d.config.Profiles})
	check(t, err)
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	number := map[key]int{}
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		_, err := b.db.Exec(`TRUNCATE circuits, notices`)
		if err != nil {
			t.Fatal(err)
		}
		circuit := profile.Circuit{
			NoticeAt: rapid.IntRange(0, 6).Draw(t, "notice at"), OpenAt: rapid.IntRange(0, 12).Draw(t, "open at"),
			DisableAfter: time.Duration(rapid.IntRange(0, 2).Draw(t, "disable after")) * 10 * time.Minute,
		}
		model := health{}
		now := begin
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			if rapid.IntRange(0, 5).Draw(t, "reset") == 0 {
				model.reset()
				if _, err := store.Reset(context.Background(), "default", "wh_1"); err != nil {
					t.Fatal(err, errors.Unwrap(err))
				}
			}
			var batch []*outcome
			used := map[key]bool{}
			for range rapid.IntRange(1, 25).Draw(t, "attempts") {
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
				k := rapid.SampledFrom(keys).Draw(t, "delivery")
				if used[k] {
					continue
				}
				used[k] = true
				v := rapid.SampledFrom([]verdict{success, failure, failure, failure, failure, failure, "", gone}).Draw(t, "verdict")
				if v == gone && rapid.IntRange(0, 4).Draw(t, "really") > 0 {
					v = failure
				}
				o := &outcome{queue: b.q, item: &item{key: k, attempts: number[k]}, kind: failed, verdict: v, startedAt: now, circuit: circuit,
					problem: "status: no", dueAt: now}
				if v == success {
					o.kind, o.problem = delivered, ""
				}
				number[k]++
				batch = append(batch, o)
				model.attempt(circuit, v, now)
			}
			for range rapid.IntRange(1, 2).Draw(t, "times") {
				known, err := b.r.write(batch)
				if err != nil {
					t.Fatal(err, errors.Unwrap(err))
				}
				if known[1].failures != model.failures {
					t.Fatalf("the statement says %d failures in a row, the model %d", known[1].failures, model.failures)
				}
			}
			got := b.health(t)
			if got.state != model.state || got.failures != model.failures || !got.since.Equal(model.since) || !slices.Equal(got.notices, model.notices) {
				t.Fatalf("circuit %+v\ngot  %+v\nwant %+v", circuit, got, model)
			}
		}
		if model.state == "open" {
			opened++
		}
	})
	if opened == 0 {
		t.Error("no circuit ever opened")
	}
}

// A batch of an owner whose lease is gone counts nothing.
func TestStaleOwnerCountsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	_, err := b.db.Exec(`UPDATE leases SET fence = 2`)
	check(t, err)
	known, err := b.r.write([]*outcome{{queue: b.q, item: &item{key: b.keys(t, 1)[0]}, kind: failed, verdict: failure, circuit: profile.Circuit{NoticeAt: 1, OpenAt: 1}}})
	check(t, err)
	if got := b.health(t); len(known) != 0 || got.state != "" || got.notices != nil {
		t.Errorf("recorded for %v: %+v", known, got)
	}
}
