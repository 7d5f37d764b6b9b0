package order

import "time"

// Order is the folded state of one order, and the resource that the API and the native webhooks show. It is a value: [Evolve]
// returns a new one and leaves the old one, with everything it refers to, as it was. Money is in minor units of Currency, times
// are UTC; a time is zero (and left out of the JSON) until what it names has happened.
type Order struct {
	ID                string `json:"id"` // empty while nothing has happened
	Number            string `json:"number"`
	Status            string `json:"status"`            // of [OrderMachine]
	PaymentStatus     string `json:"paymentStatus"`     // of [PaymentMachine]
	FulfillmentStatus string `json:"fulfillmentStatus"` // of [FulfillmentMachine]
	Currency          string `json:"currency"`          // ISO 4217, one for the whole order

	ItemCount        int64 `json:"itemCount"`        // the sum of all quantities
	ItemTotal        int64 `json:"itemTotal"`        // the sum of quantity × unit price
	ShippingTotal    int64 `json:"shippingTotal"`    // what the customer pays for shipping
	AdjustmentTotal  int64 `json:"adjustmentTotal"`  // taxes, promotions and fees that are not included in prices
	TaxTotal         int64 `json:"taxTotal"`         // the taxes in it
	PromotionTotal   int64 `json:"promotionTotal"`   // the promotions in it, zero or negative
	IncludedTaxTotal int64 `json:"includedTaxTotal"` // taxes that prices include already, so they add nothing
	Total            int64 `json:"total"`            // ItemTotal + ShippingTotal + AdjustmentTotal, never negative

	AuthorizedTotal int64 `json:"authorizedTotal"` // ever authorized
	CapturedTotal   int64 `json:"capturedTotal"`   // ever captured of it
	VoidedTotal     int64 `json:"voidedTotal"`     // given up of it; the rest is open
	RefundedTotal   int64 `json:"refundedTotal"`   // given back of what was captured

	// DelayedCapture lets the order be fulfilled while its payment is only authorized.
	DelayedCapture bool `json:"delayedCapture"`

	Customer        *Customer `json:"customer,omitempty"`
	Email           string    `json:"email,omitempty" personal:"true"`
	Channel         string    `json:"channel,omitempty"`
	ShippingAddress *Address  `json:"shippingAddress,omitempty"`
	BillingAddress  *Address  `json:"billingAddress,omitempty"`

	LineItems   []LineItem   `json:"lineItems"`
	Adjustments []Adjustment `json:"adjustments"` // of the order as a whole
	Payments    []Payment    `json:"payments"`
	Shipments   []Shipment   `json:"shipments"` // cancelled ones too, destroyed ones not

	PaymentSource     string            `json:"paymentSource,omitempty"` // what it is meant to be paid with; the ledger tells what it was
	Note              string            `json:"note,omitempty"`
	StoreID           string            `json:"storeId,omitempty"`
	CheckoutSessionID string            `json:"checkoutSessionId,omitempty"`
	SubscriptionID    string            `json:"subscriptionId,omitempty"`
	CartURL           string            `json:"cartUrl,omitempty"`
	IPAddress         string            `json:"ipAddress,omitempty" personal:"true"`
	Metadata          map[string]string `json:"metadata"`

	PlaceAt      time.Time `json:"placeAt,omitzero"` // when it is meant to be placed, for orders that wait for their day
	CreatedAt    time.Time `json:"createdAt"`
	UpdatedAt    time.Time `json:"updatedAt"`            // of the last event of any kind
	FirstItemAt  time.Time `json:"firstItemAt,omitzero"` // it had a line item for the first time: a latch
	ExpeditedAt  time.Time `json:"expeditedAt,omitzero"` // zero again once it is scheduled anew
	RemindedAt   time.Time `json:"remindedAt,omitzero"`  // for the last time
	SkippedAt    time.Time `json:"skippedAt,omitzero"`
	SubmittedAt  time.Time `json:"submittedAt,omitzero"`
	PlacedAt     time.Time `json:"placedAt,omitzero"`
	ApprovedAt   time.Time `json:"approvedAt,omitzero"`
	FulfilledAt  time.Time `json:"fulfilledAt,omitzero"`
	ShippedAt    time.Time `json:"shippedAt,omitzero"`   // its first shipment ever shipped: a latch
	DeliveredAt  time.Time `json:"deliveredAt,omitzero"` // all of its shipments were delivered for the first time: a latch
	CancelledAt  time.Time `json:"cancelledAt,omitzero"`
	CancelReason string    `json:"cancelReason,omitempty"`
	CancelledBy  string    `json:"cancelledBy,omitempty"`
	DestroyedAt  time.Time `json:"destroyedAt,omitzero"`

	// PlacementFailure says why placing failed last; it is empty again once placing is tried anew.
	PlacementFailure string `json:"placementFailure,omitempty"`
	// LastError says what went wrong last without changing a status. It is empty again once the order is placed.
	LastError string `json:"lastError,omitempty"`
	// TotalBeforeEditing is what the total may not exceed when editing stops. It means something only while editing.
	TotalBeforeEditing int64 `json:"totalBeforeEditing,omitzero"`
}

// Customer is who ordered. A guest has an email and no id.
type Customer struct {
	ID         string `json:"id,omitempty" personal:"subject"`
	Email      string `json:"email,omitempty" personal:"true"`
	Name       string `json:"name,omitempty" personal:"true"`
	ExternalID string `json:"externalId,omitempty"` // at a payment provider, such as Stripe
}

// Address is a postal address. Nothing in it is required: what an address needs depends on its country.
type Address struct {
	ID               string `json:"id,omitempty"`
	FirstName        string `json:"firstName,omitempty" personal:"true"`
	LastName         string `json:"lastName,omitempty" personal:"true"`
	Company          string `json:"company,omitempty" personal:"true"`
	Address1         string `json:"address1,omitempty" personal:"true"`
	Address2         string `json:"address2,omitempty" personal:"true"`
	City             string `json:"city,omitempty" personal:"true"`
	PostalCode       string `json:"postalCode,omitempty" personal:"true"`
	State            string `json:"state,omitempty" personal:"true"`
	StateName        string `json:"stateName,omitempty" personal:"true"` // as the customer wrote it, where State is not from a list
	Country          string `json:"country,omitempty"`
	Phone            string `json:"phone,omitempty" personal:"true"`
	AlternativePhone string `json:"alternativePhone,omitempty" personal:"true"`
}

// LineItem is one thing that was ordered.
type LineItem struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	SKU         string       `json:"sku"`
	Quantity    int64        `json:"quantity"`
	UnitPrice   int64        `json:"unitPrice"`
	Total       int64        `json:"total"`     // Quantity × UnitPrice, without adjustments
	DoNotShip   bool         `json:"doNotShip"` // a service, a download: nothing to put in a shipment
	ImageURL    string       `json:"imageUrl,omitempty"`
	Adjustments []Adjustment `json:"adjustments"`
}

// Adjustment is a tax, a promotion or a fee on a line item, a shipment or the whole order.
type Adjustment struct {
	ID            string    `json:"id"`
	Kind          string    `json:"kind"` // an Adjustment… constant
	Amount        int64     `json:"amount"`
	Label         string    `json:"label"`
	Included      bool      `json:"included"` // the price includes it already
	SourceType    string    `json:"sourceType,omitempty"`
	PromotionCode string    `json:"promotionCode,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

// Kinds of adjustment.
const (
	AdjustmentTax       = "tax"       // zero or more; the only kind that a price may include
	AdjustmentPromotion = "promotion" // zero or less
	AdjustmentFee       = "fee"       // zero or more
)

// Payment is one authorization with everything that became of it: the ledger. Authorized = captured + voided + open.
type Payment struct {
	ID            string    `json:"id"`
	Status        string    `json:"status"` // a Ledger… constant; the order's own payment status follows from all payments
	Method        string    `json:"method"` // such as "Stripe"
	Reference     string    `json:"reference,omitempty"`
	Amount        int64     `json:"amount"` // authorized, or tried in vain
	Captured      int64     `json:"captured"`
	Voided        int64     `json:"voided"`
	Refunded      int64     `json:"refunded"`
	FailureReason string    `json:"failureReason,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

// Open is what can still be captured or voided.
func (p Payment) Open() int64 {
	if p.Status == LedgerFailed {
		return 0
	}
	return p.Amount - p.Captured - p.Voided
}

// Statuses of one payment. They are a reading aid, computed from its amounts, and no machine.
const (
	LedgerFailed   = "failed"   // never authorized, so its amount counts nowhere
	LedgerOpen     = "open"     // something is left to capture
	LedgerCaptured = "captured" // nothing is left to capture, something was captured and not all of that refunded
	LedgerRefunded = "refunded" // nothing is left to capture, all that was captured was refunded
	LedgerVoided   = "voided"   // nothing is left to capture, and nothing ever was captured
)

// Shipment is a set of line items that travels together. Its cost is what shipping it costs the merchant to account for; the
// customer pays the order's ShippingTotal, so that the order's total does not move when an order is split into more shipments.
type Shipment struct {
	ID        string             `json:"id"`
	Number    string             `json:"number"`
	Status    string             `json:"status"` // of [ShipmentMachine]
	Cost      int64              `json:"cost"`
	LineItems []ShipmentLineItem `json:"lineItems"`

	AdjustmentTotal  int64        `json:"adjustmentTotal"`
	TaxTotal         int64        `json:"taxTotal"`
	PromotionTotal   int64        `json:"promotionTotal"`
	IncludedTaxTotal int64        `json:"includedTaxTotal"`
	Adjustments      []Adjustment `json:"adjustments"`

	// What carriers say, apart from Status: a shipment that a carrier has delivered is still shipped until someone records it as
	// delivered. With several parcels it is what is known of the first one that is not delivered yet.
	DeliveryStatus string `json:"deliveryStatus,omitempty"` // a Carrier… constant
	StatusDetail   string `json:"statusDetail,omitempty"`   // such as "arrived_at_destination"
	TrackingDetail string `json:"trackingDetail,omitempty"` // such as "Delivered"
	TrackingNumber string `json:"trackingNumber,omitempty"` // of the first parcel
	TrackingURL    string `json:"trackingUrl,omitempty"`
	LabelURL       string `json:"labelUrl,omitempty"`

	Parcels  []Parcel          `json:"parcels"`
	Metadata map[string]string `json:"metadata"`

	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"` // when DeliveryStatus, or else Status, became delivered
	CancelledAt time.Time `json:"cancelledAt,omitzero"`
}

// ShipmentLineItem is how many of a line item are in a shipment.
type ShipmentLineItem struct {
	LineItemID string `json:"lineItemId"`
	Quantity   int64  `json:"quantity"`
}

// Parcel is one box of a shipment, with what its carrier says about it.
type Parcel struct {
	ID             string    `json:"id"`
	Carrier        string    `json:"carrier,omitempty"`
	TrackingNumber string    `json:"trackingNumber,omitempty"`
	TrackingURL    string    `json:"trackingUrl,omitempty"`
	LabelURL       string    `json:"labelUrl,omitempty"`
	CarrierStatus  string    `json:"carrierStatus,omitempty"` // a Carrier… constant; empty until the carrier has said something
	StatusDetail   string    `json:"statusDetail,omitempty"`
	TrackingDetail string    `json:"trackingDetail,omitempty"`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
}

// What a carrier can say about a parcel: the statuses of EasyPost's trackers, which map onto those of all large carriers.
const (
	CarrierUnknown            = "unknown"
	CarrierPreTransit         = "pre_transit"
	CarrierInTransit          = "in_transit"
	CarrierOutForDelivery     = "out_for_delivery"
	CarrierDelivered          = "delivered"
	CarrierAvailableForPickup = "available_for_pickup"
	CarrierReturnToSender     = "return_to_sender"
	CarrierFailure            = "failure"
	CarrierCancelled          = "cancelled"
	CarrierError              = "error"
)

// CarrierStatuses lists every carrier status.
func CarrierStatuses() []string {
	return []string{
		CarrierUnknown, CarrierPreTransit, CarrierInTransit, CarrierOutForDelivery, CarrierDelivered,
		CarrierAvailableForPickup, CarrierReturnToSender, CarrierFailure, CarrierCancelled, CarrierError,
	}
}

// Payment returns the payment with that id.
func (o Order) Payment(id string) (Payment, bool) {
	for _, p := range o.Payments {
		if p.ID == id {
			return p, true
		}
	}
	return Payment{}, false
}

// LineItem returns the line item with that id.
func (o Order) LineItem(id string) (LineItem, bool) {
	for _, l := range o.LineItems {
		if l.ID == id {
			return l, true
		}
	}
	return LineItem{}, false
}

// Shipment returns the shipment with that id.
func (o Order) Shipment(id string) (Shipment, bool) {
	for _, s := range o.Shipments {
		if s.ID == id {
			return s, true
		}
	}
	return Shipment{}, false
}

// Parcel returns the parcel with that id.
func (s Shipment) Parcel(id string) (Parcel, bool) {
	for _, p := range s.Parcels {
		if p.ID == id {
			return p, true
		}
	}
	return Parcel{}, false
}
