package subscription

import (
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/domain"
)

// DecideSubscriber answers a valid command with the events that follow from it, none where it would change nothing, or says why it is
// not legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the subscriber or the subscription does not exist.
func DecideSubscriber(s Subscriber, command domain.Command) ([]domain.Event, error) {
	if c, ok := command.(Create); ok {
		return s.create(c)
	}
	if s.ID == "" {
		return nil, &domain.NotFoundError{Kind: "subscriber", ID: command.StreamID().ID}
	}
	switch c := command.(type) {
	case Cancel:
		return s.move(c, c.SubscriptionID, "cancel", Ended{SubscriptionID: c.SubscriptionID, Reason: c.Reason, ReasonCode: c.ReasonCode})
	case Reactivate:
		return s.move(c, c.SubscriptionID, "reactivate", Reactivated{SubscriptionID: c.SubscriptionID})
	case ChangeProduct:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			return ProductChanged{SubscriptionID: sub.ID, From: sub.Product, Product: c.Product}, c.Product != sub.Product
		})
	case ChangeComponents:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			list := append([]Component{}, c.Components...)
			return ComponentsChanged{SubscriptionID: sub.ID, Components: list}, !slices.Equal(list, sub.Components)
		})
	case ChangeQuantity:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			return QuantityChanged{SubscriptionID: sub.ID, From: sub.Quantity, Quantity: c.Quantity}, c.Quantity != sub.Quantity
		})
	case ChangeFrequency:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			return FrequencyChanged{SubscriptionID: sub.ID, Every: c.Every, Period: c.Period}, c.Every != sub.Every || c.Period != sub.Period
		})
	case ChangeShippingAddress:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			return ShippingAddressChanged{SubscriptionID: sub.ID, ShippingAddressID: c.ShippingAddressID}, c.ShippingAddressID != sub.ShippingAddressID
		})
	case ChangePayment:
		return s.set(c, c.SubscriptionID, func(sub Subscription) (domain.Event, bool) {
			return PaymentChanged{SubscriptionID: sub.ID, PaymentID: c.PaymentID}, c.PaymentID != sub.PaymentID
		})
	}
	return nil, fmt.Errorf("subscription: %T is not a command of a subscriber", command)
}

func (s Subscriber) create(c Create) ([]domain.Event, error) {
	if sub, taken := s.Subscription(c.SubscriptionID); taken {
		return nil, Machine.Refuse(c.CommandName(), s.subject(sub.ID), sub.Status, "its id is taken")
	}
	if len(s.Subscriptions) >= MaxSubscriptions {
		return nil, SubscriberMachine.Refuse(c.CommandName(), "subscriber "+s.ID, s.Status,
			fmt.Sprintf("there are %d subscriptions already, which is the most", MaxSubscriptions))
	}
	created := Created{
		SubscriptionID: c.SubscriptionID, Product: c.Product, Components: c.Components, Quantity: c.Quantity, Every: c.Every, Period: c.Period,
		Offer: c.Offer, PaymentID: c.PaymentID, ShippingAddressID: c.ShippingAddressID, OrderID: c.OrderID, Metadata: c.Metadata,
	}
	if s.ID == "" {
		return []domain.Event{SubscriberCreated{SubscriberID: c.SubscriberID, SubscriptionID: c.SubscriptionID}, created}, nil
	}
	return s.follow(created), nil
}

func (s Subscriber) subject(id string) string { return "subscription " + id + " of subscriber " + s.ID }

// move makes a move of the subscription machine.
func (s Subscriber) move(c domain.Command, id, move string, e domain.Event) ([]domain.Event, error) {
	sub, ok := s.Subscription(id)
	if !ok {
		return nil, &domain.NotFoundError{Kind: "subscription", ID: id}
	}
	if _, ok := Machine.Fire(sub.Status, move); !ok {
		return nil, Machine.Refuse(c.CommandName(), s.subject(id), sub.Status, "")
	}
	return s.follow(e), nil
}

// follow adds to a change of the subscriptions the event for the subscriber's status that results, if it is another one.
func (s Subscriber) follow(e domain.Event) []domain.Event {
	live := EvolveSubscriber(s, e, s.UpdatedAt).live()
	if _, ok := SubscriberMachine.Fire(s.Status, "cancel"); ok && !live {
		return []domain.Event{e, SubscriberEnded{}}
	}
	if _, ok := SubscriberMachine.Fire(s.Status, "reactivate"); ok && live {
		return []domain.Event{e, SubscriberReactivated{}}
	}
	return []domain.Event{e}
}

// set changes a value of a live subscription.
func (s Subscriber) set(c domain.Command, id string, change func(Subscription) (e domain.Event, changed bool)) ([]domain.Event, error) {
	sub, ok := s.Subscription(id)
	if !ok {
		return nil, &domain.NotFoundError{Kind: "subscription", ID: id}
	}
	if sub.Status != Live {
		return nil, Machine.Refuse(c.CommandName(), s.subject(id), sub.Status, "only a live subscription can be changed")
	}
	if e, changed := change(sub); changed {
		return []domain.Event{e}, nil
	}
	return nil, nil
}
