package order

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Evolve returns the order after an event that was recorded at the time given. It writes statuses out rather than asking the
// machines, because a table may change one day and history may not. It shares with the order before only what it does not touch,
// and panics on an event that is none of an order's: to skip it would be to tell a wrong history.
func Evolve(o Order, event domain.Event, at time.Time) Order {
	at = at.UTC()
	o.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return created(e, at)
	case Updated:
		return updated(o, e, at)

	case Submitted:
		o.Status, o.SubmittedAt = StatusPending, at
	case RevertedToDraft:
		o.Status = StatusDraft
	case PlacingStarted:
		o.Status, o.PlacementFailure = StatusPlacing, ""
	case PlacementFailed:
		o.Status, o.PlacementFailure = StatusPending, e.Reason
	case Placed:
		o.Status, o.PlacedAt, o.PlacementFailure = StatusPlaced, at, ""
		o.LastError = ""
	case EditingStarted:
		o.Status, o.TotalBeforeEditing = StatusEditing, o.Total
	case EditingStopped:
		o.Status, o.TotalBeforeEditing = StatusPlaced, 0
	case Approved:
		o.Status, o.ApprovedAt = StatusApproved, at
	case Cancelled:
		o.Status, o.CancelledAt, o.CancelReason, o.CancelledBy = StatusCancelled, at, e.Reason, e.CancelledBy
	case Destroyed:
		o.Status, o.DestroyedAt = StatusDestroyed, at

	case FirstItemAdded:
		o.FirstItemAt = at
	case Scheduled:
		o.PlaceAt, o.ExpeditedAt = e.PlaceAt, time.Time{}
	case Expedited:
		o.PlaceAt, o.ExpeditedAt = at, at
	case Skipped:
		o.SkippedAt = at
	case Reminded:
		o.RemindedAt = at
	case PaymentSourceChanged:
		o.PaymentSource = e.PaymentSource
	case ErrorRecorded:
		o.LastError = e.Reason

	case PaymentAuthorized:
		return o.withPayment(Payment{ID: e.PaymentID, Status: LedgerOpen, Method: e.Method, Reference: e.Reference, Amount: e.Amount, CreatedAt: at, UpdatedAt: at})
	case PaymentFailed:
		return o.withPayment(Payment{ID: e.PaymentID, Status: LedgerFailed, Method: e.Method, Reference: e.Reference, Amount: e.Amount, FailureReason: e.Reason, CreatedAt: at, UpdatedAt: at})
	case PaymentCaptured:
		return o.changePayment(e.PaymentID, at, func(p *Payment) { p.Captured += e.Amount })
	case PaymentVoided:
		return o.changePayment(e.PaymentID, at, func(p *Payment) { p.Voided += e.Amount })
	case PaymentRefunded:
		return o.changePayment(e.PaymentID, at, func(p *Payment) { p.Refunded += e.Amount })

	case Unpaid:
		o.PaymentStatus = PaymentStatusUnpaid
	case PartiallyAuthorized:
		o.PaymentStatus = PaymentStatusPartiallyAuthorized
	case Authorized:
		o.PaymentStatus = PaymentStatusAuthorized
	case PartiallyPaid:
		o.PaymentStatus = PaymentStatusPartiallyPaid
	case Paid:
		o.PaymentStatus = PaymentStatusPaid
	case PartiallyVoided:
		o.PaymentStatus = PaymentStatusPartiallyVoided
	case Voided:
		o.PaymentStatus = PaymentStatusVoided
	case PartiallyRefunded:
		o.PaymentStatus = PaymentStatusPartiallyRefunded
	case Refunded:
		o.PaymentStatus = PaymentStatusRefunded
	case Freed:
		o.PaymentStatus = PaymentStatusFree

	case FulfillmentStarted:
		o.FulfillmentStatus = FulfillmentStatusInProgress
	case Fulfilled:
		o.FulfillmentStatus, o.FulfilledAt = FulfillmentStatusFulfilled, at
	case FulfillmentCancelled:
		o.FulfillmentStatus = FulfillmentStatusUnfulfilled
	case FulfillmentNotRequired:
		o.FulfillmentStatus = FulfillmentStatusNotRequired
	case Shipped:
		o.ShippedAt = at
	case Delivered:
		o.DeliveredAt = at

	case ShipmentCreated:
		o.Shipments = append(slices.Clone(o.Shipments), newShipment(e, at))
	case ShipmentScheduled:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status = ShipmentStatusUpcoming })
	case ShipmentHeld:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status = ShipmentStatusOnHold })
	case ShipmentPickingStarted:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status = ShipmentStatusPicking })
	case ShipmentPackingStarted:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status = ShipmentStatusPacking })
	case ShipmentReadied:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status = ShipmentStatusReadyToShip })
	case ShipmentShipped:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status, s.ShippedAt = ShipmentStatusShipped, at })
	case ShipmentDelivered:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) {
			s.Status = ShipmentStatusDelivered
			s.followParcels(at)
		})
	case ShipmentCancelled:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) { s.Status, s.CancelledAt = ShipmentStatusCancelled, at })
	case ShipmentDestroyed:
		o.Shipments = slices.DeleteFunc(slices.Clone(o.Shipments), func(s Shipment) bool { return s.ID == e.ShipmentID })

	case ParcelCreated:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) {
			s.Parcels = append(slices.Clone(s.Parcels), Parcel{
				ID: e.ParcelID, Carrier: e.Carrier, TrackingNumber: e.TrackingNumber, TrackingURL: e.TrackingURL, LabelURL: e.LabelURL,
				CreatedAt: at, UpdatedAt: at,
			})
			s.followParcels(at)
		})
	case ParcelDestroyed:
		return o.changeShipment(e.ShipmentID, at, func(s *Shipment) {
			s.Parcels = slices.DeleteFunc(slices.Clone(s.Parcels), func(p Parcel) bool { return p.ID == e.ParcelID })
			s.followParcels(at)
		})
	case ParcelTrackingUpdated:
		return o.changeParcel(e.ShipmentID, e.ParcelID, at, func(p *Parcel) {
			p.Carrier, p.TrackingNumber, p.TrackingURL, p.LabelURL = e.Carrier, e.TrackingNumber, e.TrackingURL, e.LabelURL
		})
	case ParcelCarrierStatusUpdated:
		return o.changeParcel(e.ShipmentID, e.ParcelID, at, func(p *Parcel) {
			p.CarrierStatus, p.StatusDetail, p.TrackingDetail = e.Status, e.StatusDetail, e.TrackingDetail
		})

	default:
		panic(fmt.Sprintf("order: %T is not an event of an order", event))
	}
	return o
}

func created(e Created, at time.Time) Order {
	o := Order{
		ID: e.OrderID, Number: e.Number, Currency: e.Currency,
		Status: StatusDraft, FulfillmentStatus: FulfillmentStatusUnfulfilled,
		DelayedCapture: e.DelayedCapture, ShippingTotal: e.ShippingAmount,
		Customer: present(e.Customer), Email: e.Email, Channel: e.Channel,
		ShippingAddress: present(e.ShippingAddress), BillingAddress: present(e.BillingAddress),
		LineItems: lineItems(nil, e.LineItems, at), Adjustments: adjustments(nil, e.Adjustments, at),
		Payments: []Payment{}, Shipments: []Shipment{},
		Note: e.Note, StoreID: e.StoreID, CheckoutSessionID: e.CheckoutSessionID, SubscriptionID: e.SubscriptionID,
		CartURL: e.CartURL, IPAddress: e.IPAddress, Metadata: metadata(e.Metadata),
		PlaceAt: e.PlaceAt, CreatedAt: at, UpdatedAt: at,
	}
	if len(o.LineItems) > 0 {
		o.FirstItemAt = at
	}
	o = o.withTotals()
	o.PaymentStatus = o.settledAs() // a free order is born free: that is no change of an order that exists
	return o
}

func updated(o Order, e Updated, at time.Time) Order {
	replace(&o.Number, e.Number)
	replace(&o.Email, e.Email)
	replace(&o.Channel, e.Channel)
	replace(&o.ShippingTotal, e.ShippingAmount)
	replace(&o.DelayedCapture, e.DelayedCapture)
	if e.PlaceAt != nil {
		o.PlaceAt, o.ExpeditedAt = *e.PlaceAt, time.Time{}
	}
	replace(&o.Note, e.Note)
	replace(&o.StoreID, e.StoreID)
	replace(&o.CheckoutSessionID, e.CheckoutSessionID)
	replace(&o.SubscriptionID, e.SubscriptionID)
	replace(&o.CartURL, e.CartURL)
	replace(&o.IPAddress, e.IPAddress)
	if e.Customer != nil {
		o.Customer = present(e.Customer)
	}
	if e.ShippingAddress != nil {
		o.ShippingAddress = present(e.ShippingAddress)
	}
	if e.BillingAddress != nil {
		o.BillingAddress = present(e.BillingAddress)
	}
	if e.LineItems != nil {
		o.LineItems = lineItems(o.LineItems, e.LineItems, at)
	}
	if e.Adjustments != nil {
		o.Adjustments = adjustments(o.Adjustments, e.Adjustments, at)
	}
	if e.Metadata != nil {
		o.Metadata = metadata(e.Metadata)
	}
	return o.withTotals()
}

// replace writes what an event names.
func replace[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// present copies what an event names, or answers nil where that is empty, which is how an event clears it.
func present[T comparable](value *T) *T {
	var empty T
	if value == nil || *value == empty {
		return nil
	}
	kept := *value
	return &kept
}

func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

// lineItems keeps from before the times of adjustments that are still there.
func lineItems(before []LineItem, inputs []LineItemInput, at time.Time) []LineItem {
	items := make([]LineItem, len(inputs))
	for i, in := range inputs {
		var kept []Adjustment
		if j := slices.IndexFunc(before, func(l LineItem) bool { return l.ID == in.ID }); j >= 0 {
			kept = before[j].Adjustments
		}
		items[i] = LineItem{
			ID: in.ID, Name: in.Name, SKU: in.SKU, Quantity: in.Quantity, UnitPrice: in.UnitPrice, Total: in.Quantity * in.UnitPrice,
			DoNotShip: in.DoNotShip, ImageURL: in.ImageURL, Adjustments: adjustments(kept, in.Adjustments, at),
		}
	}
	return items
}

func adjustments(before []Adjustment, inputs []AdjustmentInput, at time.Time) []Adjustment {
	list := make([]Adjustment, len(inputs))
	for i, in := range inputs {
		list[i] = Adjustment{
			ID: in.ID, Kind: in.Kind, Amount: in.Amount, Label: in.Label, Included: in.Included,
			SourceType: in.SourceType, PromotionCode: in.PromotionCode, CreatedAt: at, UpdatedAt: at,
		}
		for _, old := range before {
			if old.ID != in.ID {
				continue
			}
			list[i].CreatedAt = old.CreatedAt
			if old.is(in) {
				list[i].UpdatedAt = old.UpdatedAt
			}
		}
	}
	return list
}

func newShipment(e ShipmentCreated, at time.Time) Shipment {
	s := Shipment{
		ID: e.ShipmentID, Number: e.Number, Status: ShipmentStatusDraft, Cost: e.Cost,
		LineItems: slices.Clone(e.LineItems), Adjustments: adjustments(nil, e.Adjustments, at),
		Parcels: []Parcel{}, Metadata: metadata(e.Metadata), CreatedAt: at, UpdatedAt: at,
	}
	sums := sumAdjustments(s.Adjustments)
	s.AdjustmentTotal, s.TaxTotal, s.PromotionTotal, s.IncludedTaxTotal = sums.added, sums.tax, sums.promotion, sums.includedTax
	return s
}

func (o Order) withPayment(p Payment) Order {
	o.Payments = append(slices.Clone(o.Payments), p)
	return o.withLedger()
}

func (o Order) changePayment(id string, at time.Time, change func(*Payment)) Order {
	o.Payments = slices.Clone(o.Payments)
	for i := range o.Payments {
		if p := &o.Payments[i]; p.ID == id {
			change(p)
			p.UpdatedAt = at
			switch {
			case p.Open() > 0:
				p.Status = LedgerOpen
			case p.Captured == 0:
				p.Status = LedgerVoided
			case p.Refunded == p.Captured:
				p.Status = LedgerRefunded
			default:
				p.Status = LedgerCaptured
			}
		}
	}
	return o.withLedger()
}

func (o Order) changeShipment(id string, at time.Time, change func(*Shipment)) Order {
	o.Shipments = slices.Clone(o.Shipments)
	for i := range o.Shipments {
		if s := &o.Shipments[i]; s.ID == id {
			change(s)
			s.UpdatedAt = at
		}
	}
	return o
}

func (o Order) changeParcel(shipmentID, parcelID string, at time.Time, change func(*Parcel)) Order {
	return o.changeShipment(shipmentID, at, func(s *Shipment) {
		s.Parcels = slices.Clone(s.Parcels)
		for i := range s.Parcels {
			if p := &s.Parcels[i]; p.ID == parcelID {
				change(p)
				p.UpdatedAt = at
			}
		}
		s.followParcels(at)
	})
}
