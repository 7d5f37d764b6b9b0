package batch

import (
	"slices"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the aggregate's name, the first half of its stream names.
const Name = "order_batch"

// Statuses of an order batch.
const (
	StatusPending   = "pending"
	StatusCompleted = "completed"
)

// Machine is the status of an order batch. Its move follows from the last order that is added, or from fewer being expected.
var Machine = &domain.Machine{
	Name:    Name,
	Initial: StatusPending,
	Final:   []string{StatusCompleted},
	Moves:   fsm.Events{{Name: "complete", Src: []string{StatusPending}, Dst: StatusCompleted}},
}

var aggregate = domain.Define(Name, []*domain.Machine{Machine}, codec, Decide, Evolve)

// Aggregate is what the engine needs to run order batches. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// Batch is the folded state of one order batch: a value that [Evolve] never changes. Times are UTC.
type Batch struct {
	ID          string    `json:"id"` // empty while nothing has happened
	Status      string    `json:"status"`
	Name        string    `json:"name"`
	Expected    int       `json:"expected"` // how many orders it has once it is complete
	OrderIDs    []string  `json:"orderIds"` // in the order in which they were added
	SendAt      time.Time `json:"sendAt,omitzero"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"` // of the last event of any kind
	CompletedAt time.Time `json:"completedAt,omitzero"`
}

// Has says whether an order is in the batch.
func (b Batch) Has(orderID string) bool { return slices.Contains(b.OrderIDs, orderID) }
