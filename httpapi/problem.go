package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/httpapi/token"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
	"github.com/waybill-dev/waybill/projections"
)

// problem is why a request was not done.
type problem struct {
	status int
	header http.Header

	Code    string              `json:"code" doc:"What is wrong, for programs."`
	Message string              `json:"message" doc:"What is wrong and what to do about it, for people."`
	Details []domain.FieldError `json:"details" nullable:"false" doc:"Each field that is wrong; empty where the request as a whole is."`
}

func (p *problem) Error() string           { return p.Message }
func (p *problem) GetStatus() int          { return p.status }
func (p *problem) GetHeaders() http.Header { return p.header }

func (p problem) envelope() failed {
	p.Details = append([]domain.FieldError{}, p.Details...)
	return failed{Error: p}
}

// invalid is a request with fields that are wrong.
func invalid(fields ...domain.FieldError) *problem {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Field + " " + f.Message
	}
	return &problem{status: http.StatusUnprocessableEntity, Code: "invalid_request",
		Message: "the request is not valid: " + strings.Join(parts, "; "), Details: fields}
}

// problemOf is the one place that knows how errors look over HTTP. It also tells whether the error is news for the operator: what
// clients do wrong is not.
func problemOf(err error) (p *problem, news bool) {
	var (
		already    *problem
		command    *domain.InvalidCommandError
		hook       *webhook.InvalidError
		taken      *webhook.NameTakenError
		notFound   *domain.NotFoundError
		cursor     *delivery.CursorError
		query      *projections.InvalidQueryError
		notBuilt   *projections.NotBuiltError
		replay     *delivery.ReplayTooLargeError
		noRelay    *delivery.NoRelayError
		unknown    *domain.UnknownEventError
		database   *waybill.DatabaseError
		tooLarge   *http.MaxBytesError
		overloaded = http.Header{"Retry-After": {"1"}}
	)
	switch {
	case errors.As(err, &already):
		return already, false
	case errors.As(err, &command):
		return invalid(command.Fields...), false
	case errors.As(err, &hook):
		return invalid(hook.Fields...), false
	case errors.As(err, &cursor):
		return invalid(domain.FieldError{Field: "cursor", Message: foreignCursor}), false
	case errors.As(err, &query):
		return invalid(query.Fields...), false
	case errors.As(err, &notBuilt):
		message := "the view " + notBuilt.Projection + " was never built; its operator has to run `waybill serve`, which builds it and keeps it up to date"
		if notBuilt.Building {
			message = "the view " + notBuilt.Projection + " is being built for the first time; try again later"
		}
		return &problem{status: http.StatusServiceUnavailable, header: overloaded, Code: "view_not_built", Message: message}, !notBuilt.Building
	case errors.As(err, &replay):
		return invalid(domain.FieldError{Field: "since", Message: "is too long ago: " + replay.Error()}), false
	case errors.As(err, &noRelay):
		return &problem{status: http.StatusConflict, Code: "no_relay", Message: noRelay.Error() + ": start one, then ask again"}, false
	case errors.As(err, &taken):
		return &problem{status: http.StatusConflict, Code: "name_taken", Message: taken.Error() + ": choose another name, or update that one",
			Details: []domain.FieldError{{Field: "name", Message: "is taken"}}}, false
	case errors.As(err, &notFound):
		return &problem{status: http.StatusNotFound, Code: "not_found", Message: notFound.Error() + " in this workspace"}, false
	case errors.Is(err, token.ErrUnknown):
		return unauthorized("the token is not valid: it was never given out, or was revoked; `waybill token create` makes a new one"), false
	case errors.As(err, &tooLarge):
		return &problem{status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
			Message: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)}, false
	case errors.Is(err, waybill.ErrNoMasterKey):
		return &problem{status: http.StatusServiceUnavailable, Code: "no_master_key",
			Message: "this server has no master key, without which it can neither make webhooks nor sign for them; its operator has to set one"}, true
	case errors.As(err, &unknown):
		return &problem{status: http.StatusInternalServerError, Code: "unknown_event",
			Message: "the log holds an event that this server is too old to read; its operator has to upgrade it"}, true
	case errors.As(err, &database) && database.Kind != pgerr.Internal:
		message := "the database cannot do this now; try again later"
		if database.Unknown {
			message = "the connection to the database broke, and it is not known whether this was done; look, or try again with the same Idempotency-Key"
		}
		return &problem{status: http.StatusServiceUnavailable, header: overloaded, Code: "database_" + string(database.Kind), Message: message}, true
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{status: http.StatusServiceUnavailable, header: overloaded, Code: "timeout", Message: "this took too long; try again later"}, true
	case errors.Is(err, context.Canceled):
		return &problem{status: http.StatusServiceUnavailable, header: overloaded, Code: "interrupted",
			Message: "the client has gone, or the server is stopping; try again"}, false
	}
	return &problem{status: http.StatusInternalServerError, Code: "internal", Message: "something went wrong inside; the server's log says what"}, true
}

func unauthorized(message string) *problem {
	return &problem{status: http.StatusUnauthorized, header: http.Header{"Www-Authenticate": {`Bearer realm="waybill"`}},
		Code: "unauthorized", Message: message}
}

// ofHuma says in our words what huma found wrong before a handler came into it.
func ofHuma(m *huma.ErrorModel) problem {
	p := problem{status: m.Status, Code: "bad_request", Message: m.Detail}
	switch m.Status {
	case http.StatusBadRequest:
		p.Code, p.Message = "malformed_body", "the body has to be a JSON document"
		if len(m.Errors) > 0 {
			p.Message = "the body is not what it should be: " + m.Errors[0].Message
		}
	case http.StatusUnsupportedMediaType:
		p.Code, p.Message = "unsupported_media_type", "the body has to be JSON: send Content-Type: application/json"
	case http.StatusUnprocessableEntity:
		var fields []domain.FieldError
		for _, e := range m.Errors {
			fields = append(fields, fieldOf(e))
		}
		p = *invalid(fields...)
	case http.StatusInternalServerError:
		p.Code, p.Message = "internal", "something went wrong inside; the server's log says what"
	}
	return p
}

var (
	requiredProperty = regexp.MustCompile(`^expected required property (\S+) to be present$`)
	atMostCharacters = regexp.MustCompile(`^expected length <= (\d+)$`)
	atLeastOne       = regexp.MustCompile(`^expected length >= 1$`)
	atMostElements   = regexp.MustCompile(`^expected array length <= (\d+)$`)
	atLeastElements  = regexp.MustCompile(`^expected array length >= (\d+)$`)
	atMost           = regexp.MustCompile(`^expected number <= (\S+)$`)
	atLeast          = regexp.MustCompile(`^expected number >= (\S+)$`)
	oneOf            = regexp.MustCompile(`^expected value to be one of "(.*)"$`)
)

// fieldOf says in our words what huma says of a field.
func fieldOf(e *huma.ErrorDetail) domain.FieldError {
	field, message := e.Location, e.Message
	if in, name, ok := strings.Cut(field, "."); ok && (in == "body" || in == "query" || in == "path" || in == "header") {
		field = name
	}
	if name, ok := strings.CutPrefix(message, unknownField); ok {
		return domain.FieldError{Field: name, Message: "is not a field of this request"}
	}
	if found := requiredProperty.FindStringSubmatch(message); found != nil {
		if e.Location == "body" {
			return domain.FieldError{Field: found[1], Message: "is missing"}
		}
		return domain.FieldError{Field: field + "." + found[1], Message: "is missing"}
	}
	switch message {
	case "unexpected property":
		message = "is not a field of this request"
	case "unknown query parameter":
		message = "is not a parameter of this request"
	case "expected string":
		message = "has to be a string"
	case "expected boolean":
		message = "has to be true or false"
	case "expected integer", "invalid integer":
		message = "has to be a whole number"
	case "expected number":
		message = "has to be a number"
	case "expected array":
		message = "has to be a list"
	case "expected object":
		message = "has to be an object"
	case "expected string to be RFC 3339 date-time":
		message = aTime
	case "expected string to match pattern ^[A-Z]{3}$":
		message = "has to be three capital letters, such as USD"
	default:
		message = reworded(message)
	}
	return domain.FieldError{Field: field, Message: message}
}

const aTime = "has to be a time as in RFC 3339, such as 2026-07-01T15:04:05Z"

const aDay = "has to be a day, such as 2026-07-01"

func reworded(message string) string {
	for _, r := range []struct {
		pattern *regexp.Regexp
		with    string
	}{
		{atMostCharacters, "has to have at most $1 characters"},
		{atLeastOne, "must not be empty"},
		{atMostElements, "has to have at most $1 elements"},
		{atLeastElements, "has to have at least $1 elements"},
		{atMost, "has to be at most $1"},
		{atLeast, "has to be at least $1"},
		{oneOf, "has to be one of $1"},
	} {
		if r.pattern.MatchString(message) {
			return r.pattern.ReplaceAllString(message, r.with)
		}
	}
	switch {
	case message == "invalid date/time for format "+time.DateOnly:
		return aDay
	case strings.HasPrefix(message, "invalid date/time"):
		return aTime
	}
	if strings.HasPrefix(message, "json: ") {
		return "holds a value that does not fit its field"
	}
	return message
}
