package subscription

import (
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// Limits of a subscriber.
const (
	MaxSubscriptions = 200
	MaxComponents    = 50
	MaxEvery         = 1000
	MaxMetadata      = 2 << 10 // bytes of all keys and values of a subscription
)

type (
	// Create starts a subscription, and with the first one the subscriber.
	Create struct {
		SubscriberID      string            `json:"subscriberId"`
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
	// Cancel ends a subscription; it can be taken up again.
	Cancel struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
		Reason         string `json:"reason,omitzero"`
		ReasonCode     string `json:"reasonCode,omitzero"`
	}
	// Reactivate takes a cancelled subscription up again.
	Reactivate struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
	}
	// ChangeProduct puts another product in the place of the subscribed one.
	ChangeProduct struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
		Product        string `json:"product"`
	}
	// ChangeComponents replaces what a bundle is made of, as a whole.
	ChangeComponents struct {
		SubscriberID   string      `json:"subscriberId"`
		SubscriptionID string      `json:"subscriptionId"`
		Components     []Component `json:"components"`
	}
	ChangeQuantity struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
		Quantity       int64  `json:"quantity"`
	}
	ChangeFrequency struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
		Every          int64  `json:"every"`
		Period         string `json:"period"`
	}
	ChangeShippingAddress struct {
		SubscriberID      string `json:"subscriberId"`
		SubscriptionID    string `json:"subscriptionId"`
		ShippingAddressID string `json:"shippingAddressId"`
	}
	ChangePayment struct {
		SubscriberID   string `json:"subscriberId"`
		SubscriptionID string `json:"subscriptionId"`
		PaymentID      string `json:"paymentId"`
	}
)

func (Create) CommandName() string                { return "subscription.create" }
func (Cancel) CommandName() string                { return "subscription.cancel" }
func (Reactivate) CommandName() string            { return "subscription.reactivate" }
func (ChangeProduct) CommandName() string         { return "subscription.change_product" }
func (ChangeComponents) CommandName() string      { return "subscription.change_components" }
func (ChangeQuantity) CommandName() string        { return "subscription.change_quantity" }
func (ChangeFrequency) CommandName() string       { return "subscription.change_frequency" }
func (ChangeShippingAddress) CommandName() string { return "subscription.change_shipping_address" }
func (ChangePayment) CommandName() string         { return "subscription.change_payment" }

func subscriber(id string) domain.StreamID { return domain.StreamID{Aggregate: SubscriberName, ID: id} }

func (c Create) StreamID() domain.StreamID                { return subscriber(c.SubscriberID) }
func (c Cancel) StreamID() domain.StreamID                { return subscriber(c.SubscriberID) }
func (c Reactivate) StreamID() domain.StreamID            { return subscriber(c.SubscriberID) }
func (c ChangeProduct) StreamID() domain.StreamID         { return subscriber(c.SubscriberID) }
func (c ChangeComponents) StreamID() domain.StreamID      { return subscriber(c.SubscriberID) }
func (c ChangeQuantity) StreamID() domain.StreamID        { return subscriber(c.SubscriberID) }
func (c ChangeFrequency) StreamID() domain.StreamID       { return subscriber(c.SubscriberID) }
func (c ChangeShippingAddress) StreamID() domain.StreamID { return subscriber(c.SubscriberID) }
func (c ChangePayment) StreamID() domain.StreamID         { return subscriber(c.SubscriberID) }

// SubscriberCommands returns a zero value of every command of a subscriber.
func SubscriberCommands() []domain.Command {
	return []domain.Command{
		Create{}, Cancel{}, Reactivate{}, ChangeProduct{}, ChangeComponents{}, ChangeQuantity{}, ChangeFrequency{}, ChangeShippingAddress{}, ChangePayment{},
	}
}

// Validate implements [domain.Command].
func (c Create) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Required("product", c.Product, check.MaxText)
	components(&v, c.Components)
	v.Quantity("quantity", c.Quantity)
	frequency(&v, c.Every, c.Period)
	v.Text("offer", c.Offer, check.MaxText)
	v.Text("paymentId", c.PaymentID, check.MaxText)
	v.Text("shippingAddressId", c.ShippingAddressID, check.MaxText)
	if c.OrderID != "" {
		v.ID("orderId", c.OrderID)
	}
	v.Metadata("metadata", c.Metadata, MaxMetadata)
	return v.Err(c)
}

func (c Cancel) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Text("reason", c.Reason, check.MaxText)
	v.Text("reasonCode", c.ReasonCode, check.MaxText)
	return v.Err(c)
}

func (c Reactivate) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	return v.Err(c)
}

func (c ChangeProduct) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Required("product", c.Product, check.MaxText)
	return v.Err(c)
}

func (c ChangeComponents) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	components(&v, c.Components)
	return v.Err(c)
}

func (c ChangeQuantity) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Quantity("quantity", c.Quantity)
	return v.Err(c)
}

func (c ChangeFrequency) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	frequency(&v, c.Every, c.Period)
	return v.Err(c)
}

func (c ChangeShippingAddress) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Required("shippingAddressId", c.ShippingAddressID, check.MaxText)
	return v.Err(c)
}

func (c ChangePayment) Validate() error {
	v := ids(c.SubscriberID, c.SubscriptionID)
	v.Required("paymentId", c.PaymentID, check.MaxText)
	return v.Err(c)
}

func ids(subscriberID, subscriptionID string) check.Fields {
	v := check.Fields{}
	v.ID("subscriberId", subscriberID)
	v.ID("subscriptionId", subscriptionID)
	return v
}

func frequency(v *check.Fields, every int64, period string) {
	v.Number("every", every, 1, MaxEvery)
	if !slices.Contains([]string{PeriodDays, PeriodWeeks, PeriodMonths}, period) {
		v.Fail("period", "%q is not one of %s, %s, %s", check.Shorten(period), PeriodDays, PeriodWeeks, PeriodMonths)
	}
}

func components(v *check.Fields, list []Component) {
	if len(list) > MaxComponents {
		v.Fail("components", "%d components; at most %d are kept", len(list), MaxComponents)
		return
	}
	for i, c := range list {
		v.Required(fmt.Sprintf("components[%d].product", i), c.Product, check.MaxText)
		v.Quantity(fmt.Sprintf("components[%d].quantity", i), c.Quantity)
	}
}
