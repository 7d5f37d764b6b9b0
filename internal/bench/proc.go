package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What Linux tells about processes in /proc (proc(5)). Elsewhere there is no such file, and the figures are left out.

// tick is the unit of processor times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// stat is what /proc tells of one process.
type stat struct {
	name   string
	parent int
	own    time.Duration // processor time of its own
	gone   time.Duration // and of its children that have ended
}

func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The name is in parentheses, and may hold some itself.
	_, rest, _ := strings.Cut(string(text), "(")
	i := strings.LastIndex(rest, ")")
	fields := strings.Fields(rest[max(0, i+1):])
	if i < 0 || len(fields) < 15 {
		return stat{}, false
	}
	number := func(field int) int { // as proc(5) counts them; the state is 3
		n, _ := strconv.Atoi(fields[field-3])
		return n
	}
	return stat{
		name: rest[:i], parent: number(4),
		own:  time.Duration(number(14)+number(15)) * tick,
		gone: time.Duration(number(16)+number(17)) * tick,
	}, true
}

// processorTimes adds up the processor time of one process and of PostgreSQL, over several stretches.
type processorTimes struct {
	postmaster int // 0 where it is not on this machine

	pid                           int
	programBefore, postgresBefore time.Duration
	program, postgres             time.Duration
}

func newProcessorTimes(ctx context.Context, db *sql.DB) (*processorTimes, error) {
	var backend int
	if err := db.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return nil, err
	}
	t := &processorTimes{}
	if s, ok := readStat(backend); ok && s.name == "postgres" {
		if parent, ok := readStat(s.parent); ok && parent.name == "postgres" {
			t.postmaster = s.parent
		}
	}
	return t, nil
}

func (t *processorTimes) begin(pid int) {
	t.pid = pid
	t.programBefore, t.postgresBefore = t.now()
}

func (t *processorTimes) end() {
	program, postgres := t.now()
	t.program += program - t.programBefore
	t.postgres += postgres - t.postgresBefore
}

func (t *processorTimes) now() (program, postgres time.Duration) {
	s, _ := readStat(t.pid)
	if t.postmaster == 0 {
		return s.own, 0
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if p, ok := readStat(pid); ok && pid == t.postmaster {
			postgres += p.own + p.gone
		} else if ok && p.parent == t.postmaster {
			postgres += p.own
		}
	}
	return s.own, postgres
}

// each tells the times for each of n things, or nothing where they are not known.
func (t *processorTimes) each(thing, program string, n int) string {
	if n == 0 || t.program == 0 {
		return ""
	}
	text := fmt.Sprintf("processor time of %s: %s in %s", thing, perThing(t.program, n), program)
	if t.postmaster != 0 {
		text += fmt.Sprintf(", %s in PostgreSQL", perThing(t.postgres, n))
	}
	return text
}

func perThing(d time.Duration, n int) string {
	return fmt.Sprintf("%.0f µs", float64(d.Microseconds())/float64(n))
}

// peakMemory is the most memory that a process had at a time, in MiB.
func peakMemory(pid int) (float64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err == nil
		}
	}
	return 0, false
}
