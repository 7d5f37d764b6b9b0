package waybill

import (
	"fmt"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Errors come in a few types, each with the fields that one needs to react. Use errors.As, or errors.AsType:
//
//   - [*domain.InvalidCommandError]: the command's own fields are wrong; lists each of them.
//   - [*domain.IllegalTransitionError]: the command is not legal now; names machine, state, command and what would be.
//   - [*domain.NotFoundError]: the order, shipment, webhook, … does not exist.
//   - [*eventstore.ConflictError]: the stream is not at the version that the caller expects.
//   - [*IdempotencyMismatchError]: the idempotency key belongs to another command.
//   - [*DatabaseError]: the database is away, read-only, full, not migrated, …; its Kind says which, Retryable whether to try again.
//   - [*migrations.PendingError], [*migrations.NewerSchemaError]: the schema is older or newer than this program.
//   - context.Canceled, context.DeadlineExceeded: the caller's own context ended first.

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
