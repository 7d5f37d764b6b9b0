package gift

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Decide answers a valid command with the event that follows from it, or says why it is not legal: [*domain.IllegalTransitionError],
// or [*domain.NotFoundError] where the gift does not exist.
func Decide(g Gift, command domain.Command) ([]domain.Event, error) {
	subject := "gift " + g.ID
	if c, ok := command.(Create); ok {
		if g.ID != "" {
			return nil, Machine.Refuse(command.CommandName(), subject, g.Status, "its id is taken")
		}
		if c.GiftID == "" {
			return nil, domain.MissingID(command, "giftId")
		}
		return []domain.Event{Created(c)}, nil
	}
	if g.ID == "" {
		return nil, &domain.NotFoundError{Kind: "gift", ID: command.StreamID().ID}
	}
	move := func(name string, e domain.Event) ([]domain.Event, error) {
		if _, ok := Machine.Fire(g.Status, name); !ok {
			return nil, Machine.Refuse(command.CommandName(), subject, g.Status, "")
		}
		return []domain.Event{e}, nil
	}
	switch c := command.(type) {
	case Notify:
		return move("notify", Notified{Channel: c.Channel})
	case Open:
		return move("open", Opened{From: g.Status})
	case Accept:
		return move("accept", Accepted{})
	case AddThankYouNote:
		return move("add_thank_you_note", ThankYouNoteAdded{Note: c.Note})
	case Cancel:
		return move("cancel", Cancelled{From: g.Status, Reason: c.Reason})
	}
	return nil, fmt.Errorf("gift: %T is not a command of a gift", command)
}
