package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/daily"
	"github.com/waybill-dev/waybill/projections/lifecycle"
	"github.com/waybill-dev/waybill/projections/orders"
	"github.com/waybill-dev/waybill/projections/shipments"
)

// OrderSummary is an order in a list.
type OrderSummary struct {
	ID                string    `json:"id" example:"ord_1"`
	Version           int       `json:"version" doc:"Of the order, as far as the view has seen it."`
	Number            string    `json:"number"`
	Status            string    `json:"status" example:"placed"`
	PaymentStatus     string    `json:"paymentStatus" example:"authorized"`
	FulfillmentStatus string    `json:"fulfillmentStatus" example:"unfulfilled"`
	CustomerID        string    `json:"customerId,omitempty"`
	Email             string    `json:"email,omitempty" doc:"The order's, or else its customer's."`
	Currency          string    `json:"currency" example:"USD"`
	ItemCount         int64     `json:"itemCount"`
	Total             int64     `json:"total" doc:"In minor units, like the other amounts."`
	CapturedTotal     int64     `json:"capturedTotal"`
	RefundedTotal     int64     `json:"refundedTotal"`
	CreatedAt         time.Time `json:"createdAt"`
	UpdatedAt         time.Time `json:"updatedAt"`
	PlacedAt          time.Time `json:"placedAt,omitzero" doc:"Missing until it was."`
	CancelledAt       time.Time `json:"cancelledAt,omitzero" doc:"Missing until it was."`
}

// ShipmentSummary is a shipment in a list.
type ShipmentSummary struct {
	OrderID         string    `json:"orderId" example:"ord_1"`
	OrderNumber     string    `json:"orderNumber"`
	ID              string    `json:"id" example:"shp_1" doc:"Within its order."`
	Number          string    `json:"number"`
	Status          string    `json:"status" example:"shipped"`
	DeliveryStatus  string    `json:"deliveryStatus,omitempty" doc:"What its carrier says."`
	Carrier         string    `json:"carrier,omitempty" doc:"Of its first parcel that has one."`
	TrackingNumbers []string  `json:"trackingNumbers" nullable:"false" doc:"Of all its parcels."`
	Parcels         int       `json:"parcels"`
	CreatedAt       time.Time `json:"createdAt"`
	UpdatedAt       time.Time `json:"updatedAt"`
	ShippedAt       time.Time `json:"shippedAt,omitzero" doc:"Missing until it was."`
	DeliveredAt     time.Time `json:"deliveredAt,omitzero" doc:"Missing until it was."`
}

// DailySums are what happened on a day (UTC), in one currency.
type DailySums struct {
	Day       string    `json:"day" format:"date" example:"2026-07-01"`
	Currency  string    `json:"currency" example:"USD"`
	Placed    daily.Sum `json:"placed" doc:"Orders, with their totals as they were then."`
	Paid      daily.Sum `json:"paid" doc:"Captures."`
	Refunded  daily.Sum `json:"refunded" doc:"Refunds."`
	Shipped   daily.Sum `json:"shipped" doc:"Orders whose first shipment shipped, with their totals."`
	Delivered daily.Sum `json:"delivered" doc:"Orders of which everything was delivered, with their totals."`
}

// DailyDurations are how long the orders took that were placed on a day (UTC).
type DailyDurations struct {
	Day       string                `json:"day" format:"date" example:"2026-07-01"`
	Placed    int64                 `json:"placed" doc:"How many were placed."`
	Approved  lifecycle.Percentiles `json:"approved" doc:"How many of them got there, and in how many milliseconds from being placed: half of them (p50), 90 and 99 of a hundred took no longer."`
	Paid      lifecycle.Percentiles `json:"paid"`
	Shipped   lifecycle.Percentiles `json:"shipped"`
	Delivered lifecycle.Percentiles `json:"delivered"`
}

// View is how a view of the log is doing.
type View struct {
	Name          string       `json:"name" example:"orders"`
	State         string       `json:"state" enum:"live,building,never_built" doc:"building: for the first time. A live view can be read, also while it is rebuilt."`
	Mode          string       `json:"mode" enum:"follows,inline" doc:"inline: it is written together with the events."`
	Generation    int          `json:"generation" doc:"Of the rows that are read; every rebuild makes another. 0 where the view was never built."`
	Behind        int          `json:"behind" doc:"Events that it has not seen, counted up to 100,000, of all workspaces."`
	LagSeconds    float64      `json:"lagSeconds" doc:"The age of the oldest of them."`
	ParkedStreams int64        `json:"parkedStreams" doc:"Orders of this workspace that it could not follow, because of an error. Their rows stay as they are until the operator retries."`
	Rebuild       *ViewRebuild `json:"rebuild,omitempty" doc:"The one that is under way; missing where none is."`
}

// ViewRebuild is how far a rebuild has come.
type ViewRebuild struct {
	Generation  int   `json:"generation" doc:"That it makes."`
	Events      int64 `json:"events" doc:"That it has folded."`
	TotalEvents int64 `json:"totalEvents" doc:"In the log when it began."`
}

func (a *api) viewOperations() {
	const about = "A view follows the log, mostly within milliseconds; lagSeconds says how far it has come. "
	handle(a, operation{
		id: "listOrders", method: http.MethodGet, path: inside + "/orders", tag: "views",
		summary: "Find orders, the newest first",
		about:   about + "A page may be short, or even empty, while there is a nextCursor, where hardly any order fits the parameters.",
	}, a.listOrders)
	handle(a, operation{
		id: "listShipments", method: http.MethodGet, path: inside + "/shipments", tag: "views",
		summary: "Find shipments, the newest first",
		about:   about + "A page may be short, or even empty, while there is a nextCursor, where hardly any shipment fits the parameters.",
	}, a.listShipments)
	handle(a, operation{
		id: "sumUpDays", method: http.MethodGet, path: inside + "/daily", tag: "views",
		summary: "What happened on each day, in each currency: how many, and how much",
		about:   about + "Days are UTC. Those on which nothing happened are left out.",
	}, a.sumUpDays)
	handle(a, operation{
		id: "measureDays", method: http.MethodGet, path: inside + "/lifecycle", tag: "views",
		summary: "How long orders took, for each day on which they were placed",
		about:   about + "Days are UTC. Those on which no order was placed are left out.",
	}, a.measureDays)
	handle(a, operation{
		id: "listViews", method: http.MethodGet, path: inside + "/projections", tag: "views",
		summary: "How every view is doing",
	}, a.listViews)
}

// statuses of a machine, any of which may be asked for. They are a part of the OpenAPI document, and come from the machine.
type (
	orderStatuses       []string
	paymentStatuses     []string
	fulfillmentStatuses []string
	shipmentStatuses    []string
	carrierStatuses     []string
)

// Schema implements [huma.SchemaProvider], as do those below.
func (orderStatuses) Schema(huma.Registry) *huma.Schema { return anyOf(order.OrderMachine.States()) }

func (paymentStatuses) Schema(huma.Registry) *huma.Schema {
	return anyOf(order.PaymentMachine.States())
}

func (fulfillmentStatuses) Schema(huma.Registry) *huma.Schema {
	return anyOf(order.FulfillmentMachine.States())
}

func (shipmentStatuses) Schema(huma.Registry) *huma.Schema {
	return anyOf(order.ShipmentMachine.States())
}

func (carrierStatuses) Schema(huma.Registry) *huma.Schema { return anyOf(order.CarrierStatuses()) }

func anyOf(words []string) *huma.Schema {
	one := &huma.Schema{Type: "string"}
	for _, word := range words {
		one.Enum = append(one.Enum, word)
	}
	most := 2 * len(words)
	return &huma.Schema{Type: "array", Items: one, MaxItems: &most}
}

// amount is a number of minor units that may be left out.
type amount struct {
	value int64
	given bool
}

// Schema implements [huma.SchemaProvider].
func (amount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "integer", Format: "int64"}
}

// Receiver implements [huma.ParamWrapper].
func (a *amount) Receiver() reflect.Value { return reflect.ValueOf(&a.value).Elem() }

// OnParamSet implements [huma.ParamReactor].
func (a *amount) OnParamSet(given bool, _ any) { a.given = given }

func (a amount) orNil() *int64 {
	if !a.given {
		return nil
	}
	return &a.value
}

type ordersRequest struct {
	Number            string              `query:"number" maxLength:"255" doc:"The order with this number."`
	Email             string              `query:"email" maxLength:"255" doc:"Orders with this e-mail address, in upper or lower case."`
	Customer          string              `query:"customer" maxLength:"255" doc:"Orders of the customer with this id."`
	Status            orderStatuses       `query:"status,explode" doc:"Orders with this status; repeat it for any of several."`
	PaymentStatus     paymentStatuses     `query:"paymentStatus,explode" doc:"Orders with this payment status; repeat it for any of several."`
	FulfillmentStatus fulfillmentStatuses `query:"fulfillmentStatus,explode" doc:"Orders with this fulfillment status; repeat it for any of several."`
	CreatedSince      time.Time           `query:"createdSince" doc:"Orders created then or later."`
	CreatedUntil      time.Time           `query:"createdUntil" doc:"Orders created before."`
	PlacedSince       time.Time           `query:"placedSince" doc:"Orders placed then or later."`
	PlacedUntil       time.Time           `query:"placedUntil" doc:"Orders placed before."`
	Currency          string              `query:"currency" pattern:"^[A-Z]{3}$" doc:"Orders in this currency, such as USD."`
	MinTotal          amount              `query:"minTotal" doc:"Orders with this total, in minor units, or more."`
	MaxTotal          amount              `query:"maxTotal" doc:"Orders with this total, in minor units, or less."`
	Limit             int                 `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor            string              `query:"cursor" maxLength:"1024" doc:"The nextCursor of the page before."`
}

func (a *api) listOrders(ctx context.Context, c caller, in *ordersRequest) (*viewPage[OrderSummary], error) {
	wrong := slices.Concat(inverted("created", in.CreatedSince, in.CreatedUntil), inverted("placed", in.PlacedSince, in.PlacedUntil))
	if in.MinTotal.given && in.MaxTotal.given && in.MinTotal.value > in.MaxTotal.value {
		wrong = append(wrong, domain.FieldError{Field: "maxTotal", Message: "has to be at least minTotal"})
	}
	if len(wrong) > 0 {
		return nil, invalid(wrong...)
	}
	f := orders.Filter{
		Number: in.Number, Email: in.Email, CustomerID: in.Customer,
		Statuses: in.Status, PaymentStatuses: in.PaymentStatus, FulfillmentStatuses: in.FulfillmentStatus,
		CreatedFrom: in.CreatedSince, CreatedTo: in.CreatedUntil, PlacedFrom: in.PlacedSince, PlacedTo: in.PlacedUntil,
		Currency: in.Currency, MinTotal: in.MinTotal.orNil(), MaxTotal: in.MaxTotal.orNil(),
	}
	l := viewListing("orders", c, f)
	place, err := l.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	f.Limit, f.Cursor = in.Limit, place
	return fromView(ctx, a, orders.Name, func() ([]OrderSummary, string, error) {
		found, err := c.workspace.Orders(ctx, f)
		return converted(found.Rows, func(o orders.Order) OrderSummary { return OrderSummary(o) }), l.cursor(found.Next), err
	})
}

type shipmentsRequest struct {
	Order          string           `query:"order" maxLength:"64" doc:"Shipments of the order with this id."`
	TrackingNumber string           `query:"trackingNumber" maxLength:"255" doc:"Shipments with a parcel of this tracking number."`
	Carrier        string           `query:"carrier" maxLength:"255" doc:"Shipments by this carrier."`
	Status         shipmentStatuses `query:"status,explode" doc:"Shipments with this status; repeat it for any of several."`
	DeliveryStatus carrierStatuses  `query:"deliveryStatus,explode" doc:"Shipments of which the carrier says so; repeat it for any of several."`
	CreatedSince   time.Time        `query:"createdSince" doc:"Shipments created then or later."`
	CreatedUntil   time.Time        `query:"createdUntil" doc:"Shipments created before."`
	Limit          int              `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor         string           `query:"cursor" maxLength:"1024" doc:"The nextCursor of the page before."`
}

func (a *api) listShipments(ctx context.Context, c caller, in *shipmentsRequest) (*viewPage[ShipmentSummary], error) {
	if wrong := inverted("created", in.CreatedSince, in.CreatedUntil); len(wrong) > 0 {
		return nil, invalid(wrong...)
	}
	f := shipments.Filter{
		OrderID: in.Order, TrackingNumber: in.TrackingNumber, Carrier: in.Carrier, Statuses: in.Status, DeliveryStatuses: in.DeliveryStatus,
		CreatedFrom: in.CreatedSince, CreatedTo: in.CreatedUntil,
	}
	l := viewListing("shipments", c, f)
	place, err := l.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	f.Limit, f.Cursor = in.Limit, place
	return fromView(ctx, a, shipments.Name, func() ([]ShipmentSummary, string, error) {
		found, err := c.workspace.Shipments(ctx, f)
		return converted(found.Rows, func(s shipments.Shipment) ShipmentSummary { return ShipmentSummary(s) }), l.cursor(found.Next), err
	})
}

// Days are a span of days (UTC); both ends are included.
type Days struct {
	From time.Time `query:"from" timeFormat:"2006-01-02" doc:"The first day (UTC). Left out: 29 days before the last."`
	To   time.Time `query:"to" timeFormat:"2006-01-02" doc:"The last day (UTC), included. Left out: today."`
}

func (d Days) orDefault(now time.Time) Days {
	if d.To.IsZero() {
		d.To = now.UTC().Truncate(24 * time.Hour)
	}
	if d.From.IsZero() {
		d.From = d.To.AddDate(0, 0, -29)
	}
	return d
}

type dailyRequest struct {
	Days
	Currency string `query:"currency" pattern:"^[A-Z]{3}$" doc:"This currency only, such as USD."`
}

func (a *api) sumUpDays(ctx context.Context, c caller, in *dailyRequest) (*viewPage[DailySums], error) {
	span := in.orDefault(a.Now())
	return fromView(ctx, a, daily.Name, func() ([]DailySums, string, error) {
		found, err := c.workspace.Daily(ctx, daily.Filter{From: span.From, To: span.To, Currency: in.Currency})
		return converted(found, func(d daily.Day) DailySums { return DailySums(d) }), "", err
	})
}

type lifecycleRequest struct{ Days }

func (a *api) measureDays(ctx context.Context, c caller, in *lifecycleRequest) (*viewPage[DailyDurations], error) {
	span := in.orDefault(a.Now())
	return fromView(ctx, a, lifecycle.Name, func() ([]DailyDurations, string, error) {
		found, err := c.workspace.Lifecycle(ctx, span.From, span.To)
		return converted(found, func(d lifecycle.Day) DailyDurations { return DailyDurations(d) }), "", err
	})
}

func (a *api) listViews(ctx context.Context, c caller, _ *struct{}) (*page[View], error) {
	states, err := c.workspace.Projections(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(converted(states, viewOf), ""), nil
}

func viewOf(s projections.State) View {
	v := View{
		Name: s.Projection, State: "live", Mode: s.Mode, Generation: s.Generation, Behind: s.Behind, LagSeconds: s.LagSeconds, ParkedStreams: s.Parked,
	}
	switch {
	case s.Building != 0:
		v.Rebuild = &ViewRebuild{Generation: s.Building, Events: s.Folded, TotalEvents: max(s.ToFold, s.Folded)}
		if s.Generation == 0 {
			v.State = "building"
		}
	case s.Generation == 0:
		v.State = "never_built"
	}
	return v
}

// fromView answers with what a view shows. How far the view has come is asked first, so that its rows are no older than that.
func fromView[T any](ctx context.Context, a *api, name string, read func() (rows []T, next string, err error)) (*viewPage[T], error) {
	lag, err := a.Engine.Projections().Lag(ctx, name)
	if err != nil {
		return nil, err
	}
	rows, next, err := read()
	if err != nil {
		return nil, err
	}
	p := pageOf(rows, next).Body
	return &viewPage[T]{viewList[T]{p.Data, p.Error, p.NextCursor, lag.Seconds()}}, nil
}

// viewListing is the listing of a view's rows that fit a filter, which has neither limit nor cursor yet.
func viewListing(name string, c caller, filter any) listing {
	text, _ := json.Marshal(filter) // texts, numbers and times of four digits a year can always be encoded
	return listing{name, c.workspace.Name(), string(text)}
}

func inverted(what string, since, until time.Time) []domain.FieldError {
	if since.IsZero() || until.IsZero() || since.Before(until) {
		return nil
	}
	return []domain.FieldError{{Field: what + "Until", Message: "has to be after " + what + "Since"}}
}

func converted[A, B any](list []A, convert func(A) B) []B {
	all := make([]B, len(list))
	for i := range list {
		all[i] = convert(list[i])
	}
	return all
}
