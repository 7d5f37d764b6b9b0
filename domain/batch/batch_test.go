package batch

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "bat_1"

var suite = conformance.Suite{
	Aggregate: Aggregate(),
	Commands:  Commands(),
	Describe:  Describe,
	Samples: []domain.Event{
		Created{BatchID: id, Name: "Thank you", Expected: 2, SendAt: time.Date(2026, 5, 1, 8, 30, 0, 0, time.UTC)},
		OrderAdded{OrderID: "ord_1"}, OrderDropped{Reason: "no address"}, Completed{},
	},
	Tables: map[string]string{"order_batch": `
		pending: complete=completed
		completed:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"order_batch": s.(Batch).Status} },
	Reach: map[string][]domain.Command{
		"order_batch.pending":   {Create{BatchID: id, Expected: 1}},
		"order_batch.completed": {Create{BatchID: id, Expected: 1}, AddOrder{id, "ord_1"}},
	},
	Moves:  map[string]domain.Command{"order_batch.complete": AddOrder{id, "ord_2"}},
	Silent: []string{"order_batch.add_order"},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Batch).ID == "" {
			return Create{BatchID: id, Expected: rapid.IntRange(1, 5).Draw(t, "expected")}
		}
		return rapid.SampledFrom([]domain.Command{
			Create{BatchID: id, Expected: 1}, DropOrder{id, ""},
			AddOrder{id, fmt.Sprintf("ord_%d", rapid.IntRange(1, 6).Draw(t, "order"))},
		}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) { suite.GoldenEvents(t) }
func TestContract(t *testing.T)     { suite.Run(t) }
func FuzzCommands(f *testing.F)     { suite.Fuzz(f) }

func TestTheLastOrderCompletesIt(t *testing.T) {
	s := suite.Expect(t, Batch{}, Create{BatchID: id, Expected: 3}, "order_batch.created")
	s = suite.Expect(t, s, AddOrder{id, "ord_1"}, "order_batch.order_added")
	s = suite.Expect(t, s, AddOrder{id, "ord_1"})
	s = suite.Expect(t, s, AddOrder{id, "ord_2"}, "order_batch.order_added")
	added := suite.Expect(t, s, AddOrder{id, "ord_3"}, "order_batch.order_added", "order_batch.completed")
	suite.Expect(t, added, AddOrder{id, "ord_3"})
	suite.Refuse(t, added, AddOrder{id, "ord_4"}, "")
	suite.Refuse(t, added, DropOrder{id, ""}, "")
	suite.Refuse(t, added, Create{BatchID: id, Expected: 1}, "its id is taken")

	// Or fewer are expected.
	dropped := suite.Expect(t, s, DropOrder{id, "no address"}, "order_batch.order_dropped", "order_batch.completed").(Batch)
	if dropped.Expected != 2 || dropped.Status != StatusCompleted || dropped.CompletedAt.IsZero() || !dropped.Has("ord_2") || dropped.Has("ord_3") {
		t.Errorf("%+v", dropped)
	}
	suite.Refuse(t, suite.Play(t, Batch{}, Create{BatchID: id, Expected: 1}), DropOrder{id, ""}, "one order only")
}

func TestValidate(t *testing.T) {
	suite.Invalid(t, Batch{}, Create{BatchID: "a b", Name: "\xff", SendAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "batchId", "name", "expected", "sendAt")
	suite.Invalid(t, Batch{}, Create{Expected: MaxOrders + 1}, "expected")
	suite.Invalid(t, Batch{}, AddOrder{}, "batchId", "orderId")
	suite.Invalid(t, Batch{}, DropOrder{"", "\xff"}, "batchId", "reason")
}

// The largest batch still fits into a webhook's body.
func TestLargestBatch(t *testing.T) {
	s := suite.Play(t, Batch{}, Create{BatchID: id, Expected: MaxOrders})
	for i := range MaxOrders {
		s = suite.Play(t, s, AddOrder{id, fmt.Sprintf("%064d", i)})
	}
	if b := s.(Batch); b.Status != StatusCompleted || len(b.OrderIDs) != MaxOrders {
		t.Errorf("%d orders, %s", len(b.OrderIDs), b.Status)
	}
}
