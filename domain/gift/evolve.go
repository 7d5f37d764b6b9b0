package gift

import (
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Evolve returns the gift after an event that was recorded at the time given. It panics on an event that is none of a gift's: to skip
// it would be to tell a wrong history.
func Evolve(g Gift, event domain.Event, at time.Time) Gift {
	at = at.UTC()
	g.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return Gift{
			ID: e.GiftID, Status: StatusCreated, OrderID: e.OrderID, Sender: e.Sender, Recipient: e.Recipient, Message: e.Message,
			CreatedAt: at, UpdatedAt: at,
		}
	case Notified:
		g.Status, g.NotifiedAt = StatusNotified, at
	case Opened:
		g.Status, g.OpenedAt = StatusOpened, at
	case Accepted:
		g.Status, g.AcceptedAt = StatusAccepted, at
	case ThankYouNoteAdded:
		g.Status, g.ThankedAt, g.ThankYouNote = StatusThanked, at, e.Note
	case Cancelled:
		g.Status, g.CancelledAt, g.CancelReason = StatusCancelled, at, e.Reason
	default:
		panic(fmt.Sprintf("gift: %T is not an event of a gift", event))
	}
	return g
}
