package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
)

// handler is one whose database is never asked.
func handler(t *testing.T, c httpapi.Config) http.Handler {
	t.Helper()
	k := newKit(t, func(_ *waybill.Config, config *httpapi.Config) {
		if c.Ready != nil {
			config.Ready = c.Ready
		}
		if c.Metrics != nil {
			config.Metrics = c.Metrics
		}
	})
	return k.server.Config.Handler
}

func TestHealth(t *testing.T) {
	t.Parallel()
	yes := handler(t, httpapi.Config{})
	no := handler(t, httpapi.Config{Ready: func(context.Context) error { return errors.New("dial tcp db.internal:5432: connection refused") }})
	const elsewhere = `{"data":null,"error":{"code":"not_found","message":"there is nothing at this path; GET /openapi.json lists what there is","details":[]}}`
	const onlyGet = `{"data":null,"error":{"code":"method_not_allowed","message":"this method is not possible here, but GET, HEAD","details":[]}}`
	for _, c := range []struct {
		method, path string
		handler      http.Handler
		status       int
		body         string
	}{
		{"GET", "/healthz", yes, 200, `{"data":{"status":"ok"},"error":null}`},
		{"GET", "/healthz", no, 200, `{"data":{"status":"ok"},"error":null}`},
		{"GET", "/readyz", yes, 200, `{"data":{"status":"ready"},"error":null}`},
		{"GET", "/readyz", no, 503, `{"data":null,"error":{"code":"not_ready","message":"the database is away, or not migrated to this program's schema","details":[]}}`},
		{"POST", "/healthz", yes, 405, onlyGet},
		{"POST", "/metrics", yes, 405, onlyGet},
		{"DELETE", "/readyz", yes, 405, onlyGet},
		{"GET", "/", yes, 404, elsewhere},
		{"GET", "/v2/x", yes, 404, elsewhere},
		{"TRACE", "/v2/x", yes, 404, elsewhere},
		{"PUT", "/v1/workspaces/acme/webhooks", yes, 405,
			`{"data":null,"error":{"code":"method_not_allowed","message":"this method is not possible here, but GET, HEAD, POST","details":[]}}`},
	} {
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, got, c.status, c.body)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
			w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: headers %v", c.method, c.path, w.Header())
		}
		if c.body == onlyGet && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.path, w.Header().Get("Allow"))
		}
	}
}

// Readiness does not wait for a database that hangs.
func TestReadyGivesUp(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	h := handler(t, httpapi.Config{Ready: func(ctx context.Context) error {
		_, limited := ctx.Deadline()
		asked <- limited
		return ctx.Err()
	}})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if !<-asked {
		t.Error("the check has no deadline")
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "waybill_test_total"})
	registry.MustRegister(counter)
	counter.Add(3)
	w := httptest.NewRecorder()
	handler(t, httpapi.Config{Metrics: registry}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "\nwaybill_test_total 3\n") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := httpapi.New(httpapi.Config{}); err == nil {
		t.Error("a handler of nothing")
	}
}

// A webhook's life.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const base = "/v1/workspaces/acme/webhooks"
	created := k.post(base, `{"name":"shop","url":"https://shop.example.com/hooks","events":["order.placed","order.approved"]}`)
	shop := data[made](t, created, 201)
	if !strings.HasPrefix(shop.ID, "wh_") || !strings.HasPrefix(shop.Secret, "whsec_") || !shop.Active || shop.Profile != "native" || len(shop.Events) != 2 {
		t.Errorf("created %+v", shop)
	}
	for _, r := range []response{k.get(base + "/" + shop.ID), k.get(base)} {
		if r.status != 200 || !strings.Contains(r.body, shop.ID) || strings.Contains(r.body, "secret") || strings.Contains(r.body, shop.Secret) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if r := k.delete(base + "/" + shop.ID); r.status != 204 || r.body != "" {
		t.Errorf("delete: %d %q", r.status, r.body)
	}
	for _, r := range []response{k.get(base + "/" + shop.ID), k.delete(base + "/" + shop.ID)} {
		if p := problemOf(t, r, 404); p.Code != "not_found" {
			t.Errorf("%+v", p)
		}
	}
	if strings.Contains(k.log.String(), shop.Secret) || strings.Contains(k.log.String(), k.token) {
		t.Error("a secret is in the log")
	}
}

// UP42's own request, which names no profile.
func TestWebhookAsUP42ShowsIt(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	got := data[made](t, k.post("/v1/workspaces/acme/webhooks", `{
"events": ["order.status"],
"name": "My alert for order statuses",
"url": "https://my.sample.endpoint.com/",
"secret": "QWZTFnMEXhqZKNmu",
"active": true
}`), 201)
	if got.Profile != "up42" || !got.Active || got.Secret != "QWZTFnMEXhqZKNmu" {
		t.Errorf("%+v", got)
	}
	got = data[made](t, k.post("/v1/workspaces/acme/webhooks", `{"events":["order.status"],"name":"second","url":"https://my.sample.endpoint.com/"}`), 201)
	if got.Profile != "up42" || got.Active {
		t.Errorf("without active: %+v", got)
	}
}

// Pages of a list, and cursors of other lists.
func TestPages(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	other := k.newToken("other", token.Write)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		k.webhook(name, "https://shop.example.com/"+name)
	}
	type page struct {
		Data       []made  `json:"data"`
		NextCursor *string `json:"nextCursor"`
	}
	var names, cursors []string
	for cursor := ""; ; {
		var p page
		decode(t, k.get("/v1/workspaces/acme/webhooks?limit=2&cursor="+cursor), 200, &p)
		for _, w := range p.Data {
			names = append(names, w.Name)
		}
		if p.NextCursor == nil {
			break
		}
		cursor = *p.NextCursor
		cursors = append(cursors, cursor)
	}
	if got := strings.Join(names, ""); got != "abcde" || len(cursors) != 2 {
		t.Errorf("%s on %d pages", got, len(cursors)+1)
	}
	for name, r := range map[string]response{
		"another workspace": k.as(other, "/v1/workspaces/other/webhooks?cursor="+cursors[0]),
		"another list":      k.get("/v1/workspaces/acme/events?cursor=" + cursors[0]),
		"made up":           k.get("/v1/workspaces/acme/webhooks?cursor=bm9uZQ"),
		"altered":           k.get("/v1/workspaces/acme/webhooks?cursor=" + cursors[0] + "AA"),
		"not base64":        k.get("/v1/workspaces/acme/webhooks?cursor=%00"),
	} {
		if p := problemOf(t, r, 422); len(p.Details) != 1 || p.Details[0].Field != "cursor" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// Chord's call, byte for byte but for the host and the token.
func TestChordEndpoint(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	call := request{method: "POST", path: "/api/webhook/endpoints", header: map[string]string{"Accept": "*/*"}, body: `{
       "endpoint": {
         "target_url": "https://example.com/my/webhook/endpoint",
         "events": ["order_completed", "order_cancelled"]
       }
     }`}
	var got struct {
		Endpoint struct {
			ID        string   `json:"id"`
			TargetURL string   `json:"target_url"`
			Events    []string `json:"events"`
		} `json:"endpoint"`
	}
	decode(t, k.do(call), 201, &got)
	if got.Endpoint.TargetURL != "https://example.com/my/webhook/endpoint" || len(got.Endpoint.Events) != 2 {
		t.Errorf("%+v", got)
	}
	if w := data[made](t, k.get("/v1/workspaces/acme/webhooks/"+got.Endpoint.ID), 200); w.Profile != "chord" || !w.Active {
		t.Errorf("%+v", w)
	}
	k.do(call)
	if r := k.get("/v1/workspaces/acme/webhooks"); strings.Count(r.body, `"wh_`) != 2 {
		t.Errorf("a second endpoint with the same URL: %s", r.body)
	}
	call.body = strings.Replace(call.body, "order_cancelled", "order_eaten", 1)
	if p := problemOf(t, k.do(call), 422); len(p.Details) != 1 || p.Details[0].Field != "endpoint.events" || !strings.Contains(p.Message, "endpoint.events") {
		t.Errorf("%+v", p)
	}
	call.body = `{"endpoint":{"target_url":"https://example.com/","events":[]}}`
	if p := problemOf(t, k.do(call), 422); len(p.Details) != 1 || p.Details[0].Field != "endpoint.events" {
		t.Errorf("%+v", p)
	}
}
