package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/domain/order"
)

// card shows an order on a page.
type card struct {
	w     io.Writer
	style style
	o     order.Order
}

func (c card) print(version int) {
	o := c.o
	fmt.Fprintf(c.w, "%s   %s\n", c.style.bold(title(o)), statuses(c.style, o))
	fmt.Fprintf(c.w, "%s\n", c.style.dim(fmt.Sprintf("version %d, last changed %s UTC", version, when(o.UpdatedAt))))

	var t table
	fact := func(name, value string) {
		if value != "" {
			t.add(c.style.dim(name), clean(value))
		}
	}
	if o.Customer != nil {
		fact("customer", joined(" ", o.Customer.Name, orElse(o.Customer.Email, o.Email), bracketed(o.Customer.ID)))
	} else {
		fact("customer", o.Email)
	}
	fact("channel", o.Channel)
	fact("store", o.StoreID)
	fact("subscription", o.SubscriptionID)
	fact("checkout", o.CheckoutSessionID)
	fact("note", o.Note)
	reason := o.CancelReason
	if o.CancelledBy != "" {
		reason = joined(" ", reason, "(by "+o.CancelledBy+")")
	}
	fact("cancelled", reason)
	fact("placing failed", o.PlacementFailure)
	if o.DelayedCapture {
		fact("capture", "delayed: may be fulfilled while only authorized")
	}
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		fact(key, o.Metadata[key])
	}
	t.write(c.w, "  ")

	c.items()
	c.payments()
	c.shipments()
	c.addresses()
}

func (c card) section(name string) { fmt.Fprintf(c.w, "\n%s\n", c.style.bold(name)) }

func (c card) decimal(amount int64) string { return order.FormatDecimal(amount, c.o.Currency) }

func (c card) items() {
	o := c.o
	c.section("Items")
	t := table{right: []int{2, 3}}
	for _, l := range o.LineItems {
		name := clean(l.Name)
		if l.DoNotShip {
			name += c.style.dim(" (nothing to ship)")
		}
		t.add(clean(l.SKU), name, fmt.Sprintf("%d × %s", l.Quantity, c.decimal(l.UnitPrice)), c.decimal(l.Total))
		for _, a := range l.Adjustments {
			t.add("", c.style.dim(adjustmentLabel(a)), "", c.style.dim(c.decimal(a.Amount)))
		}
	}
	for _, a := range o.Adjustments {
		t.add("", c.style.dim(adjustmentLabel(a)), "", c.style.dim(c.decimal(a.Amount)))
	}
	t.add("", "", "items", c.decimal(o.ItemTotal))
	if o.ShippingTotal != 0 {
		t.add("", "", "shipping", c.decimal(o.ShippingTotal))
	}
	if o.TaxTotal != 0 {
		t.add("", "", "taxes", c.decimal(o.TaxTotal))
	}
	if o.PromotionTotal != 0 {
		t.add("", "", "promotions", c.decimal(o.PromotionTotal))
	}
	if fees := o.AdjustmentTotal - o.TaxTotal - o.PromotionTotal; fees != 0 {
		t.add("", "", "fees", c.decimal(fees))
	}
	t.add("", "", c.style.bold("total"), c.style.bold(c.decimal(o.Total)), o.Currency)
	if o.IncludedTaxTotal != 0 {
		t.add("", "", c.style.dim("taxes included"), c.style.dim(c.decimal(o.IncludedTaxTotal)))
	}
	t.write(c.w, "  ")
}

func adjustmentLabel(a order.Adjustment) string {
	label := cmp.Or(a.Label, a.Kind)
	if a.PromotionCode != "" {
		label += " (" + a.PromotionCode + ")"
	}
	if a.Included {
		label += ", included"
	}
	return clean(label)
}

func (c card) payments() {
	if len(c.o.Payments) == 0 {
		return
	}
	c.section("Payments")
	t := table{right: []int{2}}
	for _, p := range c.o.Payments {
		var became []string
		if p.Status != order.LedgerFailed {
			for _, part := range []struct {
				name   string
				amount int64
			}{{"open", p.Open()}, {"captured", p.Captured}, {"voided", p.Voided}, {"refunded", p.Refunded}} {
				if part.amount != 0 {
					became = append(became, part.name+" "+c.decimal(part.amount))
				}
			}
		}
		t.add(clean(p.ID), clean(p.Method), c.decimal(p.Amount), c.style.status(p.Status), clean(orElse(p.FailureReason, strings.Join(became, ", "))))
	}
	t.write(c.w, "  ")
}

func (c card) shipments() {
	if len(c.o.Shipments) == 0 {
		return
	}
	c.section("Shipments")
	for _, s := range c.o.Shipments {
		var holds []string
		for _, l := range s.LineItems {
			item, _ := c.o.LineItem(l.LineItemID)
			holds = append(holds, fmt.Sprintf("%d × %s", l.Quantity, orElse(item.Name, l.LineItemID)))
		}
		line := joined("  ", orElse(s.Number, s.ID), "", clean(strings.Join(holds, ", ")))
		fmt.Fprintf(c.w, "  %s  %s", clean(line), c.style.status(s.Status))
		if s.Cost != 0 {
			fmt.Fprintf(c.w, "  %s", c.style.dim("cost "+order.FormatAmount(s.Cost, c.o.Currency)))
		}
		fmt.Fprintln(c.w)
		var t table
		for _, p := range s.Parcels {
			said := clean(joined(", ", p.StatusDetail, p.TrackingDetail))
			t.add("parcel "+clean(p.ID), clean(joined(" ", p.Carrier, p.TrackingNumber)), c.style.status(p.CarrierStatus), c.style.dim(said))
		}
		t.write(c.w, "    ")
	}
}

func (c card) addresses() {
	ship, bill := addressLines(c.o.ShippingAddress), addressLines(c.o.BillingAddress)
	if len(ship)+len(bill) == 0 {
		return
	}
	fmt.Fprintln(c.w)
	columns := [][]string{}
	for _, address := range []struct {
		name  string
		lines []string
	}{{"Ship to", ship}, {"Bill to", bill}} {
		if len(address.lines) > 0 {
			columns = append(columns, append([]string{c.style.bold(address.name)}, address.lines...))
		}
	}
	var t table
	for i := range max(len(ship), len(bill)) + 1 {
		var row []string
		for _, column := range columns {
			cell := ""
			if i < len(column) {
				cell = column[i]
			}
			if i > 0 {
				cell = "  " + cell
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	t.writeAs(c.w, "", []int{36})
}

func addressLines(a *order.Address) (lines []string) {
	if a == nil {
		return nil
	}
	for _, line := range []string{
		joined(" ", a.FirstName, a.LastName), a.Company, a.Address1, a.Address2,
		joined(", ", a.City, joined(" ", orElse(a.State, a.StateName), a.PostalCode)), a.Country, a.Phone, a.AlternativePhone,
	} {
		if line != "" {
			lines = append(lines, clean(line))
		}
	}
	return lines
}

// joined joins those parts that are not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func itoa(n int) string { return strconv.Itoa(n) }
