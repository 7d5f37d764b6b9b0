package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout is how long the database may take to answer before it counts as away.
const readyTimeout = 3 * time.Second

// healthOperations are for whoever runs the process, and need no token:
//
//	GET /healthz   200 while the process runs
//	GET /readyz    200 while Config.Ready returns nil, else 503
//	GET /metrics   what Config.Metrics gathers, as Prometheus reads it
//
// The reason why something is not ready stays inside: it may name hosts and users.
func (a *api) healthOperations(mux *http.ServeMux) {
	type status struct {
		Status string `json:"status"`
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, envelope[status]{Data: status{"ok"}})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := a.Ready(ctx); err != nil {
			a.Logger.WarnContext(ctx, "not ready", "error", err)
			fail(w, problem{status: http.StatusServiceUnavailable, Code: "not_ready",
				Message: "the database is away, or not migrated to this program's schema"})
			return
		}
		answer(w, http.StatusOK, envelope[status]{Data: status{"ready"}})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{}))
}
