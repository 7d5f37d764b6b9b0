package order

import (
	"testing"
	"time"
)

func TestFulfilled(t *testing.T) {
	o := inFulfillment(t)
	o = expect(t, o, Ship{id, "shp_1"}, "shipment.shipped", "order.shipped")
	expect(t, o, Ship{id, "shp_2"}, "shipment.shipped", "order.fulfilled")
	// It is also fulfilled when what was left is taken away.
	expect(t, o, CancelShipment{OrderID: id, ShipmentID: "shp_2"}, "shipment.cancelled", "order.fulfilled")
	expect(t, o, DestroyShipment{id, "shp_2"}, "shipment.destroyed", "order.fulfilled")
	// All cancelled is not fulfilled.
	none := play(t, inFulfillment(t), CancelShipment{OrderID: id, ShipmentID: "shp_1"})
	none = expect(t, none, CancelShipment{OrderID: id, ShipmentID: "shp_2"}, "shipment.cancelled")
	if none.FulfillmentStatus != FulfillmentStatusInProgress {
		t.Error(none.FulfillmentStatus)
	}
}

func TestLatches(t *testing.T) {
	one := play(t, paidAndApproved(t), StartFulfillment{id}, ship1("shp_1", 1))
	one = play(t, one, upToReady("shp_1")...)
	one = expect(t, one, Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
	one = expect(t, one, Deliver{id, "shp_1"}, "shipment.delivered", "order.delivered")
	shipped, delivered := one.ShippedAt, one.DeliveredAt

	// A shipment that is added later takes nothing back, and does not happen to the order again.
	o := play(t, one, ship1("shp_2", 1))
	o = play(t, o, upToReady("shp_2")...)
	if o.FulfillmentStatus != FulfillmentStatusFulfilled {
		t.Error(o.FulfillmentStatus)
	}
	o = expect(t, o, Ship{id, "shp_2"}, "shipment.shipped")
	o = expect(t, o, Deliver{id, "shp_2"}, "shipment.delivered")
	if o.ShippedAt != shipped || o.DeliveredAt != delivered || shipped.IsZero() || delivered.IsZero() {
		t.Errorf("shipped at %v, then %v; delivered at %v, then %v", shipped, o.ShippedAt, delivered, o.DeliveredAt)
	}

	// Delivered waits for all that is not cancelled, also for a draft.
	two := play(t, inFulfillment(t), Ship{id, "shp_1"})
	two = expect(t, two, Deliver{id, "shp_1"}, "shipment.delivered")
	expect(t, two, CancelShipment{OrderID: id, ShipmentID: "shp_2"}, "shipment.cancelled", "order.fulfilled", "order.delivered")
	expect(t, two, DestroyShipment{id, "shp_2"}, "shipment.destroyed", "order.fulfilled", "order.delivered")
	two = play(t, two, Ship{id, "shp_2"})
	expect(t, two, Deliver{id, "shp_2"}, "shipment.delivered", "order.delivered")
}

func TestDeliverNeedsItsParcelsDelivered(t *testing.T) {
	parcel := func(p string) CreateParcel {
		return CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: p}
	}
	says := func(p, status string) SetCarrierStatus {
		return SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: p, Status: status}
	}
	o := play(t, withShipment(t, ShipmentStatusShipped), parcel("par_1"), parcel("par_2"))
	refuse(t, o, Deliver{id, "shp_1"}, "shipment", "its parcel par_1 is unknown, not delivered")
	o = play(t, o, says("par_1", CarrierDelivered))
	refuse(t, o, Deliver{id, "shp_1"}, "shipment", "its parcel par_2 is unknown, not delivered")
	o = play(t, o, says("par_2", CarrierInTransit))
	refuse(t, o, Deliver{id, "shp_1"}, "shipment", "its parcel par_2 is in_transit, not delivered")
	expect(t, play(t, o, says("par_2", CarrierDelivered)), Deliver{id, "shp_1"}, "shipment.delivered", "order.delivered")
	// A lost parcel can be struck off.
	expect(t, play(t, o, DestroyParcel{id, "shp_1", "par_2"}), Deliver{id, "shp_1"}, "shipment.delivered", "order.delivered")
}

// What the carrier says is kept apart from the shipment's own status: delivered by the carrier, shipped by ours.
func TestDeliveryStatus(t *testing.T) {
	o := withShipment(t, ShipmentStatusShipped)
	check := func(o Order, status, want string, delivered bool) {
		t.Helper()
		s, _ := o.Shipment("shp_1")
		if s.Status != status || s.DeliveryStatus != want || s.DeliveredAt.IsZero() == delivered {
			t.Errorf("it is %s and %q, delivered at %v; want %s and %q, delivered %v", s.Status, s.DeliveryStatus, s.DeliveredAt, status, want, delivered)
		}
	}
	says := func(p, status string) SetCarrierStatus {
		return SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: p, Status: status, StatusDetail: "detail of " + p, TrackingDetail: "tracking of " + p}
	}
	check(o, "shipped", "", false)
	check(play(t, o, Deliver{id, "shp_1"}), "delivered", CarrierDelivered, true)

	o = play(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", TrackingNumber: "1Z", TrackingURL: "https://track.example/1Z", LabelURL: "https://label.example/1Z"})
	check(o, "shipped", "", false)
	o = play(t, o, says("par_1", CarrierOutForDelivery))
	check(o, "shipped", CarrierOutForDelivery, false)
	o = play(t, o, says("par_1", CarrierDelivered))
	check(o, "shipped", CarrierDelivered, true)
	s, _ := o.Shipment("shp_1")
	if s.StatusDetail != "detail of par_1" || s.TrackingDetail != "tracking of par_1" || s.TrackingNumber != "1Z" ||
		s.TrackingURL != "https://track.example/1Z" || s.LabelURL != "https://label.example/1Z" {
		t.Errorf("%+v", s)
	}
	first := s.DeliveredAt

	two := play(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_2"})
	check(two, "shipped", CarrierUnknown, false)
	two = play(t, two, says("par_2", CarrierInTransit))
	check(two, "shipped", CarrierInTransit, false)
	check(play(t, two, says("par_2", CarrierDelivered)), "shipped", CarrierDelivered, true)

	done := play(t, o, Deliver{id, "shp_1"})
	if s, _ := done.Shipment("shp_1"); s.DeliveredAt != first {
		t.Errorf("delivered at %v by the carrier, then at %v", first, s.DeliveredAt)
	}
	// Something can come back after it was delivered; the status of the shipment is final.
	check(play(t, done, says("par_1", CarrierReturnToSender)), "delivered", CarrierReturnToSender, true)
}

func TestNothingNewIsNoEvent(t *testing.T) {
	number, carrier, empty := "1Z", "UPS", ""
	o := play(t, withShipment(t, ShipmentStatusShipped), CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1"})

	tracking := SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", TrackingNumber: &number}
	o = expect(t, o, tracking, "parcel.tracking_updated")
	expect(t, o, tracking)
	expect(t, o, SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1"})
	o = expect(t, o, SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Carrier: &carrier}, "parcel.tracking_updated")
	if p := o.Shipments[0].Parcels[0]; p.TrackingNumber != number || p.Carrier != carrier {
		t.Errorf("%+v", p)
	}
	o = expect(t, o, SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Carrier: &empty}, "parcel.tracking_updated")

	status := SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Status: CarrierInTransit, StatusDetail: "arrived_at_facility"}
	o = expect(t, o, status, "parcel.carrier_status_updated")
	expect(t, o, status)
	status.StatusDetail = "departed_facility"
	expect(t, o, status, "parcel.carrier_status_updated")

	// The same for updates: only what changes is recorded, however much is sent.
	draft := newOrder()
	draft.PlaceAt, draft.Metadata, draft.Email = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), map[string]string{"a": "1"}, "ada@example.com"
	draft.Adjustments = []AdjustmentInput{{ID: "adj_9", Kind: AdjustmentFee, Amount: 5}}
	draft.ShippingAddress = &Address{City: "Herndon"}
	o = play(t, Order{}, draft)
	elsewhere := draft.PlaceAt.In(time.FixedZone("", 3600))
	same := Update{
		OrderID: id, Customer: draft.Customer, LineItems: draft.LineItems, Adjustments: draft.Adjustments, Metadata: draft.Metadata,
		Email: &draft.Email, ShippingAddress: draft.ShippingAddress, PlaceAt: &elsewhere, Number: &empty, BillingAddress: &Address{},
	}
	expect(t, o, same)
	same.ShippingAddress = &Address{City: "Reston"}
	events, err := try(o, same)
	if err != nil || len(events) != 1 || asJSON(t, events[0]) != `{"shippingAddress":{"city":"Reston"}}` {
		t.Errorf("%v, %s", err, asJSON(t, events))
	}
	// Clearing.
	o = play(t, o, Update{
		OrderID: id, Email: &empty, Customer: &Customer{}, ShippingAddress: &Address{}, PlaceAt: &time.Time{},
		LineItems: []LineItemInput{}, Adjustments: []AdjustmentInput{}, Metadata: map[string]string{},
	})
	if o.Email != "" || o.Customer != nil || o.ShippingAddress != nil || !o.PlaceAt.IsZero() || len(o.LineItems) > 0 || len(o.Adjustments) > 0 || len(o.Metadata) > 0 {
		t.Errorf("%+v", o)
	}
}

// After an order has ended only physical facts of what had left before are recorded.
func TestAfterTheEnd(t *testing.T) {
	o := play(t, inFulfillment(t), CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1"}, CreateParcel{OrderID: id, ShipmentID: "shp_2", ParcelID: "par_2"}, Ship{id, "shp_1"})
	o = play(t, o, refund("pay_1", 1063))
	number := "1Z"
	refuse(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_3"}, "order", "")
	refuse(t, o, DestroyParcel{id, "shp_1", "par_1"}, "order", "")
	refuse(t, o, ship1("shp_3", 1), "order", "")
	refuse(t, o, SetTracking{OrderID: id, ShipmentID: "shp_2", ParcelID: "par_2", TrackingNumber: &number}, "shipment", "")
	refuse(t, o, SetCarrierStatus{OrderID: id, ShipmentID: "shp_2", ParcelID: "par_2", Status: CarrierDelivered}, "shipment", "")
	o = expect(t, o, SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", TrackingNumber: &number}, "parcel.tracking_updated")
	o = expect(t, o, SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Status: CarrierDelivered}, "parcel.carrier_status_updated")
	expect(t, o, Deliver{id, "shp_1"}, "shipment.delivered")
}
