// Package lifecycle is the view of how long orders take: from placed to approved, paid, shipped and delivered, as percentiles for each day.
//
// Its rows are the times of one order each. The percentiles are computed when they are asked for, from the orders of a day, because those of
// several days cannot be made of those of each; the index holds everything that this needs.
package lifecycle

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Name is the projection's name.
const Name = "lifecycle"

// Projection returns the projection. An order that was never placed has no row.
func Projection() *projections.Projection {
	return projections.Define(Name, "view_lifecycle", order.Aggregate(), evolve, rows)
}

// state is when an order got where for the first time.
type state struct{ placed, approved, paid, shipped, delivered time.Time }

func evolve(s state, e projections.Event) state {
	first := func(t *time.Time) {
		if t.IsZero() {
			*t = e.RecordedAt
		}
	}
	switch e.Event.(type) {
	case order.Placed:
		first(&s.placed)
	case order.Approved:
		first(&s.approved)
	case order.Paid:
		first(&s.paid)
	case order.Shipped:
		first(&s.shipped)
	case order.Delivered:
		first(&s.delivered)
	}
	return s
}

// row is a row of the table, in milliseconds from placed. What had happened before takes no time.
type row struct {
	Day       string `json:"day"`
	Approved  *int64 `json:"approved"`
	Paid      *int64 `json:"paid"`
	Shipped   *int64 `json:"shipped"`
	Delivered *int64 `json:"delivered"`
}

func rows(s state) []row {
	if s.placed.IsZero() {
		return nil
	}
	took := func(t time.Time) *int64 {
		if t.IsZero() {
			return nil
		}
		ms := max(0, t.Sub(s.placed).Milliseconds())
		return &ms
	}
	return []row{{s.placed.UTC().Format(time.DateOnly), took(s.approved), took(s.paid), took(s.shipped), took(s.delivered)}}
}

// Percentiles are how long orders took to get somewhere, in milliseconds: so many of a hundred took no longer. They are times that an
// order really took, and zero where none got there.
type Percentiles struct {
	Orders int64 `json:"orders"` // that got there
	P50    int64 `json:"p50"`
	P90    int64 `json:"p90"`
	P99    int64 `json:"p99"`
}

// Day is how long the orders that were placed on a day (UTC) took.
type Day struct {
	Day       string      `json:"day"` // such as 2026-07-01
	Placed    int64       `json:"placed"`
	Approved  Percentiles `json:"approved"`
	Paid      Percentiles `json:"paid"`
	Shipped   Percentiles `json:"shipped"`
	Delivered Percentiles `json:"delivered"`
}

// MaxDays is how many days one query may span.
const MaxDays = 92

const percentiles = `
SELECT l.day::text, count(*),
	count(l.approved), coalesce(percentile_disc('{0.5,0.9,0.99}'::float8[]) WITHIN GROUP (ORDER BY l.approved), '{0,0,0}'),
	count(l.paid), coalesce(percentile_disc('{0.5,0.9,0.99}'::float8[]) WITHIN GROUP (ORDER BY l.paid), '{0,0,0}'),
	count(l.shipped), coalesce(percentile_disc('{0.5,0.9,0.99}'::float8[]) WITHIN GROUP (ORDER BY l.shipped), '{0,0,0}'),
	count(l.delivered), coalesce(percentile_disc('{0.5,0.9,0.99}'::float8[]) WITHIN GROUP (ORDER BY l.delivered), '{0,0,0}')
FROM view_lifecycle l
WHERE l.generation = live_generation('lifecycle') AND l.workspace COLLATE "C" = $1 AND l.day BETWEEN $2::date AND $3::date
GROUP BY l.day ORDER BY l.day`

// Days returns the days on which orders were placed, from old to new; both from and to are included. It returns a
// [*projections.InvalidQueryError] for more than [MaxDays], and a [*projections.NotBuiltError] where the view was never built.
func Days(ctx context.Context, db *sql.DB, workspace string, from, to time.Time) (days []Day, err error) {
	if err := projections.CheckSpan(from, to, MaxDays); err != nil {
		return nil, err
	}
	err = projections.Read(ctx, db, Name, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, percentiles, workspace, from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly))
		days, err = projections.Collect(rows, err, scan)
		return err
	})
	return days, err
}

func scan(rows *sql.Rows) (d Day, err error) {
	var approved, paid, shipped, delivered pq.Int64Array
	err = rows.Scan(&d.Day, &d.Placed, &d.Approved.Orders, &approved, &d.Paid.Orders, &paid, &d.Shipped.Orders, &shipped, &d.Delivered.Orders, &delivered)
	if err != nil {
		return d, err
	}
	for to, from := range map[*Percentiles]pq.Int64Array{&d.Approved: approved, &d.Paid: paid, &d.Shipped: shipped, &d.Delivered: delivered} {
		to.P50, to.P90, to.P99 = from[0], from[1], from[2]
	}
	return d, nil
}
