package batch

import (
	"time"

	"github.com/waybill-dev/waybill/domain"
)

type (
	// Created is the first event of every order batch.
	Created struct {
		BatchID  string    `json:"batchId"`
		Name     string    `json:"name,omitzero"`
		Expected int       `json:"expected"`
		SendAt   time.Time `json:"sendAt,omitzero"`
	}
	OrderAdded struct {
		OrderID string `json:"orderId"`
	}
	OrderDropped struct {
		Reason string `json:"reason,omitzero"`
	}
	Completed struct{}
)

func (Created) EventType() string      { return "order_batch.created" }
func (OrderAdded) EventType() string   { return "order_batch.order_added" }
func (OrderDropped) EventType() string { return "order_batch.order_dropped" }
func (Completed) EventType() string    { return "order_batch.completed" }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new order batch exists; its orders are still to be created."),
	domain.EventOf[OrderAdded]("An order of the batch was created."),
	domain.EventOf[OrderDropped]("An order of the batch came to nothing, so that one less is expected."),
	domain.EventOf[Completed]("All orders of the batch are created."),
)
