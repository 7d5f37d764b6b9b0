package batch

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event in one short line, for histories.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return fmt.Sprintf("created, to have %d orders", e.Expected)
	case OrderAdded:
		return fmt.Sprintf("order %s added", e.OrderID)
	case OrderDropped:
		if e.Reason == "" {
			return "one order less is expected"
		}
		return "one order less is expected: " + e.Reason
	case Completed:
		return "completed: all orders are created"
	}
	return event.EventType()
}
