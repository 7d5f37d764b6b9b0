package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

func signed(key []byte, id, timestamp, body string) string {
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, id+"."+timestamp+"."+body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// environment is what run gets, with output that nobody reads.
func (c cli) environment() environment {
	return environment{
		stdin: strings.NewReader(c.stdin), stdout: io.Discard, stderr: io.Discard,
		getenv: func(name string) string { return c.env[name] }, now: c.now, dir: c.dir,
	}
}

// running is a command that runs until it is stopped.
type running struct {
	lines  chan string // its stdout, line by line
	stderr *strings.Builder
	stop   func() int // ends it and returns its exit status
}

func (c cli) start(t *testing.T, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	env := c.environment()
	r := running{lines: make(chan string, 100), stderr: &strings.Builder{}}
	env.stdout = writerFunc(func(b []byte) (int, error) {
		r.lines <- string(b)
		return len(b), nil
	})
	var mu sync.Mutex // the relay and the API have each a logger of their own
	env.stderr = writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return r.stderr.Write(b)
	})
	status := make(chan int, 1)
	go func() { status <- run(ctx, args, env) }()
	r.stop = func() int {
		cancel()
		return <-status
	}
	return r
}

// What became of deliveries: taken, refused for now, refused for good, and held back.
func TestGoldenDeliveries(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	c.now = time.Now
	answered := make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"/takes": 202, "/fails": 503, "/gone": 410}[r.URL.Path]
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(status)
		io.WriteString(w, "I am\x1b[31m "+r.URL.Path)
		answered <- struct{}{}
	}))
	defer receiver.Close()
	for _, name := range []string{"takes", "fails", "gone"} {
		r := c.run(t, "webhook", "create", "--name", name, "--url", receiver.URL+"/"+name, "--events", "order.partially_refunded,order.refunded")
		if r.status != exitOK {
			t.Fatal(r.stderr)
		}
	}
	live(t, db)

	relay := c.start(t, "relay")
	for range 2 + 1 + 1 { // what comes behind the failed one of an order waits for it, and 410 stops the webhook
		select {
		case <-answered:
		case <-time.After(time.Minute):
			t.Fatalf("the relay does not deliver: %s", relay.stderr)
		}
	}
	status := relay.stop()
	if said := relay.stderr.String(); status != exitOK || strings.Count(said, "\n") != 2 || !strings.Contains(said, "a delivery was given up") ||
		!strings.Contains(said, "failures have stopped a webhook") {
		t.Errorf("relay: exit status %d, stderr %q; want it to name what it gave up and what was stopped", status, said)
	}

	id := func(webhook, event string) (id string) {
		const query = `SELECT w.id || '/' || e.id FROM webhooks w, events e WHERE w.name = $1 AND e.type = $2`
		if err := db.QueryRow(query, webhook, event).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for name, id := range map[string]string{
		"delivery-show-delivered":   id("takes", "order.partially_refunded"),
		"delivery-show-retrying":    id("fails", "order.partially_refunded"),
		"delivery-show-given-up":    id("gone", "order.partially_refunded"),
		"delivery-show-not-for-you": id("takes", "order.placed"),
	} {
		for _, format := range []string{"text", "json"} {
			args := []string{"delivery", "show", id, "-o", format}
			r := c.run(t, args...)
			for _, s := range []struct{ pattern, with string }{
				{times.String() + " UTC", "<time>"},
				{times.String() + ` +[0-9]+ ms`, "<started>     <took>"},
				{`"durationMs": [0-9]+`, `"durationMs": <ms>`},
				{`("(?:nextAttemptAt|startedAt)": )"[^"]+"`, `${1}"<time>"`},
			} {
				r.stdout = regexp.MustCompile(s.pattern).ReplaceAllString(r.stdout, s.with)
			}
			r.stdout = regexp.MustCompile(`\(UTC\) +took +outcome`).ReplaceAllString(r.stdout, "(UTC)            took  outcome") // as wide as what was slow
			r.golden(t, name+"-"+format, args...)
		}
	}
	r := c.run(t, "order", "history", "ACS-176461165")
	r.stdout = regexp.MustCompile(`next at `+times.String()).ReplaceAllString(r.stdout, "next at <time>")
	r.stdout = strings.ReplaceAll(r.stdout, "to fails blocked", "to fails pending")
	r.golden(t, "order-history-deliveries", "order", "history", "ACS-176461165")
	// Whether the relay has noticed already that this one has to wait is a matter of moments.
	heldBack := regexp.MustCompile(`^order.refunded   (blocked|pending)\n(.+\n)+\n  not tried yet\n$`)
	if r := c.run(t, "delivery", "show", id("fails", "order.refunded")); !heldBack.MatchString(r.stdout) {
		t.Errorf("held back: %s%s", r.stdout, r.stderr)
	}
}

// serve answers while it runs, says when it is not ready, and stops in good order.
func TestServe(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	c.now = time.Now
	c.env["WAYBILL_ADDR"] = "127.0.0.1:0"
	serving := c.start(t, "serve")
	var url, announced string
	for !strings.Contains(announced, "Ctrl-C") {
		select {
		case line := <-serving.lines:
			announced += line
			if found := regexp.MustCompile(`http://[0-9.:]+`).FindString(line); found != "" {
				url = found
			}
		case <-time.After(time.Minute):
			t.Fatalf("serve does not start: %s", serving.stderr)
		}
	}
	if !strings.Contains(announced, "waybill token create --scope write") {
		t.Errorf("it does not say how to get a token: %s", announced)
	}
	made := c.run(t, "token", "create", "--scope", "read")
	token := regexp.MustCompile(`wbt_\w+`).FindString(made.stdout)
	get := func(path string) string {
		t.Helper()
		request, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body)))
	}
	if got, want := get("/healthz"), `200 {"data":{"status":"ok"},"error":null}`; got != want {
		t.Errorf("/healthz: %s", got)
	}
	if got, want := get("/readyz"), `200 {"data":{"status":"ready"},"error":null}`; got != want {
		t.Errorf("/readyz: %s", got)
	}
	if got, want := get("/v1/workspaces/default/webhooks"), `200 {"data":[],"error":null,"nextCursor":null}`; got != want {
		t.Errorf("webhooks: %s", got)
	}
	if got := get("/v1/workspaces/other/webhooks"); !strings.HasPrefix(got, "403 ") {
		t.Errorf("another workspace's webhooks: %s", got)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	if got := get("/readyz"); !strings.HasPrefix(got, `503 {"data":null,"error":{"code":"not_ready"`) {
		t.Errorf("/readyz with a newer schema: %s", got)
	}
	if _, err := db.Exec(`DELETE FROM goose_db_version WHERE version_id = 99999`); err != nil {
		t.Fatal(err)
	}

	// A second one cannot have the address, and says so.
	second := on(db.DSN)
	second.env["WAYBILL_ADDR"] = strings.TrimPrefix(url, "http://")
	if r := second.run(t, "serve"); r.status != exitFailed || !strings.Contains(r.stderr, "WAYBILL_ADDR chooses another address") {
		t.Errorf("a second one: exit status %d, stderr %q", r.status, r.stderr)
	}

	if status := serving.stop(); status != exitOK {
		t.Errorf("exit status %d", status)
	}
	var messages []string
	for _, line := range regexp.MustCompile(`msg=("[^"]+"|\w+)( method=\w+ route=\S+ status=\d+)?`).FindAllString(serving.stderr.String(), -1) {
		messages = append(messages, strings.TrimPrefix(line, "msg="))
	}
	if got, want := strings.Join(messages, "; "), `request method=GET route=/v1/workspaces/{workspace}/webhooks status=200; `+
		`request method=GET route=/v1/workspaces/{workspace}/webhooks status=403; "not ready"`; got != want {
		t.Errorf("log: %s", serving.stderr)
	}
	if connection, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second); err == nil {
		connection.Close()
		t.Error("it still listens")
	}
}
