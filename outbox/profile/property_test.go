package profile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// Orders that go any way at all: whatever is told of them is valid by its schema, the same when it is told again, and told under one name
// to each platform. The commands are drawn without looking at the order, and those that it refuses are left out.
func TestRandomOrdersAreToldValidly(t *testing.T) {
	t.Parallel()
	all, schemas := All(everything), map[string]*jsonschema.Schema{}
	for name, p := range all {
		for _, e := range p.Events {
			schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Schema()))
			check(t, err)
			forbidOthers(schema)
			compiler := jsonschema.NewCompiler()
			compiler.AssertFormat()
			check(t, compiler.AddResource("urn:it", schema))
			schemas[name+" "+e.Name], err = compiler.Compile("urn:it")
			check(t, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := &stage{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		state, version := everything[order.Name].New(), 0
		for _, command := range append([]domain.Command{drawOrder(t)}, rapid.SliceOfN(rapid.Custom(drawCommand), 5, 60).Draw(t, "commands")...) {
			events, err := order.Decide(state.(order.Order), command)
			if err != nil {
				continue
			}
			s.now = s.now.Add(time.Hour)
			for _, event := range events {
				version++
				o, err := s.record(everything[order.Name], command.StreamID(), version, command.CommandName(), event, state)
				if err != nil {
					t.Fatal(err)
				}
				state = o.After
				for name, p := range all {
					o.Include = slices.DeleteFunc(slices.Clone(p.Includes), func(string) bool { return version%2 == 0 })
					m, err := p.Render(o)
					if errors.Is(err, ErrNothingToSay) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					value, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Body))
					if err != nil {
						t.Fatal(err)
					}
					if err := schemas[name+" "+m.Event].Validate(value); err != nil {
						t.Fatalf("%s, to %s: %v\n%s", o.Type, name, err, m.Body)
					}
					if again, err := p.Render(o); err != nil || !bytes.Equal(again.Body, m.Body) || again.Event != m.Event {
						t.Fatalf("%s, to %s: told otherwise the second time: %v", o.Type, name, err)
					}
				}
			}
		}
	})
}

func drawOrder(t *rapid.T) domain.Command {
	c := order.Create{OrderID: ord, Currency: rapid.SampledFrom([]string{"USD", "JPY", "KWD", "XTS"}).Draw(t, "currency")}
	if rapid.Bool().Draw(t, "with everything") {
		c.Customer = &order.Customer{ID: rapid.SampledFrom([]string{"", "cus_1"}).Draw(t, "customer"), Email: "customer@example.com", Name: "A B C"}
		c.ShippingAddress, c.Metadata, c.DelayedCapture = &order.Address{City: "Springfield"}, map[string]string{"<": ">"}, true
	} else {
		c.Customer = &order.Customer{Name: "Name"}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "line items") {
		item := order.LineItemInput{ID: fmt.Sprint(i + 1), Name: "Ü\u2028", SKU: "s", Quantity: 1, UnitPrice: 500, DoNotShip: rapid.Bool().Draw(t, "digital")}
		if rapid.Bool().Draw(t, "adjusted") {
			item.Adjustments = []order.AdjustmentInput{
				{ID: "t", Kind: order.AdjustmentTax, Amount: 9, Label: "Tax", Included: rapid.Bool().Draw(t, "included")},
				{ID: "p", Kind: order.AdjustmentPromotion, Amount: -500, Label: "Half", PromotionCode: "HALF"},
				{ID: "f", Kind: order.AdjustmentFee, Amount: 1, Label: "Fee"},
			}
		}
		c.LineItems = append(c.LineItems, item)
	}
	return c
}

func drawCommand(t *rapid.T) domain.Command {
	id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "part")
	amount := rapid.Int64Range(1, 1100).Draw(t, "amount")
	day := time.Date(2026, 1, rapid.IntRange(1, 28).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
	return rapid.SampledFrom([]domain.Command{
		submit, submit, order.RevertToDraft{OrderID: ord}, order.BeginPlacing{OrderID: ord}, place, place, place, order.FailPlacement{OrderID: ord},
		order.RejectPlacement{OrderID: ord}, order.Edit{OrderID: ord}, order.StopEditing{OrderID: ord}, approve, approve, fulfill, fulfill,
		order.Cancel{OrderID: ord}, order.Skip{OrderID: ord}, order.Destroy{OrderID: ord},
		order.Authorize{OrderID: ord, PaymentID: id, Amount: 1100, Currency: "USD"}, order.Authorize{OrderID: ord, PaymentID: id, Amount: amount, Currency: "JPY"},
		order.Capture{OrderID: ord, PaymentID: id, Amount: amount}, order.Capture{OrderID: ord, PaymentID: id, Amount: 1100},
		order.Void{OrderID: ord, PaymentID: id}, order.Refund{OrderID: ord, PaymentID: id, Amount: amount},
		order.RecordFailedPayment{OrderID: ord, PaymentID: id + "f", Amount: amount, Currency: "USD"},
		order.Update{OrderID: ord, PlaceAt: &day}, order.Update{OrderID: ord, LineItems: []order.LineItemInput{}},
		order.Update{OrderID: ord, LineItems: []order.LineItemInput{mug}}, order.Update{OrderID: ord, ShippingAddress: &order.Address{}},
		order.Schedule{OrderID: ord, PlaceAt: day}, order.Expedite{OrderID: ord}, order.Remind{OrderID: ord},
		order.CreateShipment{OrderID: ord, ShipmentID: id, LineItems: []order.ShipmentLineItem{{LineItemID: "1", Quantity: 1}}},
		order.ScheduleShipment{OrderID: ord, ShipmentID: id}, order.HoldShipment{OrderID: ord, ShipmentID: id}, order.StartPicking{OrderID: ord, ShipmentID: id},
		order.StartPacking{OrderID: ord, ShipmentID: id}, order.MarkReadyToShip{OrderID: ord, ShipmentID: id}, order.Ship{OrderID: ord, ShipmentID: id},
		deliver(id), order.CancelShipment{OrderID: ord, ShipmentID: id}, order.DestroyShipment{OrderID: ord, ShipmentID: id},
		order.CreateParcel{OrderID: ord, ShipmentID: id, ParcelID: "p" + id}, order.DestroyParcel{OrderID: ord, ShipmentID: id, ParcelID: "p" + id},
		order.SetCarrierStatus{OrderID: ord, ShipmentID: id, ParcelID: "p" + id, Status: rapid.SampledFrom(order.CarrierStatuses()).Draw(t, "status")},
	}).Draw(t, "command")
}
