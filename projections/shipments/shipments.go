// Package shipments is the view of all shipments: one row for each that exists, whatever order it belongs to.
package shipments

import (
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Name is the projection's name.
const Name = "shipments"

// Projection returns the projection. A shipment that was destroyed has no row.
func Projection() *projections.Projection {
	return projections.Define(Name, "view_shipments", order.Aggregate(), evolve, rows)
}

func evolve(o order.Order, e projections.Event) order.Order {
	return order.Evolve(o, e.Event, e.RecordedAt)
}

// row is a row of the table.
type row struct {
	Shipment        string    `json:"shipment"`
	Number          string    `json:"number"`
	OrderNumber     string    `json:"order_number"`
	Status          string    `json:"status"`
	DeliveryStatus  string    `json:"delivery_status"`
	Carrier         string    `json:"carrier"`
	TrackingNumbers []string  `json:"tracking_numbers"`
	Parcels         int       `json:"parcels"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	ShippedAt       time.Time `json:"shipped_at,omitzero"`
	DeliveredAt     time.Time `json:"delivered_at,omitzero"`
}

func rows(o order.Order) (list []row) {
	for _, s := range o.Shipments {
		r := row{
			Shipment: s.ID, Number: s.Number, OrderNumber: o.Number, Status: s.Status, DeliveryStatus: s.DeliveryStatus, Parcels: len(s.Parcels),
			TrackingNumbers: []string{}, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, ShippedAt: s.ShippedAt, DeliveredAt: s.DeliveredAt,
		}
		for _, p := range s.Parcels {
			if r.Carrier == "" {
				r.Carrier = p.Carrier
			}
			if p.TrackingNumber != "" {
				r.TrackingNumbers = append(r.TrackingNumbers, p.TrackingNumber)
			}
		}
		list = append(list, r)
	}
	return list
}
