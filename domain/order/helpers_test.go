package order

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// try validates and decides, as the engine does.
func try(o Order, c domain.Command) ([]domain.Event, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return Decide(o, c)
}

// fold applies events a minute apart.
func fold(o Order, events []domain.Event) Order {
	for _, e := range events {
		at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
		if o.ID != "" {
			at = o.UpdatedAt.Add(time.Minute)
		}
		o = Evolve(o, e, at)
	}
	return o
}

// play runs commands that all have to be legal.
func play(t testing.TB, o Order, commands ...domain.Command) Order {
	t.Helper()
	for _, c := range commands {
		events, err := try(o, c)
		if err != nil {
			t.Fatalf("%s: %v", c.CommandName(), err)
		}
		o = fold(o, events)
	}
	return o
}

// expect runs a command and compares the names of its events.
func expect(t testing.TB, o Order, c domain.Command, want ...string) Order {
	t.Helper()
	events, err := try(o, c)
	if err != nil {
		t.Fatalf("%s: %v", c.CommandName(), err)
	}
	if got := names(events); !slices.Equal(got, want) {
		t.Fatalf("%s records\n  %s, want\n  %s", c.CommandName(), strings.Join(got, ", "), strings.Join(want, ", "))
	}
	return fold(o, events)
}

// refuse runs a command that has to be an illegal transition of that machine, for a reason that contains the words given.
func refuse(t testing.TB, o Order, c domain.Command, machine, reason string) {
	t.Helper()
	events, err := try(o, c)
	var illegal *domain.IllegalTransitionError
	if !errors.As(err, &illegal) {
		t.Fatalf("%s: %v, %v; want an illegal transition", c.CommandName(), names(events), err)
	}
	if illegal.Machine != machine || illegal.Command != c.CommandName() || !strings.Contains(illegal.Reason, reason) || reason == "" && illegal.Reason != "" {
		t.Errorf("%s is refused by %s for %q, want %s for %q", illegal.Command, illegal.Machine, illegal.Reason, machine, reason)
	}
	if !strings.Contains(illegal.Subject, o.ID) {
		t.Errorf("%s: the subject is %q", illegal.Command, illegal.Subject)
	}
}

func missing(t testing.TB, o Order, c domain.Command, kind, id string) {
	t.Helper()
	events, err := try(o, c)
	var notFound *domain.NotFoundError
	if !errors.As(err, &notFound) || notFound.Kind != kind || notFound.ID != id {
		t.Errorf("%s: %v, %v; want that there is no %s %s", c.CommandName(), names(events), err, kind, id)
	}
}

// invalid runs a command that has to be wrong in exactly the fields given.
func invalid(t testing.TB, o Order, c domain.Command, fields ...string) {
	t.Helper()
	events, err := try(o, c)
	var wrong *domain.InvalidCommandError
	if !errors.As(err, &wrong) {
		t.Errorf("%s: %v, %v; want it to be invalid in %v", c.CommandName(), names(events), err, fields)
		return
	}
	var got []string
	for _, f := range wrong.Fields {
		got = append(got, f.Field)
		if f.Message == "" || len(f.Message) > 400 {
			t.Errorf("%s: %d bytes are said of %s", c.CommandName(), len(f.Message), f.Field)
		}
	}
	if !slices.Equal(got, fields) || wrong.Command != c.CommandName() {
		t.Errorf("%s is invalid in %v (%v), want %v", wrong.Command, got, err, fields)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const id = "ord_1"

// newOrder is the order of most tests: two shirts at 5.00 and a gift note, with 0.63 of tax, 10.63 USD in all.
func newOrder() Create {
	return Create{
		OrderID: id, Currency: "USD", Customer: &Customer{ID: "cus_1", Email: "ada@example.com"},
		LineItems: []LineItemInput{
			{ID: "li_1", Name: "Shirt", SKU: "shirt", Quantity: 2, UnitPrice: 500, Adjustments: []AdjustmentInput{{ID: "adj_1", Kind: AdjustmentTax, Amount: 63, Label: "NY 6.250%"}}},
			{ID: "li_2", Name: "Gift note", SKU: "note", Quantity: 1, DoNotShip: true},
		},
	}
}

func authorize(payment string, amount int64) Authorize {
	return Authorize{OrderID: id, PaymentID: payment, Amount: amount, Currency: "USD", Method: "Stripe"}
}

func capture(payment string, amount int64) Capture {
	return Capture{OrderID: id, PaymentID: payment, Amount: amount}
}

func void(payment string, amount int64) Void {
	return Void{OrderID: id, PaymentID: payment, Amount: amount}
}

func refund(payment string, amount int64) Refund {
	return Refund{OrderID: id, PaymentID: payment, Amount: amount}
}

func ship1(shipment string, quantity int64) CreateShipment {
	return CreateShipment{OrderID: id, ShipmentID: shipment, LineItems: []ShipmentLineItem{{"li_1", quantity}}}
}

// upToReady are the commands that take a draft shipment to ready_to_ship.
func upToReady(shipment string) []domain.Command {
	return []domain.Command{
		ScheduleShipment{id, shipment}, StartPicking{id, shipment}, StartPacking{id, shipment}, MarkReadyToShip{id, shipment},
	}
}

// paidAndApproved is an approved order, paid in full.
func paidAndApproved(t testing.TB) Order {
	t.Helper()
	return play(t, Order{}, newOrder(), Submit{id}, authorize("pay_1", 1063), capture("pay_1", 1063), Place{id}, Approve{id})
}

// inFulfillment is a paid order whose fulfillment has started, with two shipments of one shirt that are ready to ship.
func inFulfillment(t testing.TB) Order {
	t.Helper()
	o := play(t, paidAndApproved(t), StartFulfillment{id}, ship1("shp_1", 1), ship1("shp_2", 1))
	return play(t, play(t, o, upToReady("shp_1")...), upToReady("shp_2")...)
}
