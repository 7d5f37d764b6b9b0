package profile

import (
	"cmp"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// orNull is a value that platforms send as null where it is empty.
func orNull[T comparable](value T) *T {
	var empty T
	if value == empty {
		return nil
	}
	return &value
}

// millis writes a time as Rails does: to the millisecond, by UTC.
func millis(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// millisOrNull is nil for what has not happened yet.
func millisOrNull(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	s := millis(at)
	return &s
}

// seconds is a Unix time, nil for what has not happened yet.
func seconds(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	s := at.Unix()
	return &s
}

// email is where to reach who ordered.
func email(o order.Order) string {
	if o.Customer != nil {
		return cmp.Or(o.Email, o.Customer.Email)
	}
	return o.Email
}

// nameOf is the first and last name of who gets the order.
func nameOf(o order.Order) (first, last string) {
	switch a := o.ShippingAddress; {
	case a != nil && a.FirstName+a.LastName != "":
		return a.FirstName, a.LastName
	case o.Customer != nil:
		return splitName(o.Customer.Name)
	}
	return "", ""
}

// splitName takes the last word of a name for the family's, and one that is alone for the first name.
func splitName(name string) (first, last string) {
	words := strings.Fields(name)
	if len(words) < 2 {
		return strings.Join(words, ""), ""
	}
	return strings.Join(words[:len(words)-1], " "), words[len(words)-1]
}

// partOf names the shipment and the parcel of an order that an event is about; each is empty where it is about none.
func partOf(event domain.Event) (shipment, parcel string) {
	switch e := event.(type) {
	case order.ShipmentCreated:
		return e.ShipmentID, ""
	case order.ShipmentScheduled:
		return e.ShipmentID, ""
	case order.ShipmentHeld:
		return e.ShipmentID, ""
	case order.ShipmentPickingStarted:
		return e.ShipmentID, ""
	case order.ShipmentPackingStarted:
		return e.ShipmentID, ""
	case order.ShipmentReadied:
		return e.ShipmentID, ""
	case order.ShipmentShipped:
		return e.ShipmentID, ""
	case order.ShipmentDelivered:
		return e.ShipmentID, ""
	case order.ShipmentCancelled:
		return e.ShipmentID, ""
	case order.ShipmentDestroyed:
		return e.ShipmentID, ""
	case order.ParcelCreated:
		return e.ShipmentID, e.ParcelID
	case order.ParcelDestroyed:
		return e.ShipmentID, e.ParcelID
	case order.ParcelTrackingUpdated:
		return e.ShipmentID, e.ParcelID
	case order.ParcelCarrierStatusUpdated:
		return e.ShipmentID, e.ParcelID
	}
	return "", ""
}

// shipments returns the shipment that a change is about, as it was before and as it is after. Either is empty where there was, or is,
// none.
func shipments(c change[order.Order]) (before, after order.Shipment) {
	id, _ := partOf(c.Event)
	before, _ = c.before.Shipment(id)
	after, _ = c.after.Shipment(id)
	return before, after
}
