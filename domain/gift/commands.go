package gift

import (
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

type (
	// Create makes an order a gift.
	Create struct {
		GiftID    string `json:"giftId"` // generated where it is empty
		OrderID   string `json:"orderId"`
		Sender    Person `json:"sender,omitzero"`
		Recipient Person `json:"recipient,omitzero"`
		Message   string `json:"message,omitzero"`
	}
	// Notify tells that the recipient was told of the gift.
	Notify struct {
		GiftID  string `json:"giftId"`
		Channel string `json:"channel,omitzero"` // such as email or sms
	}
	// Open tells that the recipient has seen what it is.
	Open struct {
		GiftID string `json:"giftId"`
	}
	// Accept tells that the recipient wants it.
	Accept struct {
		GiftID string `json:"giftId"`
	}
	// AddThankYouNote tells what the recipient wrote after accepting it. That happens once.
	AddThankYouNote struct {
		GiftID string `json:"giftId"`
		Note   string `json:"note"`
	}
	// Cancel takes the gift back before it is accepted.
	Cancel struct {
		GiftID string `json:"giftId"`
		Reason string `json:"reason,omitzero"`
	}
)

// WithID addresses the gift that Create starts.
func (c Create) WithID(id string) domain.Command { c.GiftID = id; return c }

func (Create) CommandName() string          { return "gift.create" }
func (Notify) CommandName() string          { return "gift.notify" }
func (Open) CommandName() string            { return "gift.open" }
func (Accept) CommandName() string          { return "gift.accept" }
func (AddThankYouNote) CommandName() string { return "gift.add_thank_you_note" }
func (Cancel) CommandName() string          { return "gift.cancel" }

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: id} }

func (c Create) StreamID() domain.StreamID          { return stream(c.GiftID) }
func (c Notify) StreamID() domain.StreamID          { return stream(c.GiftID) }
func (c Open) StreamID() domain.StreamID            { return stream(c.GiftID) }
func (c Accept) StreamID() domain.StreamID          { return stream(c.GiftID) }
func (c AddThankYouNote) StreamID() domain.StreamID { return stream(c.GiftID) }
func (c Cancel) StreamID() domain.StreamID          { return stream(c.GiftID) }

// Commands returns a zero value of every command.
func Commands() []domain.Command {
	return []domain.Command{Create{}, Notify{}, Open{}, Accept{}, AddThankYouNote{}, Cancel{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := check.Fields{}
	if c.GiftID != "" {
		v.ID("giftId", c.GiftID)
	}
	v.ID("orderId", c.OrderID)
	person(&v, "sender", c.Sender)
	person(&v, "recipient", c.Recipient)
	v.Text("message", c.Message, check.MaxNote)
	return v.Err(c)
}

func person(v *check.Fields, field string, p Person) {
	v.Text(field+".customerId", p.CustomerID, check.MaxText)
	v.Text(field+".name", p.Name, check.MaxText)
	v.Email(field+".email", p.Email)
	v.Text(field+".phone", p.Phone, check.MaxText)
}

func (c Notify) Validate() error {
	v := check.Fields{}
	v.ID("giftId", c.GiftID)
	v.Text("channel", c.Channel, check.MaxText)
	return v.Err(c)
}

func (c Open) Validate() error {
	v := check.Fields{}
	v.ID("giftId", c.GiftID)
	return v.Err(c)
}

func (c Accept) Validate() error {
	v := check.Fields{}
	v.ID("giftId", c.GiftID)
	return v.Err(c)
}

func (c AddThankYouNote) Validate() error {
	v := check.Fields{}
	v.ID("giftId", c.GiftID)
	v.Required("note", c.Note, check.MaxNote)
	return v.Err(c)
}

func (c Cancel) Validate() error {
	v := check.Fields{}
	v.ID("giftId", c.GiftID)
	v.Text("reason", c.Reason, check.MaxText)
	return v.Err(c)
}
