package chaos

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// What a run has found: while the retries that are due are being read, one of them is under way, succeeds and is recorded. What was
// read of it is stale then, and must not be sent. The reading is held up where it asks for the order's history.
func TestStaleRetryIsNotSentAgain(t *testing.T) {
	for name, unordered := range map[string]bool{"ordered": false, "unordered": true} {
		t.Run(name, func(t *testing.T) { staleRetry(t, unordered) })
	}
}

func staleRetry(t *testing.T, unordered bool) {
	db := pgtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	await := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
	first, second := order.Update{OrderID: "first", Number: new(string)}, order.Update{OrderID: "second", Number: new(string)}
	*first.Number, *second.Number = "1", "2"

	var (
		mu               sync.Mutex
		ids              []string // of events, in the order in which they first came
		times            = map[string]int{}
		armed            bool
		underWay         = make(chan struct{}) // the retry of the first event
		answer           = make(chan struct{}) // to it
		reading, readOn  = make(chan struct{}), make(chan struct{})
		secondIsAccepted = make(chan struct{})
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		id := r.Header.Get("webhook-id")
		if times[id]++; times[id] == 1 {
			ids = append(ids, id)
			armed = len(ids) == 2
			w.WriteHeader(http.StatusInternalServerError)
			mu.Unlock()
			return
		}
		isFirst, n := id == ids[0], times[id]
		mu.Unlock()
		switch {
		case isFirst && n == 2:
			close(underWay)
			<-answer
		case !isFirst && n == 2:
			close(secondIsAccepted)
		}
	}))
	defer server.Close()

	engine, err := waybill.New(db.DB, waybill.Config{MasterKey: make([]byte, 32), AllowHTTP: true})
	must(err)
	_, _, err = engine.CreateWebhook(ctx, webhook.New{Name: "w", URL: server.URL, Events: []string{"order.updated"}, Unordered: unordered})
	must(err)
	for _, id := range []string{"first", "second"} {
		_, err := engine.Execute(ctx, order.Create{OrderID: id, Currency: "USD"})
		must(err)
	}

	sealer, err := webhook.NewSealer(make([]byte, 32))
	must(err)
	history := func(ctx context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
		mu.Lock()
		held := armed
		armed = false
		mu.Unlock()
		if held {
			close(reading)
			<-readOn
		}
		return eventstore.New(db.DB).StreamsAt(ctx, at)
	}
	relay, err := outbox.New(outbox.Config{
		DB: db.DB, Aggregates: aggregates, History: history, Sealer: sealer, Profiles: hastyButPatient(), AllowTargets: []netip.Prefix{loopback},
		Logger: slog.New(slog.DiscardHandler), Limits: delivery.Limits{States: 1, PollInterval: 5 * time.Millisecond},
	})
	must(err)
	running, stop := context.WithCancel(ctx)
	var run sync.WaitGroup
	run.Go(func() { _ = relay.Run(running) })
	defer run.Wait()
	defer stop()

	_, err = engine.Execute(ctx, first)
	must(err)
	await("the first event is tried again", underWay)
	_, err = engine.Execute(ctx, second)
	must(err)
	await("the retries are read", reading)
	close(answer)
	// An ordered webhook's success is not recorded before the reading is over, which is right; so wait for a while only.
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && delivered(t, db.DB) < 1; {
		wait(ctx, 5*time.Millisecond)
	}
	wait(ctx, 50*time.Millisecond) // until the queue knows, too
	close(readOn)
	await("the second event is accepted", secondIsAccepted)
	for ; delivered(t, db.DB) < 2; wait(ctx, 5*time.Millisecond) {
		must(ctx.Err())
	}
	mu.Lock()
	defer mu.Unlock()
	if n := times[ids[0]]; n != 2 {
		t.Errorf("the first event was sent %d times, although the second attempt succeeded and was recorded", n)
	}
}

func delivered(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(`SELECT count(*) FROM attempts WHERE outcome = 'delivered'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
