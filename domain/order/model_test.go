package order

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// The model check walks through every state that an order of a bounded size can reach, tries every command in each of them, and
// checks what [transition.verify] lists. What it says is then true without exception within the bound, and the bound is large
// enough to reach every row of every table; that too is checked.
//
// Two walks share the work, since their product would be too large: one has all four machines, with two shipments and two payments
// of one unit each; the other has no shipments, and two payments of up to two units that are captured, voided and refunded in parts.

// stateKey is everything in an order that a decision can depend on, without ids and times. Shipments and payments are sorted,
// because orders that differ only in which of them came first behave alike. What an order that waits for its day is told is left out:
// it decides nothing but whether the same is told again.
type stateKey struct {
	status, payment, fulfillment string
	total, totalBeforeEditing    int64
	items                        string
	delayed, shipped, delivered  bool
	payments, shipments          string
}

func keyOf(o Order) stateKey {
	k := stateKey{
		status: o.Status, payment: o.PaymentStatus, fulfillment: o.FulfillmentStatus,
		total: o.Total, totalBeforeEditing: o.TotalBeforeEditing,
		delayed: o.DelayedCapture, shipped: !o.ShippedAt.IsZero(), delivered: !o.DeliveredAt.IsZero(),
	}
	for _, l := range o.LineItems {
		k.items += "item "
		if l.DoNotShip {
			k.items += "unshippable "
		}
	}
	payments := make([]string, len(o.Payments))
	for i, p := range o.Payments {
		payments[i] = string([]byte{p.Status[0], '0' + byte(p.Amount), '0' + byte(p.Captured), '0' + byte(p.Voided), '0' + byte(p.Refunded), ' '})
	}
	slices.Sort(payments)
	k.payments = strings.Join(payments, "")
	shipments := make([]string, len(o.Shipments))
	for i, s := range o.Shipments {
		shipments[i] = s.Status + " "
		for _, p := range s.Parcels {
			shipments[i] += "[" + p.CarrierStatus + "] "
		}
	}
	slices.Sort(shipments)
	k.shipments = strings.Join(shipments, "")
	return k
}

// transition is one command that was tried in one state.
type transition struct {
	before Order
	cmd    domain.Command
	events []domain.Event
	err    error
	after  Order
}

// edge is a status that became another one.
type edge struct{ machine, from, to string }

var modelTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func edgesOf(machines []*domain.Machine) map[edge]string {
	edges := map[edge]string{}
	for _, m := range machines {
		for _, move := range m.Moves {
			for _, from := range move.Src {
				edges[edge{m.Name, from, move.Dst}] = move.Name
			}
		}
	}
	return edges
}

// explore tries every command of the menu in every state that can be reached from the root.
func explore(root domain.Command, menu func(Order) []domain.Command, legal map[edge]string) (states, transitions int, used map[edge]int, failures []string) {
	used = map[edge]int{}
	seen := map[stateKey]bool{}
	var frontier []Order
	visit := func(o Order) {
		if k := keyOf(o); !seen[k] {
			seen[k] = true
			frontier = append(frontier, o)
		}
	}
	try := func(before Order, cmd domain.Command) {
		transitions++
		tr := transition{before: before, cmd: cmd}
		tr.events, tr.err = Decide(before, cmd)
		failed := tr.verify(legal, used)
		for _, f := range failed {
			failures = append(failures, fmt.Sprintf("%+v\n    in %+v\n    → %v, %v\n    %s", cmd, keyOf(before), names(tr.events), tr.err, f))
		}
		visit(tr.after)
	}
	try(Order{}, root)
	// What is broken may be broken without end.
	for len(frontier) > 0 && len(failures) < 20 {
		o := frontier[len(frontier)-1]
		frontier = frontier[:len(frontier)-1]
		for _, cmd := range menu(o) {
			try(o, cmd)
		}
	}
	return len(seen), transitions, used, failures
}

// verify folds the events and checks everything that has to hold on the way and in the end. It computes what it compares with
// anew, from the ledger and the shipments, and not by the functions that decided.
func (tr *transition) verify(legal map[edge]string, used map[edge]int) (failures []string) {
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	before := tr.before
	tr.after = before

	if tr.err != nil {
		var illegal *domain.IllegalTransitionError
		var notFound *domain.NotFoundError
		var invalid *domain.InvalidCommandError
		if !errors.As(tr.err, &illegal) && !errors.As(tr.err, &notFound) && !errors.As(tr.err, &invalid) {
			fail("the error has no type: %v", tr.err)
		}
		if len(tr.events) > 0 {
			fail("there are events and an error")
		}
		return failures
	}
	if again, err := Decide(before, tr.cmd); err != nil || !reflect.DeepEqual(tr.events, again) {
		fail("deciding again gives %v, %v", again, err)
	}
	if len(tr.events) == 0 {
		switch tr.cmd.(type) {
		case Update, SetTracking, SetCarrierStatus, Schedule, Expedite, ChangePaymentSource:
		default:
			fail("a legal command recorded nothing")
		}
	}

	o := before
	for i, event := range tr.events {
		next := Evolve(o, event, modelTime)
		name := event.EventType()

		if o.ID != "" {
			for _, c := range statusChanges(o, next) {
				if _, ok := legal[c]; !ok {
					fail("%s changes %s from %s to %s, which is no row of its table", name, c.machine, c.from, c.to)
				}
				used[c]++
			}
			if n := len(statusChanges(o, next)); n > 1 {
				fail("%s changes %d statuses at once", name, n)
			}
		}
		if o.Status == StatusDestroyed {
			fail("%s comes after the order was destroyed", name)
		}
		if o.Status == StatusCancelled {
			switch event.(type) {
			case PaymentRefunded, PartiallyRefunded, Refunded, ShipmentDelivered, ParcelTrackingUpdated, ParcelCarrierStatusUpdated:
			default:
				fail("%s comes after the order was cancelled", name)
			}
		}
		if o.PaymentStatus != next.PaymentStatus && before.ID != "" {
			switch tr.events[i-1].(type) {
			case PaymentAuthorized, PaymentCaptured, PaymentVoided, PaymentRefunded, Updated, Created:
			default:
				fail("%s does not follow what led to it, but %s", name, tr.events[i-1].EventType())
			}
		}
		switch e := event.(type) {
		case Placed:
			if open, captured, _, refunded := ledger(o); open+captured-refunded < o.Total {
				fail("placed with a total of %d, covered by %d", o.Total, open+captured-refunded)
			}
		case ShipmentShipped:
			open, captured, _, refunded := ledger(o)
			paid := o.Total == 0 || captured >= o.Total && refunded < captured
			if !paid && !(o.DelayedCapture && open+captured-refunded >= o.Total) {
				fail("%s ships unpaid", e.ShipmentID)
			}
			if o.FulfillmentStatus != FulfillmentStatusInProgress && o.FulfillmentStatus != FulfillmentStatusFulfilled {
				fail("%s ships while the order is %s", e.ShipmentID, o.FulfillmentStatus)
			}
		case Shipped:
			if !o.ShippedAt.IsZero() {
				fail("order.shipped happens again")
			}
		case Delivered:
			if !o.DeliveredAt.IsZero() {
				fail("order.delivered happens again")
			}
			if in, out := countShipments(o, ShipmentStatusDelivered); in == 0 || out > 0 {
				fail("order.delivered with %d shipments delivered and %d not", in, out)
			}
		case Fulfilled:
			if in, out := countShipments(o, ShipmentStatusShipped, ShipmentStatusDelivered); in == 0 || out > 0 {
				fail("order.fulfilled with %d shipments shipped and %d not", in, out)
			}
		case Scheduled, Expedited, Skipped, Reminded, PaymentSourceChanged, ErrorRecorded:
			if !o.PlacedAt.IsZero() {
				fail("%s after it was placed", name)
			}
		case FirstItemAdded:
			if !o.FirstItemAt.IsZero() || len(o.LineItems) == 0 {
				fail("order.first_item_added happens again, or without a line item")
			}
		case Destroyed:
			if !o.PlacedAt.IsZero() {
				fail("destroyed after it was placed")
			}
		}
		o = next
	}
	tr.after = o

	open, captured, voided, refunded := ledger(o)
	if want := formula(o.Total, len(o.LineItems), open, captured, voided, refunded); o.PaymentStatus != want {
		fail("the payment status is %s, the formula says %s", o.PaymentStatus, want)
	}
	for _, p := range o.Payments {
		if p.Captured < 0 || p.Voided < 0 || p.Refunded < 0 || p.Captured+p.Voided > p.Amount || p.Refunded > p.Captured {
			fail("the ledger of %s does not add up: %+v", p.ID, p)
		}
	}
	var taken int64
	for _, s := range o.Shipments {
		if s.Status != ShipmentStatusCancelled {
			for _, l := range s.LineItems {
				taken += l.Quantity
			}
		}
	}
	if taken > o.ItemCount && o.Status != StatusDestroyed {
		fail("%d are in shipments, %d were ordered", taken, o.ItemCount)
	}
	if o.FulfillmentStatus == FulfillmentStatusFulfilled && o.ShippedAt.IsZero() {
		fail("fulfilled, but nothing ever shipped")
	}
	if _, unshipped := countShipments(o, ShipmentStatusShipped, ShipmentStatusDelivered); o.Status == StatusCancelled {
		if open > 0 || unshipped > 0 || o.FulfillmentStatus == FulfillmentStatusInProgress {
			fail("cancelled with %d open, %d shipments left and fulfillment %s", open, unshipped, o.FulfillmentStatus)
		}
	}
	if in, out := countShipments(o, ShipmentStatusShipped, ShipmentStatusDelivered); in > 0 && out == 0 &&
		o.FulfillmentStatus == FulfillmentStatusInProgress {
		fail("everything has shipped, but the order is not fulfilled")
	}
	if in, out := countShipments(o, ShipmentStatusDelivered); in > 0 && out == 0 && o.DeliveredAt.IsZero() && o.Status != StatusCancelled {
		fail("everything is delivered, but order.delivered did not happen")
	}
	if !o.SkippedAt.IsZero() && o.Status != StatusCancelled {
		fail("skipped, but %s", o.Status)
	}
	if (len(o.LineItems) > 0) && o.FirstItemAt.IsZero() {
		fail("it has line items, but never got a first one")
	}
	if len(tr.events) > 0 && o.Status == StatusCancelled && before.Status != StatusCancelled {
		if last := tr.events[len(tr.events)-1]; last.EventType() != "order.cancelled" {
			fail("%s comes last, after order.cancelled", last.EventType())
		}
	}
	return failures
}

// statusChanges compares two states by themselves, so that the check does not lean on [Changes].
func statusChanges(a, b Order) (changes []edge) {
	note := func(machine, from, to string) {
		if from != to {
			changes = append(changes, edge{machine, from, to})
		}
	}
	note("order", a.Status, b.Status)
	note("payment", a.PaymentStatus, b.PaymentStatus)
	note("fulfillment", a.FulfillmentStatus, b.FulfillmentStatus)
	for _, s := range a.Shipments {
		to := ShipmentStatusDestroyed
		for _, n := range b.Shipments {
			if n.ID == s.ID {
				to = n.Status
			}
		}
		note("shipment", s.Status, to)
	}
	return changes
}

func ledger(o Order) (open, captured, voided, refunded int64) {
	for _, p := range o.Payments {
		if p.FailureReason != "" {
			continue
		}
		open += p.Amount - p.Captured - p.Voided
		captured += p.Captured
		voided += p.Voided
		refunded += p.Refunded
	}
	return open, captured, voided, refunded
}

// formula is the payment status as the documentation has it.
func formula(total int64, lineItems int, open, captured, voided, refunded int64) string {
	if captured > 0 {
		if refunded == captured {
			return "refunded"
		}
		if refunded > 0 {
			return "partially_refunded"
		}
		if captured >= total {
			return "paid"
		}
		return "partially_paid"
	}
	if open > 0 {
		if open >= total {
			return "authorized"
		}
		if voided > 0 {
			return "partially_voided"
		}
		return "partially_authorized"
	}
	if voided > 0 {
		return "voided"
	}
	if total == 0 && lineItems > 0 {
		return "free"
	}
	return "unpaid"
}

func countShipments(o Order, statuses ...string) (in, out int) {
	for _, s := range o.Shipments {
		switch {
		case slices.Contains(statuses, s.Status):
			in++
		case s.Status != ShipmentStatusCancelled:
			out++
		}
	}
	return in, out
}

func names(events []domain.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.EventType()
	}
	return list
}

// Every state has the same item twice at no price, so that the total is the shipping amount alone, and can be anything.
func modelItem(doNotShip bool) []LineItemInput {
	return []LineItemInput{{ID: "li_1", Quantity: 2, DoNotShip: doNotShip}}
}

func orderCommands(maxTotal int64) []domain.Command {
	commands := []domain.Command{
		Create{OrderID: id, Currency: "USD"}, Submit{id}, RevertToDraft{id}, BeginPlacing{id}, Place{id}, FailPlacement{OrderID: id}, RejectPlacement{OrderID: id},
		Schedule{id, modelTime}, Expedite{id}, Skip{OrderID: id}, Remind{id}, ChangePaymentSource{id, "src_1"}, RecordError{OrderID: id, Reason: "?"},
		Edit{id}, StopEditing{id}, Approve{id}, Cancel{OrderID: id}, Destroy{id}, StartFulfillment{id},
		Update{OrderID: id, LineItems: []LineItemInput{}}, Update{OrderID: id, LineItems: modelItem(false)}, Update{OrderID: id, LineItems: modelItem(true)},
	}
	for total := int64(0); total <= maxTotal; total++ {
		commands = append(commands, Update{OrderID: id, ShippingAmount: &total})
	}
	return commands
}

func firstFree(taken func(string) bool, ids ...string) (string, bool) {
	for _, id := range ids {
		if !taken(id) {
			return id, true
		}
	}
	return "", false
}

// allMachines is the menu of the first walk.
func allMachines() func(Order) []domain.Command {
	common := orderCommands(2)
	return func(o Order) []domain.Command {
		menu := slices.Clone(common)
		if id, ok := firstFree(func(id string) bool { _, ok := o.Payment(id); return ok }, "pay_1", "pay_2"); ok {
			menu = append(menu, Authorize{OrderID: id, PaymentID: id, Amount: 1, Currency: "USD"})
		}
		for _, p := range o.Payments {
			menu = append(menu, Capture{OrderID: id, PaymentID: p.ID, Amount: 1}, Void{OrderID: id, PaymentID: p.ID}, Refund{OrderID: id, PaymentID: p.ID, Amount: 1})
		}
		if id, ok := firstFree(func(id string) bool { _, ok := o.Shipment(id); return ok }, "shp_1", "shp_2"); ok {
			menu = append(menu, CreateShipment{OrderID: id, ShipmentID: id, LineItems: []ShipmentLineItem{{"li_1", 1}}})
		}
		for _, s := range o.Shipments {
			menu = append(menu,
				ScheduleShipment{OrderID: id, ShipmentID: s.ID}, HoldShipment{OrderID: id, ShipmentID: s.ID}, StartPicking{OrderID: id, ShipmentID: s.ID},
				StartPacking{OrderID: id, ShipmentID: s.ID}, MarkReadyToShip{OrderID: id, ShipmentID: s.ID}, Ship{OrderID: id, ShipmentID: s.ID}, Deliver{OrderID: id, ShipmentID: s.ID},
				CancelShipment{OrderID: id, ShipmentID: s.ID}, DestroyShipment{OrderID: id, ShipmentID: s.ID})
			// One parcel each, from when it can leave: before that it decides nothing.
			if slices.Contains(beforeShipping, s.Status) && s.Status != ShipmentStatusReadyToShip {
				continue
			}
			parcel := "par_" + s.ID
			if len(s.Parcels) == 0 {
				menu = append(menu, CreateParcel{OrderID: id, ShipmentID: s.ID, ParcelID: parcel})
			} else {
				menu = append(menu, DestroyParcel{OrderID: id, ShipmentID: s.ID, ParcelID: parcel},
					SetCarrierStatus{OrderID: id, ShipmentID: s.ID, ParcelID: parcel, Status: CarrierDelivered})
			}
		}
		return menu
	}
}

// ledgerInDepth is the menu of the second walk.
func ledgerInDepth() func(Order) []domain.Command {
	common := orderCommands(3)
	return func(o Order) []domain.Command {
		menu := slices.Clone(common)
		if id, ok := firstFree(func(id string) bool { _, ok := o.Payment(id); return ok }, "pay_1", "pay_2"); ok {
			menu = append(menu, RecordFailedPayment{OrderID: id, PaymentID: id, Amount: 1, Currency: "USD", Reason: "declined"},
				Authorize{OrderID: id, PaymentID: id, Amount: 1, Currency: "USD"}, Authorize{OrderID: id, PaymentID: id, Amount: 2, Currency: "USD"})
		}
		for _, p := range o.Payments {
			for amount := int64(1); amount <= 2; amount++ {
				menu = append(menu, Capture{OrderID: id, PaymentID: p.ID, Amount: amount}, Void{OrderID: id, PaymentID: p.ID, Amount: amount}, Refund{OrderID: id, PaymentID: p.ID, Amount: amount})
			}
		}
		return menu
	}
}

func TestModel(t *testing.T) {
	legal := edgesOf(Aggregate().Machines)
	root := Create{OrderID: id, Currency: "USD", Customer: &Customer{ID: "cus_1"}, LineItems: modelItem(false)}
	delayed := root
	delayed.DelayedCapture = true
	walks := []struct {
		name string
		menu func(Order) []domain.Command
		root domain.Command
	}{
		{"all machines", allMachines(), root},
		{"all machines, delayed capture", allMachines(), delayed},
		{"the ledger in depth", ledgerInDepth(), root},
	}
	exercised := map[edge]int{}
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, walk := range walks {
		running.Go(func() {
			start := time.Now()
			states, transitions, used, failures := explore(walk.root, walk.menu, legal)
			mu.Lock()
			defer mu.Unlock()
			t.Logf("%s: %d states, %d commands tried, %d different moves, %v", walk.name, states, transitions, len(used), time.Since(start).Round(time.Millisecond))
			for _, f := range failures {
				t.Errorf("%s: %s", walk.name, f)
			}
			for e, n := range used {
				exercised[e] += n
			}
		})
	}
	running.Wait()
	for e, move := range legal {
		if exercised[e] == 0 {
			t.Errorf("the %s machine allows %s from %s, but no order gets there", e.machine, move, e.from)
		}
	}
	t.Logf("%d of the %d moves in the tables were made", len(exercised), len(legal))
}
