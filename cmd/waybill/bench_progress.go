package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/internal/bench"
)

// benchProgress tells on stderr what is being measured: on a terminal in one line that is written anew, elsewhere in a line for each
// thing, and to programs nothing.
type benchProgress struct {
	out      io.Writer
	style    style
	terminal bool
	silent   bool
	now      func() time.Time

	mu       sync.Mutex
	number   int // of the scenario, from 1
	count    int // of scenarios
	scenario string
	what     string
	since    time.Time // it is being done
	told     time.Time
	shown    bool // there is a line to be cleared
}

func newBenchProgress(p *program, count int) *benchProgress {
	terminal := isTerminal(p.stderr)
	return &benchProgress{out: p.stderr, style: styleFor(p.stderr, p.getenv), terminal: terminal, silent: p.json() && !terminal, now: time.Now, count: count}
}

func (b *benchProgress) next(scenario string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.scenario, b.what = scenario, ""
}

const progressPause = 100 * time.Millisecond

// say is a bench.Config's Progress.
func (b *benchProgress) say(what string, done, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	fresh := what != b.what
	if fresh {
		b.what, b.since = what, now
	}
	if b.silent || !fresh && (!b.terminal || now.Sub(b.told) < progressPause) {
		return
	}
	b.told = now
	line := fmt.Sprintf("%d of %d  %s: %s", b.number, b.count, b.scenario, what)
	if !b.terminal {
		fmt.Fprintf(b.out, "%s\n", line)
		return
	}
	if done > 0 {
		line += ", " + bench.Count(done)
	}
	if done > 0 && total > 0 {
		line += " of " + bench.Count(total)
		if took := now.Sub(b.since); took > 2*time.Second && done < total {
			left := time.Duration(float64(took) / float64(done) * float64(total-done))
			line += ", " + left.Round(time.Second).String() + " left"
		}
	}
	fmt.Fprintf(b.out, "\r\x1b[K%s", b.style.dim(line))
	b.shown = true
}

// clear makes room for something else.
func (b *benchProgress) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.shown = false
	}
}
