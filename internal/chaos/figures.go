package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Summary is a run in figures.
type Summary struct {
	Events, Commands, Resumed, Unknown, Deliveries, Requests, Attempts int

	Faults     map[string]int // by kind
	Again      map[string]int // events that came again after they were accepted, by what explains it
	Violations map[string]int // by rule
}

// Summarize counts.
func Summarize(h *History, violations []Violation) Summary {
	c := newChecker(h)
	s := Summary{Events: len(h.Events), Commands: len(h.Commands), Requests: len(h.Requests), Attempts: len(h.Attempts),
		Faults: map[string]int{}, Again: map[string]int{}, Violations: map[string]int{}}
	for _, command := range h.Commands {
		if command.Resumed {
			s.Resumed++
		}
		if command.Result == Unknown {
			s.Unknown++
		}
	}
	for _, f := range h.Faults {
		s.Faults[f.Kind]++
	}
	for _, v := range violations {
		s.Violations[v.Rule]++
	}
	for _, requests := range c.requests {
		var accepted *Request
		for _, r := range requests {
			if r.accepted() && accepted != nil {
				s.Again[c.why(accepted, r)]++
			} else if r.accepted() {
				s.Deliveries++
			}
			if r.accepted() {
				accepted = r
			}
		}
	}
	return s
}

// String is a table.
func (s Summary) String() string {
	var b strings.Builder
	line := func(name string, n int) { fmt.Fprintf(&b, "%-34s %9d\n", name, n) }
	line("commands", s.Commands)
	line("  repeated by a successor", s.Resumed)
	line("  never answered", s.Unknown)
	line("events", s.Events)
	line("events accepted by receivers", s.Deliveries)
	line("requests at receivers", s.Requests)
	line("attempts recorded", s.Attempts)
	for _, kind := range slices.Sorted(maps.Keys(s.Faults)) {
		line("fault: "+kind, s.Faults[kind])
	}
	for _, rule := range []string{Lost, RecordedTwice, RecordedUnsent, OutOfOrder, Overlap, OtherBytes, Forged, Unwanted, ProcessedTwice, BrokenHistory, BrokenCommand} {
		line(rule, s.Violations[rule])
	}
	line("received twice, unexplained", s.Violations[SentAgain])
	again := 0
	for _, n := range s.Again {
		again += n
	}
	line("received twice, explained", again-s.Again[""])
	for _, why := range slices.Sorted(maps.Keys(s.Again)) {
		if why != "" {
			line("  "+why, s.Again[why])
		}
	}
	return b.String()
}
