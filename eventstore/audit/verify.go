package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// maxNamed is how many broken streams and faulty seals a report names. It counts all.
const maxNamed = 100

// Report says what was verified and what was found.
type Report struct {
	Streams  int64    `json:"streams"`
	Events   int64    `json:"events"`
	Broken   []Broken `json:"broken"`   // the first 100 by name, each with its first bad event
	BrokenAt int64    `json:"brokenAt"` // how many streams are broken
	Seals    Sealing  `json:"seals"`
	Bundle   *Bundled `json:"bundle,omitempty"` // nil for a database
}

// Bundled is what a bundle says about itself.
type Bundled struct {
	MadeAt    time.Time `json:"madeAt"`
	Workspace string    `json:"workspace"` // whose events it tells; empty for all
	Leaves    int64     `json:"leaves"`    // events of others, of which it tells the hash only
	Partial   bool      `json:"partial"`   // it does not begin with the log
	Signed    bool      `json:"signed"`    // its end is signed: it is as whole as it was made
}

// Broken names the first event of a stream that is not what was appended.
type Broken struct {
	Workspace string `json:"workspace"`
	Stream    string `json:"stream"`
	Version   int    `json:"version"`
	Reason    string `json:"reason"`
}

// Sealing is what the seals say.
type Sealing struct {
	Number   int64    `json:"number"`   // how many there are
	Sealed   int64    `json:"sealed"`   // events that they cover
	Unsealed int64    `json:"unsealed"` // events behind the last of them, which nothing but their chains protects
	Last     *Made    `json:"last"`     // the newest; nil where there is none
	Keys     []string `json:"keys"`     // the public keys that they are signed with, in base64, in the order of their first use
	Trusted  bool     `json:"trusted"`  // whether they were held against a key that was given, and not against the one that they name
	Faults   []Fault  `json:"faults"`   // the first 100, in the order of seals
	FaultyAt int64    `json:"faultyAt"` // how many faults there are
}

// Made tells when a seal was made.
type Made struct {
	Number   int64     `json:"number"`
	Hash     string    `json:"hash"`
	SealedAt time.Time `json:"sealedAt"`
}

// Fault is something that does not fit a seal.
type Fault struct {
	Seal   int64  `json:"seal"` // 0 where it is about a bundle as a whole
	Reason string `json:"reason"`
	Sealed int    `json:"sealed,omitempty"` // how many events were sealed, where it is about events
	Found  int    `json:"found,omitempty"`  // and how many are there
	// At is the event that Reason calls "this event", such as "order/ord_1 version 3 of workspace default". It is empty where the fault
	// is not about one.
	At string `json:"at,omitempty"`

	at eventstore.Cursor
}

func (f Fault) String() string {
	text := f.Reason
	switch {
	case f.At != "":
		text = fmt.Sprintf("seal %d, at %s: %s", f.Seal, f.At, f.Reason)
	case f.Seal > 0:
		text = fmt.Sprintf("seal %d: %s", f.Seal, f.Reason)
	}
	if f.Sealed != f.Found {
		text += fmt.Sprintf(" (%d were sealed, %d are there)", f.Sealed, f.Found)
	}
	return text
}

// Intact says whether nothing was found.
func (r Report) Intact() bool { return r.BrokenAt == 0 && r.Seals.FaultyAt == 0 }

// AlteredError says that the log, or a bundle of it, is not what it was.
type AlteredError struct{ Report Report }

func (e *AlteredError) Error() string {
	var found []string
	switch broken := e.Report.Broken; {
	case e.Report.BrokenAt == 1:
		found = append(found, fmt.Sprintf("history of %s is broken at version %d: %s", broken[0].Stream, broken[0].Version, broken[0].Reason))
	case e.Report.BrokenAt > 1:
		found = append(found, fmt.Sprintf("%d of %d histories are broken, the first of them, %s, at version %d: %s",
			e.Report.BrokenAt, e.Report.Streams, broken[0].Stream, broken[0].Version, broken[0].Reason))
	}
	switch faults := e.Report.Seals.Faults; {
	case e.Report.Seals.FaultyAt == 1:
		found = append(found, faults[0].String())
	case e.Report.Seals.FaultyAt > 1:
		found = append(found, fmt.Sprintf("%d faults at seals, the first at %s", e.Report.Seals.FaultyAt, faults[0]))
	}
	return strings.Join(found, "; ")
}

// Options tune [Log.Verify] and [VerifyBundle].
type Options struct {
	// Workspace narrows chains down to those of one workspace. Seals are about all.
	// Defaults to all.
	Workspace string
	// Keys are the public keys that seals may be signed with.
	// Defaults to whatever keys the seals name, which proves less.
	Keys []ed25519.PublicKey
	// Witness is what was written down of seals elsewhere; each of them has to be there.
	Witness []Witnessed
	// ChainsOnly leaves the seals out.
	ChainsOnly bool
	// Workers is how many read side by side.
	// Defaults to [DefaultWorkers].
	Workers int
	// Progress is told how far it is.
	Progress *Progress
}

func (o Options) workers() int {
	if o.Workers <= 0 {
		return DefaultWorkers
	}
	return o.Workers
}

// Verify checks every stream's chain from its first event to its last, and every seal against the log. What it finds is in the report;
// an error means that it could not finish.
func (l *Log) Verify(ctx context.Context, o Options) (Report, error) {
	report := Report{Broken: []Broken{}, Seals: Sealing{Keys: []string{}, Faults: []Fault{}, Trusted: len(o.Keys) > 0}}
	if err := l.verifyChains(ctx, o, &report); err != nil || o.ChainsOnly {
		return report, err
	}
	err := l.verifySeals(ctx, o, &report)
	return report, err
}

func (l *Log) verifyChains(ctx context.Context, o Options, report *Report) error {
	total, err := l.estimate(ctx, o.Workspace)
	if err != nil {
		return err
	}
	o.Progress.begin("chains", total)
	var streams, events atomic.Int64
	var mu sync.Mutex
	err = l.streams(ctx, o.Workspace, o.workers(), o.Progress, func() func(domain.Recorded) error {
		c := &chains{streams: &streams, events: &events, broken: func(b Broken) {
			mu.Lock()
			defer mu.Unlock()
			report.broken(b)
		}}
		return c.add
	})
	report.Streams, report.Events = streams.Load(), events.Load()
	slices.SortFunc(report.Broken, func(a, b Broken) int {
		return cmp.Or(strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.Stream, b.Stream))
	})
	return err
}

func (r *Report) broken(b Broken) {
	if r.BrokenAt++; len(r.Broken) < maxNamed {
		r.Broken = append(r.Broken, b)
	}
}

// chains walks along streams, one after the other, and counts those it has seen and the events that are what was appended.
type chains struct {
	workspace string
	stream    domain.StreamID
	chain     eventstore.Chain
	skip      bool // the rest of a broken stream

	streams, events *atomic.Int64
	broken          func(Broken)
}

func (c *chains) add(r domain.Recorded) error {
	if r.Workspace != c.workspace || r.Stream != c.stream {
		c.workspace, c.stream, c.chain, c.skip = r.Workspace, r.Stream, eventstore.Chain{}, false
		c.streams.Add(1)
	}
	if c.skip {
		return nil
	}
	err := c.chain.Add(r)
	if err == nil {
		c.events.Add(1)
		return nil
	}
	var broken *eventstore.ChainError
	if !errors.As(err, &broken) {
		return err
	}
	c.skip = true
	c.broken(Broken{c.workspace, c.stream.String(), broken.Version, broken.Reason})
	return nil
}

// estimate is about how many events there are, 0 where nobody knows.
func (l *Log) estimate(ctx context.Context, workspace string) (events int64, err error) {
	if workspace != "" {
		return 0, nil
	}
	err = l.db.QueryRowContext(ctx, `SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'events'::regclass`).Scan(&events)
	return events, pgerr.Wrap("read the size of the log", err)
}

func (l *Log) verifySeals(ctx context.Context, o Options, report *Report) error {
	last, found, err := l.LastSeal(ctx)
	if err != nil {
		return err
	}
	o.Progress.begin("seals", report.Events)
	type task struct {
		after eventstore.Cursor
		seal  Seal
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan task)
	var mu sync.Mutex // of report.Seals
	var readers sync.WaitGroup
	if found {
		for range o.workers() {
			readers.Go(func() {
				for t := range tasks {
					fault, err := l.compare(ctx, t.after, t.seal, o.Progress)
					if err != nil {
						cancel(err)
						return
					}
					if fault != nil {
						mu.Lock()
						report.Seals.fault(*fault)
						mu.Unlock()
					}
				}
			})
		}
	}
	checks := newSealChecks(o, &report.Seals)
	for s, err := range l.Seals(ctx, 0) {
		if err != nil {
			cancel(err)
			break
		}
		mu.Lock()
		after, usable := checks.add(s)
		mu.Unlock()
		if usable {
			select {
			case tasks <- task{after, s}:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil || s.Number >= last.Number {
			break // what is sealed from now on is for the next time
		}
	}
	close(tasks)
	readers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	checks.end()
	slices.SortStableFunc(report.Seals.Faults, func(a, b Fault) int { return cmp.Compare(a.Seal, b.Seal) })
	end := checks.before.Last
	err = l.db.QueryRowContext(ctx, `SELECT count(*) FROM events WHERE (transaction_id, position) > ($1, $2)`, end.TransactionID, end.Position).
		Scan(&report.Seals.Unsealed)
	return pgerr.Wrap("count what is not sealed", err)
}

func (s *Sealing) fault(f Fault) {
	if s.FaultyAt++; len(s.Faults) < maxNamed {
		s.Faults = append(s.Faults, f)
	}
}

// compare holds the log behind a place against the seal of it.
func (l *Log) compare(ctx context.Context, after eventstore.Cursor, s Seal, p *Progress) (*Fault, error) {
	c := compare(s)
	err := l.leaves(ctx, after, s.Last, 0, func(place eventstore.Cursor, _ time.Time, hash []byte) error {
		c.add(place, hash)
		p.add(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	f := c.fault()
	if f != nil && f.at != (eventstore.Cursor{}) {
		var workspace, stream string
		var version int
		if err := l.db.QueryRowContext(ctx, `SELECT workspace, stream, version FROM events WHERE transaction_id = $1 AND position = $2`,
			f.at.TransactionID, f.at.Position).Scan(&workspace, &stream, &version); err != nil {
			return nil, pgerr.Wrap("name an event", err)
		}
		f.At = eventName(workspace, stream, version)
	}
	return f, nil
}

func eventName(workspace, stream string, version int) string {
	return fmt.Sprintf("%s version %d of workspace %s", stream, version, workspace)
}

// sealChecks looks at seals as they come, in their order, without the log.
type sealChecks struct {
	keys    []ed25519.PublicKey
	witness []Witnessed // of what is still to come, in its order
	report  *Sealing
	before  Seal // without its marks
	hash    [sha256.Size]byte
	whole   bool // whether before is there and fit to go on from
}

func newSealChecks(o Options, report *Sealing) *sealChecks {
	c := &sealChecks{keys: o.Keys, witness: slices.Clone(o.Witness), report: report, whole: true}
	slices.SortStableFunc(c.witness, func(a, b Witnessed) int { return cmp.Compare(a.Number, b.Number) })
	return c
}

// beginAt lets the first seal be that with a number, and what is before it be elsewhere.
func (c *sealChecks) beginAt(number int64, previous [sha256.Size]byte) {
	c.before, c.hash, c.whole = Seal{Number: number - 1}, previous, number == 1
	c.witness = slices.DeleteFunc(c.witness, func(w Witnessed) bool { return w.Number < number })
}

// add checks the next seal, and says behind which place its events begin, where it is fit to be held against them.
func (c *sealChecks) add(s Seal) (after eventstore.Cursor, usable bool) {
	reason := s.follows(c.before, c.hash)
	usable = s.alone() == ""
	after = c.before.Last
	if !c.whole || s.Number != c.before.Number+1 {
		after = eventstore.Cursor{TransactionID: s.First.TransactionID, Position: s.First.Position - 1}
	}
	c.before, c.hash, c.whole = s, s.Hash(), usable
	c.before.Marks = nil
	hash := hex.EncodeToString(c.hash[:])
	switch {
	case reason != "":
	case len(c.keys) > 0 && !slices.ContainsFunc(c.keys, func(k ed25519.PublicKey) bool { return k.Equal(s.PublicKey) }):
		reason = fmt.Sprintf("it is signed with the key %s, which is none of those given", KeyID(s.PublicKey))
	default:
		reason = c.witnessed(s.Number, hash)
	}
	if reason != "" {
		c.report.fault(Fault{Seal: s.Number, Reason: reason})
	}
	if key := FormatPublicKey(s.PublicKey); !slices.Contains(c.report.Keys, key) && len(c.report.Keys) < maxNamed {
		c.report.Keys = append(c.report.Keys, key)
	}
	c.report.Number++
	c.report.Sealed += int64(s.Events)
	c.report.Last = &Made{s.Number, hash, s.SealedAt}
	return after, usable
}

// witnessed compares a seal with what was written down of it.
func (c *sealChecks) witnessed(number int64, hash string) string {
	for len(c.witness) > 0 && c.witness[0].Number <= number {
		w := c.witness[0]
		c.witness = c.witness[1:]
		if w.Number == number && w.Hash != hash {
			return fmt.Sprintf("it is another than the one that was written down, %.16s…", w.Hash)
		}
	}
	return ""
}

// end looks for seals that were written down and did not come.
func (c *sealChecks) end() {
	for _, w := range c.witness {
		if w.Number > c.before.Number {
			c.report.fault(Fault{Seal: w.Number, Reason: "it is missing: it was made at " + w.SealedAt.UTC().Format(time.RFC3339)})
		}
	}
}
