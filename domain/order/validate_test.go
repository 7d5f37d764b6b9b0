package order

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

func TestInvalidCommands(t *testing.T) {
	long, bad, nul := strings.Repeat("é", MaxText+1), "\xff", "a\x00b"
	with := func(change func(*Create)) Create {
		c := newOrder()
		change(&c)
		return c
	}
	item := func(change func(*LineItemInput)) Create {
		return with(func(c *Create) { change(&c.LineItems[0]) })
	}
	adjust := func(a AdjustmentInput) Create {
		return with(func(c *Create) { c.Adjustments = []AdjustmentInput{a} })
	}
	pay := func(change func(*Authorize)) Authorize {
		c := authorize("pay_1", 1)
		change(&c)
		return c
	}
	many := func(n int) (items []LineItemInput) {
		for i := range n {
			items = append(items, LineItemInput{ID: fmt.Sprintf("li_%d", i), Quantity: 1})
		}
		return items
	}
	for i, c := range []struct {
		command domain.Command
		fields  []string // none for a command that is valid
	}{
		{newOrder(), nil},
		{with(func(c *Create) { c.OrderID = strings.Repeat("a", 64) }), nil},
		{with(func(c *Create) { c.OrderID = strings.Repeat("a", 65) }), []string{"orderId"}},
		{with(func(c *Create) { c.OrderID = "a/b" }), []string{"orderId"}},
		{with(func(c *Create) { c.OrderID = "é" }), []string{"orderId"}},
		{with(func(c *Create) { c.OrderID = "a\n" }), []string{"orderId"}},
		{Submit{""}, []string{"orderId"}},
		{Update{}, []string{"orderId"}},
		{with(func(c *Create) { c.Currency = "usd" }), []string{"currency"}},
		{with(func(c *Create) { c.Currency = "" }), []string{"currency"}},
		{with(func(c *Create) { c.Currency = "USDT" }), []string{"currency"}},
		{with(func(c *Create) { c.Currency = strings.Repeat("é", 1<<20) }), []string{"currency"}},

		{with(func(c *Create) { c.Number = strings.Repeat("é", MaxText) }), nil},
		{with(func(c *Create) { c.Number = long }), []string{"number"}},
		{with(func(c *Create) { c.Number = bad }), []string{"number"}},
		{with(func(c *Create) { c.Number = nul }), []string{"number"}},
		{with(func(c *Create) { c.Channel, c.StoreID, c.CheckoutSessionID, c.SubscriptionID = bad, bad, bad, bad }), []string{"channel", "storeId", "checkoutSessionId", "subscriptionId"}},
		{with(func(c *Create) { c.Note = strings.Repeat("a", MaxNote) }), nil},
		{with(func(c *Create) { c.Note = strings.Repeat("a", MaxNote+1) }), []string{"note"}},
		{with(func(c *Create) { c.Email = "ada" }), []string{"email"}},
		{with(func(c *Create) { c.Email = "@ada" }), []string{"email"}},
		{with(func(c *Create) { c.Email = "ada@" }), []string{"email"}},
		{with(func(c *Create) { c.Email = "a da@example.com" }), []string{"email"}},
		{with(func(c *Create) { c.Email = "ada@example.com\r\nBcc: eve@example.com" }), []string{"email"}},
		{with(func(c *Create) { c.Customer = &Customer{Name: "Ada"} }), []string{"customer"}},
		{with(func(c *Create) { c.Customer = &Customer{ID: bad, Name: bad, ExternalID: nul} }), []string{"customer.id", "customer.name", "customer.externalId"}},
		{with(func(c *Create) { c.ShippingAddress = &Address{City: bad, Address1: long} }), []string{"shippingAddress.address1", "shippingAddress.city"}},
		{with(func(c *Create) {
			c.BillingAddress = &Address{ID: bad, FirstName: bad, LastName: bad, Company: bad, Address2: bad, PostalCode: bad, State: bad, StateName: bad, Country: bad, Phone: bad, AlternativePhone: bad}
		}),
			[]string{"billingAddress.id", "billingAddress.firstName", "billingAddress.lastName", "billingAddress.company", "billingAddress.address2", "billingAddress.postalCode", "billingAddress.state", "billingAddress.stateName", "billingAddress.country", "billingAddress.phone", "billingAddress.alternativePhone"}},
		{with(func(c *Create) { c.CartURL = "javascript:alert(1)" }), []string{"cartUrl"}},
		{with(func(c *Create) { c.CartURL = "/cart" }), []string{"cartUrl"}},
		{with(func(c *Create) { c.CartURL = "https://example.com/cart?a=b" }), nil},
		{with(func(c *Create) { c.IPAddress = "::1" }), nil},
		{with(func(c *Create) { c.IPAddress = "localhost" }), []string{"ipAddress"}},
		{with(func(c *Create) { c.PlaceAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }), []string{"placeAt"}},
		{with(func(c *Create) { c.PlaceAt = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }), []string{"placeAt"}},

		{with(func(c *Create) { c.Metadata = map[string]string{"a": strings.Repeat("x", MaxMetadata-1)} }), nil},
		{with(func(c *Create) { c.Metadata = map[string]string{"a": strings.Repeat("x", MaxMetadata)} }), []string{"metadata"}},
		{with(func(c *Create) { c.Metadata = map[string]string{"a": strings.Repeat("x", 1<<20)} }), []string{"metadata"}},
		{with(func(c *Create) { c.Metadata = map[string]string{"a": bad} }), []string{`metadata["a"]`}},
		{with(func(c *Create) { c.Metadata = map[string]string{"": ""} }), []string{`metadata[""]`}},
		{with(func(c *Create) { c.Metadata = map[string]string{nul: ""} }), []string{`metadata["a\x00b"]`}},
		{with(func(c *Create) {
			c.Metadata = map[string]string{}
			for i := range check.MaxKeys + 1 {
				c.Metadata[fmt.Sprint(i)] = ""
			}
		}), []string{"metadata"}},

		{with(func(c *Create) { c.LineItems = many(MaxLineItems) }), nil},
		{with(func(c *Create) { c.LineItems = many(MaxLineItems + 1) }), []string{"lineItems"}},
		{with(func(c *Create) { c.LineItems[1].ID = "li_1" }), []string{"lineItems[1].id"}},
		{item(func(l *LineItemInput) { l.ID = "" }), []string{"lineItems[0].id"}},
		{item(func(l *LineItemInput) { l.Name, l.SKU, l.ImageURL = long, bad, "ftp://example.com" }), []string{"lineItems[0].name", "lineItems[0].sku", "lineItems[0].imageUrl"}},
		{item(func(l *LineItemInput) { l.Quantity = 0 }), []string{"lineItems[0].quantity"}},
		{item(func(l *LineItemInput) { l.Quantity = -1 }), []string{"lineItems[0].quantity"}},
		{item(func(l *LineItemInput) { l.Quantity = MaxQuantity }), nil},
		{item(func(l *LineItemInput) { l.Quantity = MaxQuantity + 1 }), []string{"lineItems[0].quantity"}},
		{item(func(l *LineItemInput) { l.UnitPrice = -1 }), []string{"lineItems[0].unitPrice"}},
		{item(func(l *LineItemInput) { l.UnitPrice = math.MaxInt64 }), []string{"lineItems[0].unitPrice"}},
		{item(func(l *LineItemInput) { l.UnitPrice, l.Quantity = math.MaxInt64, math.MaxInt64 }), []string{"lineItems[0].quantity", "lineItems[0].unitPrice"}},
		{item(func(l *LineItemInput) { l.UnitPrice, l.Quantity = MaxAmount/2+1, 2 }), []string{"lineItems[0]"}},
		{item(func(l *LineItemInput) { l.UnitPrice, l.Quantity = MaxAmount, MaxQuantity }), []string{"lineItems[0]"}},
		{item(func(l *LineItemInput) { l.Adjustments[0].Amount = -1 }), []string{"lineItems[0].adjustments[0].amount"}},
		{item(func(l *LineItemInput) { l.Adjustments = append(l.Adjustments, l.Adjustments[0]) }), []string{"lineItems[0].adjustments[1].id"}},
		{with(func(c *Create) { c.Adjustments = make([]AdjustmentInput, MaxAdjustments+1) }), []string{"adjustments"}},
		{adjust(AdjustmentInput{ID: "a", Kind: AdjustmentFee, Amount: -1}), []string{"adjustments[0].amount"}},
		{adjust(AdjustmentInput{ID: "a", Kind: AdjustmentPromotion, Amount: 1}), []string{"adjustments[0].amount"}},
		{adjust(AdjustmentInput{ID: "a", Kind: AdjustmentPromotion, Amount: math.MinInt64}), []string{"adjustments[0].amount"}},
		{adjust(AdjustmentInput{ID: "a", Kind: AdjustmentPromotion, Included: true}), []string{"adjustments[0].included"}},
		{adjust(AdjustmentInput{ID: "a", Kind: "coupon"}), []string{"adjustments[0].kind"}},
		{adjust(AdjustmentInput{ID: "a", Kind: AdjustmentTax, Label: bad, SourceType: nul, PromotionCode: long}), []string{"adjustments[0].label", "adjustments[0].sourceType", "adjustments[0].promotionCode"}},
		{with(func(c *Create) { c.ShippingAmount = -1 }), []string{"shippingAmount"}},
		{with(func(c *Create) { c.ShippingAmount = MaxAmount + 1 }), []string{"shippingAmount"}},

		{pay(func(*Authorize) {}), nil},
		{pay(func(c *Authorize) { c.Amount = 0 }), []string{"amount"}},
		{pay(func(c *Authorize) { c.Amount = -1 }), []string{"amount"}},
		{pay(func(c *Authorize) { c.Amount = MaxAmount }), nil},
		{pay(func(c *Authorize) { c.Amount = MaxAmount + 1 }), []string{"amount"}},
		{pay(func(c *Authorize) { c.Currency = "us" }), []string{"currency"}},
		{pay(func(c *Authorize) { c.PaymentID, c.Method, c.Reference = "", bad, long }), []string{"paymentId", "method", "reference"}},
		{RecordFailedPayment{id, "p", 0, "USD", "", "", ""}, nil},
		{RecordFailedPayment{id, "p", -1, "", bad, bad, bad}, []string{"amount", "currency", "method", "reference", "reason"}},
		{capture("", 0), []string{"paymentId", "amount"}},
		{capture("p", -5), []string{"amount"}},
		{void("p", 0), nil},
		{void("p", -1), []string{"amount"}},
		{Refund{id, "", 0, bad}, []string{"paymentId", "amount", "reason"}},
		{Cancel{id, nul, bad}, []string{"reason", "cancelledBy"}},
		{FailPlacement{id, bad}, []string{"reason"}},
		{RejectPlacement{id, bad}, []string{"reason"}},

		{ship1("shp_1", 1), nil},
		{ship1("", 0), []string{"shipmentId", "lineItems[0].quantity"}},
		{CreateShipment{OrderID: id, ShipmentID: "s"}, []string{"lineItems"}},
		{CreateShipment{OrderID: id, ShipmentID: "s", LineItems: make([]ShipmentLineItem, MaxLineItems+1)}, []string{"lineItems"}},
		{CreateShipment{OrderID: id, ShipmentID: "s", LineItems: []ShipmentLineItem{{"li_1", 1}, {"li_1", 1}}}, []string{"lineItems[1].lineItemId"}},
		{CreateShipment{OrderID: id, ShipmentID: "s", Number: bad, Cost: -1, LineItems: []ShipmentLineItem{{"", 1}}, Adjustments: []AdjustmentInput{{}}, Metadata: map[string]string{"a": strings.Repeat("x", MaxShipmentMetadata)}},
			[]string{"number", "cost", "lineItems[0].lineItemId", "adjustments[0].id", "adjustments[0].kind", "metadata"}},
		{HoldShipment{id, "", bad}, []string{"shipmentId", "reason"}},
		{CancelShipment{"", "s", bad}, []string{"orderId", "reason"}},
		{CreateParcel{id, "", "", bad, long, "javascript:alert(1)", "//x"}, []string{"shipmentId", "parcelId", "carrier", "trackingNumber", "trackingUrl", "labelUrl"}},
		{DestroyParcel{"", "s", "p"}, []string{"orderId"}},
		{SetTracking{id, "s", "p", &bad, &nul, &bad, nil}, []string{"carrier", "trackingNumber", "trackingUrl", "trackingUrl"}},
		{SetCarrierStatus{id, "s", "p", "lost", bad, nul}, []string{"status", "statusDetail", "trackingDetail"}},
		{SetCarrierStatus{id, "s", "p", "", "", ""}, []string{"status"}},
	} {
		if c.fields != nil {
			invalid(t, Order{}, c.command, c.fields...)
		} else if err := c.command.Validate(); err != nil {
			t.Errorf("case %d: %v", i, err)
		}
	}
}

// The zero value of every command but Create, whose id may be generated, lacks at least the order's id.
func TestEveryCommandNeedsTheOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Commands() {
		if seen[c.CommandName()] {
			t.Errorf("two commands are named %s", c.CommandName())
		}
		seen[c.CommandName()] = true
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), c.CommandName()+" is invalid: ") {
			t.Errorf("%s: %v", c.CommandName(), err)
		}
		if creator, ok := c.(domain.Creator); ok {
			c = creator.WithID("ord_7")
			if _, err := Decide(Order{}, creator); err == nil {
				t.Errorf("%s is decided without an id", c.CommandName())
			}
		} else if !strings.Contains(fmt.Sprint(err), "orderId") {
			t.Errorf("%s: %v", c.CommandName(), err)
		} else {
			v := reflect.New(reflect.TypeOf(c)).Elem()
			v.FieldByName("OrderID").SetString("ord_7")
			c = v.Interface().(domain.Command)
		}
		if c.StreamID() != (domain.StreamID{Aggregate: "order", ID: "ord_7"}) {
			t.Errorf("%s goes to %s", c.CommandName(), c.StreamID())
		}
	}
}

func TestOnlyTheOrderTells(t *testing.T) {
	o := play(t, Order{}, newOrder())
	euros := authorize("pay_1", 1)
	euros.Currency = "EUR"
	invalid(t, o, euros, "currency")
	invalid(t, o, RecordFailedPayment{OrderID: id, PaymentID: "pay_1", Currency: "EUR"}, "currency")

	promotion := func(amount int64) []AdjustmentInput {
		return []AdjustmentInput{{ID: "adj_2", Kind: AdjustmentPromotion, Amount: amount}}
	}
	invalid(t, o, Update{OrderID: id, Adjustments: promotion(-1064)}, "lineItems")
	expect(t, o, Update{OrderID: id, Adjustments: promotion(-1063)}, "order.updated", "order.freed")
	c := newOrder()
	c.Adjustments = promotion(-2000)
	invalid(t, Order{}, c, "lineItems")

	// The largest order there can be, and one that is larger though each of its amounts is allowed.
	c = newOrder()
	c.LineItems[0] = LineItemInput{ID: "li_1", Quantity: MaxQuantity, UnitPrice: MaxAmount / MaxQuantity}
	if o := play(t, Order{}, c); o.Total != MaxAmount || o.ItemCount != MaxQuantity+1 {
		t.Errorf("%d items for %d", o.ItemCount, o.Total)
	}
	c.ShippingAmount = 1
	invalid(t, Order{}, c, "lineItems")
	var items []LineItemInput
	for i := range MaxLineItems {
		items = append(items, LineItemInput{ID: fmt.Sprintf("li_%d", i), Quantity: 1, UnitPrice: MaxAmount})
	}
	invalid(t, o, Update{OrderID: id, LineItems: items}, "lineItems")
}

func TestTotals(t *testing.T) {
	o := play(t, Order{}, Create{
		OrderID: id, Currency: "USD", ShippingAmount: 500,
		LineItems: []LineItemInput{
			{ID: "li_1", Quantity: 3, UnitPrice: 1000, Adjustments: []AdjustmentInput{
				{ID: "a", Kind: AdjustmentTax, Amount: 63}, {ID: "b", Kind: AdjustmentPromotion, Amount: -300}}},
			{ID: "li_2", Quantity: 1, UnitPrice: 250, Adjustments: []AdjustmentInput{{ID: "a", Kind: AdjustmentTax, Amount: 40, Included: true}}},
		},
		Adjustments: []AdjustmentInput{{ID: "a", Kind: AdjustmentFee, Amount: 7}, {ID: "b", Kind: AdjustmentPromotion, Amount: -100}, {ID: "c", Kind: AdjustmentTax, Amount: 5}},
	})
	got := [...]int64{o.ItemCount, o.ItemTotal, o.ShippingTotal, o.AdjustmentTotal, o.TaxTotal, o.PromotionTotal, o.IncludedTaxTotal, o.Total}
	if want := [...]int64{4, 3250, 500, -325, 68, -400, 40, 3425}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if o.LineItems[0].Total != 3000 {
		t.Errorf("%d", o.LineItems[0].Total)
	}

	// A shipment has sums of its own, and moves none of the order's.
	s := ship1("shp_1", 1)
	s.Cost, s.Adjustments = 2200, []AdjustmentInput{{ID: "a", Kind: AdjustmentTax, Amount: 138}, {ID: "b", Kind: AdjustmentPromotion, Amount: -38}, {ID: "c", Kind: AdjustmentTax, Amount: 9, Included: true}}
	after := play(t, o, s)
	shipment := after.Shipments[0]
	if sums := [...]int64{shipment.Cost, shipment.AdjustmentTotal, shipment.TaxTotal, shipment.PromotionTotal, shipment.IncludedTaxTotal}; sums != [...]int64{2200, 100, 138, -38, 9} {
		t.Errorf("%v", sums)
	}
	if after.Total != o.Total {
		t.Errorf("%d, then %d", o.Total, after.Total)
	}
}

// An adjustment that stays keeps its times; one whose amount changes keeps the first of them.
func TestAdjustmentsKeepTheirTimes(t *testing.T) {
	o := play(t, Order{}, newOrder())
	created := o.LineItems[0].Adjustments[0].CreatedAt
	items := newOrder().LineItems
	items[0].Name = "T-shirt"
	o = play(t, o, Update{OrderID: id, LineItems: items})
	if a := o.LineItems[0].Adjustments[0]; a.CreatedAt != created || a.UpdatedAt != created {
		t.Errorf("%+v", a)
	}
	items = newOrder().LineItems
	items[0].Adjustments[0].Amount = 70
	o = play(t, o, Update{OrderID: id, LineItems: items})
	if a := o.LineItems[0].Adjustments[0]; a.CreatedAt != created || !a.UpdatedAt.After(created) {
		t.Errorf("%+v", a)
	}
}

// Whatever JSON a command is made of: it is refused with a typed error, or its events can be stored, read back and folded.
func FuzzCommands(f *testing.F) {
	commands := Commands()
	for i, c := range commands {
		f.Add(i, []byte(`{"orderId":"ord_1"}`))
		data, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
	}
	create, err := json.Marshal(newOrder())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, create)
	f.Add(1, create)
	f.Add(1, []byte(`{"orderId":"ord_1","lineItems":[{"id":"li_1","quantity":1000000,"unitPrice":1000000000000}],"adjustments":[],"placeAt":"0001-01-01T00:00:00+23:59","metadata":{"a":"\ufffd"}}`))
	f.Add(19, []byte(`{"orderId":"ord_1","shipmentId":"shp_2","lineItems":[{"lineItemId":"li_1","quantity":9223372036854775807}]}`))
	orders := []Order{{}}
	for _, status := range OrderMachine.States() {
		orders = append(orders, inStatus(f, status))
	}
	for _, status := range ShipmentMachine.States() {
		orders = append(orders, withShipment(f, status))
	}
	legal := edgesOf(Aggregate().Machines)
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		v := reflect.New(reflect.TypeOf(commands[(which%len(commands)+len(commands))%len(commands)]))
		if json.Unmarshal(data, v.Interface()) != nil {
			return
		}
		command := v.Elem().Interface().(domain.Command)
		if command.Validate() != nil {
			return
		}
		for _, o := range orders {
			tr := transition{before: o, cmd: command}
			tr.events, tr.err = Decide(o, command)
			if failures := tr.verify(legal, map[edge]int{}); len(failures) > 0 && !(tr.err != nil && command.StreamID().ID == "") {
				t.Fatalf("%s: %s", command.CommandName(), strings.Join(failures, "; "))
			}
			if tr.after.Total < 0 || tr.after.Total > MaxAmount {
				t.Fatalf("%s: the total is %d", command.CommandName(), tr.after.Total)
			}
			for _, e := range tr.events {
				data, version, err := codec.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				back, err := codec.Decode(domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data})
				if err != nil || !reflect.DeepEqual(back, e) {
					t.Fatalf("%s comes back as %+v, %v; want %+v", e.EventType(), back, err, e)
				}
			}
		}
	})
}

func TestCarrierStatusesAreDifferent(t *testing.T) {
	list := CarrierStatuses()
	slices.Sort(list)
	if len(slices.Compact(list)) != 10 {
		t.Error(list)
	}
}
