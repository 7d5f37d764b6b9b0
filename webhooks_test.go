package waybill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// The owner of a webhook of Commerce Layer's profile is told of its trouble, through a webhook of the native one: at five failures, when
// the circuit opens at thirty, and when it is reset; each once. Everything by the public face.
func TestOwnersAreToldOfTrouble(t *testing.T) {
	t.Parallel()
	engine, db := newEngine(t, waybill.Config{MasterKey: bytes.Repeat([]byte{7}, 32), AllowTargets: loopback, AllowHTTP: true})
	ctx := t.Context()
	var well atomic.Bool
	var calls atomic.Int64
	called := make(chan struct{}, 1000)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1); !well.Load() {
			w.WriteHeader(500)
		}
		called <- struct{}{}
	}))
	defer shop.Close()
	type message struct {
		Type string
		Data struct {
			WebhookID string
			Event     struct {
				Name                string
				ConsecutiveFailures int
			}
			Webhook struct{ State string }
		}
	}
	heard := make(chan message, 100)
	owner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m message
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &m); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		heard <- m
	}))
	defer owner.Close()
	hook, _, err := engine.CreateWebhook(ctx, webhook.New{Name: "shop", URL: shop.URL, Profile: "commercelayer", Events: []string{"orders.create"},
		Retries: slices.Repeat([]webhook.Duration{webhook.Duration(time.Millisecond)}, 30)})
	require(t, err)
	_, _, err = engine.CreateWebhook(ctx, webhook.New{Name: "owner", URL: owner.URL,
		Events: []string{"webhook.failing", "webhook.circuit_opened", "webhook.reset", "webhook.recovered"}})
	require(t, err)
	relay, err := engine.Relay()
	require(t, err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- relay.Run(running) }()
	defer func() { stop(); require(t, <-ended) }()

	for _, id := range []string{"ord_1", "ord_2", "ord_3"} {
		must(t)(engine.Execute(ctx, draft(id)))
	}
	hear := func(kind, state string, failures int) {
		t.Helper()
		select {
		case m := <-heard:
			if m.Type != kind || m.Data.WebhookID != hook.ID || m.Data.Event.Name != "shop" || m.Data.Webhook.State != state || m.Data.Event.ConsecutiveFailures != failures {
				t.Fatalf("heard %+v, want %s", m, kind)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("waited in vain for %s", kind)
		}
	}
	hear("webhook.failing", "failing", 5)
	hear("webhook.circuit_opened", "circuit_open", 30)
	got, err := engine.Webhook(ctx, hook.ID)
	require(t, err)
	if got.Health.State != webhook.CircuitOpen || calls.Load() != 30 {
		t.Errorf("%d calls, health %+v", calls.Load(), got.Health)
	}
	well.Store(true)
	_, err = engine.ResetWebhook(ctx, hook.ID)
	require(t, err)
	hear("webhook.reset", "healthy", 30)
	for open := 1; open > 0; {
		require(t, db.QueryRow(`SELECT count(*) FROM deliveries`).Scan(&open))
	}
	list, _, err := engine.Deliveries(ctx, hook.ID, delivery.ListOptions{Event: "orders.create", Status: delivery.Delivered})
	require(t, err)
	if len(list) != 3 || calls.Load() != 33 {
		t.Errorf("%d are delivered after %d calls", len(list), calls.Load())
	}

	// And what else the workspace can do with a webhook.
	n, err := engine.ReplayWebhook(ctx, hook.ID, waybill.Replay{Events: []string{"orders.create"}, CountOnly: true})
	if err != nil || n != 3 {
		t.Errorf("%d would be sent again, %v", n, err)
	}
	require(t, engine.ResendDelivery(ctx, hook.ID, list[0].Event.ID))
	for n := 0; n < 34; n++ {
		<-called
	}
	run, err := engine.TestWebhook(ctx, hook.ID, "")
	if err != nil || run.TestsRun != 1 || run.TestsSucceeded != 1 || run.Tests[0].Name != "orders.create" {
		t.Errorf("%+v, %v", run, err)
	}
	name := "mall"
	if w, err := engine.UpdateWebhook(ctx, hook.ID, webhook.Update{Name: &name}); err != nil || w.Name != "mall" {
		t.Errorf("%+v, %v", w, err)
	}
	if secret, until, err := engine.RotateWebhookSecret(ctx, hook.ID, ""); err != nil || secret == "" || until.Before(time.Now().Add(23*time.Hour)) {
		t.Errorf("%s, %v", until, err)
	}
	if types, err := engine.EventTypes("commercelayer"); err != nil || len(types) < 20 {
		t.Errorf("%d event types, %v", len(types), err)
	}
	if _, err := engine.EventTypes("none"); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("an unknown profile: %v", err)
	}
	for _, m := range drain(heard) {
		t.Errorf("heard %+v besides", m)
	}
}

func drain[T any](c <-chan T) (rest []T) {
	for {
		select {
		case v := <-c:
			rest = append(rest, v)
		default:
			return rest
		}
	}
}

func require(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
}
