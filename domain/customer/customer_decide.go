package customer

import (
	"fmt"
	"maps"

	"github.com/waybill-dev/waybill/domain"
)

// Decide answers a valid command with the events that follow from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the customer does not exist (any more).
func Decide(c Customer, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string) ([]domain.Event, error) {
		return nil, Machine.Refuse(command.CommandName(), "customer "+c.ID, c.Status, reason)
	}
	if create, ok := command.(Create); ok {
		if c.ID != "" {
			return refuse("its id is taken")
		}
		if create.CustomerID == "" {
			return nil, domain.MissingID(command, "customerId")
		}
		return []domain.Event{Created(create)}, nil
	}
	if c.ID == "" || c.Status == StatusDestroyed {
		return nil, &domain.NotFoundError{Kind: "customer", ID: command.StreamID().ID}
	}
	switch command := command.(type) {
	case Update:
		return c.update(command), nil
	case RecordOrder:
		if command.OrderID == c.FirstOrderID || command.OrderID == c.RepeatOrderID {
			return nil, nil
		}
		if _, ok := Machine.Fire(c.Status, "acquire"); ok {
			return []domain.Event{Acquired{OrderID: command.OrderID}}, nil
		}
		if _, ok := Machine.Fire(c.Status, "repeat"); ok {
			return []domain.Event{Repeated{OrderID: command.OrderID}}, nil
		}
		return nil, nil
	case Destroy:
		if _, ok := Machine.Fire(c.Status, "destroy"); !ok {
			return refuse("")
		}
		return []domain.Event{Destroyed{From: c.Status}}, nil
	}
	return nil, fmt.Errorf("customer: %T is not a command of a customer", command)
}

// update keeps what would really change the customer.
func (c Customer) update(command Update) []domain.Event {
	e := Updated{}
	if command.Person != nil && *command.Person != c.Person {
		e.Person = command.Person
	}
	if command.Reference != nil && *command.Reference != c.Reference {
		e.Reference = command.Reference
	}
	if command.Metadata != nil && !maps.Equal(command.Metadata, c.Metadata) {
		e.Metadata = command.Metadata
	}
	if e.Person == nil && e.Reference == nil && e.Metadata == nil {
		return nil
	}
	return []domain.Event{e}
}
