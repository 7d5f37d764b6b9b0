package stock

import (
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Evolve returns the stock item after an event that was recorded at the time given. It panics on an event that is none of a stock
// item's: to skip it would be to tell a wrong history.
func Evolve(i Item, event domain.Event, at time.Time) Item {
	at = at.UTC()
	i.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return Item{
			ID: e.StockItemID, Status: statusOf(e.OnHand), SKU: e.SKU, Location: e.Location,
			OnHand: e.OnHand, Available: e.OnHand, CreatedAt: at, UpdatedAt: at,
		}
	case Received:
		i.OnHand += e.Quantity
	case Reserved:
		i.Reserved += e.Quantity
	case Released:
		i.Reserved -= e.Quantity
	case Issued:
		i.OnHand, i.Reserved = i.OnHand-e.Quantity, i.Reserved-e.Quantity
	case Adjusted:
		i.OnHand += e.Change
	case OutOfStock:
		i.Status, i.OutOfStockAt = StatusOutOfStock, at
	case BackInStock:
		i.Status, i.BackInStockAt = StatusInStock, at
	case Destroyed:
		i.Status = StatusDestroyed
	default:
		panic(fmt.Sprintf("stock: %T is not an event of a stock item", event))
	}
	i.Available = i.OnHand - i.Reserved
	return i
}
