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
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err     error
		kind    Kind
		unknown bool
	}{
		{&pq.Error{Code: pqerror.ReadOnlySQLTransaction}, ReadOnly, false},
		{&pq.Error{Code: pqerror.FeatureNotSupported, Routine: "check_XactReadOnly"}, ReadOnly, false},
		{&pq.Error{Code: pqerror.FeatureNotSupported}, Internal, false},
		{&pq.Error{Code: pqerror.UndefinedTable}, Schema, false},
		{&pq.Error{Code: pqerror.DiskFull}, Full, false},
		{&pq.Error{Code: pqerror.TRDeadlockDetected}, Conflict, false},
		{&pq.Error{Code: pqerror.TRSerializationFailure}, Conflict, false},
		{&pq.Error{Code: pqerror.CannotConnectNow}, Unavailable, false},
		{&pq.Error{Code: pqerror.InvalidPassword}, Denied, false},
		{&pq.Error{Code: pqerror.InsufficientPrivilege}, Denied, false},
		{&pq.Error{Code: pqerror.CrashShutdown}, Unavailable, true},
		{&pq.Error{Code: pqerror.SyntaxError, Message: "near secret"}, Internal, false},
		{fmt.Errorf("wrapped: %w", driver.ErrBadConn), Unavailable, true},
		{io.ErrUnexpectedEOF, Unavailable, true},
		{&net.OpError{Op: "dial", Err: errors.New("secret refused")}, Unavailable, false},
		{&net.OpError{Op: "read", Err: errors.New("secret reset")}, Unavailable, true},
		{errors.New("secret"), Internal, false},
		{fmt.Errorf("wrapped: %w", sql.ErrTxDone), Ended, false},
		{errors.New("sql: database is closed"), Ended, false},
		{&pq.Error{Code: pqerror.InFailedSQLTransaction}, Ended, false},
		{&pq.Error{Code: pqerror.QueryCanceled, Message: "canceling statement due to statement timeout"}, TimedOut, false},
	} {
		wrapped := Wrap("append", test.err)
		var e *Error
		if !errors.As(wrapped, &e) || e.Kind != test.kind || e.Unknown != test.unknown {
			t.Errorf("%v became %#v", test.err, wrapped)
			continue
		}
		if !errors.Is(wrapped, test.err) {
			t.Errorf("%v lost its cause", test.err)
		}
		if strings.Contains(e.Error(), "secret") || !strings.HasPrefix(e.Error(), "append: ") {
			t.Errorf("%v says %q", test.err, e)
		}
		if Wrap("again", wrapped) != wrapped {
			t.Errorf("%v was wrapped twice", test.err)
		}
	}
	if Wrap("append", nil) != nil {
		t.Error("no error became one")
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		if wrapped := Wrap("append", err); !errors.Is(wrapped, err) || errors.As(wrapped, new(*Error)) {
			t.Errorf("%v became %#v", err, wrapped)
		}
	}
	if err := Wrap("append", &pq.Error{Code: pqerror.QueryCanceled}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled statement became %#v", err)
	}
}
