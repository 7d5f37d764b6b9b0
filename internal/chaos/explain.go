package chaos

import (
	"slices"
	"strings"
)

// Why a receiver may rightly have got an event again after it had accepted it.
const (
	becauseKilled   = "killed"      // the sender died before it knew, or before it had recorded
	becausePaused   = "paused"      // the sender was paused or not scheduled, and lost its lease meanwhile
	becauseDatabase = "database"    // the success could not be recorded before the lease was lost
	becauseCut      = "answer lost" // the connection between sender and receiver was cut or delayed
	becauseSlow     = "answer late" // it came after the sender's deadline
)

// slack is how far apart two notes of the same thing may be: the sender's and the receiver's, or the harness's of what it did to them.
const slack = 250e6

// sentOnce demands an explanation for whatever arrives after an event was accepted.
func (c *checker) sentOnce() {
	for d, requests := range c.requests {
		var accepted *Request
		seen := map[string]bool{}
		for _, r := range requests {
			if c.send[r.Send] == nil || c.send[r.Send].Delivery != d {
				c.deliveryViolated(Forged, d, "no relay has noted that it sends request %s", r.Send)
			}
			if seen[r.Send] {
				c.deliveryViolated(SentAgain, d, "one attempt, %s, arrived twice", r.Send)
			}
			seen[r.Send] = true
			if accepted != nil && c.why(accepted, r) == "" {
				c.deliveryViolated(SentAgain, d, "request %s of %s was answered %d, and %s of %s came all the same, %d ms later",
					accepted.Send, c.sender(accepted), accepted.Status, r.Send, c.sender(r), (r.At-accepted.At)/1e6)
			}
			if r.accepted() {
				accepted = r
			}
		}
	}
}

// sender is the process that sent a request.
func (c *checker) sender(r *Request) string {
	if s := c.send[r.Send]; s != nil {
		return s.Process
	}
	return "nobody"
}

// why explains why an event was sent again after it had been accepted, or returns "".
func (c *checker) why(accepted, again *Request) string {
	s, next := c.send[accepted.Send], c.send[again.Send]
	if s == nil || next == nil {
		return ""
	}
	// If the second one was under way before the first was answered, they overlap, which is for another rule; it is this one's
	// fault then that the first was not known of.
	until := max(next.From, s.From)
	kill, killed := c.kills[s.Process]
	switch {
	case s.To == 0 && killed:
		return becauseKilled
	case s.To == 0:
		return ""
	case s.Status == 0 && s.To-s.From >= c.Timeout-slack:
		return becauseSlow
	case s.Status == 0 && c.struck(CutHTTP, s.Webhook, s.From-slack, s.To+slack):
		return becauseCut
	case killed && kill.meets(s.To, until):
		return becauseKilled
	case c.paused(s.Process, s.From, until, c.Lease/2), c.paused(next.Process, next.From-slack, next.From, c.Lease/2):
		return becausePaused
	case c.struck(Stop, "", s.From-c.Lease, until), c.struck(DiskFull, "", s.From, until), c.struck(CutDB, place(s.Process), s.From-c.Lease, until):
		return becauseDatabase
	}
	return ""
}

// place is where a process stands: its name without the number that tells it from those who were there before.
func place(process string) string {
	name, _, _ := strings.Cut(process, ".")
	return name
}

// struck says whether there was a fault of a kind within a time.
func (c *checker) struck(kind, target string, from, to int64) bool {
	return slices.ContainsFunc(c.faults[kind], func(f Fault) bool { return f.Target == target && f.meets(from, to) })
}

// paused says whether a process stood still for so long within a time, on purpose or not.
func (c *checker) paused(process string, from, to, atLeast int64) bool {
	still := func(f Fault) bool { return f.Target == process && f.To-f.From >= atLeast && f.meets(from, to) }
	return slices.ContainsFunc(c.faults[Pause], still) || slices.ContainsFunc(c.faults[Stall], still)
}

// oneInFlight demands that attempts of one delivery do not overlap, by the clocks of their senders, unless a sender could not know
// what time it was. One that was killed has ended at the latest when its process was gone.
func (c *checker) oneInFlight() {
	for d, sends := range c.sends {
		for i, s := range sends {
			end := s.To
			if end == 0 {
				end = c.kills[s.Process].To
			}
			if end == 0 {
				c.deliveryViolated(Overlap, d, "attempt %s has no end, and its process %s was not killed", s.ID, s.Process)
				continue
			}
			for _, next := range sends[i+1:] {
				if next.From >= end {
					break
				}
				if next.Process == s.Process || !c.paused(s.Process, s.From-slack, end, c.Lease/8) && !c.paused(next.Process, next.From-slack, next.From+slack, c.Lease/8) {
					c.deliveryViolated(Overlap, d, "attempt %s of %s began %d ms before %s of %s ended",
						next.ID, next.Process, (end-next.From)/1e6, s.ID, s.Process)
				}
			}
		}
	}
}
