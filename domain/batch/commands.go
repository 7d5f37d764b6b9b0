package batch

import (
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// MaxOrders is how many orders a batch can have.
const MaxOrders = 1000

type (
	// Create starts a batch, to which orders are then added.
	Create struct {
		BatchID  string    `json:"batchId"` // generated where it is empty
		Name     string    `json:"name,omitzero"`
		Expected int       `json:"expected"`
		SendAt   time.Time `json:"sendAt,omitzero"` // when it is meant to be sent, for batches that wait for their day
	}
	// AddOrder tells that an order of the batch was created.
	AddOrder struct {
		BatchID string `json:"batchId"`
		OrderID string `json:"orderId"`
	}
	// DropOrder tells that an order of the batch came to nothing before it was created, so that one less is expected.
	DropOrder struct {
		BatchID string `json:"batchId"`
		Reason  string `json:"reason,omitzero"`
	}
)

// WithID addresses the batch that Create starts.
func (c Create) WithID(id string) domain.Command { c.BatchID = id; return c }

func (Create) CommandName() string    { return "order_batch.create" }
func (AddOrder) CommandName() string  { return "order_batch.add_order" }
func (DropOrder) CommandName() string { return "order_batch.drop_order" }

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: id} }

func (c Create) StreamID() domain.StreamID    { return stream(c.BatchID) }
func (c AddOrder) StreamID() domain.StreamID  { return stream(c.BatchID) }
func (c DropOrder) StreamID() domain.StreamID { return stream(c.BatchID) }

// Commands returns a zero value of every command.
func Commands() []domain.Command { return []domain.Command{Create{}, AddOrder{}, DropOrder{}} }

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := check.Fields{}
	if c.BatchID != "" {
		v.ID("batchId", c.BatchID)
	}
	v.Text("name", c.Name, check.MaxText)
	v.Number("expected", int64(c.Expected), 1, MaxOrders)
	v.Time("sendAt", c.SendAt)
	return v.Err(c)
}

func (c AddOrder) Validate() error {
	v := check.Fields{}
	v.ID("batchId", c.BatchID)
	v.ID("orderId", c.OrderID)
	return v.Err(c)
}

func (c DropOrder) Validate() error {
	v := check.Fields{}
	v.ID("batchId", c.BatchID)
	v.Text("reason", c.Reason, check.MaxText)
	return v.Err(c)
}
