package customer

import (
	"fmt"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// SubscriptionName is the customer subscription aggregate's name, the first half of its stream names.
const SubscriptionName = "customer_subscription"

// Statuses of a customer subscription.
const (
	SubscriptionActive    = "active"
	SubscriptionDestroyed = "destroyed"
)

// SubscriptionMachine is the status of a customer subscription: there, or gone.
var SubscriptionMachine = &domain.Machine{
	Name:    SubscriptionName,
	Initial: SubscriptionActive,
	Final:   []string{SubscriptionDestroyed},
	Moves:   fsm.Events{{Name: "destroy", Src: []string{SubscriptionActive}, Dst: SubscriptionDestroyed}},
}

var subscriptionAggregate = domain.Define(SubscriptionName, []*domain.Machine{SubscriptionMachine}, subscriptionCodec, DecideSubscription, EvolveSubscription)

// SubscriptionAggregate is what the engine needs to run customer subscriptions. It is the same every time, and nothing may change it.
func SubscriptionAggregate() *domain.Aggregate { return subscriptionAggregate }

// Subscription is the folded state of one customer subscription: a value that [EvolveSubscription] never changes. Times are UTC.
type Subscription struct {
	ID              string    `json:"id"` // empty while nothing has happened
	Status          string    `json:"status"`
	CustomerID      string    `json:"customerId,omitempty" personal:"subject"` // empty for somebody who is no customer yet
	Person          Person    `json:"person"`
	Reference       string    `json:"reference,omitempty"`       // what is subscribed to, such as a newsletter
	ReferenceOrigin string    `json:"referenceOrigin,omitempty"` // where Reference means something
	CreatedAt       time.Time `json:"createdAt"`
	UpdatedAt       time.Time `json:"updatedAt"`
	DestroyedAt     time.Time `json:"destroyedAt,omitzero"`
}

type (
	// CreateSubscription subscribes somebody to something.
	CreateSubscription struct {
		SubscriptionID  string `json:"subscriptionId"` // generated where it is empty
		CustomerID      string `json:"customerId,omitzero"`
		Person          Person `json:"person"` // with an email at least
		Reference       string `json:"reference,omitzero"`
		ReferenceOrigin string `json:"referenceOrigin,omitzero"`
	}
	// DestroySubscription ends it. Its id stays used.
	DestroySubscription struct {
		SubscriptionID string `json:"subscriptionId"`
	}
)

// WithID addresses the subscription that CreateSubscription starts.
func (c CreateSubscription) WithID(id string) domain.Command { c.SubscriptionID = id; return c }

func (CreateSubscription) CommandName() string  { return "customer_subscription.create" }
func (DestroySubscription) CommandName() string { return "customer_subscription.destroy" }

func (c CreateSubscription) StreamID() domain.StreamID {
	return domain.StreamID{Aggregate: SubscriptionName, ID: c.SubscriptionID}
}
func (c DestroySubscription) StreamID() domain.StreamID {
	return domain.StreamID{Aggregate: SubscriptionName, ID: c.SubscriptionID}
}

// SubscriptionCommands returns a zero value of every command of a customer subscription.
func SubscriptionCommands() []domain.Command {
	return []domain.Command{CreateSubscription{}, DestroySubscription{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c CreateSubscription) Validate() error {
	v := check.Fields{}
	if c.SubscriptionID != "" {
		v.ID("subscriptionId", c.SubscriptionID)
	}
	if c.CustomerID != "" {
		v.ID("customerId", c.CustomerID)
	}
	c.Person.check(&v, "person")
	v.Text("reference", c.Reference, check.MaxText)
	v.Text("referenceOrigin", c.ReferenceOrigin, check.MaxText)
	return v.Err(c)
}

func (c DestroySubscription) Validate() error {
	v := check.Fields{}
	v.ID("subscriptionId", c.SubscriptionID)
	return v.Err(c)
}

type (
	// SubscriptionCreated is the first event of every customer subscription.
	SubscriptionCreated struct {
		SubscriptionID  string `json:"subscriptionId"`
		CustomerID      string `json:"customerId,omitzero"`
		Person          Person `json:"person"`
		Reference       string `json:"reference,omitzero"`
		ReferenceOrigin string `json:"referenceOrigin,omitzero"`
	}
	SubscriptionEnded struct{}
)

func (SubscriptionCreated) EventType() string { return "customer_subscription.created" }
func (SubscriptionEnded) EventType() string   { return "customer_subscription.destroyed" }

var subscriptionCodec = domain.NewCodec(
	domain.EventOf[SubscriptionCreated]("Somebody subscribed to something, such as a newsletter."),
	domain.EventOf[SubscriptionEnded]("The customer subscription is gone."),
)

// DecideSubscription answers as [Decide] does, for customer subscriptions.
func DecideSubscription(s Subscription, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string) ([]domain.Event, error) {
		return nil, SubscriptionMachine.Refuse(command.CommandName(), "customer subscription "+s.ID, s.Status, reason)
	}
	if c, ok := command.(CreateSubscription); ok {
		if s.ID != "" {
			return refuse("its id is taken")
		}
		if c.SubscriptionID == "" {
			return nil, domain.MissingID(command, "subscriptionId")
		}
		return []domain.Event{SubscriptionCreated(c)}, nil
	}
	if s.ID == "" || s.Status == SubscriptionDestroyed {
		return nil, &domain.NotFoundError{Kind: "customer subscription", ID: command.StreamID().ID}
	}
	if _, ok := command.(DestroySubscription); ok {
		if _, ok := SubscriptionMachine.Fire(s.Status, "destroy"); !ok {
			return refuse("")
		}
		return []domain.Event{SubscriptionEnded{}}, nil
	}
	return nil, fmt.Errorf("customer: %T is not a command of a customer subscription", command)
}

// EvolveSubscription returns the subscription after an event, as [Evolve] does.
func EvolveSubscription(s Subscription, event domain.Event, at time.Time) Subscription {
	at = at.UTC()
	switch e := event.(type) {
	case SubscriptionCreated:
		return Subscription{
			ID: e.SubscriptionID, Status: SubscriptionActive, CustomerID: e.CustomerID, Person: e.Person,
			Reference: e.Reference, ReferenceOrigin: e.ReferenceOrigin, CreatedAt: at, UpdatedAt: at,
		}
	case SubscriptionEnded:
		s.Status, s.UpdatedAt, s.DestroyedAt = SubscriptionDestroyed, at, at
		return s
	}
	panic(fmt.Sprintf("customer: %T is not an event of a customer subscription", event))
}
