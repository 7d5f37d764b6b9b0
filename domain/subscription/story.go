package subscription

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event of any aggregate of this package in one short line, for histories.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case SubscriberCreated:
		return "became a subscriber"
	case SubscriberEnded:
		return "no longer a subscriber"
	case SubscriberReactivated:
		return "a subscriber again"

	case Created:
		return fmt.Sprintf("subscription %s: %d × %s every %d %s", e.SubscriptionID, e.Quantity, e.Product, e.Every, e.Period)
	case Ended:
		if e.Reason == "" {
			return fmt.Sprintf("subscription %s cancelled", e.SubscriptionID)
		}
		return fmt.Sprintf("subscription %s cancelled: %s", e.SubscriptionID, e.Reason)
	case Reactivated:
		return fmt.Sprintf("subscription %s is live again", e.SubscriptionID)
	case ProductChanged:
		return fmt.Sprintf("subscription %s: %s instead of %s", e.SubscriptionID, e.Product, e.From)
	case ComponentsChanged:
		return fmt.Sprintf("subscription %s: the bundle has %d components", e.SubscriptionID, len(e.Components))
	case QuantityChanged:
		return fmt.Sprintf("subscription %s: %d instead of %d", e.SubscriptionID, e.Quantity, e.From)
	case FrequencyChanged:
		return fmt.Sprintf("subscription %s comes every %d %s", e.SubscriptionID, e.Every, e.Period)
	case ShippingAddressChanged:
		return fmt.Sprintf("subscription %s goes to address %s", e.SubscriptionID, e.ShippingAddressID)
	case PaymentChanged:
		return fmt.Sprintf("subscription %s is paid by %s", e.SubscriptionID, e.PaymentID)

	case ItemCreated:
		return fmt.Sprintf("%d × %s put into order %s", e.Quantity, e.Product, e.OrderID)
	case ItemQuantityChanged:
		return fmt.Sprintf("%d instead of %d", e.Quantity, e.From)
	case ItemPriceChanged:
		return fmt.Sprintf("the unit price is %d instead of %d", e.UnitPrice, e.From)
	case ItemProductChanged:
		return fmt.Sprintf("%s instead of %s", e.Product, e.From)
	case ItemSubscribed:
		return fmt.Sprintf("subscribed to, as subscription %s", e.SubscriptionID)
	case ItemMoved:
		return fmt.Sprintf("moved from order %s to order %s", e.From, e.OrderID)
	case ItemOutOfStock:
		return fmt.Sprintf("out of stock, so moved from order %s to order %s", e.From, e.OrderID)
	case ItemWasPlaced:
		return fmt.Sprintf("placed with order %s", e.OrderID)
	case ItemWasRemoved:
		return fmt.Sprintf("removed from order %s", e.OrderID)
	}
	return event.EventType()
}
