package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"sync"

	"github.com/waybill-dev/waybill/domain"
)

// ChainHash is the hash of an event whose stream had the hash previous before it; nil for the first of a stream. It is SHA-256 over
// previous, workspace, stream, version, id, type, schema version, data, metadata and time, with each part preceded by its length, so that
// no two events can give the same bytes. Position and transaction are left out: the database hands them out.
func ChainHash(previous []byte, r domain.Recorded) []byte {
	pooled := chained.Get().(*[]byte)
	b := (*pooled)[:0]
	integer := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(t []byte) {
		integer(int64(len(t)))
		b = append(b, t...)
	}
	text(previous)
	integer(int64(len(r.Workspace)))
	b = append(b, r.Workspace...)
	integer(int64(len(r.Stream.Aggregate) + 1 + len(r.Stream.ID)))
	b = append(append(append(b, r.Stream.Aggregate...), '/'), r.Stream.ID...)
	integer(int64(r.Version))
	text(r.ID[:])
	integer(int64(len(r.Type)))
	b = append(b, r.Type...)
	integer(int64(r.SchemaVersion))
	text(r.Stored())
	text(r.Metadata)
	integer(r.RecordedAt.UnixMicro())
	sum := sha256.Sum256(b)
	if cap(b) <= 1<<16 { // what a rare large event took is not kept
		*pooled = b
		chained.Put(pooled)
	}
	return sum[:]
}

var chained = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// Chain is one stream on the way from its first event to its last. The zero Chain expects the first.
type Chain struct{ head Head }

// Add takes the next event of the stream, and keeps nothing of it but a copy of its hash. It returns a [*ChainError], and stays where it was, for one that is not what was appended.
func (c *Chain) Add(r domain.Recorded) error {
	switch {
	case r.Version != c.head.Version+1:
		return &ChainError{r.Stream, c.head.Version + 1, fmt.Sprintf("the event is missing, version %d follows", r.Version)}
	case r.RecordedAt.Before(c.head.RecordedAt):
		return &ChainError{r.Stream, r.Version, "the event is dated before the one it follows"}
	case !bytes.Equal(r.Hash, ChainHash(c.head.Hash, r)):
		return &ChainError{r.Stream, r.Version, "the event, or one before it, does not match its hash"}
	}
	hash := append(c.head.Hash[:0], r.Hash...) // r's own may be overwritten by the next event's
	c.head = HeadOf(r)
	c.head.Hash = hash
	return nil
}

// VerifyChain walks the events of one stream, from its first, and returns how many are what was appended. It stops with a
// [*ChainError] at the first that is not.
func VerifyChain(events iter.Seq2[domain.Recorded, error]) (verified int, err error) {
	var chain Chain
	for r, err := range events {
		if err == nil {
			err = chain.Add(r)
		}
		if err != nil {
			return verified, err
		}
		verified++
	}
	return verified, nil
}
