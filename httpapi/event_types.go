package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

const up42 = "up42"

// EventType is something that webhooks can subscribe to.
type EventType struct {
	Name        string          `json:"name" example:"order.placed"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema" doc:"The JSON Schema (2020-12) of what is sent."`
}

func (a *api) eventTypeOperations() {
	handle(a, operation{
		id: "listEventTypes", method: http.MethodGet, path: "/v1/webhooks/events", tag: "webhooks",
		summary: "What webhooks can subscribe to",
	}, a.listEventTypes)
}

type eventTypesRequest struct {
	Profile     string `query:"profile" maxLength:"40" default:"native" doc:"Whose names and bodies."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"400" doc:"The ETag of an earlier answer. Where nothing has changed since, the answer is 304 and has no body."`
}

// eventTypesReply is the whole list. The program fixes how long that is, and those who look for a name have to find it, without turning
// pages. With its schemas the longest is half a megabyte, so whoever has it already can say so.
type eventTypesReply struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         list[EventType]
}

func (a *api) listEventTypes(_ context.Context, _ caller, in *eventTypesRequest) (*eventTypesReply, error) {
	events, err := a.Engine.EventTypes(in.Profile)
	if errors.As(err, new(*domain.NotFoundError)) {
		return nil, invalid(domain.FieldError{Field: "profile", Message: "has to be one of " + strings.Join(a.Engine.Profiles(), ", ")})
	}
	if err != nil {
		return nil, err
	}
	types, sum := make([]EventType, len(events)), sha256.New()
	for i, e := range events {
		types[i] = EventType{e.Name, e.Description, e.Schema()}
		fmt.Fprintf(sum, "%q %q %s\n", e.Name, e.Description, e.Schema())
	}
	reply := &eventTypesReply{Status: http.StatusOK, ETag: fmt.Sprintf("%q", hex.EncodeToString(sum.Sum(nil)[:16])), CacheControl: "private, no-cache"}
	if has(in.IfNoneMatch, reply.ETag) {
		reply.Status = http.StatusNotModified
		return reply, nil
	}
	reply.Body = pageOf(types, "").Body
	return reply, nil
}

// has tells whether an If-None-Match header names a tag (RFC 9110, 13.1.2).
func has(header, tag string) bool {
	return slices.ContainsFunc(strings.Split(header, ","), func(given string) bool {
		given = strings.TrimPrefix(strings.TrimSpace(given), "W/")
		return given == tag || given == "*"
	})
}

// profileOf tells which profile a webhook means that names events but no profile: the first that has them all, native before the
// others. Where none has them it is native, which then says what is wrong.
func (a *api) profileOf(events []string) string {
	if len(events) > 0 {
		for _, name := range append([]string{webhook.DefaultProfile}, a.Engine.Profiles()...) {
			types, err := a.Engine.EventTypes(name)
			if err == nil && !slices.ContainsFunc(events, func(event string) bool {
				return !slices.ContainsFunc(types, func(t profile.Event) bool { return t.Name == event })
			}) {
				return name
			}
		}
	}
	return webhook.DefaultProfile
}
