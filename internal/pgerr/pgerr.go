// Package pgerr turns the errors of PostgreSQL and its driver into ones that a user of Waybill can act on.
package pgerr

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Kind says what is wrong with the database, as far as a caller can do something about it.
type Kind string

const (
	Unavailable Kind = "unavailable" // away, starting, stopping, or out of connections: try again later
	ReadOnly    Kind = "read_only"   // a standby, or set to refuse writes: use the primary
	Full        Kind = "full"        // out of disk or memory
	Schema      Kind = "schema"      // not migrated, or to another version than this program's
	Denied      Kind = "denied"      // wrong credentials, missing privileges or a database that does not exist
	Conflict    Kind = "conflict"    // lost to a concurrent transaction (serialization, deadlock, lock): run yours again
	TimedOut    Kind = "timed_out"   // ended by the server's statement_timeout, with nothing written: try again, or raise it
	Ended       Kind = "ended"       // the caller's transaction failed or is over, or its *sql.DB was closed: begin anew
	Internal    Kind = "internal"    // anything else: a mistake in Waybill or a damaged database
)

var advice = map[Kind]string{
	Unavailable: "the database cannot be reached; see that it runs and accepts connections, then try again",
	ReadOnly:    "the database, or this transaction, is read-only; connect to the primary, or begin a transaction that may write",
	Full:        "the database is out of disk or memory; make room, then try again",
	Schema:      "the database schema does not fit this program; run `waybill migrate status`",
	Denied:      "the database refuses this user or does not exist; check WAYBILL_DATABASE_URL and the user's privileges",
	Conflict:    "a concurrent transaction was in the way; run yours again",
	TimedOut:    "the statement took longer than the statement_timeout that is set for it, and nothing was written; try again, or raise the timeout",
	Ended:       "the transaction is over, or an earlier statement in it failed, or the sql.DB was closed; begin another transaction",
	Internal:    "the database reported an error that should not happen; its cause is wrapped in this one",
}

// Error is a failure of the database. Its message never carries the database's own words, which may quote data; they are in the
// wrapped cause, for logs.
type Error struct {
	Op   string // what was being done, such as "append to order/ord_1"
	Kind Kind
	// Unknown is true where the connection broke before the database answered a write: it may have been committed, or not.
	Unknown bool

	cause error
}

func (e *Error) Error() string {
	message := e.Op + ": " + advice[e.Kind]
	if e.Unknown {
		message += " (it is not known whether this write was committed)"
	}
	return message
}

// Unwrap returns the driver's error.
func (e *Error) Unwrap() error { return e.cause }

// Retryable says whether the same call may succeed later without anybody changing anything.
func (e *Error) Retryable() bool {
	return e.Kind == Unavailable || e.Kind == Conflict || e.Kind == TimedOut
}

// Wrap returns nil for nil, a context's error as it is, and every other error as an [*Error].
func Wrap(op string, err error) error {
	var already *Error
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", op, err)
	case pq.As(err, pqerror.QueryCanceled) != nil && !timedOut(err):
		return fmt.Errorf("%s: %w", op, context.Canceled)
	}
	kind, broken := classify(err)
	return &Error{Op: op, Kind: kind, Unknown: broken, cause: err}
}

// classify also tells whether the connection broke, so that the fate of what was sent on it is unknown.
func classify(err error) (kind Kind, broken bool) {
	refused := new(net.OpError)
	if reported := pq.As(err); reported != nil {
		if refusesWrites(reported) {
			return ReadOnly, false
		}
		return kindOf(reported.Code), reported.Code == pqerror.CrashShutdown
	}
	switch {
	case errors.Is(err, sql.ErrTxDone), err.Error() == "sql: database is closed": // database/sql does not export that one
		return Ended, false
	case errors.As(err, &refused) && refused.Op == "dial", errors.Is(err, sql.ErrConnDone):
		return Unavailable, false
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(net.Error)):
		return Unavailable, true
	}
	return Internal, false
}

// timedOut tells the server's own timeout from a cancellation that was asked for. Both have the same code; a server that speaks another
// language than English is taken to have been asked.
func timedOut(err error) bool {
	reported := pq.As(err, pqerror.QueryCanceled)
	return reported != nil && strings.Contains(reported.Message, "statement timeout")
}

// refusesWrites recognizes how a standby refuses to begin the transactions that lib/pq begins, which say READ WRITE.
func refusesWrites(e *pq.Error) bool {
	return e.Code == pqerror.FeatureNotSupported && (e.Routine == "check_XactReadOnly" || e.Routine == "check_transaction_read_only")
}

func kindOf(code pqerror.Code) Kind {
	switch code {
	case pqerror.ReadOnlySQLTransaction:
		return ReadOnly
	case pqerror.InFailedSQLTransaction:
		return Ended
	case pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable:
		return Conflict
	case pqerror.UndefinedTable, pqerror.UndefinedColumn, pqerror.UndefinedFunction:
		return Schema
	case pqerror.InsufficientPrivilege, pqerror.InvalidCatalogName:
		return Denied
	case pqerror.QueryCanceled:
		return TimedOut
	case pqerror.DiskFull, pqerror.OutOfMemory:
		return Full
	case pqerror.TooManyConnections, pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow:
		return Unavailable
	}
	if code.Class() == pqerror.ClassInvalidAuthorizationSpecification {
		return Denied
	}
	return Internal
}
