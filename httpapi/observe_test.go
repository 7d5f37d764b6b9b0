package httpapi_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/httpapi"
)

// A line for each request: by its route, so that no id is in it, and never with a token.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.get("/v1/workspaces/acme/webhooks/wh_1?secret=hunter2")
	k.do(request{method: "GET", path: "/v1/workspaces/acme/webhooks", header: map[string]string{"Authorization": "Bearer hunter2"}})
	k.get("/hunter2")
	k.get("/healthz")
	log := regexp.MustCompile(`time=\S+ `).ReplaceAllString(k.log.String(), "")
	log = regexp.MustCompile(`duration=\S+`).ReplaceAllString(log, "duration=…")
	log = regexp.MustCompile(`tok_\w+`).ReplaceAllString(log, "tok_…")
	want := `level=INFO msg=request method=GET route=/v1/workspaces/{workspace}/webhooks/{webhook} status=422 duration=… workspace=acme token_id=tok_…
level=INFO msg=request method=GET route=/v1/workspaces/{workspace}/webhooks status=401 duration=… workspace="" token_id=""
level=INFO msg=request method=GET route=/ status=404 duration=… workspace="" token_id=""
level=DEBUG msg=request method=GET route=/healthz status=200 duration=… workspace="" token_id=""
`
	if log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
	if strings.Contains(k.log.String(), k.token) {
		t.Error("the token is in the log")
	}
}

// What goes wrong inside is told to the operator, and not to the client.
func TestFailuresInside(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if _, err := k.db.Exec(`ALTER TABLE webhooks RENAME COLUMN url TO address`); err != nil {
		t.Fatal(err)
	}
	p := problemOf(t, k.get("/v1/workspaces/acme/webhooks"), 503)
	if strings.Contains(p.Message, "url") || strings.Contains(p.Message, "column") || p.Code != "database_schema" {
		t.Errorf("%+v", p)
	}
	if log := k.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "status=503") {
		t.Errorf("log: %s", log)
	}
}

func TestNoMasterKey(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(e *waybill.Config, c *httpapi.Config) { e.MasterKey, c.MasterKey = nil, nil })
	for _, key := range []string{"", "key-1"} {
		if p := problemOf(t, k.do(keyed(key, `{"name":"a","url":"https://shop.example.com/"}`)), 503); p.Code != "no_master_key" {
			t.Errorf("%+v", p)
		}
	}
	k.order("ord_1")
	if r := k.get("/v1/workspaces/acme/orders/ord_1"); r.status != 200 {
		t.Errorf("reading needs no key: %d %s", r.status, r.body)
	}
}
