package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

// roleVariable makes the test binary a process of a run.
const roleVariable = "WAYBILL_CHAOS_ROLE"

// role says what a process is.
type role struct {
	Kind      string // "relay" or "worker"
	Name      string
	DSN       string
	MasterKey []byte
	Notes     string // path; a worker's are named by clerk behind it
	Seed      uint64
	Interval  time.Duration // between a clerk's commands
	Clerks    []string
	Broken    bool // on purpose

	log io.Writer
}

func TestMain(m *testing.M) {
	if text := os.Getenv(roleVariable); text != "" {
		os.Exit(roleMain(text))
	}
	flag.Parse()
	pgtest.Main(m)
}

// roleMain runs until its standard input ends, which it also does when the harness dies. Lines of it move the clock.
func roleMain(text string) int {
	r := role{log: os.Stderr}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := context.WithCancel(context.Background())
	clock := &clock{}
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if offset, err := time.ParseDuration(strings.TrimSpace(lines.Text())); err == nil {
				clock.offset.Store(int64(offset))
			}
		}
	}()
	run := relayMain
	if r.Kind == "worker" {
		run = workerMain
	}
	if err := run(ctx, r, clock); err != nil {
		fmt.Fprintln(os.Stderr, r.Name, err)
		return 1
	}
	return 0
}

// clock is the real one, moved.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// wait waits for a while, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
