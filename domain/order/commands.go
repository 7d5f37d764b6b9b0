package order

import (
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// LineItemInput is a line item as a command gives it and as events record it.
type LineItemInput struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	SKU         string            `json:"sku"`
	Quantity    int64             `json:"quantity"`
	UnitPrice   int64             `json:"unitPrice"` // minor units
	DoNotShip   bool              `json:"doNotShip,omitzero"`
	ImageURL    string            `json:"imageUrl,omitzero"`
	Adjustments []AdjustmentInput `json:"adjustments,omitzero"`
}

// AdjustmentInput is an adjustment as a command gives it and as events record it.
type AdjustmentInput struct {
	ID            string `json:"id"`
	Kind          string `json:"kind"`   // an Adjustment… constant
	Amount        int64  `json:"amount"` // minor units
	Label         string `json:"label"`
	Included      bool   `json:"included,omitzero"`
	SourceType    string `json:"sourceType,omitzero"`
	PromotionCode string `json:"promotionCode,omitzero"`
}

// Create starts an order as a draft. Everything but the currency can be given later.
type Create struct {
	OrderID           string            `json:"orderId"` // generated where it is empty
	Currency          string            `json:"currency"`
	Number            string            `json:"number,omitzero"`
	Customer          *Customer         `json:"customer,omitzero"`
	Email             string            `json:"email,omitzero"`
	Channel           string            `json:"channel,omitzero"`
	ShippingAddress   *Address          `json:"shippingAddress,omitzero"`
	BillingAddress    *Address          `json:"billingAddress,omitzero"`
	LineItems         []LineItemInput   `json:"lineItems,omitzero"`
	Adjustments       []AdjustmentInput `json:"adjustments,omitzero"`
	ShippingAmount    int64             `json:"shippingAmount,omitzero"` // minor units
	DelayedCapture    bool              `json:"delayedCapture,omitzero"`
	PlaceAt           time.Time         `json:"placeAt,omitzero"`
	Note              string            `json:"note,omitzero"`
	StoreID           string            `json:"storeId,omitzero"`
	CheckoutSessionID string            `json:"checkoutSessionId,omitzero"`
	SubscriptionID    string            `json:"subscriptionId,omitzero"`
	CartURL           string            `json:"cartUrl,omitzero"`
	IPAddress         string            `json:"ipAddress,omitzero"`
	Metadata          map[string]string `json:"metadata,omitzero"`
}

// Update replaces what it names and leaves the rest: nil means "as it is", a pointer to the zero value or an empty list clears.
// It is legal while the order is draft, pending or being edited. The currency of an order never changes.
type Update struct {
	OrderID           string            `json:"orderId"`
	Number            *string           `json:"number,omitzero"`
	Customer          *Customer         `json:"customer,omitzero"`
	Email             *string           `json:"email,omitzero"`
	Channel           *string           `json:"channel,omitzero"`
	ShippingAddress   *Address          `json:"shippingAddress,omitzero"`
	BillingAddress    *Address          `json:"billingAddress,omitzero"`
	LineItems         []LineItemInput   `json:"lineItems,omitzero"`
	Adjustments       []AdjustmentInput `json:"adjustments,omitzero"`
	ShippingAmount    *int64            `json:"shippingAmount,omitzero"` // minor units
	DelayedCapture    *bool             `json:"delayedCapture,omitzero"`
	PlaceAt           *time.Time        `json:"placeAt,omitzero"`
	Note              *string           `json:"note,omitzero"`
	StoreID           *string           `json:"storeId,omitzero"`
	CheckoutSessionID *string           `json:"checkoutSessionId,omitzero"`
	SubscriptionID    *string           `json:"subscriptionId,omitzero"`
	CartURL           *string           `json:"cartUrl,omitzero"`
	IPAddress         *string           `json:"ipAddress,omitzero"`
	Metadata          map[string]string `json:"metadata,omitzero"` // replaced as a whole
}

// The moves of the order machine.
type (
	// Submit takes a draft to pending; it needs a customer and a line item.
	Submit struct {
		OrderID string `json:"orderId"`
	}
	// RevertToDraft takes a pending order back to draft.
	RevertToDraft struct {
		OrderID string `json:"orderId"`
	}
	// BeginPlacing takes a pending order to placing, for placements that take a while, such as a payment by redirection.
	BeginPlacing struct {
		OrderID string `json:"orderId"`
	}
	// Place needs the total to be covered by what is authorized and captured, or to be zero.
	Place struct {
		OrderID string `json:"orderId"`
	}
	// FailPlacement takes an order that is being placed back to pending, to be placed again.
	FailPlacement struct {
		OrderID string `json:"orderId"`
		Reason  string `json:"reason,omitzero"`
	}
	// RejectPlacement ends an order that is being placed: it fails for good, and is cancelled with everything that Cancel does.
	RejectPlacement struct {
		OrderID string `json:"orderId"`
		Reason  string `json:"reason,omitzero"`
	}
	// Edit opens a placed order for updates.
	Edit struct {
		OrderID string `json:"orderId"`
	}
	// StopEditing closes it again; the total may not have grown since [Edit].
	StopEditing struct {
		OrderID string `json:"orderId"`
	}
	// Approve needs the order to be authorized, paid or free. It settles whether there is anything to fulfill.
	Approve struct {
		OrderID string `json:"orderId"`
	}
	// Cancel ends a pending or placed order: open authorizations are voided, shipments cancelled. What was captured stays
	// captured until it is refunded.
	Cancel struct {
		OrderID     string `json:"orderId"`
		Reason      string `json:"reason,omitzero"`
		CancelledBy string `json:"cancelledBy,omitzero"`
	}
	// Destroy removes an order that was never placed and never took money. Its id stays used.
	Destroy struct {
		OrderID string `json:"orderId"`
	}
	// StartFulfillment needs an approved order that is paid, free, or authorized with delayed capture allowed.
	StartFulfillment struct {
		OrderID string `json:"orderId"`
	}
)

// What can be said of an order that waits for its day. All of it is legal while it is draft or pending, and what fails of it also
// while it is being placed.
type (
	// Schedule sets the day on which the order is meant to be placed. Nothing places it by itself.
	Schedule struct {
		OrderID string    `json:"orderId"`
		PlaceAt time.Time `json:"placeAt"`
	}
	// Expedite makes now the time at which the order is meant to be placed.
	Expedite struct {
		OrderID string `json:"orderId"`
	}
	// Skip lets this order of a series be, as its customer wishes: it is cancelled, with everything that [Cancel] does, before it was
	// placed.
	Skip struct {
		OrderID string `json:"orderId"`
		Reason  string `json:"reason,omitzero"`
	}
	// Remind tells that the customer was reminded of the order.
	Remind struct {
		OrderID string `json:"orderId"`
	}
	// ChangePaymentSource names what the order will be paid with.
	ChangePaymentSource struct {
		OrderID       string `json:"orderId"`
		PaymentSource string `json:"paymentSource"` // the payment provider's own id of it
	}
	// RecordError tells that something went wrong with the order that changes no status.
	RecordError struct {
		OrderID string `json:"orderId"`
		Code    string `json:"code,omitzero"`
		Reason  string `json:"reason"`
	}
)

// The entries of the ledger. Amounts are in minor units of the order's currency.
type (
	// Authorize adds a payment: an amount that was reserved and can be captured. Currency must be the order's.
	Authorize struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Method    string `json:"method,omitzero"`
		Reference string `json:"reference,omitzero"` // the payment provider's own id of it
	}
	// RecordFailedPayment adds a payment that was tried in vain. It counts nowhere.
	RecordFailedPayment struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Method    string `json:"method,omitzero"`
		Reference string `json:"reference,omitzero"`
		Reason    string `json:"reason,omitzero"`
	}
	// Capture takes money that is open on a payment.
	Capture struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
	}
	// Void gives up money that is open on a payment: Amount of it, or all where Amount is zero.
	Void struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount,omitzero"`
	}
	// Refund gives back money that was captured. Giving back the last of it cancels an approved order.
	Refund struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Reason    string `json:"reason,omitzero"`
	}
)

// CreateShipment adds a shipment as a draft. What its line items and those of the other shipments that are not cancelled take
// may not exceed what was ordered.
type CreateShipment struct {
	OrderID     string             `json:"orderId"`
	ShipmentID  string             `json:"shipmentId"`
	Number      string             `json:"number,omitzero"`
	Cost        int64              `json:"cost,omitzero"` // minor units; no part of the order's total
	LineItems   []ShipmentLineItem `json:"lineItems"`
	Adjustments []AdjustmentInput  `json:"adjustments,omitzero"`
	Metadata    map[string]string  `json:"metadata,omitzero"`
}

// The moves of the shipment machine.
type (
	// ScheduleShipment takes a draft to upcoming, once the order is placed.
	ScheduleShipment struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// HoldShipment stops a shipment until picking starts (again).
	HoldShipment struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
		Reason     string `json:"reason,omitzero"`
	}
	// StartPicking needs the order's fulfillment to have started.
	StartPicking struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// StartPacking follows picking.
	StartPacking struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// MarkReadyToShip follows packing.
	MarkReadyToShip struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// Ship needs the order to be paid or free, or covered and allowed to be captured later.
	Ship struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// Deliver needs all parcels of the shipment to be delivered, where it has parcels.
	Deliver struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
	// CancelShipment is legal until it has shipped.
	CancelShipment struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
		Reason     string `json:"reason,omitzero"`
	}
	// DestroyShipment removes a shipment that has not shipped, with its parcels.
	DestroyShipment struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
	}
)

// What can be said of parcels. A parcel's id is unique within the order.
type (
	// CreateParcel is legal until the shipment is delivered or cancelled.
	CreateParcel struct {
		OrderID        string `json:"orderId"`
		ShipmentID     string `json:"shipmentId"`
		ParcelID       string `json:"parcelId"`
		Carrier        string `json:"carrier,omitzero"`
		TrackingNumber string `json:"trackingNumber,omitzero"`
		TrackingURL    string `json:"trackingUrl,omitzero"`
		LabelURL       string `json:"labelUrl,omitzero"`
	}
	// DestroyParcel is legal until the shipment is delivered or cancelled.
	DestroyParcel struct {
		OrderID    string `json:"orderId"`
		ShipmentID string `json:"shipmentId"`
		ParcelID   string `json:"parcelId"`
	}
	// SetTracking replaces what it names and leaves the rest, as [Update] does.
	SetTracking struct {
		OrderID        string  `json:"orderId"`
		ShipmentID     string  `json:"shipmentId"`
		ParcelID       string  `json:"parcelId"`
		Carrier        *string `json:"carrier,omitzero"`
		TrackingNumber *string `json:"trackingNumber,omitzero"`
		TrackingURL    *string `json:"trackingUrl,omitzero"`
		LabelURL       *string `json:"labelUrl,omitzero"`
	}
	// SetCarrierStatus records what the carrier says of the parcel now.
	SetCarrierStatus struct {
		OrderID        string `json:"orderId"`
		ShipmentID     string `json:"shipmentId"`
		ParcelID       string `json:"parcelId"`
		Status         string `json:"status"` // a Carrier… constant
		StatusDetail   string `json:"statusDetail,omitzero"`
		TrackingDetail string `json:"trackingDetail,omitzero"`
	}
)

// WithID addresses the order that Create starts.
func (c Create) WithID(id string) domain.Command { c.OrderID = id; return c }

func (Create) CommandName() string              { return "order.create" }
func (Update) CommandName() string              { return "order.update" }
func (Submit) CommandName() string              { return "order.submit" }
func (RevertToDraft) CommandName() string       { return "order.revert_to_draft" }
func (BeginPlacing) CommandName() string        { return "order.begin_placing" }
func (Place) CommandName() string               { return "order.place" }
func (FailPlacement) CommandName() string       { return "order.fail_placement" }
func (RejectPlacement) CommandName() string     { return "order.reject_placement" }
func (Edit) CommandName() string                { return "order.edit" }
func (StopEditing) CommandName() string         { return "order.stop_editing" }
func (Approve) CommandName() string             { return "order.approve" }
func (Cancel) CommandName() string              { return "order.cancel" }
func (Destroy) CommandName() string             { return "order.destroy" }
func (StartFulfillment) CommandName() string    { return "order.start_fulfillment" }
func (Schedule) CommandName() string            { return "order.schedule" }
func (Expedite) CommandName() string            { return "order.expedite" }
func (Skip) CommandName() string                { return "order.skip" }
func (Remind) CommandName() string              { return "order.remind" }
func (ChangePaymentSource) CommandName() string { return "order.change_payment_source" }
func (RecordError) CommandName() string         { return "order.record_error" }
func (Authorize) CommandName() string           { return "payment.authorize" }
func (RecordFailedPayment) CommandName() string { return "payment.record_failure" }
func (Capture) CommandName() string             { return "payment.capture" }
func (Void) CommandName() string                { return "payment.void" }
func (Refund) CommandName() string              { return "payment.refund" }
func (CreateShipment) CommandName() string      { return "shipment.create" }
func (ScheduleShipment) CommandName() string    { return "shipment.schedule" }
func (HoldShipment) CommandName() string        { return "shipment.hold" }
func (StartPicking) CommandName() string        { return "shipment.start_picking" }
func (StartPacking) CommandName() string        { return "shipment.start_packing" }
func (MarkReadyToShip) CommandName() string     { return "shipment.mark_ready_to_ship" }
func (Ship) CommandName() string                { return "shipment.ship" }
func (Deliver) CommandName() string             { return "shipment.deliver" }
func (CancelShipment) CommandName() string      { return "shipment.cancel" }
func (DestroyShipment) CommandName() string     { return "shipment.destroy" }
func (CreateParcel) CommandName() string        { return "parcel.create" }
func (DestroyParcel) CommandName() string       { return "parcel.destroy" }
func (SetTracking) CommandName() string         { return "parcel.set_tracking" }
func (SetCarrierStatus) CommandName() string    { return "parcel.set_carrier_status" }

func stream(orderID string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: orderID} }

func (c Create) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c Update) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c Submit) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c RevertToDraft) StreamID() domain.StreamID       { return stream(c.OrderID) }
func (c BeginPlacing) StreamID() domain.StreamID        { return stream(c.OrderID) }
func (c Place) StreamID() domain.StreamID               { return stream(c.OrderID) }
func (c FailPlacement) StreamID() domain.StreamID       { return stream(c.OrderID) }
func (c RejectPlacement) StreamID() domain.StreamID     { return stream(c.OrderID) }
func (c Edit) StreamID() domain.StreamID                { return stream(c.OrderID) }
func (c StopEditing) StreamID() domain.StreamID         { return stream(c.OrderID) }
func (c Approve) StreamID() domain.StreamID             { return stream(c.OrderID) }
func (c Cancel) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c Destroy) StreamID() domain.StreamID             { return stream(c.OrderID) }
func (c StartFulfillment) StreamID() domain.StreamID    { return stream(c.OrderID) }
func (c Schedule) StreamID() domain.StreamID            { return stream(c.OrderID) }
func (c Expedite) StreamID() domain.StreamID            { return stream(c.OrderID) }
func (c Skip) StreamID() domain.StreamID                { return stream(c.OrderID) }
func (c Remind) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c ChangePaymentSource) StreamID() domain.StreamID { return stream(c.OrderID) }
func (c RecordError) StreamID() domain.StreamID         { return stream(c.OrderID) }
func (c Authorize) StreamID() domain.StreamID           { return stream(c.OrderID) }
func (c RecordFailedPayment) StreamID() domain.StreamID { return stream(c.OrderID) }
func (c Capture) StreamID() domain.StreamID             { return stream(c.OrderID) }
func (c Void) StreamID() domain.StreamID                { return stream(c.OrderID) }
func (c Refund) StreamID() domain.StreamID              { return stream(c.OrderID) }
func (c CreateShipment) StreamID() domain.StreamID      { return stream(c.OrderID) }
func (c ScheduleShipment) StreamID() domain.StreamID    { return stream(c.OrderID) }
func (c HoldShipment) StreamID() domain.StreamID        { return stream(c.OrderID) }
func (c StartPicking) StreamID() domain.StreamID        { return stream(c.OrderID) }
func (c StartPacking) StreamID() domain.StreamID        { return stream(c.OrderID) }
func (c MarkReadyToShip) StreamID() domain.StreamID     { return stream(c.OrderID) }
func (c Ship) StreamID() domain.StreamID                { return stream(c.OrderID) }
func (c Deliver) StreamID() domain.StreamID             { return stream(c.OrderID) }
func (c CancelShipment) StreamID() domain.StreamID      { return stream(c.OrderID) }
func (c DestroyShipment) StreamID() domain.StreamID     { return stream(c.OrderID) }
func (c CreateParcel) StreamID() domain.StreamID        { return stream(c.OrderID) }
func (c DestroyParcel) StreamID() domain.StreamID       { return stream(c.OrderID) }
func (c SetTracking) StreamID() domain.StreamID         { return stream(c.OrderID) }
func (c SetCarrierStatus) StreamID() domain.StreamID    { return stream(c.OrderID) }

// Commands returns a zero value of every command, in the order of the catalog.
func Commands() []domain.Command {
	return []domain.Command{
		Create{},
		Update{},
		Submit{},
		RevertToDraft{},
		BeginPlacing{},
		Place{},
		FailPlacement{},
		RejectPlacement{},
		Edit{},
		StopEditing{},
		Approve{},
		Cancel{},
		Destroy{},
		StartFulfillment{},
		Authorize{},
		RecordFailedPayment{},
		Capture{},
		Void{},
		Refund{},
		CreateShipment{},
		ScheduleShipment{},
		HoldShipment{},
		StartPicking{},
		StartPacking{},
		MarkReadyToShip{},
		Ship{},
		Deliver{},
		CancelShipment{},
		DestroyShipment{},
		CreateParcel{},
		DestroyParcel{},
		SetTracking{},
		SetCarrierStatus{},
		Schedule{},
		Expedite{},
		Skip{},
		Remind{},
		ChangePaymentSource{},
		RecordError{},
	}
}
