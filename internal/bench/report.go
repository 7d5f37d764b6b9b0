package bench

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Machine is what a run took place on. What is not known is empty.
type Machine struct {
	System    string // operating system and architecture
	Processor string
	Cores     int
	Memory    string
	Load      string // processes that wanted to run, on average over the minute before: what else the machine did
	Go        string
	// Of the server.
	PostgreSQL string
	Settings   []string // such as "fsync on", those that change figures
}

// settings are those of PostgreSQL that change figures.
var settings = []string{"fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size"}

// Describe looks at the machine and the server.
func Describe(ctx context.Context, db *sql.DB) (Machine, error) {
	m := Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), Processor: procValue("cpuinfo", "model name")}
	if kib, err := strconv.ParseFloat(strings.TrimSuffix(procValue("meminfo", "MemTotal"), " kB"), 64); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", kib/(1<<20))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_version')`).Scan(&m.PostgreSQL); err != nil {
		return m, err
	}
	for _, name := range settings {
		var value string
		if err := db.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return m, err
		}
		m.Settings = append(m.Settings, name+" "+value)
	}
	return m, nil
}

// procValue is the first value of that name in a file of /proc, or nothing.
func procValue(file, name string) string {
	text, _ := os.ReadFile("/proc/" + file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Report is a whole run.
type Report struct {
	Machine Machine
	Commit  string
	At      time.Time
	Took    time.Duration
	Sizes   Sizes
	Command string // that makes such a report
	Results []Result
}

// Number shows a figure with as many digits as mean something.
func Number(f float64) string {
	digits := 2
	switch size := math.Abs(f); {
	case math.IsInf(f, 0) || math.IsNaN(f):
		return "–"
	case size >= 100:
		digits = 0
	case size >= 10:
		digits = 1
	}
	return grouped(strconv.FormatFloat(f, 'f', digits, 64))
}

// Count shows a number of things.
func Count(n int) string { return grouped(strconv.Itoa(n)) }

// grouped sets commas between thousands.
func grouped(text string) string {
	whole, _, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Figure is the value or the limit with its unit.
func (r Result) Figure(f float64) string { return Number(f) + " " + r.Unit }

// Wanted is the goal for the ratio.
func (r Result) Wanted() string {
	if r.AtMost {
		return fmt.Sprintf("≤ %.2f", r.Goal)
	}
	return fmt.Sprintf("≥ %.2f", r.Goal)
}

// Verdict says whether the goal was reached.
func (r Result) Verdict() string {
	if r.Reached {
		return "reached"
	}
	return "missed"
}

// Markdown is the report as a page.
func (r Report) Markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	say("# Benchmarks\n\nWritten by `%s`; do not edit. Each figure stands beside its limit: what the same machine does in the same minutes when it\n", r.Command)
	say("does as little as possible to the same end. Rates depend on the machine and on its day, and machines are noisy: one that does\n")
	say("something else meanwhile does so at the cost of both. So compare ratios, and those of several runs.\n\n")

	missed := 0
	for _, result := range r.Results {
		if !result.Reached {
			missed++
		}
	}
	switch missed {
	case 0:
		say("All %d goals were reached.\n\n", len(r.Results))
	default:
		say("Of %d goals %d were missed.\n\n", len(r.Results), missed)
	}
	say("| scenario | | value | limit | ratio | goal | |\n|---|---|--:|--:|--:|--:|---|\n")
	for _, result := range r.Results {
		verdict := result.Verdict()
		if !result.Reached {
			verdict = "**" + verdict + "**"
		}
		say("| %s | %s | %s | %s | %.2f | %s | %s |\n", result.Scenario, result.Measure, result.Figure(result.Value), result.Figure(result.Limit),
			result.Ratio, result.Wanted(), verdict)
	}

	say("\n## What is measured\n\n| scenario | what | beside |\n|---|---|---|\n")
	for _, scenario := range Scenarios() {
		say("| %s | %s | %s |\n", scenario.Name, scenario.What, scenario.Limit)
	}
	s := r.Sizes
	say("\nOf this run: every rate over %s, what has to settle over %s, scenario and limit in turns (%s, the limit first and last); %s\n",
		s.Measure, s.Live, counted(s.Rounds, "round"), Count(s.Deliveries))
	say("deliveries (%s to the slow receiver), %s events to fan out, %s events in the large log, %s deliveries in the backlog.\n",
		Count(s.Slow), Count(s.FanOut), Count(s.Log), Count(s.Backlog))
	if s.Live < 15*time.Second {
		say("That is too short for requests to run into their deadline of 15 s: `hanging` shows receivers that occupy senders only.\n")
	}

	if slices.ContainsFunc(r.Results, func(result Result) bool { return result.Note != "" }) {
		say("\n## Where the time goes\n\n")
		for _, result := range r.Results {
			if result.Note != "" {
				say("- %s: %s\n", result.Scenario, result.Note)
			}
		}
	}

	say("\n## Where it ran\n\n| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"date", r.At.UTC().Format("2006-01-02 15:04") + " UTC, " + r.Took.Round(time.Second).String()},
		{"commit", r.Commit},
		{"machine", listed(counted(r.Machine.Cores, "core"), r.Machine.Memory, r.Machine.Processor, r.Machine.System)},
		{"load before", cmp.Or(r.Machine.Load, "unknown")},
		{"PostgreSQL", listed(append([]string{r.Machine.PostgreSQL}, r.Machine.Settings...)...)},
		{"Go", r.Machine.Go},
	} {
		say("| %s | %s |\n", row[0], row[1])
	}
	say("\nThe server, the relay, the sink and the program that issues commands share the machine.\n")
	return b.String()
}

// listed joins what is known.
func listed(parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), ", ")
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
