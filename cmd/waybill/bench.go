package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/internal/bench"
	"github.com/waybill-dev/waybill/internal/localpg"
)

func (p *program) benchCommand() *cobra.Command {
	var quick bool
	var page string
	var seconds float64
	var events, log, backlog int
	c := &cobra.Command{
		Use:   "bench [scenario]…",
		Short: "Measure commands and deliveries beside what limits them",
		Long: `Measure each scenario beside its limit in the same run: pgbench with a single prepared INSERT into
the same table, or a bare loop of signed requests to the same receiver. Only the ratios mean
something: the rates depend on the machine and on its day.

` + describeScenarios() + `
It works in scratch databases, which it drops at the end: on the embedded server, or on that of
--database if it is given. $WAYBILL_DATABASE_URL is left alone. All of it takes about ten minutes on
two cores and ten gigabytes of disk, with --quick a minute.

The exit status is 0 whether or not goals are reached.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			scenarios, err := selectScenarios(args)
			if err != nil {
				return err
			}
			if page != "" && len(args) > 0 {
				return usagef("leave the names out, or --write", "--write writes a page of all scenarios, not of %s alone", strings.Join(args, " and "))
			}
			sizes := bench.Full()
			if quick {
				sizes = bench.Quick()
			}
			if c.Flags().Changed("seconds") {
				if !(seconds >= 0.01 && seconds <= 3600) { // nor is it NaN
					return usagef("give a number from 0.01 to 3600", "--seconds: %v is not a duration to measure for", seconds)
				}
				sizes.Measure = time.Duration(seconds * float64(time.Second))
				sizes.Live = 6 * sizes.Measure
			}
			for _, flag := range []struct {
				name  string
				value int
				most  int
				set   func(int)
			}{
				{"events", events, 10_000_000, func(n int) { sizes.Deliveries, sizes.Slow, sizes.FanOut = n, (n+5)/6, n }},
				{"log", log, 1_000_000_000, func(n int) { sizes.Log, sizes.Rebuild = n, (n+4)/5 }},
				{"backlog", backlog, 1_000_000_000, func(n int) { sizes.Backlog = n }},
			} {
				if !c.Flags().Changed(flag.name) {
					continue
				}
				if flag.value < 1 || flag.value > flag.most {
					return usagef(fmt.Sprintf("give a number from 1 to %d", flag.most), "--%s: %d is not a size to measure with", flag.name, flag.value)
				}
				flag.set(flag.value)
			}
			line := "waybill bench"
			for _, name := range []string{"quick", "seconds", "events", "log", "backlog", "write"} {
				if f := c.Flags().Lookup(name); f.Changed && name == "quick" {
					line += " --quick"
				} else if f.Changed {
					line += " --" + name + " " + f.Value.String()
				}
			}
			return p.bench(c.Context(), scenarios, sizes, page, line)
		},
		ValidArgsFunction: cobra.FixedCompletions(scenarioNames(), cobra.ShellCompDirectiveNoFileComp),
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&quick, "quick", false, "measure little: for a look, the ratios vary more")
	flags.StringVar(&page, "write", "", "also write a page about all scenarios to this `file`")
	flags.Float64Var(&seconds, "seconds", 3, "how long to measure each rate; what has to settle takes several times as long")
	flags.IntVar(&events, "events", 200_000, "how many deliveries to make of events that are in the log")
	flags.IntVar(&log, "log", 5_000_000, "how many events the large log has, and five times as many as a view is built from")
	flags.IntVar(&backlog, "backlog", 1_000_000, "how many deliveries the large backlog has")
	return c
}

func scenarioNames() (names []string) {
	for _, s := range bench.Scenarios() {
		names = append(names, s.Name)
	}
	return names
}

func describeScenarios() string {
	const columns = 84 // of the text beside the names
	var b strings.Builder
	for _, s := range bench.Scenarios() {
		name := s.Name
		line := ""
		for word := range strings.FieldsSeq(s.What) {
			if width(line)+1+width(word) > columns {
				fmt.Fprintf(&b, "  %-12s%s\n", name, line)
				name, line = "", ""
			}
			line += " " + word
		}
		fmt.Fprintf(&b, "  %-12s%s\n", name, line)
	}
	return b.String()
}

// selectScenarios finds those that are named, in the order in which they run; without names it is all.
func selectScenarios(names []string) ([]bench.Scenario, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var selected []bench.Scenario
	for _, s := range bench.Scenarios() {
		if len(names) == 0 || wanted[s.Name] {
			selected = append(selected, s)
		}
		delete(wanted, s.Name)
	}
	for _, name := range names {
		if wanted[name] {
			return nil, usagef(orElse(suggest(name, scenarioNames()), "there are "+strings.Join(scenarioNames(), ", ")), "there is no scenario %q", name)
		}
	}
	return selected, nil
}

func (p *program) bench(ctx context.Context, scenarios []bench.Scenario, sizes bench.Sizes, page, line string) (err error) {
	if page != "" { // not found out in ten minutes
		file, err := os.OpenFile(page, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		file.Close()
	}
	var server *database
	if p.database != "" {
		server, err = p.openDatabase(ctx)
	} else {
		server, err = p.openEmbedded(ctx)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	progress := newBenchProgress(p, len(scenarios))
	defer progress.clear()
	config := bench.Config{
		Database: func(ctx context.Context) (*bench.Database, error) { return server.scratch(ctx) },
		Program: func(ctx context.Context, environment []string, arguments ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, self, arguments...)
			cmd.Env = append(os.Environ(), environment...)
			return cmd
		},
		Sizes:    sizes,
		Progress: progress.say,
	}
	if config.Pgbench, err = findPgbench(server); err != nil {
		return err
	}
	report := bench.Report{At: p.now(), Commit: commit(), Sizes: sizes, Command: line}
	if report.Machine, err = bench.Describe(ctx, server.DB); err != nil {
		return err
	}
	if !p.json() {
		p.printBenchHeader()
	}
	for _, s := range scenarios {
		progress.next(s.Name)
		results, err := bench.Run(ctx, config, s)
		progress.clear()
		if err != nil {
			return err
		}
		for _, r := range results {
			if err := p.printResult(r); err != nil {
				return err
			}
		}
		report.Results = append(report.Results, results...)
	}
	if page == "" {
		return nil
	}
	report.Took = p.now().Sub(report.At)
	return os.WriteFile(page, []byte(report.Markdown()), 0o644)
}

func (p *program) printResult(r bench.Result) error {
	if p.json() {
		line, err := json.Marshal(r)
		p.printf("%s\n", line)
		return err
	}
	colour := p.style.green
	if !r.Reached {
		colour = p.style.yellow
	}
	p.printBenchRow(r.Scenario, r.Measure, r.Figure(r.Value), r.Figure(r.Limit), fmt.Sprintf("%.2f", r.Ratio), r.Wanted(), r.Verdict(), colour)
	if r.Note != "" {
		p.printf("  %s\n", p.style.dim(r.Note))
	}
	return nil
}

func (p *program) printBenchHeader() {
	plain := func(text string) string { return text }
	p.printBenchRow("scenario", "", "value", "limit", "ratio", "goal", "", plain)
}

// printBenchRow prints a row of a table of which the others are not known yet.
func (p *program) printBenchRow(scenario, measure, value, limit, ratio, goal, verdict string, colour func(string) string) {
	row := padRight(scenario, 12) + padRight(measure, 13) + padLeft(value, 22) + padLeft(limit, 22) + padLeft(colour(ratio), 8) +
		padLeft(goal, 8) + "  " + colour(verdict)
	p.printf("%s\n", strings.TrimRight(row, " "))
}

// commit is that of the program, if it was built from one.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				modified = ", with changes"
			}
		}
	}
	return revision + modified
}

// benchSinkCommand and benchRelayCommand are the other processes of a run. Nobody types them.
func (p *program) benchSinkCommand() *cobra.Command {
	return &cobra.Command{Use: bench.SinkCommand, Hidden: true, Args: noWords, RunE: func(*cobra.Command, []string) error {
		return bench.Sink(p.stdin, p.stdout)
	}}
}

func (p *program) benchRelayCommand() *cobra.Command {
	return &cobra.Command{Use: bench.RelayCommand, Hidden: true, Args: noWords, RunE: func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithCancel(c.Context())
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, p.stdin) // ends with who started this, in whatever way
		}()
		return p.serve(ctx, true, false, false)
	}}
}

func findPgbench(d *database) (string, error) {
	if d.cluster != nil {
		return d.cluster.Bin("pgbench")
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", &localpg.MissingProgramError{Name: "pgbench"}
	}
	return path, nil
}

// scratch makes an empty database with the engine's schema on the same server.
func (d *database) scratch(ctx context.Context) (_ *bench.Database, err error) {
	name := "waybill_bench_" + strings.ToLower(rand.Text()[:8])
	dsn, err := withDatabase(d.dsn, name)
	if err != nil {
		return nil, err
	}
	if _, err := d.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)); err != nil {
		return nil, fmt.Errorf("make a scratch database: %w", err)
	}
	db, err := connect(dsn)
	drop := func() error {
		if db != nil {
			db.Close()
		}
		_, err := d.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+pq.QuoteIdentifier(name)+" WITH (FORCE)")
		return err
	}
	if err == nil {
		err = waybill.Migrate(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, drop())
	}
	return &bench.Database{DB: db, DSN: dsn, Drop: drop}, nil
}

// withDatabase names another database of the same server.
func withDatabase(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return "", usagef("write it as a URL: postgres://user:password@host:5432/database", "bench cannot make a scratch database with this form of --database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
