package order

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestFormatAmount(t *testing.T) {
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{1063, "USD", "10.63 USD"}, {5, "USD", "0.05 USD"}, {0, "USD", "0.00 USD"}, {-5, "EUR", "-0.05 EUR"}, {-1063, "USD", "-10.63 USD"},
		{1063, "JPY", "1063 JPY"}, {0, "JPY", "0 JPY"}, {-7, "KRW", "-7 KRW"}, {1063, "KWD", "1.063 KWD"}, {7, "BHD", "0.007 BHD"}, {7, "CLF", "0.0007 CLF"},
		{MaxAmount, "USD", "10000000000.00 USD"}, {math.MinInt64, "USD", "-92233720368547758.08 USD"}, {math.MaxInt64, "JPY", "9223372036854775807 JPY"},
	} {
		if got := FormatAmount(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s is written %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	seen := map[string]string{}
	for _, e := range samples() {
		line := Describe(e)
		if line == "" || line == e.EventType() || strings.Contains(line, "\n") || len(line) > 250 || strings.Contains(line, "%!") {
			t.Errorf("%s is told as %q", e.EventType(), line)
		}
		if other, taken := seen[line]; taken {
			t.Errorf("%s and %s are both told as %q", e.EventType(), other, line)
		}
		seen[line] = e.EventType()
	}
	for line, want := range map[string]string{
		Describe(PaymentCaptured{"pay_1", 1063, "USD"}):                 "captured 10.63 USD of payment pay_1",
		Describe(Cancelled{From: StatusPlaced, Reason: "late"}):         "cancelled: late",
		Describe(Cancelled{From: StatusPlacing}):                        "cancelled, as placing failed for good",
		Describe(Cancelled{From: StatusApproved}):                       "cancelled, as it was refunded in full",
		Describe(Created{LineItems: make([]LineItemInput, 2)}):          "created with 2 line items",
		Describe(ParcelTrackingUpdated{ParcelID: "par_1"}):              "tracking of parcel par_1 changed",
		Describe(Updated{Email: new(string), Metadata: nil}):            "changed email",
		Describe(foreignEvent{}):                                        "order.foreign",
		Describe(ParcelCarrierStatusUpdated{"s", "p", "", "x", "", ""}): "the carrier says parcel p is x",
	} {
		if line != want {
			t.Errorf("%q, want %q", line, want)
		}
	}
}

func TestChanges(t *testing.T) {
	placed := inStatus(t, StatusPlaced)
	if got := fmt.Sprint(Changes(placed, play(t, placed, Approve{id}))); got != "[order ord_1: placed → approved]" {
		t.Error(got)
	}
	if got := fmt.Sprint(Changes(Order{}, play(t, Order{}, newOrder()))); got != "[order ord_1: new, draft order ord_1: new, unpaid order ord_1: new, unfulfilled]" {
		t.Error(got)
	}
	o := inFulfillment(t)
	after := play(t, o, Ship{id, "shp_1"}, DestroyShipment{id, "shp_2"}, ship1("shp_3", 1))
	want := "[order ord_1: in_progress → fulfilled shipment shp_2: ready_to_ship → destroyed shipment shp_1: ready_to_ship → shipped shipment shp_3: new, draft]"
	if got := fmt.Sprint(Changes(o, after)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := Changes(o, play(t, o, CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1"})); len(got) > 0 {
		t.Error(got)
	}
}
