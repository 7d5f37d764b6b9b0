package gift

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "gft_1"

var (
	create = Create{GiftID: id, OrderID: "ord_1", Recipient: Person{Email: "recipient@example.com"}}
	thanks = AddThankYouNote{id, "Thank you!"}
)

var suite = conformance.Suite{
	Aggregate: Aggregate(),
	Commands:  Commands(),
	Describe:  Describe,
	Samples: []domain.Event{
		Created{
			GiftID: id, OrderID: "ord_1", Sender: Person{CustomerID: "cus_1", Name: "Sender", Email: "sender@example.com", Phone: "+1 555"},
			Recipient: Person{CustomerID: "cus_2", Name: "Recipient", Email: "recipient@example.com", Phone: "+1 556"}, Message: "For you",
		},
		Notified{Channel: "email"}, Opened{From: StatusNotified}, Accepted{}, ThankYouNoteAdded{Note: "Thank you!"},
		Cancelled{From: StatusOpened, Reason: "wrong person"},
	},
	Tables: map[string]string{"gift": `
		created: cancel=cancelled notify=notified open=opened
		notified: cancel=cancelled open=opened
		opened: accept=accepted cancel=cancelled
		accepted: add_thank_you_note=thanked
		thanked:
		cancelled:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"gift": s.(Gift).Status} },
	Reach: map[string][]domain.Command{
		"gift.created":   {create},
		"gift.notified":  {create, Notify{id, "sms"}},
		"gift.opened":    {create, Open{id}},
		"gift.accepted":  {create, Open{id}, Accept{id}},
		"gift.thanked":   {create, Open{id}, Accept{id}, thanks},
		"gift.cancelled": {create, Cancel{id, "wrong person"}},
	},
	Moves: map[string]domain.Command{
		"gift.notify": Notify{id, ""}, "gift.open": Open{id}, "gift.accept": Accept{id}, "gift.add_thank_you_note": thanks, "gift.cancel": Cancel{id, ""},
	},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Gift).ID == "" {
			return create
		}
		return rapid.SampledFrom([]domain.Command{create, Notify{id, ""}, Open{id}, Accept{id}, thanks, Cancel{id, ""}}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) { suite.GoldenEvents(t) }
func TestContract(t *testing.T)     { suite.Run(t) }
func FuzzCommands(f *testing.F)     { suite.Fuzz(f) }

func TestAGiftsLife(t *testing.T) {
	s := suite.Expect(t, Gift{}, create, "gift.created")
	suite.Refuse(t, s, create, "its id is taken")
	suite.Refuse(t, s, thanks, "")
	s = suite.Expect(t, s, Notify{id, "email"}, "gift.notified")
	s = suite.Expect(t, s, Open{id}, "gift.opened")
	suite.Refuse(t, s, thanks, "")
	s = suite.Expect(t, s, Accept{id}, "gift.accepted")
	suite.Refuse(t, s, Cancel{id, ""}, "")
	s = suite.Expect(t, s, thanks, "gift.thank_you_note_added")
	suite.Refuse(t, s, thanks, "") // once
	if g := s.(Gift); g.OrderID != "ord_1" || g.ThankYouNote != "Thank you!" || g.NotifiedAt.IsZero() || g.OpenedAt.IsZero() || g.AcceptedAt.IsZero() || g.ThankedAt.IsZero() {
		t.Errorf("%+v", g)
	}
}

func TestValidate(t *testing.T) {
	bad := Person{CustomerID: "\xff", Name: "\xff", Email: "nobody", Phone: "\x00"}
	suite.Invalid(t, Gift{}, Create{GiftID: "a b", Sender: bad, Recipient: bad, Message: "\xff"}, "giftId", "orderId",
		"sender.customerId", "sender.name", "sender.email", "sender.phone", "recipient.customerId", "recipient.name", "recipient.email", "recipient.phone", "message")
	suite.Invalid(t, Gift{}, Notify{"", "\xff"}, "giftId", "channel")
	suite.Invalid(t, Gift{}, AddThankYouNote{}, "giftId", "note")
	suite.Invalid(t, Gift{}, Cancel{"", "\xff"}, "giftId", "reason")
}
