package order

import (
	"slices"

	"github.com/waybill-dev/waybill/domain"
)

// findShipment returns a shipment with the words that errors call it by.
func (d *decision) findShipment(id string) (s Shipment, subject string, err error) {
	s, ok := d.o.Shipment(id)
	if !ok {
		return s, "", &domain.NotFoundError{Kind: "shipment", ID: id}
	}
	return s, "shipment " + id + " of " + d.subject(), nil
}

// movable returns a shipment that the machine lets make the move.
func (d *decision) movable(id, move string) (s Shipment, subject string, err error) {
	if s, subject, err = d.findShipment(id); err != nil {
		return s, subject, err
	}
	return s, subject, d.check(ShipmentMachine, subject, s.Status, move)
}

// shipment makes a move of the shipment machine that has no guard.
func (d *decision) shipment(id, move string, e domain.Event) error {
	if _, _, err := d.movable(id, move); err != nil {
		return err
	}
	d.emit(e)
	return nil
}

func (d *decision) createShipment(c CreateShipment) error {
	if d.o.Status == StatusCancelled {
		return d.refuseOrder("")
	}
	if s, subject, err := d.findShipment(c.ShipmentID); err == nil {
		return d.refuse(ShipmentMachine, subject, s.Status, "its id is taken")
	}
	if len(d.o.Shipments) >= MaxShipments {
		return d.refuseOrder("it has %d shipments already, which is the most", MaxShipments)
	}
	for _, l := range c.LineItems {
		ordered, ok := d.o.LineItem(l.LineItemID)
		if !ok {
			return &domain.NotFoundError{Kind: "line item", ID: l.LineItemID}
		}
		if ordered.DoNotShip {
			return d.refuseOrder("line item %s is not shipped", l.LineItemID)
		}
		if left := ordered.Quantity - d.o.inShipments(l.LineItemID); l.Quantity > left {
			return d.refuseOrder("%d of the %d ordered of line item %s are in no shipment yet, less than %d", left, ordered.Quantity, l.LineItemID, l.Quantity)
		}
	}
	d.emit(ShipmentCreated{
		ShipmentID: c.ShipmentID, Number: c.Number, Cost: c.Cost, Currency: d.o.Currency,
		LineItems: c.LineItems, Adjustments: c.Adjustments, Metadata: c.Metadata,
	})
	return nil
}

// scheduleShipment needs an order that was placed; one that is being edited or is approved was.
func (d *decision) scheduleShipment(c ScheduleShipment) error {
	s, subject, err := d.movable(c.ShipmentID, "schedule")
	if err != nil {
		return err
	}
	if !slices.Contains([]string{StatusPlaced, StatusEditing, StatusApproved}, d.o.Status) {
		return d.refuse(ShipmentMachine, subject, s.Status, "its order is %s, not placed", d.o.Status)
	}
	d.emit(ShipmentScheduled{ShipmentID: s.ID})
	return nil
}

func (d *decision) holdShipment(c HoldShipment) error {
	s, _, err := d.movable(c.ShipmentID, "hold")
	if err != nil {
		return err
	}
	d.emit(ShipmentHeld{ShipmentID: s.ID, From: s.Status, Reason: c.Reason})
	return nil
}

// startPicking needs fulfillment to have started. It may be over as well, else a shipment that is added later could never leave.
func (d *decision) startPicking(c StartPicking) error {
	s, subject, err := d.movable(c.ShipmentID, "start_picking")
	if err != nil {
		return err
	}
	if d.o.FulfillmentStatus != FulfillmentStatusInProgress && d.o.FulfillmentStatus != FulfillmentStatusFulfilled {
		return d.refuse(ShipmentMachine, subject, s.Status, "its order is %s, fulfillment has not started", d.o.FulfillmentStatus)
	}
	d.emit(ShipmentPickingStarted{ShipmentID: s.ID, From: s.Status})
	return nil
}

// ship lets nothing leave that is not paid for. With delayed capture a promise is enough, but there has to be one still: an
// authorization may have been voided since fulfillment started.
func (d *decision) ship(c Ship) error {
	s, subject, err := d.movable(c.ShipmentID, "ship")
	if err != nil {
		return err
	}
	if !d.o.paid() {
		if !d.o.DelayedCapture {
			return d.refuse(ShipmentMachine, subject, s.Status, "its order is %s, not paid or free", d.o.PaymentStatus)
		}
		if d.o.covered() < d.o.Total {
			return d.refuse(ShipmentMachine, subject, s.Status, "its order's total of %s is covered by %s only", d.money(d.o.Total), d.money(d.o.covered()))
		}
	}
	d.emit(ShipmentShipped{ShipmentID: s.ID})
	if d.o.ShippedAt.IsZero() {
		d.emit(Shipped{ShipmentID: s.ID})
	}
	d.completeShipping()
	return nil
}

func (d *decision) deliver(c Deliver) error {
	s, subject, err := d.movable(c.ShipmentID, "deliver")
	if err != nil {
		return err
	}
	if p, waiting := s.undelivered(); waiting {
		said := p.CarrierStatus
		if said == "" {
			said = CarrierUnknown
		}
		return d.refuse(ShipmentMachine, subject, s.Status, "its parcel %s is %s, not delivered", p.ID, said)
	}
	d.emit(ShipmentDelivered{ShipmentID: s.ID})
	d.completeShipping()
	return nil
}

// cancelShipment and destroyShipment can complete the order as well: what they take away may have been all that was left to ship
// or to deliver.
func (d *decision) cancelShipment(c CancelShipment) error {
	s, _, err := d.movable(c.ShipmentID, "cancel")
	if err != nil {
		return err
	}
	d.emit(ShipmentCancelled{ShipmentID: s.ID, From: s.Status, Reason: c.Reason})
	d.completeShipping()
	return nil
}

func (d *decision) destroyShipment(c DestroyShipment) error {
	s, _, err := d.movable(c.ShipmentID, "destroy")
	if err != nil {
		return err
	}
	d.emitShipmentDestroyed(s)
	d.completeShipping()
	return nil
}

func (d *decision) emitShipmentDestroyed(s Shipment) {
	for _, p := range s.Parcels {
		d.emit(ParcelDestroyed{ShipmentID: s.ID, ParcelID: p.ID})
	}
	d.emit(ShipmentDestroyed{ShipmentID: s.ID, From: s.Status})
}

// completeShipping tells that the order is fulfilled, and that all of it was delivered, once that is so. Neither is taken back,
// or told again, when a shipment is added afterwards, and an order that has ended stays as it is.
func (d *decision) completeShipping() {
	if d.o.Status == StatusCancelled {
		return
	}
	if _, ok := FulfillmentMachine.Fire(d.o.FulfillmentStatus, "fulfill"); ok && d.o.shippedOut() {
		d.emit(Fulfilled{})
	}
	if d.o.DeliveredAt.IsZero() && d.o.deliveredAll() {
		d.emit(Delivered{})
	}
}

// packable returns a shipment whose parcels may still change: until it is delivered or cancelled, in an order that has not ended.
// That includes one on its way, so that a parcel can be split, or a lost one be struck off.
func (d *decision) packable(id string) (Shipment, error) {
	s, subject, err := d.findShipment(id)
	switch {
	case err != nil:
		return s, err
	case d.o.Status == StatusCancelled:
		return s, d.refuseOrder("")
	case s.Status == ShipmentStatusDelivered || s.Status == ShipmentStatusCancelled:
		return s, d.refuse(ShipmentMachine, subject, s.Status, "")
	}
	return s, nil
}

// traceable returns a parcel that a carrier may still have something to say of, also after it was delivered and after the order
// has ended; but not one of a cancelled shipment, which never leaves.
func (d *decision) traceable(shipmentID, parcelID string) (Parcel, error) {
	s, subject, err := d.findShipment(shipmentID)
	if err != nil {
		return Parcel{}, err
	}
	p, ok := s.Parcel(parcelID)
	if !ok {
		return p, &domain.NotFoundError{Kind: "parcel", ID: parcelID}
	}
	if s.Status == ShipmentStatusCancelled {
		return p, d.refuse(ShipmentMachine, subject, s.Status, "")
	}
	return p, nil
}

func (d *decision) createParcel(c CreateParcel) error {
	s, err := d.packable(c.ShipmentID)
	if err != nil {
		return err
	}
	for _, other := range d.o.Shipments {
		if _, taken := other.Parcel(c.ParcelID); taken {
			return d.refuseOrder("it has a parcel %s already, in shipment %s", c.ParcelID, other.ID)
		}
	}
	if len(s.Parcels) >= MaxParcels {
		return d.refuseOrder("shipment %s has %d parcels already, which is the most", s.ID, MaxParcels)
	}
	d.emit(ParcelCreated{
		ShipmentID: s.ID, ParcelID: c.ParcelID,
		Carrier: c.Carrier, TrackingNumber: c.TrackingNumber, TrackingURL: c.TrackingURL, LabelURL: c.LabelURL,
	})
	return nil
}

func (d *decision) destroyParcel(c DestroyParcel) error {
	s, err := d.packable(c.ShipmentID)
	if err != nil {
		return err
	}
	if _, ok := s.Parcel(c.ParcelID); !ok {
		return &domain.NotFoundError{Kind: "parcel", ID: c.ParcelID}
	}
	d.emit(ParcelDestroyed{ShipmentID: s.ID, ParcelID: c.ParcelID})
	return nil
}

func (d *decision) setTracking(c SetTracking) error {
	p, err := d.traceable(c.ShipmentID, c.ParcelID)
	if err != nil {
		return err
	}
	now := p
	replace(&now.Carrier, c.Carrier)
	replace(&now.TrackingNumber, c.TrackingNumber)
	replace(&now.TrackingURL, c.TrackingURL)
	replace(&now.LabelURL, c.LabelURL)
	if now == p {
		return nil
	}
	d.emit(ParcelTrackingUpdated{
		ShipmentID: c.ShipmentID, ParcelID: c.ParcelID,
		Carrier: now.Carrier, TrackingNumber: now.TrackingNumber, TrackingURL: now.TrackingURL, LabelURL: now.LabelURL,
	})
	return nil
}

func (d *decision) setCarrierStatus(c SetCarrierStatus) error {
	p, err := d.traceable(c.ShipmentID, c.ParcelID)
	if err != nil {
		return err
	}
	if p.CarrierStatus == c.Status && p.StatusDetail == c.StatusDetail && p.TrackingDetail == c.TrackingDetail {
		return nil
	}
	d.emit(ParcelCarrierStatusUpdated{
		ShipmentID: c.ShipmentID, ParcelID: c.ParcelID,
		From: p.CarrierStatus, Status: c.Status, StatusDetail: c.StatusDetail, TrackingDetail: c.TrackingDetail,
	})
	return nil
}
