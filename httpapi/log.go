package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
)

func (a *api) logOperations() {
	handle(a, operation{
		id: "listEvents", method: http.MethodGet, path: inside + "/events", tag: "orders",
		summary: "The workspace's log, the oldest event first",
		about: "A page may be short, or even empty, while there is a nextCursor: other workspaces share the log, and no call walks along it for long. " +
			"To follow the log, remember the id of the last event and ask for what came after it.",
	}, a.listEvents)
}

type eventsRequest struct {
	Type   string    `query:"type" maxLength:"100" pattern:"^[a-z0-9_.]*$" doc:"Events of this type only, such as order.placed."`
	After  uuid.UUID `query:"after" format:"uuid" doc:"Begin behind the event with this id."`
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor string    `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

func (a *api) listEvents(ctx context.Context, c caller, in *eventsRequest) (*page[Event], error) {
	listing := listing{"events", c.workspace.Name(), in.Type, in.After.String()}
	place, err := listing.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	var after eventstore.Cursor
	switch {
	case place != "":
		if after, err = parsePlace(place); err != nil {
			return nil, err
		}
	case in.After != uuid.Nil:
		r, err := a.events.EventByID(ctx, c.workspace.Name(), in.After)
		if errors.As(err, new(*domain.NotFoundError)) {
			return nil, invalid(domain.FieldError{Field: "after", Message: "has to be the id of an event of this workspace"})
		}
		if err != nil {
			return nil, err
		}
		after = eventstore.Cursor{TransactionID: r.TransactionID, Position: r.Position}
	}
	recorded, next, more, err := a.events.WorkspaceLog(ctx, c.workspace.Name(), in.Type, after, in.Limit)
	if err != nil {
		return nil, err
	}
	if !more {
		return pageOf(eventsOf(recorded), ""), nil
	}
	return pageOf(eventsOf(recorded), listing.cursor(fmt.Sprintf("%d.%d", next.TransactionID, next.Position))), nil
}

// parsePlace accepts exactly what listEvents writes.
func parsePlace(text string) (place eventstore.Cursor, err error) {
	_, err = fmt.Sscanf(text, "%d.%d", &place.TransactionID, &place.Position)
	if err != nil || place.Position < 0 || place.TransactionID < 0 || fmt.Sprintf("%d.%d", place.TransactionID, place.Position) != text {
		return eventstore.Cursor{}, badCursor()
	}
	return place, nil
}
