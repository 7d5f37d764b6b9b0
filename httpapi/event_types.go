package httpapi

import (
	"context"
	"encoding/json"
	"errors"
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
	Profile string `query:"profile" maxLength:"40" default:"native" doc:"Whose names and bodies."`
}

func (a *api) listEventTypes(_ context.Context, _ caller, in *eventTypesRequest) (*page[EventType], error) {
	events, err := a.Engine.EventTypes(in.Profile)
	if errors.As(err, new(*domain.NotFoundError)) {
		return nil, invalid(domain.FieldError{Field: "profile", Message: "has to be one of " + strings.Join(a.Engine.Profiles(), ", ")})
	}
	if err != nil {
		return nil, err
	}
	types := make([]EventType, len(events))
	for i, e := range events {
		types[i] = EventType{e.Name, e.Description, e.Schema()}
	}
	return pageOf(types, ""), nil
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
