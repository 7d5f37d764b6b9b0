package waybill

import (
	"fmt"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// DatabaseError is a failure of the database. Its message is safe to show; the driver's error is wrapped in it, for logs.
type DatabaseError = pgerr.Error

// IdempotencyMismatchError says that an idempotency key was used before, with another command. Nothing was written.
type IdempotencyMismatchError struct {
	Key    string
	Stream string // what the first command under this key was about
}

func (e *IdempotencyMismatchError) Error() string {
	return fmt.Sprintf("idempotency key %q was already used with another command, on %s: use a new key for a new command", e.Key, e.Stream)
}
