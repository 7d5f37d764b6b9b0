package waybill_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/stock"
	"github.com/waybill-dev/waybill/domain/subscription"
)

// Subscribers know events by their names alone, and people machines.
func TestAggregatesShareNoNames(t *testing.T) {
	t.Parallel()
	events, machines := map[string]string{}, map[string]string{}
	for _, a := range waybill.Aggregates() {
		for _, e := range a.Codec.Types() {
			if other, taken := events[e.Name]; taken {
				t.Errorf("%s and %s both have an event %s", other, a.Name, e.Name)
			}
			events[e.Name] = a.Name
		}
		for _, m := range a.Machines {
			if other, taken := machines[m.Name]; taken {
				t.Errorf("%s and %s both have a machine %s", other, a.Name, m.Name)
			}
			machines[m.Name] = a.Name
		}
	}
}

// An engine without any configuration runs every aggregate, from its first command, through the log, to its state.
func TestEngineRunsEveryAggregate(t *testing.T) {
	t.Parallel()
	engine, _ := newEngine(t, waybill.Config{CacheSize: -1}) // every read folds the log
	person := customer.Person{Email: "customer@example.com"}
	tried := map[string]bool{"order": true}
	for _, test := range []struct {
		first  domain.Command
		prefix string // of the id that the engine makes; empty where the caller gives it
		then   func(id string) domain.Command
		event  string
		check  func(domain.State) bool
	}{
		{
			stock.Create{SKU: "sku-1", Location: "Berlin", OnHand: 1}, "si_",
			func(id string) domain.Command { return stock.Reserve{StockItemID: id, Quantity: 1} }, "stock_item.out_of_stock",
			func(s domain.State) bool { return s.(stock.Item).Status == stock.StatusOutOfStock },
		},
		{
			batch.Create{Expected: 1}, "ob_",
			func(id string) domain.Command { return batch.AddOrder{BatchID: id, OrderID: "ord_1"} }, "order_batch.completed",
			func(s domain.State) bool { return s.(batch.Batch).Has("ord_1") },
		},
		{
			gift.Create{OrderID: "ord_1"}, "gif_",
			func(id string) domain.Command { return gift.Open{GiftID: id} }, "gift.opened",
			func(s domain.State) bool { return s.(gift.Gift).Status == gift.StatusOpened },
		},
		{
			customer.Create{Person: person}, "cus_",
			func(id string) domain.Command { return customer.RecordOrder{CustomerID: id, OrderID: "ord_1"} }, "customer.acquired",
			func(s domain.State) bool { return s.(customer.Customer).Person == person },
		},
		{
			customer.CreateSubscription{Person: person}, "cs_",
			func(id string) domain.Command { return customer.DestroySubscription{SubscriptionID: id} }, "customer_subscription.destroyed",
			func(s domain.State) bool { return s.(customer.Subscription).Status == customer.SubscriptionDestroyed },
		},
		{
			customer.CreatePasswordReset{CustomerID: "cus_1", Person: person}, "cpr_",
			func(id string) domain.Command { return customer.DestroyPasswordReset{PasswordResetID: id} }, "customer_password_reset.destroyed",
			func(s domain.State) bool { return s.(customer.PasswordReset).Status == customer.PasswordResetDestroyed },
		},
		{
			imports.Create{ResourceType: "customers", Inputs: 1}, "imp_",
			func(id string) domain.Command { return imports.Start{ImportID: id} }, "import.started",
			func(s domain.State) bool { return s.(imports.Import).Status == imports.StatusStarted },
		},
		{
			subscription.Create{SubscriberID: "cus_1", SubscriptionID: "sub_1", Product: "coffee", Quantity: 1, Every: 2, Period: subscription.PeriodWeeks}, "",
			func(id string) domain.Command { return subscription.Cancel{SubscriberID: id, SubscriptionID: "sub_1"} }, "subscriber.cancelled",
			func(s domain.State) bool {
				return s.(subscription.Subscriber).Status == subscription.SubscriberCancelled
			},
		},
		{
			subscription.CreateItem{OrderID: "ord_1", Product: "coffee", Quantity: 1, Currency: "USD"}, "ite_",
			func(id string) domain.Command { return subscription.RemoveItem{ItemID: id} }, "item.removed",
			func(s domain.State) bool { return s.(subscription.Item).Status == subscription.ItemRemoved },
		},
	} {
		name := test.first.StreamID().Aggregate
		tried[name] = true
		result := must(t)(engine.Execute(t.Context(), test.first))
		if !strings.HasPrefix(result.ID, test.prefix) {
			t.Errorf("%s: the id is %s", name, result.ID)
		}
		result = must(t)(engine.Execute(t.Context(), test.then(result.ID)))
		if last := result.Events[len(result.Events)-1]; last.Type != test.event {
			t.Errorf("%s: the last event is %s, want %s", name, last.Type, test.event)
		}
		state, version, err := engine.State(t.Context(), domain.StreamID{Aggregate: name, ID: result.ID})
		if err != nil || version != result.Version || !test.check(state) {
			t.Errorf("%s: %+v, %d, %v", name, state, version, err)
		}
		var notFound *domain.NotFoundError
		if _, _, err := engine.State(t.Context(), domain.StreamID{Aggregate: name, ID: "none"}); !errors.As(err, &notFound) || notFound.Kind != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, a := range waybill.Aggregates() {
		if !tried[a.Name] {
			t.Errorf("%s is not in this test", a.Name)
		}
	}
}
