package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/stock"
	"github.com/waybill-dev/waybill/domain/subscription"
)

// live plays a life and returns what happened.
func live(t *testing.T, life ...domain.Command) []Occurrence {
	t.Helper()
	s := &stage{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	check(t, s.play(everything[life[0].StreamID().Aggregate], life))
	return s.occurrences
}

// told returns what a profile tells of what happened, to a webhook that asked for these names, or for all.
func told(t *testing.T, p *Profile, happened []Occurrence, names ...string) (messages []Message) {
	t.Helper()
	for _, o := range happened {
		o.Subscribed = names
		m, err := p.Render(o)
		switch {
		case errors.Is(err, ErrNothingToSay):
		case err != nil:
			t.Fatal(err)
		default:
			messages = append(messages, m)
		}
	}
	return messages
}

func names(messages []Message) string {
	list := make([]string, len(messages))
	for i, m := range messages {
		list[i] = m.Event
	}
	return strings.Join(list, " ")
}

// at looks into a body: at(m, "data", "attributes", "status").
func at(t *testing.T, m Message, path ...any) any {
	t.Helper()
	var value any
	check(t, json.Unmarshal(m.Body, &value))
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

const ord = "ord_9"

var (
	mug     = order.LineItemInput{ID: "1", Name: "Mug", SKU: "mug", Quantity: 2, UnitPrice: 500}
	created = order.Create{OrderID: ord, Currency: "USD", Customer: &order.Customer{ID: "cus_1"}, LineItems: []order.LineItemInput{mug}}
	submit  = order.Submit{OrderID: ord}
	pay     = order.Authorize{OrderID: ord, PaymentID: "pay_1", Amount: 1000, Currency: "USD"}
	place   = order.Place{OrderID: ord}
	approve = order.Approve{OrderID: ord}
	capture = order.Capture{OrderID: ord, PaymentID: "pay_1", Amount: 1000}
	fulfill = order.StartFulfillment{OrderID: ord}
)

// shipping is a shipment of one mug, from its making until it has left.
func shipping(id string) []domain.Command {
	return []domain.Command{
		order.CreateShipment{OrderID: ord, ShipmentID: id, LineItems: []order.ShipmentLineItem{{LineItemID: "1", Quantity: 1}}},
		order.ScheduleShipment{OrderID: ord, ShipmentID: id}, order.StartPicking{OrderID: ord, ShipmentID: id},
		order.StartPacking{OrderID: ord, ShipmentID: id}, order.MarkReadyToShip{OrderID: ord, ShipmentID: id}, order.Ship{OrderID: ord, ShipmentID: id},
	}
}

func deliver(id string) domain.Command { return order.Deliver{OrderID: ord, ShipmentID: id} }

// What each platform is told of the lives of orders, in its own words and in order.
func TestLivesInEachPlatformsWords(t *testing.T) {
	t.Parallel()
	paid := []domain.Command{created, submit, pay, place, approve, capture, fulfill}
	for name, c := range map[string]struct {
		life []domain.Command
		want map[string]string
	}{
		"shipped in two parts": {
			slices.Concat(paid, shipping("a"), shipping("b"), []domain.Command{deliver("a"), deliver("b")}),
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.authorize orders.place orders.approve orders.pay orders.start_fulfilling " +
					"shipments.create shipments.upcoming shipments.picking shipments.packing shipments.ready_to_ship shipments.ship orders.fulfill " +
					"shipments.create shipments.upcoming shipments.picking shipments.packing shipments.ready_to_ship shipments.ship " +
					"shipments.deliver shipments.deliver",
				"chord": "order_completed shipment_updated shipment_updated shipment_updated shipment_updated shipment_shipped " +
					"shipment_updated shipment_updated shipment_updated shipment_updated shipment_shipped " +
					"shipment_delivery_status_updated shipment_delivery_status_updated",
				"goody":       "order.created order.shipped order.delivered",
				"ordergroove": "order.create order.success",
				"up42":        "order.status",
			},
		},
		"delivered, and then one more shipment": { // latches
			slices.Concat(paid, shipping("a"), []domain.Command{deliver("a")}, shipping("b"), []domain.Command{deliver("b")}),
			map[string]string{"goody": "order.created order.shipped order.delivered", "up42": "order.status"},
		},
		"all shipments cancelled": { // is not fulfilled
			slices.Concat(paid, shipping("a")[:3], []domain.Command{order.CancelShipment{OrderID: ord, ShipmentID: "a"}}),
			map[string]string{"goody": "order.created", "up42": ""},
		},
		"one cancelled, the other shipped": { // the cancelled one is ignored
			slices.Concat(paid, shipping("a"), shipping("b")[:3], []domain.Command{order.CancelShipment{OrderID: ord, ShipmentID: "b"}, deliver("a")}),
			map[string]string{"goody": "order.created order.shipped order.delivered", "up42": "order.status"},
		},
		"cancelled before it was placed": {
			[]domain.Command{created, submit, order.Cancel{OrderID: ord}},
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.cancel", "chord": "", "goody": "order.created order.canceled",
				"ordergroove": "order.create order.skip_order", "up42": "order.status",
			},
		},
		"cancelled after it was placed": {
			[]domain.Command{created, submit, pay, place, order.Cancel{OrderID: ord}},
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.authorize orders.place orders.void orders.cancel",
				"chord":         "order_completed order_cancelled", "goody": "order.created order.canceled",
				"ordergroove": "order.create order.success order.cancel", "up42": "order.status",
			},
		},
		"waiting for its day": {
			[]domain.Command{created, order.Schedule{OrderID: ord, PlaceAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
				order.Schedule{OrderID: ord, PlaceAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}, // the same once more
				order.ChangePaymentSource{OrderID: ord, PaymentSource: "pm_1"}, order.Remind{OrderID: ord},
				order.RecordError{OrderID: ord, Reason: "no answer"}, order.Expedite{OrderID: ord}, submit, order.Skip{OrderID: ord}},
			map[string]string{
				"ordergroove": "order.create order.change_next_order_date order.change_payment order.reminder order.generic_error order.send_now order.skip_order",
				"goody":       "order.created order.canceled", "up42": "order.status", "chord": "",
			},
		},
		"placing failed, first for now and then for good": {
			[]domain.Command{created, submit, order.BeginPlacing{OrderID: ord}, order.FailPlacement{OrderID: ord},
				order.BeginPlacing{OrderID: ord}, order.RejectPlacement{OrderID: ord}},
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.pending orders.cancel", "chord": "", "goody": "order.created order.canceled",
				"ordergroove": "order.create order.retryable_placement_failure order.reject", "up42": "order.status",
			},
		},
		"refunded in full while it was being fulfilled": {
			slices.Concat(paid, []domain.Command{order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000}}),
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.authorize orders.place orders.approve orders.pay orders.start_fulfilling " +
					"orders.refund orders.cancel_fulfilling orders.cancel",
				"chord": "order_completed order_cancelled", "goody": "order.created order.refunded order.canceled",
				"ordergroove": "order.create order.success", "up42": "order.status",
			},
		},
		"refunded after it was fulfilled": { // is not failed
			slices.Concat(paid, shipping("a"), []domain.Command{order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000}}),
			map[string]string{"up42": "order.status", "goody": "order.created order.shipped order.refunded order.canceled"},
		},
		"payments in parts": { // only full statuses are told
			[]domain.Command{created, submit, order.Authorize{OrderID: ord, PaymentID: "p", Amount: 400, Currency: "USD"},
				order.Authorize{OrderID: ord, PaymentID: "q", Amount: 600, Currency: "USD"}, place, approve,
				order.Capture{OrderID: ord, PaymentID: "p", Amount: 400}, order.Capture{OrderID: ord, PaymentID: "q", Amount: 600},
				order.Refund{OrderID: ord, PaymentID: "p", Amount: 400}},
			map[string]string{
				"commercelayer": "orders.create orders.pending orders.authorize orders.place orders.approve orders.pay",
				"goody":         "order.created",
			},
		},
		"edited": {
			[]domain.Command{created, submit, pay, place, order.Edit{OrderID: ord}, order.StopEditing{OrderID: ord}},
			map[string]string{"commercelayer": "orders.create orders.pending orders.authorize orders.place", "chord": "order_completed"},
		},
		"destroyed": {
			[]domain.Command{created, shipping("a")[0], order.Destroy{OrderID: ord}},
			map[string]string{
				"commercelayer": "orders.create shipments.create shipments.destroy orders.destroy", "chord": "", "goody": "order.created",
				"ordergroove": "order.create order.delete", "up42": "",
			},
		},
		"free from its birth": { // a status that is there from the beginning was never set
			[]domain.Command{order.Create{OrderID: ord, Currency: "USD", Customer: &order.Customer{ID: "c"},
				LineItems: []order.LineItemInput{{ID: "1", Name: "Leaflet", SKU: "leaflet", Quantity: 1, DoNotShip: true}}}, submit, place, approve},
			map[string]string{"commercelayer": "orders.create orders.pending orders.place orders.approve", "up42": ""},
		},
		"made empty, filled, emptied, and filled again": {
			[]domain.Command{order.Create{OrderID: ord, Currency: "USD"}, order.Update{OrderID: ord, LineItems: []order.LineItemInput{mug}},
				order.Update{OrderID: ord, LineItems: []order.LineItemInput{}}, order.Update{OrderID: ord, LineItems: []order.LineItemInput{mug}}},
			map[string]string{"commercelayer": "orders.create", "goody": "order.created", "ordergroove": "order.create"},
		},
	} {
		happened := live(t, c.life...)
		for profile, want := range c.want {
			if got := names(told(t, All(everything)[profile], happened)); got != want {
				t.Errorf("%s, to %s:\ngot  %s\nwant %s", name, profile, got, want)
			}
		}
	}
}

// What there is besides orders, in the words of those who know it.
func TestOtherLivesInEachPlatformsWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life    []domain.Command
		profile string
		want    string
	}{
		{[]domain.Command{ // a status that is there from the beginning, or was there already, is not told
			stock.Create{StockItemID: "s", SKU: "a", Location: "l"}, stock.Receive{StockItemID: "s", Quantity: 5}, stock.Receive{StockItemID: "s", Quantity: 5},
			stock.Reserve{StockItemID: "s", Quantity: 4}, stock.Reserve{StockItemID: "s", Quantity: 6}, stock.Issue{StockItemID: "s", Quantity: 6},
			stock.Release{StockItemID: "s", Quantity: 1},
		}, "chord", "stock_item_back_in_stock stock_item_out_of_stock stock_item_back_in_stock"},
		{[]domain.Command{
			batch.Create{BatchID: "b", Expected: 2}, batch.AddOrder{BatchID: "b", OrderID: "1"}, batch.AddOrder{BatchID: "b", OrderID: "1"},
			batch.AddOrder{BatchID: "b", OrderID: "2"},
		}, "goody", "order_batch.created order_batch.completed"},
		{[]domain.Command{
			gift.Create{GiftID: "g", OrderID: "o"}, gift.Notify{GiftID: "g"}, gift.Open{GiftID: "g"}, gift.Accept{GiftID: "g"},
			gift.AddThankYouNote{GiftID: "g", Note: "n"},
		}, "goody", "order.gift_opened order.gift_accepted order.thank_you_note_added"},
		{[]domain.Command{
			customer.Create{CustomerID: "c", Person: customer.Person{Email: "customer@example.com"}}, customer.RecordOrder{CustomerID: "c", OrderID: "1"},
			customer.RecordOrder{CustomerID: "c", OrderID: "1"}, customer.RecordOrder{CustomerID: "c", OrderID: "2"},
			customer.RecordOrder{CustomerID: "c", OrderID: "3"}, customer.Destroy{CustomerID: "c"},
		}, "commercelayer", "customers.create customers.acquired customers.repeat customers.destroy"},
		{[]domain.Command{
			imports.Create{ImportID: "i", ResourceType: "skus", Inputs: 1}, imports.Start{ImportID: "i"}, imports.RecordProgress{ImportID: "i", Processed: 1},
			imports.Complete{ImportID: "i"}, imports.Destroy{ImportID: "i"},
		}, "commercelayer", "imports.create imports.start imports.complete imports.destroy"},
		{[]domain.Command{
			subscription.Create{SubscriberID: "c", SubscriptionID: "s", Product: "p", Quantity: 1, Every: 1, Period: "days"},
			subscription.ChangeQuantity{SubscriberID: "c", SubscriptionID: "s", Quantity: 1},
			subscription.ChangeQuantity{SubscriberID: "c", SubscriptionID: "s", Quantity: 2},
			subscription.Cancel{SubscriberID: "c", SubscriptionID: "s"}, subscription.Reactivate{SubscriberID: "c", SubscriptionID: "s"},
		}, "ordergroove", "subscriber.create subscription.create subscription.change_quantity subscription.cancel subscriber.cancel subscription.reactivate"},
		{[]domain.Command{
			subscription.CreateItem{ItemID: "i", OrderID: "o", Product: "p", Quantity: 1, Currency: "USD"}, subscription.MoveItem{ItemID: "i", OrderID: "q"},
			subscription.PostponeItem{ItemID: "i", OrderID: "r"}, subscription.PlaceItem{ItemID: "i"},
		}, "ordergroove", "item.create item.out_of_stock item.successfully_placed"},
		{[]domain.Command{
			subscription.CreateItem{ItemID: "i", OrderID: "o", Product: "p", Quantity: 1, Currency: "USD"}, subscription.ChangeItemQuantity{ItemID: "i", Quantity: 2},
			subscription.ChangeItemQuantity{ItemID: "i", Quantity: 2}, subscription.ChangeItemPrice{ItemID: "i", UnitPrice: 5},
			subscription.ChangeItemPrice{ItemID: "i", UnitPrice: 5}, subscription.ChangeItemProduct{ItemID: "i", Product: "q"},
			subscription.SubscribeItem{ItemID: "i", SubscriptionID: "s"}, subscription.RemoveItem{ItemID: "i"},
		}, "ordergroove", "item.create item.change_quantity item.update_price item.item_subscribe item.remove"},
		{[]domain.Command{
			subscription.Create{SubscriberID: "c", SubscriptionID: "s", Product: "p", Quantity: 1, Every: 1, Period: "days"},
			subscription.Create{SubscriberID: "c", SubscriptionID: "t", Product: "p", Quantity: 1, Every: 1, Period: "days"}, // is a subscriber already
			subscription.ChangeProduct{SubscriberID: "c", SubscriptionID: "s", Product: "q"},
			subscription.ChangeComponents{SubscriberID: "c", SubscriptionID: "s", Components: []subscription.Component{{Product: "r", Quantity: 1}}},
			subscription.ChangeFrequency{SubscriberID: "c", SubscriptionID: "s", Every: 2, Period: "weeks"},
			subscription.ChangeFrequency{SubscriberID: "c", SubscriptionID: "s", Every: 2, Period: "weeks"},
			subscription.ChangeShippingAddress{SubscriberID: "c", SubscriptionID: "s", ShippingAddressID: "a"},
			subscription.ChangePayment{SubscriberID: "c", SubscriptionID: "s", PaymentID: "p"},
			subscription.Cancel{SubscriberID: "c", SubscriptionID: "s"}, // one is left
			subscription.Cancel{SubscriberID: "c", SubscriptionID: "t"},
		}, "ordergroove", "subscriber.create subscription.create subscription.create subscription.sku_swap subscription.change_components " +
			"subscription.change_frequency subscription.change_shipping_address subscription.change_payment subscription.cancel subscription.cancel subscriber.cancel"},
		{[]domain.Command{
			customer.CreateSubscription{SubscriptionID: "s", CustomerID: "c", Person: customer.Person{Email: "customer@example.com"}, Reference: "news"},
			customer.DestroySubscription{SubscriptionID: "s"},
		}, "commercelayer", "customer_subscriptions.create customer_subscriptions.destroy"},
		{[]domain.Command{
			customer.CreatePasswordReset{PasswordResetID: "p", CustomerID: "c", Person: customer.Person{Email: "customer@example.com"}},
			customer.DestroyPasswordReset{PasswordResetID: "p"},
		}, "commercelayer", "customer_password_resets.create customer_password_resets.destroy"},
		{[]domain.Command{ // no platform has words for an end like these
			imports.Create{ImportID: "i", ResourceType: "skus", Inputs: 1}, imports.Interrupt{ImportID: "i", Reason: "damaged"},
		}, "commercelayer", "imports.create"},
		{[]domain.Command{
			batch.Create{BatchID: "b", Expected: 2}, batch.AddOrder{BatchID: "b", OrderID: "1"}, batch.DropOrder{BatchID: "b"},
		}, "goody", "order_batch.created order_batch.completed"},
		{[]domain.Command{gift.Create{GiftID: "g", OrderID: "o"}, gift.Cancel{GiftID: "g"}}, "goody", ""},
	} {
		happened := live(t, c.life...)
		for name, p := range All(everything) {
			want := ""
			if name == c.profile {
				want = c.want
			}
			if got := names(told(t, p, happened)); name != "native" && got != want {
				t.Errorf("%s, to %s:\ngot  %s\nwant %s", c.life[0].CommandName(), name, got, want)
			}
		}
	}
}

// UP42 tells the two ends of an order apart by the status only.
func TestUP42Statuses(t *testing.T) {
	t.Parallel()
	p := UP42(everything)
	fulfilled := live(t, slices.Concat([]domain.Command{created, submit, pay, place, approve, capture, fulfill}, shipping("a"))...)
	failed := live(t, created, submit, order.Cancel{OrderID: ord, Reason: "too late"})
	if m := told(t, p, fulfilled); len(m) != 1 || at(t, m[0], "body", "status") != "FULFILLED" {
		t.Errorf("%s", m)
	}
	if m := told(t, p, failed); len(m) != 1 || at(t, m[0], "body", "status") != "FAILED_PERMANENTLY" || at(t, m[0], "body", "statusMessage") != "too late" {
		t.Errorf("%s", m)
	}
}

// One event of the log gives at most one message; of several that it could give, the first that the webhook wants.
func TestOneMessageForOneEvent(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	both := live(t, created, order.Update{OrderID: ord, PlaceAt: &day, ShippingAddress: &order.Address{City: "Springfield"}})
	for asked, want := range map[string]string{
		"": "order.create order.change_next_order_date", "order.change_shipping_address": "order.change_shipping_address",
		"order.change_next_order_date order.change_shipping_address": "order.change_next_order_date", "order.success": "",
		"order.send_now": "", // not today
	} {
		if got := names(told(t, Ordergroove(everything), both, strings.Fields(asked)...)); got != want {
			t.Errorf("asked for %q: told %q, want %q", asked, got, want)
		}
	}
	today := time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC)
	sooner := live(t, created, order.Update{OrderID: ord, PlaceAt: &day}, order.Update{OrderID: ord, PlaceAt: &today})
	if got := names(told(t, Ordergroove(everything), sooner, "order.send_now")); got != "order.send_now" {
		t.Errorf("told %q", got)
	}
}

// A webhook gets what it asked for, an alias included, though the log's event may stand for something else as well.
func TestFilters(t *testing.T) {
	t.Parallel()
	all := All(everything)
	rejected := live(t, created, submit, order.BeginPlacing{OrderID: ord}, order.RejectPlacement{OrderID: ord})
	if got := names(told(t, all["ordergroove"], rejected, "order.skip_order", "order.cancel")); got != "" {
		t.Errorf("told %q", got)
	}
	shipped := live(t, slices.Concat([]domain.Command{created, submit, pay, place, approve, capture, fulfill}, shipping("a"), []domain.Command{deliver("a")})...)
	if got := names(told(t, all["chord"], shipped, "shipping_delivery_status_updated")); got != "shipment_delivery_status_updated" {
		t.Errorf("by the alias: told %q", got)
	}
	for profile, c := range map[string]struct {
		names []string
		types string // or an error
	}{
		"goody":         {nil, "all"},
		"ordergroove":   {nil, "all"},
		"native":        {nil, "all"},
		"up42":          {nil, "profile up42 needs at least one event"},
		"chord":         {nil, "profile chord needs at least one event"},
		"commercelayer": {nil, "profile commercelayer needs at least one event"},
	} {
		types, err := all[profile].Types(c.names)
		if got := fmt.Sprint(types); err != nil && err.Error() != c.types || err == nil && (c.types != "all" || got != "[]") {
			t.Errorf("%s: %v, %v", profile, types, err)
		}
	}
	types, err := all["chord"].Types([]string{"shipping_delivery_status_updated", "order_completed"})
	if err != nil || fmt.Sprint(types) != "[order.placed parcel.carrier_status_updated shipment.delivered]" {
		t.Errorf("%v, %v", types, err)
	}
	unknown := new(UnknownEventError)
	if _, err := all["goody"].Types([]string{"order.cancelled"}); !errors.As(err, &unknown) { // Goody spells it with one l
		t.Errorf("%v", err)
	}
	include := new(UnknownIncludeError)
	if err := all["commercelayer"].CheckIncludes([]string{"customer", "market"}); !errors.As(err, &include) || include.Include != "market" {
		t.Errorf("%v", err)
	}
	if err := all["chord"].CheckIncludes([]string{"customer"}); err == nil || !strings.Contains(err.Error(), "cannot include anything") {
		t.Errorf("%v", err)
	}
	if err := all["ordergroove"].CheckIncludes([]string{"items", "subscriptions"}); err != nil {
		t.Error(err)
	}
}

// The policies that the platforms name in their documentation.
func TestPolicies(t *testing.T) {
	t.Parallel()
	all := All(everything)
	any2xx := []int{200, 201, 202, 203, 204, 206, 299}
	for name, c := range map[string]struct {
		success        []int
		timeout        time.Duration
		retries        int
		circuit        Circuit
		all, noSecret  bool
		givesUp        bool // at 410
		aliases        int
		firstLastPause [2]time.Duration
	}{
		"native":        {any2xx, 15 * time.Second, 9, Circuit{NoticeAt: 5}, true, false, true, 0, [2]time.Duration{5 * time.Second, 24 * time.Hour}},
		"commercelayer": {any2xx, 5 * time.Second, 10, Circuit{NoticeAt: 5, OpenAt: 30}, false, false, false, 0, [2]time.Duration{10 * time.Second, 4 * time.Hour}},
		"chord":         {[]int{200, 201, 202, 204}, 15 * time.Second, 5, Circuit{}, false, true, false, 1, [2]time.Duration{time.Minute, 6 * time.Hour}},
		"goody":         {any2xx, 15 * time.Second, 7, Circuit{DisableAfter: 120 * time.Hour}, true, false, true, 0, [2]time.Duration{5 * time.Second, 10 * time.Hour}},
		"ordergroove":   {any2xx, 5 * time.Second, 864, Circuit{}, true, false, false, 1, [2]time.Duration{}},
		"up42":          {any2xx, 15 * time.Second, 5, Circuit{}, false, true, true, 0, [2]time.Duration{time.Minute, 5 * time.Hour}},
	} {
		p := all[name]
		for status := 100; status < 600; status++ {
			if want := slices.Contains(c.success, status) || len(c.success) == len(any2xx) && status/100 == 2; p.Success(status) != want {
				t.Errorf("%s: success of %d is %v", name, status, !want)
			}
			if p.GivesUp(status) != (c.givesUp && status == http.StatusGone) {
				t.Errorf("%s: giving up at %d is %v", name, status, p.GivesUp(status))
			}
		}
		if p.Timeout != c.timeout || p.Schedule.Retries() != c.retries || p.Circuit != c.circuit || p.All != c.all ||
			p.SecretOptional != c.noSecret || len(p.Aliases) != c.aliases || p.Rotation != 24*time.Hour {
			t.Errorf("%s: %+v", name, p)
		}
		if pauses := p.Schedule.Pauses; len(pauses) > 0 && (pauses[0] != c.firstLastPause[0] || pauses[len(pauses)-1] != c.firstLastPause[1]) {
			t.Errorf("%s: pauses %v", name, pauses)
		}
		if !slices.IsSorted(p.Includes) || !slices.IsSortedFunc(p.Events, func(a, b Event) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%s: not sorted: %v", name, p.Includes)
		}
		for alias, meant := range p.Aliases {
			if _, err := p.Event(meant); err != nil || slices.ContainsFunc(p.Events, func(e Event) bool { return e.Name == alias }) {
				t.Errorf("%s: %s stands for %s: %v", name, alias, meant, err)
			}
		}
	}
	if got := all.Names(); fmt.Sprint(got) != "[chord commercelayer goody native ordergroove up42]" {
		t.Errorf("%v", got)
	}
}

// "Up to N retries" is N after the first attempt; a pause is drawn from what the schedule allows; a sweep comes at its full multiples.
func TestSchedule(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 5400))
	longest := func(d time.Duration) time.Duration { return d }
	none := func(time.Duration) time.Duration { return 0 }
	pauses := Schedule{Pauses: []time.Duration{time.Second, time.Hour}}
	sweep := Schedule{Sweep: 5 * time.Minute, MaxRetries: 3}
	swept := time.Date(2026, 1, 2, 1, 35, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		schedule Schedule
		attempts int
		at       time.Time
		draw     func(time.Duration) time.Duration
		want     time.Time
	}{
		{"the first retry", pauses, 1, ended, longest, ended.Add(time.Second)},
		{"the last retry", pauses, 2, ended, longest, ended.Add(time.Hour)},
		{"a pause that is drawn as nothing", pauses, 2, ended, none, ended},
		{"one too many", pauses, 3, ended, longest, time.Time{}},
		{"many too many", pauses, 1000, ended, longest, time.Time{}},
		{"no attempt yet", pauses, 0, ended, longest, time.Time{}},
		{"no retries at all", Schedule{}, 1, ended, longest, time.Time{}},
		{"the next sweep", sweep, 1, ended, longest, swept},
		{"just before a sweep", sweep, 3, swept.Add(-1), longest, swept},
		{"at the very moment of a sweep", sweep, 1, swept, longest, swept.Add(5 * time.Minute)},
		{"sweeps too many", sweep, 4, ended, longest, time.Time{}},
	} {
		got, again := c.schedule.Next(c.attempts, c.at, c.draw)
		if !got.Equal(c.want) || again == c.want.IsZero() {
			t.Errorf("%s: %s, %v, want %s", c.name, got, again, c.want)
		}
	}
	for name, p := range All(everything) {
		attempts := 1
		for ; ; attempts++ {
			if _, again := p.Schedule.Next(attempts, ended, longest); !again {
				break
			}
		}
		if attempts != p.Schedule.Retries()+1 {
			t.Errorf("%s: %d attempts, %d retries", name, attempts, p.Schedule.Retries())
		}
	}
}

// Chord's delivery status is apart from its state, which does not know delivered, and is told once, whoever says so first.
func TestChordDelivery(t *testing.T) {
	t.Parallel()
	says := func(status string) domain.Command {
		return order.SetCarrierStatus{OrderID: ord, ShipmentID: "a", ParcelID: "par", Status: status}
	}
	number := "1Z"
	parcel := []domain.Command{order.CreateParcel{OrderID: ord, ShipmentID: "a", ParcelID: "par"},
		order.SetTracking{OrderID: ord, ShipmentID: "a", ParcelID: "par", TrackingNumber: &number},
		order.SetTracking{OrderID: ord, ShipmentID: "a", ParcelID: "par", TrackingNumber: &number}} // the same once more
	happened := live(t, slices.Concat([]domain.Command{created, submit, pay, place, approve, capture, fulfill}, shipping("a"), parcel,
		[]domain.Command{says(order.CarrierInTransit), says(order.CarrierDelivered), says(order.CarrierDelivered), deliver("a")})...)
	messages := told(t, Chord(everything), happened)
	messages = messages[slices.IndexFunc(messages, func(m Message) bool { return m.Event == "shipment_shipped" })+1:]
	if got := names(messages); got != "shipment_updated shipment_delivery_status_updated shipment_delivery_status_updated" {
		t.Fatalf("told %q", got)
	}
	for i, want := range []any{nil, "in_transit", "delivered"} {
		if state, status := at(t, messages[i], "shipment", "state"), at(t, messages[i], "shipment", "delivery_status"); state != "shipped" || status != want {
			t.Errorf("message %d: state %v, delivery status %v", i, state, status)
		}
	}
	if at(t, messages[0], "shipment", "tracking") != "1Z" {
		t.Errorf("%s", messages[0].Body)
	}
}

// A body shows what was true right after its event, however much has happened since; a destroyed resource is an id.
func TestBodiesAreAsOfTheEvent(t *testing.T) {
	t.Parallel()
	happened := live(t, created, submit, pay, place, approve, capture, order.Refund{OrderID: ord, PaymentID: "pay_1", Amount: 1000})
	for _, m := range told(t, CommerceLayer(everything), happened) {
		want := map[string][2]string{
			"orders.create": {"draft", "unpaid"}, "orders.pending": {"pending", "unpaid"}, "orders.authorize": {"pending", "authorized"},
			"orders.place": {"placed", "authorized"}, "orders.approve": {"approved", "authorized"}, "orders.pay": {"approved", "paid"},
			"orders.refund": {"approved", "refunded"}, "orders.cancel": {"cancelled", "refunded"},
		}[m.Event]
		attributes := at(t, m, "data", "attributes").(map[string]any)
		if attributes["status"] != want[0] || attributes["payment_status"] != want[1] {
			t.Errorf("%s: %v, %v", m.Event, attributes["status"], attributes["payment_status"])
		}
	}
	gone := live(t, created, shipping("a")[0], order.CreateParcel{OrderID: ord, ShipmentID: "a", ParcelID: "par"}, order.Destroy{OrderID: ord})
	bodies := map[string]string{}
	for _, m := range told(t, CommerceLayer(everything), gone) {
		bodies[m.Event] = string(m.Body)
	}
	for event, want := range map[string]string{
		"parcels.destroy":   `{"data":{"type":"parcels","id":"par"}}`,
		"shipments.destroy": `{"data":{"type":"shipments","id":"a"}}`,
		"orders.destroy":    `{"data":{"type":"orders","id":"ord_9"}}`,
	} {
		if bodies[event] != want {
			t.Errorf("%s: %s", event, bodies[event])
		}
	}
}

// Commerce Layer includes what was asked for and nothing else, each resource once, and links what is not included.
func TestCommerceLayerIncludes(t *testing.T) {
	t.Parallel()
	p := CommerceLayer(everything)
	happened := live(t, slices.Concat([]domain.Command{created, submit, pay, place, approve, capture, fulfill}, shipping("a"),
		[]domain.Command{order.CreateParcel{OrderID: ord, ShipmentID: "a", ParcelID: "par"}}, shipping("b"))...)
	last := func(event string, include ...string) Message {
		for _, o := range slices.Backward(happened) {
			o.Include, o.Subscribed = include, []string{event}
			if m, err := p.Render(o); err == nil {
				return m
			}
		}
		t.Fatalf("no %s", event)
		return Message{}
	}
	kinds := func(m Message) string {
		var body struct{ Included []struct{ Type, ID string } }
		check(t, json.Unmarshal(m.Body, &body))
		var list []string
		for _, r := range body.Included {
			list = append(list, r.Type+"/"+r.ID)
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		event   string
		include []string
		want    string
	}{
		{"orders.pay", nil, ""},
		{"orders.pay", []string{"customer"}, "customers/cus_1"},
		{"orders.pay", []string{"line_items", "customer", "authorizations", "billing_address"}, "customers/cus_1 line_items/1 authorizations/pay_1"},
		{"shipments.ship", []string{"order", "parcels", "customer"}, "orders/ord_9"},
		{"parcels.create", []string{"shipment"}, "shipments/a"},
		{"orders.fulfill", []string{"shipments"}, "shipments/a"},
		{"orders.fulfill", []string{"shipments.parcels"}, "shipments/a"},
	} {
		got := strings.Fields(kinds(last(c.event, c.include...)))
		want := strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s with %v includes %v, want %v", c.event, c.include, got, want)
		}
	}
	m := last("orders.pay", "customer", "billing_address")
	if id := at(t, m, "data", "relationships", "customer", "data", "id"); id != "cus_1" {
		t.Errorf("the customer is %v", id)
	}
	relationships := at(t, m, "data", "relationships").(map[string]any)
	if data, there := relationships["billing_address"].(map[string]any)["data"]; !there || data != nil {
		t.Errorf("what is asked for and is not there has to be null: %v", relationships["billing_address"])
	}
	if _, there := relationships["line_items"].(map[string]any)["data"]; there {
		t.Error("what is not asked for has only links")
	}
}

// Ordergroove sends the order alone, and besides it what was asked for and nothing else.
func TestOrdergrooveIncludes(t *testing.T) {
	t.Parallel()
	p := Ordergroove(everything)
	o, err := p.Sample("order.success")
	check(t, err)
	for _, asked := range append([][]string{nil, {"items", "subscriptions"}, p.Includes}, slices.Collect(slices.Chunk(p.Includes, 1))...) {
		o.Include = asked
		m, err := p.Render(o)
		check(t, err)
		data := at(t, m, "data").(map[string]any)
		snapshot, _ := data["snapshot"].(map[string]any)
		if got := slices.Sorted(maps.Keys(snapshot)); !slices.Equal(got, asked) || (data["snapshot"] == nil) != (asked == nil) {
			t.Errorf("asked for %v, got %v", asked, got)
		}
		if at(t, m, "data", "object", "public_id") != "ord_1" || at(t, m, "data", "object", "items") != nil {
			t.Errorf("asked for %v: %s", asked, m.Body)
		}
	}
	o.Include = []string{"items", "subscriptions", "customer"}
	m, err := p.Render(o)
	check(t, err)
	for _, c := range []struct {
		want any
		path []any
	}{
		{"mug-blue", []any{"items", 0, "product"}}, {2.0, []any{"items", 0, "quantity"}}, {"29.00", []any{"items", 0, "total_price"}},
		{"sub_1", []any{"items", 1, "subscription"}}, {"sub_1", []any{"subscriptions", 0, "public_id"}}, {"cus_1", []any{"customer", "merchant_user_id"}},
	} {
		if got := at(t, m, append([]any{"data", "snapshot"}, c.path...)...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
}

// Each platform writes money, and the word for a cancelled order, in its own way.
func TestMoneyAndSpelling(t *testing.T) {
	t.Parallel()
	o := created
	o.LineItems = []order.LineItemInput{{ID: "1", Name: "Mug", SKU: "mug", Quantity: 1, UnitPrice: 100_000,
		Adjustments: []order.AdjustmentInput{{ID: "2", Kind: order.AdjustmentTax, Amount: 63, Label: "NY 6.250%"}}}}
	o.Currency, o.ShippingAmount = "EUR", 60
	happened := live(t, o, submit, order.Authorize{OrderID: ord, PaymentID: "pay_1", Amount: 100_123, Currency: "EUR"}, place, order.Cancel{OrderID: ord})
	chord := told(t, Chord(everything), happened, "order_cancelled")[0]
	for path, want := range map[string]any{
		"item_total": "1000.0", "total": "1001.23", "shipment_total": "0.6", "promo_total": "0.0", "additional_tax_total": "0.63", "state": "canceled",
	} {
		if got := at(t, chord, "order", path); got != want {
			t.Errorf("chord %s: %v, want %v", path, got, want)
		}
	}
	if at(t, chord, "order", "canceled_at") == nil || at(t, chord, "order", "line_items", 0, "total") != "€1,000.00" ||
		at(t, chord, "order", "line_items", 0, "adjustments", 0, "amount") != "€0.63" || at(t, chord, "order", "line_items", 0, "id") != 1.0 {
		t.Errorf("chord: %s", chord.Body)
	}
	layer := told(t, CommerceLayer(everything), happened, "orders.cancel")[0]
	for path, want := range map[string]any{
		"total_amount_with_taxes_cents": 100123.0, "total_amount_with_taxes_float": 1001.23, "formatted_total_amount_with_taxes": "€1.001,23",
		"total_tax_amount_cents": 63.0, "status": "cancelled",
	} {
		if got := at(t, layer, "data", "attributes", path); got != want {
			t.Errorf("commercelayer %s: %v, want %v", path, got, want)
		}
	}
	goody := told(t, Goody(everything), happened, "order.canceled")[0]
	if at(t, goody, "data", "amounts", "amount_total") != 100123.0 || at(t, goody, "data", "status") != "canceled" {
		t.Errorf("goody: %s", goody.Body)
	}
	groove := told(t, Ordergroove(everything), happened, "order.cancel")[0]
	if at(t, groove, "data", "object", "total") != "1001.23" || at(t, groove, "data", "object", "status_display") != "Cancelled" {
		t.Errorf("ordergroove: %s", groove.Body)
	}
	for _, c := range []struct {
		amount                int64
		currency, plain, sign string
	}{
		{1063, "USD", "10.63", "$10.63"}, {1000, "USD", "10.0", "$10.00"}, {0, "USD", "0.0", "$0.00"}, {-5, "USD", "-0.05", "-$0.05"},
		{123456789, "USD", "1234567.89", "$1,234,567.89"}, {100000, "JPY", "100000.0", "¥100,000"}, {1060, "KWD", "1.06", "KWD1.060"},
		{-123456, "EUR", "-1234.56", "-€1.234,56"}, {99, "EUR", "0.99", "€0,99"}, {123456, "SEK", "1234.56", "kr1 234,56"},
	} {
		if got := plainAmount(c.amount, c.currency); got != c.plain {
			t.Errorf("%d %s: %s, want %s", c.amount, c.currency, got, c.plain)
		}
		if got := signedAmount(c.amount, c.currency, signOf(c.currency)); got != c.sign {
			t.Errorf("%d %s: %s, want %s", c.amount, c.currency, got, c.sign)
		}
	}
}

// The ids of Chord's documentation are numbers. Equal ids give equal numbers, and parts of different orders different ones.
func TestChordIDs(t *testing.T) {
	t.Parallel()
	if got := chordID("42"); *got != 42 {
		t.Error(*got)
	}
	for _, id := range []string{"ord_1", "042", "-1", "+1", "18446744073709551616", "1e3"} {
		got := *chordID(id)
		if got < 1<<40 || got >= 1<<53 || got != *chordID(id) {
			t.Errorf("%s became %d", id, got)
		}
	}
	a, b := order.Order{ID: "a"}, order.Order{ID: "b"}
	if *chordPartID(a, "item_1") == *chordPartID(b, "item_1") || *chordPartID(a, "7") != 7 || chordPartID(a, "") != nil || chordID("") != nil {
		t.Error("parts of different orders are the same, or a number is not")
	}
}
