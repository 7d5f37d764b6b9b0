package order

import (
	"maps"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain/internal/check"
)

// diff keeps of an update what would really change the order, and tells whether anything is left of it.
func diff(o Order, c Update) (Updated, bool) {
	var placeAt *time.Time
	if c.PlaceAt != nil {
		at := check.UTC(*c.PlaceAt)
		placeAt = changed(o.PlaceAt, &at)
	}
	e := Updated{
		Number:            changed(o.Number, c.Number),
		Customer:          changedPart(o.Customer, c.Customer),
		Email:             changed(o.Email, c.Email),
		Channel:           changed(o.Channel, c.Channel),
		ShippingAddress:   changedPart(o.ShippingAddress, c.ShippingAddress),
		BillingAddress:    changedPart(o.BillingAddress, c.BillingAddress),
		ShippingAmount:    changed(o.ShippingTotal, c.ShippingAmount),
		DelayedCapture:    changed(o.DelayedCapture, c.DelayedCapture),
		PlaceAt:           placeAt,
		Note:              changed(o.Note, c.Note),
		StoreID:           changed(o.StoreID, c.StoreID),
		CheckoutSessionID: changed(o.CheckoutSessionID, c.CheckoutSessionID),
		SubscriptionID:    changed(o.SubscriptionID, c.SubscriptionID),
		CartURL:           changed(o.CartURL, c.CartURL),
		IPAddress:         changed(o.IPAddress, c.IPAddress),
	}
	if c.LineItems != nil && !slices.EqualFunc(o.LineItems, c.LineItems, LineItem.is) {
		e.LineItems = c.LineItems
	}
	if c.Adjustments != nil && !slices.EqualFunc(o.Adjustments, c.Adjustments, Adjustment.is) {
		e.Adjustments = c.Adjustments
	}
	if c.Metadata != nil && !maps.Equal(o.Metadata, c.Metadata) {
		e.Metadata = c.Metadata
	}
	return e, len(e.fields()) > 0
}

// changed is the value wanted, or nil where it is the present one.
func changed[T comparable](now T, want *T) *T {
	if want == nil || *want == now {
		return nil
	}
	return want
}

// changedPart does the same for what may be missing, and is cleared by an empty value.
func changedPart[T comparable](now, want *T) *T {
	var empty T
	if now == nil {
		now = &empty
	}
	return changed(*now, want)
}

func (l LineItem) is(in LineItemInput) bool {
	return l.ID == in.ID && l.Name == in.Name && l.SKU == in.SKU && l.Quantity == in.Quantity && l.UnitPrice == in.UnitPrice &&
		l.DoNotShip == in.DoNotShip && l.ImageURL == in.ImageURL && slices.EqualFunc(l.Adjustments, in.Adjustments, Adjustment.is)
}

func (a Adjustment) is(in AdjustmentInput) bool { return a.input() == in }
