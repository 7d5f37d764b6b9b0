package order

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

// samples has every event once, with every field set.
func samples() []domain.Event {
	text, amount, delayed := "text", int64(250), true
	placeAt := time.Date(2026, 5, 1, 8, 30, 0, 0, time.UTC)
	customer := &Customer{ID: "cus_1", Email: "ada@example.com", Name: "Ada Lovelace", ExternalID: "cus_ext"}
	address := &Address{
		ID: "adr_1", FirstName: "John", LastName: "Doe", Company: "Acme", Address1: "10 Lovely Street", Address2: "Apt 2", City: "Herndon",
		PostalCode: "10001", State: "New York", StateName: "NY", Country: "United States", Phone: "+1 555", AlternativePhone: "+1 556",
	}
	adjustments := []AdjustmentInput{{ID: "adj_1", Kind: AdjustmentTax, Amount: 63, Label: "NY 6.250%", Included: true, SourceType: "Tax Rate", PromotionCode: "SPRING"}}
	items := []LineItemInput{{
		ID: "li_1", Name: "Product 3", SKU: "product-3", Quantity: 1, UnitPrice: 1000, DoNotShip: true, ImageURL: "https://example.com/3.jpg", Adjustments: adjustments,
	}}
	metadata := map[string]string{"b": "2", "a": "1"}
	return []domain.Event{
		Created{
			OrderID: "ord_1", Currency: "USD", Number: "ACS-176461162", Customer: customer, Email: "ada@example.com", Channel: "web",
			ShippingAddress: address, BillingAddress: address, LineItems: items, Adjustments: adjustments, ShippingAmount: 250,
			DelayedCapture: true, PlaceAt: placeAt, Note: "note", StoreID: "2", CheckoutSessionID: "cs_1", SubscriptionID: "sub_1",
			CartURL: "https://example.com/cart", IPAddress: "192.0.2.1", Metadata: metadata,
		},
		Updated{
			Number: &text, Customer: customer, Email: &text, Channel: &text, ShippingAddress: address, BillingAddress: &Address{},
			LineItems: items, Adjustments: []AdjustmentInput{}, ShippingAmount: &amount, DelayedCapture: &delayed, PlaceAt: &placeAt,
			Note: &text, StoreID: &text, CheckoutSessionID: &text, SubscriptionID: &text, CartURL: &text, IPAddress: &text, Metadata: metadata,
		},
		Submitted{}, RevertedToDraft{}, PlacingStarted{}, PlacementFailed{Reason: "timeout"}, Placed{From: StatusPending},
		EditingStarted{}, EditingStopped{}, Approved{}, Cancelled{From: StatusPlaced, Reason: "changed my mind", CancelledBy: "cus_1"},
		Destroyed{From: StatusDraft},
		FirstItemAdded{}, Scheduled{PlaceAt: placeAt}, Expedited{}, Skipped{Reason: "on holiday"}, Reminded{}, PaymentSourceChanged{PaymentSource: "src_1"},
		ErrorRecorded{Code: "130", Reason: "the shop did not answer"},
		PaymentAuthorized{PaymentID: "pay_1", Amount: 1063, Currency: "USD", Method: "Stripe", Reference: "pi_1"},
		PaymentFailed{PaymentID: "pay_1", Amount: 1063, Currency: "USD", Method: "Stripe", Reference: "pi_1", Reason: "declined"},
		PaymentCaptured{PaymentID: "pay_1", Amount: 1063, Currency: "USD"}, PaymentVoided{PaymentID: "pay_1", Amount: 1063, Currency: "USD"},
		PaymentRefunded{PaymentID: "pay_1", Amount: 1063, Currency: "USD", Reason: "broken"},
		Unpaid{From: PaymentStatusFree}, PartiallyAuthorized{From: PaymentStatusUnpaid}, Authorized{From: PaymentStatusUnpaid},
		PartiallyPaid{From: PaymentStatusAuthorized}, Paid{From: PaymentStatusAuthorized}, PartiallyVoided{From: PaymentStatusAuthorized},
		Voided{From: PaymentStatusAuthorized}, PartiallyRefunded{From: PaymentStatusPaid}, Refunded{From: PaymentStatusPaid}, Freed{From: PaymentStatusUnpaid},
		FulfillmentStarted{}, Fulfilled{}, FulfillmentCancelled{}, FulfillmentNotRequired{}, Shipped{ShipmentID: "shp_1"}, Delivered{},
		ShipmentCreated{
			ShipmentID: "shp_1", Number: "H44458074123", Cost: 2200, Currency: "USD", LineItems: []ShipmentLineItem{{"li_1", 1}},
			Adjustments: adjustments, Metadata: metadata,
		},
		ShipmentScheduled{"shp_1"}, ShipmentHeld{"shp_1", ShipmentStatusUpcoming, "stock"}, ShipmentPickingStarted{"shp_1", ShipmentStatusUpcoming},
		ShipmentPackingStarted{"shp_1"}, ShipmentReadied{"shp_1"}, ShipmentShipped{"shp_1"}, ShipmentDelivered{"shp_1"},
		ShipmentCancelled{"shp_1", ShipmentStatusPicking, "stock"}, ShipmentDestroyed{"shp_1", ShipmentStatusDraft},
		ParcelCreated{"shp_1", "par_1", "UPS", "1Z", "https://example.com/1Z", "https://example.com/1Z.pdf"}, ParcelDestroyed{"shp_1", "par_1"},
		ParcelTrackingUpdated{"shp_1", "par_1", "UPS", "1Z", "https://example.com/1Z", "https://example.com/1Z.pdf"},
		ParcelCarrierStatusUpdated{"shp_1", "par_1", CarrierInTransit, CarrierDelivered, "arrived_at_destination", "Delivered"},
	}
}

func TestGoldenEvents(t *testing.T) {
	conformance.Suite{Aggregate: Aggregate(), Samples: samples()}.GoldenEvents(t)
}

// Every event, on an order with a shipment in every status, leaves the order before as it was, and gives one that stays as
// it is when the order before goes another way.
func TestEvolveNeverChangesWhatWasBefore(t *testing.T) {
	var orders []Order
	for _, status := range ShipmentMachine.States() {
		o := withShipment(t, status)
		if s, ok := o.Shipment("shp_1"); ok && status != ShipmentStatusDelivered && status != ShipmentStatusCancelled {
			o = play(t, o, CreateParcel{OrderID: id, ShipmentID: s.ID, ParcelID: "par_1"}, CreateParcel{OrderID: id, ShipmentID: s.ID, ParcelID: "par_2"})
		}
		// Room to grow is what lets an append write into somebody else's list.
		o.Shipments, o.Payments = slices.Grow(o.Shipments, 10), slices.Grow(o.Payments, 10)
		for i := range o.Shipments {
			o.Shipments[i].Parcels = slices.Grow(o.Shipments[i].Parcels, 10)
		}
		o.LineItems, o.Adjustments = slices.Grow(o.LineItems, 10), slices.Grow(o.Adjustments, 10)
		orders = append(orders, o)
	}
	later := modelTime.Add(time.Hour)
	for _, o := range orders {
		before := asJSON(t, o)
		for _, e := range samples() {
			next := Evolve(o, e, later)
			was := asJSON(t, next)
			for _, other := range samples() {
				Evolve(o, other, later.Add(time.Hour))
				Evolve(next, other, later.Add(time.Hour))
			}
			if got := asJSON(t, o); got != before {
				t.Fatalf("%s changed the order before it to\n%s, from\n%s", e.EventType(), got, before)
			}
			if got := asJSON(t, next); got != was {
				t.Fatalf("what came after %s changed it to\n%s, from\n%s", e.EventType(), got, was)
			}
			if again := asJSON(t, Evolve(o, e, later)); again != was {
				t.Fatalf("%s leads to\n%s, and then to\n%s", e.EventType(), was, again)
			}
			if !next.UpdatedAt.Equal(later) {
				t.Errorf("%s: updated at %v", e.EventType(), next.UpdatedAt)
			}
		}
	}
}

// The order shares nothing with the event and the command that it came from, so what a caller does with them later is their affair.
func TestOrderSharesNothingWithItsEvents(t *testing.T) {
	for _, e := range samples() {
		o := Evolve(inFulfillment(t), e, modelTime)
		before := asJSON(t, o)
		switch e := e.(type) {
		case Created:
			e.Customer.Name, e.ShippingAddress.City, e.LineItems[0].Name, e.LineItems[0].Adjustments[0].Label, e.Metadata["a"] = "?", "?", "?", "?", "?"
		case Updated:
			e.Customer.Name, e.ShippingAddress.City, e.LineItems[0].Name, e.LineItems[0].Adjustments[0].Label, e.Metadata["a"] = "?", "?", "?", "?", "?"
			*e.Number = "?"
		case ShipmentCreated:
			e.LineItems[0].Quantity, e.Adjustments[0].Label, e.Metadata["a"] = 99, "?", "?"
		}
		if got := asJSON(t, o); got != before {
			t.Errorf("%s is shared: %s, then %s", e.EventType(), before, got)
		}
	}
}

func TestEvolveKnowsEveryEvent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an event that is no order's was skipped")
		}
	}()
	for _, e := range samples() {
		Evolve(Order{}, e, modelTime)
	}
	Evolve(Order{}, foreignEvent{}, modelTime)
}

type foreignEvent struct{}

func (foreignEvent) EventType() string { return "order.foreign" }

// The order's JSON holds all of it, so it can be kept as a snapshot, and lists are lists even where they are empty.
func TestOrderSurvivesJSON(t *testing.T) {
	for _, o := range []Order{inStatus(t, StatusDraft), inStatus(t, StatusEditing), inStatus(t, StatusCancelled), withShipment(t, ShipmentStatusDelivered), fold(Order{}, samples()[:1])} {
		var back Order
		if err := json.Unmarshal([]byte(asJSON(t, o)), &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, o) {
			t.Errorf("%+v came back as %+v", o, back)
		}
		if strings.Contains(asJSON(t, o), "null") {
			t.Errorf("there is a null in %s", asJSON(t, o))
		}
	}
}

func TestImports(t *testing.T) { conformance.Imports(t, "net/netip", "net/url") }
