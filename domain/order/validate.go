package order

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// Limits. They keep every sum far from overflowing an int64 and every event and webhook body at a size that can be sent.
const (
	MaxAmount           = check.MaxAmount // minor units: of any amount, line total and order total
	MaxQuantity         = check.MaxQuantity
	MaxLineItems        = 500
	MaxAdjustments      = 50 // on each line item, each shipment and the order
	MaxPayments         = 100
	MaxShipments        = 100           // destroyed ones do not count
	MaxParcels          = 100           // on each shipment
	MaxText             = check.MaxText // characters
	MaxNote             = check.MaxNote
	MaxURL              = check.MaxURL
	MaxMetadata         = check.MaxMetadata // bytes of all keys and values
	MaxShipmentMetadata = 2 << 10
)

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := checker{}
	if c.OrderID != "" {
		v.ID("orderId", c.OrderID)
	}
	v.Currency("currency", c.Currency)
	v.content(Update{
		Number: &c.Number, Customer: c.Customer, Email: &c.Email, Channel: &c.Channel,
		ShippingAddress: c.ShippingAddress, BillingAddress: c.BillingAddress,
		LineItems: c.LineItems, Adjustments: c.Adjustments, ShippingAmount: &c.ShippingAmount, PlaceAt: &c.PlaceAt,
		Note: &c.Note, StoreID: &c.StoreID, CheckoutSessionID: &c.CheckoutSessionID, SubscriptionID: &c.SubscriptionID,
		CartURL: &c.CartURL, IPAddress: &c.IPAddress, Metadata: c.Metadata,
	})
	return v.Err(c)
}

func (c Update) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.content(c)
	return v.Err(c)
}

func (c Submit) Validate() error           { return validateOrder(c, c.OrderID) }
func (c RevertToDraft) Validate() error    { return validateOrder(c, c.OrderID) }
func (c BeginPlacing) Validate() error     { return validateOrder(c, c.OrderID) }
func (c Place) Validate() error            { return validateOrder(c, c.OrderID) }
func (c Edit) Validate() error             { return validateOrder(c, c.OrderID) }
func (c StopEditing) Validate() error      { return validateOrder(c, c.OrderID) }
func (c Approve) Validate() error          { return validateOrder(c, c.OrderID) }
func (c Destroy) Validate() error          { return validateOrder(c, c.OrderID) }
func (c StartFulfillment) Validate() error { return validateOrder(c, c.OrderID) }

func (c FailPlacement) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Text("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c RejectPlacement) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Text("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c Cancel) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Text("reason", c.Reason, MaxText)
	v.Text("cancelledBy", c.CancelledBy, MaxText)
	return v.Err(c)
}

func (c Expedite) Validate() error { return validateOrder(c, c.OrderID) }
func (c Remind) Validate() error   { return validateOrder(c, c.OrderID) }

func (c Schedule) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	if c.PlaceAt.IsZero() {
		v.Fail("placeAt", "it is required")
	}
	v.Time("placeAt", c.PlaceAt)
	return v.Err(c)
}

func (c Skip) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Text("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c ChangePaymentSource) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Required("paymentSource", c.PaymentSource, MaxText)
	return v.Err(c)
}

func (c RecordError) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.Text("code", c.Code, MaxText)
	v.Required("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c Authorize) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("paymentId", c.PaymentID)
	v.Amount("amount", c.Amount, 1)
	v.Currency("currency", c.Currency)
	v.Text("method", c.Method, MaxText)
	v.Text("reference", c.Reference, MaxText)
	return v.Err(c)
}

func (c RecordFailedPayment) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("paymentId", c.PaymentID)
	v.Amount("amount", c.Amount, 0)
	v.Currency("currency", c.Currency)
	v.Text("method", c.Method, MaxText)
	v.Text("reference", c.Reference, MaxText)
	v.Text("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c Capture) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("paymentId", c.PaymentID)
	v.Amount("amount", c.Amount, 1)
	return v.Err(c)
}

func (c Void) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("paymentId", c.PaymentID)
	v.Amount("amount", c.Amount, 0)
	return v.Err(c)
}

func (c Refund) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("paymentId", c.PaymentID)
	v.Amount("amount", c.Amount, 1)
	v.Text("reason", c.Reason, MaxText)
	return v.Err(c)
}

func (c CreateShipment) Validate() error {
	v := checker{}
	v.ID("orderId", c.OrderID)
	v.ID("shipmentId", c.ShipmentID)
	v.Text("number", c.Number, MaxText)
	v.Amount("cost", c.Cost, 0)
	if n := len(c.LineItems); n == 0 || n > MaxLineItems {
		v.Fail("lineItems", "%d line items; it must be 1 to %d", n, MaxLineItems)
	} else {
		seen := map[string]bool{}
		for i, l := range c.LineItems {
			field := fmt.Sprintf("lineItems[%d]", i)
			v.ID(field+".lineItemId", l.LineItemID)
			v.Unique(field+".lineItemId", l.LineItemID, seen)
			v.Quantity(field+".quantity", l.Quantity)
		}
	}
	v.adjustments("adjustments", c.Adjustments)
	v.Metadata("metadata", c.Metadata, MaxShipmentMetadata)
	return v.Err(c)
}

func (c ScheduleShipment) Validate() error { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c HoldShipment) Validate() error     { return validateShipment(c, c.OrderID, c.ShipmentID, c.Reason) }
func (c StartPicking) Validate() error     { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c StartPacking) Validate() error     { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c MarkReadyToShip) Validate() error  { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c Ship) Validate() error             { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c Deliver) Validate() error          { return validateShipment(c, c.OrderID, c.ShipmentID, "") }
func (c CancelShipment) Validate() error {
	return validateShipment(c, c.OrderID, c.ShipmentID, c.Reason)
}
func (c DestroyShipment) Validate() error { return validateShipment(c, c.OrderID, c.ShipmentID, "") }

func (c CreateParcel) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	v.tracking(&c.Carrier, &c.TrackingNumber, &c.TrackingURL, &c.LabelURL)
	return v.Err(c)
}

func (c DestroyParcel) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	return v.Err(c)
}

func (c SetTracking) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	v.tracking(c.Carrier, c.TrackingNumber, c.TrackingURL, c.LabelURL)
	return v.Err(c)
}

func (c SetCarrierStatus) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	if !slices.Contains(CarrierStatuses(), c.Status) {
		v.Fail("status", "%q is not one of %s", check.Shorten(c.Status), strings.Join(CarrierStatuses(), ", "))
	}
	v.Text("statusDetail", c.StatusDetail, MaxText)
	v.Text("trackingDetail", c.TrackingDetail, MaxText)
	return v.Err(c)
}

func validateOrder(c domain.Command, orderID string) error {
	v := checker{}
	v.ID("orderId", orderID)
	return v.Err(c)
}

func validateShipment(c domain.Command, orderID, shipmentID, reason string) error {
	v := checker{}
	v.ID("orderId", orderID)
	v.ID("shipmentId", shipmentID)
	v.Text("reason", reason, MaxText)
	return v.Err(c)
}

// checker knows, besides what every command has, what orders are made of.
type checker struct{ check.Fields }

func (v *checker) adjustments(field string, adjustments []AdjustmentInput) {
	if len(adjustments) > MaxAdjustments {
		v.Fail(field, "%d adjustments; at most %d are kept", len(adjustments), MaxAdjustments)
		return
	}
	seen := map[string]bool{}
	for i, a := range adjustments {
		field := fmt.Sprintf("%s[%d]", field, i)
		v.ID(field+".id", a.ID)
		v.Unique(field+".id", a.ID, seen)
		v.Text(field+".label", a.Label, MaxText)
		v.Text(field+".sourceType", a.SourceType, MaxText)
		v.Text(field+".promotionCode", a.PromotionCode, MaxText)
		switch a.Kind {
		case AdjustmentTax, AdjustmentFee:
			v.Amount(field+".amount", a.Amount, 0)
		case AdjustmentPromotion:
			if a.Amount > 0 || a.Amount < -MaxAmount {
				v.Fail(field+".amount", "%d is out of range; a promotion must be %d to 0 minor units", a.Amount, int64(-MaxAmount))
			}
		default:
			v.Fail(field+".kind", "%q is not one of %s, %s, %s", check.Shorten(a.Kind), AdjustmentTax, AdjustmentPromotion, AdjustmentFee)
		}
		if a.Included && a.Kind != AdjustmentTax {
			v.Fail(field+".included", "only a tax can be included in the price")
		}
	}
}

func (v *checker) lineItems(field string, items []LineItemInput) {
	if len(items) > MaxLineItems {
		v.Fail(field, "%d line items; at most %d are kept", len(items), MaxLineItems)
		return
	}
	seen := map[string]bool{}
	for i, l := range items {
		field := fmt.Sprintf("%s[%d]", field, i)
		v.ID(field+".id", l.ID)
		v.Unique(field+".id", l.ID, seen)
		v.Text(field+".name", l.Name, MaxText)
		v.Text(field+".sku", l.SKU, MaxText)
		v.URL(field+".imageUrl", &l.ImageURL)
		v.Quantity(field+".quantity", l.Quantity)
		v.Amount(field+".unitPrice", l.UnitPrice, 0)
		// The product cannot overflow where both factors are within their limits.
		if l.Quantity <= MaxQuantity && l.UnitPrice <= MaxAmount && l.Quantity*l.UnitPrice > MaxAmount {
			v.Fail(field, "quantity × unitPrice is more than %d minor units", int64(MaxAmount))
		}
		v.adjustments(field+".adjustments", l.Adjustments)
	}
}

func (v *checker) address(field string, a *Address) {
	if a == nil {
		return
	}
	v.Text(field+".id", a.ID, MaxText)
	v.Text(field+".firstName", a.FirstName, MaxText)
	v.Text(field+".lastName", a.LastName, MaxText)
	v.Text(field+".company", a.Company, MaxText)
	v.Text(field+".address1", a.Address1, MaxText)
	v.Text(field+".address2", a.Address2, MaxText)
	v.Text(field+".city", a.City, MaxText)
	v.Text(field+".postalCode", a.PostalCode, MaxText)
	v.Text(field+".state", a.State, MaxText)
	v.Text(field+".stateName", a.StateName, MaxText)
	v.Text(field+".country", a.Country, MaxText)
	v.Text(field+".phone", a.Phone, MaxText)
	v.Text(field+".alternativePhone", a.AlternativePhone, MaxText)
}

func (v *checker) customer(field string, c *Customer) {
	if c == nil || *c == (Customer{}) {
		return
	}
	v.Text(field+".id", c.ID, MaxText)
	v.Email(field+".email", c.Email)
	v.Text(field+".name", c.Name, MaxText)
	v.Text(field+".externalId", c.ExternalID, MaxText)
	if c.ID == "" && c.Email == "" {
		v.Fail(field, "a customer needs an id or an email")
	}
}

// content checks what Create and Update have in common.
func (v *checker) content(c Update) {
	v.OptionalText("number", c.Number, MaxText)
	v.customer("customer", c.Customer)
	if c.Email != nil {
		v.Email("email", *c.Email)
	}
	v.OptionalText("channel", c.Channel, MaxText)
	v.address("shippingAddress", c.ShippingAddress)
	v.address("billingAddress", c.BillingAddress)
	v.lineItems("lineItems", c.LineItems)
	v.adjustments("adjustments", c.Adjustments)
	if c.ShippingAmount != nil {
		v.Amount("shippingAmount", *c.ShippingAmount, 0)
	}
	if c.PlaceAt != nil {
		v.Time("placeAt", *c.PlaceAt)
	}
	v.OptionalText("note", c.Note, MaxNote)
	v.OptionalText("storeId", c.StoreID, MaxText)
	v.OptionalText("checkoutSessionId", c.CheckoutSessionID, MaxText)
	v.OptionalText("subscriptionId", c.SubscriptionID, MaxText)
	v.URL("cartUrl", c.CartURL)
	if c.IPAddress != nil && *c.IPAddress != "" {
		if _, err := netip.ParseAddr(*c.IPAddress); err != nil {
			v.Fail("ipAddress", "%q is not an IP address", check.Shorten(*c.IPAddress))
		}
	}
	v.Metadata("metadata", c.Metadata, MaxMetadata)
}

func (v *checker) parcel(orderID, shipmentID, parcelID string) {
	v.ID("orderId", orderID)
	v.ID("shipmentId", shipmentID)
	v.ID("parcelId", parcelID)
}

func (v *checker) tracking(carrier, number, trackingURL, labelURL *string) {
	v.OptionalText("carrier", carrier, MaxText)
	v.OptionalText("trackingNumber", number, MaxText)
	v.URL("trackingUrl", trackingURL)
	v.URL("labelUrl", labelURL)
}
