package chaos

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
)

// history gathers what is known of the run.
func (r *run) history() *History {
	r.t.Helper()
	h := &History{Webhooks: r.webhooks, Faults: slices.Clone(r.faults), Timeout: int64(attemptTimeout), Lease: int64(leaseTTL)}
	r.gatherLog(h)
	r.gatherTables(h)
	r.gatherCommands(h)
	r.gatherSends(h)
	for _, receiver := range r.receivers {
		receiver.mu.Lock()
		h.Requests = append(h.Requests, receiver.requests...)
		receiver.mu.Unlock()
		if n := receiver.strays.Load(); n > 0 {
			r.t.Errorf("%d requests followed a redirect of %s", n, receiver.name)
		}
	}
	return h
}

func (r *run) gatherLog(h *History) {
	r.t.Helper()
	streams := map[domain.StreamID]bool{}
	for e, err := range eventstore.New(r.db).ReadLog(r.t.Context(), eventstore.Cursor{}) {
		r.must(err)
		var metadata domain.Metadata
		r.must(json.Unmarshal(e.Metadata, &metadata))
		h.Events = append(h.Events, Event{ID: e.ID.String(), Stream: e.Stream.String(), Version: e.Version, Type: e.Type, Command: metadata.CorrelationID})
		streams[e.Stream] = true
	}
	for stream := range streams {
		_, err := eventstore.VerifyChain(r.engine.StreamHistory(r.t.Context(), stream))
		if broken := new(eventstore.ChainError); errors.As(err, &broken) {
			h.Breaks = append(h.Breaks, Break{stream.String(), broken.Error()})
		} else {
			r.must(err)
		}
	}
}

func (r *run) gatherTables(h *History) {
	r.t.Helper()
	rows := func(query string, scan func(func(...any))) {
		result, err := r.db.Query(query)
		r.must(err)
		defer result.Close()
		for result.Next() {
			scan(func(into ...any) { r.must(result.Scan(into...)) })
		}
		r.must(result.Err())
	}
	rows(`SELECT key, stream, first_version, last_version FROM idempotency_keys`, func(scan func(...any)) {
		var k Key
		scan(&k.Name, &k.Stream, &k.First, &k.Last)
		h.Keys = append(h.Keys, k)
	})
	rows(`SELECT w.name, e.id FROM deliveries d JOIN webhooks w ON w.number = d.webhook JOIN events e USING (transaction_id, position)`,
		func(scan func(...any)) {
			var d Delivery
			scan(&d.Webhook, &d.Event)
			h.Left = append(h.Left, d)
		})
	rows(`SELECT w.name, e.id, a.number, a.outcome, coalesce(a.status_code, 0)
		FROM attempts a JOIN webhooks w ON w.number = a.webhook JOIN events e USING (transaction_id, position)`, func(scan func(...any)) {
		var a Attempt
		scan(&a.Webhook, &a.Event, &a.Number, &a.Outcome, &a.Status)
		h.Attempts = append(h.Attempts, a)
	})
	rows(`SELECT command FROM chaos_ledger`, func(scan func(...any)) {
		var command string
		scan(&command)
		h.Ledger = append(h.Ledger, command)
	})
	for _, w := range r.webhooks {
		if w.Inbox {
			rows(`SELECT event FROM chaos_processed ORDER BY n`, func(scan func(...any)) {
				d := Delivery{Webhook: w.Name}
				scan(&d.Event)
				h.Processed = append(h.Processed, d)
			})
		}
	}
}

func (r *run) gatherCommands(h *History) {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, "notes.*"))
	r.must(err)
	for _, path := range paths {
		notes, err := readNotes[commandNote](path)
		r.must(err)
		at := map[string]int{}
		for _, n := range notes {
			if n.Resumed {
				h.Commands[at[n.ID]].Resumed = true
				continue
			}
			if n.Result == "" {
				at[n.ID] = len(h.Commands)
				h.Commands = append(h.Commands, Command{ID: n.ID, Name: n.Name, Stream: n.Stream, Key: n.Key, Ledger: n.Ledger,
					Span: Span{From: n.At}, Result: Unknown})
				continue
			}
			c := &h.Commands[at[n.ID]]
			c.Result, c.Events, c.Last, c.To = n.Result, n.Events, n.Last, n.At
			if n.Result == Unknown {
				c.To = 0 // it may still have come to something, at any time
			}
		}
	}
}

func (r *run) gatherSends(h *History) {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, "relay*.notes"))
	r.must(err)
	for _, path := range paths {
		process := strings.TrimSuffix(filepath.Base(path), ".notes")
		notes, err := readNotes[sendNote](path)
		r.must(err)
		at := map[string]int{}
		for _, n := range notes {
			switch {
			case n.Begin != "":
				at[n.Begin] = len(h.Sends)
				h.Sends = append(h.Sends, Send{Delivery: n.Delivery, ID: n.Begin, Process: process, Span: Span{From: n.At}})
			case n.End != "":
				s := &h.Sends[at[n.End]]
				s.To, s.Status, s.Problem = n.At, n.Status, n.Problem
			case n.Stall != 0:
				h.Faults = append(h.Faults, Fault{Kind: Stall, Target: process, Span: Span{n.Stall, n.At}})
			}
		}
	}
}
