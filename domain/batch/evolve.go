package batch

import (
	"fmt"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Evolve returns the batch after an event that was recorded at the time given. It panics on an event that is none of a batch's: to
// skip it would be to tell a wrong history.
func Evolve(b Batch, event domain.Event, at time.Time) Batch {
	at = at.UTC()
	b.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return Batch{
			ID: e.BatchID, Status: StatusPending, Name: e.Name, Expected: e.Expected, OrderIDs: []string{},
			SendAt: e.SendAt, CreatedAt: at, UpdatedAt: at,
		}
	case OrderAdded:
		b.OrderIDs = append(slices.Clone(b.OrderIDs), e.OrderID)
	case OrderDropped:
		b.Expected--
	case Completed:
		b.Status, b.CompletedAt = StatusCompleted, at
	default:
		panic(fmt.Sprintf("batch: %T is not an event of an order batch", event))
	}
	return b
}
