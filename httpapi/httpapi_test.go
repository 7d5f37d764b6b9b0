package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/httpapi"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	yes := func(context.Context) error { return nil }
	no := func(context.Context) error { return errors.New("dial tcp db.internal:5432: connection refused") }
	for _, c := range []struct {
		method, path string
		ready        func(context.Context) error
		status       int
		body         string
	}{
		{"GET", "/healthz", yes, 200, `{"data":{"status":"ok"},"error":null}`},
		{"GET", "/healthz", no, 200, `{"data":{"status":"ok"},"error":null}`},
		{"GET", "/readyz", yes, 200, `{"data":{"status":"ready"},"error":null}`},
		{"GET", "/readyz", no, 503, `{"data":null,"error":{"code":"not_ready","message":"the database is away, or not migrated to this program's schema","details":[]}}`},
		{"POST", "/healthz", yes, 405, `{"data":null,"error":{"code":"method_not_allowed","message":"POST is not possible here, GET is","details":[]}}`},
		{"POST", "/metrics", yes, 405, `{"data":null,"error":{"code":"method_not_allowed","message":"POST is not possible here, GET is","details":[]}}`},
		{"DELETE", "/readyz", yes, 405, `{"data":null,"error":{"code":"method_not_allowed","message":"DELETE is not possible here, GET is","details":[]}}`},
		{"GET", "/", yes, 404, `{"data":null,"error":{"code":"not_found","message":"there is nothing at /","details":[]}}`},
		{"GET", "/v2/x", yes, 404, `{"data":null,"error":{"code":"not_found","message":"there is nothing at /v2/x","details":[]}}`},
	} {
		w := httptest.NewRecorder()
		httpapi.Handler(c.ready, prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, got, c.status, c.body)
		}
		if w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: Content-Type %q", c.method, c.path, w.Header().Get("Content-Type"))
		}
		if c.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.path, w.Header().Get("Allow"))
		}
	}
}

// Readiness does not wait for a database that hangs.
func TestReadyGivesUp(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	ready := func(ctx context.Context) error {
		_, limited := ctx.Deadline()
		asked <- limited
		return ctx.Err()
	}
	httpapi.Handler(ready, prometheus.NewRegistry()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/readyz", nil))
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
	httpapi.Handler(nil, registry).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "\nwaybill_test_total 3\n") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
