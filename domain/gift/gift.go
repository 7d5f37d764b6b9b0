package gift

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the aggregate's name, the first half of its stream names.
const Name = "gift"

// Statuses of a gift.
const (
	StatusCreated   = "created"
	StatusNotified  = "notified"
	StatusOpened    = "opened"
	StatusAccepted  = "accepted"
	StatusThanked   = "thanked"
	StatusCancelled = "cancelled"
)

// Machine is the status of a gift. A move is named after the command that makes it.
var Machine = &domain.Machine{
	Name:    Name,
	Initial: StatusCreated,
	Final:   []string{StatusThanked, StatusCancelled},
	Moves: fsm.Events{
		{Name: "notify", Src: []string{StatusCreated}, Dst: StatusNotified},
		{Name: "open", Src: []string{StatusCreated, StatusNotified}, Dst: StatusOpened},
		{Name: "accept", Src: []string{StatusOpened}, Dst: StatusAccepted},
		{Name: "add_thank_you_note", Src: []string{StatusAccepted}, Dst: StatusThanked},
		{Name: "cancel", Src: []string{StatusCreated, StatusNotified, StatusOpened}, Dst: StatusCancelled},
	},
}

var aggregate = domain.Define(Name, []*domain.Machine{Machine}, codec, Decide, Evolve)

// Aggregate is what the engine needs to run gifts. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// Gift is the folded state of one gift: a value that [Evolve] never changes. Times are UTC, and zero (and left out of the JSON) until
// what they name has happened.
type Gift struct {
	ID           string    `json:"id"` // empty while nothing has happened
	Status       string    `json:"status"`
	OrderID      string    `json:"orderId"`
	Sender       Person    `json:"sender,omitzero"`
	Recipient    Person    `json:"recipient,omitzero"`
	Message      string    `json:"message,omitempty" personal:"true"`
	ThankYouNote string    `json:"thankYouNote,omitempty" personal:"true"`
	CancelReason string    `json:"cancelReason,omitempty"`
	CreatedAt    time.Time `json:"createdAt"`
	UpdatedAt    time.Time `json:"updatedAt"` // of the last event of any kind
	NotifiedAt   time.Time `json:"notifiedAt,omitzero"`
	OpenedAt     time.Time `json:"openedAt,omitzero"`
	AcceptedAt   time.Time `json:"acceptedAt,omitzero"`
	ThankedAt    time.Time `json:"thankedAt,omitzero"`
	CancelledAt  time.Time `json:"cancelledAt,omitzero"`
}

// Person is who gives a gift or gets it. All personal data of a gift is here, besides what people write in a message and a note.
type Person struct {
	CustomerID string `json:"customerId,omitzero" personal:"subject"` // where they are a customer
	Name       string `json:"name,omitzero" personal:"true"`
	Email      string `json:"email,omitzero" personal:"true"`
	Phone      string `json:"phone,omitzero" personal:"true"`
}
