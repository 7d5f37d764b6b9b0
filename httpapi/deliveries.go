package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

func (a *api) deliveryOperations() {
	handle(a, operation{
		id: "listDeliveries", method: http.MethodGet, path: inside + "/webhooks/{webhook}/deliveries", tag: "webhooks",
		summary: "What a webhook was sent and is to be sent, the newest event first",
		about:   "Tests are in it too. With event, a page may be short, or even empty, while there is a nextCursor.",
	}, a.listDeliveries)
	handle(a, operation{
		id: "getDelivery", method: http.MethodGet, path: inside + "/webhooks/{webhook}/deliveries/{delivery}", tag: "webhooks",
		summary: "One delivery, with every attempt",
	}, a.getDelivery)
	handle(a, operation{
		id: "resendDelivery", method: http.MethodPost, path: inside + "/webhooks/{webhook}/deliveries/{delivery}/resend", tag: "webhooks",
		status:  http.StatusAccepted,
		summary: "Send an event again",
		about:   "With the same id and the same bytes, whatever became of it before.",
	}, a.resendDelivery)
	handle(a, operation{
		id: "replayWebhook", method: http.MethodPost, path: inside + "/webhooks/{webhook}/replays", tag: "webhooks", status: http.StatusAccepted,
		summary: "Send the events of some time again",
		about:   "Each with the same id and the same bytes, those of one order in order, whether the webhook was told of them before or not.",
	}, a.replayWebhook)
}

type deliveriesRequest struct {
	Webhook string    `path:"webhook" doc:"The webhook's id."`
	Status  string    `query:"status" enum:"pending,retrying,blocked,delivered,given_up" doc:"Deliveries with this status only."`
	Event   string    `query:"event" maxLength:"100" pattern:"^[A-Za-z0-9_.]*$" doc:"Deliveries of this event only, in the profile's words or the log's."`
	Since   time.Time `query:"since" doc:"Deliveries of events that were recorded then or later."`
	Limit   int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor  string    `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

func (a *api) listDeliveries(ctx context.Context, c caller, in *deliveriesRequest) (*page[delivery.Delivery], error) {
	listing := listing{"deliveries", c.workspace.Name(), in.Webhook, in.Status, in.Event, strconv.FormatInt(in.Since.UnixMicro(), 10)}
	place, err := listing.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, next, err := c.workspace.Deliveries(ctx, in.Webhook, delivery.ListOptions{
		Status: delivery.Status(in.Status), Event: in.Event, Since: in.Since, Cursor: place, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(found, listing.cursor(next)), nil
}

type deliveryRequest struct {
	Webhook  string `path:"webhook" doc:"The webhook's id."`
	Delivery string `path:"delivery" doc:"The event's id, or the test's."`
}

// event is the id of the event that a delivery is about. What is no id of an event has no delivery.
func (r deliveryRequest) event() (uuid.UUID, error) {
	event, err := uuid.Parse(r.Delivery)
	if err != nil || event.String() != r.Delivery {
		return uuid.UUID{}, &domain.NotFoundError{Kind: "delivery", ID: r.Delivery}
	}
	return event, nil
}

func (a *api) getDelivery(ctx context.Context, c caller, in *deliveryRequest) (*reply[delivery.Delivery], error) {
	event, err := in.event()
	if err != nil {
		return nil, err
	}
	d, err := c.workspace.Delivery(ctx, in.Webhook, event)
	if err != nil {
		return nil, err
	}
	return replyWith(d), nil
}

func (a *api) resendDelivery(ctx context.Context, c caller, in *deliveryRequest) (*reply[delivery.Delivery], error) {
	event, err := in.event()
	if err != nil {
		return nil, err
	}
	if err := c.workspace.ResendDelivery(ctx, in.Webhook, event); err != nil {
		return nil, err
	}
	d, err := c.workspace.Delivery(ctx, in.Webhook, event)
	if err != nil {
		return nil, err
	}
	return replyWith(d), nil
}

// Replay says what to send again: events that were recorded at since or later, and before until.
type Replay struct {
	Since      time.Time  `json:"since"`
	Until      *time.Time `json:"until,omitempty" doc:"Left out: now."`
	Events     []string   `json:"events,omitempty" maxItems:"200" doc:"In the profile's words or the log's. Left out or empty: all that the webhook subscribes to."`
	FailedOnly bool       `json:"failedOnly,omitempty" doc:"Only what was given up, and not sent again since."`
	CountOnly  bool       `json:"countOnly,omitempty" doc:"Say how many there are, and send nothing."`
}

// Replayed is how many events are sent again, or would be.
type Replayed struct {
	Events int `json:"events"`
}

type replayRequest struct {
	Webhook string `path:"webhook" doc:"The webhook's id."`
	Body    Replay
}

func (a *api) replayWebhook(ctx context.Context, c caller, in *replayRequest) (*reply[Replayed], error) {
	r := waybill.Replay{Since: in.Body.Since, Events: in.Body.Events, FailedOnly: in.Body.FailedOnly, CountOnly: in.Body.CountOnly}
	if in.Body.Until != nil {
		if r.Until = *in.Body.Until; !r.Until.After(r.Since) {
			return nil, invalid(domain.FieldError{Field: "until", Message: "has to be after since"})
		}
	}
	w, err := c.workspace.Webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	if wrong := a.unknownEvents(w.Profile, r.Events); wrong != nil {
		return nil, invalid(wrong...)
	}
	n, err := c.workspace.ReplayWebhook(ctx, in.Webhook, r)
	if err != nil {
		return nil, err
	}
	return replyWith(Replayed{n}), nil
}

// unknownEvents finds names that are neither a profile's nor the log's.
func (a *api) unknownEvents(profileName string, names []string) (wrong []domain.FieldError) {
	var known []profile.Event
	for _, p := range []string{profileName, webhook.DefaultProfile} {
		if events, err := a.Engine.EventTypes(p); err == nil {
			known = append(known, events...)
		}
	}
	for i, name := range names {
		if !slices.ContainsFunc(known, func(e profile.Event) bool { return e.Name == name }) {
			wrong = append(wrong, domain.FieldError{Field: "events[" + strconv.Itoa(i) + "]", Message: "is no event; GET /v1/webhooks/events lists them"})
		}
	}
	return wrong
}
