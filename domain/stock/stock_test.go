package stock

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "sku_1_berlin"

func create(onHand int64) Create {
	return Create{StockItemID: id, SKU: "sku-1", Location: "Berlin", OnHand: onHand}
}

var suite = conformance.Suite{
	Aggregate: Aggregate(),
	Commands:  Commands(),
	Describe:  Describe,
	Samples: []domain.Event{
		Created{StockItemID: id, SKU: "sku-1", Location: "Berlin", OnHand: 7},
		Received{Quantity: 5, Reference: "po_1"}, Reserved{Quantity: 2, Reference: "ord_1"}, Released{Quantity: 1, Reference: "ord_1"},
		Issued{Quantity: 1, Reference: "ord_1"}, Adjusted{Change: -3, Reason: "broken"}, OutOfStock{}, BackInStock{}, Destroyed{},
	},
	Tables: map[string]string{"stock_item": `
		in_stock: destroy=destroyed run_out=out_of_stock
		out_of_stock: come_back=in_stock destroy=destroyed
		destroyed:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"stock_item": s.(Item).Status} },
	Reach: map[string][]domain.Command{
		"stock_item.in_stock":     {create(3)},
		"stock_item.out_of_stock": {create(0)},
		"stock_item.destroyed":    {create(3), Destroy{id}},
	},
	Moves:  map[string]domain.Command{"stock_item.destroy": Destroy{id}, "stock_item.run_out": nil, "stock_item.come_back": nil},
	Silent: []string{"stock_item.adjust"},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Item).ID == "" {
			return create(rapid.Int64Range(0, 3).Draw(t, "on hand"))
		}
		n := rapid.Int64Range(1, 3).Draw(t, "quantity")
		if rapid.IntRange(0, 40).Draw(t, "end") == 0 {
			return Destroy{id}
		}
		return rapid.SampledFrom([]domain.Command{
			create(n), Receive{id, n, ""}, Reserve{id, n, "ord_1"}, Release{id, n, ""}, Issue{id, n, ""}, Adjust{id, n - 2, ""},
		}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) { suite.GoldenEvents(t) }
func TestContract(t *testing.T)     { suite.Run(t) }
func FuzzCommands(f *testing.F)     { suite.Fuzz(f) }

// Every number that can be reached is what the events add up to, and the status is what the number says.
func TestNumbersAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var i Item
		var onHand, reserved int64
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			events, _ := Decide(i, suite.Draw(t, i))
			told := i.Status
			for _, e := range events {
				i = Evolve(i, e, i.UpdatedAt)
				switch e := e.(type) {
				case Created:
					onHand, told = e.OnHand, i.Status
				case Received:
					onHand += e.Quantity
				case Reserved:
					reserved += e.Quantity
				case Released:
					reserved -= e.Quantity
				case Issued:
					onHand, reserved = onHand-e.Quantity, reserved-e.Quantity
				case Adjusted:
					onHand += e.Change
				case OutOfStock:
					if told == StatusOutOfStock {
						t.Fatal("it runs out twice")
					}
					told = StatusOutOfStock
				case BackInStock:
					if told == StatusInStock {
						t.Fatal("it comes back twice")
					}
					told = StatusInStock
				case Destroyed:
					told = StatusDestroyed
				}
			}
			if i.OnHand != onHand || i.Reserved != reserved || i.Available != onHand-reserved || onHand < 0 || reserved < 0 {
				t.Fatalf("%+v; events add up to %d on hand, %d reserved", i, onHand, reserved)
			}
			if i.Status != told || i.Status != StatusDestroyed && i.ID != "" && (i.Status == StatusInStock) != (i.Available > 0) {
				t.Fatalf("%d are available, the status is %s, and %s was told", i.Available, i.Status, told)
			}
		}
	})
}

func TestRunningOutAndComingBack(t *testing.T) {
	s := suite.Expect(t, Item{}, create(0), "stock_item.created") // born out of stock: nothing changed
	s = suite.Expect(t, s, Receive{id, 2, "po_1"}, "stock_item.received", "stock_item.back_in_stock")
	s = suite.Expect(t, s, Receive{id, 1, "po_2"}, "stock_item.received")
	s = suite.Expect(t, s, Reserve{id, 2, "ord_1"}, "stock_item.reserved")
	s = suite.Expect(t, s, Reserve{id, 1, "ord_2"}, "stock_item.reserved", "stock_item.out_of_stock")
	s = suite.Expect(t, s, Issue{id, 2, "ord_1"}, "stock_item.issued") // what leaves was not available anyhow
	s = suite.Expect(t, s, Release{id, 1, "ord_2"}, "stock_item.released", "stock_item.back_in_stock")
	s = suite.Expect(t, s, Adjust{id, -1, "broken"}, "stock_item.adjusted", "stock_item.out_of_stock")
	s = suite.Expect(t, s, Adjust{id, 0, ""})
	s = suite.Expect(t, s, Adjust{id, 1, "found"}, "stock_item.adjusted", "stock_item.back_in_stock")

	// Less than is reserved: below zero is as much out of stock as zero, and needs two more to be back.
	s = suite.Expect(t, s, Reserve{id, 1, "ord_3"}, "stock_item.reserved", "stock_item.out_of_stock")
	s = suite.Expect(t, s, Adjust{id, -1, "lost"}, "stock_item.adjusted")
	suite.Refuse(t, s, Issue{id, 1, ""}, "1 are reserved and 0 on hand")
	s = suite.Expect(t, s, Receive{id, 1, ""}, "stock_item.received")
	s = suite.Expect(t, s, Receive{id, 1, ""}, "stock_item.received", "stock_item.back_in_stock")
	if i := s.(Item); i.OnHand != 2 || i.Reserved != 1 || i.Available != 1 || i.Status != StatusInStock {
		t.Errorf("%+v", i)
	}
}

func TestGuards(t *testing.T) {
	s := suite.Play(t, Item{}, create(3), Reserve{id, 2, ""})
	suite.Refuse(t, s, create(1), "its id is taken")
	suite.Refuse(t, s, Reserve{id, 2, ""}, "1 are available, less than 2")
	suite.Refuse(t, s, Release{id, 3, ""}, "2 are reserved, less than 3")
	suite.Refuse(t, s, Issue{id, 3, ""}, "2 are reserved and 3 on hand, less than 3")
	suite.Refuse(t, s, Adjust{id, -4, ""}, "-1 would be on hand")
	suite.Refuse(t, s, Adjust{id, MaxQuantity, ""}, "would be on hand")
	suite.Refuse(t, s, Receive{id, MaxQuantity, ""}, "would be more than")
	suite.Refuse(t, s, Destroy{id}, "2 are reserved")
	suite.Expect(t, suite.Play(t, s, Issue{id, 2, ""}), Destroy{id}, "stock_item.destroyed")
}

func TestValidate(t *testing.T) {
	suite.Invalid(t, Item{}, Create{StockItemID: "a b", OnHand: -1}, "stockItemId", "sku", "location", "onHand")
	suite.Invalid(t, Item{}, Create{SKU: "\xff", Location: "a\x00"}, "sku", "location")
	for _, c := range []domain.Command{Receive{id, 0, "\xff"}, Reserve{id, 0, "\xff"}, Release{id, 0, "\xff"}, Issue{id, -1, "\xff"}} {
		suite.Invalid(t, Item{}, c, "quantity", "reference")
	}
	suite.Invalid(t, Item{}, Receive{id, MaxQuantity + 1, ""}, "quantity")
	suite.Invalid(t, Item{}, Adjust{"", MaxQuantity + 1, "\xff"}, "stockItemId", "change", "reason")
}
