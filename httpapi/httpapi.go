// Package httpapi serves Waybill over HTTP. Every answer but that of /metrics is JSON: {"data":…,"error":null}, or
// {"data":null,"error":{"code","message","details"}} with the right status.
package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout is how long the database may take to answer before it counts as away.
const readyTimeout = 3 * time.Second

// Handler serves
//
//	GET /healthz   200 while the process runs
//	GET /readyz    200 while ready returns nil, else 503
//	GET /metrics   what metrics gathers, as Prometheus reads it
//
// The reason why something is not ready stays inside: it may name hosts and users.
func Handler(ready func(context.Context) error, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		succeed(w, status{"ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			fail(w, http.StatusServiceUnavailable, "not_ready", "the database is away, or not migrated to this program's schema")
			return
		}
		succeed(w, status{"ready"})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("/healthz", onlyGet)
	mux.HandleFunc("/readyz", onlyGet)
	mux.HandleFunc("/metrics", onlyGet)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "not_found", "there is nothing at "+r.URL.Path)
	})
	return mux
}

type status struct {
	Status string `json:"status"`
}

func onlyGet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	fail(w, http.StatusMethodNotAllowed, "method_not_allowed", r.Method+" is not possible here, GET is")
}

// reply is the envelope of every answer.
type reply struct {
	Data  any      `json:"data"`
	Error *failure `json:"error"`
}

type failure struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Details []detail `json:"details"`
}

type detail struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func succeed(w http.ResponseWriter, data any) { answer(w, http.StatusOK, reply{Data: data}) }

func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, reply{Error: &failure{Code: code, Message: message, Details: []detail{}}})
}

func answer(w http.ResponseWriter, status int, r reply) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r) // fails only where the client has gone
}
