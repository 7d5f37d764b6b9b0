package profile

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/subscription"
)

// The delivery of Ordergroove runs every five minutes and tries again what is left. How often is not said; three days of it is what
// Ordergroove's guide to webhooks by API gives a delivery.
const (
	ordergrooveSweep   = 5 * time.Minute
	ordergrooveRetries = 3 * 24 * time.Hour / ordergrooveSweep
)

// Ordergroove is the profile of Ordergroove. Its bodies are {"id":…,"type":…,"created":…,"data":{"object":{…}}}; what else a webhook
// asks for is in data.snapshot.
func Ordergroove(aggregates map[string]*domain.Aggregate) *Profile {
	p := &Profile{
		Name:      "ordergroove",
		All:       true,
		Aliases:   map[string]string{"subscription.created": "subscription.create"},
		Includes:  []string{"addresses", "customer", "items", "orders", "payments", "products", "subscriptions"},
		Signer:    ordergrooveSigner,
		NewSecret: newHexSecret,
		Rotation:  Rotation,
		Success:   successful,
		GivesUp:   never,
		Timeout:   5 * time.Second,
		Schedule:  Schedule{Sweep: ordergrooveSweep, MaxRetries: int(ordergrooveRetries)},
	}
	from := func(statuses ...string) func(change[order.Order]) bool {
		return func(c change[order.Order]) bool { return slices.Contains(statuses, c.before.Status) }
	}
	return p.follow([]rule{
		tell("order.create", "Triggered when a new order is created, with the first line item that is added to it.", ordergrooveOrderOf,
			func(c change[order.Order]) bool { return !c.after.FirstItemAt.IsZero() }, "order.created", "order.first_item_added"),
		// An update may be several of these at once. The first that a webhook has subscribed to is told.
		tell("order.send_now", "Triggered when an order's placement date was moved up to today.", ordergrooveOrderOf, ordergrooveSendsNow,
			"order.expedited", "order.scheduled", "order.updated"),
		tell("order.change_next_order_date", "Triggered when the date on which an order is to be placed is changed.", ordergrooveOrderOf,
			func(c change[order.Order]) bool { return !c.before.PlaceAt.Equal(c.after.PlaceAt) }, "order.scheduled", "order.updated"),
		tell("order.change_shipping_address", "Triggered when an order's shipping address is set.", ordergrooveOrderOf,
			func(c change[order.Order]) bool { return !same(c.before.ShippingAddress, c.after.ShippingAddress) }, "order.updated"),
		tell("order.change_payment", "Triggered when it is set what an order that is not placed yet will be paid with.", ordergrooveOrderOf, nil,
			"order.payment_source_changed"),
		tell("order.reminder", "Triggered when the customer is reminded of an order that is to come.", ordergrooveOrderOf, nil, "order.reminded"),
		tell("order.generic_error", "Triggered when something went wrong with an order before it was placed.", ordergrooveOrderOf, nil,
			"order.error_recorded"),
		tell("order.skip_order", "Triggered when an order is cancelled before it is placed, and so will not be.", ordergrooveOrderOf,
			from(order.StatusPending), "order.cancelled"),
		tell("order.cancel", "Triggered when an order that was placed is cancelled.", ordergrooveOrderOf, from(order.StatusPlaced), "order.cancelled"),
		tell("order.reject", "Triggered when placing an order failed for good.", ordergrooveOrderOf, from(order.StatusPlacing), "order.cancelled"),
		tell("order.success", "Triggered when an order was placed successfully.", ordergrooveOrderOf, nil, "order.placed"),
		tell("order.retryable_placement_failure", "Triggered when placing an order failed, and will be tried again.", ordergrooveOrderOf, nil,
			"order.placement_failed"),
		tell("order.delete", "Triggered when an order that was never placed is deleted.", ordergrooveDeletedOf, nil, "order.destroyed"),

		tell("item.create", "Triggered when an item is added to an order that is to come.", ordergrooveItemOf, nil, "item.created"),
		tell("item.change_quantity", "Triggered when the quantity of an item is changed.", ordergrooveItemOf, nil, "item.quantity_changed"),
		tell("item.update_price", "Triggered when the price of an item is changed.", ordergrooveItemOf, nil, "item.price_changed"),
		tell("item.item_subscribe", "Triggered when an item that is bought once becomes a subscription's.", ordergrooveItemOf, nil, "item.subscribed"),
		tell("item.out_of_stock", "Triggered when an item could not be placed because it is out of stock.", ordergrooveItemOf, nil, "item.out_of_stock"),
		tell("item.successfully_placed", "Triggered when an item was placed with its order.", ordergrooveItemOf, nil, "item.placed"),
		tell("item.remove", "Triggered when an item is removed from its order.", ordergrooveItemOf, nil, "item.removed"),

		tell("subscriber.create", "Triggered when somebody's first subscription is created.", ordergrooveSubscriberOf, nil, "subscriber.created"),
		tell("subscriber.cancel", "Triggered when somebody's last live subscription is cancelled.", ordergrooveSubscriberOf, nil, "subscriber.cancelled"),

		tell("subscription.create", "Triggered when a subscription is created.", ordergrooveSubscriptionOf, nil, "subscription.created"),
		tell("subscription.cancel", "Triggered when a subscription is cancelled.", ordergrooveSubscriptionOf, nil, "subscription.cancelled"),
		tell("subscription.reactivate", "Triggered when a cancelled subscription is taken up again.", ordergrooveSubscriptionOf, nil,
			"subscription.reactivated"),
		tell("subscription.sku_swap", "Triggered when the product of a subscription is replaced by another.", ordergrooveSubscriptionOf, nil,
			"subscription.product_changed"),
		tell("subscription.change_components", "Triggered when what a subscribed bundle is made of is changed.", ordergrooveSubscriptionOf, nil,
			"subscription.components_changed"),
		tell("subscription.change_quantity", "Triggered when the quantity of a subscription is changed.", ordergrooveSubscriptionOf, nil,
			"subscription.quantity_changed"),
		tell("subscription.change_frequency", "Triggered when the frequency of a subscription is changed.", ordergrooveSubscriptionOf, nil,
			"subscription.frequency_changed"),
		tell("subscription.change_shipping_address", "Triggered when the shipping address of a subscription is set.", ordergrooveSubscriptionOf, nil,
			"subscription.shipping_address_changed"),
		tell("subscription.change_payment", "Triggered when the payment of a subscription is set.", ordergrooveSubscriptionOf, nil,
			"subscription.payment_changed"),
	}, aggregates)
}

// ordergrooveSendsNow tells whether an order that was to be placed later is to be placed on the day of the change, or is overdue then.
func ordergrooveSendsNow(c change[order.Order]) bool {
	today := c.RecordedAt.UTC().Format(time.DateOnly)
	day := func(at time.Time) string { return at.UTC().Format(time.DateOnly) }
	if _, ok := c.Event.(order.Expedited); ok {
		return true
	}
	return !c.after.PlaceAt.IsZero() && day(c.after.PlaceAt) <= today && (c.before.PlaceAt.IsZero() || day(c.before.PlaceAt) > today)
}

// same compares what may be missing.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// ordergrooveSigner signs "timestamp.body" with each key, the newest first, in hex: ts=…,sig=NEW,sig=OLD.
func ordergrooveSigner(secrets []string) (Sign, error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	keys, err := plainKeys(secrets)
	if err != nil {
		return nil, err
	}
	return func(header http.Header, m Message, at time.Time) {
		unix := strconv.FormatInt(at.Unix(), 10)
		signature := append([]byte("ts="), unix...)
		for _, key := range keys {
			mac := key(unix+".", m.Body)
			signature = hex.AppendEncode(append(signature, ",sig="...), mac[:])
		}
		header["Webhook-Id"] = []string{m.ID}
		header["Ordergroove-Signature"] = []string{string(signature)}
	}, nil
}

type ordergrooveMessage[T any] struct {
	ID      string             `json:"id"`
	Type    string             `json:"type" schema:"event"`
	Created int64              `json:"created"`
	Data    ordergrooveData[T] `json:"data"`
}

type ordergrooveData[T any] struct {
	Object   T                    `json:"object"`
	Snapshot *ordergrooveSnapshot `json:"snapshot,omitempty"`
}

type ordergrooveDeleted struct {
	Type     string `json:"type"`
	PublicID string `json:"public_id"`
}

type ordergrooveOrder struct {
	Type              string            `json:"type"`
	Merchant          string            `json:"merchant"`
	PublicID          string            `json:"public_id"`
	Customer          *string           `json:"customer"`
	Payment           *string           `json:"payment"`
	ShippingAddress   *string           `json:"shipping_address"`
	DiscountTotal     string            `json:"discount_total"`
	ShippingTotal     string            `json:"shipping_total"`
	SubTotal          string            `json:"sub_total"`
	TaxTotal          string            `json:"tax_total"`
	Total             string            `json:"total"`
	ExtraData         map[string]string `json:"extra_data"`
	GenericErrorCount int64             `json:"generic_error_count"`
	OrderMerchantID   *string           `json:"order_merchant_id"`
	Place             *string           `json:"place" schema:"date"`
	RejectedMessage   *string           `json:"rejected_message"`
	Status            int64             `json:"status"`
	StatusDisplay     string            `json:"status_display"`
	Tries             int64             `json:"tries"`
	Cancelled         *int64            `json:"cancelled"`
	Created           int64             `json:"created"`
}

// ordergrooveSnapshot has what the webhook asks for; the rest is left out.
type ordergrooveSnapshot struct {
	Customer      *ordergrooveCustomer   `json:"customer,omitempty"`
	Subscriptions []ordergrooveReference `json:"subscriptions,omitzero"`
	Orders        []ordergrooveOrder     `json:"orders,omitzero"`
	Items         []ordergrooveItem      `json:"items,omitzero"`
	Products      []ordergrooveProduct   `json:"products,omitzero"`
	Addresses     []ordergrooveAddress   `json:"addresses,omitzero"`
	Payments      []ordergroovePayment   `json:"payments,omitzero"`
}

type ordergrooveCustomer struct {
	MerchantUserID *string `json:"merchant_user_id"`
	FirstName      *string `json:"first_name"`
	LastName       *string `json:"last_name"`
	Email          *string `json:"email"`
	PhoneNumber    *string `json:"phone_number"`
}

// ordergrooveReference is what an order knows of its subscription.
type ordergrooveReference struct {
	PublicID string `json:"public_id"`
}

type ordergrooveSubscription struct {
	Type               string                 `json:"type"`
	Merchant           string                 `json:"merchant"`
	PublicID           string                 `json:"public_id"`
	Customer           string                 `json:"customer"`
	Product            string                 `json:"product"`
	Components         []ordergrooveComponent `json:"components"`
	ExtraData          map[string]string      `json:"extra_data"`
	Quantity           int64                  `json:"quantity"`
	Price              *string                `json:"price"`
	FrequencyDays      int64                  `json:"frequency_days"`
	ReminderDays       *int64                 `json:"reminder_days"`
	Every              int64                  `json:"every"`
	EveryPeriod        int64                  `json:"every_period"`
	EveryPeriodDisplay string                 `json:"every_period_display"`
	Cancelled          *int64                 `json:"cancelled"`
	CancelReason       string                 `json:"cancel_reason"`
	CancelReasonCode   *int64                 `json:"cancel_reason_code"`
	SessionID          *string                `json:"session_id"`
	MerchantOrderID    *string                `json:"merchant_order_id"`
	Live               bool                   `json:"live"`
	ExternalID         *string                `json:"external_id"`
	Created            int64                  `json:"created"`
	StartDate          string                 `json:"start_date" schema:"date"`
	Offer              *string                `json:"offer"`
	Payment            *string                `json:"payment"`
	ShippingAddress    *string                `json:"shipping_address"`
	Updated            int64                  `json:"updated"`
}

type ordergrooveSubscriber struct {
	Type             string   `json:"type"`
	Merchant         string   `json:"merchant"`
	MerchantUserID   string   `json:"merchant_user_id"`
	Subscription     *string  `json:"subscription"`
	SessionID        *string  `json:"session_id"`
	FirstName        *string  `json:"first_name"`
	LastName         *string  `json:"last_name"`
	Email            *string  `json:"email"`
	PhoneNumber      *string  `json:"phone_number"`
	PhoneType        *int64   `json:"phone_type"`
	PhoneTypeDisplay *string  `json:"phone_type_display"`
	Live             bool     `json:"live"`
	Created          int64    `json:"created"`
	LastUpdated      int64    `json:"last_updated"`
	ExtraData        struct{} `json:"extra_data"`
	Locale           int64    `json:"locale"`
	LocaleDisplay    string   `json:"locale_display"`
}

type ordergrooveItem struct {
	Type         string                 `json:"type"`
	Merchant     string                 `json:"merchant"`
	PublicID     string                 `json:"public_id"`
	Customer     *string                `json:"customer"`
	Product      string                 `json:"product"`
	Order        string                 `json:"order"`
	Subscription *string                `json:"subscription"`
	Offer        *string                `json:"offer"`
	Quantity     int64                  `json:"quantity"`
	Price        string                 `json:"price"`
	TotalPrice   string                 `json:"total_price"`
	FirstPlaced  *int64                 `json:"first_placed"`
	Components   []ordergrooveComponent `json:"components"`
}

type ordergrooveComponent struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

type ordergrooveProduct struct {
	ExternalProductID string  `json:"external_product_id"`
	Name              string  `json:"name"`
	Price             string  `json:"price"`
	ImageURL          *string `json:"image_url"`
}

type ordergrooveAddress struct {
	PublicID          *string `json:"public_id"`
	FirstName         *string `json:"first_name"`
	LastName          *string `json:"last_name"`
	CompanyName       *string `json:"company_name"`
	Address           *string `json:"address"`
	Address2          *string `json:"address2"`
	City              *string `json:"city"`
	StateProvinceCode *string `json:"state_province_code"`
	ZipPostalCode     *string `json:"zip_postal_code"`
	CountryCode       *string `json:"country_code"`
	Phone             *string `json:"phone"`
}

type ordergroovePayment struct {
	PublicID string  `json:"public_id"`
	Label    string  `json:"label"`
	TokenID  *string `json:"token_id"`
}

func ordergrooveOrderOf(c change[order.Order]) ordergrooveMessage[ordergrooveOrder] {
	return ordergrooveMessage[ordergrooveOrder]{
		ID: c.ID.String(), Type: c.name, Created: c.RecordedAt.Unix(),
		Data: ordergrooveData[ordergrooveOrder]{Object: ordergrooveObject(c), Snapshot: ordergrooveSnapshotOf(c)},
	}
}

func ordergrooveDeletedOf(c change[order.Order]) ordergrooveMessage[ordergrooveDeleted] {
	return ordergrooveMessage[ordergrooveDeleted]{
		ID: c.ID.String(), Type: c.name, Created: c.RecordedAt.Unix(),
		Data: ordergrooveData[ordergrooveDeleted]{Object: ordergrooveDeleted{Type: "order", PublicID: c.after.ID}},
	}
}

func ordergrooveObject(c change[order.Order]) ordergrooveOrder {
	o := c.after
	amount := func(minor int64) string { return order.FormatDecimal(minor, o.Currency) }
	status, display := ordergrooveStatus(c)
	object := ordergrooveOrder{
		Type: "order", Merchant: c.Workspace, PublicID: o.ID,
		DiscountTotal: amount(-o.PromotionTotal), ShippingTotal: amount(o.ShippingTotal), SubTotal: amount(o.ItemTotal),
		TaxTotal: amount(o.TaxTotal + o.IncludedTaxTotal), Total: amount(o.Total),
		ExtraData: o.Metadata, RejectedMessage: orNull(o.PlacementFailure), Status: status, StatusDisplay: display,
		Cancelled: seconds(o.CancelledAt), Created: o.CreatedAt.Unix(),
	}
	if o.Customer != nil {
		object.Customer = orNull(o.Customer.ID)
	}
	if object.Payment = orNull(o.PaymentSource); object.Payment == nil && len(o.Payments) > 0 {
		object.Payment = &o.Payments[len(o.Payments)-1].ID
	}
	if o.LastError != "" {
		object.GenericErrorCount = 1 // there were that many at least
	}
	if o.ShippingAddress != nil {
		object.ShippingAddress = orNull(o.ShippingAddress.ID)
	}
	if !o.PlaceAt.IsZero() {
		day := o.PlaceAt.UTC().Format(time.DateOnly)
		object.Place = &day
	}
	if !o.PlacedAt.IsZero() {
		object.OrderMerchantID = orNull(o.Number)
	}
	if status == ordergrooveRejected {
		object.RejectedMessage = orNull(o.CancelReason)
	}
	if status == ordergrooveRejected || !o.PlacedAt.IsZero() || o.PlacementFailure != "" {
		object.Tries = 1 // there were that many at least
	}
	return object
}

// The codes are those of Ordergroove's list of order status codes.
const (
	ordergrooveUnsent    = 1
	ordergrooveRejected  = 3
	ordergrooveCancelled = 4
	ordergrooveSuccess   = 5
	ordergroovePending   = 11
)

func ordergrooveStatus(c change[order.Order]) (code int64, display string) {
	o := c.after
	switch {
	case o.Status == order.StatusCancelled && c.before.Status == order.StatusPlacing:
		return ordergrooveRejected, "Rejected"
	case o.Status == order.StatusCancelled:
		return ordergrooveCancelled, "Cancelled"
	case !o.PlacedAt.IsZero():
		return ordergrooveSuccess, "Success"
	case o.Status == order.StatusPlacing:
		return ordergroovePending, "Pending Placement"
	}
	return ordergrooveUnsent, "Unsent"
}

// ordergrooveSnapshotOf is nil where nothing is asked for.
func ordergrooveSnapshotOf(c change[order.Order]) *ordergrooveSnapshot {
	if len(c.Include) == 0 {
		return nil
	}
	o := c.after
	amount := func(minor int64) string { return order.FormatDecimal(minor, o.Currency) }
	snapshot := &ordergrooveSnapshot{}
	if c.asks("customer") && o.Customer != nil {
		first, last := splitName(o.Customer.Name)
		customer := ordergrooveCustomer{MerchantUserID: orNull(o.Customer.ID), FirstName: orNull(first), LastName: orNull(last), Email: orNull(email(o))}
		if o.ShippingAddress != nil {
			customer.PhoneNumber = orNull(o.ShippingAddress.Phone)
		}
		snapshot.Customer = &customer
	}
	if c.asks("subscriptions") {
		snapshot.Subscriptions = []ordergrooveReference{}
		if o.SubscriptionID != "" {
			snapshot.Subscriptions = append(snapshot.Subscriptions, ordergrooveReference{PublicID: o.SubscriptionID})
		}
	}
	if c.asks("orders") {
		snapshot.Orders = []ordergrooveOrder{ordergrooveObject(c)}
	}
	if c.asks("items") {
		snapshot.Items = make([]ordergrooveItem, len(o.LineItems))
		for i, l := range o.LineItems {
			snapshot.Items[i] = ordergrooveItem{
				Type: "item", Merchant: c.Workspace, PublicID: l.ID, Product: l.SKU, Order: o.ID, Subscription: orNull(o.SubscriptionID),
				Quantity: l.Quantity, Price: amount(l.UnitPrice), TotalPrice: amount(l.Total), Components: []ordergrooveComponent{},
			}
			if o.Customer != nil {
				snapshot.Items[i].Customer = orNull(o.Customer.ID)
			}
		}
	}
	if c.asks("products") {
		snapshot.Products = make([]ordergrooveProduct, len(o.LineItems))
		for i, l := range o.LineItems {
			snapshot.Products[i] = ordergrooveProduct{ExternalProductID: l.SKU, Name: l.Name, Price: amount(l.UnitPrice), ImageURL: orNull(l.ImageURL)}
		}
	}
	if c.asks("addresses") {
		snapshot.Addresses = []ordergrooveAddress{}
		if a := o.ShippingAddress; a != nil {
			snapshot.Addresses = append(snapshot.Addresses, ordergrooveAddress{
				PublicID: orNull(a.ID), FirstName: orNull(a.FirstName), LastName: orNull(a.LastName), CompanyName: orNull(a.Company),
				Address: orNull(a.Address1), Address2: orNull(a.Address2), City: orNull(a.City), StateProvinceCode: orNull(a.State),
				ZipPostalCode: orNull(a.PostalCode), CountryCode: orNull(a.Country), Phone: orNull(a.Phone),
			})
		}
	}
	if c.asks("payments") {
		snapshot.Payments = make([]ordergroovePayment, len(o.Payments))
		for i, p := range o.Payments {
			snapshot.Payments[i] = ordergroovePayment{PublicID: p.ID, Label: p.Method, TokenID: orNull(p.Reference)}
		}
	}
	return snapshot
}

func ordergrooveItemOf(c change[subscription.Item]) ordergrooveMessage[ordergrooveItem] {
	i := c.after
	amount := func(minor int64) string { return order.FormatDecimal(minor, i.Currency) }
	return ordergrooveMessage[ordergrooveItem]{
		ID: c.ID.String(), Type: c.name, Created: c.RecordedAt.Unix(),
		Data: ordergrooveData[ordergrooveItem]{Object: ordergrooveItem{
			Type: "item", Merchant: c.Workspace, PublicID: i.ID, Customer: orNull(i.CustomerID), Product: i.Product, Order: i.OrderID,
			Subscription: orNull(i.SubscriptionID), Offer: orNull(i.Offer), Quantity: i.Quantity, Price: amount(i.UnitPrice),
			TotalPrice: amount(i.UnitPrice * i.Quantity), FirstPlaced: seconds(i.OutOfStockAt), Components: []ordergrooveComponent{},
		}},
	}
}

// ordergrooveSubscriberOf names the subscription that made or ended the subscriber.
func ordergrooveSubscriberOf(c change[subscription.Subscriber]) ordergrooveMessage[ordergrooveSubscriber] {
	s := c.after
	subscriber := ordergrooveSubscriber{
		Type: "subscriber", Merchant: c.Workspace, MerchantUserID: s.ID, Live: s.Status == subscription.SubscriberActive,
		Created: s.CreatedAt.Unix(), LastUpdated: s.UpdatedAt.Unix(), Locale: 1, LocaleDisplay: "en-us",
	}
	if e, ok := c.Event.(subscription.SubscriberCreated); ok {
		subscriber.Subscription = orNull(e.SubscriptionID)
	} else {
		var last time.Time
		for _, sub := range s.Subscriptions {
			if !sub.CancelledAt.Before(last) {
				last, subscriber.Subscription = sub.CancelledAt, orNull(sub.ID)
			}
		}
	}
	return ordergrooveMessage[ordergrooveSubscriber]{
		ID: c.ID.String(), Type: c.name, Created: c.RecordedAt.Unix(), Data: ordergrooveData[ordergrooveSubscriber]{Object: subscriber},
	}
}

func ordergrooveSubscriptionOf(c change[subscription.Subscriber]) ordergrooveMessage[ordergrooveSubscription] {
	sub, _ := c.after.Subscription(subscriptionID(c.Event))
	object := ordergrooveSubscription{
		Type: "subscription", Merchant: c.Workspace, PublicID: sub.ID, Customer: c.after.ID, Product: sub.Product,
		Components: make([]ordergrooveComponent, len(sub.Components)), ExtraData: sub.Metadata, Quantity: sub.Quantity,
		Every: sub.Every, Cancelled: seconds(sub.CancelledAt), CancelReason: sub.CancelReason, MerchantOrderID: orNull(sub.OrderID),
		Live: sub.Status == subscription.Live, Created: sub.CreatedAt.Unix(), StartDate: sub.CreatedAt.UTC().Format(time.DateOnly),
		Offer: orNull(sub.Offer), Payment: orNull(sub.PaymentID), ShippingAddress: orNull(sub.ShippingAddressID), Updated: sub.UpdatedAt.Unix(),
	}
	for i, component := range sub.Components {
		object.Components[i] = ordergrooveComponent(component)
	}
	switch sub.Period {
	case subscription.PeriodDays:
		object.EveryPeriod, object.EveryPeriodDisplay, object.FrequencyDays = 1, "Days", sub.Every
	case subscription.PeriodWeeks:
		object.EveryPeriod, object.EveryPeriodDisplay, object.FrequencyDays = 2, "Weeks", 7*sub.Every
	case subscription.PeriodMonths:
		object.EveryPeriod, object.EveryPeriodDisplay, object.FrequencyDays = 3, "Months", 30*sub.Every
	}
	if sub.CancelReasonCode != "" { // code and words come together, as in "4|Overstocked"
		object.CancelReason = strings.TrimSuffix(sub.CancelReasonCode+"|"+sub.CancelReason, "|")
		if code, err := strconv.ParseInt(sub.CancelReasonCode, 10, 64); err == nil {
			object.CancelReasonCode = &code
		}
	}
	return ordergrooveMessage[ordergrooveSubscription]{
		ID: c.ID.String(), Type: c.name, Created: c.RecordedAt.Unix(), Data: ordergrooveData[ordergrooveSubscription]{Object: object},
	}
}

// subscriptionID is the subscription that an event of a subscriber is about.
func subscriptionID(event domain.Event) string {
	switch e := event.(type) {
	case subscription.Created:
		return e.SubscriptionID
	case subscription.Ended:
		return e.SubscriptionID
	case subscription.Reactivated:
		return e.SubscriptionID
	case subscription.ProductChanged:
		return e.SubscriptionID
	case subscription.ComponentsChanged:
		return e.SubscriptionID
	case subscription.QuantityChanged:
		return e.SubscriptionID
	case subscription.FrequencyChanged:
		return e.SubscriptionID
	case subscription.ShippingAddressChanged:
		return e.SubscriptionID
	case subscription.PaymentChanged:
		return e.SubscriptionID
	}
	return ""
}
