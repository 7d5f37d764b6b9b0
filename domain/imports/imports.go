package imports

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the aggregate's name, the first half of its stream names.
const Name = "import"

// Statuses of an import.
const (
	StatusPending     = "pending"
	StatusStarted     = "started"
	StatusCompleted   = "completed"
	StatusInterrupted = "interrupted"
	StatusDestroyed   = "destroyed"
)

// Machine is the status of an import. A move is named after the command that makes it.
var Machine = &domain.Machine{
	Name:    Name,
	Initial: StatusPending,
	Final:   []string{StatusDestroyed},
	Moves: fsm.Events{
		{Name: "start", Src: []string{StatusPending}, Dst: StatusStarted},
		{Name: "complete", Src: []string{StatusStarted}, Dst: StatusCompleted},
		{Name: "interrupt", Src: []string{StatusPending, StatusStarted}, Dst: StatusInterrupted},
		{Name: "destroy", Src: []string{StatusPending, StatusCompleted, StatusInterrupted}, Dst: StatusDestroyed},
	},
}

var aggregate = domain.Define(Name, []*domain.Machine{Machine}, codec, Decide, Evolve)

// Aggregate is what the engine needs to run imports. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// Import is the folded state of one import: a value that [Evolve] never changes. Times are UTC, and zero (and left out of the JSON)
// until what they name has happened.
type Import struct {
	ID            string    `json:"id"` // empty while nothing has happened
	Status        string    `json:"status"`
	ResourceType  string    `json:"resourceType"` // what is imported, such as "customers"
	Reference     string    `json:"reference,omitempty"`
	Inputs        int64     `json:"inputs"`    // how many there are
	Processed     int64     `json:"processed"` // how many of them are done with
	Errors        int64     `json:"errors"`    // how many of those failed
	Reason        string    `json:"reason,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"` // of the last event of any kind
	StartedAt     time.Time `json:"startedAt,omitzero"`
	CompletedAt   time.Time `json:"completedAt,omitzero"`
	InterruptedAt time.Time `json:"interruptedAt,omitzero"`
	DestroyedAt   time.Time `json:"destroyedAt,omitzero"`
}
