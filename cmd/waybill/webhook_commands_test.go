package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

// A webhook is looked at, changed, tried out and mended.
func TestGoldenWebhookCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "I am "+r.URL.Path)
	}))
	defer receiver.Close()
	step := func(name, line string) {
		t.Helper()
		args := strings.Fields(line)
		r := c.run(t, args...)
		for _, s := range []struct{ pattern, with string }{
			{` +[0-9]+ ms`, "  <ms> ms"},
			{`outcome +took`, "outcome  took"},
			{`"latencyMs": [0-9]+`, `"latencyMs": <ms>`},
		} {
			r.stdout = regexp.MustCompile(s.pattern).ReplaceAllString(r.stdout, s.with)
		}
		r.golden(t, "webhook/"+name, args...)
	}
	id := func(name string) (id string) {
		t.Helper()
		if err := db.QueryRow(`SELECT id FROM webhooks WHERE name = $1`, name).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}

	step("create-all", "webhook create --name shop --url "+receiver.URL+"/takes --events order.placed,order.approved --filter event!='order.approved' --rate-limit 5 --retries 5s,5m --inactive")
	step("create-chord", "webhook create --name chord --url "+receiver.URL+"/fails --profile chord --events order_completed")
	step("create-bad-profile", "webhook create --name x --url "+receiver.URL+" --profile up43")
	step("create-bad-filter", "webhook create --name x --url "+receiver.URL+" --filter event==")
	step("create-bad-retries", "webhook create --name x --url "+receiver.URL+" --retries soon")
	step("show", "webhook show "+id("shop"))
	step("show-json", "webhook show "+id("shop")+" -o json")
	step("show-elsewhere", "webhook show --workspace other "+id("shop"))
	step("enable", "webhook enable "+id("shop"))
	step("disable", "webhook disable "+id("shop")+" -o json")
	step("update", "webhook update "+id("shop")+" --name store --profile-retries --rate-limit 0 --filter= --ordered=false")
	step("update-nothing", "webhook update "+id("store"))
	step("update-both", "webhook update "+id("store")+" --retries none --profile-retries")
	step("update-taken", "webhook update "+id("store")+" --name chord")
	step("update-bad-url", "webhook update "+id("store")+" --url gopher://x/")
	step("update-none", "webhook update wh_none --name x")
	step("test", "webhook test "+id("store"))
	step("test-json", "webhook test "+id("store")+" --event order.placed -o json")
	step("test-failed", "webhook test "+id("chord"))
	step("test-unknown-event", "webhook test "+id("store")+" --event order.eaten")
	step("rotate-secret", "webhook rotate-secret "+id("store"))
	step("rotate-secret-bad", "webhook rotate-secret "+id("store")+" --secret hunter2")
	step("reset", "webhook reset "+id("chord")+" -o json")
	step("reset-none", "webhook reset wh_none")
	step("deliveries-bad-limit", "webhook deliveries "+id("store")+" --limit 1000")
	step("deliveries-bad-cursor", "webhook deliveries "+id("store")+" --cursor x")
	step("deliveries-none", "webhook deliveries "+id("store")+" --status pending")
	step("deliveries-json", "webhook deliveries "+id("chord")+" --status pending -o json")
	step("replay-no-relay", "webhook replay "+id("store")+" --since 2026-07-01T00:00:00Z")
	// As if a relay had been here: where it has come to is where replays end.
	if _, err := db.Exec(`INSERT INTO checkpoints (consumer) VALUES ($1)`, delivery.Consumer); err != nil {
		t.Fatal(err)
	}
	step("replay-none", "webhook replay "+id("store")+" --since 2026-07-01T00:00:00Z")
	step("replay-count", "webhook replay "+id("store")+" --since 2026-07-01T00:00:00Z --count --failed-only -o json")
	step("replay-no-since", "webhook replay "+id("store"))
	step("replay-backwards", "webhook replay "+id("store")+" --since 2026-07-01T00:00:00Z --until 2026-06-01T00:00:00Z")
	step("resend-none", "delivery resend "+id("store")+"/01981f5c-7d2e-7b3c-9a4b-e1f2a3b4c5d6")
	if r := c.run(t, "webhook", "deliveries", id("chord")); r.status != exitOK || !strings.Contains(r.stdout, "a test") || !strings.Contains(r.stdout, "order_completed") {
		t.Errorf("deliveries: %s%s", r.stdout, r.stderr)
	}
}

// A webhook can name every event that `event-types` lists for its profile, and what stands for one.
func TestWebhookCreateTakesEveryEvent(t *testing.T) {
	t.Parallel()
	c := on(pgtest.New(t).DSN)
	for _, name := range profileNames() {
		var listed []struct{ Name string }
		r := c.run(t, "event-types", "--profile", name, "-o", "json")
		if err := json.Unmarshal([]byte(r.stdout), &listed); err != nil || len(listed) == 0 {
			t.Fatalf("%s: %v, %s", name, err, r.stderr)
		}
		events := map[string][]string{"chord": {"shipping_delivery_status_updated"}, "ordergroove": {"subscription.created"}}[name]
		for _, e := range listed {
			events = append(events, e.Name)
		}
		r = c.run(t, "webhook", "create", "--name", name, "--url", "https://shop.example.com/", "--profile", name, "--events", strings.Join(events, ","), "-o", "json")
		var made struct{ Events []string }
		if err := json.Unmarshal([]byte(r.stdout), &made); err != nil || r.status != exitOK || len(made.Events) != len(events) {
			t.Errorf("%s: took %d of %d events: %s", name, len(made.Events), len(events), r.stderr)
		}
	}
}
