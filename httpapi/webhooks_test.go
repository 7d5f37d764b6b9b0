package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

// receiver takes what comes to /takes, and refuses what comes elsewhere.
func receiver(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/takes" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "I am "+r.URL.Path)
	}))
	t.Cleanup(server.Close)
	return server
}

const hooks = "/v1/workspaces/acme/webhooks"

func TestUpdateWebhook(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	id := data[made](t, k.post(hooks, `{"name":"shop","url":"https://shop.example.com/","filter":"event != 'order.placed'","rateLimit":5,"retries":["5s","5m"],"ordered":false}`), 201).ID
	was := data[httpapi.Webhook](t, k.get(hooks+"/"+id), 200)
	if was.Filter == "" || was.RateLimit != 5 || fmt.Sprint(was.Retries) != "[5s 5m0s]" || was.Ordered || was.Health.State != "healthy" {
		t.Errorf("made: %+v", was)
	}
	if same := data[httpapi.Webhook](t, k.patch(hooks+"/"+id, `{}`), 200); same.Name != was.Name || fmt.Sprint(same.Retries) != "[5s 5m0s]" {
		t.Errorf("nothing changed: %+v", same)
	}
	got := data[httpapi.Webhook](t, k.patch(hooks+"/"+id,
		`{"name":"store","url":"https://store.example.com/","events":["order.placed"],"active":false,"filter":"","rateLimit":0,"retries":[],"ordered":true}`), 200)
	if got.Name != "store" || got.URL != "https://store.example.com/" || len(got.Events) != 1 || got.Active || got.Filter != "" || got.RateLimit != 0 ||
		got.Retries == nil || len(got.Retries) != 0 || !got.Ordered || !got.CreatedAt.Equal(was.CreatedAt) {
		t.Errorf("changed: %+v", got)
	}
	if r := k.patch(hooks+"/"+id, `{"retries":null}`); !strings.Contains(r.body, `"retries":null`) {
		t.Errorf("back to the profile's schedule: %s", r.body)
	}
	if got := data[httpapi.Webhook](t, k.patch(hooks+"/"+id, `{"active":true}`), 200); !got.Active || got.Name != "store" {
		t.Errorf("enabled: %+v", got)
	}
	k.webhook("taken", "https://shop.example.com/")
	for body, field := range map[string]string{
		`{"name":"taken"}`:           "name",
		`{"name":""}`:                "name",
		`{"url":"gopher://x/"}`:      "url",
		`{"events":["order.eaten"]}`: "events",
		`{"filter":"event =="}`:      "filter",
		`{"rateLimit":-1}`:           "rateLimit",
		`{"rateLimit":1000000}`:      "rateLimit",
		`{"retries":["soon"]}`:       "retries[0]",
		`{"retries":"5s"}`:           "retries",
		`{"include":["everything"]}`: "include",
		`{"profile":"chord"}`:        "profile",
		`{"secret":"whsec_x"}`:       "secret",
	} {
		r := k.patch(hooks+"/"+id, body)
		if p := problemOf(t, r, map[bool]int{true: 409, false: 422}[body == `{"name":"taken"}`]); len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v, want %s", body, p, field)
		}
	}
	problemOf(t, k.patch(hooks+"/wh_none", `{}`), 404)
}

// The answer has the form that UP42 documents.
func TestTestWebhook(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	at := receiver(t)
	takes := data[made](t, k.post(hooks, `{"name":"takes","url":"`+at.URL+`/takes","events":["order.placed","order.approved"],"active":false}`), 201)
	fails := data[made](t, k.post(hooks, `{"name":"fails","url":"`+at.URL+`/fails","events":["order.status"]}`), 201)
	for _, c := range []struct {
		id, body               string
		run, succeeded, failed int
	}{
		{takes.ID, ``, 2, 2, 0}, {takes.ID, `{}`, 2, 2, 0}, {takes.ID, `{"event":""}`, 2, 2, 0}, {takes.ID, `{"event":"order.placed"}`, 1, 1, 0}, {fails.ID, ``, 1, 0, 1},
	} {
		r := k.post(hooks+"/"+c.id+"/tests", c.body)
		got := data[delivery.TestRun](t, r, 200)
		if got.TestsRun != c.run || got.TestsSucceeded != c.succeeded || got.TestsFailed != c.failed || len(got.Tests) != c.run || got.StartedAt.IsZero() {
			t.Errorf("%q: %s", c.body, r.body)
		}
		if want := `{"data":{"startedAt":"`; !strings.HasPrefix(r.body, want) {
			t.Errorf("got %s, want %s…", r.body, want)
		}
	}
	if p := problemOf(t, k.post(hooks+"/"+takes.ID+"/tests", `{"event":"order.eaten"}`), 422); p.Details[0].Field != "event" {
		t.Errorf("%+v", p)
	}
	problemOf(t, k.post(hooks+"/wh_none/tests", ``), 404)
	var page struct{ Data []delivery.Delivery }
	decode(t, k.get(hooks+"/"+takes.ID+"/deliveries"), 200, &page)
	if len(page.Data) != 7 || !page.Data[0].Test {
		t.Errorf("the log of deliveries: %+v", page)
	}
	one := data[delivery.Delivery](t, k.get(hooks+"/"+takes.ID+"/deliveries/"+page.Data[0].Event.ID.String()), 200)
	if len(one.Attempts) != 1 || one.Attempts[0].ResponseExcerpt != "I am /takes" {
		t.Errorf("a test: %+v", one)
	}
}

// A test takes as long as its receiver, and longer than a request may be read: to net/http the client has not gone away meanwhile.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.server.Close()
	k.server = httptest.NewUnstartedServer(nil)
	config := httpapi.Server(k.handler, k.logger)
	config.ReadTimeout, config.WriteTimeout = 50*time.Millisecond, 60*time.Millisecond
	k.server.Config = config
	k.server.Start()
	t.Cleanup(k.server.Close)
	gone := make(chan error, 1)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select { // five times as long as the server lets its own clients read and write
		case <-time.After(250 * time.Millisecond):
			gone <- nil
		case <-r.Context().Done():
			gone <- context.Cause(r.Context())
		}
	}))
	t.Cleanup(slow.Close)
	id := data[made](t, k.post(hooks, `{"name":"slow","url":"`+slow.URL+`","events":["order.placed"]}`), 201).ID
	if run := data[delivery.TestRun](t, k.post(hooks+"/"+id+"/tests", `{}`), 200); run.TestsSucceeded != 1 {
		t.Errorf("%+v", run)
	}
	if err := <-gone; err != nil {
		t.Errorf("the test was given up: %v", err)
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shop := k.webhook("shop", "https://shop.example.com/")
	type rotated struct {
		Secret string    `json:"secret"`
		Until  time.Time `json:"oldSecretSignsUntil"`
	}
	got := data[rotated](t, k.post(hooks+"/"+shop.ID+"/secret-rotations", ``), 200)
	if got.Secret == shop.Secret || !strings.HasPrefix(got.Secret, "whsec_") || time.Until(got.Until) < 23*time.Hour {
		t.Errorf("%+v", got)
	}
	const own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if got := data[rotated](t, k.post(hooks+"/"+shop.ID+"/secret-rotations", `{"secret":"`+own+`"}`), 200); got.Secret != own {
		t.Errorf("%+v", got)
	}
	if p := problemOf(t, k.post(hooks+"/"+shop.ID+"/secret-rotations", `{"secret":"hunter2"}`), 422); p.Details[0].Field != "secret" || strings.Contains(p.Message, "hunter2") {
		t.Errorf("%+v", p)
	}
	problemOf(t, k.post(hooks+"/wh_none/secret-rotations", ``), 404)
	if strings.Contains(k.log.String(), "whsec_") {
		t.Error("a secret is in the log")
	}
}

// What became of deliveries, and what is sent again.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	at := receiver(t)
	shop := k.webhook("shop", at.URL+"/takes")
	k.relay()
	before := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	k.order("ord_1")
	path := hooks + "/" + shop.ID + "/deliveries"
	var page struct {
		Data       []delivery.Delivery `json:"data"`
		NextCursor *string             `json:"nextCursor"`
	}
	k.eventually("everything is delivered", func() bool {
		decode(t, k.get(path+"?status=delivered"), 200, &page)
		return len(page.Data) == 5
	})
	if page.Data[0].Event.Type != "order.placed" || page.NextCursor != nil {
		t.Errorf("%+v", page)
	}
	placed := page.Data[0].Event.ID
	d := data[delivery.Delivery](t, k.get(path+"/"+placed.String()), 200)
	if d.Status != delivery.Delivered || len(d.Attempts) != 1 || d.Attempts[0].StatusCode != 200 || d.Attempts[0].ResponseExcerpt != "I am /takes" {
		t.Errorf("%+v", d)
	}
	for query, want := range map[string]int{
		"?event=order.placed": 1, "?event=order.eaten": 0, "?since=" + before: 5, "?since=2999-01-01T00:00:00Z": 0, "?status=pending": 0, "?limit=2": 2,
	} {
		decode(t, k.get(path+query), 200, &page)
		if len(page.Data) != want {
			t.Errorf("%s: %d deliveries, want %d", query, len(page.Data), want)
		}
	}
	problemOf(t, k.get(path+"?status=lost"), 422)
	problemOf(t, k.get(path+"?since=yesterday"), 422)

	// Again.
	data[delivery.Delivery](t, k.post(path+"/"+placed.String()+"/resend", ``), 202)
	k.eventually("it is sent again", func() bool {
		return len(data[delivery.Delivery](t, k.get(path+"/"+placed.String()), 200).Attempts) == 2
	})
	type replayed struct{ Events int }
	replays := hooks + "/" + shop.ID + "/replays"
	if got := data[replayed](t, k.post(replays, `{"since":"`+before+`","countOnly":true}`), 202); got.Events != 5 {
		t.Errorf("counted %+v", got)
	}
	if got := data[replayed](t, k.post(replays, `{"since":"`+before+`","events":["order.placed","order.submitted"]}`), 202); got.Events != 2 {
		t.Errorf("replayed %+v", got)
	}
	k.eventually("it is replayed", func() bool {
		return len(data[delivery.Delivery](t, k.get(path+"/"+placed.String()), 200).Attempts) == 3
	})
	for body, field := range map[string]string{
		`{}`:               "since",
		`{"since":"soon"}`: "since",
		`{"since":"2026-07-01T00:00:00Z","until":"2026-06-01T00:00:00Z"}`: "until",
		`{"since":"2026-07-01T00:00:00Z","events":["order.eaten"]}`:       "events[0]",
	} {
		if p := problemOf(t, k.post(replays, body), 422); len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v, want %s", body, p, field)
		}
	}

	// What is not there.
	for _, id := range []string{uuid.NewString(), "x", strings.ToUpper(placed.String()), "urn:uuid:" + placed.String()} {
		problemOf(t, k.get(path+"/"+id), 404)
		problemOf(t, k.post(path+"/"+id+"/resend", ``), 404)
	}
	other := k.newToken("other", "write")
	problemOf(t, k.as(other, "/v1/workspaces/other/webhooks/"+shop.ID+"/deliveries"), 404)
	problemOf(t, k.as(other, "/v1/workspaces/other/webhooks/"+shop.ID+"/deliveries/"+placed.String()), 404)

	// Deleted, it has its past still.
	k.delete(hooks + "/" + shop.ID)
	problemOf(t, k.post(hooks+"/"+shop.ID+"/reset", ``), 404)
	problemOf(t, k.post(hooks+"/"+shop.ID+"/tests", ``), 404)
}

func TestResetWebhook(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shop := k.webhook("shop", "https://shop.example.com/")
	if _, err := k.db.Exec(`INSERT INTO circuits (webhook, state, failures, failing_since, stopped_at) SELECT number, 'open', 30, now(), now() FROM webhooks`); err != nil {
		t.Fatal(err)
	}
	if w := data[httpapi.Webhook](t, k.get(hooks+"/"+shop.ID), 200); w.Health.State != "circuit_open" || w.Health.ConsecutiveFailures != 30 || w.Health.CircuitOpenedAt == nil {
		t.Errorf("open: %+v", w)
	}
	if w := data[httpapi.Webhook](t, k.post(hooks+"/"+shop.ID+"/reset", ``), 200); w.Health.State != "healthy" || w.Health.ConsecutiveFailures != 0 {
		t.Errorf("reset: %+v", w)
	}
	problemOf(t, k.post(hooks+"/wh_none/reset", ``), 404)
}

// Each profile's events, in its own words, with what they look like.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for profile, event := range map[string]string{
		"": "order.placed", "native": "order.placed", "chord": "order_completed", "up42": "order.status", "goody": "order.created",
		"ordergroove": "order.success", "commercelayer": "orders.place",
	} {
		type eventType struct {
			Name, Description string
			Schema            map[string]any
		}
		found := false
		for _, e := range data[[]eventType](t, k.get("/v1/webhooks/events?profile="+profile), 200) {
			found = found || e.Name == event
			if e.Name == "" || e.Description == "" || len(e.Schema) == 0 {
				t.Errorf("%s: %+v", profile, e)
			}
		}
		if !found {
			t.Errorf("profile %q has no %s", profile, event)
		}
	}
}

// Who has the list already is told that it is still the same, and gets all of it otherwise.
func TestEventTypesAreTagged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	first, other := k.get("/v1/webhooks/events"), k.get("/v1/webhooks/events?profile=chord")
	tag := first.header.Get("ETag")
	if len(tag) < 10 || tag == other.header.Get("ETag") || first.header.Get("Cache-Control") != "private, no-cache" || first.header.Get("Content-Encoding") != "" {
		t.Errorf("headers %v", first.header)
	}
	for header, same := range map[string]bool{
		tag: true, "W/" + tag: true, `"other", ` + tag: true, "*": true, `"other"`: false, tag[:5]: false, other.header.Get("ETag"): false,
	} {
		r := k.do(request{method: "GET", path: "/v1/webhooks/events", header: map[string]string{"If-None-Match": header}})
		if same && (r.status != 304 || r.body != "" || r.header.Get("ETag") != tag) || !same && (r.status != 200 || r.body != first.body) {
			t.Errorf("If-None-Match: %s: %d, %d bytes, %v", header, r.status, len(r.body), r.header)
		}
	}
	for _, profile := range k.engine.Profiles() { // what is bounded by the program stays within bounds
		if n := len(k.get("/v1/webhooks/events?profile=" + profile).body); n > 1<<20 {
			t.Errorf("the events of %s take %d bytes", profile, n)
		}
	}
}

// A secret is a parameter like others: changed, the old one signs beside it; named again, nothing happens.
func TestUpdateSecret(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shop := k.webhook("shop", "https://shop.example.com/")
	rotated := func() (is bool) {
		t.Helper()
		if err := k.db.QueryRow(`SELECT secret_before IS NOT NULL FROM webhooks`).Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	if r := k.patch(hooks+"/"+shop.ID, `{"name":"store","secret":"`+shop.Secret+`"}`); r.status != 200 || strings.Contains(r.body, "whsec_") || rotated() {
		t.Errorf("the same secret: %d %s", r.status, r.body)
	}
	const own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if r := k.patch(hooks+"/"+shop.ID, `{"secret":"`+own+`"}`); r.status != 200 || strings.Contains(r.body, "whsec_") || !rotated() {
		t.Errorf("another secret: %d %s", r.status, r.body)
	}
	for _, bad := range []string{`""`, `"hunter2"`, `null`, `7`} {
		r := k.patch(hooks+"/"+shop.ID, `{"secret":`+bad+`}`)
		if bad == `null` && r.status == 200 {
			continue // the same as left out
		}
		if p := problemOf(t, r, 422); p.Details[0].Field != "secret" || strings.Contains(p.Message, "hunter2") {
			t.Errorf("%s: %+v", bad, p)
		}
	}
}

// Before a relay has ever run there is nothing to send again, which is no fault of the webhook.
func TestReplayBeforeAnyRelay(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	shop := k.webhook("shop", "https://shop.example.com/")
	for _, body := range []string{`{"since":"2026-07-01T00:00:00Z"}`, `{"since":"2026-07-01T00:00:00Z","countOnly":true}`, `{"since":"2026-07-01T00:00:00Z","failedOnly":true}`} {
		if p := problemOf(t, k.post(hooks+"/"+shop.ID+"/replays", body), 409); p.Code != "no_relay" || !strings.Contains(p.Message, "no relay has run") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	problemOf(t, k.post(hooks+"/wh_none/replays", `{"since":"2026-07-01T00:00:00Z"}`), 404)
}
