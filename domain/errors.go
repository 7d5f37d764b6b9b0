package domain

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// IllegalTransitionError says that a command is not legal in the state that the aggregate is in.
type IllegalTransitionError struct {
	Machine string   // which machine refuses, such as "shipment"
	Subject string   // the thing whose status it is, such as "order ord_1" or "shipment shp_1 of order ord_1"
	State   string   // its status now
	Command string   // what was asked, such as "order.approve"
	Allowed []string // the machine's moves out of that status, sorted; empty where the status is final
	Reason  string   // the guard that refuses, where the table alone would allow the move; else empty
}

func (e *IllegalTransitionError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is not allowed: %s is %s", e.Command, e.Subject, e.State)
	if e.Reason != "" {
		fmt.Fprintf(&b, ", and %s", e.Reason)
	}
	if len(e.Allowed) > 0 {
		fmt.Fprintf(&b, " (the %s machine allows from %s: %s)", e.Machine, e.State, strings.Join(e.Allowed, ", "))
	} else {
		fmt.Fprintf(&b, " (the %s machine allows nothing from %s: it is final)", e.Machine, e.State)
	}
	return b.String()
}

// FieldError is one wrong field of a command.
type FieldError struct {
	Field   string `json:"field"`   // as in the command's JSON, such as "lineItems[2].quantity"
	Message string `json:"message"` // what is wrong with it and what would be right
}

// InvalidCommandError lists everything that is wrong with a command's own fields.
type InvalidCommandError struct {
	Command string
	Fields  []FieldError
}

func (e *InvalidCommandError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return fmt.Sprintf("%s is invalid: %s", e.Command, strings.Join(parts, "; "))
}

// MissingID is the error for a command that should start an aggregate and has no id for it: the engine would have generated one.
func MissingID(c Command, field string) error {
	return &InvalidCommandError{Command: c.CommandName(), Fields: []FieldError{{Field: field, Message: "it is required"}}}
}

// NotFoundError says that a thing does not exist, or no longer.
type NotFoundError struct {
	Kind string // such as "order", "shipment", "webhook"
	ID   string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no %s %q", e.Kind, e.ID) }

// UnknownEventError says that the log holds an event which this program cannot read, because a newer one wrote it.
type UnknownEventError struct {
	Type          string
	SchemaVersion int
	Newest        int  // the newest schema version that this program knows, where it knows the type
	Known         bool // whether it knows the type at all
}

func (e *UnknownEventError) Error() string {
	if !e.Known {
		return fmt.Sprintf("unknown event type %q: this program is older than the log, or the type was never registered", e.Type)
	}
	return fmt.Sprintf("event %s has schema version %d, this program reads up to %d: upgrade it", e.Type, e.SchemaVersion, e.Newest)
}

// PanicError says that the code of an aggregate or a profile panicked, which is a mistake in it. A command that it happens to writes
// nothing.
type PanicError struct {
	Doing string // what was being done, such as "deciding order.place on order/ord_1"
	Value any    // what it panicked with
	Stack []byte // of the goroutine, for logs
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%s panicked, which is a mistake in the program's code: %v", e.Doing, e.Value)
}

// Unwrap returns what it panicked with, where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Rescue, where it is deferred, turns a panic into a [*PanicError]. Only then is doing asked for, which says in the midst of what it was.
func Rescue(err *error, doing func() string) {
	if value := recover(); value != nil {
		*err = &PanicError{Doing: doing(), Value: value, Stack: debug.Stack()}
	}
}
