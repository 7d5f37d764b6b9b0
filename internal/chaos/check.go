package chaos

import (
	"cmp"
	"fmt"
	"slices"
)

// Rules that a history can violate.
const (
	Lost           = "lost"            // an event is wanted, and was not accepted or not recorded
	Unwanted       = "unwanted"        // an event was delivered to a webhook that it is not for
	RecordedTwice  = "recorded twice"  // two successes of one delivery
	RecordedUnsent = "recorded unsent" // a success that the receiver knows nothing of
	OutOfOrder     = "out of order"    // a receiver accepted an event before an earlier one of its order
	SentAgain      = "sent again"      // after it was accepted, and no fault explains it
	Overlap        = "two in flight"   // attempts of one delivery, and no fault explains it
	OtherBytes     = "other bytes"     // two copies of an event differ
	Forged         = "forged"          // a request's signature is not valid, or nobody made it
	ProcessedTwice = "processed twice" // in spite of the inbox
	BrokenHistory  = "broken history"  // gaps, doubles or wrong hashes in the log
	BrokenCommand  = "broken command"  // what a caller was told is not what the log says
)

// Violation is a promise that was not kept.
type Violation struct {
	Rule    string
	What    string // the delivery, stream or command
	Message string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.What, v.Message) }

// Check returns everything in a history that should not be. It is to be asked once all that was under way had time to finish.
func Check(h *History) []Violation {
	c := newChecker(h)
	for _, rule := range []func(){
		c.everythingArrived, c.recordedOnce, c.recordedTruly, c.inOrder, c.sentOnce, c.oneInFlight, c.sameBytes, c.processedOnce,
		c.logHolds, c.commandsHold,
	} {
		rule()
	}
	return c.violations
}

// checker has a history by what is looked for in it.
type checker struct {
	*History
	violations []Violation

	events   map[string]*Event
	place    map[string]int // of an event in the log
	commands map[string]*Command
	webhooks map[string]*Webhook
	requests map[Delivery][]*Request // by time
	sends    map[Delivery][]*Send    // by time
	send     map[string]*Send
	kills    map[string]Span // by process
	faults   map[string][]Fault
}

func newChecker(h *History) *checker {
	c := &checker{History: h,
		events: map[string]*Event{}, place: map[string]int{}, commands: map[string]*Command{}, webhooks: map[string]*Webhook{},
		requests: map[Delivery][]*Request{}, sends: map[Delivery][]*Send{}, send: map[string]*Send{}, kills: map[string]Span{},
		faults: map[string][]Fault{},
	}
	for i := range h.Events {
		c.events[h.Events[i].ID], c.place[h.Events[i].ID] = &h.Events[i], i
	}
	for i := range h.Commands {
		c.commands[h.Commands[i].ID] = &h.Commands[i]
	}
	for i := range h.Webhooks {
		c.webhooks[h.Webhooks[i].Name] = &h.Webhooks[i]
	}
	for i := range h.Requests {
		r := &h.Requests[i]
		c.requests[r.Delivery] = append(c.requests[r.Delivery], r)
	}
	for _, list := range c.requests {
		slices.SortStableFunc(list, func(a, b *Request) int { return cmp.Compare(a.At, b.At) })
	}
	for i := range h.Sends {
		s := &h.Sends[i]
		c.sends[s.Delivery] = append(c.sends[s.Delivery], s)
		c.send[s.ID] = s
	}
	for _, list := range c.sends {
		slices.SortStableFunc(list, func(a, b *Send) int { return cmp.Compare(a.From, b.From) })
	}
	for _, f := range h.Faults {
		c.faults[f.Kind] = append(c.faults[f.Kind], f)
		if f.Kind == Kill {
			c.kills[f.Target] = f.Span
		}
	}
	return c
}

func (c *checker) violated(rule, what, format string, args ...any) {
	c.violations = append(c.violations, Violation{rule, what, fmt.Sprintf(format, args...)})
}

// deliveryViolated names the event by its stream and version, too.
func (c *checker) deliveryViolated(rule string, d Delivery, format string, args ...any) {
	what := d.Webhook + " " + d.Event
	if e := c.events[d.Event]; e != nil {
		what += fmt.Sprintf(" (%s v%d %s)", e.Stream, e.Version, e.Type)
	}
	c.violated(rule, what, format, args...)
}

// wants says whether a webhook has to get an event, and whether it may.
func (c *checker) wants(w *Webhook, e *Event) (must, may bool) {
	if len(w.Types) > 0 && !slices.Contains(w.Types, e.Type) {
		return false, false
	}
	command := c.commands[e.Command]
	if command == nil {
		return false, true
	}
	return command.From > w.Made.To, command.To == 0 || command.To > w.Made.From
}

func (c *checker) everythingArrived() {
	for _, d := range c.Left {
		c.deliveryViolated(Lost, d, "the delivery is still open")
	}
	recorded := map[Delivery]bool{}
	for _, a := range c.Attempts {
		if a.Outcome == "delivered" {
			recorded[a.Delivery] = true
		}
	}
	for i := range c.Webhooks {
		for j := range c.Events {
			w, e := &c.Webhooks[i], &c.Events[j]
			d := Delivery{w.Name, e.ID}
			must, may := c.wants(w, e)
			accepted := slices.ContainsFunc(c.requests[d], (*Request).accepted)
			switch {
			case must && !accepted:
				c.deliveryViolated(Lost, d, "the receiver has never accepted it, in %d requests", len(c.requests[d]))
			case must && !recorded[d]:
				c.deliveryViolated(Lost, d, "no success is recorded")
			case !may && len(c.requests[d]) > 0:
				c.deliveryViolated(Unwanted, d, "it was sent %d times", len(c.requests[d]))
			}
		}
	}
	for d := range c.requests {
		if c.events[d.Event] == nil {
			c.deliveryViolated(Forged, d, "the log has no such event")
		}
	}
}

func (c *checker) recordedOnce() {
	successes := map[Delivery]int{}
	for _, a := range c.Attempts {
		if a.Outcome == "delivered" {
			successes[a.Delivery]++
		}
	}
	for d, n := range successes {
		if n > 1 {
			c.deliveryViolated(RecordedTwice, d, "%d attempts are recorded as delivered", n)
		}
	}
}

func (c *checker) recordedTruly() {
	for _, a := range c.Attempts {
		if a.Outcome == "delivered" && !slices.ContainsFunc(c.requests[a.Delivery], (*Request).accepted) {
			c.deliveryViolated(RecordedUnsent, a.Delivery, "attempt %d is recorded as delivered, and none was accepted in %d requests",
				a.Number, len(c.requests[a.Delivery]))
		}
	}
}

// inOrder compares when events of a stream were first accepted.
func (c *checker) inOrder() {
	type lane struct{ webhook, stream string }
	latest := map[lane]*Event{}
	seen := map[Delivery]bool{}
	requests := make([]*Request, 0, len(c.Requests))
	for i := range c.Requests {
		requests = append(requests, &c.Requests[i])
	}
	slices.SortStableFunc(requests, func(a, b *Request) int { return cmp.Compare(a.At, b.At) })
	for _, r := range requests {
		w, e := c.webhooks[r.Webhook], c.events[r.Event]
		if !r.accepted() || w == nil || e == nil || !w.Ordered || seen[r.Delivery] {
			continue
		}
		seen[r.Delivery] = true
		l := lane{r.Webhook, e.Stream}
		if before := latest[l]; before != nil && before.Version > e.Version {
			c.deliveryViolated(OutOfOrder, r.Delivery, "it was first accepted after version %d", before.Version)
		} else {
			latest[l] = e
		}
	}
}

func (c *checker) sameBytes() {
	for d, requests := range c.requests {
		for _, r := range requests {
			if !r.Signed {
				c.deliveryViolated(Forged, d, "the signature of request %s does not fit", r.Send)
			}
			if r.Body != requests[0].Body {
				c.deliveryViolated(OtherBytes, d, "request %s has another body than %s before", r.Send, requests[0].Send)
			}
		}
	}
}

func (c *checker) processedOnce() {
	times := map[Delivery]int{}
	latest := map[string]int{} // by webhook and stream
	for _, d := range c.Processed {
		e := c.events[d.Event]
		if times[d]++; times[d] > 1 || e == nil {
			continue
		}
		lane := d.Webhook + " " + e.Stream
		if e.Version < latest[lane] {
			c.deliveryViolated(OutOfOrder, d, "it was processed after version %d", latest[lane])
		}
		latest[lane] = e.Version
	}
	for d, n := range times {
		if n > 1 {
			c.deliveryViolated(ProcessedTwice, d, "it was processed %d times", n)
		}
	}
	for i := range c.Webhooks {
		for j := range c.Events {
			d := Delivery{c.Webhooks[i].Name, c.Events[j].ID}
			if must, _ := c.wants(&c.Webhooks[i], &c.Events[j]); must && c.Webhooks[i].Inbox && times[d] == 0 {
				c.deliveryViolated(Lost, d, "it was never processed")
			}
		}
	}
}
