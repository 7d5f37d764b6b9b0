package order

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
)

// Limits. They keep every sum far from overflowing an int64 and every event and webhook body at a size that can be sent.
const (
	MaxAmount              = 1_000_000_000_000 // minor units: of any amount, line total and order total
	MaxQuantity            = 1_000_000
	MaxLineItems           = 500
	MaxAdjustments         = 50 // on each line item, each shipment and the order
	MaxPayments            = 100
	MaxShipments           = 100 // destroyed ones do not count
	MaxParcels             = 100 // on each shipment
	MaxText                = 255 // characters
	MaxNote                = 2000
	MaxURL                 = 2000
	MaxMetadata            = 16 << 10 // bytes of all keys and values
	MaxShipmentMetadata    = 2 << 10
	maxID, maxMetadataKeys = 64, 100
)

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := checker{}
	if c.OrderID != "" {
		v.id("orderId", c.OrderID)
	}
	v.currency("currency", c.Currency)
	v.content(Update{
		Number: &c.Number, Customer: c.Customer, Email: &c.Email, Channel: &c.Channel,
		ShippingAddress: c.ShippingAddress, BillingAddress: c.BillingAddress,
		LineItems: c.LineItems, Adjustments: c.Adjustments, ShippingAmount: &c.ShippingAmount, PlaceAt: &c.PlaceAt,
		Note: &c.Note, StoreID: &c.StoreID, CheckoutSessionID: &c.CheckoutSessionID, SubscriptionID: &c.SubscriptionID,
		CartURL: &c.CartURL, IPAddress: &c.IPAddress, Metadata: c.Metadata,
	})
	return v.err(c)
}

func (c Update) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.content(c)
	return v.err(c)
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
	v.id("orderId", c.OrderID)
	v.text("reason", c.Reason, MaxText)
	return v.err(c)
}

func (c RejectPlacement) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.text("reason", c.Reason, MaxText)
	return v.err(c)
}

func (c Cancel) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.text("reason", c.Reason, MaxText)
	v.text("cancelledBy", c.CancelledBy, MaxText)
	return v.err(c)
}

func (c Authorize) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("paymentId", c.PaymentID)
	v.amount("amount", c.Amount, 1)
	v.currency("currency", c.Currency)
	v.text("method", c.Method, MaxText)
	v.text("reference", c.Reference, MaxText)
	return v.err(c)
}

func (c RecordFailedPayment) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("paymentId", c.PaymentID)
	v.amount("amount", c.Amount, 0)
	v.currency("currency", c.Currency)
	v.text("method", c.Method, MaxText)
	v.text("reference", c.Reference, MaxText)
	v.text("reason", c.Reason, MaxText)
	return v.err(c)
}

func (c Capture) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("paymentId", c.PaymentID)
	v.amount("amount", c.Amount, 1)
	return v.err(c)
}

func (c Void) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("paymentId", c.PaymentID)
	v.amount("amount", c.Amount, 0)
	return v.err(c)
}

func (c Refund) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("paymentId", c.PaymentID)
	v.amount("amount", c.Amount, 1)
	v.text("reason", c.Reason, MaxText)
	return v.err(c)
}

func (c CreateShipment) Validate() error {
	v := checker{}
	v.id("orderId", c.OrderID)
	v.id("shipmentId", c.ShipmentID)
	v.text("number", c.Number, MaxText)
	v.amount("cost", c.Cost, 0)
	if n := len(c.LineItems); n == 0 || n > MaxLineItems {
		v.fail("lineItems", "%d line items; it must be 1 to %d", n, MaxLineItems)
	} else {
		seen := map[string]bool{}
		for i, l := range c.LineItems {
			field := fmt.Sprintf("lineItems[%d]", i)
			v.id(field+".lineItemId", l.LineItemID)
			v.unique(field+".lineItemId", l.LineItemID, seen)
			v.quantity(field+".quantity", l.Quantity)
		}
	}
	v.adjustments("adjustments", c.Adjustments)
	v.metadata("metadata", c.Metadata, MaxShipmentMetadata)
	return v.err(c)
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
	return v.err(c)
}

func (c DestroyParcel) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	return v.err(c)
}

func (c SetTracking) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	v.tracking(c.Carrier, c.TrackingNumber, c.TrackingURL, c.LabelURL)
	return v.err(c)
}

func (c SetCarrierStatus) Validate() error {
	v := checker{}
	v.parcel(c.OrderID, c.ShipmentID, c.ParcelID)
	if !slices.Contains(CarrierStatuses(), c.Status) {
		v.fail("status", "%q is not one of %s", shorten(c.Status), strings.Join(CarrierStatuses(), ", "))
	}
	v.text("statusDetail", c.StatusDetail, MaxText)
	v.text("trackingDetail", c.TrackingDetail, MaxText)
	return v.err(c)
}

func validateOrder(c domain.Command, orderID string) error {
	v := checker{}
	v.id("orderId", orderID)
	return v.err(c)
}

func validateShipment(c domain.Command, orderID, shipmentID, reason string) error {
	v := checker{}
	v.id("orderId", orderID)
	v.id("shipmentId", shipmentID)
	v.text("reason", reason, MaxText)
	return v.err(c)
}

// checker gathers everything that is wrong with a command, so that a caller can mend it all at once.
type checker struct{ fields []domain.FieldError }

func (v *checker) fail(field, format string, args ...any) {
	v.fields = append(v.fields, domain.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (v *checker) err(c domain.Command) error {
	if len(v.fields) == 0 {
		return nil
	}
	return &domain.InvalidCommandError{Command: c.CommandName(), Fields: v.fields}
}

func (v *checker) id(field, id string) {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return !allowed(r) }) {
		v.fail(field, "%q is not an id; it must be 1 to %d characters of A-Z, a-z, 0-9, _ and -", shorten(id), maxID)
	}
}

func (v *checker) unique(field, id string, seen map[string]bool) {
	if seen[id] {
		v.fail(field, "%q is there twice", shorten(id))
	}
	seen[id] = true
}

// text refuses what PostgreSQL cannot keep (NUL) or JSON would silently replace (bytes that are not UTF-8).
func (v *checker) text(field, s string, limit int) {
	switch {
	case !utf8.ValidString(s):
		v.fail(field, "it is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		v.fail(field, "it contains a NUL character")
	case utf8.RuneCountInString(s) > limit:
		v.fail(field, "it has %d characters; at most %d are kept", utf8.RuneCountInString(s), limit)
	}
}

func (v *checker) optionalText(field string, s *string, limit int) {
	if s != nil {
		v.text(field, *s, limit)
	}
}

func (v *checker) amount(field string, amount, least int64) {
	if amount < least || amount > MaxAmount {
		v.fail(field, "%d is out of range; it must be %d to %d minor units", amount, least, int64(MaxAmount))
	}
}

func (v *checker) quantity(field string, quantity int64) {
	if quantity < 1 || quantity > MaxQuantity {
		v.fail(field, "%d is out of range; it must be 1 to %d", quantity, MaxQuantity)
	}
}

func (v *checker) currency(field, code string) {
	if len(code) != 3 || strings.ContainsFunc(code, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		v.fail(field, "%q is not a currency; it must be three capital letters of ISO 4217, such as USD", shorten(code))
	}
}

func (v *checker) email(field, s string) {
	v.text(field, s, MaxText)
	at := strings.LastIndexByte(s, '@')
	if s != "" && (at < 1 || at == len(s)-1 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })) {
		v.fail(field, "%q is not an email address", shorten(s))
	}
}

// url lets http and https pass and nothing else, because pages show these addresses as links.
func (v *checker) url(field string, s *string) {
	if s == nil || *s == "" {
		return
	}
	v.text(field, *s, MaxURL)
	if u, err := url.Parse(*s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		v.fail(field, "%q is not an absolute http or https URL", shorten(*s))
	}
}

func (v *checker) metadata(field string, m map[string]string, limit int) {
	size := 0
	for key, value := range m {
		size += len(key) + len(value)
	}
	if size > limit || len(m) > maxMetadataKeys {
		v.fail(field, "%d bytes under %d keys; at most %d bytes under %d keys are kept", size, len(m), limit, maxMetadataKeys)
		return
	}
	for _, key := range sortedKeys(m) {
		name := fmt.Sprintf("%s[%q]", field, shorten(key))
		if key == "" {
			v.fail(name, "a key must not be empty")
		}
		v.text(name, key, MaxText)
		v.text(name, m[key], limit)
	}
}

func (v *checker) adjustments(field string, adjustments []AdjustmentInput) {
	if len(adjustments) > MaxAdjustments {
		v.fail(field, "%d adjustments; at most %d are kept", len(adjustments), MaxAdjustments)
		return
	}
	seen := map[string]bool{}
	for i, a := range adjustments {
		field := fmt.Sprintf("%s[%d]", field, i)
		v.id(field+".id", a.ID)
		v.unique(field+".id", a.ID, seen)
		v.text(field+".label", a.Label, MaxText)
		v.text(field+".sourceType", a.SourceType, MaxText)
		v.text(field+".promotionCode", a.PromotionCode, MaxText)
		switch a.Kind {
		case AdjustmentTax, AdjustmentFee:
			v.amount(field+".amount", a.Amount, 0)
		case AdjustmentPromotion:
			if a.Amount > 0 || a.Amount < -MaxAmount {
				v.fail(field+".amount", "%d is out of range; a promotion must be %d to 0 minor units", a.Amount, int64(-MaxAmount))
			}
		default:
			v.fail(field+".kind", "%q is not one of %s, %s, %s", shorten(a.Kind), AdjustmentTax, AdjustmentPromotion, AdjustmentFee)
		}
		if a.Included && a.Kind != AdjustmentTax {
			v.fail(field+".included", "only a tax can be included in the price")
		}
	}
}

func (v *checker) lineItems(field string, items []LineItemInput) {
	if len(items) > MaxLineItems {
		v.fail(field, "%d line items; at most %d are kept", len(items), MaxLineItems)
		return
	}
	seen := map[string]bool{}
	for i, l := range items {
		field := fmt.Sprintf("%s[%d]", field, i)
		v.id(field+".id", l.ID)
		v.unique(field+".id", l.ID, seen)
		v.text(field+".name", l.Name, MaxText)
		v.text(field+".sku", l.SKU, MaxText)
		v.url(field+".imageUrl", &l.ImageURL)
		v.quantity(field+".quantity", l.Quantity)
		v.amount(field+".unitPrice", l.UnitPrice, 0)
		// The product cannot overflow where both factors are within their limits.
		if l.Quantity <= MaxQuantity && l.UnitPrice <= MaxAmount && l.Quantity*l.UnitPrice > MaxAmount {
			v.fail(field, "quantity × unitPrice is more than %d minor units", int64(MaxAmount))
		}
		v.adjustments(field+".adjustments", l.Adjustments)
	}
}

func (v *checker) address(field string, a *Address) {
	if a == nil {
		return
	}
	v.text(field+".id", a.ID, MaxText)
	v.text(field+".firstName", a.FirstName, MaxText)
	v.text(field+".lastName", a.LastName, MaxText)
	v.text(field+".company", a.Company, MaxText)
	v.text(field+".address1", a.Address1, MaxText)
	v.text(field+".address2", a.Address2, MaxText)
	v.text(field+".city", a.City, MaxText)
	v.text(field+".postalCode", a.PostalCode, MaxText)
	v.text(field+".state", a.State, MaxText)
	v.text(field+".stateName", a.StateName, MaxText)
	v.text(field+".country", a.Country, MaxText)
	v.text(field+".phone", a.Phone, MaxText)
	v.text(field+".alternativePhone", a.AlternativePhone, MaxText)
}

func (v *checker) customer(field string, c *Customer) {
	if c == nil || *c == (Customer{}) {
		return
	}
	v.text(field+".id", c.ID, MaxText)
	v.email(field+".email", c.Email)
	v.text(field+".name", c.Name, MaxText)
	v.text(field+".externalId", c.ExternalID, MaxText)
	if c.ID == "" && c.Email == "" {
		v.fail(field, "a customer needs an id or an email")
	}
}

// content checks what Create and Update have in common.
func (v *checker) content(c Update) {
	v.optionalText("number", c.Number, MaxText)
	v.customer("customer", c.Customer)
	if c.Email != nil {
		v.email("email", *c.Email)
	}
	v.optionalText("channel", c.Channel, MaxText)
	v.address("shippingAddress", c.ShippingAddress)
	v.address("billingAddress", c.BillingAddress)
	v.lineItems("lineItems", c.LineItems)
	v.adjustments("adjustments", c.Adjustments)
	if c.ShippingAmount != nil {
		v.amount("shippingAmount", *c.ShippingAmount, 0)
	}
	// Outside of these years a time has no JSON.
	if c.PlaceAt != nil && (c.PlaceAt.UTC().Year() < 1 || c.PlaceAt.UTC().Year() > 9999) {
		v.fail("placeAt", "its year must be 1 to 9999")
	}
	v.optionalText("note", c.Note, MaxNote)
	v.optionalText("storeId", c.StoreID, MaxText)
	v.optionalText("checkoutSessionId", c.CheckoutSessionID, MaxText)
	v.optionalText("subscriptionId", c.SubscriptionID, MaxText)
	v.url("cartUrl", c.CartURL)
	if c.IPAddress != nil && *c.IPAddress != "" {
		if _, err := netip.ParseAddr(*c.IPAddress); err != nil {
			v.fail("ipAddress", "%q is not an IP address", shorten(*c.IPAddress))
		}
	}
	v.metadata("metadata", c.Metadata, MaxMetadata)
}

func (v *checker) parcel(orderID, shipmentID, parcelID string) {
	v.id("orderId", orderID)
	v.id("shipmentId", shipmentID)
	v.id("parcelId", parcelID)
}

func (v *checker) tracking(carrier, number, trackingURL, labelURL *string) {
	v.optionalText("carrier", carrier, MaxText)
	v.optionalText("trackingNumber", number, MaxText)
	v.url("trackingUrl", trackingURL)
	v.url("labelUrl", labelURL)
}

// shorten keeps error messages readable whatever was sent.
func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// utc is a time as events keep it: UTC, and without a monotonic reading that would not survive being stored.
func utc(t time.Time) time.Time { return t.Round(0).UTC() }
