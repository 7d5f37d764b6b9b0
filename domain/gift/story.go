package gift

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event in one short line, for histories. It does not repeat what people wrote.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return fmt.Sprintf("created for order %s", e.OrderID)
	case Notified:
		if e.Channel == "" {
			return "the recipient was notified"
		}
		return "the recipient was notified by " + e.Channel
	case Opened:
		return "opened"
	case Accepted:
		return "accepted"
	case ThankYouNoteAdded:
		return "the recipient said thanks"
	case Cancelled:
		if e.Reason == "" {
			return "cancelled"
		}
		return "cancelled: " + e.Reason
	}
	return event.EventType()
}
