package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/httpapi/token"
)

// Whatever strangers send: it is never the server that fails, every answer is one of ours, and nobody sees what is another's.
func FuzzRequests(f *testing.F) {
	k := newKit(f)
	k.order("ord_1")
	k.orderIn("other", "hidden_order")
	for _, p := range waybill.Projections() {
		if err := k.engine.Rebuild(f.Context(), p.Name(), nil); err != nil {
			f.Fatal(err)
		}
	}
	other := k.newToken("other", token.Write)
	k.do(request{method: "POST", path: "/v1/workspaces/other/webhooks", body: `{"name":"hidden-name","url":"https://hidden.example.com/"}`,
		header: map[string]string{"Authorization": "Bearer " + other}})
	for _, seed := range []struct{ method, path, query, contentType, key, body string }{
		{"POST", "/v1/workspaces/acme/webhooks", "", "application/json", "", `{"name":"n","url":"https://shop.example.com/","events":["order.placed"]}`},
		{"POST", "/v1/workspaces/acme/webhooks", "", "application/json", "key-1", `{"name":"m","url":"https://shop.example.com/","active":false,"retries":["5s"],"filter":"event == 'order.placed'","rateLimit":3}`},
		{"POST", "/v1/workspaces/acme/webhooks", "", "application/json;charset=utf-8", "é", `{"name":"\u0000","url":7,"events":null,"x":{"y":[1e400]}}`},
		{"POST", "/api/webhook/endpoints", "", "", "", `{"endpoint":{"target_url":"https://example.com/","events":["order_completed"]}}`},
		{"GET", "/v1/workspaces/acme/webhooks", "limit=1&cursor=AAAA", "", "", ""},
		{"GET", "/v1/workspaces/other/webhooks", "", "", "", ""},
		{"GET", "/v1/workspaces/acme/events", "type=order.placed&after=019a0000-0000-7000-8000-000000000001", "", "", ""},
		{"GET", "/v1/workspaces/acme/orders/hidden_order", "version=1&asOf=2026-07-01T15:04:05Z", "", "", ""},
		{"GET", "/v1/workspaces/acme/orders/ord_1/diff", "from=1&to=3", "", "", ""},
		{"GET", "/v1/workspaces/acme/orders/ord_1/events", "limit=200&limit=1&cursor=%ff", "", "", ""},
		{"GET", "/v1/webhooks/events", "profile=native%00", "", "", ""},
		{"PATCH", "/v1/workspaces/acme/webhooks/wh_1", "", "application/json", "", `{"name":null}`},
		{"POST", "/v1/workspaces/acme/webhooks/wh_1/replays", "", "application/json", "", `{"since":"2026-07-01T15:04:05Z","until":null,"events":["order.placed"]}`},
		{"POST", "/v1/workspaces/acme/webhooks/wh_1/secret-rotations", "", "application/json", "", `{"secret":"x"}`},
		{"GET", "/v1/workspaces/acme/webhooks/wh_1/deliveries", "status=delivered&event=order.placed&since=2026-07-01T15:04:05Z", "", "", ""},
		{"GET", "/v1/workspaces/acme/orders", "status=placed&status=draft&email=%ff&minTotal=-1&createdSince=2026-07-01T15:04:05Z&cursor=AAAA", "", "", ""},
		{"GET", "/v1/workspaces/acme/shipments", "trackingNumber=1Z&carrier=%00&status=shipped&limit=7", "", "", ""},
		{"GET", "/v1/workspaces/acme/daily", "from=2026-07-01&to=2026-07-31&currency=USD", "", "", ""},
		{"GET", "/v1/workspaces/acme/lifecycle", "from=0001-01-01", "", "", ""},
		{"GET", "/v1/workspaces/acme/projections", "", "", "", ""},
		{"DELETE", "/v1/workspaces/acme/webhooks/\x00", "", "", "", ""},
		{"BREW", "//../healthz", "", "", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.contentType, seed.key, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, path, query, contentType, key, body string) {
		r, err := http.NewRequest(method, "http://waybill.test/", strings.NewReader(body))
		if err != nil {
			return // not a method
		}
		r.URL = &url.URL{Scheme: "http", Host: "waybill.test", Path: path, RawQuery: query}
		r.Header = http.Header{"Authorization": {"Bearer " + k.token}, "Content-Type": {contentType}, "Idempotency-Key": {key}}
		w := httptest.NewRecorder()
		k.server.Config.Handler.ServeHTTP(w, r)
		answer := w.Body.String()
		if w.Code >= 500 {
			t.Fatalf("%d %s\n%s", w.Code, answer, k.log)
		}
		if strings.Contains(answer, "hidden") && !strings.Contains(path+query+body, "hidden") {
			t.Fatalf("it shows what is another's: %s", answer)
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("not JSON: %s", answer)
		}
		if w.Code >= 400 {
			problemOf(t, response{w.Code, w.Header(), answer}, w.Code)
		}
	})
}
