package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A small aggregate: an order that takes notes.
type (
	noteOrder struct {
		Notes []string `json:"notes"`
	}
	noted struct {
		Note string `json:"note"`
	}
	sung      struct{}
	destroyed struct{}
)

func (noted) EventType() string     { return "order.noted" }
func (sung) EventType() string      { return "order.sung" }
func (destroyed) EventType() string { return "order.destroyed" }

var aggregates = map[string]*domain.Aggregate{
	"order": domain.Define("order", nil,
		domain.NewCodec(domain.EventOf[noted]("A note was taken."), domain.EventOf[sung]("A song was sung."), domain.EventOf[destroyed]("It is gone.")),
		func(noteOrder, domain.Command) ([]domain.Event, error) { return nil, nil },
		func(o noteOrder, e domain.Event, _ time.Time) noteOrder {
			if n, ok := e.(noted); ok {
				o.Notes = append(slices.Clone(o.Notes), n.Note)
			}
			return o
		}),
}

// patience is how long a test waits for what has to happen.
const patience = 2 * time.Minute

// kit is a database with a log, and webhooks to it.
type kit struct {
	t      testing.TB
	db     *pgtest.Database
	events *eventstore.Store
	sealer *webhook.Sealer
	store  *webhook.Store

	mu    sync.Mutex
	heads map[string]eventstore.Head
}

func newKit(t testing.TB) *kit {
	t.Helper()
	db := pgtest.New(t)
	sealer, err := webhook.NewSealer([]byte("0123456789abcdef0123456789abcdef"))
	check(t, err)
	store, err := webhook.NewStore(webhook.Config{DB: db.DB, Sealer: sealer, Profiles: profile.NewSet(profile.Native(aggregates)), AllowHTTP: true})
	check(t, err)
	return &kit{t: t, db: db, events: eventstore.New(db.DB), sealer: sealer, store: store, heads: map[string]eventstore.Head{}}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
}

// batch is n notes for an order, each saying which one it is: "ord_1 #3".
func (k *kit) batch(id string, n int) *eventstore.Batch {
	k.mu.Lock()
	defer k.mu.Unlock()
	head := k.heads[id]
	facts := make([]eventstore.Fact, n)
	for i := range facts {
		facts[i] = eventstore.Fact{Type: "order.noted", SchemaVersion: 1, Data: json.RawMessage(fmt.Sprintf(`{"note":"%s #%d"}`, id, head.Version+1+i))}
	}
	return eventstore.NewBatch("default", domain.StreamID{Aggregate: "order", ID: id}, head, facts, json.RawMessage(`{"command":"order.note"}`), time.Now(), nil)
}

func (k *kit) appended(b *eventstore.Batch) []domain.Recorded {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heads[b.Stream.ID] = eventstore.HeadOf(b.Events[len(b.Events)-1])
	return b.Events
}

// append appends n notes to an order.
func (k *kit) append(id string, n int) []domain.Recorded {
	k.t.Helper()
	b := k.batch(id, n)
	check(k.t, k.events.Append(context.Background(), b))
	return k.appended(b)
}

// appendMany appends n notes to each of many orders, the orders taking turns.
func (k *kit) appendMany(orders, n int) (total int) {
	k.t.Helper()
	for range n {
		for i := range orders {
			total += len(k.append(fmt.Sprintf("ord_%d", i), 1))
		}
	}
	return total
}

func (k *kit) appendTx(tx *sql.Tx, id string, n int) []domain.Recorded {
	k.t.Helper()
	b := k.batch(id, n)
	check(k.t, k.events.AppendTx(context.Background(), tx, b))
	return k.appended(b)
}

// webhook makes a webhook to a receiver.
func (k *kit) webhook(r *receiver, change ...func(*webhook.New)) webhook.Webhook {
	k.t.Helper()
	n := webhook.New{Name: fmt.Sprintf("hook %p %d", r, time.Now().UnixNano()), URL: r.URL}
	for _, f := range change {
		f(&n)
	}
	w, secret, err := k.store.Create(context.Background(), "default", n)
	check(k.t, err)
	r.secret = secret.Reveal()
	return w
}

// open returns another pool to the kit's database, for a relay that is to die: it does when the pool is closed.
func (k *kit) open() *sql.DB {
	k.t.Helper()
	db, err := sql.Open("postgres", k.db.DSN)
	check(k.t, err)
	k.t.Cleanup(func() { db.Close() })
	return db
}

// running is a relay under way.
type running struct {
	*Relay
	t      testing.TB
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// quick are limits under which leases change hands fast enough for a test.
var quick = delivery.Limits{LeaseTTL: 1500 * time.Millisecond, RenewInterval: 50 * time.Millisecond, PollInterval: 10 * time.Millisecond}

// relay starts a relay, which the end of the test stops.
func (k *kit) relay(change ...func(*Config)) *running {
	k.t.Helper()
	config := Config{
		DB: k.db.DB, Aggregates: aggregates, History: k.events.StreamsAt, Sealer: k.sealer,
		AllowTargets:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Logger:        slog.New(slog.NewTextHandler(testWriter{k.t}, nil)),
		Limits:        quick,
		PurgeInterval: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&config)
	}
	r, err := New(config)
	check(k.t, err)
	return k.start(r)
}

func (k *kit) start(r *Relay) *running {
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Relay: r, t: k.t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(run.ended)
		run.err = r.Run(ctx)
	}()
	k.t.Cleanup(run.stop)
	return run
}

// stop stops the relay and waits until it has.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	select {
	case <-r.ended:
		if r.err != nil {
			r.t.Errorf("Run returned %v", r.err)
		}
	case <-time.After(patience):
		r.t.Fatal("the relay does not stop")
	}
}

// testWriter writes a log to a test's own.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// request is one that a receiver got.
type request struct {
	ID, Signature, Timestamp string
	Body                     string
	Order                    string
	Version                  int
	Status                   int // what it was answered; 0 while it is not
}

// receiver is an HTTP server that keeps what it is sent.
type receiver struct {
	*httptest.Server
	secret string

	mu       sync.Mutex
	requests []*request
	custom   http.HandlerFunc // answers instead, if set
	changed  chan struct{}    // closed at the next change
	ends     chan struct{}    // closed when the test ends: hanging handlers return
}

// answers decides how a receiver answers: with a status, once it returns.
type answers func(n int, r *request) int

func ok(int, *request) int { return http.StatusOK }

func (k *kit) receiver(answer answers) *receiver {
	r := &receiver{changed: make(chan struct{}), ends: make(chan struct{})}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, h *http.Request) {
		body, err := io.ReadAll(h.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		custom := r.custom
		r.mu.Unlock()
		if custom != nil {
			custom(w, h)
			return
		}
		var parsed struct {
			Data struct {
				OrderID string
				Version int
			}
		}
		if err := json.Unmarshal(body, &parsed); err != nil {
			k.t.Errorf("a body is not JSON: %v: %s", err, body)
		}
		got := &request{ID: h.Header.Get("webhook-id"), Signature: h.Header.Get("webhook-signature"), Timestamp: h.Header.Get("webhook-timestamp"),
			Body: string(body), Order: parsed.Data.OrderID, Version: parsed.Data.Version}
		n := r.add(got)
		status := answer(n, got)
		r.mu.Lock()
		got.Status = status
		r.mu.Unlock()
		r.notify()
		w.WriteHeader(status)
	}))
	k.t.Cleanup(r.Close)
	k.t.Cleanup(func() { close(r.ends) })
	return r
}

// handle has requests, their bodies read, answered in another way.
func (r *receiver) handle(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.custom = f
}

// hang waits until the client or the test gives up.
func (r *receiver) hang(h *http.Request) {
	select {
	case <-h.Context().Done():
	case <-r.ends:
	}
}

func (r *receiver) add(got *request) int {
	r.mu.Lock()
	r.requests = append(r.requests, got)
	n := len(r.requests)
	r.mu.Unlock()
	r.notify()
	return n
}

func (r *receiver) notify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// got returns copies of the requests so far.
func (r *receiver) got() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]request, len(r.requests))
	for i, q := range r.requests {
		list[i] = *q
	}
	return list
}

// await waits until what the receiver got satisfies a condition.
func (r *receiver) await(t *testing.T, what string, condition func([]request) bool) []request {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		got := r.got()
		if condition(got) {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for %s; got %d requests", what, len(got))
		}
	}
}

func (r *receiver) awaitCount(t *testing.T, n int) []request {
	t.Helper()
	return r.await(t, fmt.Sprintf("%d requests", n), func(got []request) bool { return len(got) >= n })
}

// eventually waits until a query returns true.
func (k *kit) eventually(what, query string, args ...any) {
	k.t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for {
		var holds bool
		check(k.t, k.db.QueryRow(query, args...).Scan(&holds))
		if holds {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			k.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// drained waits until nothing is left to deliver, with n events fanned out and delivered.
func (k *kit) drained(n int) {
	k.t.Helper()
	k.eventually(fmt.Sprintf("%d deliveries are recorded and none is left", n), `
		SELECT (SELECT count(*) FROM attempts WHERE outcome = 'delivered') >= $1 AND NOT EXISTS (SELECT FROM deliveries)`, n)
}

func (k *kit) number(query string, args ...any) (n int) {
	k.t.Helper()
	check(k.t, k.db.QueryRow(query, args...).Scan(&n))
	return n
}

// inOrder checks that requests which were answered well came in the order of their stream, each version once.
func inOrder(t *testing.T, requests []request, perOrder int) {
	t.Helper()
	next := map[string]int{}
	for _, r := range requests {
		if r.Status != http.StatusOK {
			continue
		}
		if next[r.Order]++; r.Version != next[r.Order] {
			t.Fatalf("order %s: version %d was delivered in place of %d", r.Order, r.Version, next[r.Order])
		}
	}
	for order, n := range next {
		if n != perOrder {
			t.Errorf("order %s: %d events were delivered instead of %d", order, n, perOrder)
		}
	}
}

// sameBytes checks that every request with the same id has the same body, and that ids are events' ids.
func sameBytes(t *testing.T, requests []request) {
	t.Helper()
	bodies := map[string]string{}
	for _, r := range requests {
		if first, ok := bodies[r.ID]; ok && first != r.Body {
			t.Errorf("event %s was sent with different bodies:\n%s\n%s", r.ID, first, r.Body)
		}
		bodies[r.ID] = cmp.Or(bodies[r.ID], r.Body)
	}
}

// fill writes events straight into the log: n of them, of orders with perOrder events each that were written to in turns.
func (k *kit) fill(n, perOrder int) {
	k.t.Helper()
	_, err := k.db.Exec(`
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, 'default', 'order/ord_' || (i / ($2 * 100)) * 100 + i % 100, 1 + (i / 100) % $2, gen_random_uuid(), 'order.noted', 1,
			json_build_object('note', 'note ' || i), '{"command":"order.note"}', now(), sha256('')
		FROM generate_series(0, $1 - 1) i ORDER BY i`, n, perOrder)
	check(k.t, err)
	_, err = k.db.Exec(`ANALYZE events`)
	check(k.t, err)
}
