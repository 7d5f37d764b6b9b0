package order

import "time"

// withTotals sums up what was ordered. The limits on single values keep the sums within an int64.
func (o Order) withTotals() Order {
	sums := sumAdjustments(o.Adjustments)
	o.ItemCount, o.ItemTotal = 0, 0
	for _, l := range o.LineItems {
		o.ItemCount += l.Quantity
		o.ItemTotal += l.Total
		sums.add(sumAdjustments(l.Adjustments))
	}
	o.AdjustmentTotal, o.TaxTotal, o.PromotionTotal, o.IncludedTaxTotal = sums.added, sums.tax, sums.promotion, sums.includedTax
	o.Total = o.ItemTotal + o.ShippingTotal + o.AdjustmentTotal
	return o
}

type adjustmentSums struct{ added, tax, promotion, includedTax int64 }

func (s *adjustmentSums) add(t adjustmentSums) {
	s.added += t.added
	s.tax += t.tax
	s.promotion += t.promotion
	s.includedTax += t.includedTax
}

func sumAdjustments(adjustments []Adjustment) (s adjustmentSums) {
	for _, a := range adjustments {
		switch {
		case a.Included:
			s.includedTax += a.Amount
			continue
		case a.Kind == AdjustmentTax:
			s.tax += a.Amount
		case a.Kind == AdjustmentPromotion:
			s.promotion += a.Amount
		}
		s.added += a.Amount
	}
	return s
}

// withLedger sums up the payments; failed ones count nowhere.
func (o Order) withLedger() Order {
	o.AuthorizedTotal, o.CapturedTotal, o.VoidedTotal, o.RefundedTotal = 0, 0, 0, 0
	for _, p := range o.Payments {
		if p.Status != LedgerFailed {
			o.AuthorizedTotal += p.Amount
			o.CapturedTotal += p.Captured
			o.VoidedTotal += p.Voided
			o.RefundedTotal += p.Refunded
		}
	}
	return o
}

// Open is what is authorized and neither captured nor voided.
func (o Order) Open() int64 { return o.AuthorizedTotal - o.CapturedTotal - o.VoidedTotal }

// settledAs is the payment status that follows from the total and the ledger. A total of zero is free as long as nothing was
// ever authorized; an order without line items is not free but empty, and so unpaid.
func (o Order) settledAs() string {
	captured, refunded, voided, open := o.CapturedTotal, o.RefundedTotal, o.VoidedTotal, o.Open()
	switch {
	case captured > 0 && refunded == captured:
		return PaymentStatusRefunded
	case refunded > 0:
		return PaymentStatusPartiallyRefunded
	case captured > 0 && captured >= o.Total:
		return PaymentStatusPaid
	case captured > 0:
		return PaymentStatusPartiallyPaid
	case open > 0 && open >= o.Total:
		return PaymentStatusAuthorized
	case open > 0 && voided > 0:
		return PaymentStatusPartiallyVoided
	case open > 0:
		return PaymentStatusPartiallyAuthorized
	case voided > 0:
		return PaymentStatusVoided
	case o.Total == 0 && len(o.LineItems) > 0:
		return PaymentStatusFree
	}
	return PaymentStatusUnpaid
}

// covered is what stands behind the total: money that is there, and money that is promised.
func (o Order) covered() int64 { return o.Open() + o.CapturedTotal - o.RefundedTotal }

// paid tells whether the total was captured, or there is nothing to capture. Giving a part of it back afterwards, for a late or a
// broken item, does not make a paid order unpaid: else what is left of it could never be shipped.
func (o Order) paid() bool {
	return o.Total == 0 || o.CapturedTotal >= o.Total && o.RefundedTotal < o.CapturedTotal
}

// inShipments is how many of a line item are in shipments that are not cancelled.
func (o Order) inShipments(lineItemID string) (quantity int64) {
	for _, s := range o.Shipments {
		if s.Status == ShipmentStatusCancelled {
			continue
		}
		for _, l := range s.LineItems {
			if l.LineItemID == lineItemID {
				quantity += l.Quantity
			}
		}
	}
	return quantity
}

// shipped tells whether a shipment is on its way or there.
func (s Shipment) shipped() bool {
	return s.Status == ShipmentStatusShipped || s.Status == ShipmentStatusDelivered
}

// shippedOut tells whether every shipment that is not cancelled has shipped, and at least one has.
func (o Order) shippedOut() bool {
	some := false
	for _, s := range o.Shipments {
		if s.Status != ShipmentStatusCancelled && !s.shipped() {
			return false
		}
		some = some || s.shipped()
	}
	return some
}

// deliveredAll tells whether every shipment that is not cancelled is delivered, and at least one is.
func (o Order) deliveredAll() bool {
	some := false
	for _, s := range o.Shipments {
		if s.Status != ShipmentStatusCancelled && s.Status != ShipmentStatusDelivered {
			return false
		}
		some = some || s.Status == ShipmentStatusDelivered
	}
	return some
}

// undelivered returns the first parcel that its carrier has not delivered.
func (s Shipment) undelivered() (Parcel, bool) {
	for _, p := range s.Parcels {
		if p.CarrierStatus != CarrierDelivered {
			return p, true
		}
	}
	return Parcel{}, false
}

// followParcels brings what the shipment shows of its parcels up to date: the tracking of the first parcel, and the delivery
// status of the first one that is not delivered.
func (s *Shipment) followParcels(at time.Time) {
	s.TrackingNumber, s.TrackingURL, s.LabelURL = "", "", ""
	if len(s.Parcels) > 0 {
		first := s.Parcels[0]
		s.TrackingNumber, s.TrackingURL, s.LabelURL = first.TrackingNumber, first.TrackingURL, first.LabelURL
	}

	s.DeliveryStatus, s.StatusDetail, s.TrackingDetail = "", "", ""
	heard := false
	for _, p := range s.Parcels {
		heard = heard || p.CarrierStatus != ""
	}
	last, waiting := s.undelivered()
	switch {
	case waiting && heard:
		s.DeliveryStatus, s.StatusDetail, s.TrackingDetail = last.CarrierStatus, last.StatusDetail, last.TrackingDetail
		if s.DeliveryStatus == "" {
			s.DeliveryStatus = CarrierUnknown // its carrier is silent while another has spoken
		}
	case !waiting && heard:
		last = s.Parcels[len(s.Parcels)-1]
		s.DeliveryStatus, s.StatusDetail, s.TrackingDetail = CarrierDelivered, last.StatusDetail, last.TrackingDetail
	case s.Status == ShipmentStatusDelivered:
		s.DeliveryStatus = CarrierDelivered // somebody saw it arrive; there is no carrier to ask
	}
	switch {
	case s.DeliveryStatus != CarrierDelivered && s.Status != ShipmentStatusDelivered:
		s.DeliveredAt = time.Time{}
	case s.DeliveredAt.IsZero():
		s.DeliveredAt = at
	}
}

func (a Adjustment) input() AdjustmentInput {
	return AdjustmentInput{
		ID: a.ID, Kind: a.Kind, Amount: a.Amount, Label: a.Label, Included: a.Included,
		SourceType: a.SourceType, PromotionCode: a.PromotionCode,
	}
}
