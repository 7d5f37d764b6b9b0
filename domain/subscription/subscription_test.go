package subscription

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "cus_1"

func create(subscription string) Create {
	return Create{SubscriberID: id, SubscriptionID: subscription, Product: "coffee", Quantity: 1, Every: 2, Period: PeriodWeeks}
}

func cancel(subscription string) Cancel {
	return Cancel{SubscriberID: id, SubscriptionID: subscription}
}

var subscribers = conformance.Suite{
	Aggregate: SubscriberAggregate(),
	Commands:  SubscriberCommands(),
	Describe:  Describe,
	Samples: []domain.Event{
		SubscriberCreated{SubscriberID: id, SubscriptionID: "sub_1"}, SubscriberEnded{}, SubscriberReactivated{},
		Created{
			SubscriptionID: "sub_1", Product: "coffee", Components: []Component{{"beans", 2}}, Quantity: 1, Every: 2, Period: PeriodWeeks, Offer: "off_1",
			PaymentID: "pay_1", ShippingAddressID: "adr_1", OrderID: "ord_1", Metadata: map[string]string{"a": "1"},
		},
		Ended{"sub_1", "too much coffee", "7"}, Reactivated{"sub_1"}, ProductChanged{"sub_1", "coffee", "tea"},
		ComponentsChanged{"sub_1", []Component{{"beans", 2}}}, QuantityChanged{"sub_1", 1, 2}, FrequencyChanged{"sub_1", 1, PeriodMonths},
		ShippingAddressChanged{"sub_1", "adr_2"}, PaymentChanged{"sub_1", "pay_2"},
	},
	Tables: map[string]string{
		"subscriber": `
			active: cancel=cancelled
			cancelled: reactivate=active`,
		"subscription": `
			live: cancel=cancelled
			cancelled: reactivate=live`,
	},
	Statuses: func(state domain.State) map[string]string {
		s := state.(Subscriber)
		statuses := map[string]string{"subscriber": s.Status}
		for _, sub := range s.Subscriptions {
			statuses["subscription "+sub.ID] = sub.Status
		}
		return statuses
	},
	Reach: map[string][]domain.Command{
		"subscriber.active":      {create("sub_1")},
		"subscriber.cancelled":   {create("sub_1"), cancel("sub_1")},
		"subscription.live":      {create("sub_1")},
		"subscription.cancelled": {create("sub_1"), create("sub_2"), cancel("sub_1")},
	},
	Moves: map[string]domain.Command{
		"subscriber.cancel": nil, "subscriber.reactivate": nil, // they follow: see TestFirstAndLastSubscription
		"subscription.cancel": cancel("sub_1"), "subscription.reactivate": Reactivate{id, "sub_1"},
	},
	Silent: []string{
		"subscription.change_product", "subscription.change_components", "subscription.change_quantity", "subscription.change_frequency",
		"subscription.change_shipping_address", "subscription.change_payment",
	},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		sub := rapid.SampledFrom([]string{"sub_1", "sub_2", "sub_3"}).Draw(t, "subscription")
		if s.(Subscriber).ID == "" {
			return create(sub)
		}
		n := rapid.Int64Range(1, 2).Draw(t, "n")
		return rapid.SampledFrom([]domain.Command{
			create(sub), cancel(sub), Reactivate{id, sub}, ChangeProduct{id, sub, fmt.Sprint("tea", n)}, ChangeComponents{id, sub, []Component{{"beans", n}}},
			ChangeComponents{id, sub, nil}, ChangeQuantity{id, sub, n}, ChangeFrequency{id, sub, n, PeriodWeeks},
			ChangeShippingAddress{id, sub, fmt.Sprint("adr_", n)}, ChangePayment{id, sub, fmt.Sprint("pay_", n)},
		}).Draw(t, "command")
	},
}

var createItem = CreateItem{ItemID: "itm_1", OrderID: "ord_1", Product: "coffee", Quantity: 1, UnitPrice: 1200, Currency: "USD"}

var items = conformance.Suite{
	Aggregate: ItemAggregate(),
	Commands:  ItemCommands(),
	Describe:  Describe,
	Samples: []domain.Event{
		ItemCreated{"itm_1", "ord_1", id, "sub_1", "coffee", "off_1", 1, 1200, "USD"}, ItemQuantityChanged{1, 2}, ItemPriceChanged{1200, 1100},
		ItemProductChanged{"coffee", "tea"}, ItemSubscribed{"sub_1"}, ItemMoved{"ord_1", "ord_2"}, ItemOutOfStock{"ord_1", "ord_2"},
		ItemWasPlaced{"ord_2"}, ItemWasRemoved{"ord_2"},
	},
	Tables: map[string]string{"item": `
		upcoming: place=placed remove=removed
		placed:
		removed:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"item": s.(Item).Status} },
	Reach: map[string][]domain.Command{
		"item.upcoming": {createItem},
		"item.placed":   {createItem, PlaceItem{"itm_1"}},
		"item.removed":  {createItem, RemoveItem{"itm_1"}},
	},
	Moves: map[string]domain.Command{"item.place": PlaceItem{"itm_1"}, "item.remove": RemoveItem{"itm_1"}},
	Silent: []string{
		"item.change_quantity", "item.change_price", "item.change_product", "item.subscribe", "item.move", "item.postpone",
	},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Item).ID == "" {
			return createItem
		}
		if rapid.IntRange(0, 20).Draw(t, "end") == 0 {
			return rapid.SampledFrom([]domain.Command{PlaceItem{"itm_1"}, RemoveItem{"itm_1"}}).Draw(t, "ending")
		}
		n := rapid.Int64Range(1, 2).Draw(t, "n")
		return rapid.SampledFrom([]domain.Command{
			createItem, ChangeItemQuantity{"itm_1", n}, ChangeItemPrice{"itm_1", n}, ChangeItemProduct{"itm_1", fmt.Sprint("tea", n)},
			SubscribeItem{"itm_1", fmt.Sprint("sub_", n)}, MoveItem{"itm_1", fmt.Sprint("ord_", n)}, PostponeItem{"itm_1", fmt.Sprint("ord_", n)},
		}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) {
	for _, suite := range []conformance.Suite{subscribers, items} {
		t.Run(suite.Aggregate.Name, suite.GoldenEvents)
	}
}

func TestContract(t *testing.T) {
	for _, suite := range []conformance.Suite{subscribers, items} {
		t.Run(suite.Aggregate.Name, suite.Run)
	}
}

func FuzzSubscribers(f *testing.F) { subscribers.Fuzz(f) }
func FuzzItems(f *testing.F)       { items.Fuzz(f) }

func TestFirstAndLastSubscription(t *testing.T) {
	s := subscribers.Expect(t, Subscriber{}, create("sub_1"), "subscriber.created", "subscription.created")
	subscribers.Refuse(t, s, create("sub_1"), "its id is taken")
	s = subscribers.Expect(t, s, create("sub_2"), "subscription.created")
	s = subscribers.Expect(t, s, Cancel{id, "sub_1", "too much coffee", "7"}, "subscription.cancelled")
	s = subscribers.Expect(t, s, cancel("sub_2"), "subscription.cancelled", "subscriber.cancelled")
	if sub, _ := s.(Subscriber).Subscription("sub_1"); sub.CancelReason != "too much coffee" || sub.CancelReasonCode != "7" || sub.CancelledAt.IsZero() {
		t.Errorf("%+v", sub)
	}
	again := subscribers.Expect(t, s, Reactivate{id, "sub_1"}, "subscription.reactivated", "subscriber.reactivated")
	if sub, _ := again.(Subscriber).Subscription("sub_1"); sub.CancelReason != "" || !sub.CancelledAt.IsZero() || sub.Status != Live {
		t.Errorf("%+v", sub)
	}
	subscribers.Expect(t, again, Reactivate{id, "sub_2"}, "subscription.reactivated")
	if back := again.(Subscriber); !back.CancelledAt.IsZero() || s.(Subscriber).CancelledAt.IsZero() {
		t.Errorf("cancelled at %v, and then at %v", s.(Subscriber).CancelledAt, back.CancelledAt)
	}
	// A subscriber is created once; a new subscription brings one back.
	subscribers.Expect(t, s, create("sub_3"), "subscription.created", "subscriber.reactivated")
}

func TestChangesOfASubscription(t *testing.T) {
	s := subscribers.Play(t, Subscriber{}, create("sub_1"))
	changes := map[string]domain.Command{
		"subscription.product_changed":          ChangeProduct{id, "sub_1", "tea"},
		"subscription.components_changed":       ChangeComponents{id, "sub_1", []Component{{"leaves", 1}}},
		"subscription.quantity_changed":         ChangeQuantity{id, "sub_1", 2},
		"subscription.frequency_changed":        ChangeFrequency{id, "sub_1", 2, PeriodMonths},
		"subscription.shipping_address_changed": ChangeShippingAddress{id, "sub_1", "adr_2"},
		"subscription.payment_changed":          ChangePayment{id, "sub_1", "pay_2"},
	}
	for name, c := range changes {
		subscribers.Refuse(t, subscribers.Play(t, s, cancel("sub_1")), c, "only a live subscription")
		s = subscribers.Expect(t, s, c, name)
		subscribers.Expect(t, s, c) // the value is there already
	}
	want := Subscription{
		ID: "sub_1", Status: Live, Product: "tea", Components: []Component{{"leaves", 1}}, Quantity: 2, Every: 2, Period: PeriodMonths,
		ShippingAddressID: "adr_2", PaymentID: "pay_2", Metadata: map[string]string{},
	}
	got, _ := s.(Subscriber).Subscription("sub_1")
	want.CreatedAt, want.UpdatedAt = got.CreatedAt, got.UpdatedAt
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v", got)
	}
	for _, c := range []domain.Command{cancel("sub_9"), Reactivate{id, "sub_9"}, ChangeQuantity{id, "sub_9", 1}} {
		subscribers.Missing(t, s, c, "subscription", "sub_9")
	}
	for i := range MaxSubscriptions - 1 {
		s = subscribers.Play(t, s, create(fmt.Sprint("more_", i)))
	}
	subscribers.Refuse(t, s, create("one_more"), "which is the most")
}

func TestAnItemsLife(t *testing.T) {
	s := items.Expect(t, Item{}, createItem, "item.created")
	items.Refuse(t, s, createItem, "its id is taken")
	for _, step := range []struct {
		command domain.Command
		event   string
	}{
		{ChangeItemQuantity{"itm_1", 2}, "item.quantity_changed"}, {ChangeItemPrice{"itm_1", 1100}, "item.price_changed"},
		{ChangeItemProduct{"itm_1", "tea"}, "item.product_changed"}, {SubscribeItem{"itm_1", "sub_1"}, "item.subscribed"},
		{MoveItem{"itm_1", "ord_2"}, "item.moved"}, {PostponeItem{"itm_1", "ord_3"}, "item.out_of_stock"},
	} {
		s = items.Expect(t, s, step.command, step.event)
		items.Expect(t, s, step.command) // the value is there already
		items.Refuse(t, items.Play(t, s, PlaceItem{"itm_1"}), step.command, "only an upcoming item")
	}
	items.Refuse(t, s, SubscribeItem{"itm_1", "sub_2"}, "it is subscription sub_1's already")
	first := s.(Item).OutOfStockAt
	s = EvolveItem(s.(Item), ItemOutOfStock{"ord_3", "ord_4"}, first.Add(time.Hour))
	s = items.Expect(t, s, PlaceItem{"itm_1"}, "item.placed")
	if i := s.(Item); i.OrderID != "ord_4" || i.SubscriptionID != "sub_1" || i.Product != "tea" || i.Quantity != 2 || i.UnitPrice != 1100 ||
		first.IsZero() || i.OutOfStockAt != first || i.PlacedAt.IsZero() {
		t.Errorf("%+v", i)
	}
}

func TestValidate(t *testing.T) {
	subscribers.Invalid(t, Subscriber{}, Create{Components: []Component{{}}, Offer: "\xff", PaymentID: "\xff", ShippingAddressID: "\xff", OrderID: "a b", Metadata: map[string]string{"": ""}},
		"subscriberId", "subscriptionId", "product", "components[0].product", "components[0].quantity", "quantity", "every", "period",
		"offer", "paymentId", "shippingAddressId", "orderId", `metadata[""]`)
	subscribers.Invalid(t, Subscriber{}, Cancel{id, "sub_1", "\xff", "\xff"}, "reason", "reasonCode")
	subscribers.Invalid(t, Subscriber{}, ChangeFrequency{id, "sub_1", MaxEvery + 1, "years"}, "every", "period")
	subscribers.Invalid(t, Subscriber{}, ChangeComponents{id, "sub_1", make([]Component, MaxComponents+1)}, "components")
	subscribers.Invalid(t, Subscriber{}, ChangeProduct{id, "sub_1", ""}, "product")
	subscribers.Invalid(t, Subscriber{}, ChangeShippingAddress{id, "sub_1", ""}, "shippingAddressId")
	subscribers.Invalid(t, Subscriber{}, ChangePayment{id, "sub_1", ""}, "paymentId")
	items.Invalid(t, Item{}, CreateItem{ItemID: "a b", CustomerID: "a b", SubscriptionID: "a b", Offer: "\xff", UnitPrice: -1},
		"itemId", "orderId", "customerId", "subscriptionId", "product", "offer", "quantity", "unitPrice", "currency")
	items.Invalid(t, Item{}, ChangeItemPrice{"itm_1", -1}, "unitPrice")
	items.Invalid(t, Item{}, SubscribeItem{}, "itemId", "subscriptionId")
	items.Invalid(t, Item{}, MoveItem{}, "itemId", "orderId")
	items.Invalid(t, Item{}, PostponeItem{}, "itemId", "orderId")
}
