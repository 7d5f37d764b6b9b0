package profile

import (
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/order"
)

// svixRetries are those of Svix, which sends Goody's webhooks: eight attempts, the first at once.
var svixRetries = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
}

// Goody is the profile of Goody's Automation and Commerce APIs. Its bodies are {"event_type":…,"id":…,"data":{…}}, data being the order
// or the order batch; Svix's headers and signature are on them.
func Goody(aggregates map[string]*domain.Aggregate) *Profile {
	p := &Profile{
		Name: "goody",
		All:  true,
		Signer: func(secrets []string) (Sign, error) {
			return standardSigner(secrets, "Svix-Id", "Svix-Timestamp", "Svix-Signature")
		},
		NewSecret: NewStandardSecret,
		Rotation:  Rotation,
		Success:   successful,
		GivesUp:   gone,
		Timeout:   15 * time.Second,
		Schedule:  Schedule{Pauses: svixRetries},
		Circuit:   Circuit{DisableAfter: 5 * 24 * time.Hour},
	}
	return p.follow([]rule{
		tell("order.created", "When an order is created and is ready to be opened.", goodyOrderOf,
			func(c change[order.Order]) bool { return !c.after.FirstItemAt.IsZero() }, "order.created", "order.first_item_added"),
		tell("order.gift_opened", "When a gift is opened by the recipient.", goodyGiftOf, nil, "gift.opened"),
		tell("order.gift_accepted", "When a gift has been accepted by the recipient.", goodyGiftOf, nil, "gift.accepted"),
		tell("order.thank_you_note_added", "When a recipient adds a thank you note to an order after accepting it.", goodyGiftOf, nil,
			"gift.thank_you_note_added"),
		tell("order.shipped", "When an order starts shipping. If there are multiple shipments, this is for the first.", goodyOrderOf,
			func(c change[order.Order]) bool { return c.before.ShippedAt.IsZero() }, "order.shipped"),
		tell("order.delivered", "When an order is fully delivered. If there are multiple shipments, this is when all of them are.", goodyOrderOf,
			func(c change[order.Order]) bool { return c.before.DeliveredAt.IsZero() }, "order.delivered"),
		tell("order.canceled", "When an order has been canceled.", goodyOrderOf, nil, "order.cancelled"),
		tell("order.refunded", "When an order has been refunded in full.", goodyOrderOf, nil, "order.refunded"),
		tell("order_batch.created", "When an order batch is newly created. Its orders may still have to be created.", goodyBatchOf, nil,
			"order_batch.created"),
		tell("order_batch.completed", "When an order batch is fully processed and all orders have been created.", goodyBatchOf, nil,
			"order_batch.completed"),
	}, aggregates)
}

type goodyOrderMessage struct {
	EventType string     `json:"event_type" schema:"event"`
	ID        string     `json:"id"`
	Data      goodyOrder `json:"data"`
}

type goodyOrder struct {
	ID                 string          `json:"id"`
	Status             string          `json:"status"`
	IndividualGiftLink *string         `json:"individual_gift_link"`
	RecipientFirstName *string         `json:"recipient_first_name"`
	RecipientLastName  *string         `json:"recipient_last_name"`
	RecipientEmail     *string         `json:"recipient_email"`
	CardID             *string         `json:"card_id"`
	Message            *string         `json:"message"`
	ThankYouNote       *string         `json:"thank_you_note"`
	ViewCountRecipient int64           `json:"view_count_recipient"`
	IsSwapped          bool            `json:"is_swapped"`
	OrderBatchID       *string         `json:"order_batch_id"`
	ExpiresAt          *string         `json:"expires_at" schema:"date-time"`
	Cart               *goodyCart      `json:"cart"`
	Shipments          []goodyShipment `json:"shipments"`
	Amounts            *goodyAmounts   `json:"amounts"`
	Sender             goodySender     `json:"sender"`
	WorkspaceID        string          `json:"workspace_id"`
	WorkspaceName      string          `json:"workspace_name"`
	OriginalCart       *goodyCart      `json:"original_cart"`
	OriginalAmounts    *goodyAmounts   `json:"original_amounts"`
	ReferenceID        *string         `json:"reference_id"`
}

type goodyCart struct {
	ID    string      `json:"id"`
	Items []goodyItem `json:"items"`
}

type goodyItem struct {
	ID       string       `json:"id"`
	Quantity int64        `json:"quantity"`
	Product  goodyProduct `json:"product"`
}

type goodyProduct struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Brand goodyBrand `json:"brand"`
}

type goodyBrand struct {
	ID   *string `json:"id"`
	Name *string `json:"name"`
}

type goodyShipment struct {
	ID              string  `json:"id"`
	Status          string  `json:"status"`
	BrandName       *string `json:"brand_name"`
	TrackingCarrier *string `json:"tracking_carrier"`
	ShippedAt       *string `json:"shipped_at" schema:"date-time"`
	DeliveredAt     *string `json:"delivered_at" schema:"date-time"`
	DeliveryETA     *string `json:"delivery_eta" schema:"date-time"`
}

// goodyAmounts are in cents.
type goodyAmounts struct {
	Product         int64  `json:"amount_product"`
	Shipping        int64  `json:"amount_shipping"`
	ProcessingFee   int64  `json:"amount_processing_fee"`
	PreTaxTotal     int64  `json:"amount_pre_tax_total"`
	Tax             *int64 `json:"amount_tax"`
	Total           *int64 `json:"amount_total"`
	GlobalRelayCost *int64 `json:"amount_global_relay_cost"`
}

type goodySender struct {
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
	Email     *string `json:"email"`
}

func goodyOrderOf(c change[order.Order]) goodyOrderMessage {
	o := c.after
	first, last := nameOf(o)
	m := goodyOrderMessage{EventType: c.name, ID: c.ID.String(), Data: goodyOrder{
		ID: o.ID, Status: goodyStatus(o), IndividualGiftLink: orNull(o.CartURL),
		RecipientFirstName: orNull(first), RecipientLastName: orNull(last), RecipientEmail: orNull(email(o)), Message: orNull(o.Note),
		Cart:      &goodyCart{ID: o.ID, Items: make([]goodyItem, len(o.LineItems))},
		Shipments: []goodyShipment{},
		Amounts: &goodyAmounts{
			Product: o.ItemTotal + o.PromotionTotal, Shipping: o.ShippingTotal, ProcessingFee: o.AdjustmentTotal - o.TaxTotal - o.PromotionTotal,
			PreTaxTotal: o.Total - o.TaxTotal, Tax: &o.TaxTotal, Total: &o.Total,
		},
		WorkspaceID: c.Workspace, WorkspaceName: c.Workspace, ReferenceID: orNull(o.Number),
	}}
	if sender := o.Customer; sender != nil {
		first, last := splitName(sender.Name)
		m.Data.Sender = goodySender{FirstName: orNull(first), LastName: orNull(last), Email: orNull(sender.Email)}
	}
	for i, l := range o.LineItems {
		m.Data.Cart.Items[i] = goodyItem{ID: l.ID, Quantity: l.Quantity, Product: goodyProduct{ID: l.SKU, Name: l.Name}}
	}
	for _, s := range o.Shipments {
		if s.Status != order.ShipmentStatusCancelled {
			m.Data.Shipments = append(m.Data.Shipments, goodyShipmentOf(s))
		}
	}
	return m
}

// goodyGiftOf tells of a gift as its order, which is what Goody's gifts are. What only the order itself knows is null.
func goodyGiftOf(c change[gift.Gift]) goodyOrderMessage {
	g := c.after
	m := goodyOrderMessage{EventType: c.name, ID: c.ID.String(), Data: goodyOrder{
		ID: g.OrderID, Status: goodyGiftStatus(g), RecipientEmail: orNull(g.Recipient.Email), Message: orNull(g.Message),
		ThankYouNote: orNull(g.ThankYouNote), Shipments: []goodyShipment{}, WorkspaceID: c.Workspace, WorkspaceName: c.Workspace,
	}}
	if !g.OpenedAt.IsZero() {
		m.Data.ViewCountRecipient = 1 // at least
	}
	first, last := splitName(g.Recipient.Name)
	m.Data.RecipientFirstName, m.Data.RecipientLastName = orNull(first), orNull(last)
	first, last = splitName(g.Sender.Name)
	m.Data.Sender = goodySender{FirstName: orNull(first), LastName: orNull(last), Email: orNull(g.Sender.Email)}
	return m
}

func goodyGiftStatus(g gift.Gift) string {
	switch g.Status {
	case gift.StatusThanked:
		return "accepted"
	case gift.StatusCancelled:
		return "canceled"
	}
	return g.Status
}

type goodyBatchMessage struct {
	EventType string     `json:"event_type" schema:"event"`
	ID        string     `json:"id"`
	Data      goodyBatch `json:"data"`
}

type goodyBatch struct {
	ID              string         `json:"id"`
	SendStatus      string         `json:"send_status"`
	FromName        *string        `json:"from_name"`
	Message         *string        `json:"message"`
	OrdersCount     int            `json:"orders_count"`
	OrdersPreview   []goodyPreview `json:"orders_preview"`
	ScheduledSendOn *string        `json:"scheduled_send_on" schema:"date-time"`
	WorkspaceID     string         `json:"workspace_id"`
	WorkspaceName   string         `json:"workspace_name"`
	ReferenceID     *string        `json:"reference_id"`
}

// goodyPreview is what a batch knows of an order of its own.
type goodyPreview struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	OrderBatchID string `json:"order_batch_id"`
}

func goodyBatchOf(c change[batch.Batch]) goodyBatchMessage {
	b := c.after
	m := goodyBatchMessage{EventType: c.name, ID: c.ID.String(), Data: goodyBatch{
		ID: b.ID, SendStatus: "pending", OrdersCount: len(b.OrderIDs), OrdersPreview: []goodyPreview{},
		ScheduledSendOn: goodyTime(b.SendAt), WorkspaceID: c.Workspace, WorkspaceName: c.Workspace, ReferenceID: orNull(b.Name),
	}}
	if b.Status == batch.StatusCompleted {
		m.Data.SendStatus = "complete"
	}
	for _, id := range b.OrderIDs[:min(len(b.OrderIDs), 10)] { // the first ten, as Goody has it
		m.Data.OrdersPreview = append(m.Data.OrdersPreview, goodyPreview{ID: id, Status: "created", OrderBatchID: b.ID})
	}
	return m
}

func goodyShipmentOf(s order.Shipment) goodyShipment {
	shipment := goodyShipment{ID: s.ID, Status: "created", ShippedAt: goodyTime(s.ShippedAt), DeliveredAt: goodyTime(s.DeliveredAt)}
	switch {
	case s.Status == order.ShipmentStatusDelivered || s.DeliveryStatus == order.CarrierDelivered:
		shipment.Status = "delivered"
	case s.Status == order.ShipmentStatusShipped:
		shipment.Status = "shipped"
	}
	if len(s.Parcels) > 0 {
		shipment.TrackingCarrier = orNull(s.Parcels[0].Carrier)
	}
	return shipment
}

func goodyStatus(o order.Order) string {
	switch {
	case o.Status == order.StatusCancelled:
		return "canceled"
	case !o.DeliveredAt.IsZero():
		return "delivered"
	case !o.ShippedAt.IsZero():
		return "shipped"
	}
	return "created"
}

func goodyTime(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	s := at.UTC().Format("2006-01-02T15:04:05Z")
	return &s
}
