package subscription

import (
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

type (
	// CreateItem puts a product into an order that is to come.
	CreateItem struct {
		ItemID         string `json:"itemId"` // generated where it is empty
		OrderID        string `json:"orderId"`
		CustomerID     string `json:"customerId,omitzero"`
		SubscriptionID string `json:"subscriptionId,omitzero"` // empty where it is bought once
		Product        string `json:"product"`
		Offer          string `json:"offer,omitzero"`
		Quantity       int64  `json:"quantity"`
		UnitPrice      int64  `json:"unitPrice"` // minor units
		Currency       string `json:"currency"`
	}
	ChangeItemQuantity struct {
		ItemID   string `json:"itemId"`
		Quantity int64  `json:"quantity"`
	}
	ChangeItemPrice struct {
		ItemID    string `json:"itemId"`
		UnitPrice int64  `json:"unitPrice"` // minor units
	}
	ChangeItemProduct struct {
		ItemID  string `json:"itemId"`
		Product string `json:"product"`
	}
	// SubscribeItem makes an item that is bought once a subscription's.
	SubscribeItem struct {
		ItemID         string `json:"itemId"`
		SubscriptionID string `json:"subscriptionId"`
	}
	// MoveItem puts the item into another order.
	MoveItem struct {
		ItemID  string `json:"itemId"`
		OrderID string `json:"orderId"`
	}
	// PostponeItem puts the item into another order because there is too little of it in stock.
	PostponeItem struct {
		ItemID  string `json:"itemId"`
		OrderID string `json:"orderId"`
	}
	// PlaceItem tells that the item's order was placed.
	PlaceItem struct {
		ItemID string `json:"itemId"`
	}
	// RemoveItem takes the item out of its order.
	RemoveItem struct {
		ItemID string `json:"itemId"`
	}
)

// WithID addresses the item that CreateItem starts.
func (c CreateItem) WithID(id string) domain.Command { c.ItemID = id; return c }

func (CreateItem) CommandName() string         { return "item.create" }
func (ChangeItemQuantity) CommandName() string { return "item.change_quantity" }
func (ChangeItemPrice) CommandName() string    { return "item.change_price" }
func (ChangeItemProduct) CommandName() string  { return "item.change_product" }
func (SubscribeItem) CommandName() string      { return "item.subscribe" }
func (MoveItem) CommandName() string           { return "item.move" }
func (PostponeItem) CommandName() string       { return "item.postpone" }
func (PlaceItem) CommandName() string          { return "item.place" }
func (RemoveItem) CommandName() string         { return "item.remove" }

func item(id string) domain.StreamID { return domain.StreamID{Aggregate: ItemName, ID: id} }

func (c CreateItem) StreamID() domain.StreamID         { return item(c.ItemID) }
func (c ChangeItemQuantity) StreamID() domain.StreamID { return item(c.ItemID) }
func (c ChangeItemPrice) StreamID() domain.StreamID    { return item(c.ItemID) }
func (c ChangeItemProduct) StreamID() domain.StreamID  { return item(c.ItemID) }
func (c SubscribeItem) StreamID() domain.StreamID      { return item(c.ItemID) }
func (c MoveItem) StreamID() domain.StreamID           { return item(c.ItemID) }
func (c PostponeItem) StreamID() domain.StreamID       { return item(c.ItemID) }
func (c PlaceItem) StreamID() domain.StreamID          { return item(c.ItemID) }
func (c RemoveItem) StreamID() domain.StreamID         { return item(c.ItemID) }

// ItemCommands returns a zero value of every command of an item.
func ItemCommands() []domain.Command {
	return []domain.Command{
		CreateItem{}, ChangeItemQuantity{}, ChangeItemPrice{}, ChangeItemProduct{}, SubscribeItem{}, MoveItem{}, PostponeItem{}, PlaceItem{}, RemoveItem{},
	}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c CreateItem) Validate() error {
	v := check.Fields{}
	if c.ItemID != "" {
		v.ID("itemId", c.ItemID)
	}
	v.ID("orderId", c.OrderID)
	if c.CustomerID != "" {
		v.ID("customerId", c.CustomerID)
	}
	if c.SubscriptionID != "" {
		v.ID("subscriptionId", c.SubscriptionID)
	}
	v.Required("product", c.Product, check.MaxText)
	v.Text("offer", c.Offer, check.MaxText)
	v.Quantity("quantity", c.Quantity)
	v.Amount("unitPrice", c.UnitPrice, 0)
	v.Currency("currency", c.Currency)
	return v.Err(c)
}

func (c ChangeItemQuantity) Validate() error {
	v := itemID(c.ItemID)
	v.Quantity("quantity", c.Quantity)
	return v.Err(c)
}

func (c ChangeItemPrice) Validate() error {
	v := itemID(c.ItemID)
	v.Amount("unitPrice", c.UnitPrice, 0)
	return v.Err(c)
}

func (c ChangeItemProduct) Validate() error {
	v := itemID(c.ItemID)
	v.Required("product", c.Product, check.MaxText)
	return v.Err(c)
}

func (c SubscribeItem) Validate() error {
	v := itemID(c.ItemID)
	v.ID("subscriptionId", c.SubscriptionID)
	return v.Err(c)
}

func (c MoveItem) Validate() error {
	v := itemID(c.ItemID)
	v.ID("orderId", c.OrderID)
	return v.Err(c)
}

func (c PostponeItem) Validate() error {
	v := itemID(c.ItemID)
	v.ID("orderId", c.OrderID)
	return v.Err(c)
}

func (c PlaceItem) Validate() error {
	v := itemID(c.ItemID)
	return v.Err(c)
}

func (c RemoveItem) Validate() error {
	v := itemID(c.ItemID)
	return v.Err(c)
}

func itemID(id string) check.Fields {
	v := check.Fields{}
	v.ID("itemId", id)
	return v
}
