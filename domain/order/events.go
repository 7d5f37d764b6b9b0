package order

import "time"

// Created is the first event of every order.
type Created struct {
	OrderID           string            `json:"orderId"`
	Currency          string            `json:"currency"`
	Number            string            `json:"number,omitzero"`
	Customer          *Customer         `json:"customer,omitzero"`
	Email             string            `json:"email,omitzero" personal:"true"`
	Channel           string            `json:"channel,omitzero"`
	ShippingAddress   *Address          `json:"shippingAddress,omitzero"`
	BillingAddress    *Address          `json:"billingAddress,omitzero"`
	LineItems         []LineItemInput   `json:"lineItems,omitzero"`
	Adjustments       []AdjustmentInput `json:"adjustments,omitzero"`
	ShippingAmount    int64             `json:"shippingAmount,omitzero"`
	DelayedCapture    bool              `json:"delayedCapture,omitzero"`
	PlaceAt           time.Time         `json:"placeAt,omitzero"`
	Note              string            `json:"note,omitzero"`
	StoreID           string            `json:"storeId,omitzero"`
	CheckoutSessionID string            `json:"checkoutSessionId,omitzero"`
	SubscriptionID    string            `json:"subscriptionId,omitzero"`
	CartURL           string            `json:"cartUrl,omitzero"`
	IPAddress         string            `json:"ipAddress,omitzero" personal:"true"`
	Metadata          map[string]string `json:"metadata,omitzero"`
}

// Updated holds what really changed, and only that: each field that is there is the new value as a whole, and an empty one was
// cleared.
type Updated struct {
	Number            *string           `json:"number,omitzero"`
	Customer          *Customer         `json:"customer,omitzero"`
	Email             *string           `json:"email,omitzero" personal:"true"`
	Channel           *string           `json:"channel,omitzero"`
	ShippingAddress   *Address          `json:"shippingAddress,omitzero"`
	BillingAddress    *Address          `json:"billingAddress,omitzero"`
	LineItems         []LineItemInput   `json:"lineItems,omitzero"`
	Adjustments       []AdjustmentInput `json:"adjustments,omitzero"`
	ShippingAmount    *int64            `json:"shippingAmount,omitzero"`
	DelayedCapture    *bool             `json:"delayedCapture,omitzero"`
	PlaceAt           *time.Time        `json:"placeAt,omitzero"`
	Note              *string           `json:"note,omitzero"`
	StoreID           *string           `json:"storeId,omitzero"`
	CheckoutSessionID *string           `json:"checkoutSessionId,omitzero"`
	SubscriptionID    *string           `json:"subscriptionId,omitzero"`
	CartURL           *string           `json:"cartUrl,omitzero"`
	IPAddress         *string           `json:"ipAddress,omitzero" personal:"true"`
	Metadata          map[string]string `json:"metadata,omitzero"`
}

// The order's own status. From is the status before, where the machine knows more than one.
type (
	Submitted       struct{}
	RevertedToDraft struct{}
	PlacingStarted  struct{}
	Placed          struct {
		From string `json:"from"` // pending or placing
	}
	PlacementFailed struct { // and can be tried again
		Reason string `json:"reason,omitzero"`
	}
	EditingStarted struct{}
	EditingStopped struct{}
	Approved       struct{}
	// Cancelled ends an order. From tells why: placing means that the placement failed for good, approved that everything was
	// refunded, pending or placed that someone cancelled it.
	Cancelled struct {
		From        string `json:"from"`
		Reason      string `json:"reason,omitzero"`
		CancelledBy string `json:"cancelledBy,omitzero"`
	}
	Destroyed struct {
		From string `json:"from"` // draft or pending
	}
)

// What happens to an order that waits for its day.
type (
	// FirstItemAdded tells that an order which was created without a line item has one; it happens at most once in its life.
	FirstItemAdded struct{}
	Scheduled      struct {
		PlaceAt time.Time `json:"placeAt"`
	}
	// Expedited makes the time at which it is recorded the one at which the order is meant to be placed.
	Expedited struct{}
	// Skipped comes before the [Cancelled] that it leads to.
	Skipped struct {
		Reason string `json:"reason,omitzero"`
	}
	Reminded             struct{}
	PaymentSourceChanged struct {
		PaymentSource string `json:"paymentSource"`
	}
	ErrorRecorded struct {
		Code   string `json:"code,omitzero"`
		Reason string `json:"reason"`
	}
)

// The entries of the ledger.
type (
	PaymentAuthorized struct {
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Method    string `json:"method,omitzero"`
		Reference string `json:"reference,omitzero"`
	}
	PaymentFailed struct {
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Method    string `json:"method,omitzero"`
		Reference string `json:"reference,omitzero"`
		Reason    string `json:"reason,omitzero"`
	}
	PaymentCaptured struct {
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
	}
	PaymentVoided struct {
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
	}
	PaymentRefunded struct {
		PaymentID string `json:"paymentId"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Reason    string `json:"reason,omitzero"`
	}
)

// The order's payment status, which follows from the ledger and the total. Each comes right after the entry, or the change of
// the total, that led to it. From is the payment status before.
type (
	Unpaid struct {
		From string `json:"from"`
	}
	PartiallyAuthorized struct {
		From string `json:"from"`
	}
	Authorized struct {
		From string `json:"from"`
	}
	PartiallyPaid struct {
		From string `json:"from"`
	}
	Paid struct {
		From string `json:"from"`
	}
	PartiallyVoided struct {
		From string `json:"from"`
	}
	Voided struct {
		From string `json:"from"`
	}
	PartiallyRefunded struct {
		From string `json:"from"`
	}
	Refunded struct {
		From string `json:"from"`
	}
	Freed struct {
		From string `json:"from"`
	}
)

// The order's fulfillment status.
type (
	FulfillmentStarted     struct{}
	Fulfilled              struct{}
	FulfillmentCancelled   struct{}
	FulfillmentNotRequired struct{}
)

// The latches: each happens at most once in the life of an order.
type (
	Shipped struct { // the first shipment that ever shipped
		ShipmentID string `json:"shipmentId"`
	}
	Delivered struct{} // all shipments that are not cancelled are delivered
)

// The shipments.
type (
	ShipmentCreated struct {
		ShipmentID  string             `json:"shipmentId"`
		Number      string             `json:"number,omitzero"`
		Cost        int64              `json:"cost"`
		Currency    string             `json:"currency"`
		LineItems   []ShipmentLineItem `json:"lineItems"`
		Adjustments []AdjustmentInput  `json:"adjustments,omitzero"`
		Metadata    map[string]string  `json:"metadata,omitzero"`
	}
	ShipmentScheduled struct {
		ShipmentID string `json:"shipmentId"`
	}
	ShipmentHeld struct {
		ShipmentID string `json:"shipmentId"`
		From       string `json:"from"` // upcoming or picking
		Reason     string `json:"reason,omitzero"`
	}
	ShipmentPickingStarted struct {
		ShipmentID string `json:"shipmentId"`
		From       string `json:"from"` // upcoming or on_hold
	}
	ShipmentPackingStarted struct {
		ShipmentID string `json:"shipmentId"`
	}
	ShipmentReadied struct {
		ShipmentID string `json:"shipmentId"`
	}
	ShipmentShipped struct {
		ShipmentID string `json:"shipmentId"`
	}
	ShipmentDelivered struct {
		ShipmentID string `json:"shipmentId"`
	}
	ShipmentCancelled struct {
		ShipmentID string `json:"shipmentId"`
		From       string `json:"from"`
		Reason     string `json:"reason,omitzero"`
	}
	ShipmentDestroyed struct {
		ShipmentID string `json:"shipmentId"`
		From       string `json:"from"`
	}
)

// The parcels.
type (
	ParcelCreated struct {
		ShipmentID     string `json:"shipmentId"`
		ParcelID       string `json:"parcelId"`
		Carrier        string `json:"carrier,omitzero"`
		TrackingNumber string `json:"trackingNumber,omitzero"`
		TrackingURL    string `json:"trackingUrl,omitzero"`
		LabelURL       string `json:"labelUrl,omitzero"`
	}
	ParcelDestroyed struct {
		ShipmentID string `json:"shipmentId"`
		ParcelID   string `json:"parcelId"`
	}
	// ParcelTrackingUpdated holds the parcel's tracking as it is now, all of it.
	ParcelTrackingUpdated struct {
		ShipmentID     string `json:"shipmentId"`
		ParcelID       string `json:"parcelId"`
		Carrier        string `json:"carrier,omitzero"`
		TrackingNumber string `json:"trackingNumber,omitzero"`
		TrackingURL    string `json:"trackingUrl,omitzero"`
		LabelURL       string `json:"labelUrl,omitzero"`
	}
	ParcelCarrierStatusUpdated struct {
		ShipmentID     string `json:"shipmentId"`
		ParcelID       string `json:"parcelId"`
		From           string `json:"from,omitzero"` // empty where the carrier had said nothing before
		Status         string `json:"status"`
		StatusDetail   string `json:"statusDetail,omitzero"`
		TrackingDetail string `json:"trackingDetail,omitzero"`
	}
)

func (Created) EventType() string                    { return "order.created" }
func (Updated) EventType() string                    { return "order.updated" }
func (Submitted) EventType() string                  { return "order.submitted" }
func (RevertedToDraft) EventType() string            { return "order.reverted_to_draft" }
func (PlacingStarted) EventType() string             { return "order.placing_started" }
func (PlacementFailed) EventType() string            { return "order.placement_failed" }
func (Placed) EventType() string                     { return "order.placed" }
func (EditingStarted) EventType() string             { return "order.editing_started" }
func (EditingStopped) EventType() string             { return "order.editing_stopped" }
func (Approved) EventType() string                   { return "order.approved" }
func (Cancelled) EventType() string                  { return "order.cancelled" }
func (Destroyed) EventType() string                  { return "order.destroyed" }
func (FirstItemAdded) EventType() string             { return "order.first_item_added" }
func (Scheduled) EventType() string                  { return "order.scheduled" }
func (Expedited) EventType() string                  { return "order.expedited" }
func (Skipped) EventType() string                    { return "order.skipped" }
func (Reminded) EventType() string                   { return "order.reminded" }
func (PaymentSourceChanged) EventType() string       { return "order.payment_source_changed" }
func (ErrorRecorded) EventType() string              { return "order.error_recorded" }
func (PaymentAuthorized) EventType() string          { return "payment.authorized" }
func (PaymentFailed) EventType() string              { return "payment.failed" }
func (PaymentCaptured) EventType() string            { return "payment.captured" }
func (PaymentVoided) EventType() string              { return "payment.voided" }
func (PaymentRefunded) EventType() string            { return "payment.refunded" }
func (Unpaid) EventType() string                     { return "order.unpaid" }
func (PartiallyAuthorized) EventType() string        { return "order.partially_authorized" }
func (Authorized) EventType() string                 { return "order.authorized" }
func (PartiallyPaid) EventType() string              { return "order.partially_paid" }
func (Paid) EventType() string                       { return "order.paid" }
func (PartiallyVoided) EventType() string            { return "order.partially_voided" }
func (Voided) EventType() string                     { return "order.voided" }
func (PartiallyRefunded) EventType() string          { return "order.partially_refunded" }
func (Refunded) EventType() string                   { return "order.refunded" }
func (Freed) EventType() string                      { return "order.freed" }
func (FulfillmentStarted) EventType() string         { return "order.fulfillment_started" }
func (Fulfilled) EventType() string                  { return "order.fulfilled" }
func (FulfillmentCancelled) EventType() string       { return "order.fulfillment_cancelled" }
func (FulfillmentNotRequired) EventType() string     { return "order.fulfillment_not_required" }
func (Shipped) EventType() string                    { return "order.shipped" }
func (Delivered) EventType() string                  { return "order.delivered" }
func (ShipmentCreated) EventType() string            { return "shipment.created" }
func (ShipmentScheduled) EventType() string          { return "shipment.scheduled" }
func (ShipmentHeld) EventType() string               { return "shipment.held" }
func (ShipmentPickingStarted) EventType() string     { return "shipment.picking_started" }
func (ShipmentPackingStarted) EventType() string     { return "shipment.packing_started" }
func (ShipmentReadied) EventType() string            { return "shipment.ready_to_ship" }
func (ShipmentShipped) EventType() string            { return "shipment.shipped" }
func (ShipmentDelivered) EventType() string          { return "shipment.delivered" }
func (ShipmentCancelled) EventType() string          { return "shipment.cancelled" }
func (ShipmentDestroyed) EventType() string          { return "shipment.destroyed" }
func (ParcelCreated) EventType() string              { return "parcel.created" }
func (ParcelDestroyed) EventType() string            { return "parcel.destroyed" }
func (ParcelTrackingUpdated) EventType() string      { return "parcel.tracking_updated" }
func (ParcelCarrierStatusUpdated) EventType() string { return "parcel.carrier_status_updated" }
