package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/localpg"
)

// benchInsert is what pgbench runs: the plainest way to put the same event into the same table.
//
//go:embed testdata/bench/insert.sql
var benchInsert string

// benchScenarios are the numbers of goroutines, each with the share of pgbench's rate at as many clients that we want to reach.
var benchScenarios = []struct {
	goroutines int
	goal       float64
}{{1, 0.625}, {8, 1}, {32, 1.5}}

// measurement is one scenario beside its limit, measured in the same run.
type measurement struct {
	Scenario string  `json:"scenario"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Limit    float64 `json:"limit"` // pgbench
	Ratio    float64 `json:"ratio"`
	Goal     float64 `json:"goal"` // of the ratio
}

func (p *program) benchCommand() *cobra.Command {
	seconds := 3
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure appends per second beside pgbench, in the same run",
		Long: `Measure how many commands per second Execute appends at 1, 8 and 32 goroutines, one event each on
orders of their own, beside pgbench with a single prepared INSERT into the same table at as many
clients. Only the ratios mean something: the rates depend on the machine and on its day.

It works in a scratch database, which it drops at the end: on the embedded server, or on that of
--database if it is given. $WAYBILL_DATABASE_URL is left alone.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if seconds < 1 || seconds > 3600 {
				return usagef("give a number from 1 to 3600", "--seconds: %d is not a duration to measure for", seconds)
			}
			return p.bench(c.Context(), time.Duration(seconds)*time.Second)
		},
	}
	c.Flags().IntVar(&seconds, "seconds", seconds, "how long to measure each rate")
	return c
}

func (p *program) bench(ctx context.Context, duration time.Duration) (err error) {
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
	pgbench, err := findPgbench(server)
	if err != nil {
		return err
	}
	scratch, drop, err := server.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	if err := waybill.Migrate(ctx, scratch.DB); err != nil {
		return err
	}
	engine, err := waybill.New(scratch.DB, waybill.Config{Now: p.now})
	if err != nil {
		return err
	}
	script, err := writeScript(benchInsert)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(script))

	if !p.json() {
		p.printf("%s\n", p.style.dim("one event for each command, per second   Execute   pgbench   ratio   goal"))
	}
	for i, s := range benchScenarios {
		m := measurement{Scenario: fmt.Sprintf("append, %s", counted(s.goroutines, "goroutine")), Unit: "commands/s", Goal: s.goal}
		if m.Limit, err = runPgbench(ctx, pgbench, scratch.dsn, script, i, s.goroutines, duration); err != nil {
			return err
		}
		if m.Value, err = appendRate(ctx, engine, s.goroutines, duration); err != nil {
			return err
		}
		m.Ratio = m.Value / m.Limit
		if err := p.printMeasurement(m); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) printMeasurement(m measurement) error {
	if p.json() {
		line, err := json.Marshal(m)
		p.printf("%s\n", line)
		return err
	}
	ratio := fmt.Sprintf("%7.2f", m.Ratio)
	if m.Ratio >= m.Goal {
		ratio = p.style.green(ratio)
	} else {
		ratio = p.style.yellow(ratio)
	}
	p.printf("%-39s %9.0f %9.0f %s %6.2f\n", m.Scenario, m.Value, m.Limit, ratio, m.Goal)
	return nil
}

// appendRate creates orders from so many goroutines for a while, and returns how many it created per second.
func appendRate(ctx context.Context, engine *waybill.Engine, goroutines int, duration time.Duration) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var created atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range goroutines {
		group.Go(func() {
			for ctx.Err() == nil && time.Since(start) < duration {
				if _, err := engine.Execute(ctx, order.Create{Currency: "USD", Number: "bench"}); err != nil {
					cancel(err)
					return
				}
				created.Add(1)
			}
		})
	}
	group.Wait()
	elapsed := time.Since(start)
	return float64(created.Load()) / elapsed.Seconds(), context.Cause(ctx)
}

var tpsPattern = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// runPgbench returns how often per second pgbench ran the script. Each run numbers its rows differently.
func runPgbench(ctx context.Context, program, dsn, script string, run, clients int, duration time.Duration) (float64, error) {
	cmd := exec.CommandContext(ctx, program, "--no-vacuum", "--protocol=prepared", "--file="+script,
		"--client="+strconv.Itoa(clients), "--jobs="+strconv.Itoa(min(clients, 2)), "--time="+strconv.Itoa(int(duration.Seconds())),
		"--define=run="+strconv.Itoa(run), "--define=row=0", dsn)
	output, err := cmd.Output()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return 0, fmt.Errorf("pgbench failed (%w): %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return 0, fmt.Errorf("run pgbench: %w", err)
	}
	match := tpsPattern.FindSubmatch(output)
	if match == nil {
		return 0, fmt.Errorf("pgbench told no rate: %s", strings.TrimSpace(string(output)))
	}
	return strconv.ParseFloat(string(match[1]), 64)
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

func writeScript(text string) (string, error) {
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "insert.sql")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// scratch makes an empty database on the same server, which drop removes.
func (d *database) scratch(ctx context.Context) (_ *database, drop func() error, err error) {
	name := "waybill_bench_" + strings.ToLower(rand.Text()[:8])
	dsn, err := withDatabase(d.dsn, name)
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)); err != nil {
		return nil, nil, fmt.Errorf("make a scratch database: %w", err)
	}
	db, err := connect(dsn)
	drop = func() error {
		if db != nil {
			db.Close()
		}
		_, err := d.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+pq.QuoteIdentifier(name)+" WITH (FORCE)")
		return err
	}
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return &database{DB: db, dsn: dsn}, drop, nil
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
