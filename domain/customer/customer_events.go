package customer

import (
	"fmt"
	"maps"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

type (
	// Created is the first event of every customer.
	Created struct {
		CustomerID string            `json:"customerId"`
		Person     Person            `json:"person"`
		Reference  string            `json:"reference,omitzero"`
		Metadata   map[string]string `json:"metadata,omitzero"`
	}
	// Updated holds what really changed, and only that.
	Updated struct {
		Person    *Person           `json:"person,omitzero"`
		Reference *string           `json:"reference,omitzero"`
		Metadata  map[string]string `json:"metadata,omitzero"`
	}
	Acquired struct {
		OrderID string `json:"orderId"`
	}
	Repeated struct {
		OrderID string `json:"orderId"`
	}
	Destroyed struct {
		From string `json:"from"` // prospect, acquired or repeat
	}
)

func (Created) EventType() string   { return "customer.created" }
func (Updated) EventType() string   { return "customer.updated" }
func (Acquired) EventType() string  { return "customer.acquired" }
func (Repeated) EventType() string  { return "customer.repeated" }
func (Destroyed) EventType() string { return "customer.destroyed" }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new customer exists, as a prospect."),
	domain.EventOf[Updated]("What is known of the customer changed; the event holds what changed."),
	domain.EventOf[Acquired]("The customer placed their first order."),
	domain.EventOf[Repeated]("The customer placed their second order."),
	domain.EventOf[Destroyed]("The customer is gone."),
)

// Evolve returns the customer after an event that was recorded at the time given. It panics on an event that is none of a customer's:
// to skip it would be to tell a wrong history.
func Evolve(c Customer, event domain.Event, at time.Time) Customer {
	at = at.UTC()
	c.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return Customer{
			ID: e.CustomerID, Status: StatusProspect, Person: e.Person, Reference: e.Reference, Metadata: metadata(e.Metadata),
			CreatedAt: at, UpdatedAt: at,
		}
	case Updated:
		if e.Person != nil {
			c.Person = *e.Person
		}
		if e.Reference != nil {
			c.Reference = *e.Reference
		}
		if e.Metadata != nil {
			c.Metadata = metadata(e.Metadata)
		}
	case Acquired:
		c.Status, c.FirstOrderID, c.AcquiredAt = StatusAcquired, e.OrderID, at
	case Repeated:
		c.Status, c.RepeatOrderID, c.RepeatAt = StatusRepeat, e.OrderID, at
	case Destroyed:
		c.Status, c.DestroyedAt = StatusDestroyed, at
	default:
		panic(fmt.Sprintf("customer: %T is not an event of a customer", event))
	}
	return c
}

func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}
