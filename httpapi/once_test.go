package httpapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
)

func keyed(key, body string) request {
	return request{method: "POST", path: "/v1/workspaces/acme/webhooks", body: body, header: map[string]string{"Idempotency-Key": key}}
}

// The same request under the same key gets the first answer again, whatever has become of the webhook; another request does not.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const body = `{"name":"shop","url":"https://shop.example.com/hooks"}`
	first := k.do(keyed("key-1", body))
	shop := data[made](t, first, 201)
	if again := k.do(keyed("key-1", ` {"url":"https://shop.example.com/hooks", "name":"shop"} `)); again.status != 201 || again.body != first.body {
		t.Errorf("again: %d %s, want %s", again.status, again.body, first.body)
	}
	if p := problemOf(t, k.do(keyed("key-1", strings.Replace(body, "shop", "mail", 1))), 422); p.Code != "idempotency_mismatch" {
		t.Errorf("another request: %+v", p)
	}
	chord := request{method: "POST", path: "/api/webhook/endpoints", body: `{"endpoint":{"target_url":"https://example.com/","events":["order_completed"]}}`,
		header: map[string]string{"Idempotency-Key": "key-1"}}
	if p := problemOf(t, k.do(chord), 422); p.Code != "idempotency_mismatch" {
		t.Errorf("another operation: %+v", p)
	}
	if p := problemOf(t, k.do(keyed("key-2", body)), 409); p.Code != "name_taken" {
		t.Errorf("another key: %+v", p)
	}

	// A request that was refused leaves its key free.
	if r := k.do(keyed("key-2", strings.Replace(body, "shop", "mail", 1))); r.status != 201 {
		t.Errorf("after a refusal: %d %s", r.status, r.body)
	}
	chord.header["Idempotency-Key"] = "key-3"
	if one, two := k.do(chord), k.do(chord); one.status != 201 || one.body != two.body {
		t.Errorf("Chord's: %s and %s", one.body, two.body)
	}

	// Keys are a workspace's own.
	other := keyed("key-1", body)
	other.path, other.header["Authorization"] = "/v1/workspaces/other/webhooks", "Bearer "+k.newToken("other", token.Write)
	if theirs := data[made](t, k.do(other), 201); theirs.ID == shop.ID || theirs.Secret == shop.Secret {
		t.Errorf("another workspace got %+v", theirs)
	}

	// The secret stands nowhere in clear.
	var stored string
	if err := k.db.QueryRow(`SELECT string_agg(encode(sealed, 'escape'), ' ') FROM request_keys`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, "whsec_") || strings.Contains(stored, "shop.example.com") {
		t.Errorf("stored in clear: %s", stored)
	}
	k.delete("/v1/workspaces/acme/webhooks/" + shop.ID)
	if again := k.do(keyed("key-1", body)); again.body != first.body {
		t.Errorf("after the webhook was deleted: %s", again.body)
	}
}

// Of many with one key at once, one makes the webhook, and all get the same answer.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	answers := make([]response, 12)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = k.do(keyed("key-1", `{"name":"shop","url":"https://shop.example.com/hooks"}`)) })
	}
	wg.Wait()
	for _, r := range answers {
		if r.status != 201 || r.body != answers[0].body {
			t.Errorf("%d %s, want %s", r.status, r.body, answers[0].body)
		}
	}
	var webhooks int
	if err := k.db.QueryRow(`SELECT count(*) FROM webhooks`).Scan(&webhooks); err != nil || webhooks != 1 {
		t.Errorf("%d webhooks, %v", webhooks, err)
	}
}

// Old keys are forgotten, a few with each new one.
func TestIdempotencyKeysAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := newKit(t, func(_ *waybill.Config, c *httpapi.Config) { c.Now = func() time.Time { return now } })
	if _, err := k.db.Exec(`INSERT INTO request_keys SELECT 'acme', 'old-' || n, '', $1 FROM generate_series(1, 12) n`, now.Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	left := func() (left string) {
		if err := k.db.QueryRow(`SELECT coalesce(string_agg(key, ' ' ORDER BY key), '') FROM request_keys`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left
	}
	k.do(keyed("key-1", `{"name":"a","url":"https://shop.example.com/hooks"}`))
	if got := left(); strings.Count(got, "old-") != 2 || !strings.Contains(got, "key-1") {
		t.Errorf("left: %s", got)
	}
	k.do(keyed("key-2", `{"name":"b","url":"https://shop.example.com/hooks"}`))
	if got := left(); got != "key-1 key-2" {
		t.Errorf("left: %s", got)
	}
}

// A webhook that is made under a key is noticed as soon as one that is made without: a relay that had to find out by itself would take a
// second for each.
func TestIdempotencyKeyWakesRelays(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.relay()
	owned := func(n int) func() bool {
		return func() bool {
			var leases int
			if err := k.db.QueryRow(`SELECT count(*) FROM leases`).Scan(&leases); err != nil {
				t.Fatal(err)
			}
			return leases == n
		}
	}
	k.webhook("first", "https://shop.example.com/")
	k.eventually("the relay runs", owned(1))
	const more = 12
	began := time.Now()
	for n := range more {
		k.do(keyed(fmt.Sprint("key-", n), fmt.Sprintf(`{"name":"shop %d","url":"https://shop.example.com/hooks"}`, n)))
		k.eventually("the relay has noticed", owned(n+2))
	}
	if took := time.Since(began); took > (more-3)*time.Second {
		t.Errorf("%d webhooks were noticed after %s", more, took)
	}
}
