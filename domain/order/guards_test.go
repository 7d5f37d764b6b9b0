package order

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/domain"
)

func TestErrorsTellWhatIsWrong(t *testing.T) {
	o := play(t, Order{}, newOrder(), Submit{id}, authorize("pay_1", 500))
	_, err := try(o, Place{id})
	want := "order.place is not allowed: order ord_1 is pending, and the total of 10.63 USD is covered by 5.00 USD only" +
		" (the order machine allows from pending: begin_placing, cancel, destroy, place, revert_to_draft)"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = try(withShipment(t, ShipmentStatusCancelled), Ship{id, "shp_1"})
	want = "shipment.ship is not allowed: shipment shp_1 of order ord_1 is cancelled (the shipment machine allows nothing from cancelled: it is final)"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestSubmitNeedsACustomerAndALineItem(t *testing.T) {
	complete := newOrder()
	nobody, nothing, guest := complete, complete, complete
	nobody.Customer = nil
	nothing.LineItems = nil
	guest.Customer = &Customer{Email: "guest@example.com"}
	refuse(t, play(t, Order{}, nobody), Submit{id}, "order", "it needs a customer")
	refuse(t, play(t, Order{}, nothing), Submit{id}, "order", "it needs a line item")
	expect(t, play(t, Order{}, guest), Submit{id}, "order.submitted")

	// And it keeps them from then on; a draft may lose them.
	for _, status := range []string{StatusPending, StatusEditing} {
		refuse(t, inStatus(t, status), Update{OrderID: id, Customer: &Customer{}}, "order", "it needs a customer")
		refuse(t, inStatus(t, status), Update{OrderID: id, LineItems: []LineItemInput{}}, "order", "it needs a line item")
	}
	expect(t, inStatus(t, StatusDraft), Update{OrderID: id, Customer: &Customer{}}, "order.updated")
}

func TestPlaceNeedsTheTotalToBeCovered(t *testing.T) {
	pending := play(t, Order{}, newOrder(), Submit{id})
	refuse(t, pending, Place{id}, "order", "covered by 0.00 USD only")
	refuse(t, play(t, pending, authorize("pay_1", 1062)), Place{id}, "order", "the total of 10.63 USD is covered by 10.62 USD only")
	for name, covering := range map[string][]domain.Command{
		"authorized":                   {authorize("pay_1", 1063)},
		"authorized twice":             {authorize("pay_1", 1000), authorize("pay_2", 63)},
		"captured":                     {authorize("pay_1", 1063), capture("pay_1", 1063)},
		"captured and authorized":      {authorize("pay_1", 63), capture("pay_1", 63), authorize("pay_2", 1000)},
		"refunded and captured enough": {authorize("pay_1", 1100), capture("pay_1", 1100), refund("pay_1", 37)},
	} {
		t.Run(name, func(t *testing.T) { expect(t, play(t, pending, covering...), Place{id}, "order.placed") })
	}
	for name, lacking := range map[string][]domain.Command{
		"voided":          {authorize("pay_1", 1063), void("pay_1", 1)},
		"refunded":        {authorize("pay_1", 1063), capture("pay_1", 1063), refund("pay_1", 1)},
		"captured a part": {authorize("pay_1", 1063), capture("pay_1", 500), void("pay_1", 0)},
		"failed":          {RecordFailedPayment{OrderID: id, PaymentID: "pay_1", Amount: 1063, Currency: "USD"}},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, play(t, pending, lacking...), Place{id}, "order", "covered by") })
	}
	// A coupon for everything leaves nothing to cover.
	free := play(t, pending, Update{OrderID: id, Adjustments: []AdjustmentInput{{ID: "adj_2", Kind: AdjustmentPromotion, Amount: -1063}}})
	if free.Total != 0 || free.PaymentStatus != PaymentStatusFree {
		t.Fatalf("a total of %d, %s", free.Total, free.PaymentStatus)
	}
	expect(t, free, Place{id}, "order.placed")
}

func TestApproveNeedsAuthorizedPaidOrFree(t *testing.T) {
	placed := inStatus(t, StatusPlaced)
	expect(t, placed, Approve{id}, "order.approved")
	expect(t, play(t, placed, capture("pay_1", 1063)), Approve{id}, "order.approved")
	gift := newOrder()
	gift.LineItems[0].UnitPrice, gift.LineItems[0].Adjustments = 0, nil
	expect(t, play(t, Order{}, gift, Submit{id}, Place{id}), Approve{id}, "order.approved")

	refuse(t, play(t, placed, void("pay_1", 1)), Approve{id}, "order", "it is partially_voided, not authorized, paid or free")
	refuse(t, play(t, placed, void("pay_1", 0)), Approve{id}, "order", "it is voided")
	refuse(t, play(t, placed, capture("pay_1", 500)), Approve{id}, "order", "it is partially_paid")
	refuse(t, play(t, placed, capture("pay_1", 1063), refund("pay_1", 1063)), Approve{id}, "order", "it is refunded")

	// A part of what was paid may be given back without making the order unpaid: it can still be approved, started and shipped.
	o := play(t, placed, capture("pay_1", 1063), refund("pay_1", 100))
	o = play(t, o, Approve{id}, StartFulfillment{id}, ship1("shp_1", 2))
	o = play(t, o, upToReady("shp_1")...)
	expect(t, o, Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
}

func TestEditMayNotRaiseTheTotal(t *testing.T) {
	editing := inStatus(t, StatusEditing)
	shipping := func(amount int64) Update { return Update{OrderID: id, ShippingAmount: &amount} }
	more := play(t, editing, shipping(1))
	refuse(t, more, StopEditing{id}, "order", "the total of 10.64 USD is more than the 10.63 USD it was placed with")
	same := play(t, more, shipping(0))
	o := expect(t, same, StopEditing{id}, "order.editing_stopped")
	less := play(t, o, Edit{id}, Update{OrderID: id, Adjustments: []AdjustmentInput{{ID: "adj_2", Kind: AdjustmentPromotion, Amount: -63}}}, StopEditing{id})
	// The bound is the total when editing began, each time.
	refuse(t, play(t, less, Edit{id}, shipping(1)), StopEditing{id}, "order", "more than the 10.00 USD")
}

func TestCancelNeedsNothingShipped(t *testing.T) {
	// By the tables nothing can ship from a placed order; this state is made by hand.
	o := inStatus(t, StatusPlaced)
	o.Shipments = []Shipment{{ID: "shp_1", Status: ShipmentStatusShipped}}
	refuse(t, o, Cancel{OrderID: id}, "order", "shipment shp_1 has shipped")
}

func TestDestroyKeepsWhatTookMoney(t *testing.T) {
	draft := inStatus(t, StatusDraft)
	refuse(t, play(t, draft, capture("pay_1", 5)), Destroy{id}, "order", "0.05 USD was captured")
	refuse(t, play(t, draft, capture("pay_1", 5), refund("pay_1", 5)), Destroy{id}, "order", "0.05 USD was captured")
	o := play(t, draft, ship1("shp_1", 1), CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1"}, ship1("shp_2", 1),
		CancelShipment{OrderID: id, ShipmentID: "shp_2"})
	expect(t, o, Destroy{id}, "payment.voided", "order.voided", "parcel.destroyed", "shipment.destroyed", "order.destroyed")
}

func TestFulfillmentNeedsApprovalAndMoney(t *testing.T) {
	expect(t, paidAndApproved(t), StartFulfillment{id}, "order.fulfillment_started")
	refuse(t, inStatus(t, StatusPlaced), StartFulfillment{id}, "fulfillment", "the order is placed, not approved")
	refuse(t, inStatus(t, StatusCancelled), StartFulfillment{id}, "fulfillment", "the order is cancelled, not approved")

	authorized := play(t, inStatus(t, StatusPlaced), Approve{id})
	refuse(t, authorized, StartFulfillment{id}, "fulfillment", "the order is authorized, not paid or free")

	delayed := newOrder()
	delayed.DelayedCapture = true
	later := play(t, Order{}, delayed, Submit{id}, authorize("pay_1", 1063), Place{id}, Approve{id})
	expect(t, later, StartFulfillment{id}, "order.fulfillment_started")
	refuse(t, play(t, later, void("pay_1", 0)), StartFulfillment{id}, "fulfillment", "the order is voided, not authorized, paid or free")

	gift := newOrder()
	gift.LineItems[0].UnitPrice, gift.LineItems[0].Adjustments = 0, nil
	free := play(t, Order{}, gift, Submit{id}, Place{id}, Approve{id})
	free = expect(t, free, StartFulfillment{id}, "order.fulfillment_started")
	free = play(t, free, ship1("shp_1", 2))
	free = play(t, free, upToReady("shp_1")...)
	expect(t, free, Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
}

func TestNothingToShip(t *testing.T) {
	c := newOrder()
	c.LineItems[0].DoNotShip = true
	placed := play(t, Order{}, c, Submit{id}, authorize("pay_1", 1063), Place{id})
	o := expect(t, placed, Approve{id}, "order.approved", "order.fulfillment_not_required")
	refuse(t, o, StartFulfillment{id}, "fulfillment", "")
	refuse(t, o, ship1("shp_1", 1), "order", "line item li_1 is not shipped")
}

func TestShipNeedsMoney(t *testing.T) {
	delayed := newOrder()
	delayed.DelayedCapture = true
	o := play(t, Order{}, delayed, Submit{id}, authorize("pay_1", 1063), Place{id}, Approve{id}, StartFulfillment{id}, ship1("shp_1", 2))
	o = play(t, o, upToReady("shp_1")...)
	expect(t, o, Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
	expect(t, play(t, o, capture("pay_1", 1000)), Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
	refuse(t, play(t, o, void("pay_1", 1)), Ship{id, "shp_1"}, "shipment", "its order's total of 10.63 USD is covered by 10.62 USD only")

	// Without delayed capture fulfillment cannot start unpaid; made by hand, the guard holds by itself.
	o.DelayedCapture = false
	refuse(t, o, Ship{id, "shp_1"}, "shipment", "its order is authorized, not paid or free")
	expect(t, play(t, o, capture("pay_1", 1063)), Ship{id, "shp_1"}, "shipment.shipped", "order.shipped", "order.fulfilled")
}

func TestScheduleNeedsAPlacedOrder(t *testing.T) {
	for _, status := range OrderMachine.States() {
		if status == StatusCancelled || status == StatusDestroyed {
			continue
		}
		o := play(t, inStatus(t, status), ship1("shp_1", 1))
		switch status {
		case StatusPlaced, StatusEditing, StatusApproved:
			expect(t, o, ScheduleShipment{id, "shp_1"}, "shipment.scheduled")
		default:
			refuse(t, o, ScheduleShipment{id, "shp_1"}, "shipment", "its order is "+status+", not placed")
		}
	}
}

func TestPickingNeedsFulfillment(t *testing.T) {
	o := play(t, paidAndApproved(t), ship1("shp_1", 1), ScheduleShipment{id, "shp_1"})
	refuse(t, o, StartPicking{id, "shp_1"}, "shipment", "fulfillment has not started")
	expect(t, play(t, o, StartFulfillment{id}), StartPicking{id, "shp_1"}, "shipment.picking_started")
	held := play(t, o, HoldShipment{OrderID: id, ShipmentID: "shp_1"})
	refuse(t, held, StartPicking{id, "shp_1"}, "shipment", "fulfillment has not started")
}

func TestNothingIsShippedTwice(t *testing.T) {
	o := paidAndApproved(t)
	refuse(t, o, ship1("shp_1", 3), "order", "2 of the 2 ordered of line item li_1 are in no shipment yet, less than 3")
	o = play(t, o, ship1("shp_1", 1))
	refuse(t, o, ship1("shp_2", 2), "order", "1 of the 2 ordered")
	both := play(t, o, ship1("shp_2", 1))
	refuse(t, both, ship1("shp_3", 1), "order", "0 of the 2 ordered")
	// What is cancelled or destroyed can be shipped again.
	expect(t, play(t, both, CancelShipment{OrderID: id, ShipmentID: "shp_1"}), ship1("shp_3", 1), "shipment.created")
	expect(t, play(t, both, DestroyShipment{id, "shp_1"}), ship1("shp_1", 1), "shipment.created")

	missing(t, o, CreateShipment{OrderID: id, ShipmentID: "shp_2", LineItems: []ShipmentLineItem{{"li_9", 1}}}, "line item", "li_9")
	refuse(t, o, ship1("shp_1", 1), "shipment", "its id is taken")
	refuse(t, o, CreateShipment{OrderID: id, ShipmentID: "shp_2", LineItems: []ShipmentLineItem{{"li_2", 1}}}, "order", "line item li_2 is not shipped")
}

func TestUpdateKeepsWhatIsInShipments(t *testing.T) {
	o := play(t, inStatus(t, StatusEditing), ship1("shp_1", 1), ship1("shp_2", 1))
	items := func(quantity int64, doNotShip bool) Update {
		return Update{OrderID: id, LineItems: []LineItemInput{{ID: "li_1", Quantity: quantity, UnitPrice: 1, DoNotShip: doNotShip}}}
	}
	refuse(t, o, items(1, false), "order", "2 of line item li_1 are in shipments, more than the 1 that would be ordered")
	refuse(t, o, Update{OrderID: id, LineItems: []LineItemInput{{ID: "li_9", Quantity: 2}}}, "order", "more than the 0 that would be ordered")
	refuse(t, o, items(2, true), "order", "it cannot become one that is not shipped")
	expect(t, o, items(2, false), "order.updated")
	expect(t, play(t, o, CancelShipment{OrderID: id, ShipmentID: "shp_2"}), items(1, false), "order.updated")
}

func TestThereIsNoSuchThing(t *testing.T) {
	o := withShipment(t, ShipmentStatusShipped)
	missing(t, o, capture("pay_9", 1), "payment", "pay_9")
	missing(t, o, void("pay_9", 1), "payment", "pay_9")
	missing(t, o, refund("pay_9", 1), "payment", "pay_9")
	for _, c := range []domain.Command{
		ScheduleShipment{id, "shp_9"}, HoldShipment{OrderID: id, ShipmentID: "shp_9"}, StartPicking{id, "shp_9"},
		StartPacking{id, "shp_9"}, MarkReadyToShip{id, "shp_9"}, Ship{id, "shp_9"}, Deliver{id, "shp_9"},
		CancelShipment{OrderID: id, ShipmentID: "shp_9"}, DestroyShipment{id, "shp_9"},
		CreateParcel{OrderID: id, ShipmentID: "shp_9", ParcelID: "par_9"}, DestroyParcel{id, "shp_9", "par_9"},
		SetTracking{OrderID: id, ShipmentID: "shp_9", ParcelID: "par_9"},
		SetCarrierStatus{OrderID: id, ShipmentID: "shp_9", ParcelID: "par_9", Status: CarrierUnknown},
	} {
		missing(t, o, c, "shipment", "shp_9")
	}
	for _, c := range []domain.Command{
		DestroyParcel{id, "shp_1", "par_9"}, SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_9"},
		SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_9", Status: CarrierUnknown},
	} {
		missing(t, o, c, "parcel", "par_9")
	}
}

func TestThereCanBeTooMany(t *testing.T) {
	c := newOrder()
	c.LineItems[0].Quantity = 1000
	o := play(t, Order{}, c)
	for i := range MaxPayments {
		o = play(t, o, authorize(fmt.Sprintf("pay_%d", i), 1))
	}
	refuse(t, o, authorize("pay_more", 1), "payment", "100 payments already")
	refuse(t, o, authorize("pay_1", 1), "payment", "it has a payment pay_1 already")
	for i := range MaxShipments {
		o = play(t, o, ship1(fmt.Sprintf("shp_%d", i), 1))
	}
	refuse(t, o, ship1("shp_more", 1), "order", "100 shipments already")
	for i := range MaxParcels {
		o = play(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_0", ParcelID: fmt.Sprintf("par_%d", i)})
	}
	refuse(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_0", ParcelID: "par_more"}, "order", "100 parcels already")
	refuse(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_7"}, "order", "a parcel par_7 already, in shipment shp_0")
}

// A command that is no order's is a mistake in the program, and says so.
func TestForeignCommand(t *testing.T) {
	if _, err := Decide(inStatus(t, StatusDraft), foreign{}); err == nil || !strings.Contains(err.Error(), "order.foreign") {
		t.Error(err)
	}
}

type foreign struct{ Submit }

func (foreign) CommandName() string { return "order.foreign" }
