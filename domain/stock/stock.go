package stock

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the aggregate's name, the first half of its stream names.
const Name = "stock_item"

// Statuses of a stock item.
const (
	StatusInStock    = "in_stock"
	StatusOutOfStock = "out_of_stock"
	StatusDestroyed  = "destroyed"
)

// Machine is the status of a stock item. It follows from what is available, so no command is named after its moves but destroy; an
// item that is created with something on hand starts as in_stock.
var Machine = &domain.Machine{
	Name:    Name,
	Initial: StatusOutOfStock,
	Final:   []string{StatusDestroyed},
	Moves: fsm.Events{
		{Name: "come_back", Src: []string{StatusOutOfStock}, Dst: StatusInStock},
		{Name: "run_out", Src: []string{StatusInStock}, Dst: StatusOutOfStock},
		{Name: "destroy", Src: []string{StatusInStock, StatusOutOfStock}, Dst: StatusDestroyed},
	},
}

var aggregate = domain.Define(Name, []*domain.Machine{Machine}, codec, Decide, Evolve)

// Aggregate is what the engine needs to run stock items. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// Item is the folded state of one stock item: a value that [Evolve] never changes. Times are UTC.
type Item struct {
	ID        string    `json:"id"` // empty while nothing has happened
	Status    string    `json:"status"`
	SKU       string    `json:"sku"`
	Location  string    `json:"location"`
	OnHand    int64     `json:"onHand"`    // how much is there, reserved or not
	Reserved  int64     `json:"reserved"`  // how much of it is promised to somebody
	Available int64     `json:"available"` // OnHand − Reserved; below zero where more is promised than is there
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"` // of the last event of any kind

	OutOfStockAt  time.Time `json:"outOfStockAt,omitzero"`  // when it ran out last
	BackInStockAt time.Time `json:"backInStockAt,omitzero"` // when it came back last
}

func statusOf(available int64) string {
	if available > 0 {
		return StatusInStock
	}
	return StatusOutOfStock
}
