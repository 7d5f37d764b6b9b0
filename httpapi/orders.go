package httpapi

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// OrderVersion is an order at one version.
type OrderVersion struct {
	Version int         `json:"version" doc:"The number of the order's last event so far."`
	Order   order.Order `json:"order"`
}

// Event is an event of the log.
type Event struct {
	ID            uuid.UUID       `json:"id" doc:"Also the id under which webhooks are told of it."`
	Type          string          `json:"type" example:"order.placed"`
	SchemaVersion int             `json:"schemaVersion" doc:"Of data."`
	Stream        string          `json:"stream" example:"order/ord_1" doc:"The aggregate that it belongs to."`
	Version       int             `json:"version" doc:"Its number in the stream, from 1."`
	RecordedAt    time.Time       `json:"recordedAt"`
	Metadata      json.RawMessage `json:"metadata" doc:"How it came to be: the command, who issued it, and what it belongs to."`
	Data          json.RawMessage `json:"data" doc:"The event itself, as it was recorded."`
	Hash          string          `json:"hash" doc:"SHA-256, in hex, over this event and the hash of the one before it in its stream."`
}

func eventOf(r domain.Recorded) Event {
	return Event{r.ID, r.Type, r.SchemaVersion, r.Stream.String(), r.Version, r.RecordedAt, r.Metadata, r.Data, hex.EncodeToString(r.Hash)}
}

func eventsOf(recorded []domain.Recorded) []Event {
	events := make([]Event, len(recorded))
	for i, r := range recorded {
		events[i] = eventOf(r)
	}
	return events
}

func (a *api) orderOperations() {
	handle(a, operation{
		id: "getOrder", method: http.MethodGet, path: inside + "/orders/{order}", tag: "orders",
		summary: "An order, as it is or as it was",
	}, a.getOrder)
	handle(a, operation{
		id: "listOrderEvents", method: http.MethodGet, path: inside + "/orders/{order}/events", tag: "orders",
		summary: "An order's events, the first one first",
	}, a.listOrderEvents)
	handle(a, operation{
		id: "diffOrder", method: http.MethodGet, path: inside + "/orders/{order}/diff", tag: "orders",
		summary: "What changed between two versions of an order",
	}, a.diffOrder)
}

type orderRequest struct {
	Order   string    `path:"order" doc:"The order's id."`
	AsOf    time.Time `query:"asOf" doc:"As it was at that time."`
	Version int       `query:"version" minimum:"1" maximum:"2147483647" doc:"As it was right after the event with that number."`
}

func (a *api) getOrder(ctx context.Context, c caller, in *orderRequest) (*reply[OrderVersion], error) {
	var options []waybill.ReadOption
	switch {
	case !in.AsOf.IsZero() && in.Version != 0:
		return nil, invalid(domain.FieldError{Field: "asOf", Message: "cannot be combined with version"})
	case !in.AsOf.IsZero():
		options = append(options, waybill.AsOf(in.AsOf))
	case in.Version != 0:
		options = append(options, waybill.AtVersion(in.Version))
	}
	state, version, err := c.workspace.State(ctx, orderStream(in.Order), options...)
	if err != nil {
		return nil, err
	}
	return replyWith(OrderVersion{version, state.(order.Order)}), nil
}

func orderStream(id string) domain.StreamID { return domain.StreamID{Aggregate: order.Name, ID: id} }

type orderEventsRequest struct {
	Order  string `path:"order" doc:"The order's id."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

func (a *api) listOrderEvents(ctx context.Context, c caller, in *orderEventsRequest) (*page[Event], error) {
	listing := listing{"order events", c.workspace.Name(), in.Order}
	place, err := listing.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	after := 0
	if place != "" {
		if after, err = strconv.Atoi(place); err != nil || after < 1 || after > 1<<31-1 {
			return nil, badCursor()
		}
	}
	var events []Event
	for r, err := range a.events.ReadStream(ctx, c.workspace.Name(), orderStream(in.Order), after) {
		if err != nil {
			return nil, err
		}
		if len(events) == in.Limit {
			return pageOf(events, listing.cursor(strconv.Itoa(events[len(events)-1].Version))), nil
		}
		events = append(events, eventOf(r))
	}
	if len(events) == 0 && after == 0 {
		return nil, &domain.NotFoundError{Kind: order.Name, ID: in.Order}
	}
	return pageOf(events, ""), nil
}

// OrderDiff is what became of an order between two versions.
type OrderDiff struct {
	From     int            `json:"from" doc:"0 means before its first event."`
	To       int            `json:"to"`
	Statuses []order.Change `json:"statuses" nullable:"false" doc:"The statuses that are others now."`
	Fields   []FieldChange  `json:"fields" nullable:"false" doc:"Every field that is another now."`
}

// FieldChange is one field that is another than before.
type FieldChange struct {
	Field string          `json:"field" example:"lineItems[li_1].quantity" doc:"Elements of lists are named by their id, or else by their place, from 0."`
	From  json.RawMessage `json:"from,omitempty" doc:"Missing where the field was."`
	To    json.RawMessage `json:"to,omitempty" doc:"Missing where the field is."`
}

type diffRequest struct {
	Order string `path:"order" doc:"The order's id."`
	From  int    `query:"from" minimum:"0" maximum:"2147483647" doc:"The earlier version; 0 is before the first event."`
	To    int    `query:"to" minimum:"0" maximum:"2147483647" doc:"The later version. Left out, or 0: the present one."`
}

func (a *api) diffOrder(ctx context.Context, c caller, in *diffRequest) (*reply[OrderDiff], error) {
	if in.To != 0 && in.From > in.To {
		return nil, invalid(domain.FieldError{Field: "from", Message: "has to be at most to"})
	}
	var to waybill.ReadOption
	if in.To != 0 {
		to = waybill.AtVersion(in.To)
	}
	diff, err := c.workspace.OrderDiff(ctx, in.Order, waybill.AtVersion(in.From), to)
	if errors.As(err, new(*domain.NotFoundError)) && in.To == 0 && in.From > 0 {
		if _, present, stateErr := c.workspace.State(ctx, orderStream(in.Order)); stateErr == nil {
			return nil, invalid(domain.FieldError{Field: "from", Message: "has to be at most the present version, " + strconv.Itoa(present)})
		}
	}
	if err != nil {
		return nil, err
	}
	fields := make([]FieldChange, len(diff.Fields))
	for i, f := range diff.Fields {
		fields[i] = FieldChange(f)
	}
	return replyWith(OrderDiff{From: diff.From, To: diff.To, Statuses: diff.Statuses, Fields: fields}), nil
}
