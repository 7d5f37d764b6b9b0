package profile

import (
	"slices"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// Every move of the machines of an order, one at a time: what each platform is told of that command, and that it is told of nothing when
// the same is asked for once more. Those that are not named are told of nothing.
func TestEachMoveInEachPlatformsWords(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	pending := []domain.Command{created, submit}
	placing := append(slices.Clone(pending), order.BeginPlacing{OrderID: ord})
	placed := append(slices.Clone(pending), pay, place)
	approved := append(slices.Clone(placed), approve)
	paid := append(slices.Clone(approved), capture)
	fulfilling := append(slices.Clone(paid), fulfill)
	a, b := shipping("a"), shipping("b")
	make1, schedule, pick, pack, ready, ship := a[0], a[1], a[2], a[3], a[4], a[5]
	hold := order.HoldShipment{OrderID: ord, ShipmentID: "a"}
	parcel := order.CreateParcel{OrderID: ord, ShipmentID: "a", ParcelID: "par"}
	number := "1Z"
	track := order.SetTracking{OrderID: ord, ShipmentID: "a", ParcelID: "par", TrackingNumber: &number}
	says := func(status string) domain.Command {
		return order.SetCarrierStatus{OrderID: ord, ShipmentID: "a", ParcelID: "par", Status: status}
	}
	after := func(before []domain.Command, more ...domain.Command) []domain.Command {
		return slices.Concat(before, more)
	}
	digital := order.LineItemInput{ID: "1", Name: "Song", SKU: "song", Quantity: 2, UnitPrice: 500, DoNotShip: true}
	song := created
	song.LineItems = []order.LineItemInput{digital}
	empty := created
	empty.LineItems = nil
	type words map[string]string
	for _, c := range []struct {
		name   string
		before []domain.Command
		move   domain.Command
		want   words
	}{
		// The order.
		{"create", nil, created, words{"commercelayer": "orders.create", "goody": "order.created", "ordergroove": "order.create"}},
		{"create without an item", nil, empty, words{"commercelayer": "orders.create"}},
		{"add the first item", []domain.Command{empty}, order.Update{OrderID: ord, LineItems: []order.LineItemInput{mug}},
			words{"goody": "order.created", "ordergroove": "order.create"}},
		{"submit", []domain.Command{created}, submit, words{"commercelayer": "orders.pending"}},
		{"revert to draft", pending, order.RevertToDraft{OrderID: ord}, words{"commercelayer": "orders.draft"}},
		{"begin placing", pending, order.BeginPlacing{OrderID: ord}, nil},
		{"place", after(pending, pay), place, words{"commercelayer": "orders.place", "chord": "order_completed", "ordergroove": "order.success"}},
		{"place at the end of placing", after(placing, pay), place,
			words{"commercelayer": "orders.place", "chord": "order_completed", "ordergroove": "order.success"}},
		{"fail to place, for now", placing, order.FailPlacement{OrderID: ord},
			words{"commercelayer": "orders.pending", "ordergroove": "order.retryable_placement_failure"}},
		{"fail to place, for good", placing, order.RejectPlacement{OrderID: ord},
			words{"commercelayer": "orders.cancel", "goody": "order.canceled", "ordergroove": "order.reject", "up42": "order.status"}},
		{"edit", placed, order.Edit{OrderID: ord}, nil},
		{"stop editing", after(placed, order.Edit{OrderID: ord}), order.StopEditing{OrderID: ord}, nil},
		{"approve", placed, approve, words{"commercelayer": "orders.approve"}},
		{"cancel what is pending", pending, order.Cancel{OrderID: ord},
			words{"commercelayer": "orders.cancel", "goody": "order.canceled", "ordergroove": "order.skip_order", "up42": "order.status"}},
		{"cancel what is placed", placed, order.Cancel{OrderID: ord}, words{"commercelayer": "orders.void orders.cancel", "chord": "order_cancelled",
			"goody": "order.canceled", "ordergroove": "order.cancel", "up42": "order.status"}},
		{"refund in full", paid, order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000}, words{"commercelayer": "orders.refund orders.cancel",
			"chord": "order_cancelled", "goody": "order.refunded order.canceled", "up42": "order.status"}},
		{"refund what is being fulfilled", fulfilling, order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000},
			words{"commercelayer": "orders.refund orders.cancel_fulfilling orders.cancel", "chord": "order_cancelled",
				"goody": "order.refunded order.canceled", "up42": "order.status"}},
		{"refund what is fulfilled", after(fulfilling, a...), order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000},
			words{"commercelayer": "orders.refund orders.cancel", "chord": "order_cancelled", "goody": "order.refunded order.canceled"}},
		{"destroy a draft", []domain.Command{created}, order.Destroy{OrderID: ord}, words{"commercelayer": "orders.destroy", "ordergroove": "order.delete"}},
		{"destroy what is pending", pending, order.Destroy{OrderID: ord}, words{"commercelayer": "orders.destroy", "ordergroove": "order.delete"}},

		// Its payment: only what is complete.
		{"authorize a part", pending, order.Authorize{OrderID: ord, PaymentID: "p", Amount: 400, Currency: "USD"}, nil},
		{"authorize the rest", after(pending, order.Authorize{OrderID: ord, PaymentID: "p", Amount: 400, Currency: "USD"}),
			order.Authorize{OrderID: ord, PaymentID: "q", Amount: 600, Currency: "USD"}, words{"commercelayer": "orders.authorize"}},
		{"authorize all", pending, pay, words{"commercelayer": "orders.authorize"}},
		{"pay in vain", pending, order.RecordFailedPayment{OrderID: ord, PaymentID: "p", Amount: 1000, Currency: "USD"}, nil},
		{"capture a part", approved, order.Capture{OrderID: ord, PaymentID: "pay_1", Amount: 400}, nil},
		{"capture the rest", after(approved, order.Capture{OrderID: ord, PaymentID: "pay_1", Amount: 400}), order.Capture{OrderID: ord, PaymentID: "pay_1", Amount: 600},
			words{"commercelayer": "orders.pay"}},
		{"capture all", approved, capture, words{"commercelayer": "orders.pay"}},
		{"void a part", placed, order.Void{OrderID: ord, PaymentID: "pay_1", Amount: 400}, nil},
		{"void all", placed, order.Void{OrderID: ord, PaymentID: "pay_1"}, words{"commercelayer": "orders.void"}},
		{"refund a part", paid, order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 400}, nil},

		// Its fulfillment.
		{"start fulfilling", paid, fulfill, words{"commercelayer": "orders.start_fulfilling"}},
		{"approve what has nothing to ship", []domain.Command{song, submit, pay, place}, approve, words{"commercelayer": "orders.approve"}},
		{"ship the only shipment", after(fulfilling, a[:5]...), ship, words{"commercelayer": "shipments.ship orders.fulfill", "chord": "shipment_shipped",
			"goody": "order.shipped", "up42": "order.status"}},
		{"ship the first of two", after(after(fulfilling, a[:5]...), b[0]), ship,
			words{"commercelayer": "shipments.ship", "chord": "shipment_shipped", "goody": "order.shipped"}},
		{"ship the last of two", after(after(fulfilling, b...), a[:5]...), ship, words{"commercelayer": "shipments.ship", "chord": "shipment_shipped"}},
		{"ship the last that is left", after(after(after(fulfilling, b[0]), a...), order.CancelShipment{OrderID: ord, ShipmentID: "b"}), deliver("a"),
			words{"commercelayer": "shipments.deliver", "chord": "shipment_delivery_status_updated", "goody": "order.delivered"}},
		{"cancel the one that was left to ship", after(after(fulfilling, b[0]), a...), order.CancelShipment{OrderID: ord, ShipmentID: "b"},
			words{"commercelayer": "shipments.cancel orders.fulfill", "chord": "shipment_updated", "up42": "order.status"}},
		{"cancel the only shipment", after(fulfilling, a[:5]...), order.CancelShipment{OrderID: ord, ShipmentID: "a"},
			words{"commercelayer": "shipments.cancel", "chord": "shipment_updated"}},

		// Its shipments, and their parcels.
		{"create a shipment", placed, make1, words{"commercelayer": "shipments.create"}},
		{"schedule it", after(placed, make1), schedule, words{"commercelayer": "shipments.upcoming", "chord": "shipment_updated"}},
		{"hold what is upcoming", after(fulfilling, a[:2]...), hold, words{"commercelayer": "shipments.on_hold", "chord": "shipment_updated"}},
		{"hold what is being picked", after(fulfilling, a[:3]...), hold, words{"commercelayer": "shipments.on_hold", "chord": "shipment_updated"}},
		{"pick what is upcoming", after(fulfilling, a[:2]...), pick, words{"commercelayer": "shipments.picking", "chord": "shipment_updated"}},
		{"pick what was on hold", after(after(fulfilling, a[:3]...), hold), pick, words{"commercelayer": "shipments.picking", "chord": "shipment_updated"}},
		{"pack", after(fulfilling, a[:3]...), pack, words{"commercelayer": "shipments.packing", "chord": "shipment_updated"}},
		{"make ready", after(fulfilling, a[:4]...), ready, words{"commercelayer": "shipments.ready_to_ship", "chord": "shipment_updated"}},
		{"deliver the only shipment", after(fulfilling, a...), deliver("a"),
			words{"commercelayer": "shipments.deliver", "chord": "shipment_delivery_status_updated", "goody": "order.delivered"}},
		{"deliver the first of two", after(after(fulfilling, a...), b...), deliver("a"),
			words{"commercelayer": "shipments.deliver", "chord": "shipment_delivery_status_updated"}},
		{"destroy a shipment", after(placed, make1), order.DestroyShipment{OrderID: ord, ShipmentID: "a"}, words{"commercelayer": "shipments.destroy"}},
		{"create a parcel", after(fulfilling, a...), parcel, words{"commercelayer": "parcels.create"}},
		{"destroy a parcel", after(after(fulfilling, a[:4]...), parcel), order.DestroyParcel{OrderID: ord, ShipmentID: "a", ParcelID: "par"},
			words{"commercelayer": "parcels.destroy"}},
		{"track a parcel", after(after(fulfilling, a...), parcel), track, words{"chord": "shipment_updated"}},
		{"hear from the carrier", after(after(fulfilling, a...), parcel, track), says(order.CarrierInTransit),
			words{"chord": "shipment_delivery_status_updated"}},
		{"hear that it arrived", after(after(fulfilling, a...), parcel, track), says(order.CarrierDelivered),
			words{"chord": "shipment_delivery_status_updated"}},
		{"deliver what the carrier has", after(after(fulfilling, a...), parcel, track, says(order.CarrierDelivered)), deliver("a"),
			words{"commercelayer": "shipments.deliver", "goody": "order.delivered"}},

		// An order that waits for its day.
		{"schedule", []domain.Command{created}, order.Schedule{OrderID: ord, PlaceAt: day}, words{"ordergroove": "order.change_next_order_date"}},
		{"send now", []domain.Command{created, order.Schedule{OrderID: ord, PlaceAt: day}}, order.Expedite{OrderID: ord}, words{"ordergroove": "order.send_now"}},
		{"skip", pending, order.Skip{OrderID: ord},
			words{"commercelayer": "orders.cancel", "goody": "order.canceled", "ordergroove": "order.skip_order", "up42": "order.status"}},
		{"remind", []domain.Command{created}, order.Remind{OrderID: ord}, words{"ordergroove": "order.reminder"}},
		{"change what pays", []domain.Command{created}, order.ChangePaymentSource{OrderID: ord, PaymentSource: "pm_1"}, words{"ordergroove": "order.change_payment"}},
		{"record an error", []domain.Command{created}, order.RecordError{OrderID: ord, Reason: "no answer"}, words{"ordergroove": "order.generic_error"}},
		{"change the address", []domain.Command{created}, order.Update{OrderID: ord, ShippingAddress: &order.Address{City: "Springfield"}},
			words{"ordergroove": "order.change_shipping_address"}},
	} {
		s := &stage{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		if err := s.play(everything[order.Name], append(slices.Clone(c.before), c.move)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		last := s.occurrences[happenedIn(t, c.before):]
		for name, p := range All(everything) {
			if got := names(told(t, p, last)); name != "native" && got != c.want[name] {
				t.Errorf("%s, to %s: %q, want %q", c.name, name, got, c.want[name])
			}
		}
		// Once more: refused, or nothing happens to what is told by its status.
		state := last[len(last)-1].After.(order.Order)
		events, err := order.Decide(state, c.move)
		if err != nil {
			continue
		}
		for _, event := range events {
			switch event.(type) {
			case order.Reminded, order.ErrorRecorded, order.PaymentAuthorized, order.PaymentCaptured, order.PaymentRefunded, order.PaymentFailed, order.PaymentVoided,
				order.Expedited:
			default:
				t.Errorf("%s, once more: %s", c.name, event.EventType())
			}
		}
	}
}

// happenedIn is how many events a life consists of.
func happenedIn(t *testing.T, life []domain.Command) int {
	if len(life) == 0 {
		return 0
	}
	return len(live(t, life...))
}
