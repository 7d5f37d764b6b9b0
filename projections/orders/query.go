package orders

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Order is a row of the list. Money is in minor units of Currency, times are UTC; a time is zero until what it names has happened.
type Order struct {
	ID                string    `json:"id"`
	Version           int       `json:"version"` // of the stream, as far as the view has seen it
	Number            string    `json:"number"`
	Status            string    `json:"status"`
	PaymentStatus     string    `json:"paymentStatus"`
	FulfillmentStatus string    `json:"fulfillmentStatus"`
	CustomerID        string    `json:"customerId,omitempty"`
	Email             string    `json:"email,omitempty"` // the order's, or else its customer's
	Currency          string    `json:"currency"`
	ItemCount         int64     `json:"itemCount"`
	Total             int64     `json:"total"`
	CapturedTotal     int64     `json:"capturedTotal"`
	RefundedTotal     int64     `json:"refundedTotal"`
	CreatedAt         time.Time `json:"createdAt"`
	UpdatedAt         time.Time `json:"updatedAt"`
	PlacedAt          time.Time `json:"placedAt,omitzero"`
	CancelledAt       time.Time `json:"cancelledAt,omitzero"`
}

// Filter says which orders to list. A field that is zero filters nothing; all that are given have to fit.
type Filter struct {
	Number     string
	Email      string // upper and lower case are the same
	CustomerID string

	Statuses            []string // any of these
	PaymentStatuses     []string
	FulfillmentStatuses []string

	CreatedFrom, CreatedTo time.Time // from is included, to is not
	PlacedFrom, PlacedTo   time.Time

	Currency           string
	MinTotal, MaxTotal *int64 // minor units; both are included

	Limit  int    // Defaults to 50; at most 500.
	Cursor string // [projections.Page.Next] of the page before
}

// A list goes from new to old: by the time at which orders were created, then by id. The statement for each way into it walks along one
// index in that order; whatever else is to be filtered is compared row by row, for no more rows than the budget ($17). The row at which the
// budget ends comes back even where it does not fit, because the next page begins behind it.
const (
	columns = `id, version, number, status, payment_status, fulfillment_status, customer_id, email, currency, item_count, total, captured, refunded,
		created_at, updated_at, placed_at, cancelled_at`
	walk = `FROM view_orders o WHERE o.generation = live_generation('orders') AND o.workspace COLLATE "C" = $1
		AND (o.created_at, o.id COLLATE "C") < ($2::timestamptz, $3::text) AND o.created_at >= $4::timestamptz`
	inOrder  = ` ORDER BY o.created_at DESC, o.id COLLATE "C" DESC LIMIT $17`
	fromList = `SELECT ` + columns + `, fits, n FROM (
		SELECT o.*, row_number() OVER () AS n,
			(cardinality($5::text[]) = 0 OR o.status = ANY ($5)) AND (cardinality($6::text[]) = 0 OR o.payment_status = ANY ($6))
			AND (cardinality($7::text[]) = 0 OR o.fulfillment_status = ANY ($7))
			AND ($8::text = '' OR o.number = $8) AND ($9::text = '' OR lower(o.email) = lower($9)) AND ($10::text = '' OR o.customer_id = $10)
			AND ($11::timestamptz IS NULL OR o.placed_at >= $11) AND ($12::timestamptz IS NULL OR o.placed_at < $12)
			AND ($13::text = '' OR o.currency = $13) AND ($14::bigint IS NULL OR o.total >= $14) AND ($15::bigint IS NULL OR o.total <= $15)
			AS fits
		FROM (`
	toPage = `) o) o WHERE fits OR n = $17 ORDER BY o.created_at DESC, o.id COLLATE "C" DESC LIMIT $16`

	listAll           = fromList + `SELECT o.* ` + walk + inOrder + toPage
	listByNumber      = fromList + `SELECT o.* ` + walk + ` AND o.number = $8` + inOrder + toPage
	listByEmail       = fromList + `SELECT o.* ` + walk + ` AND lower(o.email) = lower($9)` + inOrder + toPage
	listByCustomer    = fromList + `SELECT o.* ` + walk + ` AND o.customer_id = $10` + inOrder + toPage
	ofEach            = `SELECT o.* FROM unnest(`
	listByStatus      = fromList + ofEach + `$5::text[]) s CROSS JOIN LATERAL (SELECT o.* ` + walk + ` AND o.status = s` + inOrder + `) o` + inOrder + toPage
	listByPayment     = fromList + ofEach + `$6::text[]) s CROSS JOIN LATERAL (SELECT o.* ` + walk + ` AND o.payment_status = s` + inOrder + `) o` + inOrder + toPage
	listByFulfillment = fromList + ofEach + `$7::text[]) s CROSS JOIN LATERAL (SELECT o.* ` + walk + ` AND o.fulfillment_status = s` + inOrder + `) o` + inOrder + toPage
)

// statement chooses the way into the list that leaves the least to compare.
func (f Filter) statement() string {
	switch {
	case f.Number != "":
		return listByNumber
	case f.Email != "":
		return listByEmail
	case f.CustomerID != "":
		return listByCustomer
	case len(f.Statuses) > 0:
		return listByStatus
	case len(f.FulfillmentStatuses) > 0:
		return listByFulfillment
	case len(f.PaymentStatuses) > 0:
		return listByPayment
	}
	return listAll
}

// List returns a page of a workspace's orders, from new to old. It returns a [*projections.InvalidQueryError], and a
// [*projections.NotBuiltError] where the view was never built.
func List(ctx context.Context, db *sql.DB, workspace string, f Filter) (page projections.Page[Order], err error) {
	page.Rows = []Order{}
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
		for _, o := range found {
			if len(page.Rows) == limit { // there is one more
				last := page.Rows[limit-1]
				page.Next = projections.Position{At: last.CreatedAt, IDs: []string{last.ID}}.Cursor()
				break
			}
			if o.fits {
				page.Rows = append(page.Rows, o.Order)
			}
			if o.n == projections.Budget {
				page.Next = projections.Position{At: o.CreatedAt, IDs: []string{o.ID}}.Cursor()
			}
		}
		return nil
	})
	return page, err
}

func (f Filter) arguments(workspace string) (args []any, limit int, err error) {
	if limit, err = projections.Limit(f.Limit); err != nil {
		return nil, 0, err
	}
	if err := projections.Together(
		projections.CheckTexts(map[string]string{"number": f.Number, "email": f.Email, "customer": f.CustomerID, "currency": f.Currency}),
		projections.CheckStatuses("status", f.Statuses, order.OrderMachine.States()),
		projections.CheckStatuses("paymentStatus", f.PaymentStatuses, order.PaymentMachine.States()),
		projections.CheckStatuses("fulfillmentStatus", f.FulfillmentStatuses, order.FulfillmentMachine.States()),
	); err != nil {
		return nil, 0, err
	}
	before, id := any("infinity"), ""
	if !f.CreatedTo.IsZero() {
		before = f.CreatedTo
	}
	if f.Cursor != "" {
		p, err := projections.ParseCursor(f.Cursor, 1)
		if err != nil {
			return nil, 0, err
		}
		before, id = p.At, p.IDs[0]
	}
	from := any("-infinity")
	if !f.CreatedFrom.IsZero() {
		from = f.CreatedFrom
	}
	return []any{
		workspace, before, id, from, projections.Set(f.Statuses), projections.Set(f.PaymentStatuses), projections.Set(f.FulfillmentStatuses), f.Number, f.Email, f.CustomerID,
		projections.TimeOrNull(f.PlacedFrom), projections.TimeOrNull(f.PlacedTo), f.Currency, f.MinTotal, f.MaxTotal, limit + 1, projections.Budget,
	}, limit, nil
}

type found struct {
	Order
	fits bool
	n    int // of the rows that were looked at
}

func scan(rows *sql.Rows) (f found, err error) {
	var placed, cancelled sql.NullTime
	err = rows.Scan(&f.ID, &f.Version, &f.Number, &f.Status, &f.PaymentStatus, &f.FulfillmentStatus, &f.CustomerID, &f.Email, &f.Currency,
		&f.ItemCount, &f.Total, &f.CapturedTotal, &f.RefundedTotal, &f.CreatedAt, &f.UpdatedAt, &placed, &cancelled, &f.fits, &f.n)
	f.CreatedAt, f.UpdatedAt = f.CreatedAt.UTC(), f.UpdatedAt.UTC()
	if placed.Valid {
		f.PlacedAt = placed.Time.UTC()
	}
	if cancelled.Valid {
		f.CancelledAt = cancelled.Time.UTC()
	}
	return f, err
}
