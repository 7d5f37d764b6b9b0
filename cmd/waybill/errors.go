package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/audit"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/localpg"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/migrations"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
	"github.com/waybill-dev/waybill/projections"
)

// usageError says that the command line, or a setting from the environment, is wrong.
type usageError struct {
	message string
	hint    string // what would be right
}

func (e *usageError) Error() string { return e.message }

func usagef(hint, format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...), hint: hint}
}

// placeError says that the embedded database cannot be kept in this directory.
type placeError struct{ error }

func (e *placeError) Unwrap() error { return e.error }

// failure is a failed command as it is shown: one line, what to do about it, and for programs a code and the fields.
type failure struct {
	status  int
	code    string
	message string
	hint    string
	details []domain.FieldError
}

// explain is the one place that knows how errors look to the user.
func explain(err error) failure {
	f := failure{status: exitFailed, code: "failed", message: err.Error()}
	var (
		usage        *usageError
		invalid      *domain.InvalidCommandError
		illegal      *domain.IllegalTransitionError
		notFound     *domain.NotFoundError
		unknownEvent *domain.UnknownEventError
		conflict     *eventstore.ConflictError
		altered      *audit.AlteredError
		bundle       *audit.BundleError
		otherKey     *audit.OtherKeyError
		badSeal      *audit.BadSealError
		nonconform   *audit.NonconformError
		personalKey  *vault.KeyError
		mismatch     *waybill.IdempotencyMismatchError
		pending      *migrations.PendingError
		newer        *migrations.NewerSchemaError
		database     *waybill.DatabaseError
		noBinaries   *localpg.NoBinariesError
		noProgram    *localpg.MissingProgramError
		start        *localpg.StartError
		owner        *localpg.OwnerError
		place        *placeError
		taken        *webhook.NameTakenError
		noRelay      *delivery.NoRelayError
		tests        *testsFailedError
		query        *projections.InvalidQueryError
		notBuilt     *projections.NotBuiltError
	)
	switch {
	case errors.As(err, &usage):
		f.status, f.code, f.hint = exitUsage, "usage", usage.hint
	case errors.As(err, &invalid):
		f.code, f.details = "invalid_command", invalid.Fields
	case errors.As(err, &query):
		f.status, f.code, f.details = exitUsage, "usage", query.Fields
	case errors.As(err, &notBuilt):
		f.code = "view_not_built"
	case errors.As(err, &illegal):
		f.code = "illegal_transition"
	case errors.As(err, &notFound):
		f.code, f.hint = "not_found", "look at the id and at --workspace"
		if notFound.Kind == order.Name {
			f.hint = "look at the id, at --workspace, and at --as-of or --version if you gave one"
		}
	case errors.As(err, &taken):
		f.code, f.hint = "name_taken", "choose another name, or `waybill webhook update` that one"
	case errors.As(err, &noRelay):
		f.code, f.hint = "no_relay", "start one with `waybill relay` or `waybill serve`, then ask again"
	case errors.As(err, &tests):
		f.code, f.hint = "tests_failed", "`waybill webhook deliveries ID` keeps the answers"
	case errors.As(err, &unknownEvent):
		f.code, f.hint = "unknown_event", "use the version of waybill that wrote it, or a newer one"
	case errors.As(err, &conflict):
		f.code = "conflict"
	case errors.As(err, &altered):
		f.code, f.hint = "broken_history", "somebody changed the events table behind the engine's back: compare it with a backup"
		if altered.Report.BrokenAt == 0 {
			f.hint = "somebody changed the events or the seals behind the engine's back: compare them with a backup"
		}
		if altered.Report.Bundle != nil {
			f.hint = "somebody changed the bundle, or the log that it was made of"
		}
	case errors.As(err, &bundle):
		f.code, f.hint = "bad_bundle", "get the file again from where it was exported"
	case errors.As(err, &otherKey):
		f.code = "other_key"
	case errors.As(err, &badSeal):
		f.code, f.hint = "broken_history", "`waybill audit verify` tells more"
	case errors.As(err, &nonconform):
		f.code, f.hint = "nonconforming_history", "allow these moves, or keep the old machine until these orders are through"
	case errors.As(err, &personalKey):
		f.code, f.hint = "personal_key", "every process on a database needs the same WAYBILL_MASTER_KEY"
	case errors.As(err, &mismatch):
		f.code = "idempotency_mismatch"
	case errors.As(err, &pending):
		f.code, f.hint = "schema_outdated", "run `waybill migrate up`"
		f.message = fmt.Sprintf("the database has schema version %d, this program needs version %d", pending.Database, pending.Program)
	case errors.As(err, &newer):
		f.code, f.hint = "schema_newer", "use the version of waybill that migrated it, or a newer one"
		f.message = fmt.Sprintf("the database has schema version %d, this program knows versions up to %d", newer.Database, newer.Program)
	case errors.As(err, &database):
		f.code = "database_" + string(database.Kind)
		if cause := database.Unwrap(); cause != nil && database.Kind != pgerr.ReadOnly {
			f.hint = fmt.Sprintf("the cause: %v", cause)
		}
	case errors.As(err, &noBinaries), errors.As(err, &noProgram):
		f.code = "postgresql_missing"
	case errors.As(err, &start) && errors.Is(err, context.Canceled):
		f.code, f.message = "interrupted", "interrupted"
	case errors.As(err, &start):
		f.code = "postgresql_start"
	case errors.As(err, &owner):
		f.code = "postgresql_owner"
	case errors.As(err, &place):
		f.code, f.hint = "no_place", "go to a directory that can be written, or name a database of your own with --database"
	case errors.Is(err, context.Canceled):
		f.code, f.message = "interrupted", "interrupted"
	}
	return f
}

// report shows an error and returns the exit status.
func (p *program) report(err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed // whoever was reading has seen enough
	}
	f := explain(err)
	if asJSON {
		type body struct {
			Code    string              `json:"code"`
			Message string              `json:"message"`
			Hint    string              `json:"hint,omitempty"`
			Details []domain.FieldError `json:"details"`
		}
		text, _ := json.Marshal(map[string]body{"error": {f.code, f.message, f.hint, append([]domain.FieldError{}, f.details...)}})
		fmt.Fprintf(p.stderr, "%s\n", text)
		return f.status
	}
	style := styleFor(p.stderr, p.getenv)
	fmt.Fprintf(p.stderr, "%s %s\n", style.red("waybill:"), cleanLines(f.message))
	if f.hint != "" {
		fmt.Fprintf(p.stderr, "         %s\n", cleanLines(f.hint))
	}
	return f.status
}

// wantsJSON says whether the command line asks for JSON, also where it is too broken to be parsed.
func wantsJSON(args []string) bool {
	for i, a := range args {
		switch {
		case a == "--":
			return false
		case a == "-ojson", a == "-o=json", a == "--output=json":
			return true
		case (a == "-o" || a == "--output") && i+1 < len(args) && args[i+1] == "json":
			return true
		}
	}
	return false
}

// cleanLines makes the text of others safe for a terminal, but leaves its lines.
func cleanLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n         ")
}
