package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
)

// A bundle is gzip'd JSON, one object in each line, with one field that names its kind. The first line is the header, the last the end;
// between them come the events in the order of the log, and each seal before the first event that it covers:
//
//	{"bundle":{"format":1,"madeAt":"…","workspace":"","after":"0/0","firstSeal":1,"previous":"00…"}}
//	{"seal":{"number":1,"first":"…","last":"…","events":812,"recordedFrom":"…","recordedTo":"…","root":"…","marks":"…","previous":"…",
//	 "publicKey":"…","signature":"…","sealedAt":"…"}}
//	{"event":{"place":"17592186045190/3","workspace":"acme","stream":"order/ord_1","version":1,"id":"…","type":"order.created",
//	 "schemaVersion":1,"data":"{…}","metadata":"{…}","recordedAt":"…","previous":"","hash":"…"}}
//	{"leaf":{"place":"…","hash":"…"}}
//	{"end":{"events":812,"leaves":0,"seals":1,"sha256":"…","publicKey":"…","signature":"…"}}
//
// Data and metadata are strings, so that they keep their very bytes, which the hash covers. A leaf stands for an event of another workspace
// than the one that was asked for. Every line is exactly as encoding/json writes the struct below, without escaping <, > and &; so there is
// one way to write each bundle, and no field can come twice.
type line struct {
	Bundle *header    `json:"bundle,omitempty"`
	Event  *eventLine `json:"event,omitempty"`
	Leaf   *leafLine  `json:"leaf,omitempty"`
	Seal   *sealLine  `json:"seal,omitempty"`
	End    *endLine   `json:"end,omitempty"`
}

const (
	bundleFormat = 1
	// maxLine is how long a line may be, in bytes. An event has up to 1 MiB of data, which can be up to six times as long as a string.
	maxLine = 16 << 20
)

type header struct {
	Format    int       `json:"format"`
	MadeAt    time.Time `json:"madeAt"`
	Workspace string    `json:"workspace"` // whose events it tells; empty for all
	After     cursor    `json:"after"`     // the place in the log that it begins behind; 0/0 is the beginning
	FirstSeal int64     `json:"firstSeal"` // the number of its first seal; 0 where it has none
	Previous  hexBytes  `json:"previous"`  // hash of the seal before that
}

type eventLine struct {
	Place         cursor    `json:"place"` // transaction/position
	Workspace     string    `json:"workspace"`
	Stream        string    `json:"stream"`
	Version       int       `json:"version"`
	ID            uuid.UUID `json:"id"`
	Type          string    `json:"type"`
	SchemaVersion int       `json:"schemaVersion"`
	Data          string    `json:"data"`
	Metadata      string    `json:"metadata"`
	RecordedAt    time.Time `json:"recordedAt"`
	Previous      hexBytes  `json:"previous"` // hash of the event before it in its stream; empty for the first
	Hash          hexBytes  `json:"hash"`
}

func (e *eventLine) recorded() domain.Recorded {
	return domain.Recorded{
		Workspace: e.Workspace, Stream: streamID(e.Stream), Version: e.Version, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion,
		Data: json.RawMessage(e.Data), Metadata: json.RawMessage(e.Metadata), RecordedAt: e.RecordedAt, Hash: e.Hash,
	}
}

type leafLine struct {
	Place cursor   `json:"place"`
	Hash  hexBytes `json:"hash"`
}

type sealLine struct {
	Number       int64     `json:"number"`
	First        cursor    `json:"first"`
	Last         cursor    `json:"last"`
	Events       int       `json:"events"`
	RecordedFrom time.Time `json:"recordedFrom"`
	RecordedTo   time.Time `json:"recordedTo"`
	Root         hexBytes  `json:"root"`
	Marks        []byte    `json:"marks"` // base64
	Previous     hexBytes  `json:"previous"`
	PublicKey    []byte    `json:"publicKey"`
	Signature    []byte    `json:"signature"`
	SealedAt     time.Time `json:"sealedAt"`
}

func sealLineOf(s Seal) *sealLine {
	return &sealLine{s.Number, cursor(s.First), cursor(s.Last), s.Events, s.RecordedFrom, s.RecordedTo, s.Root[:], s.Marks, s.Previous[:],
		s.PublicKey, s.Signature, s.SealedAt}
}

// seal is the seal of the line; ok is false where a hash in it is none.
func (l *sealLine) seal() (s Seal, ok bool) {
	s = Seal{Number: l.Number, First: eventstore.Cursor(l.First), Last: eventstore.Cursor(l.Last), Events: l.Events, RecordedFrom: l.RecordedFrom,
		RecordedTo: l.RecordedTo, Marks: l.Marks, PublicKey: l.PublicKey, SealedAt: l.SealedAt, Signature: l.Signature}
	return s, copy(s.Root[:], l.Root) == sha256.Size && copy(s.Previous[:], l.Previous) == sha256.Size
}

type endLine struct {
	Events    int64    `json:"events"`
	Leaves    int64    `json:"leaves"`
	Seals     int64    `json:"seals"`
	SHA256    hexBytes `json:"sha256"` // of every line before, as they are without gzip
	PublicKey []byte   `json:"publicKey,omitempty"`
	Signature []byte   `json:"signature,omitempty"` // of statement; missing where there was no key at hand
}

// statement is what is signed of a bundle's end: that it is a whole bundle.
func (e *endLine) statement() []byte {
	return fmt.Appendf(nil, "waybill bundle %d\nevents %d\nleaves %d\nseals %d\nsha256 %x\n", bundleFormat, e.Events, e.Leaves, e.Seals, []byte(e.SHA256))
}

func (e *endLine) signed() bool {
	return len(e.PublicKey) == ed25519.PublicKeySize && ed25519.Verify(e.PublicKey, e.statement(), e.Signature)
}

// hexBytes are written in hexadecimal.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// cursor is a place, written as transaction/position.
type cursor eventstore.Cursor

func (c cursor) MarshalText() ([]byte, error) {
	return strconv.AppendInt(append(strconv.AppendInt(nil, c.TransactionID, 10), '/'), c.Position, 10), nil
}

func (c *cursor) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d/%d", &c.TransactionID, &c.Position)
	return err
}
