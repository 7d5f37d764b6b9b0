package chaos

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// second is one, in a history's unit.
const second = int64(1e9)

// flawless is a small history in which everything is as it should be: two orders with two events each, from three commands, to an
// ordered webhook with an inbox and to an unordered one. One attempt failed, and one event was sent again because its first sender
// was killed before it could record.
func flawless() *History {
	h := &History{Timeout: second, Lease: 2 * second}
	at := 100 * second
	step := func() int64 { at += second / 10; return at }
	for _, w := range []Webhook{{Name: "w", Ordered: true, Inbox: true}, {Name: "u"}} {
		w.Made = Span{step(), step()}
		h.Webhooks = append(h.Webhooks, w)
	}
	command := func(id, stream, key string, ledger bool, from, to int) {
		c := Command{ID: id, Name: "x", Stream: stream, Key: key, Ledger: ledger, Span: Span{From: step()}, Result: Done, Last: to}
		for v := from; v <= to; v++ {
			e := Event{ID: fmt.Sprint(stream, v), Stream: stream, Version: v, Type: "x.happened", Command: id}
			h.Events, c.Events = append(h.Events, e), append(c.Events, e.ID)
		}
		c.To = step()
		h.Commands = append(h.Commands, c)
		if key != "" {
			h.Keys = append(h.Keys, Key{key, stream, from, to})
		}
		if ledger {
			h.Ledger = append(h.Ledger, id)
		}
	}
	command("c1", "a", "k1", true, 1, 2)
	command("c2", "b", "", false, 1, 1)
	command("c3", "b", "k3", false, 2, 2)
	h.Commands = append(h.Commands,
		Command{ID: "c4", Name: "x", Stream: "b", Key: "k4", Span: Span{step(), step()}, Result: Refused},
		Command{ID: "c5", Name: "x", Stream: "b", Span: Span{From: step()}, Result: Unknown})
	for _, w := range h.Webhooks {
		for _, e := range h.Events {
			d := Delivery{w.Name, e.ID}
			number := 1
			if e.ID == "a1" { // it fails at first
				h.send(d, "r1.1", number, 500, step)
				number++
			}
			if e.ID == "b1" { // its sender is killed
				process := "r2." + w.Name
				h.send(d, process, number, 200, step)
				h.Attempts = h.Attempts[:len(h.Attempts)-1]
				h.Faults = append(h.Faults, Fault{Kill, process, Span{step(), step()}})
			}
			h.send(d, "r1.1", number, 200, step)
			if w.Inbox {
				h.Processed = append(h.Processed, d)
			}
		}
	}
	return h
}

// send adds an attempt that was made, received, answered and recorded.
func (h *History) send(d Delivery, process string, number, status int, step func() int64) {
	s := Send{Delivery: d, ID: fmt.Sprint("s", len(h.Sends)), Process: process, Span: Span{From: step()}, Status: status}
	h.Requests = append(h.Requests, Request{Delivery: d, Send: s.ID, Body: "of " + d.Event, Signed: true, At: step(), Status: status})
	s.To = step()
	h.Sends = append(h.Sends, s)
	outcome := map[bool]string{true: "delivered", false: "failed"}[status == 200]
	h.Attempts = append(h.Attempts, Attempt{d, number, outcome, status})
}

// later gives times behind everything in the history.
func later(h *History) func() int64 {
	at := h.Sends[len(h.Sends)-1].To + 100*second
	return func() int64 { at += second / 10; return at }
}

func TestCheckFindsNothingInAFlawlessHistory(t *testing.T) {
	h := flawless()
	for _, v := range Check(h) {
		t.Error(v)
	}
	s := Summarize(h, nil)
	if s.Again[becauseKilled] != 2 || s.Deliveries != 8 || len(s.Again) != 1 {
		t.Errorf("summary:\n%s", s)
	}
}

// Each of these makes one thing wrong with the flawless history.
func TestCheckFindsEachFlaw(t *testing.T) {
	a1, b1 := Delivery{"w", "a1"}, Delivery{"w", "b1"}
	without := func(d Delivery) func(Request) bool { return func(r Request) bool { return r.Delivery == d } }
	for name, flaw := range map[string]struct {
		rule string
		make func(h *History)
	}{
		"an event was skipped": {Lost, func(h *History) {
			h.Requests = slices.DeleteFunc(h.Requests, without(b1))
			h.Attempts = slices.DeleteFunc(h.Attempts, func(a Attempt) bool { return a.Delivery == b1 })
		}},
		"the webhook's last event is still open":    {Lost, func(h *History) { h.Left = append(h.Left, Delivery{"u", "b2"}) }},
		"a success was not recorded":                {Lost, func(h *History) { h.Attempts = h.Attempts[:len(h.Attempts)-1] }},
		"an event was never processed":              {Lost, func(h *History) { h.Processed = h.Processed[1:] }},
		"a success was recorded before the sending": {RecordedUnsent, func(h *History) { h.Requests = slices.DeleteFunc(h.Requests, without(b1)) }},
		"a failure was recorded as a success": {RecordedUnsent, func(h *History) {
			for i := range h.Requests {
				if h.Requests[i].Delivery == b1 {
					h.Requests[i].Status = 500
				}
			}
		}},
		"a success was recorded twice": {RecordedTwice, func(h *History) { h.Attempts = append(h.Attempts, Attempt{a1, 3, "delivered", 200}) }},
		"an event was sent again": {SentAgain, func(h *History) {
			h.send(a1, "r1.1", 3, 200, later(h))
			h.Attempts = h.Attempts[:len(h.Attempts)-1]
		}},
		"an event was sent again, and refused": {SentAgain, func(h *History) {
			h.send(a1, "r1.1", 3, 500, later(h))
		}},
		"one attempt arrived twice": {SentAgain, func(h *History) { h.Requests = append(h.Requests, h.Requests[0]) }},
		"the kill that explains a copy was of another": {SentAgain, func(h *History) {
			for i := range h.Faults {
				h.Faults[i].Target = "r3.1"
			}
		}},
		"the kill that explains a copy was later": {SentAgain, func(h *History) {
			for i := range h.Faults {
				h.Faults[i].Span = Span{h.Faults[i].From + 500*second, h.Faults[i].To + 500*second}
			}
		}},
		"events of an order came in another order": {OutOfOrder, func(h *History) {
			at := later(h)()
			for i := range h.Requests {
				if h.Requests[i].Delivery == a1 {
					h.Requests[i].At = at
				}
			}
		}},
		"events of an order were processed in another order": {OutOfOrder, func(h *History) { slices.Reverse(h.Processed) }},
		"two attempts were in flight": {Overlap, func(h *History) {
			for i := range h.Sends {
				if h.Sends[i].Delivery == a1 {
					h.Sends[i].To += second
				}
			}
		}},
		"an attempt never ended":                  {Overlap, func(h *History) { h.Sends[0].To = 0 }},
		"a copy had other bytes":                  {OtherBytes, func(h *History) { h.Requests[0].Body = "other" }},
		"a signature was wrong":                   {Forged, func(h *History) { h.Requests[3].Signed = false }},
		"a request came from nowhere":             {Forged, func(h *History) { h.Requests[3].Send = "?" }},
		"a request told of an event that was not": {Forged, func(h *History) { h.send(Delivery{"w", "c1"}, "r1.1", 1, 200, later(h)) }},
		"an event was processed twice":            {ProcessedTwice, func(h *History) { h.Processed = append(h.Processed, a1) }},
		"an event went where nobody wanted it":    {Unwanted, func(h *History) { h.Webhooks[1].Types = []string{"y.happened"} }},
		"an old event went to a new webhook": {Unwanted, func(h *History) {
			at := later(h)
			h.Webhooks[1].Made = Span{at(), at()}
		}},
		"a chain is broken":            {BrokenHistory, func(h *History) { h.Breaks = append(h.Breaks, Break{"a", "the event does not match its hash"}) }},
		"a version is missing":         {BrokenHistory, func(h *History) { h.Events = h.Events[1:] }},
		"an event is in the log twice": {BrokenHistory, func(h *History) { h.Events = append(h.Events, h.Events[0]) }},
		"the log is out of order":      {BrokenHistory, func(h *History) { h.Events[0], h.Events[1] = h.Events[1], h.Events[0] }},
		"a command was done twice": {BrokenCommand, func(h *History) {
			h.Events = append(h.Events, Event{"b3", "b", 3, "x.happened", "c3"})
		}},
		"a refused command has an event": {BrokenCommand, func(h *History) {
			h.Events = append(h.Events, Event{"b3", "b", 3, "x.happened", "c4"})
		}},
		"a command was done, and is not in the log": {BrokenCommand, func(h *History) { h.Events = h.Events[:len(h.Events)-1] }},
		"nobody issued the command":                 {BrokenCommand, func(h *History) { h.Commands = h.Commands[:2] }},
		"a key was forgotten":                       {BrokenCommand, func(h *History) { h.Keys = h.Keys[1:] }},
		"a key says something else":                 {BrokenCommand, func(h *History) { h.Keys[0].Last = 7 }},
		"a key was said to belong to another":       {BrokenCommand, func(h *History) { h.Commands[0].Result = Mismatch }},
		"a caller's row was rolled back alone":      {BrokenCommand, func(h *History) { h.Ledger = nil }},
		"a caller's row was written twice":          {BrokenCommand, func(h *History) { h.Ledger = append(h.Ledger, "c1") }},
		"a caller was told another version":         {BrokenCommand, func(h *History) { h.Commands[0].Last = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			h := flawless()
			flaw.make(h)
			found := map[string]int{}
			for _, v := range Check(h) {
				found[v.Rule]++
			}
			if found[flaw.rule] == 0 {
				t.Errorf("found are %v, but no %q", slices.Sorted(maps.Keys(found)), flaw.rule)
			}
		})
	}
}

// What a sender could not know, a receiver may get again.
func TestCheckAcceptsWhatFaultsExplain(t *testing.T) {
	for why, fault := range map[string]func(s *Send, f *Fault){
		becauseKilled:   func(s *Send, f *Fault) { f.Kind, f.Target, s.To, s.Status = Kill, s.Process, 0, 0 },
		becausePaused:   func(s *Send, f *Fault) { f.Kind, f.Target = Pause, s.Process },
		becauseDatabase: func(_ *Send, f *Fault) { f.Kind = Stop },
		becauseCut:      func(s *Send, f *Fault) { f.Kind, f.Target, s.Status = CutHTTP, s.Webhook, 0 },
		becauseSlow:     func(s *Send, f *Fault) { f.Kind, s.Status, s.From = Clock, 0, s.To-second },
	} {
		h := flawless()
		d := Delivery{"u", "a2"}
		i := slices.IndexFunc(h.Sends, func(s Send) bool { return s.Delivery == d })
		f := Fault{Span: Span{h.Sends[i].From, h.Sends[i].To + 2*second}}
		fault(&h.Sends[i], &f)
		h.Sends[i].Process = "r7.1"
		if f.Kind == Kill || f.Kind == Pause {
			f.Target = "r7.1"
		}
		h.send(d, "r1.1", 2, 200, later(h))
		h.Attempts = h.Attempts[:len(h.Attempts)-1]
		if violations := Check(h); len(violations) == 0 && why != becauseSlow { // which its own length explains
			t.Errorf("%s: without the fault nothing is found", why)
		}
		before := Summarize(h, nil).Again[why]
		h.Faults = append(h.Faults, f)
		for _, v := range Check(h) {
			t.Errorf("%s: %s", why, v)
		}
		if n := Summarize(h, nil).Again[why] - before; n != 1 && why != becauseSlow {
			t.Errorf("%s explains %d copies, want 1", why, n)
		}
	}
}
