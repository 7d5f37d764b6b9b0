package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

var times = regexp.MustCompile(`20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}`)

// The demo tells its story, delivers everything once, and leaves no webhook behind.
func TestGoldenDemo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	c.now = time.Now
	r := c.run(t, "demo")
	if !strings.HasSuffix(r.stdout, "\n"+complete(t).String()+"\n") || r.status != exitOK {
		t.Errorf("exit status %d, and the story does not end as it should:\n%s%s", r.status, r.stdout, r.stderr)
	}
	r.stdout = times.ReplaceAllString(r.stdout, "<time>")
	r.golden(t, "demo", "demo")

	again := c.run(t, "demo", "-o", "json")
	var sum tally
	if err := json.Unmarshal([]byte(again.stdout), &sum); err != nil || sum != complete(t) || again.status != exitOK {
		t.Errorf("the second run: exit status %d, %q, %v", again.status, again.stdout, err)
	}
	var webhooks int
	if err := db.QueryRow(`SELECT count(*) FROM webhooks WHERE deleted_at IS NULL`).Scan(&webhooks); err != nil || webhooks != 0 {
		t.Errorf("%d webhooks are left, %v", webhooks, err)
	}
}

// The tally notices what is missing and what came twice.
func TestDemoTally(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	p := &program{environment: on(db.DSN).environment(), workspace: "default"}
	s, err := p.open(t.Context(), withoutSecrets)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	scripts, err := readScripts(demoOrders, "testdata/orders/*.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{program: p, session: s, receiver: &receiver{told: map[string][]notice{}}}
	check := func(name string, want tally, fails bool) {
		t.Helper()
		got, err := d.count(t.Context(), scripts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got != want || (d.verdict(got) != nil) != fails {
			t.Errorf("%s: %s, verdict %v; want %s, a failure: %v", name, got, d.verdict(got), want, fails)
		}
	}
	n := complete(t).Events
	check("nothing came", tally{Events: n, Missing: n}, true)
	var some string
	for _, script := range scripts {
		for r, err := range s.workspace.History(t.Context(), script.orderID) {
			if err != nil {
				t.Fatal(err)
			}
			some = r.ID.String()
			d.receiver.told[some] = []notice{{id: some}}
		}
	}
	check("all came", tally{Events: n, Deliveries: n}, false)
	d.receiver.told[some] = append(d.receiver.told[some], notice{id: some})
	check("one came twice", tally{Events: n, Deliveries: n + 1, Repeated: 1}, true)
	delete(d.receiver.told, some)
	check("one is missing", tally{Events: n, Deliveries: n - 1, Missing: 1}, true)
	d.receiver.told[some] = []notice{{id: some}}
	d.receiver.doubts = []error{context.Canceled}
	check("one is not genuine", tally{Events: n, Deliveries: n}, true)
	d.receiver.told["another"] = []notice{{id: "another"}}
	if got, err := d.count(t.Context(), scripts); err == nil {
		t.Errorf("an event that is not in the log: %s", got)
	}
}

// A demo that is interrupted stops at once, and takes its webhook along.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	env := on(db.DSN).environment()
	env.now = time.Now
	env.stdout = writerFunc(func(b []byte) (int, error) {
		if strings.Contains(string(b), "order.placed") {
			cancel()
		}
		return len(b), nil
	})
	var stderr strings.Builder
	env.stderr = &stderr
	if status := run(ctx, []string{"demo"}, env); status != exitFailed || stderr.String() != "waybill: interrupted\n" {
		t.Errorf("exit status %d, stderr %q", status, stderr.String())
	}
	var webhooks int
	if err := db.QueryRow(`SELECT count(*) FROM webhooks WHERE deleted_at IS NULL`).Scan(&webhooks); err != nil || webhooks != 0 {
		t.Errorf("%d webhooks are left, %v", webhooks, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// The receiver believes what is signed as https://www.standardwebhooks.com says, and nothing else.
func TestReceiverVerifies(t *testing.T) {
	t.Parallel()
	// The vector that the specification's libraries are tested with.
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const (
		id        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		timestamp = "1614265330"
		body      = `{"test": 2432232314}`
		signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	for signatures, want := range map[string]bool{
		signature:                           true,
		"v1,b2xk v1a,bmV3 " + signature:     true,
		"":                                  false,
		"v1,":                               false,
		strings.TrimPrefix(signature, "v1"): false,
		"v2" + strings.TrimPrefix(signature, "v1"): false,
		strings.ToLower(signature):                 false,
	} {
		if got := genuine(key, id, timestamp, []byte(body), signatures); got != want {
			t.Errorf("%q: genuine %v, want %v", signatures, got, want)
		}
	}
	if genuine(key, id, timestamp, []byte(body+" "), signature) || genuine(key[1:], id, timestamp, []byte(body), signature) ||
		genuine(key, "msg", timestamp, []byte(body), signature) || genuine(key, id, "1614265331", []byte(body), signature) {
		t.Error("another body, key, id or timestamp is taken for genuine")
	}
}

func TestReceiverAnswers(t *testing.T) {
	t.Parallel()
	r, err := listen(t.Context(), "demo-test")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	key := []byte("0123456789abcdef0123456789abcdef")
	if err := r.trust("whsec_" + base64.StdEncoding.EncodeToString(key)); err != nil {
		t.Fatal(err)
	}
	const body = `{"type":"order.placed","data":{"eventId":"e1"}}`
	for _, request := range []struct {
		name   string
		path   string
		id     string
		at     time.Time
		key    []byte
		body   string
		status int
	}{
		{"a genuine one", "/demo-test", "e1", time.Now(), key, body, http.StatusNoContent},
		{"the same again", "/demo-test", "e1", time.Now(), key, body, http.StatusNoContent},
		{"one for an earlier run", "/demo-old", "e1", time.Now(), key, body, http.StatusGone},
		{"one with another key", "/demo-test", "e1", time.Now(), key[1:], body, http.StatusUnauthorized},
		{"an old one", "/demo-test", "e1", time.Now().Add(-6 * time.Minute), key, body, http.StatusUnauthorized},
		{"one of the future", "/demo-test", "e1", time.Now().Add(6 * time.Minute), key, body, http.StatusUnauthorized},
		{"one of another event", "/demo-test", "e2", time.Now(), key, body, http.StatusUnauthorized},
		{"one without JSON", "/demo-test", "e1", time.Now(), key, "hello", http.StatusUnauthorized},
		{"one without an id", "/demo-test", "", time.Now(), key, body, http.StatusUnauthorized},
	} {
		req := httptest.NewRequest(http.MethodPost, request.path, strings.NewReader(request.body))
		timestamp := strconv.FormatInt(request.at.Unix(), 10)
		req.Header.Set("webhook-id", request.id)
		req.Header.Set("webhook-timestamp", timestamp)
		req.Header.Set("webhook-signature", signed(request.key, request.id, timestamp, request.body))
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != request.status {
			t.Errorf("%s: status %d, want %d", request.name, w.Code, request.status)
		}
	}
	if len(r.told["e1"]) != 2 || len(r.told) != 1 || len(r.doubts) != 6 {
		t.Errorf("told %v, doubts %v", r.told, r.doubts)
	}
	if n, ok := r.wait(t.Context(), "e1"); !ok || n.kind != "order.placed" {
		t.Errorf("wait: %v, %v", n, ok)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := r.wait(ended, "e2"); ok {
		t.Error("wait found what never came")
	}
}

// Every command can be written in a script, and nothing that is not a command.
func TestDecodeCommand(t *testing.T) {
	t.Parallel()
	for _, zero := range order.Commands() {
		text, err := json.Marshal(zero)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeCommand(zero.CommandName(), text)
		if err != nil {
			t.Errorf("%s: %v", zero.CommandName(), err)
			continue
		}
		if again, _ := json.Marshal(got); got.CommandName() != zero.CommandName() || string(again) != string(text) {
			t.Errorf("%s became %s %s", zero.CommandName(), got.CommandName(), again)
		}
		if _, err := decodeCommand(zero.CommandName(), []byte(`{"orderId":"ord_1","colour":"red"}`)); err == nil {
			t.Errorf("%s has a field colour", zero.CommandName())
		}
	}
	if _, err := decodeCommand("order.plaec", []byte(`{}`)); err == nil {
		t.Error("order.plaec is a command")
	}
}

// decided is what the machines make of a script.
func decided(t testing.TB, s script) (o order.Order, events int) {
	t.Helper()
	for _, a := range s.acts {
		list, err := order.Decide(o, a.command)
		if (err != nil) != a.refused {
			t.Fatalf("%s of %s: %v", a.command.CommandName(), s.orderID, err)
		}
		for _, e := range list {
			o = order.Evolve(o, e, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
			events++
		}
	}
	return o, events
}

// complete is the tally of a demo that went well.
func complete(t testing.TB) (sum tally) {
	t.Helper()
	scripts, err := readScripts(demoOrders, "testdata/orders/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		_, events := decided(t, s)
		sum.Events += events
	}
	sum.Deliveries = sum.Events
	return sum
}

// The demo's orders do what their titles say.
func TestDemoOrders(t *testing.T) {
	t.Parallel()
	scripts, err := readScripts(demoOrders, "testdata/orders/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, s := range scripts {
		o, _ := decided(t, s)
		ends = append(ends, strings.Join([]string{o.Status, o.PaymentStatus, o.FulfillmentStatus, order.FormatAmount(o.Total, o.Currency)}, " "))
	}
	want := []string{
		"approved paid fulfilled 10.63 USD", "approved paid fulfilled 73.90 EUR", "cancelled voided unfulfilled 8800 JPY",
		"cancelled refunded unfulfilled 92.00 USD", "approved free not_required 0.00 USD",
	}
	if !slices.Equal(ends, want) {
		t.Errorf("the orders end as %q, want %q", ends, want)
	}
}
