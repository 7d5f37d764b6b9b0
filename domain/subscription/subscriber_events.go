package subscription

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// The subscriber's own status.
type (
	// SubscriberCreated is the first event of every subscriber.
	SubscriberCreated struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"` // the first one
	}
	SubscriberEnded       struct{}
	SubscriberReactivated struct{}
)

// The subscriptions.
type (
	Created struct {
		SubscriptionID    string            `json:"subscriptionId"`
		Product           string            `json:"product"`
		Components        []Component       `json:"components,omitzero"`
		Quantity          int64             `json:"quantity"`
		Every             int64             `json:"every"`
		Period            string            `json:"period"`
		Offer             string            `json:"offer,omitzero"`
		PaymentID         string            `json:"paymentId,omitzero"`
		ShippingAddressID string            `json:"shippingAddressId,omitzero"`
		OrderID           string            `json:"orderId,omitzero"`
		Metadata          map[string]string `json:"metadata,omitzero"`
	}
	Ended struct {
		SubscriptionID string `json:"subscriptionId"`
		Reason         string `json:"reason,omitzero"`
		ReasonCode     string `json:"reasonCode,omitzero"`
	}
	Reactivated struct {
		SubscriptionID string `json:"subscriptionId"`
	}
	ProductChanged struct {
		SubscriptionID string `json:"subscriptionId"`
		From           string `json:"from"`
		Product        string `json:"product"`
	}
	ComponentsChanged struct {
		SubscriptionID string      `json:"subscriptionId"`
		Components     []Component `json:"components"`
	}
	QuantityChanged struct {
		SubscriptionID string `json:"subscriptionId"`
		From           int64  `json:"from"`
		Quantity       int64  `json:"quantity"`
	}
	FrequencyChanged struct {
		SubscriptionID string `json:"subscriptionId"`
		Every          int64  `json:"every"`
		Period         string `json:"period"`
	}
	ShippingAddressChanged struct {
		SubscriptionID    string `json:"subscriptionId"`
		ShippingAddressID string `json:"shippingAddressId"`
	}
	PaymentChanged struct {
		SubscriptionID string `json:"subscriptionId"`
		PaymentID      string `json:"paymentId"`
	}
)

func (SubscriberCreated) EventType() string      { return "subscriber.created" }
func (SubscriberEnded) EventType() string        { return "subscriber.cancelled" }
func (SubscriberReactivated) EventType() string  { return "subscriber.reactivated" }
func (Created) EventType() string                { return "subscription.created" }
func (Ended) EventType() string                  { return "subscription.cancelled" }
func (Reactivated) EventType() string            { return "subscription.reactivated" }
func (ProductChanged) EventType() string         { return "subscription.product_changed" }
func (ComponentsChanged) EventType() string      { return "subscription.components_changed" }
func (QuantityChanged) EventType() string        { return "subscription.quantity_changed" }
func (FrequencyChanged) EventType() string       { return "subscription.frequency_changed" }
func (ShippingAddressChanged) EventType() string { return "subscription.shipping_address_changed" }
func (PaymentChanged) EventType() string         { return "subscription.payment_changed" }

// subscriberCodec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has
// changed.
var subscriberCodec = domain.NewCodec(
	domain.EventOf[SubscriberCreated]("Somebody became a subscriber by their first subscription."),
	domain.EventOf[SubscriberEnded]("The subscriber's last live subscription was cancelled."),
	domain.EventOf[SubscriberReactivated]("The subscriber, who had none, has a live subscription again."),
	domain.EventOf[Created]("A new subscription exists."),
	domain.EventOf[Ended]("The subscription was cancelled."),
	domain.EventOf[Reactivated]("The subscription, which was cancelled, is live again."),
	domain.EventOf[ProductChanged]("Another product is subscribed to."),
	domain.EventOf[ComponentsChanged]("What the subscribed bundle is made of changed."),
	domain.EventOf[QuantityChanged]("Another quantity is subscribed to."),
	domain.EventOf[FrequencyChanged]("How often the subscription comes changed."),
	domain.EventOf[ShippingAddressChanged]("The subscription goes to another address."),
	domain.EventOf[PaymentChanged]("The subscription is paid for in another way."),
)

// EvolveSubscriber returns the subscriber after an event that was recorded at the time given. It panics on an event that is none of a
// subscriber's: to skip it would be to tell a wrong history.
func EvolveSubscriber(s Subscriber, event domain.Event, at time.Time) Subscriber {
	at = at.UTC()
	s.UpdatedAt = at
	switch e := event.(type) {
	case SubscriberCreated:
		return Subscriber{ID: e.SubscriberID, Status: SubscriberActive, Subscriptions: []Subscription{}, CreatedAt: at, UpdatedAt: at}
	case SubscriberEnded:
		s.Status, s.CancelledAt = SubscriberCancelled, at
	case SubscriberReactivated:
		s.Status, s.CancelledAt = SubscriberActive, time.Time{}

	case Created:
		sub := Subscription{
			ID: e.SubscriptionID, Status: Live, Product: e.Product, Components: append([]Component{}, e.Components...), Quantity: e.Quantity,
			Every: e.Every, Period: e.Period, Offer: e.Offer, PaymentID: e.PaymentID, ShippingAddressID: e.ShippingAddressID,
			OrderID: e.OrderID, Metadata: maps.Clone(e.Metadata), CreatedAt: at, UpdatedAt: at,
		}
		if sub.Metadata == nil {
			sub.Metadata = map[string]string{}
		}
		s.Subscriptions = append(slices.Clone(s.Subscriptions), sub)
	case Ended:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) {
			sub.Status, sub.CancelledAt, sub.CancelReason, sub.CancelReasonCode = Cancelled, at, e.Reason, e.ReasonCode
		})
	case Reactivated:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) {
			sub.Status, sub.CancelledAt, sub.CancelReason, sub.CancelReasonCode = Live, time.Time{}, "", ""
		})
	case ProductChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.Product = e.Product })
	case ComponentsChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.Components = append([]Component{}, e.Components...) })
	case QuantityChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.Quantity = e.Quantity })
	case FrequencyChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.Every, sub.Period = e.Every, e.Period })
	case ShippingAddressChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.ShippingAddressID = e.ShippingAddressID })
	case PaymentChanged:
		return s.change(e.SubscriptionID, at, func(sub *Subscription) { sub.PaymentID = e.PaymentID })
	default:
		panic(fmt.Sprintf("subscription: %T is not an event of a subscriber", event))
	}
	return s
}

func (s Subscriber) change(id string, at time.Time, change func(*Subscription)) Subscriber {
	s.Subscriptions = slices.Clone(s.Subscriptions)
	for i := range s.Subscriptions {
		if sub := &s.Subscriptions[i]; sub.ID == id {
			change(sub)
			sub.UpdatedAt = at
		}
	}
	return s
}
