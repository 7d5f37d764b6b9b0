package profile

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/stock"
)

// chordRetries are ours: Chord says that an attempt is repeated up to five times, not when.
var chordRetries = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour}

// Chord is the profile of Chord OMS. Its bodies are {"event_name":…,"order":{…}}, or "shipment" or "stock_item", key for key like the
// samples in its documentation. Chord documents no signature: a webhook without a secret gets none, one with a secret gets that of
// the Standard Webhooks specification.
func Chord(aggregates map[string]*domain.Aggregate) *Profile {
	p := &Profile{
		Name:           "chord",
		Aliases:        map[string]string{"shipping_delivery_status_updated": "shipment_delivery_status_updated"},
		Signer:         chordSigner,
		SecretOptional: true,
		NewSecret:      NewStandardSecret,
		Rotation:       Rotation,
		Success: func(status int) bool {
			return status == http.StatusOK || status == http.StatusCreated || status == http.StatusAccepted || status == http.StatusNoContent
		},
		GivesUp:  never,
		Timeout:  15 * time.Second,
		Schedule: Schedule{Pauses: chordRetries},
	}
	return p.follow([]rule{
		tell("order_completed", "Occurs whenever an order is completed: it was placed.", chordOrderOf, nil, "order.placed"),
		tell("order_cancelled", "Occurs whenever an order that was completed is cancelled.", chordOrderOf,
			func(c change[order.Order]) bool { return !c.before.PlacedAt.IsZero() }, "order.cancelled"),
		tell("shipment_shipped", "Occurs whenever a shipment is shipped.", chordShipmentOf, nil, "shipment.shipped"),
		tell("shipment_updated", "Occurs whenever the status of a shipment becomes another one than shipped, or its tracking details change.",
			chordShipmentOf, chordUpdates,
			"shipment.scheduled", "shipment.held", "shipment.picking_started", "shipment.packing_started", "shipment.ready_to_ship",
			"shipment.cancelled", "parcel.created", "parcel.destroyed", "parcel.tracking_updated"),
		tell("shipment_delivery_status_updated", "Occurs whenever a carrier says something new about a shipment, or it is delivered.",
			chordShipmentOf, chordDelivers, "parcel.carrier_status_updated", "shipment.delivered"),
		tell("stock_item_back_in_stock", "Occurs whenever a product variant is back in stock.", chordStockItemOf, nil, "stock_item.back_in_stock"),
		tell("stock_item_out_of_stock", "Occurs whenever a product variant goes out of stock.", chordStockItemOf, nil, "stock_item.out_of_stock"),
	}, aggregates)
}

// chordUpdates tells whether something changed that a receiver can care for. The last parcel of a shipment that is about to go changes
// nothing but that.
func chordUpdates(c change[order.Order]) bool {
	before, after := shipments(c)
	switch c.Event.(type) {
	case order.ParcelCreated, order.ParcelDestroyed:
		return before.TrackingNumber != after.TrackingNumber || before.TrackingURL != after.TrackingURL || before.LabelURL != after.LabelURL
	}
	return true
}

// chordDelivers keeps quiet about a shipment that is recorded as delivered after its carrier has said so already.
func chordDelivers(c change[order.Order]) bool {
	before, after := shipments(c)
	_, parcel := partOf(c.Event)
	return parcel != "" || before.DeliveryStatus != after.DeliveryStatus
}

func chordSigner(secrets []string) (Sign, error) {
	if len(secrets) == 0 {
		return func(header http.Header, m Message, _ time.Time) { header["Webhook-Id"] = []string{m.ID} }, nil
	}
	return StandardSigner(secrets)
}

// chordID makes a number of an id, because Chord's ids are numbers. One that is written as a number stays what it is; of any other
// it is the first 53 bits of its SHA-256, which every language can read from JSON without loss.
func chordID(id string) *int64 {
	if id == "" {
		return nil
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && n >= 0 && strconv.FormatInt(n, 10) == id {
		return &n
	}
	sum := sha256.Sum256([]byte(id))
	n := int64(binary.BigEndian.Uint64(sum[:8]) >> 11)
	return &n
}

// chordPartID is the id of a part of an order. Those are unique only within their order, and Chord's everywhere.
func chordPartID(o order.Order, id string) *int64 {
	if n := chordID(id); n == nil || strconv.FormatInt(*n, 10) == id {
		return n
	}
	return chordID(o.ID + "/" + id)
}

type chordOrderMessage struct {
	EventName string     `json:"event_name" schema:"event"`
	Order     chordOrder `json:"order"`
}

type chordOrder struct {
	ID                   *int64            `json:"id"`
	Number               string            `json:"number"`
	ItemTotal            string            `json:"item_total"`
	Total                string            `json:"total"`
	State                string            `json:"state"`
	AdjustmentTotal      string            `json:"adjustment_total"`
	CompletedAt          *string           `json:"completed_at" schema:"date-time"`
	PaymentTotal         string            `json:"payment_total"`
	ShipmentState        *string           `json:"shipment_state"`
	PaymentState         string            `json:"payment_state"`
	Email                *string           `json:"email"`
	CreatedAt            string            `json:"created_at" schema:"date-time"`
	UpdatedAt            string            `json:"updated_at" schema:"date-time"`
	Currency             string            `json:"currency"`
	LastIPAddress        *string           `json:"last_ip_address"`
	ShipmentTotal        string            `json:"shipment_total"`
	AdditionalTaxTotal   string            `json:"additional_tax_total"`
	PromoTotal           string            `json:"promo_total"`
	Channel              *string           `json:"channel"`
	IncludedTaxTotal     string            `json:"included_tax_total"`
	ItemCount            int64             `json:"item_count"`
	Confirmed            bool              `json:"confirmation_delivered"`
	CanceledAt           *string           `json:"canceled_at" schema:"date-time"`
	CancelerID           *int64            `json:"canceler_id"`
	StoreID              *int64            `json:"store_id"`
	CheckoutSessionID    *string           `json:"checkout_session_id"`
	CommissionTotal      string            `json:"commission_total"`
	StripeAutomaticTaxes bool              `json:"stripe_automatic_taxes"`
	SubscriptionOrder    bool              `json:"subscription_order"`
	SubscriptionID       *int64            `json:"subscription_id"`
	CartURL              *string           `json:"cart_url"`
	User                 *chordUser        `json:"user"`
	LineItems            []chordLineItem   `json:"line_items"`
	Shipments            []chordShipment   `json:"shipments"`
	ShipAddress          *chordAddress     `json:"ship_address"`
	BillAddress          *chordAddress     `json:"bill_address"`
	Payments             []chordPayment    `json:"payments"`
	Adjustments          []chordAdjustment `json:"adjustments"`
}

type chordUser struct {
	ID           *int64  `json:"id"`
	Email        *string `json:"email"`
	StripeUserID *string `json:"stripe_user_id"`
}

type chordLineItem struct {
	ID          *int64            `json:"id"`
	Name        string            `json:"name"`
	SKU         string            `json:"sku"`
	Quantity    int64             `json:"quantity"`
	Total       string            `json:"total"`
	Adjustments []chordAdjustment `json:"adjustments"`
}

type chordAdjustment struct {
	ID            *int64  `json:"id"`
	Amount        string  `json:"amount"`
	Label         string  `json:"label"`
	SourceType    *string `json:"source_type"`
	PromotionCode *string `json:"promotion_code"`
	CreatedAt     string  `json:"created_at" schema:"date-time"`
	UpdatedAt     string  `json:"updated_at" schema:"date-time"`
}

type chordAddress struct {
	ID               *int64  `json:"id"`
	FirstName        *string `json:"firstname"`
	LastName         *string `json:"lastname"`
	Address1         *string `json:"address1"`
	Address2         *string `json:"address2"`
	City             *string `json:"city"`
	ZipCode          *string `json:"zipcode"`
	Phone            *string `json:"phone"`
	State            *string `json:"state"`
	Country          *string `json:"country"`
	StateName        *string `json:"state_name"`
	AlternativePhone *string `json:"alternative_phone"`
	Company          *string `json:"company"`
}

type chordPayment struct {
	ID            *int64 `json:"id"`
	Amount        string `json:"amount"`
	PaymentMethod string `json:"payment_method"`
	State         string `json:"state"`
	CreatedAt     string `json:"created_at" schema:"date-time"`
	UpdatedAt     string `json:"updated_at" schema:"date-time"`
}

type chordShipmentMessage struct {
	EventName string              `json:"event_name" schema:"event"`
	Shipment  chordTracedShipment `json:"shipment"`
}

// chordShipment is a shipment within an order.
type chordShipment struct {
	chordShipmentHead
	chordShipmentTail
}

// chordTracedShipment is a shipment by itself. It does not say which order it belongs to, and neither does Chord's.
type chordTracedShipment struct {
	chordShipmentHead
	StatusDetail   *string `json:"status_detail"`
	TrackingDetail *string `json:"tracking_detail"`
	chordShipmentTail
}

type chordShipmentHead struct {
	ID                 *int64  `json:"id"`
	Tracking           *string `json:"tracking"`
	Number             string  `json:"number"`
	Cost               string  `json:"cost"`
	ShippedAt          *string `json:"shipped_at" schema:"date-time"`
	State              string  `json:"state"`
	CreatedAt          string  `json:"created_at" schema:"date-time"`
	UpdatedAt          string  `json:"updated_at" schema:"date-time"`
	AdjustmentTotal    string  `json:"adjustment_total"`
	AdditionalTaxTotal string  `json:"additional_tax_total"`
	PromoTotal         string  `json:"promo_total"`
	IncludedTaxTotal   string  `json:"included_tax_total"`
	Pushed             bool    `json:"pushed"`
	DeliveredAt        *string `json:"delivered_at" schema:"date-time"`
	DeliveryStatus     *string `json:"delivery_status"`
}

type chordShipmentTail struct {
	ExternalTrackingURL *string           `json:"external_tracking_url"`
	LabelURL            *string           `json:"label_url"`
	Adjustments         []chordAdjustment `json:"adjustments"`
}

type chordStockItemMessage struct {
	EventName string         `json:"event_name" schema:"event"`
	StockItem chordStockItem `json:"stock_item"`
}

type chordStockItem struct {
	ID            *int64       `json:"id"`
	StockLocation string       `json:"stock_location"`
	CountOnHand   int64        `json:"count_on_hand"`
	Backorderable bool         `json:"backorderable"`
	CreatedAt     string       `json:"created_at" schema:"date-time"`
	UpdatedAt     string       `json:"updated_at" schema:"date-time"`
	Variant       chordVariant `json:"variant"`
}

type chordVariant struct {
	ID           *int64  `json:"id"`
	SKU          string  `json:"sku"`
	IsMaster     bool    `json:"is_master"`
	Amount       *string `json:"amount"`
	Subscribable bool    `json:"subscribable"`
	Bundle       bool    `json:"bundle"`
	URL          *string `json:"url"`
	MainImage    *string `json:"main_image"`
	UpdatedAt    string  `json:"updated_at" schema:"date-time"`
	CreatedAt    string  `json:"created_at" schema:"date-time"`
}

// chordStockItemOf counts what is available as on hand, because Chord takes off what was sold when it is sold. Of the variant it knows
// nothing but the SKU.
func chordStockItemOf(c change[stock.Item]) chordStockItemMessage {
	i := c.after
	created, updated := millis(i.CreatedAt), millis(i.UpdatedAt)
	return chordStockItemMessage{EventName: c.name, StockItem: chordStockItem{
		ID: chordID(i.ID), StockLocation: i.Location, CountOnHand: i.Available, CreatedAt: created, UpdatedAt: updated,
		Variant: chordVariant{ID: chordID(i.SKU), SKU: i.SKU, CreatedAt: created, UpdatedAt: updated},
	}}
}

func chordOrderOf(c change[order.Order]) chordOrderMessage {
	o := c.after
	amount := func(minor int64) string { return plainAmount(minor, o.Currency) }
	message := chordOrderMessage{EventName: c.name, Order: chordOrder{
		ID: chordID(o.ID), Number: cmp.Or(o.Number, o.ID), State: chordOrderState(o), Currency: o.Currency,
		ItemTotal: amount(o.ItemTotal), Total: amount(o.Total), AdjustmentTotal: amount(o.AdjustmentTotal),
		PaymentTotal: amount(o.CapturedTotal - o.RefundedTotal), ShipmentTotal: amount(o.ShippingTotal),
		AdditionalTaxTotal: amount(o.TaxTotal), PromoTotal: amount(o.PromotionTotal), IncludedTaxTotal: amount(o.IncludedTaxTotal),
		CommissionTotal: amount(0),
		CompletedAt:     millisOrNull(o.PlacedAt), CanceledAt: millisOrNull(o.CancelledAt),
		CreatedAt: millis(o.CreatedAt), UpdatedAt: millis(o.UpdatedAt),
		ShipmentState: chordShipmentsState(o), PaymentState: chordPaymentState(o),
		Email: orNull(email(o)), LastIPAddress: orNull(o.IPAddress), Channel: orNull(o.Channel), ItemCount: o.ItemCount,
		Confirmed: !o.PlacedAt.IsZero(), CancelerID: chordID(o.CancelledBy), StoreID: chordID(o.StoreID),
		CheckoutSessionID: orNull(o.CheckoutSessionID), CartURL: orNull(o.CartURL),
		SubscriptionOrder: o.SubscriptionID != "", SubscriptionID: chordID(o.SubscriptionID),
		LineItems: make([]chordLineItem, len(o.LineItems)), Shipments: make([]chordShipment, len(o.Shipments)),
		ShipAddress: chordAddressOf(o.ShippingAddress), BillAddress: chordAddressOf(o.BillingAddress),
		Payments: make([]chordPayment, len(o.Payments)), Adjustments: chordAdjustments(o, o.Adjustments),
	}}
	if customer := o.Customer; customer != nil && customer.ID != "" {
		message.Order.User = &chordUser{ID: chordID(customer.ID), Email: orNull(email(o)), StripeUserID: orNull(customer.ExternalID)}
	}
	for i, l := range o.LineItems {
		message.Order.LineItems[i] = chordLineItem{
			ID: chordPartID(o, l.ID), Name: l.Name, SKU: l.SKU, Quantity: l.Quantity, Total: chordAmount(l.Total, o.Currency),
			Adjustments: chordAdjustments(o, l.Adjustments),
		}
	}
	for i, s := range o.Shipments {
		message.Order.Shipments[i] = chordShipment{chordShipmentHeadOf(o, s), chordShipmentTailOf(o, s)}
	}
	for i, p := range o.Payments {
		message.Order.Payments[i] = chordPayment{
			ID: chordPartID(o, p.ID), Amount: chordAmount(p.Amount, o.Currency), PaymentMethod: p.Method, State: chordLedgerState(p),
			CreatedAt: millis(p.CreatedAt), UpdatedAt: millis(p.UpdatedAt),
		}
	}
	return message
}

func chordShipmentOf(c change[order.Order]) chordShipmentMessage {
	_, s := shipments(c)
	return chordShipmentMessage{EventName: c.name, Shipment: chordTracedShipment{
		chordShipmentHead: chordShipmentHeadOf(c.after, s),
		StatusDetail:      orNull(s.StatusDetail),
		TrackingDetail:    orNull(s.TrackingDetail),
		chordShipmentTail: chordShipmentTailOf(c.after, s),
	}}
}

func chordShipmentHeadOf(o order.Order, s order.Shipment) chordShipmentHead {
	amount := func(minor int64) string { return plainAmount(minor, o.Currency) }
	return chordShipmentHead{
		ID: chordPartID(o, s.ID), Tracking: orNull(s.TrackingNumber), Number: cmp.Or(s.Number, s.ID), Cost: amount(s.Cost),
		ShippedAt: millisOrNull(s.ShippedAt), State: chordShipmentState(s), CreatedAt: millis(s.CreatedAt), UpdatedAt: millis(s.UpdatedAt),
		AdjustmentTotal: amount(s.AdjustmentTotal), AdditionalTaxTotal: amount(s.TaxTotal), PromoTotal: amount(s.PromotionTotal),
		IncludedTaxTotal: amount(s.IncludedTaxTotal), DeliveredAt: millisOrNull(s.DeliveredAt), DeliveryStatus: orNull(s.DeliveryStatus),
	}
}

func chordShipmentTailOf(o order.Order, s order.Shipment) chordShipmentTail {
	return chordShipmentTail{
		ExternalTrackingURL: orNull(s.TrackingURL), LabelURL: orNull(s.LabelURL), Adjustments: chordAdjustments(o, s.Adjustments),
	}
}

// chordAmount writes an amount as Chord does in lists, such as "$10.63"; its totals are plain, such as "10.63".
func chordAmount(amount int64, currency string) string {
	return signedAmount(amount, currency, currencySign{signOf(currency).symbol, ",", "."})
}

func chordAdjustments(o order.Order, list []order.Adjustment) []chordAdjustment {
	adjustments := make([]chordAdjustment, len(list))
	for i, a := range list {
		adjustments[i] = chordAdjustment{
			ID: chordPartID(o, a.ID), Amount: chordAmount(a.Amount, o.Currency), Label: a.Label, SourceType: orNull(chordSourceType(a)),
			PromotionCode: orNull(a.PromotionCode), CreatedAt: millis(a.CreatedAt), UpdatedAt: millis(a.UpdatedAt),
		}
	}
	return adjustments
}

func chordSourceType(a order.Adjustment) string {
	switch {
	case a.SourceType != "":
		return a.SourceType
	case a.Kind == order.AdjustmentTax:
		return "Tax Rate"
	case a.Kind == order.AdjustmentPromotion:
		return "Promotion"
	}
	return ""
}

func chordAddressOf(a *order.Address) *chordAddress {
	if a == nil {
		return nil
	}
	return &chordAddress{
		ID: chordID(a.ID), FirstName: orNull(a.FirstName), LastName: orNull(a.LastName), Address1: orNull(a.Address1),
		Address2: orNull(a.Address2), City: orNull(a.City), ZipCode: orNull(a.PostalCode), Phone: orNull(a.Phone), State: orNull(a.State),
		Country: orNull(a.Country), StateName: orNull(a.StateName), AlternativePhone: orNull(a.AlternativePhone), Company: orNull(a.Company),
	}
}

// The states are those of Spree, which Chord is built on and its samples show.

func chordOrderState(o order.Order) string {
	switch {
	case o.Status == order.StatusCancelled:
		return "canceled"
	case !o.PlacedAt.IsZero():
		return "complete"
	case o.Status == order.StatusDraft:
		return "cart"
	}
	return "confirm"
}

func chordShipmentState(s order.Shipment) string {
	switch s.Status {
	case order.ShipmentStatusDraft, order.ShipmentStatusOnHold:
		return "pending"
	case order.ShipmentStatusShipped, order.ShipmentStatusDelivered:
		return "shipped" // that it has arrived is said by delivery_status
	case order.ShipmentStatusCancelled:
		return "canceled"
	}
	return "ready"
}

// chordShipmentsState sums up the shipments of an order; those that are cancelled count only where there are no others.
func chordShipmentsState(o order.Order) *string {
	var state string
	for _, s := range o.Shipments {
		now := chordShipmentState(s)
		switch {
		case state == "" || state == "canceled":
			state = now
		case now == "canceled" || now == state:
		case now == "shipped" || state == "shipped" || state == "partial":
			state = "partial"
		default:
			state = "pending" // one is ready and another is not
		}
	}
	return orNull(state)
}

func chordPaymentState(o order.Order) string {
	kept := o.CapturedTotal - o.RefundedTotal
	switch {
	case o.Status == order.StatusCancelled && kept > 0:
		return "credit_owed"
	case o.Status == order.StatusCancelled:
		return "void"
	case kept > o.Total:
		return "credit_owed"
	case o.PaymentStatus == order.PaymentStatusPaid, o.PaymentStatus == order.PaymentStatusFree,
		o.PaymentStatus == order.PaymentStatusPartiallyRefunded, o.PaymentStatus == order.PaymentStatusRefunded:
		return "paid"
	case o.PaymentStatus == order.PaymentStatusVoided:
		return "void"
	}
	return "balance_due"
}

func chordLedgerState(p order.Payment) string {
	switch p.Status {
	case order.LedgerFailed:
		return "failed"
	case order.LedgerOpen:
		return "pending"
	case order.LedgerVoided:
		return "void"
	}
	return "completed"
}
