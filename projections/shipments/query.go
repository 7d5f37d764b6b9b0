package shipments

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Shipment is a row of the list. Times are UTC, and zero until what they name has happened.
type Shipment struct {
	OrderID         string    `json:"orderId"`
	OrderNumber     string    `json:"orderNumber"`
	ID              string    `json:"id"`
	Number          string    `json:"number"`
	Status          string    `json:"status"`
	DeliveryStatus  string    `json:"deliveryStatus,omitempty"` // what its carrier says
	Carrier         string    `json:"carrier,omitempty"`        // of its first parcel that has one
	TrackingNumbers []string  `json:"trackingNumbers"`          // of all its parcels
	Parcels         int       `json:"parcels"`
	CreatedAt       time.Time `json:"createdAt"`
	UpdatedAt       time.Time `json:"updatedAt"`
	ShippedAt       time.Time `json:"shippedAt,omitzero"`
	DeliveredAt     time.Time `json:"deliveredAt,omitzero"`
}

// Filter says which shipments to list. A field that is zero filters nothing; all that are given have to fit.
type Filter struct {
	OrderID          string
	TrackingNumber   string // of any of its parcels
	Carrier          string
	Statuses         []string // any of these
	DeliveryStatuses []string

	CreatedFrom, CreatedTo time.Time // from is included, to is not

	Limit  int    // Defaults to 50; at most 500.
	Cursor string // [projections.Page.Next] of the page before
}

// A list goes from new to old: by the time at which shipments were created, then by ids. See package orders for how a statement works. A
// tracking number is looked up in an index of its own, and as it names very few shipments, all of these are sorted: the other conditions are
// written in a way that no index serves, or come later, so that the planner cannot choose one that leads it through all shipments.
const (
	columns = `id, shipment, number, order_number, status, delivery_status, carrier, tracking_numbers, parcels, created_at, updated_at, shipped_at, delivered_at`
	behind  = `(s.created_at, s.id COLLATE "C", s.shipment COLLATE "C") < ($2::timestamptz, $3::text, $4::text) AND s.created_at >= $5::timestamptz`
	walk    = `FROM view_shipments s WHERE s.generation = live_generation('shipments') AND s.workspace COLLATE "C" = $1 AND ` + behind
	inOrder = ` ORDER BY s.created_at DESC, s.id COLLATE "C" DESC, s.shipment COLLATE "C" DESC LIMIT $12`

	fromList = `SELECT ` + columns + `, fits, n FROM (
		SELECT s.*, row_number() OVER () AS n,
			($6::text = '' OR s.id = $6) AND ($7::text = '' OR s.tracking_numbers @> ARRAY[$7]) AND ($8::text = '' OR s.carrier = $8)
			AND (cardinality($9::text[]) = 0 OR s.status = ANY ($9)) AND (cardinality($10::text[]) = 0 OR s.delivery_status = ANY ($10))
			AS fits
		FROM (`
	toPage = `) s) s WHERE fits OR n = $12 ORDER BY s.created_at DESC, s.id COLLATE "C" DESC, s.shipment COLLATE "C" DESC LIMIT $11`

	listAll     = fromList + `SELECT s.* ` + walk + inOrder + toPage
	listByOrder = fromList + `SELECT s.* FROM (SELECT s.* FROM view_shipments s
		WHERE s.generation = live_generation('shipments') AND s.workspace = $1 AND s.id = $6 AND ` + behind + ` OFFSET 0) s` + inOrder + toPage
	listByCarrier = fromList + `SELECT s.* ` + walk + ` AND s.carrier = $8` + inOrder + toPage
	listByStatus  = fromList + `SELECT s.* FROM unnest($9::text[]) v CROSS JOIN LATERAL (SELECT s.* ` + walk + ` AND s.status = v` + inOrder + `) s` + inOrder + toPage
	listByNumber  = fromList + `SELECT s.* FROM (SELECT s.* FROM view_shipments s WHERE s.tracking_numbers @> ARRAY[$7]
		AND s.generation + 0 = live_generation('shipments') AND s.workspace || '' = $1 OFFSET 0) s WHERE ` + behind + inOrder + toPage
)

// statement chooses the way into the list that leaves the least to compare.
func (f Filter) statement() string {
	switch {
	case f.OrderID != "":
		return listByOrder
	case f.TrackingNumber != "":
		return listByNumber
	case len(f.Statuses) > 0:
		return listByStatus
	case f.Carrier != "":
		return listByCarrier
	}
	return listAll
}

// List returns a page of a workspace's shipments, from new to old. It returns a [*projections.InvalidQueryError], and a
// [*projections.NotBuiltError] where the view was never built.
func List(ctx context.Context, db *sql.DB, workspace string, f Filter) (page projections.Page[Shipment], err error) {
	page.Rows = []Shipment{}
	args, limit, err := f.arguments(workspace)
	if err != nil {
		return page, err
	}
	err = projections.Read(ctx, db, Name, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, f.statement(), args...)
		found, err := projections.Collect(rows, err, scan)
		if err != nil {
			return err
		}
		for _, s := range found {
			if len(page.Rows) == limit { // there is one more
				page.Next = page.Rows[limit-1].cursor()
				break
			}
			if s.fits {
				page.Rows = append(page.Rows, s.Shipment)
			}
			if s.n == projections.Budget {
				page.Next = s.cursor()
			}
		}
		return nil
	})
	return page, err
}

func (s Shipment) cursor() string {
	return projections.Position{At: s.CreatedAt, IDs: []string{s.OrderID, s.ID}}.Cursor()
}

func (f Filter) arguments(workspace string) (args []any, limit int, err error) {
	if limit, err = projections.Limit(f.Limit); err != nil {
		return nil, 0, err
	}
	if err := projections.Together(
		projections.CheckTexts(map[string]string{"order": f.OrderID, "trackingNumber": f.TrackingNumber, "carrier": f.Carrier}),
		projections.CheckStatuses("status", f.Statuses, order.ShipmentMachine.States()),
		projections.CheckStatuses("deliveryStatus", f.DeliveryStatuses, order.CarrierStatuses()),
	); err != nil {
		return nil, 0, err
	}
	before, ids := any("infinity"), []string{"", ""}
	if !f.CreatedTo.IsZero() {
		before = f.CreatedTo
	}
	if f.Cursor != "" {
		p, err := projections.ParseCursor(f.Cursor, 2)
		if err != nil {
			return nil, 0, err
		}
		before, ids = p.At, p.IDs
	}
	from := any("-infinity")
	if !f.CreatedFrom.IsZero() {
		from = f.CreatedFrom
	}
	return []any{
		workspace, before, ids[0], ids[1], from, f.OrderID, f.TrackingNumber, f.Carrier, projections.Set(f.Statuses), projections.Set(f.DeliveryStatuses),
		limit + 1, projections.Budget,
	}, limit, nil
}

type found struct {
	Shipment
	fits bool
	n    int // of the rows that were looked at
}

func scan(rows *sql.Rows) (f found, err error) {
	var shipped, delivered sql.NullTime
	err = rows.Scan(&f.OrderID, &f.ID, &f.Number, &f.OrderNumber, &f.Status, &f.DeliveryStatus, &f.Carrier, (*pq.StringArray)(&f.TrackingNumbers),
		&f.Parcels, &f.CreatedAt, &f.UpdatedAt, &shipped, &delivered, &f.fits, &f.n)
	f.CreatedAt, f.UpdatedAt = f.CreatedAt.UTC(), f.UpdatedAt.UTC()
	if shipped.Valid {
		f.ShippedAt = shipped.Time.UTC()
	}
	if delivered.Valid {
		f.DeliveredAt = delivered.Time.UTC()
	}
	return f, err
}
