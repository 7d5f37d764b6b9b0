package eventstore

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
)

// Head is the end of a stream: what the next event has to follow. The zero Head is that of a stream without events.
type Head struct {
	Version    int
	Hash       []byte
	RecordedAt time.Time
}

// HeadOf is the head of a stream whose newest event is r.
func HeadOf(r domain.Recorded) Head {
	return Head{Version: r.Version, Hash: r.Hash, RecordedAt: r.RecordedAt}
}

// Fact is an event as its aggregate encodes it.
type Fact struct {
	Type          string
	SchemaVersion int
	Data          json.RawMessage
	Sealed        json.RawMessage // Data as it is to stand in the log; nil where that is as it is
}

// Key is an idempotency key, and the command that it stands for.
type Key struct {
	Name        string
	Fingerprint [sha256.Size]byte // of the command: the same name with another fingerprint is a mistake of the caller
}

// Batch is what one command adds to its stream. Its ids, times and hashes are fixed when it is made, so a batch whose fate is unknown
// can be recognized in the log.
type Batch struct {
	ID        uuid.UUID
	Workspace string
	Stream    domain.StreamID
	After     Head
	Events    []domain.Recorded // may be empty only with a Key: an outcome to remember
	Key       *Key
	at        time.Time
	stream    string // the stream's name
}

// NewBatch numbers, dates and chains facts onto a stream. Events are never dated before the one that they follow, even where clocks
// disagree.
func NewBatch(workspace string, stream domain.StreamID, after Head, facts []Fact, metadata json.RawMessage, now time.Time, key *Key) *Batch {
	now = now.UTC().Truncate(time.Microsecond) // what timestamptz can hold
	if now.Before(after.RecordedAt) {
		now = after.RecordedAt
	}
	b := &Batch{Workspace: workspace, Stream: stream, After: after, Key: key, at: now, stream: stream.String(), Events: make([]domain.Recorded, len(facts))}
	previous := after.Hash
	for i, f := range facts {
		r := domain.Recorded{
			Workspace: workspace, Stream: stream, Version: after.Version + 1 + i, ID: newID(),
			Type: f.Type, SchemaVersion: f.SchemaVersion, Data: f.Data, Sealed: f.Sealed, Metadata: metadata, RecordedAt: now,
		}
		if f.Sealed != nil {
			r.Opened = r.Keys()
		}
		r.Hash = ChainHash(previous, r)
		previous = r.Hash
		b.Events[i] = r
	}
	if len(b.Events) > 0 {
		b.ID = b.Events[0].ID
	} else {
		b.ID = newID()
	}
	return b
}

// Head is the head of the stream once the batch is in it.
func (b *Batch) Head() Head {
	if len(b.Events) == 0 {
		return b.After
	}
	return HeadOf(b.Events[len(b.Events)-1])
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) } // fails only where the system has no randomness
