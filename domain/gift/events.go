package gift

import "github.com/waybill-dev/waybill/domain"

type (
	// Created is the first event of every gift.
	Created struct {
		GiftID    string `json:"giftId"`
		OrderID   string `json:"orderId"`
		Sender    Person `json:"sender,omitzero"`
		Recipient Person `json:"recipient,omitzero"`
		Message   string `json:"message,omitzero" personal:"true"`
	}
	Notified struct {
		Channel string `json:"channel,omitzero"`
	}
	Opened struct {
		From string `json:"from"` // created or notified
	}
	Accepted          struct{}
	ThankYouNoteAdded struct {
		Note string `json:"note" personal:"true"`
	}
	Cancelled struct {
		From   string `json:"from"` // created, notified or opened
		Reason string `json:"reason,omitzero"`
	}
)

func (Created) EventType() string           { return "gift.created" }
func (Notified) EventType() string          { return "gift.notified" }
func (Opened) EventType() string            { return "gift.opened" }
func (Accepted) EventType() string          { return "gift.accepted" }
func (ThankYouNoteAdded) EventType() string { return "gift.thank_you_note_added" }
func (Cancelled) EventType() string         { return "gift.cancelled" }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new gift exists, and can be opened."),
	domain.EventOf[Notified]("The recipient was told of the gift."),
	domain.EventOf[Opened]("The recipient has opened the gift."),
	domain.EventOf[Accepted]("The recipient has accepted the gift."),
	domain.EventOf[ThankYouNoteAdded]("The recipient has said thanks for the accepted gift."),
	domain.EventOf[Cancelled]("The gift was taken back before it was accepted."),
)
