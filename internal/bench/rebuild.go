package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// rebuild measures how fast a view is built anew from the log, by a process of its own.
func rebuild(goal, mebibytes float64) func(context.Context, *run) ([]Result, error) {
	return func(ctx context.Context, r *run) ([]Result, error) {
		s, err := r.subject(ctx)
		if err != nil {
			return nil, err
		}
		l, err := s.newLife(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.fill(ctx, s, s.engine.Name(), l, r.Sizes.Rebuild); err != nil {
			return nil, err
		}
		if err := r.settle(ctx, s); err != nil {
			return nil, err
		}
		var events int
		if err := s.QueryRowContext(ctx, `SELECT count(*) FROM events`).Scan(&events); err != nil {
			return nil, err
		}
		var used float64
		var known bool
		limit, value, err := alternate(1, func() (float64, error) {
			r.Progress("copying the log", 0, 0)
			return r.copyRate(ctx, s, events)
		}, func() (rate float64, err error) {
			r.Progress("rebuilding", 0, 0)
			rate, used, known, err = r.rebuildRate(ctx, s, events)
			return rate, err
		})
		if err != nil {
			return nil, err
		}
		results := []Result{atLeast("rate", "events/s", value, limit, goal)}
		if known {
			results = append(results, atMost("memory", "MiB", used, mebibytes, 1))
		}
		return results, nil
	}
}

// copyRate returns how many events per second psql copies out of the log, in its order.
func (r *run) copyRate(ctx context.Context, s *subject, events int) (float64, error) {
	began := time.Now()
	const query = `COPY (SELECT * FROM events ORDER BY transaction_id, position) TO STDOUT`
	psql := exec.CommandContext(ctx, filepath.Join(filepath.Dir(r.Pgbench), "psql"), "-qX", "-c", query, "-o", "/dev/null", s.DSN)
	if output, err := psql.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("copy the log: %w: %s", err, bytes.TrimSpace(output))
	}
	return float64(events) / time.Since(began).Seconds(), nil
}

// rebuildRate also returns the most memory that the process had, in MiB, where the system tells. (What wait4 says of that may be of the
// parent, from whose memory the process was started.)
func (r *run) rebuildRate(ctx context.Context, s *subject, events int) (rate, mebibytes float64, known bool, err error) {
	command := r.Program(ctx, []string{"WAYBILL_DATABASE_URL=" + s.DSN}, "projection", "rebuild", "orders", "-o", "json")
	var said, complained bytes.Buffer
	command.Stdout, command.Stderr = &said, &complained
	began := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, false, fmt.Errorf("rebuild: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-look.C:
			if m, ok := peakMemory(command.Process.Pid); ok {
				mebibytes, known = m, true
			}
		}
	}
	took := time.Since(began)
	if err != nil {
		return 0, 0, false, fmt.Errorf("rebuild: %w: %s", err, bytes.TrimSpace(complained.Bytes()))
	}
	var done struct{ Events int }
	if err := json.Unmarshal(said.Bytes(), &done); err != nil || done.Events != events {
		return 0, 0, false, fmt.Errorf("rebuild: it worked on %d events, not %d (%w)", done.Events, events, err)
	}
	return float64(events) / took.Seconds(), mebibytes, known, nil
}
