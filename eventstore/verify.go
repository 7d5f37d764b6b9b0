package eventstore

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/waybill-dev/waybill/domain"
)

// VerifyChain walks the events of one stream, from its first, and returns how many are what was appended. It stops with a
// [*ChainError] at the first that is not.
func VerifyChain(events iter.Seq2[domain.Recorded, error]) (verified int, err error) {
	var head Head
	for r, err := range events {
		if err != nil {
			return verified, err
		}
		if r.Version != head.Version+1 {
			return verified, &ChainError{r.Stream, head.Version + 1, fmt.Sprintf("the event is missing, version %d follows", r.Version)}
		}
		if r.RecordedAt.Before(head.RecordedAt) {
			return verified, &ChainError{r.Stream, r.Version, "the event is dated before the one it follows"}
		}
		if !bytes.Equal(r.Hash, chain(head.Hash, r)) {
			return verified, &ChainError{r.Stream, r.Version, "the event, or one before it, does not match its hash"}
		}
		head = HeadOf(r)
		verified++
	}
	return verified, nil
}
