package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill"
)

// insertScript is what pgbench runs: the plainest way to put the same event into the same table.
//
//go:embed insert.sql
var insertScript string

func appendAt(goroutines int, goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		limit, value, spent, err := r.appendBesidePgbench(ctx, goroutines)
		if err != nil {
			return nil, err
		}
		result := atLeast("rate", "commands/s", value, limit, goal)
		result.Note = spent
		return []Result{result}, nil
	}
}

func appendLatency(goal float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		limit, value, spent, err := r.appendBesidePgbench(ctx, 1)
		if err != nil {
			return nil, err
		}
		result := atMost("mean", "µs", 1e6/value, 1e6/limit, goal)
		result.Note = spent
		return []Result{result}, nil
	}
}

// appendBesidePgbench returns two rates per second, and where the commands' processor time went.
func (r *run) appendBesidePgbench(ctx context.Context, clients int) (limit, value float64, spent string, err error) {
	s, err := r.subject(ctx)
	if err != nil {
		return 0, 0, "", err
	}
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return 0, 0, "", err
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "insert.sql")
	if err := os.WriteFile(script, []byte(insertScript), 0o600); err != nil {
		return 0, 0, "", err
	}
	times, err := newProcessorTimes(ctx, s.DB)
	if err != nil {
		return 0, 0, "", err
	}
	beside := *times
	var commands, inserts int
	runs := 0
	limit, value, err = alternate(r.Sizes.Rounds, func() (float64, error) {
		runs++
		r.Progress("pgbench with "+counted(clients, "client"), 0, 0)
		began := time.Now()
		beside.begin(os.Getpid())
		rate, err := runPgbench(ctx, r.Pgbench, s.DSN, script, runs, clients, r.Sizes.Measure)
		beside.end()
		inserts += int(rate * time.Since(began).Seconds())
		return rate, err
	}, func() (float64, error) {
		r.Progress("commands from "+counted(clients, "goroutine"), 0, 0)
		times.begin(os.Getpid())
		rate, n, err := appendRate(ctx, s.engine, clients, r.Sizes.Measure)
		times.end()
		commands += n
		return rate, err
	})
	if spent = times.each("a command", "the program", commands); spent != "" && times.postmaster != 0 && inserts > 0 {
		spent += fmt.Sprintf("; of pgbench's INSERT: %s there", perThing(beside.postgres, inserts))
	}
	return limit, value, spent, err
}

// appendRate creates orders from so many goroutines for a while, and returns how many per second and in all.
func appendRate(ctx context.Context, engine *waybill.Engine, goroutines int, duration time.Duration) (float64, int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var created atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range goroutines {
		group.Go(func() {
			for ctx.Err() == nil && time.Since(start) < duration {
				if _, err := engine.Execute(ctx, small()); err != nil {
					cancel(err)
					return
				}
				created.Add(1)
			}
		})
	}
	group.Wait()
	elapsed := time.Since(start)
	return float64(created.Load()) / elapsed.Seconds(), int(created.Load()), context.Cause(ctx)
}

var tpsPattern = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// runPgbench returns how often per second pgbench ran the script. Each run numbers its rows differently.
func runPgbench(ctx context.Context, program, dsn, script string, run, clients int, duration time.Duration) (float64, error) {
	cmd := exec.CommandContext(ctx, program, "--no-vacuum", "--protocol=prepared", "--file="+script,
		"--client="+strconv.Itoa(clients), "--jobs="+strconv.Itoa(min(clients, 2)), "--time="+strconv.Itoa(max(1, int(duration.Seconds()))),
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
