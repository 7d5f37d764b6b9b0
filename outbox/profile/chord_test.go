package profile

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
)

// chordKeys are the keys of the samples in Chord's documentation, in their order, by where they are.
var chordKeys = map[string]string{
	"order_completed": "event_name order",
	"order_completed.order": "id number item_total total state adjustment_total completed_at payment_total shipment_state payment_state email " +
		"created_at updated_at currency last_ip_address shipment_total additional_tax_total promo_total channel included_tax_total item_count " +
		"confirmation_delivered canceled_at canceler_id store_id checkout_session_id commission_total stripe_automatic_taxes " +
		"subscription_order subscription_id cart_url user line_items shipments ship_address bill_address payments adjustments",
	"order_completed.order.user":                   "id email stripe_user_id",
	"order_completed.order.line_items":             "id name sku quantity total adjustments",
	"order_completed.order.line_items.adjustments": "id amount label source_type promotion_code created_at updated_at",
	"order_completed.order.adjustments":            "id amount label source_type promotion_code created_at updated_at",
	"order_completed.order.ship_address":           "id firstname lastname address1 address2 city zipcode phone state country state_name alternative_phone company",
	"order_completed.order.bill_address":           "id firstname lastname address1 address2 city zipcode phone state country state_name alternative_phone company",
	"order_completed.order.payments":               "id amount payment_method state created_at updated_at",
	"order_cancelled.order.shipments": "id tracking number cost shipped_at state created_at updated_at adjustment_total additional_tax_total " +
		"promo_total included_tax_total pushed delivered_at delivery_status external_tracking_url label_url adjustments",
	"stock_item_out_of_stock":                     "event_name stock_item",
	"stock_item_out_of_stock.stock_item":          "id stock_location count_on_hand backorderable created_at updated_at variant",
	"stock_item_back_in_stock.stock_item.variant": "id sku is_master amount subscribable bundle url main_image updated_at created_at",
	"shipment_shipped":                            "event_name shipment",
	"shipment_shipped.shipment": "id tracking number cost shipped_at state created_at updated_at adjustment_total additional_tax_total " +
		"promo_total included_tax_total pushed delivered_at delivery_status status_detail tracking_detail external_tracking_url label_url adjustments",
	"shipment_shipped.shipment.adjustments": "id amount label source_type promotion_code created_at updated_at",
}

// The bodies have the keys of the documentation, all of them, no others, in the same order.
func TestChordKeys(t *testing.T) {
	t.Parallel()
	p := Chord(everything)
	for path, want := range chordKeys {
		steps := strings.Split(path, ".")
		o, err := p.Sample(steps[0])
		check(t, err)
		m, err := p.Render(o)
		check(t, err)
		value := json.RawMessage(m.Body)
		for _, step := range steps[1:] {
			var fields map[string]json.RawMessage
			check(t, json.Unmarshal(value, &fields))
			value = fields[step]
			if list := []json.RawMessage(nil); json.Unmarshal(value, &list) == nil {
				if len(list) == 0 {
					t.Fatalf("%s: the sample has none", path)
				}
				value = list[0]
			}
		}
		if got := keysOf(t, value); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s:\ngot  %v\nwant %v", path, got, strings.Fields(want))
		}
	}
}

// keysOf returns the keys of a JSON object in their order.
func keysOf(t *testing.T, text json.RawMessage) (keys []string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		t.Fatalf("not an object: %s", text)
	}
	for decoder.More() {
		key, err := decoder.Token()
		check(t, err)
		keys = append(keys, key.(string))
		var skip json.RawMessage
		check(t, decoder.Decode(&skip))
	}
	return keys
}

func TestChordStates(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	for _, c := range []struct {
		name string
		o    order.Order
		want string // of the order, its payment, its shipments
	}{
		{"a cart", order.Order{Status: order.StatusDraft, Total: 100, PaymentStatus: order.PaymentStatusUnpaid}, "cart balance_due none"},
		{"at the till", order.Order{Status: order.StatusPending, Total: 100, PaymentStatus: order.PaymentStatusAuthorized}, "confirm balance_due none"},
		{"paid", order.Order{Status: order.StatusPlaced, PlacedAt: at, Total: 100, CapturedTotal: 100, PaymentStatus: order.PaymentStatusPaid}, "complete paid none"},
		{"free", order.Order{Status: order.StatusApproved, PlacedAt: at, PaymentStatus: order.PaymentStatusFree}, "complete paid none"},
		{"voided", order.Order{Status: order.StatusPlaced, PlacedAt: at, Total: 100, PaymentStatus: order.PaymentStatusVoided}, "complete void none"},
		{"paid too much", order.Order{Status: order.StatusPlaced, PlacedAt: at, Total: 100, CapturedTotal: 150, PaymentStatus: order.PaymentStatusPaid},
			"complete credit_owed none"},
		{"cancelled, and the money is still here", order.Order{Status: order.StatusCancelled, PlacedAt: at, Total: 100, CapturedTotal: 100,
			RefundedTotal: 40, PaymentStatus: order.PaymentStatusPartiallyRefunded}, "canceled credit_owed none"},
		{"cancelled and refunded", order.Order{Status: order.StatusCancelled, PlacedAt: at, Total: 100, CapturedTotal: 100, RefundedTotal: 100,
			PaymentStatus: order.PaymentStatusRefunded}, "canceled void none"},
		{"one shipment", chordShipping("draft"), "cart balance_due pending"},
		{"one on hold", chordShipping("on_hold"), "cart balance_due pending"},
		{"one being packed", chordShipping("packing"), "cart balance_due ready"},
		{"one delivered", chordShipping("delivered"), "cart balance_due shipped"},
		{"one cancelled", chordShipping("cancelled"), "cart balance_due canceled"},
		{"one cancelled, one ready", chordShipping("cancelled", "picking"), "cart balance_due ready"},
		{"one ready, one cancelled", chordShipping("upcoming", "cancelled"), "cart balance_due ready"},
		{"one shipped, one ready", chordShipping("shipped", "picking"), "cart balance_due partial"},
		{"one ready, one shipped, one pending", chordShipping("picking", "delivered", "draft"), "cart balance_due partial"},
		{"one ready, one pending", chordShipping("ready_to_ship", "draft"), "cart balance_due pending"},
		{"both shipped", chordShipping("shipped", "delivered"), "cart balance_due shipped"},
	} {
		shipments := "none"
		if state := chordShipmentsState(c.o); state != nil {
			shipments = *state
		}
		if got := chordOrderState(c.o) + " " + chordPaymentState(c.o) + " " + shipments; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for status, want := range map[string]string{
		order.LedgerFailed: "failed", order.LedgerOpen: "pending", order.LedgerCaptured: "completed", order.LedgerRefunded: "completed", order.LedgerVoided: "void",
	} {
		if got := chordLedgerState(order.Payment{Status: status}); got != want {
			t.Errorf("a payment that is %s: %s, want %s", status, got, want)
		}
	}
}

func chordShipping(statuses ...string) order.Order {
	o := order.Order{Status: order.StatusDraft, Total: 100, PaymentStatus: order.PaymentStatusUnpaid}
	for _, status := range statuses {
		o.Shipments = append(o.Shipments, order.Shipment{Status: status})
	}
	return o
}
