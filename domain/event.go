package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
)

// StreamID names one aggregate's stream within a workspace.
type StreamID struct {
	Aggregate string // the kind, such as "order"
	ID        string // the aggregate's own id, such as "ord_1"
}

// String is the stored name of the stream, such as "order/ord_1".
func (s StreamID) String() string { return s.Aggregate + "/" + s.ID }

// ParseStreamID reads what [StreamID.String] wrote.
func ParseStreamID(name string) (StreamID, error) {
	aggregate, id, ok := strings.Cut(name, "/")
	if !ok || aggregate == "" || id == "" {
		return StreamID{}, fmt.Errorf("stream name %q: want aggregate/id, such as order/ord_1", name)
	}
	return StreamID{Aggregate: aggregate, ID: id}, nil
}

// StreamAt names a stream as it was right after one of its events.
type StreamAt struct {
	Workspace string
	Stream    StreamID
	Version   int
}

// Event is a fact about one aggregate, in the past tense: a plain struct with JSON tags. It is immutable once recorded, so its
// fields may only change together with a new schema version (see [EventType]).
type Event interface {
	// EventType is the event's name on the wire and in the log, such as "order.placed". It is written out, never derived from
	// the Go type, so that a rename in Go cannot orphan history.
	EventType() string
}

// Recorded is an event as the log holds it.
type Recorded struct {
	Position      int64           // place in the log; unique, ascending within a stream, with gaps
	TransactionID int64           // what appended it: the log's era << 44 | PostgreSQL's transaction id; the log is read in order of (TransactionID, Position)
	Workspace     string          // the tenant
	Stream        StreamID        // the aggregate
	Version       int             // 1, 2, 3, … without gaps within a stream
	ID            uuid.UUID       // UUIDv7; also the id under which subscribers know the event
	Type          string          // such as "order.placed"
	SchemaVersion int             // of Data; 1 is the first
	Data          json.RawMessage // the event, as it was appended; what was personal in it may be [Erased] since
	Sealed        json.RawMessage // Data as it stands in the log, where that differs: with what is personal encrypted (see [Sealed])
	Opened        []uuid.UUID     // the keys with which what is personal in Data was opened; those that are destroyed are not among them
	Metadata      json.RawMessage // a [Metadata], exactly as it was appended
	RecordedAt    time.Time       // UTC, microseconds, never before the event that precedes it in the stream
	Hash          []byte          // SHA-256 over this event and the hash of the one before it in the stream
}

// Metadata tells how an event came to be. Every event of one command carries the same metadata.
type Metadata struct {
	Command        string `json:"command"`                  // such as "order.place"
	Actor          string `json:"actor,omitempty"`          // who issued the command
	CorrelationID  string `json:"correlationId,omitempty"`  // the business transaction that this belongs to
	CausationID    string `json:"causationId,omitempty"`    // the event or message that made the caller issue the command
	IdempotencyKey string `json:"idempotencyKey,omitempty"` // the key under which the command was issued
}

// EventType describes one type of event: its name, and how stored versions of it are read.
type EventType struct {
	Name        string
	Description string // one sentence, for catalogs and docs
	// Upcasts leads old data to the present: Upcasts[0] turns schema version 1 into version 2, Upcasts[1] version 2 into 3, ….
	// It is empty for an event that never changed.
	Upcasts []Upcast

	decode   func(json.RawMessage) (Event, error)
	personal *shape // nil where nothing in it is
}

// Upcast turns the data of one schema version of an event into that of the next.
type Upcast func(data json.RawMessage) (json.RawMessage, error)

// EventOf describes the event type E. The order of upcasts is as in [EventType.Upcasts]. It panics over a struct tag "personal" that cannot
// be (see [PersonalField]), which is a mistake in the program and not in its input.
func EventOf[E Event](description string, upcasts ...Upcast) EventType {
	var zero E
	return EventType{
		personal:    eventShape(reflect.TypeFor[E]()),
		Name:        zero.EventType(),
		Description: description,
		Upcasts:     upcasts,
		decode: func(data json.RawMessage) (Event, error) {
			var e E
			err := json.Unmarshal(data, &e)
			return e, err
		},
	}
}

// SchemaVersion is the version in which new events of this type are written.
func (t EventType) SchemaVersion() int { return len(t.Upcasts) + 1 }

// Codec reads and writes the events of one aggregate.
type Codec struct{ types map[string]EventType }

// NewCodec panics if two types share a name, which is a mistake in the program and not in its input.
func NewCodec(types ...EventType) Codec {
	c := Codec{types: make(map[string]EventType, len(types))}
	for _, t := range types {
		if _, taken := c.types[t.Name]; taken {
			panic("domain: two event types are named " + t.Name)
		}
		c.types[t.Name] = t
	}
	return c
}

// Types lists the event types by name.
func (c Codec) Types() []EventType {
	types := make([]EventType, 0, len(c.types))
	for _, t := range c.types {
		types = append(types, t)
	}
	sort.Slice(types, func(i, j int) bool { return types[i].Name < types[j].Name })
	return types
}

// Encode gives the data and schema version under which e is stored.
func (c Codec) Encode(e Event) (data json.RawMessage, schemaVersion int, err error) {
	if e == nil {
		return nil, 0, errors.New("encode event: it is nil")
	}
	t, ok := c.types[e.EventType()]
	if !ok {
		return nil, 0, &UnknownEventError{Type: e.EventType()}
	}
	data, err = json.Marshal(e)
	if err == nil {
		err = storable(data)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("encode event %s: %w", t.Name, err)
	}
	return data, t.SchemaVersion(), nil
}

// storable refuses texts that would come back as others: what is not UTF-8, encoding/json writes as the escape \ufffd, which it uses for
// nothing else.
func storable(data []byte) error {
	for rest := data; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			return nil
		}
		if bytes.HasPrefix(rest[i:], []byte(`\ufffd`)) {
			return errors.New("a text in it is not valid UTF-8: let the command's Validate refuse it")
		}
		rest = rest[i+2:] // in JSON something follows each backslash
	}
}

// Decode reads a stored event, whatever schema version it was written in. It returns an [*UnknownEventError] for a type or
// schema version that this program does not know.
func (c Codec) Decode(r Recorded) (Event, error) {
	t, ok := c.types[r.Type]
	if !ok || r.SchemaVersion < 1 || r.SchemaVersion > t.SchemaVersion() {
		return nil, &UnknownEventError{Type: r.Type, SchemaVersion: r.SchemaVersion, Newest: t.SchemaVersion(), Known: ok}
	}
	data := r.Data
	for version, upcast := range t.Upcasts[r.SchemaVersion-1:] {
		var err error
		if data, err = upcast(data); err != nil {
			return nil, fmt.Errorf("upcast event %s of %s from schema version %d: %w", r.Type, r.Stream, r.SchemaVersion+version, err)
		}
	}
	e, err := t.decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode event %s, version %d of %s: %w", r.Type, r.Version, r.Stream, err)
	}
	return e, nil
}
