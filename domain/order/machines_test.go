package order

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/domain"
)

// The tables once more, as the catalog has them: status, then every move out of it and where it leads. Whoever changes a table has
// to change it here as well, and so says that it was meant.
var catalog = map[string]string{
	"order": `
		draft: destroy=destroyed submit=pending
		pending: begin_placing=placing cancel=cancelled destroy=destroyed place=placed revert_to_draft=draft
		placing: fail_placement=pending place=placed reject_placement=cancelled
		placed: approve=approved cancel=cancelled edit=editing
		editing: stop_editing=placed
		approved: refund_in_full=cancelled
		cancelled:
		destroyed:`,
	"payment": `
		unpaid: authorize=authorized authorize_partially=partially_authorized free=free
		free: authorize=authorized charge=unpaid
		partially_authorized: authorize=authorized pay_partially=partially_paid void=voided void_partially=partially_voided
		authorized: authorize_partially=partially_authorized pay=paid pay_partially=partially_paid void=voided void_partially=partially_voided
		partially_paid: pay=paid refund=refunded refund_partially=partially_refunded
		paid: pay_partially=partially_paid refund=refunded refund_partially=partially_refunded
		partially_voided: authorize=authorized pay_partially=partially_paid void=voided
		voided: authorize=authorized void_partially=partially_voided
		partially_refunded: refund=refunded
		refunded: refund_partially=partially_refunded`,
	"fulfillment": `
		unfulfilled: require_nothing=not_required start_fulfillment=in_progress
		in_progress: cancel_fulfillment=unfulfilled fulfill=fulfilled
		fulfilled:
		not_required:`,
	"shipment": `
		draft: cancel=cancelled destroy=destroyed schedule=upcoming
		upcoming: cancel=cancelled destroy=destroyed hold=on_hold start_picking=picking
		on_hold: cancel=cancelled destroy=destroyed start_picking=picking
		picking: cancel=cancelled destroy=destroyed hold=on_hold start_packing=packing
		packing: cancel=cancelled destroy=destroyed mark_ready_to_ship=ready_to_ship
		ready_to_ship: cancel=cancelled destroy=destroyed ship=shipped
		shipped: deliver=delivered
		delivered:
		cancelled:
		destroyed:`,
}

func TestTablesAreTheCatalogs(t *testing.T) {
	if err := Aggregate().Check(); err != nil {
		t.Fatal(err)
	}
	for _, m := range Aggregate().Machines {
		var statuses []string
		for line := range strings.Lines(strings.TrimSpace(catalog[m.Name])) {
			status, moves, _ := strings.Cut(strings.TrimSpace(line), ":")
			statuses = append(statuses, status)
			var got []string
			for _, move := range m.Allowed(status) {
				to, ok := m.Fire(status, move)
				if !ok {
					t.Errorf("%s: %s is allowed from %s, but does not fire", m.Name, move, status)
				}
				got = append(got, move+"="+to)
			}
			if want := strings.Fields(moves); !slices.Equal(got, want) {
				t.Errorf("%s: from %s it allows %v, want %v", m.Name, status, got, want)
			}
			if final := len(got) == 0; final != slices.Contains(m.Final, status) {
				t.Errorf("%s: is %s final? %v by its moves", m.Name, status, final)
			}
		}
		slices.Sort(statuses)
		if !slices.Equal(m.States(), statuses) {
			t.Errorf("%s has the statuses %v, want %v", m.Name, m.States(), statuses)
		}
	}
}

// inStatus leads an order to each status of the order machine, with every guard on the way out of it satisfied: it is covered, has a
// customer and line items, and money that can be refunded where it is approved.
func inStatus(t testing.TB, status string) Order {
	t.Helper()
	covered := play(t, Order{}, newOrder(), authorize("pay_1", 1063))
	pending := play(t, covered, Submit{id})
	placed := play(t, pending, Place{id})
	switch status {
	case StatusDraft:
		return covered
	case StatusPending:
		return pending
	case StatusPlacing:
		return play(t, pending, BeginPlacing{id})
	case StatusPlaced:
		return placed
	case StatusEditing:
		return play(t, placed, Edit{id})
	case StatusApproved:
		return play(t, placed, capture("pay_1", 1063), Approve{id})
	case StatusCancelled:
		return play(t, placed, Cancel{OrderID: id})
	case StatusDestroyed:
		return play(t, covered, Destroy{id})
	}
	t.Fatalf("no order is %s", status)
	return Order{}
}

// withShipment leads a shipment, shp_1, to each status of the shipment machine, with every guard on the way out of it satisfied.
func withShipment(t testing.TB, status string) Order {
	t.Helper()
	o := play(t, paidAndApproved(t), StartFulfillment{id}, ship1("shp_1", 1))
	ready := upToReady("shp_1")
	switch status {
	case ShipmentStatusDraft:
		return o
	case ShipmentStatusUpcoming:
		return play(t, o, ready[:1]...)
	case ShipmentStatusOnHold:
		return play(t, o, ready[0], HoldShipment{OrderID: id, ShipmentID: "shp_1"})
	case ShipmentStatusPicking:
		return play(t, o, ready[:2]...)
	case ShipmentStatusPacking:
		return play(t, o, ready[:3]...)
	case ShipmentStatusReadyToShip:
		return play(t, o, ready...)
	case ShipmentStatusShipped:
		return play(t, play(t, o, ready...), Ship{id, "shp_1"})
	case ShipmentStatusDelivered:
		return play(t, play(t, o, ready...), Ship{id, "shp_1"}, Deliver{id, "shp_1"})
	case ShipmentStatusCancelled:
		return play(t, o, CancelShipment{OrderID: id, ShipmentID: "shp_1"})
	case ShipmentStatusDestroyed:
		return play(t, o, DestroyShipment{id, "shp_1"})
	}
	t.Fatalf("no shipment is %s", status)
	return Order{}
}

// inFulfillmentStatus leads an approved order to each fulfillment status.
func inFulfillmentStatus(t testing.TB, status string) Order {
	t.Helper()
	switch status {
	case FulfillmentStatusUnfulfilled:
		return paidAndApproved(t)
	case FulfillmentStatusInProgress:
		return play(t, paidAndApproved(t), StartFulfillment{id})
	case FulfillmentStatusFulfilled:
		return withShipment(t, ShipmentStatusShipped)
	case FulfillmentStatusNotRequired:
		c := newOrder()
		c.LineItems = c.LineItems[1:]
		return play(t, Order{}, c, Submit{id}, Place{id}, Approve{id})
	}
	t.Fatalf("no order is %s", status)
	return Order{}
}

// Every cell of every machine that commands move: each move in each status, legal or not, whatever the tables say. Each move needs
// its command here, so a move that is added cannot be forgotten.
func TestEveryCell(t *testing.T) {
	commands := map[string]map[string]domain.Command{
		"order": {
			"submit": Submit{id}, "revert_to_draft": RevertToDraft{id}, "begin_placing": BeginPlacing{id}, "place": Place{id},
			"fail_placement": FailPlacement{OrderID: id}, "reject_placement": RejectPlacement{OrderID: id}, "edit": Edit{id},
			"stop_editing": StopEditing{id}, "approve": Approve{id}, "cancel": Cancel{OrderID: id}, "destroy": Destroy{id},
			"refund_in_full": refund("pay_1", 1063),
		},
		"fulfillment": {
			"start_fulfillment": StartFulfillment{id},
			// These follow from other commands: see TestFullRefund, TestFulfilled and TestNothingToShip.
			"fulfill": nil, "cancel_fulfillment": nil, "require_nothing": nil,
		},
		"shipment": {
			"schedule": ScheduleShipment{id, "shp_1"}, "hold": HoldShipment{OrderID: id, ShipmentID: "shp_1"},
			"start_picking": StartPicking{id, "shp_1"}, "start_packing": StartPacking{id, "shp_1"},
			"mark_ready_to_ship": MarkReadyToShip{id, "shp_1"}, "ship": Ship{id, "shp_1"}, "deliver": Deliver{id, "shp_1"},
			"cancel": CancelShipment{OrderID: id, ShipmentID: "shp_1"}, "destroy": DestroyShipment{id, "shp_1"},
		},
	}
	statusIn := func(m *domain.Machine, o Order) string {
		switch m {
		case OrderMachine:
			return o.Status
		case FulfillmentMachine:
			return o.FulfillmentStatus
		}
		if s, ok := o.Shipment("shp_1"); ok {
			return s.Status
		}
		return ShipmentStatusDestroyed
	}
	cells := 0
	for _, m := range []*domain.Machine{OrderMachine, FulfillmentMachine, ShipmentMachine} {
		for _, status := range m.States() {
			var o Order
			switch m {
			case OrderMachine:
				o = inStatus(t, status)
			case FulfillmentMachine:
				o = inFulfillmentStatus(t, status)
			case ShipmentMachine:
				o = withShipment(t, status)
			}
			if got := statusIn(m, o); got != status {
				t.Fatalf("the %s in status %s is %s", m.Name, status, got)
			}
			for _, row := range m.Moves {
				command, known := commands[m.Name][row.Name]
				if !known {
					t.Errorf("no command makes the move %s of the %s machine", row.Name, m.Name)
				}
				if command == nil {
					continue
				}
				cells++
				t.Run(fmt.Sprintf("%s/%s/%s", m.Name, status, row.Name), func(t *testing.T) {
					events, err := try(o, command)
					if to, legal := m.Fire(status, row.Name); legal {
						if err != nil {
							t.Fatalf("the table allows it, but: %v", err)
						}
						after := fold(o, events)
						if got := statusIn(m, after); got != to {
							t.Errorf("it leads to %s, the table says %s", got, to)
						}
						return
					}
					// A refund is legal as long as there is money to give back; it only does not cancel the order.
					if row.Name == "refund_in_full" && err == nil {
						t.Fatalf("refunded in status %s: %v", status, names(events))
					}
					var illegal *domain.IllegalTransitionError
					var notFound *domain.NotFoundError
					switch {
					case status == StatusDestroyed:
						if !errors.As(err, &notFound) {
							t.Errorf("%v, %v; want it not to be found", names(events), err)
						}
					case !errors.As(err, &illegal):
						t.Errorf("%v, %v; want an illegal transition", names(events), err)
					case row.Name == "refund_in_full":
					case illegal.Machine != m.Name || illegal.State != status || illegal.Command != command.CommandName() ||
						!slices.Equal(illegal.Allowed, m.Allowed(status)) || illegal.Reason != "":
						t.Errorf("it says %+v", *illegal)
					}
				})
			}
		}
	}
	t.Logf("%d cells", cells)
}

// What is no move still depends on the order's status. In each column the order is as inStatus has it, and the shipment, its parcel
// and a failed payment exist where the status allows it.
func TestEveryCommandInEveryOrderStatus(t *testing.T) {
	everywhereAlive := []string{StatusDraft, StatusPending, StatusPlacing, StatusPlaced, StatusEditing, StatusApproved}
	number := "R1"
	for _, row := range []struct {
		command domain.Command
		legal   []string
	}{
		{Update{OrderID: id, Number: &number}, []string{StatusDraft, StatusPending, StatusEditing}},
		{authorize("pay_9", 1), everywhereAlive},
		{RecordFailedPayment{OrderID: id, PaymentID: "pay_9", Currency: "USD"}, everywhereAlive},
		{capture("pay_1", 1), everywhereAlive[:5]}, // in the approved one everything is captured
		{void("pay_1", 1), everywhereAlive[:5]},
		{ship1("shp_9", 1), everywhereAlive},
		{StartFulfillment{id}, []string{StatusApproved}},
		{Schedule{id, modelTime}, []string{StatusDraft, StatusPending}},
		{Expedite{id}, []string{StatusDraft, StatusPending}},
		{Skip{OrderID: id}, []string{StatusPending}},
		{Remind{id}, []string{StatusDraft, StatusPending}},
		{ChangePaymentSource{id, "src_1"}, []string{StatusDraft, StatusPending}},
		{RecordError{OrderID: id, Reason: "?"}, []string{StatusDraft, StatusPending, StatusPlacing}},
		{newOrder(), nil},
	} {
		for _, status := range OrderMachine.States() {
			o := inStatus(t, status)
			events, err := try(o, row.command)
			if legal := slices.Contains(row.legal, status); legal != (err == nil) || legal && len(events) == 0 {
				t.Errorf("%s in status %s: %v, %v; want it legal: %v", row.command.CommandName(), status, names(events), err, legal)
			}
		}
	}
}

func TestEveryParcelCommandInEveryShipmentStatus(t *testing.T) {
	open := []string{ShipmentStatusDraft, ShipmentStatusUpcoming, ShipmentStatusOnHold, ShipmentStatusPicking, ShipmentStatusPacking, ShipmentStatusReadyToShip, ShipmentStatusShipped}
	known := append(slices.Clone(open), ShipmentStatusDelivered)
	number := "1Z"
	for _, row := range []struct {
		command domain.Command
		legal   []string
	}{
		{CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_2"}, open},
		{DestroyParcel{id, "shp_1", "par_1"}, open},
		{SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", TrackingNumber: &number}, known},
		{SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Status: CarrierReturnToSender}, known},
	} {
		for _, status := range ShipmentMachine.States() {
			o := withShipment(t, status)
			// The parcel is put in by hand, since it could not be delivered before the shipment otherwise.
			o.Shipments = slices.Clone(o.Shipments)
			for i := range o.Shipments {
				o.Shipments[i].Parcels = []Parcel{{ID: "par_1", CarrierStatus: CarrierDelivered}}
			}
			events, err := try(o, row.command)
			if legal := slices.Contains(row.legal, status); legal != (err == nil) || legal && len(events) != 1 {
				t.Errorf("%s in status %s: %v, %v; want it legal: %v", row.command.CommandName(), status, names(events), err, legal)
			}
		}
	}
}

func TestUnknownOrdersAndDestroyedOnes(t *testing.T) {
	for _, c := range Commands() {
		if _, creates := c.(domain.Creator); creates {
			continue
		}
		for name, o := range map[string]Order{"unknown": {}, "destroyed": inStatus(t, StatusDestroyed)} {
			var notFound *domain.NotFoundError
			if _, err := Decide(o, c); !errors.As(err, &notFound) || notFound.Kind != "order" {
				t.Errorf("%s of an %s order: %v", c.CommandName(), name, err)
			}
		}
	}
	// The id of a destroyed order stays used, so that its stream tells of one order only.
	refuse(t, inStatus(t, StatusDestroyed), newOrder(), "order", "its id is taken")
}
