// Package orders is the view of all orders, to list and to search: one row for each order that exists.
package orders

import (
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Name is the projection's name.
const Name = "orders"

// Projection returns the projection. An order that was destroyed has no row.
func Projection() *projections.Projection {
	return projections.Define(Name, "view_orders", order.Aggregate(), evolve, rows)
}

// state is the order, and at which version it is.
type state struct {
	order.Order
	version int
}

func evolve(s state, e projections.Event) state {
	return state{order.Evolve(s.Order, e.Event, e.RecordedAt), e.Version}
}

// row is a row of the table.
type row struct {
	Version           int       `json:"version"`
	Number            string    `json:"number"`
	Status            string    `json:"status"`
	PaymentStatus     string    `json:"payment_status"`
	FulfillmentStatus string    `json:"fulfillment_status"`
	CustomerID        string    `json:"customer_id"`
	Email             string    `json:"email"`
	Currency          string    `json:"currency"`
	ItemCount         int64     `json:"item_count"`
	Total             int64     `json:"total"`
	Captured          int64     `json:"captured"`
	Refunded          int64     `json:"refunded"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
	PlacedAt          time.Time `json:"placed_at,omitzero"`
	CancelledAt       time.Time `json:"cancelled_at,omitzero"`
}

func rows(s state) []row {
	if s.Status == order.StatusDestroyed || s.ID == "" {
		return nil
	}
	r := row{
		Version: s.version, Number: s.Number, Status: s.Status, PaymentStatus: s.PaymentStatus, FulfillmentStatus: s.FulfillmentStatus,
		Email: s.Email, Currency: s.Currency, ItemCount: s.ItemCount, Total: s.Total, Captured: s.CapturedTotal, Refunded: s.RefundedTotal,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, PlacedAt: s.PlacedAt, CancelledAt: s.CancelledAt,
	}
	if s.Customer != nil {
		r.CustomerID = s.Customer.ID
		if r.Email == "" {
			r.Email = s.Customer.Email
		}
	}
	return []row{r}
}
