package order

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// settle follows a change of the ledger or the total with the event for the payment status that results, if it is another one.
func (d *decision) settle() error {
	from, to := d.o.PaymentStatus, d.o.settledAs()
	if from == to {
		return nil
	}
	move, event := paymentMove(from, to)
	if err := d.check(PaymentMachine, d.subject(), from, move); err != nil {
		return err
	}
	d.emit(event)
	return nil
}

// paymentMove is the move of the payment machine into a status, and the event that tells of it.
func paymentMove(from, to string) (move string, event domain.Event) {
	switch to {
	case PaymentStatusUnpaid:
		return "charge", Unpaid{From: from}
	case PaymentStatusFree:
		return "free", Freed{From: from}
	case PaymentStatusPartiallyAuthorized:
		return "authorize_partially", PartiallyAuthorized{From: from}
	case PaymentStatusAuthorized:
		return "authorize", Authorized{From: from}
	case PaymentStatusPartiallyPaid:
		return "pay_partially", PartiallyPaid{From: from}
	case PaymentStatusPaid:
		return "pay", Paid{From: from}
	case PaymentStatusPartiallyVoided:
		return "void_partially", PartiallyVoided{From: from}
	case PaymentStatusVoided:
		return "void", Voided{From: from}
	case PaymentStatusPartiallyRefunded:
		return "refund_partially", PartiallyRefunded{From: from}
	case PaymentStatusRefunded:
		return "refund", Refunded{From: from}
	}
	panic(fmt.Sprintf("order: there is no payment status %q", to))
}

// refusePayment refuses because of what the ledger holds.
func (d *decision) refusePayment(reason string, args ...any) error {
	return d.refuse(PaymentMachine, d.subject(), d.o.PaymentStatus, reason, args...)
}

// newPayment checks what every new entry needs: a living order, its currency, an id of its own, and room.
func (d *decision) newPayment(id, currency string) error {
	if d.o.Status == StatusCancelled {
		return d.refuseOrder("")
	}
	if currency != d.o.Currency {
		return &domain.InvalidCommandError{Command: d.command, Fields: []domain.FieldError{{
			Field: "currency", Message: fmt.Sprintf("it is %s, but order %s is in %s", currency, d.o.ID, d.o.Currency),
		}}}
	}
	if _, taken := d.o.Payment(id); taken {
		return d.refusePayment("it has a payment %s already", id)
	}
	if len(d.o.Payments) >= MaxPayments {
		return d.refusePayment("it has %d payments already, which is the most", MaxPayments)
	}
	return nil
}

func (d *decision) payment(id string) (Payment, error) {
	p, ok := d.o.Payment(id)
	if !ok {
		return p, &domain.NotFoundError{Kind: "payment", ID: id}
	}
	return p, nil
}

func (d *decision) authorize(c Authorize) error {
	if err := d.newPayment(c.PaymentID, c.Currency); err != nil {
		return err
	}
	d.emit(PaymentAuthorized{PaymentID: c.PaymentID, Amount: c.Amount, Currency: c.Currency, Method: c.Method, Reference: c.Reference})
	return d.settle()
}

func (d *decision) recordFailedPayment(c RecordFailedPayment) error {
	if err := d.newPayment(c.PaymentID, c.Currency); err != nil {
		return err
	}
	d.emit(PaymentFailed{
		PaymentID: c.PaymentID, Amount: c.Amount, Currency: c.Currency, Method: c.Method, Reference: c.Reference, Reason: c.Reason,
	})
	return nil
}

func (d *decision) capture(c Capture) error {
	p, err := d.payment(c.PaymentID)
	if err != nil {
		return err
	}
	if c.Amount > p.Open() {
		return d.refusePayment("%s of payment %s are open, less than %s", d.money(p.Open()), p.ID, d.money(c.Amount))
	}
	d.emit(PaymentCaptured{PaymentID: p.ID, Amount: c.Amount, Currency: d.o.Currency})
	return d.settle()
}

func (d *decision) void(c Void) error {
	p, err := d.payment(c.PaymentID)
	if err != nil {
		return err
	}
	amount := c.Amount
	if amount == 0 {
		amount = p.Open()
	}
	if p.Open() == 0 {
		return d.refusePayment("nothing of payment %s is open", p.ID)
	}
	if amount > p.Open() {
		return d.refusePayment("%s of payment %s are open, less than %s", d.money(p.Open()), p.ID, d.money(amount))
	}
	d.emit(PaymentVoided{PaymentID: p.ID, Amount: amount, Currency: d.o.Currency})
	return d.settle()
}

// voidAll gives up whatever is open, and then says once what the order's payment status has become.
func (d *decision) voidAll() error {
	for _, p := range d.o.Payments {
		if p.Open() > 0 {
			d.emit(PaymentVoided{PaymentID: p.ID, Amount: p.Open(), Currency: d.o.Currency})
		}
	}
	return d.settle()
}

// refund gives money back, also after the order has ended. On an approved order the last of it is the end: the refund is told
// first, then everything that ends with it, then the cancellation.
func (d *decision) refund(c Refund) error {
	p, err := d.payment(c.PaymentID)
	if err != nil {
		return err
	}
	if left := p.Captured - p.Refunded; c.Amount > left {
		return d.refusePayment("%s of payment %s are captured and not refunded, less than %s", d.money(left), p.ID, d.money(c.Amount))
	}
	d.emit(PaymentRefunded{PaymentID: p.ID, Amount: c.Amount, Currency: d.o.Currency, Reason: c.Reason})
	if err := d.settle(); err != nil {
		return err
	}
	if _, ok := OrderMachine.Fire(d.o.Status, "refund_in_full"); ok && d.o.RefundedTotal == d.o.CapturedTotal {
		return d.end(Cancelled{From: d.o.Status, Reason: c.Reason})
	}
	return nil
}
