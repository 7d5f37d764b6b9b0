package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/waybill-dev/waybill/httpapi/token"
)

// observation is what the log line of a request gets to know on the way.
type observation struct {
	workspace string
	tokenID   string
}

type observationKey struct{}

// observed returns the request's observation, or one that nobody reads.
func observed(ctx context.Context) *observation {
	if o, ok := ctx.Value(observationKey{}).(*observation); ok {
		return o
	}
	return &observation{}
}

// token notes whose request it is; of the token it keeps the id, which opens nothing.
func (o *observation) token(t token.Token) { o.workspace, o.tokenID = t.Workspace, t.ID }

// observe writes a line for each request, and makes of a panic an answer with status 500.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		o := &observation{}
		r = r.WithContext(context.WithValue(r.Context(), observationKey{}, o))
		out := &statusWriter{ResponseWriter: w}
		defer func() {
			recovered := recover()
			if recovered != nil && recovered != http.ErrAbortHandler {
				a.Logger.ErrorContext(r.Context(), "a request panicked", "method", r.Method, "route", route(r), "panic", recovered,
					"stack", string(debug.Stack()))
				if out.status == 0 {
					fail(out, problem{status: http.StatusInternalServerError, Code: "internal",
						Message: "something went wrong inside; the server's log says what"})
				}
			}
			a.Logger.LogAttrs(r.Context(), level(r, out.status), "request",
				slog.String("method", r.Method), slog.String("route", route(r)), slog.Int("status", out.status),
				slog.Duration("duration", time.Since(began)), slog.String("workspace", o.workspace), slog.String("token_id", o.tokenID))
			if recovered != nil {
				panic(http.ErrAbortHandler) // whatever was written: the connection is not to be trusted any more
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// route is the pattern that a request came in by, without the method: paths themselves hold ids, and whatever strangers try.
func route(r *http.Request) string {
	for i, c := range r.Pattern {
		if c == '/' {
			return r.Pattern[i:]
		}
	}
	return r.Pattern
}

// level keeps the lines of those who ask all the time apart from those that tell something.
func level(r *http.Request, status int) slog.Level {
	switch {
	case r.Pattern == "GET /healthz", r.Pattern == "GET /readyz", r.Pattern == "GET /metrics":
		return slog.LevelDebug
	case status >= 500:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// statusWriter remembers the status of the answer; 0 means that there is none yet.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is how [http.ResponseController] finds the deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// secured sets what browsers need to hear; answers are for programs, and nothing in them is to be kept, embedded or run.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
