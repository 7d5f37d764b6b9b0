// Package daily is the view of what happened on each day, in each currency: orders placed, money captured and refunded, orders shipped and
// delivered; how many and how much.
//
// Its rows are what one order adds to one day. Sums are made when they are asked for, along an index that holds everything that they need.
// Counters that are kept up to date would be quicker to read, but every order of a day would write to the same row: appends that write
// their views would wait for each other, and a rebuild in parts could not be. A row that belongs to one order can be written anew at any
// time, by anybody, and the sum stays right.
package daily

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// Name is the projection's name.
const Name = "daily"

// Projection returns the projection.
func Projection() *projections.Projection {
	return projections.Define(Name, "view_daily", order.Aggregate(), evolve, rows)
}

// row is a row of the table: what an order adds to a day.
type row struct {
	Day      string `json:"day"`
	Kind     string `json:"kind"`
	Currency string `json:"currency"`
	Count    int64  `json:"count"`
	Amount   int64  `json:"amount"`
}

type state struct {
	order order.Order
	rows  []row
}

func evolve(s state, e projections.Event) state {
	s.order = order.Evolve(s.order, e.Event, e.RecordedAt)
	switch event := e.Event.(type) {
	case order.Placed:
		return s.with("placed", s.order.Total, e.RecordedAt)
	case order.PaymentCaptured:
		return s.with("paid", event.Amount, e.RecordedAt)
	case order.PaymentRefunded:
		return s.with("refunded", event.Amount, e.RecordedAt)
	case order.Shipped:
		return s.with("shipped", s.order.Total, e.RecordedAt)
	case order.Delivered:
		return s.with("delivered", s.order.Total, e.RecordedAt)
	}
	return s
}

func (s state) with(kind string, amount int64, at time.Time) state {
	s.rows = slices.Clone(s.rows)
	day := at.UTC().Format(time.DateOnly)
	for i := range s.rows {
		if r := &s.rows[i]; r.Day == day && r.Kind == kind {
			r.Count++
			r.Amount += amount
			return s
		}
	}
	s.rows = append(s.rows, row{day, kind, s.order.Currency, 1, amount})
	return s
}

func rows(s state) []row { return s.rows }

// Sum is how many, and how much in minor units.
type Sum struct {
	Count  int64 `json:"count"`
	Amount int64 `json:"amount"`
}

// Day is what happened on a day (UTC), in one currency.
type Day struct {
	Day       string `json:"day"` // such as 2026-07-01
	Currency  string `json:"currency"`
	Placed    Sum    `json:"placed"`    // orders, with their totals as they were then
	Paid      Sum    `json:"paid"`      // captures
	Refunded  Sum    `json:"refunded"`  // refunds
	Shipped   Sum    `json:"shipped"`   // orders whose first shipment shipped, with their totals
	Delivered Sum    `json:"delivered"` // orders of which everything was delivered, with their totals
}

// MaxDays is how many days one query may span.
const MaxDays = 366

// Filter says which days to sum up.
type Filter struct {
	From, To time.Time // both days (UTC) are included
	Currency string    // empty for all
}

const sumUp = `
SELECT d.day::text, d.currency, d.kind, sum(d.count)::bigint, sum(d.amount)::bigint
FROM view_daily d
WHERE d.generation = live_generation('daily') AND d.workspace COLLATE "C" = $1 AND d.day BETWEEN $2::date AND $3::date AND ($4 = '' OR d.currency = $4)
GROUP BY d.day, d.currency, d.kind ORDER BY d.day, d.currency, d.kind`

// Days returns the days on which something happened, each currency apart, from old to new. It returns a [*projections.InvalidQueryError] for
// more than [MaxDays], and a [*projections.NotBuiltError] where the view was never built.
func Days(ctx context.Context, db *sql.DB, workspace string, f Filter) (days []Day, err error) {
	if err := projections.Together(
		projections.CheckSpan(f.From, f.To, MaxDays), projections.CheckTexts(map[string]string{"currency": f.Currency}),
	); err != nil {
		return nil, err
	}
	days = []Day{}
	err = projections.Read(ctx, db, Name, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, sumUp, workspace, f.From.UTC().Format(time.DateOnly), f.To.UTC().Format(time.DateOnly), f.Currency)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var day, currency, kind string
			var s Sum
			if err := rows.Scan(&day, &currency, &kind, &s.Count, &s.Amount); err != nil {
				return err
			}
			if n := len(days); n == 0 || days[n-1].Day != day || days[n-1].Currency != currency {
				days = append(days, Day{Day: day, Currency: currency})
			}
			d := &days[len(days)-1]
			*map[string]*Sum{"placed": &d.Placed, "paid": &d.Paid, "refunded": &d.Refunded, "shipped": &d.Shipped, "delivered": &d.Delivered}[kind] = s
		}
		return rows.Err()
	})
	return days, err
}
