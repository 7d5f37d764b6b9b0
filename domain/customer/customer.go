package customer

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the customer aggregate's name, the first half of its stream names.
const Name = "customer"

// Statuses of a customer.
const (
	StatusProspect  = "prospect"
	StatusAcquired  = "acquired"
	StatusRepeat    = "repeat"
	StatusDestroyed = "destroyed"
)

// Machine is the status of a customer. Recording an order makes the first two moves.
var Machine = &domain.Machine{
	Name:    Name,
	Initial: StatusProspect,
	Final:   []string{StatusDestroyed},
	Moves: fsm.Events{
		{Name: "acquire", Src: []string{StatusProspect}, Dst: StatusAcquired},
		{Name: "repeat", Src: []string{StatusAcquired}, Dst: StatusRepeat},
		{Name: "destroy", Src: []string{StatusProspect, StatusAcquired, StatusRepeat}, Dst: StatusDestroyed},
	},
}

var aggregate = domain.Define(Name, []*domain.Machine{Machine}, codec, Decide, Evolve)

// Aggregate is what the engine needs to run customers. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// Customer is the folded state of one customer: a value that [Evolve] never changes. Times are UTC.
type Customer struct {
	ID            string            `json:"id" personal:"subject"` // empty while nothing has happened
	Status        string            `json:"status"`
	Person        Person            `json:"person"`
	Reference     string            `json:"reference,omitempty"`     // what the customer is known as elsewhere
	FirstOrderID  string            `json:"firstOrderId,omitempty"`  // the order that made a prospect a customer
	RepeatOrderID string            `json:"repeatOrderId,omitempty"` // the one that made the customer a repeat one
	Metadata      map[string]string `json:"metadata"`
	CreatedAt     time.Time         `json:"createdAt"`
	UpdatedAt     time.Time         `json:"updatedAt"` // of the last event of any kind
	AcquiredAt    time.Time         `json:"acquiredAt,omitzero"`
	RepeatAt      time.Time         `json:"repeatAt,omitzero"`
	DestroyedAt   time.Time         `json:"destroyedAt,omitzero"`
}

// Person is all that is personal about a customer.
type Person struct {
	Email     string `json:"email,omitzero" personal:"true"`
	FirstName string `json:"firstName,omitzero" personal:"true"`
	LastName  string `json:"lastName,omitzero" personal:"true"`
	Phone     string `json:"phone,omitzero" personal:"true"`
}
