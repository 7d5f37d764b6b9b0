package subscription

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// ItemName is the item aggregate's name, the first half of its stream names.
const ItemName = "item"

// Statuses of an item.
const (
	ItemUpcoming = "upcoming"
	ItemPlaced   = "placed"
	ItemRemoved  = "removed"
)

// ItemMachine is the status of an item. A move is named after the command that makes it.
var ItemMachine = &domain.Machine{
	Name:    "item",
	Initial: ItemUpcoming,
	Final:   []string{ItemPlaced, ItemRemoved},
	Moves: fsm.Events{
		{Name: "place", Src: []string{ItemUpcoming}, Dst: ItemPlaced},
		{Name: "remove", Src: []string{ItemUpcoming}, Dst: ItemRemoved},
	},
}

var itemAggregate = domain.Define(ItemName, []*domain.Machine{ItemMachine}, itemCodec, DecideItem, EvolveItem)

// ItemAggregate is what the engine needs to run items. It is the same every time, and nothing may change it.
func ItemAggregate() *domain.Aggregate { return itemAggregate }

// Item is the folded state of one item: a value that [EvolveItem] never changes. Times are UTC.
type Item struct {
	ID             string    `json:"id"` // empty while nothing has happened
	Status         string    `json:"status"`
	OrderID        string    `json:"orderId"` // the order that it is in now
	CustomerID     string    `json:"customerId,omitempty"`
	SubscriptionID string    `json:"subscriptionId,omitempty"` // empty where it is bought once
	Product        string    `json:"product"`                  // the merchant's own id of it
	Offer          string    `json:"offer,omitempty"`
	Quantity       int64     `json:"quantity"`
	UnitPrice      int64     `json:"unitPrice"` // minor units of Currency
	Currency       string    `json:"currency"`  // ISO 4217
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`             // of the last event of any kind
	OutOfStockAt   time.Time `json:"outOfStockAt,omitzero"` // when it was out of stock for the first time
	PlacedAt       time.Time `json:"placedAt,omitzero"`
	RemovedAt      time.Time `json:"removedAt,omitzero"`
}
