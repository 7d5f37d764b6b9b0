package subscription

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// DecideItem answers a valid command with the event that follows from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the item does not exist.
func DecideItem(i Item, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string, args ...any) ([]domain.Event, error) {
		return nil, ItemMachine.Refuse(command.CommandName(), "item "+i.ID, i.Status, fmt.Sprintf(reason, args...))
	}
	if c, ok := command.(CreateItem); ok {
		if i.ID != "" {
			return refuse("its id is taken")
		}
		if c.ItemID == "" {
			return nil, domain.MissingID(command, "itemId")
		}
		return []domain.Event{ItemCreated(c)}, nil
	}
	if i.ID == "" {
		return nil, &domain.NotFoundError{Kind: "item", ID: command.StreamID().ID}
	}
	move := func(name string, e domain.Event) ([]domain.Event, error) {
		if _, ok := ItemMachine.Fire(i.Status, name); !ok {
			return refuse("")
		}
		return []domain.Event{e}, nil
	}
	set := func(changed bool, e domain.Event) ([]domain.Event, error) {
		if i.Status != ItemUpcoming {
			return refuse("only an upcoming item can be changed")
		}
		if !changed {
			return nil, nil
		}
		return []domain.Event{e}, nil
	}
	switch c := command.(type) {
	case ChangeItemQuantity:
		return set(c.Quantity != i.Quantity, ItemQuantityChanged{From: i.Quantity, Quantity: c.Quantity})
	case ChangeItemPrice:
		return set(c.UnitPrice != i.UnitPrice, ItemPriceChanged{From: i.UnitPrice, UnitPrice: c.UnitPrice})
	case ChangeItemProduct:
		return set(c.Product != i.Product, ItemProductChanged{From: i.Product, Product: c.Product})
	case SubscribeItem:
		if i.Status == ItemUpcoming && i.SubscriptionID != "" && i.SubscriptionID != c.SubscriptionID {
			return refuse("it is subscription %s's already", i.SubscriptionID)
		}
		return set(c.SubscriptionID != i.SubscriptionID, ItemSubscribed{SubscriptionID: c.SubscriptionID})
	case MoveItem:
		return set(c.OrderID != i.OrderID, ItemMoved{From: i.OrderID, OrderID: c.OrderID})
	case PostponeItem:
		return set(c.OrderID != i.OrderID, ItemOutOfStock{From: i.OrderID, OrderID: c.OrderID})
	case PlaceItem:
		return move("place", ItemWasPlaced{OrderID: i.OrderID})
	case RemoveItem:
		return move("remove", ItemWasRemoved{OrderID: i.OrderID})
	}
	return nil, fmt.Errorf("subscription: %T is not a command of an item", command)
}
