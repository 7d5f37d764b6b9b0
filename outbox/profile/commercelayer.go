package profile

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/order"
)

// commerceLayerRetries are ours: Commerce Layer says that a callback is fired again up to ten times, not when.
var commerceLayerRetries = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

// CommerceLayer is the profile of Commerce Layer. Its bodies are JSON:API documents of the resource, with what the webhook asks to have
// included; .destroy topics carry the id only.
func CommerceLayer(aggregates map[string]*domain.Aggregate) *Profile {
	p := &Profile{
		Name: "commercelayer",
		Includes: []string{"authorizations", "billing_address", "customer", "line_items", "order", "parcels", "shipment", "shipments",
			"shipments.parcels", "shipping_address"},
		Signer:    commerceLayerSigner,
		NewSecret: newHexSecret,
		Rotation:  Rotation,
		Success:   successful,
		GivesUp:   never,
		Timeout:   5 * time.Second,
		Schedule:  Schedule{Pauses: commerceLayerRetries},
		Circuit:   Circuit{NoticeAt: 5, OpenAt: 30},
	}
	resource := func(topic, description string, types ...string) rule {
		switch kind, _, _ := strings.Cut(topic, "."); kind {
		case "shipments":
			return tell(topic, description, clShipmentDocument, nil, types...)
		case "parcels":
			return tell(topic, description, clParcelDocument, nil, types...)
		}
		return tell(topic, description, clOrderDocument, nil, types...)
	}
	destroyed := func(topic, description, eventType string) rule {
		return tell(topic, description, clGone, nil, eventType)
	}
	person := func(topic, description, eventType string) rule {
		return tell(topic, description, clCustomerDocument, nil, eventType)
	}
	imported := func(topic, description, eventType string) rule {
		return tell(topic, description, clImportDocument, nil, eventType)
	}
	return p.follow([]rule{
		tell("customer_password_resets.create", "A customer password reset process is initiated", clPasswordResetDocument, nil,
			"customer_password_reset.created"),
		tell("customer_password_resets.destroy", "An existing customer password reset is deleted",
			clGoneStream[customer.PasswordReset]("customer_password_resets"), nil, "customer_password_reset.destroyed"),
		tell("customer_subscriptions.create", "A new customer subscription is created", clSubscriptionDocument, nil, "customer_subscription.created"),
		tell("customer_subscriptions.destroy", "An existing customer subscription is deleted",
			clGoneStream[customer.Subscription]("customer_subscriptions"), nil, "customer_subscription.destroyed"),
		person("customers.create", "A new customer is created", "customer.created"),
		person("customers.acquired", "An existing customer status is set to acquired", "customer.acquired"),
		person("customers.repeat", "An existing customer status is set to repeat", "customer.repeated"),
		tell("customers.destroy", "An existing customer is deleted", clGoneStream[customer.Customer]("customers"), nil, "customer.destroyed"),
		imported("imports.create", "A new import is created", "import.created"),
		imported("imports.start", "An existing import status is set to started", "import.started"),
		imported("imports.complete", "An existing import status is set to completed", "import.completed"),
		tell("imports.destroy", "An existing import is deleted", clGoneStream[imports.Import]("imports"), nil, "import.destroyed"),
		resource("orders.create", "A new order is created", "order.created"),
		resource("orders.draft", "An existing order status is set to draft", "order.reverted_to_draft"),
		resource("orders.pending", "An existing order status is set to pending", "order.submitted", "order.placement_failed"),
		resource("orders.place", "An existing order status is set to placed", "order.placed"),
		resource("orders.approve", "An existing order status is set to approved", "order.approved"),
		resource("orders.cancel", "An existing order status is set to cancelled", "order.cancelled"),
		resource("orders.authorize", "An existing order payment status is set to authorized", "order.authorized"),
		resource("orders.void", "An existing order payment status is set to voided", "order.voided"),
		resource("orders.pay", "An existing order payment status is set to paid", "order.paid"),
		resource("orders.refund", "An existing order payment status is set to refunded", "order.refunded"),
		resource("orders.start_fulfilling", "An existing order fulfillment status is set to in_progress", "order.fulfillment_started"),
		resource("orders.fulfill", "An existing order fulfillment status is set to fulfilled", "order.fulfilled"),
		resource("orders.cancel_fulfilling", "An existing order fulfillment status is set back to unfulfilled", "order.fulfillment_cancelled"),
		destroyed("orders.destroy", "An existing order is deleted", "order.destroyed"),
		resource("parcels.create", "A new parcel is created", "parcel.created"),
		destroyed("parcels.destroy", "An existing parcel is deleted", "parcel.destroyed"),
		resource("shipments.create", "A new shipment is created", "shipment.created"),
		resource("shipments.upcoming", "An existing shipment status is set to upcoming", "shipment.scheduled"),
		resource("shipments.cancel", "An existing shipment status is set to cancelled", "shipment.cancelled"),
		resource("shipments.on_hold", "An existing shipment status is set to on_hold", "shipment.held"),
		resource("shipments.picking", "An existing shipment status is set to picking", "shipment.picking_started"),
		resource("shipments.packing", "An existing shipment status is set to packing", "shipment.packing_started"),
		resource("shipments.ready_to_ship", "An existing shipment status is set to ready_to_ship", "shipment.ready_to_ship"),
		resource("shipments.ship", "An existing shipment status is set to shipped", "shipment.shipped"),
		resource("shipments.deliver", "An existing shipment status is set to delivered", "shipment.delivered"),
		destroyed("shipments.destroy", "An existing shipment is deleted", "shipment.destroyed"),
	}, aggregates)
}

// commerceLayerSigner signs the body with the shared secret, in base64. The header has room for one signature, which is that of the
// newest secret; while an older one goes on signing, its signature is in X-CommerceLayer-Signature-Previous.
func commerceLayerSigner(secrets []string) (Sign, error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	keys, err := plainKeys(secrets)
	if err != nil {
		return nil, err
	}
	// The names in their canonical form; receivers do not mind.
	names := []string{"X-Commercelayer-Signature", "X-Commercelayer-Signature-Previous"}[:min(len(keys), 2)]
	return func(header http.Header, m Message, _ time.Time) {
		header["Webhook-Id"] = []string{m.ID}
		header["X-Commercelayer-Topic"] = []string{m.Event}
		for i, name := range names {
			mac := keys[i]("", m.Body)
			header[name] = []string{base64.StdEncoding.EncodeToString(mac[:])}
		}
	}, nil
}

// clDocument is a JSON:API document of one resource with attributes of type A.
type clDocument[A any] struct {
	Data     clResource[A]     `json:"data"`
	Included []clResource[any] `json:"included,omitempty"`
}

type clResource[A any] struct {
	ID            string                    `json:"id"`
	Type          string                    `json:"type"`
	Links         clSelf                    `json:"links"`
	Attributes    A                         `json:"attributes"`
	Relationships map[string]clRelationship `json:"relationships"`
	Meta          clMeta                    `json:"meta"`
}

// clSelf and clLinks are paths: Waybill does not know under which host a receiver would fetch them.
type clSelf struct {
	Self string `json:"self"`
}

type clRelationship struct {
	Links clLinks `json:"links"`
	Data  any     `json:"data,omitempty"` // there only for what is included: an identifier, null, or a list of identifiers
}

type clLinks struct {
	Self    string `json:"self"`
	Related string `json:"related"`
}

type clIdentifier struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type clMeta struct {
	Mode           string `json:"mode"`
	OrganizationID string `json:"organization_id"`
}

type clGoneDocument struct {
	Data clIdentifier `json:"data"`
}

func clGone(c change[order.Order]) clGoneDocument {
	shipment, parcel := partOf(c.Event)
	switch {
	case parcel != "":
		return clGoneDocument{clIdentifier{"parcels", parcel}}
	case shipment != "":
		return clGoneDocument{clIdentifier{"shipments", shipment}}
	}
	return clGoneDocument{clIdentifier{"orders", c.after.ID}}
}

// clGoneStream is what is left of a resource that is an aggregate by itself.
func clGoneStream[S any](kind string) func(change[S]) clGoneDocument {
	return func(c change[S]) clGoneDocument { return clGoneDocument{clIdentifier{kind, c.Stream.ID}} }
}

// clAlone is the document of a resource that is an aggregate by itself: it has nothing to include.
func clAlone[S, A any](c change[S], kind, id string, attributes A) clDocument[A] {
	return clDocument[A]{Data: clResource[A]{
		ID: id, Type: kind, Links: clSelf{"/api/" + kind + "/" + id}, Attributes: attributes, Relationships: noRelationships(),
		Meta: clMeta{Mode: "live", OrganizationID: c.Workspace},
	}}
}

func clCustomerDocument(c change[customer.Customer]) clDocument[clCustomer] {
	a := clCustomer{Email: orNull(c.after.Person.Email), Status: c.after.Status, clCommon: clCommonOf(c.after.CreatedAt, c.after.UpdatedAt, c.after.Metadata)}
	a.Reference = orNull(c.after.Reference)
	return clAlone(c, "customers", c.after.ID, a)
}

func clSubscriptionDocument(c change[customer.Subscription]) clDocument[clCustomerSubscription] {
	a := clCustomerSubscription{CustomerEmail: orNull(c.after.Person.Email), clCommon: clCommonOf(c.after.CreatedAt, c.after.UpdatedAt, nil)}
	a.Reference, a.ReferenceOrigin = orNull(c.after.Reference), orNull(c.after.ReferenceOrigin)
	return clAlone(c, "customer_subscriptions", c.after.ID, a)
}

// clPasswordResetDocument has no token: the log does not know it, and should not.
func clPasswordResetDocument(c change[customer.PasswordReset]) clDocument[clPasswordReset] {
	return clAlone(c, "customer_password_resets", c.after.ID, clPasswordReset{
		CustomerEmail: orNull(c.after.Person.Email), clCommon: clCommonOf(c.after.CreatedAt, c.after.UpdatedAt, nil),
	})
}

func clImportDocument(c change[imports.Import]) clDocument[clImport] {
	i := c.after
	a := clImport{
		ResourceType: i.ResourceType, Format: "json", Status: i.Status, StartedAt: millisOrNull(i.StartedAt), CompletedAt: millisOrNull(i.CompletedAt),
		InterruptedAt: millisOrNull(i.InterruptedAt), Inputs: []struct{}{}, InputsSize: i.Inputs, ErrorsCount: i.Errors, ProcessedCount: i.Processed,
		clCommon: clCommonOf(i.CreatedAt, i.UpdatedAt, nil),
	}
	a.Reference = orNull(i.Reference)
	return clAlone(c, "imports", i.ID, a)
}

// clBuilder gathers a document: which resources are included, each once.
type clBuilder struct {
	o        order.Order
	meta     clMeta
	asks     func(include string) bool
	included []clResource[any]
	seen     map[clIdentifier]bool
}

func newCLBuilder(c change[order.Order]) *clBuilder {
	return &clBuilder{o: c.after, meta: clMeta{Mode: "live", OrganizationID: c.Workspace}, asks: c.asks, seen: map[clIdentifier]bool{}}
}

func clOrderDocument(c change[order.Order]) clDocument[clOrder] {
	b := newCLBuilder(c)
	b.seen[clIdentifier{"orders", c.after.ID}] = true
	data := clResourceOf(b, "orders", c.after.ID, clOrderOf(c.after), b.orderRelationships(true))
	return clDocument[clOrder]{data, b.included}
}

func clShipmentDocument(c change[order.Order]) clDocument[clShipment] {
	_, s := shipments(c)
	b := newCLBuilder(c)
	b.seen[clIdentifier{"shipments", s.ID}] = true
	data := clResourceOf(b, "shipments", s.ID, clShipmentOf(c.after, s), b.shipmentRelationships(s, true))
	return clDocument[clShipment]{data, b.included}
}

func clParcelDocument(c change[order.Order]) clDocument[clParcel] {
	_, s := shipments(c)
	_, id := partOf(c.Event)
	p, _ := s.Parcel(id)
	b := newCLBuilder(c)
	b.seen[clIdentifier{"parcels", p.ID}] = true
	data := clResourceOf(b, "parcels", p.ID, clParcelOf(p), b.parcelRelationships(p, s, true))
	return clDocument[clParcel]{data, b.included}
}

func clResourceOf[A any](b *clBuilder, kind, id string, attributes A, relationships map[string]clRelationship) clResource[A] {
	return clResource[A]{
		ID: id, Type: kind, Links: clSelf{"/api/" + kind + "/" + id}, Attributes: attributes, Relationships: relationships, Meta: b.meta,
	}
}

// add includes a resource, unless it is there already, and returns its identifier.
func (b *clBuilder) add(kind, id string, attributes any, relationships func() map[string]clRelationship) clIdentifier {
	identifier := clIdentifier{kind, id}
	if !b.seen[identifier] {
		b.seen[identifier] = true
		place := len(b.included)
		b.included = append(b.included, clResource[any]{}) // its place is before those that it brings along
		resource := clResourceOf(b, kind, id, attributes, relationships())
		b.included[place] = resource
	}
	return identifier
}

// relationship is one of a resource to others; identify, which is nil where they are not to be included, includes them.
func relationship(kind, id, name string, identify func() any) clRelationship {
	path := "/api/" + kind + "/" + id + "/"
	r := clRelationship{Links: clLinks{Self: path + "relationships/" + name, Related: path + name}}
	if identify != nil {
		r.Data = identify()
	}
	return r
}

var clNone any = json.RawMessage("null")

func noRelationships() map[string]clRelationship { return map[string]clRelationship{} }

// include returns identify where the webhook asks for the path and the resource is the document's own.
func (b *clBuilder) include(primary bool, path string, identify func() any) func() any {
	if !primary || !b.asks(path) {
		return nil
	}
	return identify
}

func (b *clBuilder) orderRelationships(primary bool) map[string]clRelationship {
	o := b.o
	relate := func(name string, identify func() any) clRelationship {
		return relationship("orders", o.ID, name, b.include(primary, name, identify))
	}
	return map[string]clRelationship{
		"customer":         relate("customer", b.customer),
		"shipping_address": relate("shipping_address", func() any { return b.address("shipping", o.ShippingAddress) }),
		"billing_address":  relate("billing_address", func() any { return b.address("billing", o.BillingAddress) }),
		"line_items": relate("line_items", func() any {
			return b.lineItems(func(string) bool { return true })
		}),
		"authorizations": relate("authorizations", func() any {
			list := []clIdentifier{}
			for _, p := range o.Payments {
				list = append(list, b.add("authorizations", p.ID, clAuthorizationOf(p, o.Currency), noRelationships))
			}
			return list
		}),
		"shipments": relationship("orders", o.ID, "shipments", func() func() any {
			if !primary || !b.asks("shipments") && !b.asks("shipments.parcels") {
				return nil
			}
			return func() any {
				list := []clIdentifier{}
				for _, s := range o.Shipments {
					list = append(list, b.add("shipments", s.ID, clShipmentOf(o, s), func() map[string]clRelationship {
						return b.shipmentRelationships(s, false)
					}))
				}
				return list
			}
		}()),
	}
}

func (b *clBuilder) shipmentRelationships(s order.Shipment, primary bool) map[string]clRelationship {
	relate := func(name string, identify func() any) clRelationship {
		return relationship("shipments", s.ID, name, b.include(primary, name, identify))
	}
	parcels := func() any {
		list := []clIdentifier{}
		for _, p := range s.Parcels {
			list = append(list, b.add("parcels", p.ID, clParcelOf(p), func() map[string]clRelationship { return b.parcelRelationships(p, s, false) }))
		}
		return list
	}
	relationships := map[string]clRelationship{
		"order":            relate("order", b.order),
		"shipping_address": relate("shipping_address", func() any { return b.address("shipping", b.o.ShippingAddress) }),
		"line_items": relate("line_items", func() any {
			return b.lineItems(func(id string) bool {
				return slices.ContainsFunc(s.LineItems, func(l order.ShipmentLineItem) bool { return l.LineItemID == id })
			})
		}),
		"parcels": relate("parcels", parcels),
	}
	if !primary && b.asks("shipments.parcels") {
		relationships["parcels"] = relationship("shipments", s.ID, "parcels", parcels)
	}
	return relationships
}

func (b *clBuilder) parcelRelationships(p order.Parcel, s order.Shipment, primary bool) map[string]clRelationship {
	return map[string]clRelationship{
		"shipment": relationship("parcels", p.ID, "shipment", b.include(primary, "shipment", func() any {
			return b.add("shipments", s.ID, clShipmentOf(b.o, s), func() map[string]clRelationship { return b.shipmentRelationships(s, false) })
		})),
	}
}

func (b *clBuilder) order() any {
	return b.add("orders", b.o.ID, clOrderOf(b.o), func() map[string]clRelationship { return b.orderRelationships(false) })
}

// customer and address answer null for what the order does not have, and for a guest, who is no customer. An address without an id of
// its own has that of its place in the order.
func (b *clBuilder) customer() any {
	if b.o.Customer == nil || b.o.Customer.ID == "" {
		return clNone
	}
	return b.add("customers", b.o.Customer.ID, clCustomerOf(b.o), noRelationships)
}

func (b *clBuilder) address(place string, a *order.Address) any {
	if a == nil {
		return clNone
	}
	return b.add("addresses", cmp.Or(a.ID, b.o.ID+"-"+place), clAddressOf(b.o, *a), noRelationships)
}

func (b *clBuilder) lineItems(wanted func(id string) bool) any {
	list := []clIdentifier{}
	for _, l := range b.o.LineItems {
		if wanted(l.ID) {
			list = append(list, b.add("line_items", l.ID, clLineItemOf(b.o, l), noRelationships))
		}
	}
	return list
}

// clAmount fills in the three forms of an amount.
func clAmount(currency string, amount int64, cents *int64, float *float64, formatted *string) {
	*cents, *float, *formatted = amount, floatAmount(amount, currency), signedAmount(amount, currency, signOf(currency))
}

func clCommonOf(created, updated time.Time, metadata map[string]string) clCommon {
	if metadata == nil {
		metadata = map[string]string{}
	}
	return clCommon{CreatedAt: millis(created), UpdatedAt: millis(updated), Metadata: metadata}
}

func clOrderOf(o order.Order) clOrder {
	a := clOrder{
		Number: orNull(cmp.Or(o.Number, o.ID)), Status: o.Status, PaymentStatus: o.PaymentStatus, FulfillmentStatus: o.FulfillmentStatus,
		Guest: o.Customer == nil || o.Customer.ID == "", Editable: o.Status == order.StatusDraft || o.Status == order.StatusPending,
		CustomerEmail: orNull(email(o)), CurrencyCode: o.Currency, TaxIncluded: o.IncludedTaxTotal > 0,
		SKUsCount: o.ItemCount, ShipmentsCount: int64(len(o.Shipments)), CartURL: orNull(o.CartURL),
		PlacedAt: millisOrNull(o.PlacedAt), ApprovedAt: millisOrNull(o.ApprovedAt), CancelledAt: millisOrNull(o.CancelledAt),
		FulfillmentUpdatedAt: millisOrNull(o.FulfilledAt), CircuitState: "closed",
		clCommon: clCommonOf(o.CreatedAt, o.UpdatedAt, o.Metadata),
	}
	if address := cmp.Or(o.ShippingAddress, o.BillingAddress); address != nil {
		a.CountryCode = orNull(address.Country)
	}
	var paid time.Time
	for _, p := range o.Payments {
		if p.UpdatedAt.After(paid) {
			paid = p.UpdatedAt
		}
	}
	a.PaymentUpdatedAt = millisOrNull(paid)
	for _, adjustment := range slices.Concat(o.Adjustments, lineItemAdjustments(o)) {
		if adjustment.PromotionCode != "" {
			a.CouponCode = &adjustment.PromotionCode
			break
		}
	}

	fees := o.AdjustmentTotal - o.TaxTotal - o.PromotionTotal
	taxes := o.TaxTotal + o.IncludedTaxTotal
	amount := func(minor int64, cents *int64, float *float64, formatted *string) {
		clAmount(o.Currency, minor, cents, float, formatted)
	}
	amount(o.ItemTotal, &a.SubtotalAmountCents, &a.SubtotalAmountFloat, &a.FormattedSubtotalAmount)
	amount(o.ShippingTotal, &a.ShippingAmountCents, &a.ShippingAmountFloat, &a.FormattedShippingAmount)
	amount(0, &a.PaymentMethodAmountCents, &a.PaymentMethodAmountFloat, &a.FormattedPaymentMethodAmount)
	amount(o.PromotionTotal, &a.DiscountAmountCents, &a.DiscountAmountFloat, &a.FormattedDiscountAmount)
	amount(fees, &a.AdjustmentAmountCents, &a.AdjustmentAmountFloat, &a.FormattedAdjustmentAmount)
	amount(0, &a.GiftCardAmountCents, &a.GiftCardAmountFloat, &a.FormattedGiftCardAmount)
	amount(taxes, &a.TotalTaxAmountCents, &a.TotalTaxAmountFloat, &a.FormattedTotalTaxAmount)
	amount(taxes, &a.SubtotalTaxAmountCents, &a.SubtotalTaxAmountFloat, &a.FormattedSubtotalTaxAmount)
	amount(0, &a.ShippingTaxAmountCents, &a.ShippingTaxAmountFloat, &a.FormattedShippingTaxAmount)
	amount(0, &a.PaymentMethodTaxAmountCents, &a.PaymentMethodTaxAmountFloat, &a.FormattedPaymentMethodTaxAmount)
	amount(0, &a.AdjustmentTaxAmountCents, &a.AdjustmentTaxAmountFloat, &a.FormattedAdjustmentTaxAmount)
	amount(o.Total-o.TaxTotal, &a.TotalAmountCents, &a.TotalAmountFloat, &a.FormattedTotalAmount)
	amount(o.Total-taxes, &a.TotalTaxableAmountCents, &a.TotalTaxableAmountFloat, &a.FormattedTotalTaxableAmount)
	amount(o.ItemTotal-o.IncludedTaxTotal, &a.SubtotalTaxableAmountCents, &a.SubtotalTaxableAmountFloat, &a.FormattedSubtotalTaxableAmount)
	amount(o.ShippingTotal, &a.ShippingTaxableAmountCents, &a.ShippingTaxableAmountFloat, &a.FormattedShippingTaxableAmount)
	amount(0, &a.PaymentMethodTaxableAmountCents, &a.PaymentMethodTaxableAmountFloat, &a.FormattedPaymentMethodTaxableAmount)
	amount(fees, &a.AdjustmentTaxableAmountCents, &a.AdjustmentTaxableAmountFloat, &a.FormattedAdjustmentTaxableAmount)
	amount(o.Total, &a.TotalAmountWithTaxesCents, &a.TotalAmountWithTaxesFloat, &a.FormattedTotalAmountWithTaxes)
	amount(0, &a.FeesAmountCents, &a.FeesAmountFloat, &a.FormattedFeesAmount)
	amount(0, &a.DutyAmountCents, &a.DutyAmountFloat, &a.FormattedDutyAmount)
	var placed int64
	switch {
	case o.Status == order.StatusEditing:
		placed = o.TotalBeforeEditing
	case !o.PlacedAt.IsZero():
		placed = o.Total
	}
	amount(placed, &a.PlaceTotalAmountCents, &a.PlaceTotalAmountFloat, &a.FormattedPlaceTotalAmount)
	return a
}

func lineItemAdjustments(o order.Order) (all []order.Adjustment) {
	for _, l := range o.LineItems {
		all = append(all, l.Adjustments...)
	}
	return all
}

func clShipmentOf(o order.Order, s order.Shipment) clShipment {
	a := clShipment{
		Number: cmp.Or(s.Number, s.ID), Status: s.Status, CurrencyCode: o.Currency,
		Rates: []struct{}{}, GetRatesErrors: []struct{}{},
		ShippedAt: millisOrNull(s.ShippedAt), DeliveredAt: millisOrNull(s.DeliveredAt),
		clCommon: clCommonOf(s.CreatedAt, s.UpdatedAt, s.Metadata),
	}
	for _, l := range s.LineItems {
		a.SKUsCount += l.Quantity
	}
	clAmount(o.Currency, s.Cost, &a.CostAmountCents, &a.CostAmountFloat, &a.FormattedCostAmount)
	return a
}

func clParcelOf(p order.Parcel) clParcel {
	a := clParcel{
		Number: &p.ID, UnitOfWeight: "gr", ShippingLabelURL: orNull(p.LabelURL), TrackingNumber: orNull(p.TrackingNumber),
		TrackingStatus: orNull(p.CarrierStatus), TrackingStatusDetail: orNull(p.StatusDetail), TrackingDetails: []struct{}{},
		clCommon: clCommonOf(p.CreatedAt, p.UpdatedAt, nil),
	}
	if p.CarrierStatus != "" {
		a.TrackingStatusUpdatedAt = millisOrNull(p.UpdatedAt)
	}
	return a
}

func clLineItemOf(o order.Order, l order.LineItem) clLineItem {
	a := clLineItem{
		SKUCode: orNull(l.SKU), Quantity: l.Quantity, CurrencyCode: o.Currency, Name: l.Name, ImageURL: orNull(l.ImageURL), ItemType: "skus",
		CircuitState: "closed", clCommon: clCommonOf(o.CreatedAt, o.UpdatedAt, nil),
	}
	var discount, tax int64
	for _, adjustment := range l.Adjustments {
		switch adjustment.Kind {
		case order.AdjustmentPromotion:
			discount += adjustment.Amount
		case order.AdjustmentTax:
			tax += adjustment.Amount
		}
	}
	clAmount(o.Currency, l.UnitPrice, &a.UnitAmountCents, &a.UnitAmountFloat, &a.FormattedUnitAmount)
	clAmount(o.Currency, 0, &a.OptionsAmountCents, &a.OptionsAmountFloat, &a.FormattedOptionsAmount)
	clAmount(o.Currency, discount, &a.DiscountCents, &a.DiscountFloat, &a.FormattedDiscount)
	clAmount(o.Currency, l.Total, &a.TotalAmountCents, &a.TotalAmountFloat, &a.FormattedTotalAmount)
	clAmount(o.Currency, tax, &a.TaxAmountCents, &a.TaxAmountFloat, &a.FormattedTaxAmount)
	return a
}

// clCustomerOf is the customer as far as the order knows them.
func clCustomerOf(o order.Order) clCustomer {
	status := "prospect"
	if !o.PlacedAt.IsZero() {
		status = "acquired"
	}
	common := clCommonOf(o.CreatedAt, o.UpdatedAt, nil)
	common.Reference = orNull(o.Customer.ExternalID)
	return clCustomer{Email: orNull(cmp.Or(o.Customer.Email, o.Email)), Status: status, clCommon: common}
}

func clAddressOf(o order.Order, a order.Address) clAddress {
	join := func(separator string, parts ...string) *string {
		return orNull(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator))
	}
	return clAddress{
		Business: a.Company != "", FirstName: orNull(a.FirstName), LastName: orNull(a.LastName), Company: orNull(a.Company),
		FullName: join(" ", a.FirstName, a.LastName), Line1: orNull(a.Address1), Line2: orNull(a.Address2), City: orNull(a.City),
		ZipCode: orNull(a.PostalCode), StateCode: orNull(a.State), CountryCode: orNull(a.Country), Phone: orNull(a.Phone),
		FullAddress: join(", ", a.Address1, a.Address2, a.PostalCode, a.City, a.State, a.Country),
		Name:        join(", ", strings.TrimSpace(a.FirstName+" "+a.LastName), a.Address1, a.City),
		Email:       orNull(email(o)), clCommon: clCommonOf(o.CreatedAt, o.UpdatedAt, nil),
	}
}

func clAuthorizationOf(p order.Payment, currency string) clAuthorization {
	a := clAuthorization{
		Number: p.ID, PaymentMethodType: orNull(p.Method), CurrencyCode: currency, Succeeded: p.Status != order.LedgerFailed,
		Message: orNull(p.FailureReason), GatewayTransactionID: orNull(p.Reference), clCommon: clCommonOf(p.CreatedAt, p.UpdatedAt, nil),
	}
	clAmount(currency, p.Amount, &a.AmountCents, &a.AmountFloat, &a.FormattedAmount)
	clAmount(currency, p.Captured, &a.CaptureAmountCents, &a.CaptureAmountFloat, &a.FormattedCaptureAmount)
	clAmount(currency, p.Open(), &a.CaptureBalanceCents, &a.CaptureBalanceFloat, &a.FormattedCaptureBalance)
	clAmount(currency, p.Open(), &a.VoidBalanceCents, &a.VoidBalanceFloat, &a.FormattedVoidBalance)
	return a
}
