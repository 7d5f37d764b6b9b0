package order

import (
	"testing"

	"github.com/waybill-dev/waybill/domain"
)

// Every row of the payment machine, with the command that takes it. Which rows there are, the model check tells; that each is here,
// the end of this test.
func TestPaymentStatuses(t *testing.T) {
	total := func(amount int64) Update { return Update{OrderID: id, ShippingAmount: &amount} }
	auth := func(payment string, amount int64) Authorize { return authorize(payment, amount) }
	covered := map[edge]bool{}
	for _, c := range []struct {
		total  int64
		before []domain.Command
		from   string
		then   domain.Command
		to     string
	}{
		{0, nil, "free", total(10), "unpaid"},
		{10, nil, "unpaid", total(0), "free"},
		{10, nil, "unpaid", auth("a", 9), "partially_authorized"},
		{10, nil, "unpaid", auth("a", 10), "authorized"},
		{0, nil, "free", auth("a", 1), "authorized"},
		{10, []domain.Command{auth("a", 9)}, "partially_authorized", auth("b", 1), "authorized"},
		{10, []domain.Command{auth("a", 9)}, "partially_authorized", total(9), "authorized"},
		{10, []domain.Command{auth("a", 9)}, "partially_authorized", capture("a", 9), "partially_paid"},
		{10, []domain.Command{auth("a", 9)}, "partially_authorized", void("a", 1), "partially_voided"},
		{10, []domain.Command{auth("a", 9)}, "partially_authorized", void("a", 9), "voided"},
		{10, []domain.Command{auth("a", 10)}, "authorized", total(11), "partially_authorized"},
		{10, []domain.Command{auth("a", 10)}, "authorized", capture("a", 10), "paid"},
		{10, []domain.Command{auth("a", 10)}, "authorized", capture("a", 9), "partially_paid"},
		{10, []domain.Command{auth("a", 10)}, "authorized", void("a", 1), "partially_voided"},
		{10, []domain.Command{auth("a", 10)}, "authorized", void("a", 0), "voided"},
		{10, []domain.Command{auth("a", 10), capture("a", 9)}, "partially_paid", capture("a", 1), "paid"},
		{10, []domain.Command{auth("a", 10), capture("a", 9)}, "partially_paid", total(9), "paid"},
		{10, []domain.Command{auth("a", 10), capture("a", 9)}, "partially_paid", refund("a", 9), "refunded"},
		{10, []domain.Command{auth("a", 10), capture("a", 9)}, "partially_paid", refund("a", 1), "partially_refunded"},
		{10, []domain.Command{auth("a", 10), capture("a", 10)}, "paid", total(11), "partially_paid"},
		{10, []domain.Command{auth("a", 10), capture("a", 10)}, "paid", refund("a", 1), "partially_refunded"},
		{10, []domain.Command{auth("a", 10), capture("a", 10)}, "paid", refund("a", 10), "refunded"},
		{10, []domain.Command{auth("a", 10), void("a", 1)}, "partially_voided", auth("b", 1), "authorized"},
		{10, []domain.Command{auth("a", 10), void("a", 1)}, "partially_voided", capture("a", 1), "partially_paid"},
		{10, []domain.Command{auth("a", 10), void("a", 1)}, "partially_voided", void("a", 9), "voided"},
		{10, []domain.Command{auth("a", 10), void("a", 0)}, "voided", auth("b", 10), "authorized"},
		{10, []domain.Command{auth("a", 10), void("a", 0)}, "voided", auth("b", 9), "partially_voided"},
		{10, []domain.Command{auth("a", 10), capture("a", 10), refund("a", 1)}, "partially_refunded", refund("a", 9), "refunded"},
		{10, []domain.Command{auth("a", 10), capture("a", 9), refund("a", 9)}, "refunded", capture("a", 1), "partially_refunded"},
	} {
		o := play(t, Order{}, Create{OrderID: id, Currency: "USD", Customer: &Customer{ID: "c"}, LineItems: []LineItemInput{{ID: "li_1", Quantity: 1}}, ShippingAmount: c.total})
		o = play(t, o, c.before...)
		if o.PaymentStatus != c.from {
			t.Errorf("%s to %s: it starts as %s", c.from, c.to, o.PaymentStatus)
			continue
		}
		events, err := try(o, c.then)
		if err != nil {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
			continue
		}
		if len(events) != 2 || fold(o, events).PaymentStatus != c.to {
			t.Errorf("%s to %s: %v leads to %s", c.from, c.to, names(events), fold(o, events).PaymentStatus)
			continue
		}
		want := "order." + c.to
		if c.to == "free" {
			want = "order.freed"
		}
		if events[1].EventType() != want || asJSON(t, events[1]) != `{"from":"`+c.from+`"}` {
			t.Errorf("%s to %s: %s %s", c.from, c.to, events[1].EventType(), asJSON(t, events[1]))
		}
		covered[edge{"payment", c.from, c.to}] = true
	}
	for e := range edgesOf([]*domain.Machine{PaymentMachine}) {
		if !covered[e] {
			t.Errorf("no case takes the order from %s to %s", e.from, e.to)
		}
	}
}

// An entry that leaves the status as it is tells of itself only.
func TestOnlyRealChangesOfThePaymentStatus(t *testing.T) {
	o := play(t, Order{}, newOrder())
	o = expect(t, o, authorize("pay_1", 500), "payment.authorized", "order.partially_authorized")
	o = expect(t, o, authorize("pay_2", 500), "payment.authorized")
	o = expect(t, o, authorize("pay_3", 563), "payment.authorized", "order.authorized")
	o = expect(t, o, void("pay_3", 500), "payment.voided") // 10.63 are open still
	o = expect(t, o, capture("pay_1", 100), "payment.captured", "order.partially_paid")
	o = expect(t, o, capture("pay_1", 400), "payment.captured")
	o = expect(t, o, void("pay_3", 0), "payment.voided")
	o = expect(t, o, capture("pay_2", 500), "payment.captured")
	o = expect(t, o, refund("pay_2", 100), "payment.refunded", "order.partially_refunded")
	o = expect(t, o, refund("pay_2", 100), "payment.refunded")
	expect(t, o, RecordFailedPayment{OrderID: id, PaymentID: "pay_4", Amount: 0, Currency: "USD", Method: "Stripe", Reason: "declined"}, "payment.failed")
}

func TestTheLedgerAddsUp(t *testing.T) {
	o := play(t, Order{}, newOrder(), authorize("pay_1", 1000), authorize("pay_2", 500))
	refuse(t, o, capture("pay_1", 1001), "payment", "10.00 USD of payment pay_1 are open, less than 10.01 USD")
	refuse(t, o, void("pay_1", 1001), "payment", "10.00 USD of payment pay_1 are open")
	refuse(t, o, refund("pay_1", 1), "payment", "0.00 USD of payment pay_1 are captured and not refunded, less than 0.01 USD")

	o = play(t, o, capture("pay_1", 600), void("pay_1", 300))
	refuse(t, o, capture("pay_1", 101), "payment", "1.00 USD of payment pay_1 are open")
	refuse(t, o, void("pay_1", 101), "payment", "1.00 USD of payment pay_1 are open")
	refuse(t, o, refund("pay_1", 601), "payment", "6.00 USD of payment pay_1 are captured")
	o = play(t, o, capture("pay_1", 100), refund("pay_1", 700))
	refuse(t, o, void("pay_1", 0), "payment", "nothing of payment pay_1 is open")
	refuse(t, o, refund("pay_1", 1), "payment", "0.00 USD of payment pay_1")

	if o.AuthorizedTotal != 1500 || o.CapturedTotal != 700 || o.VoidedTotal != 300 || o.RefundedTotal != 700 || o.Open() != 500 {
		t.Errorf("authorized %d, captured %d, voided %d, refunded %d", o.AuthorizedTotal, o.CapturedTotal, o.VoidedTotal, o.RefundedTotal)
	}
	// A failed payment counts nowhere and nothing can be done with it.
	o = play(t, o, RecordFailedPayment{OrderID: id, PaymentID: "pay_3", Amount: 100, Currency: "USD"})
	if o.AuthorizedTotal != 1500 || o.Open() != 500 {
		t.Errorf("after a failed payment %d are authorized, %d open", o.AuthorizedTotal, o.Open())
	}
	refuse(t, o, capture("pay_3", 1), "payment", "0.00 USD of payment pay_3 are open")
	refuse(t, o, void("pay_3", 0), "payment", "nothing of payment pay_3 is open")
	refuse(t, o, refund("pay_3", 1), "payment", "0.00 USD of payment pay_3")
	refuse(t, o, authorize("pay_3", 1), "payment", "it has a payment pay_3 already")
}

func TestStatusOfOnePayment(t *testing.T) {
	o := play(t, Order{}, newOrder(), authorize("a", 10), authorize("b", 10), authorize("c", 10), authorize("d", 10), RecordFailedPayment{OrderID: id, PaymentID: "e", Currency: "USD"})
	o = play(t, o, capture("a", 9), void("b", 0), capture("c", 10), refund("c", 9), capture("d", 5), refund("d", 5), void("d", 5))
	for payment, want := range map[string]string{"a": LedgerOpen, "b": LedgerVoided, "c": LedgerCaptured, "d": LedgerRefunded, "e": LedgerFailed} {
		if p, _ := o.Payment(payment); p.Status != want {
			t.Errorf("payment %s is %s, want %s: %+v", payment, p.Status, want, p)
		}
	}
}

func TestFullRefund(t *testing.T) {
	o := play(t, inFulfillment(t), authorize("pay_2", 100), Ship{id, "shp_1"})
	o = expect(t, o, refund("pay_1", 63), "payment.refunded", "order.partially_refunded")
	events, err := try(o, Refund{OrderID: id, PaymentID: "pay_1", Amount: 1000, Reason: "broken"})
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last != (Cancelled{From: StatusApproved, Reason: "broken"}) {
		t.Errorf("it ends with %+v", last)
	}
	o = expect(t, o, refund("pay_1", 1000),
		"payment.refunded", "order.refunded", "payment.voided", "shipment.cancelled", "order.fulfillment_cancelled", "order.cancelled")
	if o.FulfillmentStatus != FulfillmentStatusUnfulfilled {
		t.Error(o.FulfillmentStatus)
	}
	// What had left before still arrives, and says nothing of the order.
	o = expect(t, o, Deliver{id, "shp_1"}, "shipment.delivered")
	if !o.DeliveredAt.IsZero() {
		t.Error("a cancelled order was delivered")
	}

	// Fulfilled is final: a full refund after it cancels the order only.
	fulfilled := play(t, inFulfillment(t), Ship{id, "shp_1"}, Ship{id, "shp_2"})
	o = expect(t, fulfilled, refund("pay_1", 1063), "payment.refunded", "order.refunded", "order.cancelled")
	if o.FulfillmentStatus != FulfillmentStatusFulfilled {
		t.Error(o.FulfillmentStatus)
	}
	// It takes all payments, and an approved order: a placed one is refunded and stays placed.
	two := play(t, Order{}, newOrder(), Submit{id}, authorize("a", 1000), capture("a", 1000), authorize("b", 63), capture("b", 63), Place{id})
	two = play(t, two, Approve{id}, refund("a", 1000))
	if two.Status != StatusApproved {
		t.Error(two.Status)
	}
	expect(t, two, refund("b", 63), "payment.refunded", "order.refunded", "order.cancelled")
	placed := play(t, inStatus(t, StatusPlaced), capture("pay_1", 1063))
	expect(t, placed, refund("pay_1", 1063), "payment.refunded", "order.refunded")
}

func TestCancel(t *testing.T) {
	o := play(t, inStatus(t, StatusPlaced), ship1("shp_1", 1), ship1("shp_2", 1), CancelShipment{OrderID: id, ShipmentID: "shp_1"}, authorize("pay_2", 5))
	o = expect(t, o, Cancel{OrderID: id, Reason: "changed my mind", CancelledBy: "cus_1"},
		"payment.voided", "payment.voided", "order.voided", "shipment.cancelled", "order.cancelled")
	if o.CancelReason != "changed my mind" || o.CancelledBy != "cus_1" || o.CancelledAt.IsZero() || o.Open() != 0 {
		t.Errorf("%+v", o)
	}

	// Captured money stays captured, and can be given back afterwards; nothing else happens then.
	o = play(t, inStatus(t, StatusPlaced), capture("pay_1", 1000))
	o = expect(t, o, Cancel{OrderID: id}, "payment.voided", "order.cancelled")
	refuse(t, o, authorize("pay_2", 1), "order", "")
	refuse(t, o, RecordFailedPayment{OrderID: id, PaymentID: "pay_2", Currency: "USD"}, "order", "")
	refuse(t, o, capture("pay_1", 1), "payment", "0.00 USD of payment pay_1 are open")
	o = expect(t, o, refund("pay_1", 400), "payment.refunded", "order.partially_refunded")
	o = expect(t, o, refund("pay_1", 600), "payment.refunded", "order.refunded")
	if o.Status != StatusCancelled {
		t.Error(o.Status)
	}

	expect(t, play(t, Order{}, newOrder(), Submit{id}), Cancel{OrderID: id}, "order.cancelled")
}

func TestPlacementCanFail(t *testing.T) {
	placing := inStatus(t, StatusPlacing)
	again := expect(t, placing, FailPlacement{OrderID: id, Reason: "timeout"}, "order.placement_failed")
	if again.PlacementFailure != "timeout" || again.Status != StatusPending {
		t.Errorf("%s, %q", again.Status, again.PlacementFailure)
	}
	if again = play(t, again, BeginPlacing{id}, Place{id}); again.PlacementFailure != "" {
		t.Errorf("%q", again.PlacementFailure)
	}
	o := expect(t, placing, RejectPlacement{OrderID: id, Reason: "fraud"}, "payment.voided", "order.voided", "order.cancelled")
	if o.CancelReason != "fraud" {
		t.Error(o.CancelReason)
	}
}

func TestCreateCanBeFreeAtOnce(t *testing.T) {
	expect(t, Order{}, newOrder(), "order.created")
	// Born free: nothing became free, so no event says so.
	if free := expect(t, Order{}, Create{OrderID: id, Currency: "USD", LineItems: []LineItemInput{{ID: "li_1", Quantity: 1}}}, "order.created"); free.PaymentStatus != PaymentStatusFree {
		t.Error(free.PaymentStatus)
	}
	// An empty cart is not free, it is empty.
	empty := expect(t, Order{}, Create{OrderID: id, Currency: "USD"}, "order.created")
	expect(t, empty, Update{OrderID: id, LineItems: newOrder().LineItems}, "order.updated", "order.first_item_added")
}
