package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"time"

	"github.com/waybill-dev/waybill/eventstore"
)

const (
	// MaxSealed is how many events one seal covers at most. A longer range gets several.
	MaxSealed = 1 << 16
	markSize  = 4 // bytes of each leaf that a seal keeps
)

// Seal is a signed statement about a range of the log: from behind the end of the seal before it up to and including Last.
type Seal struct {
	Number       int64             // 1, 2, 3, … without gaps
	First, Last  eventstore.Cursor // places of its first and last event
	Events       int
	RecordedFrom time.Time // the earliest and the latest time of its events, UTC
	RecordedTo   time.Time
	Root         [sha256.Size]byte
	Marks        []byte            // four bytes of each leaf, in the order of the log
	Previous     [sha256.Size]byte // hash of the seal before it; zeros for the first
	PublicKey    ed25519.PublicKey
	SealedAt     time.Time // UTC, by the sealer's clock, never before the seal that precedes it
	Signature    []byte
}

// Statement is what is signed: lines of text, in a fixed order.
func (s Seal) Statement() []byte {
	return fmt.Appendf(nil, "waybill seal 1\nnumber %d\nfirst %d/%d\nlast %d/%d\nevents %d\nrecorded %d %d\nroot %x\nmarks %x\nprevious %x\nkey %x\nsealed %d\n",
		s.Number, s.First.TransactionID, s.First.Position, s.Last.TransactionID, s.Last.Position, s.Events,
		s.RecordedFrom.UnixMicro(), s.RecordedTo.UnixMicro(), s.Root, sha256.Sum256(s.Marks), s.Previous, []byte(s.PublicKey), s.SealedAt.UnixMicro())
}

// Hash identifies the seal, and everything before it: SHA-256 over its statement.
func (s Seal) Hash() [sha256.Size]byte { return sha256.Sum256(s.Statement()) }

// Signed says whether the seal was signed with the key that it names.
func (s Seal) Signed() bool {
	return len(s.PublicKey) == ed25519.PublicKeySize && ed25519.Verify(s.PublicKey, s.Statement(), s.Signature)
}

// follows says what is wrong with a seal as the one behind before, by themselves, the log unseen; it is empty where nothing is. The zero
// seal is before the first, and has the zero hash.
func (s Seal) follows(before Seal, hash [sha256.Size]byte) string {
	switch {
	case s.Number == before.Number+2:
		return fmt.Sprintf("seal %d, which comes before it, is missing", before.Number+1)
	case s.Number > before.Number+1:
		return fmt.Sprintf("seals %d to %d, which come before it, are missing", before.Number+1, s.Number-1)
	case s.Number != before.Number+1:
		return fmt.Sprintf("it comes behind seal %d", before.Number)
	}
	if reason := s.alone(); reason != "" {
		return reason
	}
	switch {
	case s.Previous != hash:
		return fmt.Sprintf("it was made behind another seal %d than this one", before.Number)
	case !less(before.Last, s.First) || s.SealedAt.Before(before.SealedAt):
		return "its range does not lie behind that of the seal before it"
	}
	return ""
}

// alone says what is wrong with a seal without any other.
func (s Seal) alone() string {
	switch {
	case !s.Signed():
		return "it was altered: its signature does not fit"
	case less(s.Last, s.First):
		return "its range ends before it begins"
	case s.Events < 1 || s.Events > MaxSealed || len(s.Marks) != markSize*s.Events:
		return fmt.Sprintf("it has marks for %d events, and is about %d", len(s.Marks)/markSize, s.Events)
	}
	return ""
}

func less(a, b eventstore.Cursor) bool {
	if a.TransactionID != b.TransactionID {
		return a.TransactionID < b.TransactionID
	}
	return a.Position < b.Position
}

// leaf hashes one event.
func leaf(place eventstore.Cursor, hash []byte) [sha256.Size]byte {
	var data [1 + 8 + 8 + sha256.Size]byte
	binary.BigEndian.PutUint64(data[1:], uint64(place.TransactionID))
	binary.BigEndian.PutUint64(data[9:], uint64(place.Position))
	copy(data[17:], hash)
	return sha256.Sum256(data[:])
}

func node(left, right [sha256.Size]byte) [sha256.Size]byte {
	var data [1 + 2*sha256.Size]byte
	data[0] = 1
	copy(data[1:], left[:])
	copy(data[1+sha256.Size:], right[:])
	return sha256.Sum256(data[:])
}

// tree computes the root over leaves that come one after the other, and keeps no more of them than one hash for each level.
type tree struct {
	leaves uint64
	peaks  [][sha256.Size]byte // of the full subtrees so far, the largest first: one for each bit of leaves
}

func (t *tree) add(leaf [sha256.Size]byte) {
	for range bits.TrailingZeros64(^t.leaves) { // as many as subtrees of equal size are completed by it
		last := len(t.peaks) - 1
		leaf, t.peaks = node(t.peaks[last], leaf), t.peaks[:last]
	}
	t.peaks = append(t.peaks, leaf)
	t.leaves++
}

// root of no leaves at all is the hash of nothing, as in RFC 6962.
func (t *tree) root() [sha256.Size]byte {
	if len(t.peaks) == 0 {
		return sha256.Sum256(nil)
	}
	last := len(t.peaks) - 1
	root := t.peaks[last]
	for last--; last >= 0; last-- {
		root = node(t.peaks[last], root)
	}
	return root
}

// collector makes a seal of the events of a range.
type collector struct {
	seal Seal
	tree tree
}

func (c *collector) add(place eventstore.Cursor, recordedAt time.Time, hash []byte) {
	s := &c.seal
	if s.Events == 0 {
		s.First, s.RecordedFrom, s.RecordedTo = place, recordedAt, recordedAt
	}
	if recordedAt.Before(s.RecordedFrom) {
		s.RecordedFrom = recordedAt
	}
	if recordedAt.After(s.RecordedTo) {
		s.RecordedTo = recordedAt
	}
	l := leaf(place, hash)
	c.tree.add(l)
	s.Marks = append(s.Marks, l[:markSize]...)
	s.Last = place
	s.Events++
}

// finish signs what was collected, as the seal behind before.
func (c *collector) finish(before Seal, key ed25519.PrivateKey, now time.Time) Seal {
	s := c.seal
	s.Number, s.Root, s.PublicKey = before.Number+1, c.tree.root(), key.Public().(ed25519.PublicKey)
	if before.Number > 0 {
		s.Previous = before.Hash()
	}
	s.SealedAt = now.UTC().Truncate(time.Microsecond) // what timestamptz can hold
	if s.SealedAt.Before(before.SealedAt) {
		s.SealedAt = before.SealedAt
	}
	s.Signature = ed25519.Sign(key, s.Statement())
	return s
}

// comparison holds the events of a range against the seal of it, one after the other.
type comparison struct {
	seal  Seal
	tree  tree
	seen  int
	first int               // index of the first event that is not what was sealed; -1 while there is none
	marks [2][markSize]byte // of that one and of the one behind it
	at    eventstore.Cursor // its place
	last  eventstore.Cursor // of the newest event
}

func compare(s Seal) *comparison { return &comparison{seal: s, first: -1} }

func (c *comparison) add(place eventstore.Cursor, hash []byte) {
	l := leaf(place, hash)
	c.tree.add(l)
	mark := l[:markSize]
	if c.first < 0 && !bytes.Equal(mark, c.mark(c.seen)) {
		c.first, c.at = c.seen, place
	}
	if i := c.seen - c.first; c.first >= 0 && i < len(c.marks) {
		copy(c.marks[i][:], mark)
	}
	c.last = place
	c.seen++
}

// mark is that of an event as it was sealed, nil where there was none.
func (c *comparison) mark(i int) []byte {
	if i >= c.seal.Events {
		return nil
	}
	return c.seal.Marks[markSize*i : markSize*(i+1)]
}

// fault says what is different, and at which event that shows; it is nil where nothing is.
func (c *comparison) fault() *Fault {
	if c.seen == c.seal.Events && c.tree.root() == c.seal.Root {
		return nil
	}
	f := &Fault{Seal: c.seal.Number, Sealed: c.seal.Events, Found: c.seen, at: c.at}
	gone := c.seal.Events - c.seen
	switch {
	case c.seen == 0:
		f.Reason = "all of its events are gone"
	case c.first < 0 && gone > 0:
		f.at, f.Reason = c.last, "the events behind this one are gone"
	case c.first < 0:
		f.Reason = "its events are not what was sealed" // though their marks are: somebody went to great lengths
	case gone > 0 && bytes.Equal(c.marks[0][:], c.mark(c.first+gone)):
		f.Reason = "the events right before this one are gone"
	case gone == -1 && bytes.Equal(c.marks[1][:], c.mark(c.first)):
		f.Reason = "this event was not there when it was sealed"
	default:
		f.Reason = "this event is not the one that was sealed at its place"
	}
	return f
}

// KeyID is a short name of a public key, for people: the first 16 hexadecimal digits of its SHA-256.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}
