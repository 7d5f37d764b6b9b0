package waybill_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/inbox"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// From a command to a receiver that processes each event in its own transaction, exactly once: everything together, by the public
// face only.
func TestFromCommandToReceiver(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	engine, db := newEngine(t, waybill.Config{
		MasterKey: bytes.Repeat([]byte{7}, 32), AllowTargets: loopback, AllowHTTP: true, Metrics: registry,
	})
	if _, err := db.Exec(`CREATE TABLE received (n serial, body json)`); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var box *inbox.Box
	got := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := box.Handler(func(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO received (body) VALUES ($1)`, string(m.Body))
			return err
		})
		mu.Unlock()
		handler.ServeHTTP(w, r)
		got <- struct{}{}
	}))
	defer server.Close()

	ctx := t.Context()
	must(t)(engine.Execute(ctx, draft("before"))) // nobody is told of what was before the webhook
	hook, secret, err := engine.CreateWebhook(ctx, webhook.New{Name: "mine", URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	box, err = inbox.New(db, inbox.Config{Secrets: []string{secret.Reveal()}})
	mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := box.CreateTable(ctx); err != nil {
		t.Fatal(err)
	}

	relay, err := engine.Relay()
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- relay.Run(running) }()
	toPlaced(t, engine, "ord_1")
	for range 5 {
		<-got
	}
	stop()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}

	rows, err := db.Query(`SELECT body FROM received ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var story []string
	for rows.Next() {
		var body struct {
			Type string
			Data struct {
				OrderID string
				Version int
				Order   order.Order
			}
		}
		var text []byte
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		then, err := engine.Order(ctx, "ord_1", waybill.AtVersion(body.Data.Version))
		if err != nil {
			t.Fatal(err)
		}
		if asJSON(t, body.Data.Order) != asJSON(t, then) {
			t.Errorf("%s shows the order as\n%s\nit was\n%s", body.Type, asJSON(t, body.Data.Order), asJSON(t, then))
		}
		story = append(story, body.Type)
	}
	if got := strings.Join(story, " "); got != "order.created order.submitted payment.authorized order.authorized order.placed" {
		t.Errorf("the receiver processed %s", got)
	}

	if page, next, err := engine.Webhooks(ctx, "", 10); err != nil || len(page) != 1 || page[0].ID != hook.ID || next != "" {
		t.Errorf("webhooks are %+v, %q, %v", page, next, err)
	}
	if _, err := engine.Workspace("other").Webhook(ctx, hook.ID); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("another workspace sees the webhook: %v", err)
	}
	if err := engine.DeleteWebhook(ctx, hook.ID); err != nil {
		t.Error(err)
	}
	if _, err := engine.Webhook(ctx, hook.ID); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("a deleted webhook: %v", err)
	}

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			switch {
			case m.Counter != nil:
				counted[name] = m.Counter.GetValue()
			case m.Gauge != nil:
				counted[name] = m.Gauge.GetValue()
			default:
				counted[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	for name, want := range map[string]float64{
		"waybill_events_appended_total": 6, "waybill_attempts_total delivered": 5, "waybill_attempts_total failed": 0, "waybill_attempts_total given_up": 0,
		"waybill_delivery_latency_seconds": 5, "waybill_attempt_seconds": 5, "waybill_attempts_under_way": 0, "waybill_webhooks_owned": 0,
		"waybill_deliveries_in_memory": 0, "waybill_consumer_lag_events deliveries": 0, "waybill_consumer_lag_seconds deliveries": 0,
		"waybill_deliveries_open": 0,
	} {
		if got, ok := counted[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
}

func TestWebhooksNeedAMasterKey(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{})
	if _, err := engine.Relay(); !errors.Is(err, waybill.ErrNoMasterKey) {
		t.Errorf("a relay without a master key: %v", err)
	}
	if _, _, err := engine.CreateWebhook(t.Context(), webhook.New{Name: "mine", URL: "https://example.com"}); !errors.Is(err, waybill.ErrNoMasterKey) {
		t.Errorf("a webhook without a master key: %v", err)
	}
}
