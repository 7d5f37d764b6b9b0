package order

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// Decide answers a valid command with the events that follow from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], [*domain.NotFoundError] where the order or the part of it that is meant does not exist
// (any more), or [*domain.InvalidCommandError] for what can only be seen together with the order: another currency, a total that
// is negative or too large.
func Decide(o Order, command domain.Command) ([]domain.Event, error) {
	d := &decision{o: o, command: command.CommandName()}
	if err := d.decide(command); err != nil {
		return nil, err
	}
	return d.events, nil
}

func (d *decision) decide(command domain.Command) error {
	if c, ok := command.(Create); ok {
		return d.create(c)
	}
	if d.o.ID == "" || d.o.Status == StatusDestroyed {
		return &domain.NotFoundError{Kind: "order", ID: command.StreamID().ID}
	}
	switch c := command.(type) {
	case Update:
		return d.update(c)
	case Submit:
		return d.submit()
	case RevertToDraft:
		return d.order("revert_to_draft", RevertedToDraft{})
	case BeginPlacing:
		return d.order("begin_placing", PlacingStarted{})
	case Place:
		return d.place()
	case FailPlacement:
		return d.order("fail_placement", PlacementFailed{Reason: c.Reason})
	case RejectPlacement:
		return d.cancel("reject_placement", c.Reason, "")
	case Edit:
		return d.order("edit", EditingStarted{})
	case StopEditing:
		return d.stopEditing()
	case Approve:
		return d.approve()
	case Cancel:
		return d.cancel("cancel", c.Reason, c.CancelledBy)
	case Destroy:
		return d.destroy()
	case StartFulfillment:
		return d.startFulfillment()

	case Schedule:
		at := check.UTC(c.PlaceAt)
		return d.upcoming(!at.Equal(d.o.PlaceAt), Scheduled{PlaceAt: at})
	case Expedite:
		return d.upcoming(d.o.ExpeditedAt.IsZero(), Expedited{})
	case Skip:
		return d.skip(c)
	case Remind:
		return d.upcoming(true, Reminded{})
	case ChangePaymentSource:
		return d.upcoming(c.PaymentSource != d.o.PaymentSource, PaymentSourceChanged{PaymentSource: c.PaymentSource})
	case RecordError:
		if d.o.Status == StatusPlacing {
			d.emit(ErrorRecorded{Code: c.Code, Reason: c.Reason})
			return nil
		}
		return d.upcoming(true, ErrorRecorded{Code: c.Code, Reason: c.Reason})

	case Authorize:
		return d.authorize(c)
	case RecordFailedPayment:
		return d.recordFailedPayment(c)
	case Capture:
		return d.capture(c)
	case Void:
		return d.void(c)
	case Refund:
		return d.refund(c)

	case CreateShipment:
		return d.createShipment(c)
	case ScheduleShipment:
		return d.scheduleShipment(c)
	case HoldShipment:
		return d.holdShipment(c)
	case StartPicking:
		return d.startPicking(c)
	case StartPacking:
		return d.shipment(c.ShipmentID, "start_packing", ShipmentPackingStarted{ShipmentID: c.ShipmentID})
	case MarkReadyToShip:
		return d.shipment(c.ShipmentID, "mark_ready_to_ship", ShipmentReadied{ShipmentID: c.ShipmentID})
	case Ship:
		return d.ship(c)
	case Deliver:
		return d.deliver(c)
	case CancelShipment:
		return d.cancelShipment(c)
	case DestroyShipment:
		return d.destroyShipment(c)

	case CreateParcel:
		return d.createParcel(c)
	case DestroyParcel:
		return d.destroyParcel(c)
	case SetTracking:
		return d.setTracking(c)
	case SetCarrierStatus:
		return d.setCarrierStatus(c)
	}
	return fmt.Errorf("order: %T is not a command of an order", command)
}

// decision is one command being decided: the events so far, and the order as it is after them, which what follows from them is
// decided on.
type decision struct {
	o       Order
	command string
	events  []domain.Event
}

func (d *decision) emit(e domain.Event) {
	// No decision looks at a time, only at whether there is one, so that of the last event does.
	d.o = Evolve(d.o, e, d.o.UpdatedAt)
	d.events = append(d.events, e)
}

// check asks the machine whether the move is legal from a status.
func (d *decision) check(m *domain.Machine, subject, status, move string) error {
	if _, ok := m.Fire(status, move); !ok {
		return d.refuse(m, subject, status, "")
	}
	return nil
}

func (d *decision) refuse(m *domain.Machine, subject, status, reason string, args ...any) error {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	return m.Refuse(d.command, subject, status, reason)
}

// refuseOrder refuses because of the order's own status, or a guard on its moves.
func (d *decision) refuseOrder(reason string, args ...any) error {
	return d.refuse(OrderMachine, d.subject(), d.o.Status, reason, args...)
}

func (d *decision) subject() string { return "order " + d.o.ID }

func (d *decision) money(amount int64) string { return FormatAmount(amount, d.o.Currency) }

// order makes a move of the order machine that has no guard.
func (d *decision) order(move string, e domain.Event) error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, move); err != nil {
		return err
	}
	d.emit(e)
	return nil
}

func (d *decision) create(c Create) error {
	if d.o.ID != "" {
		return d.refuseOrder("its id is taken")
	}
	if c.OrderID == "" {
		return domain.MissingID(c, "orderId")
	}
	c.PlaceAt = check.UTC(c.PlaceAt)
	d.emit(Created(c)) // does not compile once the two differ, which is when the event needs a new schema version
	return d.checkTotal()
}

func (d *decision) update(c Update) error {
	before := d.o
	switch before.Status {
	case StatusDraft, StatusPending, StatusEditing:
	default:
		return d.refuseOrder("it can be updated only while it is draft, pending or being edited")
	}
	e, changed := diff(before, c)
	if !changed {
		return nil
	}
	d.emit(e)
	if err := d.checkTotal(); err != nil {
		return err
	}
	if reason := d.incomplete(); reason != "" && before.Status != StatusDraft {
		return d.refuseOrder("%s", reason)
	}
	for _, l := range before.LineItems {
		now, _ := d.o.LineItem(l.ID)
		in := before.inShipments(l.ID)
		if in > now.Quantity {
			return d.refuseOrder("%d of line item %s are in shipments, more than the %d that would be ordered", in, l.ID, now.Quantity)
		}
		if in > 0 && now.DoNotShip {
			return d.refuseOrder("%d of line item %s are in shipments, so it cannot become one that is not shipped", in, l.ID)
		}
	}
	if err := d.settle(); err != nil {
		return err
	}
	if d.o.FirstItemAt.IsZero() && len(d.o.LineItems) > 0 {
		d.emit(FirstItemAdded{})
	}
	return nil
}

// incomplete says what an order lacks that left the draft.
func (d *decision) incomplete() string {
	switch {
	case d.o.Customer == nil:
		return "it needs a customer"
	case len(d.o.LineItems) == 0:
		return "it needs a line item"
	}
	return ""
}

func (d *decision) checkTotal() error {
	if d.o.Total >= 0 && d.o.Total <= MaxAmount {
		return nil
	}
	return &domain.InvalidCommandError{Command: d.command, Fields: []domain.FieldError{{
		Field:   "lineItems",
		Message: fmt.Sprintf("the order's total would be %s; it must be 0 to %s", d.money(d.o.Total), d.money(MaxAmount)),
	}}}
}

func (d *decision) submit() error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "submit"); err != nil {
		return err
	}
	if reason := d.incomplete(); reason != "" {
		return d.refuseOrder("%s", reason)
	}
	d.emit(Submitted{})
	return nil
}

func (d *decision) place() error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "place"); err != nil {
		return err
	}
	if d.o.covered() < d.o.Total {
		return d.refuseOrder("the total of %s is covered by %s only", d.money(d.o.Total), d.money(d.o.covered()))
	}
	d.emit(Placed{From: d.o.Status})
	return nil
}

func (d *decision) stopEditing() error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "stop_editing"); err != nil {
		return err
	}
	if d.o.Total > d.o.TotalBeforeEditing {
		return d.refuseOrder("the total of %s is more than the %s it was placed with", d.money(d.o.Total), d.money(d.o.TotalBeforeEditing))
	}
	d.emit(EditingStopped{})
	return nil
}

func (d *decision) approve() error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "approve"); err != nil {
		return err
	}
	if !d.o.paid() && d.o.PaymentStatus != PaymentStatusAuthorized {
		return d.refuseOrder("it is %s, not authorized, paid or free", d.o.PaymentStatus)
	}
	d.emit(Approved{})
	for _, l := range d.o.LineItems {
		if !l.DoNotShip {
			return nil
		}
	}
	if err := d.check(FulfillmentMachine, d.subject(), d.o.FulfillmentStatus, "require_nothing"); err != nil {
		return err
	}
	d.emit(FulfillmentNotRequired{})
	return nil
}

// upcoming records what happens to an order that waits for its day, if it changes anything.
func (d *decision) upcoming(changed bool, e domain.Event) error {
	if d.o.Status != StatusDraft && d.o.Status != StatusPending {
		return d.refuseOrder("that is possible only before it is placed")
	}
	if changed {
		d.emit(e)
	}
	return nil
}

// skip is a cancellation that is told as what it is meant to be. A placed order can be cancelled as well, but no longer skipped.
func (d *decision) skip(c Skip) error {
	if d.o.Status == StatusPlaced {
		return d.refuseOrder("that is possible only before it is placed")
	}
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "cancel"); err != nil {
		return err
	}
	d.emit(Skipped{Reason: c.Reason})
	return d.cancel("cancel", c.Reason, "")
}

// cancel ends the order by one of the moves into cancelled.
func (d *decision) cancel(move, reason, by string) error {
	if err := d.check(OrderMachine, d.subject(), d.o.Status, move); err != nil {
		return err
	}
	for _, s := range d.o.Shipments {
		if s.shipped() {
			return d.refuseOrder("shipment %s has shipped", s.ID)
		}
	}
	return d.end(Cancelled{From: d.o.Status, Reason: reason, CancelledBy: by})
}

// end winds the order down, money first, and cancels it. After that only what is outside of our hands still happens: captured
// money is given back, shipments on their way arrive.
func (d *decision) end(e Cancelled) error {
	if err := d.voidAll(); err != nil {
		return err
	}
	for _, s := range d.o.Shipments {
		if _, ok := ShipmentMachine.Fire(s.Status, "cancel"); ok {
			d.emit(ShipmentCancelled{ShipmentID: s.ID, From: s.Status, Reason: "the order was cancelled"})
		}
	}
	if _, ok := FulfillmentMachine.Fire(d.o.FulfillmentStatus, "cancel_fulfillment"); ok {
		d.emit(FulfillmentCancelled{})
	}
	d.emit(e)
	return nil
}

func (d *decision) destroy() error {
	// That it was never placed follows from the table: nothing leads from placed to where this move starts.
	if err := d.check(OrderMachine, d.subject(), d.o.Status, "destroy"); err != nil {
		return err
	}
	if d.o.CapturedTotal > 0 {
		return d.refuseOrder("%s was captured, which has to stay on record", d.money(d.o.CapturedTotal))
	}
	if err := d.voidAll(); err != nil {
		return err
	}
	for _, s := range d.o.Shipments {
		if _, ok := ShipmentMachine.Fire(s.Status, "destroy"); ok {
			d.emitShipmentDestroyed(s)
		}
	}
	d.emit(Destroyed{From: d.o.Status})
	return nil
}

func (d *decision) startFulfillment() error {
	status := d.o.FulfillmentStatus
	if err := d.check(FulfillmentMachine, d.subject(), status, "start_fulfillment"); err != nil {
		return err
	}
	if d.o.Status != StatusApproved {
		return d.refuse(FulfillmentMachine, d.subject(), status, "the order is %s, not approved", d.o.Status)
	}
	if !d.o.paid() && !(d.o.DelayedCapture && d.o.PaymentStatus == PaymentStatusAuthorized) {
		reason := "the order is %s, not paid or free"
		if d.o.DelayedCapture {
			reason = "the order is %s, not authorized, paid or free"
		}
		return d.refuse(FulfillmentMachine, d.subject(), status, reason, d.o.PaymentStatus)
	}
	d.emit(FulfillmentStarted{})
	return nil
}
