package subscription

import (
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

type (
	// ItemCreated is the first event of every item.
	ItemCreated struct {
		ItemID         string `json:"itemId"`
		OrderID        string `json:"orderId"`
		CustomerID     string `json:"customerId,omitzero"`
		SubscriptionID string `json:"subscriptionId,omitzero"`
		Product        string `json:"product"`
		Offer          string `json:"offer,omitzero"`
		Quantity       int64  `json:"quantity"`
		UnitPrice      int64  `json:"unitPrice"`
		Currency       string `json:"currency"`
	}
	ItemQuantityChanged struct {
		From     int64 `json:"from"`
		Quantity int64 `json:"quantity"`
	}
	ItemPriceChanged struct {
		From      int64 `json:"from"`
		UnitPrice int64 `json:"unitPrice"`
	}
	ItemProductChanged struct {
		From    string `json:"from"`
		Product string `json:"product"`
	}
	ItemSubscribed struct {
		SubscriptionID string `json:"subscriptionId"`
	}
	ItemMoved struct {
		From    string `json:"from"` // the order that it was in
		OrderID string `json:"orderId"`
	}
	ItemOutOfStock struct {
		From    string `json:"from"` // the order that it was in
		OrderID string `json:"orderId"`
	}
	ItemWasPlaced struct {
		OrderID string `json:"orderId"`
	}
	ItemWasRemoved struct {
		OrderID string `json:"orderId"`
	}
)

func (ItemCreated) EventType() string         { return "item.created" }
func (ItemQuantityChanged) EventType() string { return "item.quantity_changed" }
func (ItemPriceChanged) EventType() string    { return "item.price_changed" }
func (ItemProductChanged) EventType() string  { return "item.product_changed" }
func (ItemSubscribed) EventType() string      { return "item.subscribed" }
func (ItemMoved) EventType() string           { return "item.moved" }
func (ItemOutOfStock) EventType() string      { return "item.out_of_stock" }
func (ItemWasPlaced) EventType() string       { return "item.placed" }
func (ItemWasRemoved) EventType() string      { return "item.removed" }

// itemCodec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var itemCodec = domain.NewCodec(
	domain.EventOf[ItemCreated]("A new item is in an order that is to come."),
	domain.EventOf[ItemQuantityChanged]("The item's quantity changed."),
	domain.EventOf[ItemPriceChanged]("The item's unit price changed."),
	domain.EventOf[ItemProductChanged]("Another product took the place of the item's."),
	domain.EventOf[ItemSubscribed]("The item, which was bought once, is a subscription's now."),
	domain.EventOf[ItemMoved]("The item is in another order now."),
	domain.EventOf[ItemOutOfStock]("There is too little of the item in stock; it is in a later order now."),
	domain.EventOf[ItemWasPlaced]("The item's order was placed."),
	domain.EventOf[ItemWasRemoved]("The item was taken out of its order."),
)

// EvolveItem returns the item after an event that was recorded at the time given. It panics on an event that is none of an item's: to
// skip it would be to tell a wrong history.
func EvolveItem(i Item, event domain.Event, at time.Time) Item {
	at = at.UTC()
	i.UpdatedAt = at
	switch e := event.(type) {
	case ItemCreated:
		return Item{
			ID: e.ItemID, Status: ItemUpcoming, OrderID: e.OrderID, CustomerID: e.CustomerID, SubscriptionID: e.SubscriptionID,
			Product: e.Product, Offer: e.Offer, Quantity: e.Quantity, UnitPrice: e.UnitPrice, Currency: e.Currency, CreatedAt: at, UpdatedAt: at,
		}
	case ItemQuantityChanged:
		i.Quantity = e.Quantity
	case ItemPriceChanged:
		i.UnitPrice = e.UnitPrice
	case ItemProductChanged:
		i.Product = e.Product
	case ItemSubscribed:
		i.SubscriptionID = e.SubscriptionID
	case ItemMoved:
		i.OrderID = e.OrderID
	case ItemOutOfStock:
		i.OrderID = e.OrderID
		if i.OutOfStockAt.IsZero() {
			i.OutOfStockAt = at
		}
	case ItemWasPlaced:
		i.Status, i.PlacedAt = ItemPlaced, at
	case ItemWasRemoved:
		i.Status, i.RemovedAt = ItemRemoved, at
	default:
		panic(fmt.Sprintf("subscription: %T is not an event of an item", event))
	}
	return i
}
