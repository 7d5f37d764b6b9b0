package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/eventstore/audit"
)

// watch shows on stderr how far long work has come: as a bar on a terminal, else as a line every ten seconds. The work is over when the
// function that it returns is called.
func (p *program) watch(progress *audit.Progress) (stop func()) {
	bar := isTerminal(p.stderr) && p.getenv("TERM") != "dumb"
	every := 10 * time.Second
	if bar {
		every = 100 * time.Millisecond
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		var m meter
		for {
			select {
			case <-done:
				if bar {
					fmt.Fprint(p.stderr, "\r\x1b[K")
				}
				return
			case now := <-ticker.C:
				done, total := progress.Done()
				line := m.line(progress.Step(), done, total, now, bar)
				if bar {
					line = "\r\x1b[K" + line
				} else if line != "" {
					line += "\n"
				}
				fmt.Fprint(p.stderr, line)
			}
		}
	})
	return func() { close(done); watching.Wait() }
}

// meter remembers when a step was first seen, which its rate is measured from.
type meter struct {
	step  string
	began time.Time
	from  int64
}

// line says in one line how far a step is, at what rate, and when it may be done. About how much there is to do is often an estimate,
// which the step may pass.
func (m *meter) line(step string, done, total int64, now time.Time, bar bool) string {
	if step == "" {
		return ""
	}
	if step != m.step || done < m.from {
		*m = meter{step: step, began: now, from: done}
	}
	text := fmt.Sprintf("%-8s", step)
	share := 0.0
	if total > 0 {
		share = min(1, float64(done)/float64(total))
	}
	if bar && total > 0 {
		const width = 30
		full := int(share * width)
		text += " " + strings.Repeat("█", full) + strings.Repeat("░", width-full)
	}
	if total > 0 {
		text += fmt.Sprintf(" %3.0f%%", 100*share)
	}
	text += fmt.Sprintf("  %d events", done)
	seconds := now.Sub(m.began).Seconds()
	if rate := float64(done-m.from) / seconds; seconds > 0 && rate > 0 {
		text += fmt.Sprintf("  %.0f/s", rate)
		if left := float64(total - done); left > 0 {
			text += "  " + (time.Duration(left/rate*float64(time.Second)).Round(time.Second) + time.Second).String() + " left"
		}
	}
	return text
}
