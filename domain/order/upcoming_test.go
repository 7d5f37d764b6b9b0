package order

import (
	"testing"
	"time"
)

func TestSchedulingAndExpediting(t *testing.T) {
	day := time.Date(2026, 5, 1, 8, 30, 0, 0, time.FixedZone("", 7200))
	o := play(t, Order{}, newOrder())
	o = expect(t, o, Schedule{id, day}, "order.scheduled")
	if !o.PlaceAt.Equal(day) || o.PlaceAt.Location() != time.UTC {
		t.Errorf("to be placed at %v", o.PlaceAt)
	}
	expect(t, o, Schedule{id, day.UTC()})
	o = expect(t, o, Expedite{id}, "order.expedited")
	if o.PlaceAt != o.UpdatedAt || o.ExpeditedAt != o.UpdatedAt {
		t.Errorf("expedited at %v, to be placed at %v", o.ExpeditedAt, o.PlaceAt)
	}
	expect(t, o, Expedite{id})
	// Scheduled anew, by either command, it can be expedited again.
	expect(t, expect(t, o, Schedule{id, day}, "order.scheduled"), Expedite{id}, "order.expedited")
	expect(t, expect(t, o, Update{OrderID: id, PlaceAt: &day}, "order.updated"), Expedite{id}, "order.expedited")
	invalid(t, o, Schedule{OrderID: id}, "placeAt")
	invalid(t, o, Schedule{id, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "placeAt")
	refuse(t, inStatus(t, StatusPlaced), Expedite{id}, "order", "only before it is placed")
}

func TestSkippingCancels(t *testing.T) {
	o := play(t, inStatus(t, StatusPending), ship1("shp_1", 1))
	o = expect(t, o, Skip{id, "on holiday"}, "order.skipped", "payment.voided", "order.voided", "shipment.cancelled", "order.cancelled")
	if o.SkippedAt.IsZero() || o.Status != StatusCancelled || o.CancelReason != "on holiday" {
		t.Errorf("%+v", o)
	}
	refuse(t, o, Skip{OrderID: id}, "order", "")
	refuse(t, inStatus(t, StatusDraft), Skip{OrderID: id}, "order", "") // a draft is destroyed
	refuse(t, inStatus(t, StatusPlaced), Skip{OrderID: id}, "order", "only before it is placed")
	invalid(t, o, Skip{id, "\xff"}, "reason")
}

func TestRemindersPaymentSourcesAndErrors(t *testing.T) {
	o := expect(t, inStatus(t, StatusPending), Remind{id}, "order.reminded")
	first := o.RemindedAt
	if o = expect(t, o, Remind{id}, "order.reminded"); first.IsZero() || !o.RemindedAt.After(first) {
		t.Errorf("reminded at %v, then %v", first, o.RemindedAt)
	}
	o = expect(t, o, ChangePaymentSource{id, "src_1"}, "order.payment_source_changed")
	expect(t, o, ChangePaymentSource{id, "src_1"})
	o = expect(t, o, RecordError{id, "130", "the shop did not answer"}, "order.error_recorded")
	o = expect(t, play(t, o, BeginPlacing{id}), RecordError{OrderID: id, Reason: "again"}, "order.error_recorded")
	if o.PaymentSource != "src_1" || o.LastError != "again" || o.Status != StatusPlacing {
		t.Errorf("%+v", o)
	}
	if o = play(t, o, Place{id}); o.LastError != "" {
		t.Errorf("placed, and yet %q", o.LastError)
	}
	refuse(t, o, ChangePaymentSource{id, "src_2"}, "order", "only before it is placed")
	refuse(t, o, Remind{id}, "order", "only before it is placed")
	refuse(t, o, RecordError{OrderID: id, Reason: "?"}, "order", "only before it is placed")
	invalid(t, o, ChangePaymentSource{OrderID: id}, "paymentSource")
	invalid(t, o, RecordError{id, "\xff", ""}, "code", "reason")
}

func TestTheFirstLineItemIsToldOnce(t *testing.T) {
	items := newOrder().LineItems
	empty := newOrder()
	empty.LineItems = nil
	o := expect(t, Order{}, empty, "order.created")
	o = expect(t, o, Update{OrderID: id, LineItems: items}, "order.updated", "order.first_item_added")
	if o.FirstItemAt.IsZero() {
		t.Error("nobody knows when")
	}
	o = expect(t, o, Update{OrderID: id, LineItems: []LineItemInput{}}, "order.updated")
	expect(t, o, Update{OrderID: id, LineItems: items}, "order.updated")
	// An order that is created with line items says so itself.
	o = expect(t, Order{}, newOrder(), "order.created")
	if o.FirstItemAt != o.CreatedAt {
		t.Errorf("created at %v, first item at %v", o.CreatedAt, o.FirstItemAt)
	}
	expect(t, o, Update{OrderID: id, LineItems: items[:1]}, "order.updated")
}
