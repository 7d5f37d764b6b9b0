package order

import (
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/domain"
)

// Change is one status that is another one than before.
type Change struct {
	Machine string `json:"machine"` // such as "shipment"
	Subject string `json:"subject"` // such as "shipment shp_1"
	From    string `json:"from"`    // empty for a thing that is new
	To      string `json:"to"`
}

func (c Change) String() string {
	if c.From == "" {
		return fmt.Sprintf("%s: new, %s", c.Subject, c.To)
	}
	return fmt.Sprintf("%s: %s → %s", c.Subject, c.From, c.To)
}

// Changes tells which statuses differ between two states of the same order: its own, its payment and fulfillment status, and
// those of its shipments.
func Changes(before, after Order) []Change {
	var changes []Change
	note := func(m *domain.Machine, subject, from, to string) {
		if from != to {
			changes = append(changes, Change{Machine: m.Name, Subject: subject, From: from, To: to})
		}
	}
	subject := "order " + after.ID
	note(OrderMachine, subject, before.Status, after.Status)
	note(PaymentMachine, subject, before.PaymentStatus, after.PaymentStatus)
	note(FulfillmentMachine, subject, before.FulfillmentStatus, after.FulfillmentStatus)
	for _, s := range before.Shipments {
		if _, still := after.Shipment(s.ID); !still {
			note(ShipmentMachine, "shipment "+s.ID, s.Status, ShipmentStatusDestroyed)
		}
	}
	for _, s := range after.Shipments {
		was, _ := before.Shipment(s.ID)
		note(ShipmentMachine, "shipment "+s.ID, was.Status, s.Status)
	}
	return changes
}

// Describe tells an event in one short line, for histories.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return fmt.Sprintf("created with %s", count(len(e.LineItems), "line item"))
	case Updated:
		return "changed " + strings.Join(e.fields(), ", ")
	case Submitted:
		return "submitted"
	case RevertedToDraft:
		return "taken back to draft"
	case PlacingStarted:
		return "placing started"
	case PlacementFailed:
		return because("placing failed, to be tried again", e.Reason)
	case Placed:
		return "placed"
	case EditingStarted:
		return "opened for editing"
	case EditingStopped:
		return "closed after editing"
	case Approved:
		return "approved"
	case Cancelled:
		switch e.From {
		case StatusPlacing:
			return because("cancelled, as placing failed for good", e.Reason)
		case StatusApproved:
			return because("cancelled, as it was refunded in full", e.Reason)
		}
		if e.CancelledBy != "" {
			return because("cancelled by "+e.CancelledBy, e.Reason)
		}
		return because("cancelled", e.Reason)
	case Destroyed:
		return "destroyed"

	case FirstItemAdded:
		return "got its first line item"
	case Scheduled:
		return "to be placed at " + e.PlaceAt.UTC().Format("2006-01-02 15:04 UTC")
	case Expedited:
		return "to be placed now"
	case Skipped:
		return because("skipped", e.Reason)
	case Reminded:
		return "the customer was reminded"
	case PaymentSourceChanged:
		return "to be paid with " + e.PaymentSource
	case ErrorRecorded:
		return because("an error", e.Reason)

	case PaymentAuthorized:
		return fmt.Sprintf("authorized %s as payment %s", FormatAmount(e.Amount, e.Currency), e.PaymentID)
	case PaymentFailed:
		return because(fmt.Sprintf("payment %s of %s failed", e.PaymentID, FormatAmount(e.Amount, e.Currency)), e.Reason)
	case PaymentCaptured:
		return fmt.Sprintf("captured %s of payment %s", FormatAmount(e.Amount, e.Currency), e.PaymentID)
	case PaymentVoided:
		return fmt.Sprintf("voided %s of payment %s", FormatAmount(e.Amount, e.Currency), e.PaymentID)
	case PaymentRefunded:
		return because(fmt.Sprintf("refunded %s of payment %s", FormatAmount(e.Amount, e.Currency), e.PaymentID), e.Reason)

	case Unpaid:
		return "no longer free"
	case PartiallyAuthorized:
		return "a part of the total is authorized"
	case Authorized:
		return "the total is authorized"
	case PartiallyPaid:
		return "a part of the total is paid"
	case Paid:
		return "the total is paid"
	case PartiallyVoided:
		return "a part of the authorization is voided"
	case Voided:
		return "the authorization is voided"
	case PartiallyRefunded:
		return "a part of what was paid is refunded"
	case Refunded:
		return "all that was paid is refunded"
	case Freed:
		return "nothing is to be paid"

	case FulfillmentStarted:
		return "fulfillment started"
	case Fulfilled:
		return "fulfilled: all shipments have shipped"
	case FulfillmentCancelled:
		return "fulfillment cancelled"
	case FulfillmentNotRequired:
		return "nothing is to be shipped"
	case Shipped:
		return fmt.Sprintf("the first shipment, %s, has shipped", e.ShipmentID)
	case Delivered:
		return "all shipments are delivered"

	case ShipmentCreated:
		return fmt.Sprintf("shipment %s created with %s", e.ShipmentID, count(len(e.LineItems), "line item"))
	case ShipmentScheduled:
		return fmt.Sprintf("shipment %s is upcoming", e.ShipmentID)
	case ShipmentHeld:
		return because(fmt.Sprintf("shipment %s is on hold", e.ShipmentID), e.Reason)
	case ShipmentPickingStarted:
		return fmt.Sprintf("shipment %s is being picked", e.ShipmentID)
	case ShipmentPackingStarted:
		return fmt.Sprintf("shipment %s is being packed", e.ShipmentID)
	case ShipmentReadied:
		return fmt.Sprintf("shipment %s is ready to ship", e.ShipmentID)
	case ShipmentShipped:
		return fmt.Sprintf("shipment %s has shipped", e.ShipmentID)
	case ShipmentDelivered:
		return fmt.Sprintf("shipment %s is delivered", e.ShipmentID)
	case ShipmentCancelled:
		return because(fmt.Sprintf("shipment %s cancelled", e.ShipmentID), e.Reason)
	case ShipmentDestroyed:
		return fmt.Sprintf("shipment %s destroyed", e.ShipmentID)

	case ParcelCreated:
		return fmt.Sprintf("parcel %s added to shipment %s", e.ParcelID, e.ShipmentID)
	case ParcelDestroyed:
		return fmt.Sprintf("parcel %s removed from shipment %s", e.ParcelID, e.ShipmentID)
	case ParcelTrackingUpdated:
		if e.TrackingNumber == "" {
			return fmt.Sprintf("tracking of parcel %s changed", e.ParcelID)
		}
		return fmt.Sprintf("parcel %s is tracked as %s", e.ParcelID, e.TrackingNumber)
	case ParcelCarrierStatusUpdated:
		return fmt.Sprintf("the carrier says parcel %s is %s", e.ParcelID, e.Status)
	}
	return event.EventType()
}

// fields names what an update holds, as in its JSON.
func (e Updated) fields() (names []string) {
	for _, field := range []struct {
		name string
		is   bool
	}{
		{"number", e.Number != nil}, {"customer", e.Customer != nil}, {"email", e.Email != nil}, {"channel", e.Channel != nil},
		{"shippingAddress", e.ShippingAddress != nil}, {"billingAddress", e.BillingAddress != nil},
		{"lineItems", e.LineItems != nil}, {"adjustments", e.Adjustments != nil}, {"shippingAmount", e.ShippingAmount != nil},
		{"delayedCapture", e.DelayedCapture != nil}, {"placeAt", e.PlaceAt != nil}, {"note", e.Note != nil},
		{"storeId", e.StoreID != nil}, {"checkoutSessionId", e.CheckoutSessionID != nil},
		{"subscriptionId", e.SubscriptionID != nil}, {"cartUrl", e.CartURL != nil}, {"ipAddress", e.IPAddress != nil},
		{"metadata", e.Metadata != nil},
	} {
		if field.is {
			names = append(names, field.name)
		}
	}
	return names
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
