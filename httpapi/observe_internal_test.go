package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A panic becomes an answer without any detail, and a line that has them all.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	a := &api{Config: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	h := a.observe(secured(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("at the abacus") })))
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the connection goes on")
			}
		}()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	}()
	const want = `{"data":null,"error":{"code":"internal","message":"something went wrong inside; the server's log says what","details":[]}}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 500 || got != want {
		t.Errorf("%d %s", w.Code, got)
	}
	if !strings.Contains(log.String(), "at the abacus") || !strings.Contains(log.String(), "observe_internal_test.go") || !strings.Contains(log.String(), "status=500") {
		t.Errorf("log: %s", &log)
	}
}
