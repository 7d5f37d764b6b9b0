package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/waybill-dev/waybill/eventstore"
)

// What a bundle may expand to: what gzip makes of honest ones is a tenth or so.
const (
	maxRatio   = 200
	freeOfRate = 64 << 20 // bytes that may come before anybody looks at the ratio
)

// BundleError says that something is not a bundle, or not a whole one.
type BundleError struct {
	Line   int64 // 1 is the first; 0 where it is not about a line
	Reason string
}

func (e *BundleError) Error() string {
	if e.Line == 0 {
		return "the bundle cannot be read: " + e.Reason
	}
	return fmt.Sprintf("line %d of the bundle: %s", e.Line, e.Reason)
}

// VerifyBundle checks a bundle as [Log.Verify] checks a database: chains, as far as it tells of them, seals, and that it is whole. What it
// finds is in the report. It returns a [*BundleError] for what is not a whole bundle. However large the bundle is, it takes some tens of
// megabytes of memory; what has to be sorted besides goes to a temporary file, of about a fifth of the bundle's expanded size.
func VerifyBundle(ctx context.Context, from io.Reader, o Options) (Report, error) {
	v := &bundleVerifier{
		options: o, lines: newLineReader(from), hash: sha256.New(),
		report: Report{Broken: []Broken{}, Seals: Sealing{Keys: []string{}, Faults: []Fault{}, Trusted: len(o.Keys) > 0}},
	}
	defer v.links.close()
	v.encoder = json.NewEncoder(&v.canonical)
	v.encoder.SetEscapeHTML(false)
	v.checks = newSealChecks(o, &v.report.Seals)
	o.Progress.begin("bundle", 0)
	for v.end == nil {
		if err := ctx.Err(); err != nil {
			return v.report, err
		}
		if err := v.line(); err != nil {
			return v.report, err
		}
	}
	if err := v.finish(); err != nil {
		return v.report, err
	}
	return v.report, v.links.verify(v.report.Bundle.Partial, &v.report)
}

type bundleVerifier struct {
	options   Options
	lines     *lineReader
	hash      hash.Hash // of the lines so far
	canonical bytes.Buffer
	encoder   *json.Encoder
	report    Report
	links     links
	checks    *sealChecks
	header    *header
	end       *endLine
	counted   endLine
	place     eventstore.Cursor // of the newest event

	// The seal whose events come now, what its comparison began behind, and the names of the event that it found different and of the newest.
	sealed        *comparison
	after         eventstore.Cursor
	altered, last name
}

type name struct {
	workspace, stream string
	version           int
}

func (n name) String() string {
	if n.version == 0 {
		return "an event of another workspace"
	}
	return eventName(n.workspace, n.stream, n.version)
}

func (v *bundleVerifier) failf(format string, args ...any) error {
	return &BundleError{v.lines.number, fmt.Sprintf(format, args...)}
}

// line reads the next line.
func (v *bundleVerifier) line() error {
	text, err := v.lines.next()
	if errors.Is(err, io.EOF) {
		return &BundleError{0, fmt.Sprintf("it was cut off: it ends after %d lines, without its end", v.lines.number)}
	}
	if err != nil {
		return err
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return v.failf("it is not written as a bundle's lines are: %v", err)
	}
	kinds := 0
	for _, there := range []bool{l.Bundle != nil, l.Event != nil, l.Leaf != nil, l.Seal != nil, l.End != nil} {
		if there {
			kinds++
		}
	}
	if kinds != 1 {
		return v.failf("it is of %d of the kinds bundle, event, leaf, seal and end; want 1", kinds)
	}
	v.canonical.Reset()
	if err := v.encoder.Encode(l); err != nil || !bytes.Equal(v.canonical.Bytes(), text) {
		return v.failf("it is not written as a bundle's lines are: it has unknown, repeated or missing fields, or other spaces or order")
	}
	if (l.Bundle != nil) != (v.lines.number == 1) {
		return v.failf("the header has to be the first line, and only that")
	}
	if l.End == nil {
		v.hash.Write(text)
	}
	switch {
	case l.Bundle != nil:
		return v.begin(l.Bundle)
	case l.Seal != nil:
		return v.seal(l.Seal)
	case l.Event != nil:
		e := l.Event
		r := e.recorded()
		v.counted.Events++
		err := v.links.add(link{e.Workspace, e.Stream, e.Version, e.RecordedAt.UnixMicro(),
			bytes.Equal(e.Hash, eventstore.ChainHash(e.Previous, r)), e.Previous, e.Hash})
		if err != nil {
			return err
		}
		return v.event(eventstore.Cursor(e.Place), e.Hash, name{e.Workspace, e.Stream, e.Version})
	case l.Leaf != nil:
		v.counted.Leaves++
		return v.event(eventstore.Cursor(l.Leaf.Place), l.Leaf.Hash, name{})
	}
	v.end = l.End
	return nil
}

func (v *bundleVerifier) begin(h *header) error {
	if h.Format != bundleFormat {
		return v.failf("its format is %d, and this program knows format %d: use the version of waybill that wrote it, or a newer one", h.Format, bundleFormat)
	}
	var previous [sha256.Size]byte
	if copy(previous[:], h.Previous) != len(previous) || h.FirstSeal < 0 {
		return v.failf("its header is not one")
	}
	v.header = h
	v.place = eventstore.Cursor(h.After)
	v.report.Bundle = &Bundled{MadeAt: h.MadeAt, Workspace: h.Workspace, Partial: h.After != cursor{}}
	if v.report.Bundle.Partial {
		first := h.FirstSeal
		if first == 0 {
			first = 1 << 62 // it is said to lie behind all seals
		}
		v.checks.beginAt(first, previous)
	}
	return nil
}

func (v *bundleVerifier) seal(l *sealLine) error {
	s, ok := l.seal()
	if !ok {
		return v.failf("it is not a seal")
	}
	if v.counted.Seals > 0 && s.Number <= v.checks.before.Number {
		return v.failf("seal %d comes behind seal %d", s.Number, v.checks.before.Number)
	}
	v.counted.Seals++
	v.endOfSeal()
	after, usable := v.checks.add(s)
	if usable {
		v.sealed, v.after = compare(s), after
	}
	return nil
}

// endOfSeal says what was wrong with the events of a seal, all of which have come.
func (v *bundleVerifier) endOfSeal() {
	if v.sealed == nil {
		return
	}
	if f := v.sealed.fault(); f != nil {
		if f.at != (eventstore.Cursor{}) {
			f.At = v.last.String()
			if v.sealed.first >= 0 {
				f.At = v.altered.String()
			}
		}
		v.report.Seals.fault(*f)
	}
	v.sealed = nil
}

func (v *bundleVerifier) event(place eventstore.Cursor, hash []byte, n name) error {
	if !less(v.place, place) {
		return v.failf("the event at %d/%d comes twice, or out of order: the one before it is at %d/%d",
			place.TransactionID, place.Position, v.place.TransactionID, v.place.Position)
	}
	if len(hash) != sha256.Size {
		return v.failf("its hash is none")
	}
	v.place = place
	v.options.Progress.add(1)
	if v.sealed != nil && less(v.sealed.seal.Last, place) {
		v.endOfSeal()
	}
	if v.sealed != nil && less(v.after, place) {
		before := v.sealed.first
		v.sealed.add(place, hash)
		if before < 0 && v.sealed.first >= 0 {
			v.altered = n
		}
		v.last = n
	} else if less(v.checks.before.Last, place) {
		v.report.Seals.Unsealed++
	}
	return nil
}

// finish checks the end, and that nothing comes behind it.
func (v *bundleVerifier) finish() error {
	v.endOfSeal()
	v.checks.end()
	fault := func(reason string) { v.report.Seals.fault(Fault{Reason: reason}) }
	end := v.end
	if !bytes.Equal(end.SHA256, v.hash.Sum(nil)) || end.Events != v.counted.Events || end.Leaves != v.counted.Leaves || end.Seals != v.counted.Seals {
		fault("the bundle was altered: its lines are not those that its end is about")
	}
	switch {
	case len(end.Signature) == 0 && len(end.PublicKey) == 0:
	case !end.signed():
		fault("the bundle was altered: the signature of its end does not fit")
	case len(v.options.Keys) > 0 && !slices.ContainsFunc(v.options.Keys, func(k ed25519.PublicKey) bool { return k.Equal(ed25519.PublicKey(end.PublicKey)) }):
		fault("the bundle's end is signed with the key " + KeyID(end.PublicKey) + ", which is none of those given")
	default:
		v.report.Bundle.Signed = true
	}
	v.report.Bundle.Leaves = v.counted.Leaves
	slices.SortStableFunc(v.report.Seals.Faults, func(a, b Fault) int { return cmp.Compare(a.Seal, b.Seal) })
	_, err := v.lines.next()
	switch {
	case err == nil:
		return v.failf("something comes behind the end")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// lineReader reads the lines of a gzip'd text, and does not let it grow beyond measure.
type lineReader struct {
	packed *counter
	raw    *bufio.Reader
	gzip   *gzip.Reader
	text   *bufio.Reader
	buffer []byte
	size   int64 // of the text so far
	number int64
}

type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	return n, err
}

func newLineReader(from io.Reader) *lineReader { return &lineReader{packed: &counter{from: from}} }

// next returns a line with its end, which is valid until the next call, or io.EOF where the text ends.
func (r *lineReader) next() ([]byte, error) {
	if r.gzip == nil {
		var err error
		r.raw = bufio.NewReaderSize(r.packed, 1<<16)
		if r.gzip, err = gzip.NewReader(r.raw); err != nil {
			return nil, r.explain(err)
		}
		r.gzip.Multistream(false)
		r.text = bufio.NewReaderSize(r.gzip, 1<<16)
	}
	r.number++
	r.buffer = r.buffer[:0]
	for {
		part, err := r.text.ReadSlice('\n')
		r.buffer = append(r.buffer, part...)
		r.size += int64(len(part))
		switch {
		case len(r.buffer) > maxLine:
			return nil, &BundleError{r.number, fmt.Sprintf("it is longer than the %d MiB that a line may have", maxLine>>20)}
		case r.size > freeOfRate && r.size/maxRatio > r.packed.n:
			return nil, &BundleError{r.number, fmt.Sprintf("the bundle expands to more than %d times its size: it is not one that waybill wrote", maxRatio)}
		case err == nil:
			return r.buffer, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.buffer) == 0:
			r.number--
			if _, err := r.raw.ReadByte(); err == nil {
				return nil, &BundleError{0, "something comes behind its end"}
			}
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, &BundleError{r.number, "it was cut off"}
		default:
			return nil, r.explain(err)
		}
	}
}

// explain tells what a broken gzip stream means for a bundle.
func (r *lineReader) explain(err error) error {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, io.EOF) && r.number == 0:
		return &BundleError{0, "it is not gzip, as `waybill audit export` writes it"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &BundleError{r.number, "the bundle was cut off here"}
	case errors.Is(err, gzip.ErrChecksum):
		return &BundleError{0, "it is damaged: its checksum does not fit"}
	}
	if errors.As(err, new(flate.CorruptInputError)) {
		return &BundleError{r.number, "the bundle is damaged here"}
	}
	return err
}
