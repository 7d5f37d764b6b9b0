package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/bench"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

// A tiny run of everything, with its other processes: it prints an object for each figure, writes the page, says nothing else, and leaves
// nothing behind.
func TestBench(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	c := on(db.DSN)
	c.now = time.Now
	page := filepath.Join(t.TempDir(), "page.md")
	r := c.run(t, "bench", "--database", db.DSN, "--quick", "--seconds", "0.1", "--events", "300", "--log", "1000", "--backlog", "500", "--write", page, "-o", "json")
	if needsPgbench(t, r) {
		return
	}
	if r.status != exitOK || r.stderr != "" {
		t.Fatalf("exit status %d, stderr %q", r.status, r.stderr)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(r.stdout) {
		var m bench.Result
		if err := decodeStrictly([]byte(line), &m); err != nil || m.Value <= 0 || m.Limit <= 0 || m.Ratio != m.Value/m.Limit || m.Goal <= 0 || m.Unit == "" {
			t.Errorf("%s: %+v, %v", line, m, err)
		}
		got = append(got, m.Scenario+" "+m.Measure)
		if row := fmt.Sprintf("| %s | %s | %s |", m.Scenario, m.Measure, m.Figure(m.Value)); !strings.Contains(string(text), row) {
			t.Errorf("the page has no row %s:\n%s", row, text)
		}
	}
	want := "append-32 rate, append-8 rate, append-1 mean, deliver-1 rate, deliver-100 rate, steady rate, steady-2kB rate, latency p50, latency p99, hanging p99, " +
		"slow rate, big-log append, big-log fan-out, backlog append, backlog fan-out"
	if _, err := os.Stat("/proc/self/status"); err == nil {
		want += ", backlog relay memory, rebuild rate, rebuild memory"
	} else {
		want += ", rebuild rate"
	}
	if strings.Join(got, ", ") != want {
		t.Errorf("measured %q, want %s", got, want)
	}
	if want := "Written by `waybill bench --quick --seconds 0.1 --events 300 --log 1000 --backlog 500 --write " + page + "`"; !strings.Contains(string(text), want) {
		t.Errorf("the page lacks %q:\n%s", want, text)
	}
	var left int
	if err := db.QueryRow(`SELECT count(*) FROM pg_database WHERE datname LIKE 'waybill\_bench\_%'`).Scan(&left); err != nil || left > 0 {
		t.Errorf("%d scratch databases are left, %v", left, err)
	}
}

// needsPgbench says whether the command failed because there is none on this machine, which it has to say.
func needsPgbench(t *testing.T, r result) bool {
	t.Helper()
	return r.status == exitFailed && strings.Contains(r.stderr, "found no program pgbench")
}

// A page that cannot be written is found out at once, and before a database is needed.
func TestBenchPageCannotBeWritten(t *testing.T) {
	t.Parallel()
	c := cli{dir: "/nonexistent", env: map[string]string{}}
	r := c.run(t, "bench", "--write", "/nonexistent/page.md")
	if r.status != exitFailed || !strings.Contains(r.stderr, "/nonexistent/page.md: no such file or directory") {
		t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
	}
}

// What a run looks like, to people and to programs.
func TestGoldenBench(t *testing.T) {
	t.Parallel()
	results := []bench.Result{
		{Scenario: "append-32", Measure: "rate", Value: 26512.4, Unit: "commands/s", Limit: 24013.9, Ratio: 1.104, Goal: 1.5,
			Note: "processor time of a command: 31 µs in the program, 30 µs in PostgreSQL"},
		{Scenario: "deliver-100", Measure: "rate", Value: 123456.7, Unit: "deliveries/s", Limit: 200000, Ratio: 0.617, Goal: 0.45, Reached: true},
		{Scenario: "latency", Measure: "p99", Value: 9.82, Unit: "ms", Limit: 60, Ratio: 0.164, Goal: 1, AtMost: true, Reached: true},
		{Scenario: "backlog", Measure: "relay memory", Value: 94.66, Unit: "MiB", Limit: 256, Ratio: 0.37, Goal: 1, AtMost: true, Reached: true},
	}
	for _, format := range []string{outputText, outputJSON} {
		var stdout bytes.Buffer
		p := &program{environment: environment{stdout: &stdout}, output: choice{value: format}}
		if format == outputText {
			p.printBenchHeader()
		}
		for _, r := range results {
			if err := p.printResult(r); err != nil {
				t.Fatal(err)
			}
		}
		result{stdout: stdout.String()}.golden(t, "bench-"+format, "bench", "-o", format)
	}
}

func TestSelectScenarios(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"":                              strings.Join(scenarioNames(), " "),
		"slow":                          "slow",
		"backlog append-1 slow backlog": "append-1 slow backlog",
	} {
		selected, err := selectScenarios(strings.Fields(words))
		var got []string
		for _, s := range selected {
			got = append(got, s.Name)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q selects %q (%v), want %s", words, got, err, want)
		}
	}
}

// Progress is one line on a terminal, a line for each thing elsewhere, and nothing to programs.
func TestBenchProgress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		terminal, silent bool
		want             string
	}{
		"elsewhere": {want: "1 of 2  slow: filling the log\n1 of 2  slow: delivering\n2 of 2  latency: delivering\n"},
		"programs":  {silent: true},
		"terminal": {terminal: true, want: "\r\x1b[K1 of 2  slow: filling the log" +
			"\r\x1b[K1 of 2  slow: filling the log, 1,000 of 4,000, 9s left" +
			"\r\x1b[K1 of 2  slow: delivering, 7 of 4,000" +
			"\r\x1b[K\r\x1b[K2 of 2  latency: delivering\r\x1b[K"},
	} {
		var out bytes.Buffer
		now := time.Unix(0, 0)
		b := &benchProgress{out: &out, terminal: c.terminal, silent: c.silent, count: 2, now: func() time.Time { return now }}
		b.next("slow")
		b.say("filling the log", 0, 4000)
		now = now.Add(progressPause - 1)
		b.say("filling the log", 10, 4000) // too soon to be read
		now = now.Add(3*time.Second - progressPause + 1)
		b.say("filling the log", 1000, 4000)
		b.say("delivering", 7, 4000)
		b.clear()
		b.next("latency")
		b.say("delivering", 0, 0)
		b.clear()
		b.clear() // there is nothing to clear
		if out.String() != c.want {
			t.Errorf("%s: %q, want %q", name, &out, c.want)
		}
	}
}
