package order

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
)

// Orders larger than the model check can walk through, by chance: whatever commands come, in whatever order, each is refused or keeps
// every invariant, and the history alone gives the same order.
func TestRandomOrders(t *testing.T) {
	legal := edgesOf(Aggregate().Machines)
	rapid.Check(t, func(t *rapid.T) {
		var o Order
		var history []domain.Recorded
		for range rapid.IntRange(1, 120).Draw(t, "commands") {
			tr := transition{before: o, cmd: drawCommand(t, o)}
			if err := tr.cmd.Validate(); err != nil {
				t.Fatalf("%s: %v", tr.cmd.CommandName(), err)
			}
			before := fmt.Sprintf("%+v", o)
			tr.events, tr.err = Decide(o, tr.cmd)
			for _, f := range tr.verify(legal, map[edge]int{}) {
				t.Fatalf("%+v of %+v: %s", tr.cmd, keyOf(o), f)
			}
			if after := fmt.Sprintf("%+v", o); after != before {
				t.Fatalf("%+v changed the order it was decided on, from\n%s to\n%s", tr.cmd, before, after)
			}
			for _, e := range tr.events {
				data, version, err := codec.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				history = append(history, domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data, RecordedAt: modelTime})
			}
			o = tr.after
		}
		for range 2 {
			folded, err := Aggregate().Fold(Aggregate().New(), history...)
			if err != nil || !reflect.DeepEqual(folded, o) {
				t.Fatalf("history gives %+v, %v; the commands gave %+v", folded, err, o)
			}
		}
		for _, name := range []string{"order.shipped", "order.delivered", "order.created", "order.fulfilled", "order.cancelled", "order.skipped", "order.first_item_added"} {
			n := 0
			for _, r := range history {
				if r.Type == name {
					n++
				}
			}
			if n > 1 {
				t.Fatalf("%s happened %d times", name, n)
			}
		}
	})
}

// drawCommand draws any command at all, or, more often, one that is legal and leads on: by chance alone few orders would get far.
func drawCommand(t *rapid.T, o Order) domain.Command {
	if o.ID != "" && rapid.IntRange(0, 3).Draw(t, "lead on") > 0 {
		var onward []domain.Command
		for _, c := range append(allMachines()(o), Authorize{OrderID: id, PaymentID: "pay_3", Amount: o.Total + 1, Currency: "USD"}) {
			switch c.(type) {
			case Update, Cancel, RejectPlacement, RevertToDraft, Destroy, Void, Refund, DestroyShipment, CancelShipment,
				Schedule, Expedite, Skip, Remind, ChangePaymentSource, RecordError:
				continue
			}
			if _, err := Decide(o, c); err == nil {
				onward = append(onward, c)
			}
		}
		if len(onward) > 0 {
			return rapid.SampledFrom(onward).Draw(t, "onward")
		}
	}
	pay := rapid.SampledFrom([]string{"pay_1", "pay_2", "pay_3"})
	shp := rapid.SampledFrom([]string{"shp_1", "shp_2", "shp_3"})
	par := rapid.SampledFrom([]string{"par_1", "par_2"})
	amount := rapid.SampledFrom([]int64{1, 2, 3, 5, 8, 12})
	if o.ID == "" {
		return Create{
			OrderID: id, Currency: "USD", Customer: &Customer{ID: "cus_1"}, LineItems: drawItems(t), ShippingAmount: rapid.Int64Range(0, 4).Draw(t, "shipping"),
			DelayedCapture: rapid.Bool().Draw(t, "delayed"), Metadata: rapid.MapOfN(rapid.StringMatching(`[a-z]{1,5}`), rapid.StringMatching(`[a-zé]{0,5}`), 0, 3).Draw(t, "metadata"),
		}
	}
	shipment := shp.Draw(t, "shipment")
	switch rapid.IntRange(0, 34).Draw(t, "command") {
	case 0:
		return Update{OrderID: id, LineItems: drawItems(t)}
	case 1:
		shipping := rapid.Int64Range(0, 4).Draw(t, "shipping")
		return Update{OrderID: id, ShippingAmount: &shipping}
	case 2, 3:
		return Submit{id}
	case 4:
		return RevertToDraft{id}
	case 5:
		return BeginPlacing{id}
	case 6, 7:
		return Place{id}
	case 8:
		return FailPlacement{OrderID: id}
	case 9:
		return rapid.SampledFrom([]domain.Command{RejectPlacement{OrderID: id}, Cancel{OrderID: id}, Destroy{id}, Approve{id}, Place{id}}).Draw(t, "end")
	case 10:
		return Edit{id}
	case 11:
		return StopEditing{id}
	case 12, 13:
		return Approve{id}
	case 14, 15:
		return StartFulfillment{id}
	case 16:
		return RecordFailedPayment{OrderID: id, PaymentID: pay.Draw(t, "payment"), Amount: 1, Currency: "USD", Reason: "declined"}
	case 17, 18:
		return Authorize{OrderID: id, PaymentID: pay.Draw(t, "payment"), Amount: amount.Draw(t, "amount"), Currency: "USD"}
	case 19, 20:
		return Capture{OrderID: id, PaymentID: pay.Draw(t, "payment"), Amount: amount.Draw(t, "amount")}
	case 21:
		return Void{OrderID: id, PaymentID: pay.Draw(t, "payment"), Amount: rapid.Int64Range(0, 3).Draw(t, "amount")}
	case 22:
		return Refund{OrderID: id, PaymentID: pay.Draw(t, "payment"), Amount: amount.Draw(t, "amount")}
	case 23:
		return CreateShipment{OrderID: id, ShipmentID: shipment, LineItems: []ShipmentLineItem{{LineItemID: "li_1", Quantity: rapid.Int64Range(1, 2).Draw(t, "quantity")}}}
	case 24, 25:
		return ScheduleShipment{id, shipment}
	case 26:
		return HoldShipment{OrderID: id, ShipmentID: shipment}
	case 27, 28:
		return StartPicking{id, shipment}
	case 29:
		return rapid.SampledFrom([]domain.Command{StartPacking{id, shipment}, MarkReadyToShip{id, shipment}, Ship{id, shipment}, Deliver{id, shipment}}).Draw(t, "move")
	case 30:
		return rapid.SampledFrom([]domain.Command{StartPacking{id, shipment}, MarkReadyToShip{id, shipment}, Ship{id, shipment}, CancelShipment{OrderID: id, ShipmentID: shipment}, DestroyShipment{id, shipment}}).Draw(t, "move")
	case 31:
		return CreateParcel{OrderID: id, ShipmentID: shipment, ParcelID: par.Draw(t, "parcel")}
	case 33:
		day := modelTime.AddDate(0, 0, rapid.IntRange(0, 2).Draw(t, "day"))
		return rapid.SampledFrom([]domain.Command{
			Schedule{id, day}, Expedite{id}, Skip{OrderID: id}, Remind{id}, ChangePaymentSource{id, day.Format("src_2")}, RecordError{OrderID: id, Reason: "?"},
		}).Draw(t, "waiting")
	case 32:
		number := rapid.SampledFrom([]string{"", "1Z"}).Draw(t, "number")
		return rapid.SampledFrom([]domain.Command{
			DestroyParcel{id, shipment, "par_1"}, SetTracking{OrderID: id, ShipmentID: shipment, ParcelID: par.Draw(t, "parcel"), TrackingNumber: &number},
		}).Draw(t, "parcel command")
	}
	return SetCarrierStatus{OrderID: id, ShipmentID: shipment, ParcelID: par.Draw(t, "parcel"), Status: rapid.SampledFrom(CarrierStatuses()).Draw(t, "status")}
}

func drawItems(t *rapid.T) []LineItemInput {
	items := make([]LineItemInput, rapid.IntRange(0, 3).Draw(t, "items"))
	for i := range items {
		items[i] = LineItemInput{
			ID: fmt.Sprintf("li_%d", i+1), Quantity: rapid.Int64Range(1, 3).Draw(t, "quantity"), UnitPrice: rapid.Int64Range(0, 3).Draw(t, "price"),
			DoNotShip: rapid.IntRange(0, 3).Draw(t, "do not ship") == 0,
			Adjustments: []AdjustmentInput{{
				ID: "adj", Kind: AdjustmentTax, Amount: rapid.Int64Range(0, 2).Draw(t, "tax"), Included: rapid.Bool().Draw(t, "included"),
			}},
		}
	}
	return items
}
