package eventstore

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// ConflictError says that a stream is not at the version that was expected, because somebody else appended to it. Nothing was
// written. Load the stream again and decide anew.
type ConflictError struct {
	Stream   domain.StreamID
	Expected int // the version that the stream should have had
	Actual   int // the version that it has; -1 where that was not looked up
}

func (e *ConflictError) Error() string {
	if e.Actual < 0 {
		return fmt.Sprintf("%s is not at version %d any more: load it again and decide anew (in a transaction of your own: run the whole transaction again)", e.Stream, e.Expected)
	}
	return fmt.Sprintf("%s is at version %d, not at version %d as expected: load it again and decide anew", e.Stream, e.Actual, e.Expected)
}

// KeyTakenError says that the idempotency key of a batch belongs to an earlier command, whose outcome [Store.Outcome] tells. Nothing
// was written.
type KeyTakenError struct{ Key string }

func (e *KeyTakenError) Error() string {
	return fmt.Sprintf("idempotency key %q was used before", e.Key)
}

// ChainError names the first event of a stream that is not what was appended.
type ChainError struct {
	Stream  domain.StreamID
	Version int
	Reason  string
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("history of %s is broken at version %d: %s", e.Stream, e.Version, e.Reason)
}
