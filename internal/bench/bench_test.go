package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/profile"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { pgtest.Main(m) }

// The scenarios themselves run, small, in the tests of cmd/waybill, where their other processes are.

func TestMarkdownGolden(t *testing.T) {
	t.Parallel()
	results := []Result{
		atLeast("rate", "commands/s", 26512.4, 24013.9, 1.5),
		atMost("mean", "µs", 333.3, 305.8, 1.6),
		atMost("p99", "ms", 9.82, 60, 1),
		atLeast("fan-out", "events/s", 2_123_456, 2_000_000, 0.9),
	}
	for i, name := range []string{"append-32", "append-1", "latency", "big-log"} {
		results[i].Scenario = name
	}
	results[0].Note = "processor time of a command: 31 µs in the program, 30 µs in PostgreSQL"
	report := Report{
		Machine: Machine{System: "linux/amd64", Processor: "Example 9000", Cores: 2, Memory: "24 GiB", Load: "0.08", Go: "go1.26.0", PostgreSQL: "15.17",
			Settings: []string{"fsync on", "synchronous_commit on"}},
		Commit: "0123456789abcdef", At: time.Date(2026, 7, 1, 10, 0, 0, 0, time.FixedZone("CEST", 7200)), Took: 443*time.Second + 7e8,
		Sizes: Full(), Command: "waybill bench --write docs/benchmarks.md", Results: results,
	}
	golden(t, "testdata/report.md", report.Markdown())

	report.Results, report.Sizes = results[1:], Quick()
	report.Machine.Memory, report.Machine.Load, report.Machine.Processor, report.Machine.Cores = "", "", "", 1
	golden(t, "testdata/report-quick.md", report.Markdown())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v) is not what comes out now; look at the difference, then -update:\n%s", path, err, got)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0.00", 0.126: "0.13", 9.82: "9.82", 94.66: "94.7", 256: "256", 999.7: "1,000", 1234567.8: "1,234,568", -1234: "-1,234"} {
		if got := Number(f); got != want {
			t.Errorf("Number(%v) = %s, want %s", f, got, want)
		}
	}
	if got := Count(7) + " " + Count(1000); got != "7 1,000" {
		t.Errorf("counts are %s", got)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		result  Result
		reached bool
		wanted  string
	}{
		{atLeast("", "", 3, 2, 1.5), true, "≥ 1.50"},
		{atLeast("", "", 2.9, 2, 1.5), false, "≥ 1.50"},
		{atMost("", "", 3.2, 2, 1.6), true, "≤ 1.60"},
		{atMost("", "", 3.3, 2, 1.6), false, "≤ 1.60"},
	} {
		if c.result.Reached != c.reached || c.result.Wanted() != c.wanted || c.result.Ratio != c.result.Value/c.result.Limit {
			t.Errorf("%+v: want reached %v, wanted %s", c.result, c.reached, c.wanted)
		}
	}
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	var order string
	measure := func(name string, values ...float64) func() (float64, error) {
		return func() (float64, error) {
			order += name
			value := values[0]
			values = values[1:]
			return value, nil
		}
	}
	limit, value, err := alternate(2, measure("L", 1, 2, 6), measure("V", 4, 6))
	if limit != 3 || value != 5 || err != nil || order != "LVLVL" {
		t.Errorf("limit %v, value %v, %v, in the order %s", limit, value, err, order)
	}
	wrong := errors.New("wrong")
	if _, _, err := alternate(1, measure("L", 1), func() (float64, error) { return 0, wrong }); err != wrong {
		t.Errorf("an error: %v", err)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for percent, want := range map[int]time.Duration{1: 1, 50: 50, 99: 99, 100: 100} {
		if got := percentile(hundred, percent); got != want {
			t.Errorf("of 1 … 100 the %dth percentile is %d", percent, got)
		}
	}
	if got := percentile([]time.Duration{7}, 99); got != 7 {
		t.Errorf("of 7 alone it is %d", got)
	}
}

// here starts a sink in this process.
func here(t *testing.T) *sink {
	t.Helper()
	stdin, end := io.Pipe()
	stdout, said := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Sink(stdin, said) }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end.Close()
		if err := <-ended; err != nil {
			t.Errorf("the sink ended with %v", err)
		}
	})
	return &sink{url: strings.TrimSpace(line), client: &http.Client{Transport: &http.Transport{}}}
}

// The sink counts what it answers, keeps the first receipt of each event, and lets those hang who are to.
func TestSink(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := here(t)
	post := func(ctx context.Context, path, id string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Webhook-Id", id)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", path, response.Status)
		}
		return nil
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(post(ctx, takes+"1", "before"))
	began := time.Now()
	must(s.tell(ctx, "/record"))
	must(post(ctx, takes+"1", "a"))
	must(post(ctx, takes+"2", "a"))
	between := time.Now()
	must(post(ctx, takes+"1", "a")) // again
	must(post(ctx, slows+"1", "b"))
	if took := time.Since(between); took < slowness {
		t.Errorf("the slow receiver took %s", took)
	}

	hanging := make(chan error)
	go func() { hanging <- post(ctx, hangs+"1", "c") }()
	for answered := false; !answered; { // whenever it has begun to hang
		must(s.tell(ctx, "/answer"))
		select {
		case err := <-hanging:
			must(err)
			answered = true
		default:
		}
	}
	impatient, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := post(impatient, hangs+"1", "d"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request that nobody lets go: %v", err)
	}

	if n, err := s.count(ctx); n != 6 || err != nil {
		t.Errorf("it has answered %d requests (%v), not 6", n, err)
	}
	must(s.until(ctx, 1, 5, func(int) {}))
	receipts, err := s.receipts(ctx)
	must(err)
	var keys []string
	for key, at := range receipts {
		keys = append(keys, key.receiver+" "+key.id)
		if at.Before(began) || key.id == "a" && at.After(between) {
			t.Errorf("%v was received at %s", key, at)
		}
	}
	slices.Sort(keys)
	if want := []string{"/hangs/1 c", "/slows/1 b", "/takes/1 a", "/takes/2 a"}; !slices.Equal(keys, want) {
		t.Errorf("receipts of %q, want %q", keys, want)
	}
	must(s.tell(ctx, "/answer-all"))
	must(post(ctx, hangs+"1", "e"))
	if err := s.tell(ctx, "/nonsense"); err == nil {
		t.Error("the sink does anything that it is told")
	}
}

// The loop sends as many as it says, and an answer that is none ends it.
func TestBareLoop(t *testing.T) {
	t.Parallel()
	s := here(t)
	messages := []profile.Message{{Body: []byte(`{"a":1}`)}, {Body: []byte(`{"b":2}`)}}
	if rate, err := bareLoop(t.Context(), s.url+takes, messages, 200); rate <= 0 || err != nil {
		t.Errorf("%v a second, %v", rate, err)
	}
	if n, err := s.count(t.Context()); n != 200 || err != nil {
		t.Errorf("the sink got %d requests, %v", n, err)
	}
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	if _, err := bareLoop(t.Context(), broken.URL, messages, 200); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("answers of 404: %v", err)
	}
}

// testRun has databases of pgtest's.
func testRun(t *testing.T) *run {
	r := &run{Config: Config{
		Database: func(context.Context) (*Database, error) {
			db := pgtest.New(t)
			return &Database{DB: db.DB, DSN: db.DSN, Drop: func() error { return nil }}, nil
		},
		Progress: func(string, int, int) {},
		Sizes:    Quick(),
	}}
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// A log that was made by copying reads as one that was lived: every order is what the one that was copied was.
func TestFill(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := testRun(t)
	s, err := r.subject(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.newLife(ctx)
	if err != nil {
		t.Fatal(err)
	}
	steps := len(l.types)
	if steps < 8 || len(l.messages) != steps || len(l.messages[steps-1].Body) < 1000 {
		t.Fatalf("a life of %d events and %d messages, the last of %d bytes", steps, len(l.messages), len(l.messages[steps-1].Body))
	}
	n := 100*steps + 150 // all of a hundred orders, and the beginning of another hundred
	if err := r.fill(ctx, s, "default", l, n); err != nil {
		t.Fatal(err)
	}

	rows, err := s.Query(`SELECT substr(stream, 7), count(*), max(version), min(version), count(DISTINCT id)
		FROM events WHERE workspace = 'default' GROUP BY stream ORDER BY stream`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	events := 0
	for rows.Next() {
		var id string
		var count, last, first, different int
		if err := rows.Scan(&id, &count, &last, &first, &different); err != nil {
			t.Fatal(err)
		}
		if count != last || first != 1 || different != count || len(id) != len(l.orderID) {
			t.Errorf("order %s has %d events, %d of them different, from version %d to %d", id, count, different, first, last)
		}
		ids = append(ids, id)
		events += count
	}
	if err := rows.Err(); err != nil || events != n || len(ids) != 200 {
		t.Fatalf("%d events of %d orders, %v", events, len(ids), err)
	}
	for version := 1; version <= steps; version++ {
		want, err := s.engine.Workspace(elsewhere).Order(ctx, l.orderID, waybill.AtVersion(version))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.engine.Order(ctx, ids[42], waybill.AtVersion(version))
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != ids[42] {
			t.Errorf("order %s calls itself %s", ids[42], got.ID)
		}
		if whole(t, got) != strings.ReplaceAll(whole(t, want), l.orderID, ids[42]) {
			t.Errorf("at version %d the copy is\n%s\nnot\n%s", version, whole(t, got), whole(t, want))
		}
	}

	if err := passLog(ctx, s); err != nil {
		t.Fatal(err)
	}
	if done, err := fannedOut(ctx, s); !done || err != nil {
		t.Errorf("the checkpoint is not at the end: %v", err)
	}
	if err := r.fill(ctx, s, "default", l, 1); err != nil {
		t.Fatal(err)
	}
	if done, err := fannedOut(ctx, s); done || err != nil {
		t.Errorf("the checkpoint is at an end that was not there yet: %v", err)
	}
}

var moments = regexp.MustCompile(`"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"`)

// whole shows an order without its times, which differ.
func whole(t *testing.T, o order.Order) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return moments.ReplaceAllString(string(text), `"then"`)
}

// A process that ends before it has said anything is reported with its last words.
func TestProcessThatFails(t *testing.T) {
	t.Parallel()
	r := testRun(t)
	r.Program = func(ctx context.Context, _ []string, arguments ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", append([]string{"-c", "echo no luck >&2; exit 3"}, arguments...)...)
	}
	_, err := r.sink(t.Context())
	if err == nil || !strings.Contains(err.Error(), SinkCommand) || !strings.Contains(err.Error(), "exit status 3: no luck") {
		t.Errorf("%v", err)
	}
}

// Processor times are those of the process and of PostgreSQL, where both are on this machine.
func TestProcessorTimes(t *testing.T) {
	t.Parallel()
	if _, ok := readStat(os.Getpid()); !ok {
		t.Skip("there is no /proc here")
	}
	db := pgtest.New(t)
	times, err := newProcessorTimes(t.Context(), db.DB)
	if err != nil {
		t.Fatal(err)
	}
	times.begin(os.Getpid())
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; { // work
		if _, err := db.Exec(`SELECT count(*) FROM generate_series(1, 10000)`); err != nil {
			t.Fatal(err)
		}
	}
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
	}
	times.end()
	if times.program <= 0 || times.postmaster != 0 && times.postgres <= 0 {
		t.Errorf("no time was spent: %+v", times)
	}
	fixed := processorTimes{program: 310 * time.Millisecond, postgres: 300 * time.Millisecond, postmaster: 1}
	if got := fixed.each("a command", "the program", 10_000); got != "processor time of a command: 31 µs in the program, 30 µs in PostgreSQL" {
		t.Error(got)
	}
	fixed.postmaster = 0
	if got := fixed.each("a command", "the program", 10_000); got != "processor time of a command: 31 µs in the program" {
		t.Error(got)
	}
	if mebibytes, ok := peakMemory(os.Getpid()); !ok || mebibytes < 1 || mebibytes > 1<<20 {
		t.Errorf("this process had %v MiB, %v", mebibytes, ok)
	}
}
