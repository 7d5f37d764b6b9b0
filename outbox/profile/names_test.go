package profile

import (
	"slices"
	"strings"
	"testing"
)

// documented are the events in the documentation of each platform. What is there besides was added to it later, or is in parts of it
// that are not about webhooks.
var documented = map[string]string{
	"commercelayer": `customer_password_resets.create customer_password_resets.destroy customer_subscriptions.create customer_subscriptions.destroy
		customers.create customers.acquired customers.repeat customers.destroy imports.create imports.start imports.complete imports.destroy
		orders.create orders.draft orders.pending orders.place orders.approve orders.cancel orders.authorize orders.void orders.pay orders.refund
		orders.start_fulfilling orders.fulfill orders.destroy parcels.create parcels.destroy shipments.create shipments.upcoming shipments.cancel
		shipments.on_hold shipments.picking shipments.packing shipments.ready_to_ship shipments.ship shipments.destroy`,
	"chord": `order_completed order_cancelled shipment_shipped shipment_updated shipment_delivery_status_updated stock_item_back_in_stock
		stock_item_out_of_stock`,
	"goody": `order_batch.created order_batch.completed order.created order.gift_opened order.gift_accepted order.thank_you_note_added order.shipped
		order.delivered order.canceled order.refunded`,
	"ordergroove": `order.create order.change_shipping_address order.change_payment order.change_next_order_date order.skip_order order.send_now
		order.cancel order.success order.reject order.generic_error order.retryable_placement_failure order.reminder order.delete`,
	"up42": `order.status`,
}

func TestDocumentedNames(t *testing.T) {
	t.Parallel()
	further := map[string][]string{
		"commercelayer": {"orders.cancel_fulfilling", "shipments.deliver"},
		"ordergroove":   {"item.", "subscriber.", "subscription."},
	}
	for name, list := range documented {
		p, want := All(everything)[name], strings.Fields(list)
		for _, event := range want {
			if _, err := p.Event(event); err != nil {
				t.Error(err)
			}
		}
		for _, e := range p.Events {
			if e.Description == "" || len(e.Types) == 0 {
				t.Errorf("%s: %s is not described", name, e.Name)
			}
			if !slices.Contains(want, e.Name) && !slices.ContainsFunc(further[name], func(prefix string) bool { return strings.HasPrefix(e.Name, prefix) }) {
				t.Errorf("%s: %s is in no documentation", name, e.Name)
			}
		}
	}
}
