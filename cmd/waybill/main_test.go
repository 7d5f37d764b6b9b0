package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asProgram makes this binary, when it is started by itself, the program under test.
const asProgram = "WAYBILL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Setenv(asProgram, "1")
	pgtest.Main(m)
}

// cli runs command lines in a directory and an environment of its own.
type cli struct {
	dir   string
	env   map[string]string
	stdin string
	now   func() time.Time
}

// result is what a command line came to.
type result struct {
	status         int
	stdout, stderr string
}

func (c cli) run(t testing.TB, args ...string) result {
	t.Helper()
	return c.runContext(t.Context(), args...)
}

func (c cli) runContext(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	if c.now == nil {
		c.now = time.Now
	}
	status := run(ctx, args, environment{
		stdin:  strings.NewReader(c.stdin),
		stdout: &stdout,
		stderr: &stderr,
		getenv: func(name string) string { return c.env[name] },
		now:    c.now,
		dir:    c.dir,
	})
	return result{status, stdout.String(), stderr.String()}
}

// testKey is 32 bytes.
const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// on is a cli whose database is that of the test, and which may reach receivers next door.
func on(dsn string) cli {
	return cli{now: ticking(), env: map[string]string{
		"WAYBILL_DATABASE_URL":  dsn,
		"WAYBILL_MASTER_KEY":    testKey,
		"WAYBILL_ALLOW_TARGETS": "127.0.0.0/8",
	}}
}

// ticking is a clock that goes on by a second at each look.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

// live executes the demo's orders in the workspace default.
func live(t testing.TB, db *pgtest.Database) {
	t.Helper()
	engine, err := waybill.New(db.DB, waybill.Config{Now: ticking()})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := readScripts(demoOrders, "testdata/orders/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		for _, a := range s.acts {
			_, err := engine.Execute(t.Context(), a.command, waybill.Actor(a.by))
			var refusal *domain.IllegalTransitionError
			if a.refused != asRefusal(err, &refusal) || err != nil && !a.refused {
				t.Fatalf("%s of %s: refused %v, error %v", a.command.CommandName(), s.orderID, a.refused, err)
			}
		}
	}
}

// scrubbed are what differs from run to run, and what stands for it.
var scrubbed = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "<event id>"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "<personal key                      >"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<hash>"},
	{regexp.MustCompile(`up to [0-9a-f]{12}…`), "up to <hash>…"},
	{regexp.MustCompile(`wh_[0-9a-z]{26}`), "<webhook id                 >"},
	{regexp.MustCompile(`tok_[0-9a-z]{16}`), "<token id          >"},
	{regexp.MustCompile(`wbt_[0-9a-z]{16}_[0-9a-z]{52}`), "<token>"},
	{regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{44}`), "<secret>"},
	{regexp.MustCompile(`✓ …[0-9a-f]{8} +[0-9]+\.[0-9] ms`), "✓ …<event> <latency>"},
	{regexp.MustCompile(`demo-[a-z2-7]{6}`), "demo-<name>"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]{5}`), "127.0.0.1:<port>"},
	{regexp.MustCompile(`(database  +)\S.*`), "${1}<database>"},
	{regexp.MustCompile(`"database": ".*"`), `"database": "<database>"`},
}

func scrub(text string) string {
	for _, s := range scrubbed {
		text = s.pattern.ReplaceAllString(text, s.with)
	}
	return text
}

// golden compares what a command line came to with a file.
func (r result) golden(t testing.TB, name string, args ...string) {
	t.Helper()
	got := fmt.Sprintf("$ waybill %s\n%s", strings.Join(args, " "), r.stdout)
	if r.stderr != "" {
		got += "--- stderr\n" + r.stderr
	}
	if r.status != exitOK {
		got += fmt.Sprintf("--- exit status %d\n", r.status)
	}
	got = scrub(got)
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./cmd/waybill -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was (go test ./cmd/waybill -update accepts it)\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}
