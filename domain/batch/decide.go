package batch

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// Decide answers a valid command with the events that follow from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the batch does not exist.
func Decide(b Batch, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string) ([]domain.Event, error) {
		return nil, Machine.Refuse(command.CommandName(), "order batch "+b.ID, b.Status, reason)
	}
	if c, ok := command.(Create); ok {
		if b.ID != "" {
			return refuse("its id is taken")
		}
		if c.BatchID == "" {
			return nil, domain.MissingID(command, "batchId")
		}
		c.SendAt = check.UTC(c.SendAt)
		return []domain.Event{Created(c)}, nil
	}
	if b.ID == "" {
		return nil, &domain.NotFoundError{Kind: "order batch", ID: command.StreamID().ID}
	}
	var change domain.Event
	switch c := command.(type) {
	case AddOrder:
		if b.Has(c.OrderID) {
			return nil, nil
		}
		change = OrderAdded{OrderID: c.OrderID}
	case DropOrder:
		if b.Expected == 1 {
			return refuse("it expects one order only, and a batch without any is none")
		}
		change = OrderDropped{Reason: c.Reason}
	default:
		return nil, fmt.Errorf("batch: %T is not a command of an order batch", command)
	}
	if _, ok := Machine.Fire(b.Status, "complete"); !ok {
		return refuse("")
	}
	if after := Evolve(b, change, b.UpdatedAt); len(after.OrderIDs) == after.Expected {
		return []domain.Event{change, Completed{}}, nil
	}
	return []domain.Event{change}, nil
}
