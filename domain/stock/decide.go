package stock

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Decide answers a valid command with the events that follow from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the stock item does not exist (any more).
func Decide(i Item, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string, args ...any) ([]domain.Event, error) {
		return nil, Machine.Refuse(command.CommandName(), "stock item "+i.ID, i.Status, fmt.Sprintf(reason, args...))
	}
	if c, ok := command.(Create); ok {
		if i.ID != "" {
			return refuse("its id is taken")
		}
		if c.StockItemID == "" {
			return nil, domain.MissingID(command, "stockItemId")
		}
		return []domain.Event{Created(c)}, nil
	}
	if i.ID == "" || i.Status == StatusDestroyed {
		return nil, &domain.NotFoundError{Kind: "stock item", ID: command.StreamID().ID}
	}
	switch c := command.(type) {
	case Receive:
		if i.OnHand+c.Quantity > MaxQuantity {
			return refuse("%d and %d on hand would be more than %d", i.OnHand, c.Quantity, MaxQuantity)
		}
		return i.follow(Received{Quantity: c.Quantity, Reference: c.Reference}), nil
	case Reserve:
		if c.Quantity > i.Available {
			return refuse("%d are available, less than %d", i.Available, c.Quantity)
		}
		return i.follow(Reserved{Quantity: c.Quantity, Reference: c.Reference}), nil
	case Release:
		if c.Quantity > i.Reserved {
			return refuse("%d are reserved, less than %d", i.Reserved, c.Quantity)
		}
		return i.follow(Released{Quantity: c.Quantity, Reference: c.Reference}), nil
	case Issue:
		if c.Quantity > i.Reserved || c.Quantity > i.OnHand {
			return refuse("%d are reserved and %d on hand, less than %d", i.Reserved, i.OnHand, c.Quantity)
		}
		return i.follow(Issued{Quantity: c.Quantity, Reference: c.Reference}), nil
	case Adjust:
		if c.Change == 0 {
			return nil, nil
		}
		if after := i.OnHand + c.Change; after < 0 || after > MaxQuantity {
			return refuse("%d would be on hand; it must be 0 to %d", after, MaxQuantity)
		}
		return i.follow(Adjusted{Change: c.Change, Reason: c.Reason}), nil
	case Destroy:
		if _, ok := Machine.Fire(i.Status, "destroy"); !ok {
			return refuse("")
		}
		if i.Reserved > 0 {
			return refuse("%d are reserved", i.Reserved)
		}
		return []domain.Event{Destroyed{}}, nil
	}
	return nil, fmt.Errorf("stock: %T is not a command of a stock item", command)
}

// follow adds to a change of the numbers the event for the status that results, if it is another one.
func (i Item) follow(change domain.Event) []domain.Event {
	after := Evolve(i, change, i.UpdatedAt)
	if to, ok := Machine.Fire(i.Status, "run_out"); ok && to == statusOf(after.Available) {
		return []domain.Event{change, OutOfStock{}}
	}
	if to, ok := Machine.Fire(i.Status, "come_back"); ok && to == statusOf(after.Available) {
		return []domain.Event{change, BackInStock{}}
	}
	return []domain.Event{change}
}
