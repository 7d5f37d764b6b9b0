package subscription

import (
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// SubscriberName is the subscriber aggregate's name, the first half of its stream names.
const SubscriberName = "subscriber"

// Statuses of a subscriber.
const (
	SubscriberActive    = "active"
	SubscriberCancelled = "cancelled"
)

// SubscriberMachine is the status of a subscriber. It follows from the subscriptions.
var SubscriberMachine = &domain.Machine{
	Name:    "subscriber",
	Initial: SubscriberActive,
	Moves: fsm.Events{
		{Name: "cancel", Src: []string{SubscriberActive}, Dst: SubscriberCancelled},
		{Name: "reactivate", Src: []string{SubscriberCancelled}, Dst: SubscriberActive},
	},
}

// Statuses of a subscription.
const (
	Live      = "live"
	Cancelled = "cancelled"
)

// Machine is the status of each subscription. A move is named after the command that makes it.
var Machine = &domain.Machine{
	Name:    "subscription",
	Initial: Live,
	Moves: fsm.Events{
		{Name: "cancel", Src: []string{Live}, Dst: Cancelled},
		{Name: "reactivate", Src: []string{Cancelled}, Dst: Live},
	},
}

var subscriberAggregate = domain.Define(SubscriberName, []*domain.Machine{SubscriberMachine, Machine}, subscriberCodec, DecideSubscriber, EvolveSubscriber)

// SubscriberAggregate is what the engine needs to run subscribers. It is the same every time, and nothing may change it.
func SubscriberAggregate() *domain.Aggregate { return subscriberAggregate }

// Subscriber is the folded state of one subscriber: a value that [EvolveSubscriber] never changes. Times are UTC.
type Subscriber struct {
	ID            string         `json:"id"` // empty while nothing has happened; best the customer's own id
	Status        string         `json:"status"`
	Subscriptions []Subscription `json:"subscriptions"` // cancelled ones too
	CreatedAt     time.Time      `json:"createdAt"`
	UpdatedAt     time.Time      `json:"updatedAt"` // of the last event of any kind
	CancelledAt   time.Time      `json:"cancelledAt,omitzero"`
}

// Subscription is one thing that is to come again and again.
type Subscription struct {
	ID                string            `json:"id"`
	Status            string            `json:"status"`
	Product           string            `json:"product"`    // the merchant's own id of it
	Components        []Component       `json:"components"` // what a bundle is made of
	Quantity          int64             `json:"quantity"`
	Every             int64             `json:"every"`  // of the period: every 2 weeks
	Period            string            `json:"period"` // a Period… constant
	Offer             string            `json:"offer,omitempty"`
	PaymentID         string            `json:"paymentId,omitempty"`
	ShippingAddressID string            `json:"shippingAddressId,omitempty"`
	OrderID           string            `json:"orderId,omitempty"` // the order that it was made with
	Metadata          map[string]string `json:"metadata"`
	CancelReason      string            `json:"cancelReason,omitempty"`
	CancelReasonCode  string            `json:"cancelReasonCode,omitempty"`
	CreatedAt         time.Time         `json:"createdAt"`
	UpdatedAt         time.Time         `json:"updatedAt"`
	CancelledAt       time.Time         `json:"cancelledAt,omitzero"`
}

// Component is a product in a bundle.
type Component struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// Periods that a subscription can be counted in.
const (
	PeriodDays   = "days"
	PeriodWeeks  = "weeks"
	PeriodMonths = "months"
)

// Subscription returns the subscription with that id.
func (s Subscriber) Subscription(id string) (Subscription, bool) {
	for _, sub := range s.Subscriptions {
		if sub.ID == id {
			return sub, true
		}
	}
	return Subscription{}, false
}

// live says whether any subscription is.
func (s Subscriber) live() bool {
	for _, sub := range s.Subscriptions {
		if sub.Status == Live {
			return true
		}
	}
	return false
}
