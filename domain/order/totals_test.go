package order

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
)

// Whatever a valid command orders, at the limits and up to as many items as there may be, is summed up as it is without limits: no sum
// wraps around and lets a total pass that is too large, or negative.
func TestSumsDoNotOverflow(t *testing.T) {
	t.Parallel()
	amount := rapid.SampledFrom([]int64{0, 1, 999_999_999_999, MaxAmount})
	drawAdjustments := func(t *rapid.T) []AdjustmentInput {
		list := make([]AdjustmentInput, rapid.SampledFrom([]int{0, 1, 2, 3, MaxAdjustments}).Draw(t, "adjustments"))
		for i := range list {
			list[i] = AdjustmentInput{ID: fmt.Sprint("adj_", i), Kind: rapid.SampledFrom([]string{AdjustmentTax, AdjustmentFee, AdjustmentPromotion, AdjustmentPromotion}).Draw(t, "kind"), Amount: amount.Draw(t, "amount")}
			if list[i].Kind == AdjustmentPromotion {
				list[i].Amount = -list[i].Amount
			}
		}
		return list
	}
	rapid.Check(t, func(t *rapid.T) {
		c := Create{OrderID: id, Currency: "USD", ShippingAmount: amount.Draw(t, "shipping"), Adjustments: drawAdjustments(t)}
		quantity := rapid.SampledFrom([]int64{1, 1000, MaxQuantity}).Draw(t, "quantity")
		item := LineItemInput{Quantity: quantity, UnitPrice: rapid.SampledFrom([]int64{0, 1, MaxAmount / quantity}).Draw(t, "price"), Adjustments: drawAdjustments(t)}
		want := big.NewInt(c.ShippingAmount)
		add := func(adjustments []AdjustmentInput) {
			for _, a := range adjustments {
				want.Add(want, big.NewInt(a.Amount))
			}
		}
		add(c.Adjustments)
		for i := range rapid.SampledFrom([]int{1, 1, 1, 2, 2, 2, 3, 3, 3, MaxLineItems}).Draw(t, "items") {
			item.ID = fmt.Sprint("li_", i)
			c.LineItems = append(c.LineItems, item)
			want.Add(want, new(big.Int).Mul(big.NewInt(item.Quantity), big.NewInt(item.UnitPrice)))
			add(item.Adjustments)
		}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		events, err := Decide(Order{}, c)
		legal := want.Sign() >= 0 && want.Cmp(big.NewInt(MaxAmount)) <= 0
		if invalid, ok := err.(*domain.InvalidCommandError); legal != (err == nil) || !legal && !ok {
			t.Fatalf("a total of %s: %v, %v", want, invalid, err)
		}
		if o := fold(Order{}, events); legal && o.Total != want.Int64() {
			t.Fatalf("a total of %s became %d", want, o.Total)
		}
	})
}

// As many payments as there may be, each as large as it may be, leave the ledger what it is by arithmetic.
func TestLedgerDoesNotOverflow(t *testing.T) {
	t.Parallel()
	o := play(t, Order{}, Create{OrderID: id, Currency: "USD", Customer: &Customer{ID: "cus_1"}, LineItems: []LineItemInput{{ID: "li_1", Quantity: 1, UnitPrice: MaxAmount}}})
	for i := range MaxPayments {
		pay := fmt.Sprint("pay_", i)
		o = play(t, o, Authorize{OrderID: id, PaymentID: pay, Amount: MaxAmount, Currency: "USD"},
			Capture{OrderID: id, PaymentID: pay, Amount: MaxAmount}, Refund{OrderID: id, PaymentID: pay, Amount: MaxAmount - 1})
	}
	if o.AuthorizedTotal != MaxPayments*MaxAmount || o.CapturedTotal != MaxPayments*MaxAmount || o.RefundedTotal != MaxPayments*(MaxAmount-1) || o.Open() != 0 {
		t.Errorf("authorized %d, captured %d, refunded %d, open %d", o.AuthorizedTotal, o.CapturedTotal, o.RefundedTotal, o.Open())
	}
}
