package daily

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/internal/plantest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// insert makes three facts on each of 100 days, for each of 100 orders.
const insert = `INSERT INTO view_daily SELECT $1::integer, 'large', 'ord_' || n, '2026-01-01'::date + d, kind, CASE WHEN n % 10 = 0 THEN 'EUR' ELSE 'USD' END, 1, n
	FROM generate_series(1, 100) n, generate_series(0, 99) d, unnest('{placed,paid,refunded}'::text[]) kind`

func TestDays(t *testing.T) {
	t.Parallel()
	db := plantest.Database(t, Name, "view_daily", insert)
	day := func(n int) time.Time { return time.Date(2026, 1, n, 23, 59, 0, 0, time.UTC) }
	plantest.Check(t, "never analysed", plantest.Plan(t, db, Name, sumUp, "large", "2026-01-05", "2026-01-06", ""), "view_daily_day")
	days, err := Days(t.Context(), db, "large", Filter{From: day(5), To: day(6)})
	sum := func(count, amount int64) Sum { return Sum{count, amount} }
	var want []Day
	for _, d := range []string{"2026-01-05", "2026-01-06"} {
		want = append(want,
			Day{Day: d, Currency: "EUR", Placed: sum(10, 550), Paid: sum(10, 550), Refunded: sum(10, 550)},
			Day{Day: d, Currency: "USD", Placed: sum(90, 4500), Paid: sum(90, 4500), Refunded: sum(90, 4500)})
	}
	if err != nil || !reflect.DeepEqual(days, want) {
		t.Errorf("got %+v, %v", days, err)
	}
	days, err = Days(t.Context(), db, "large", Filter{From: day(5), To: day(5), Currency: "EUR"})
	if err != nil || !reflect.DeepEqual(days, want[:1]) {
		t.Errorf("one currency: got %+v, %v", days, err)
	}
	if days, err := Days(t.Context(), db, "small", Filter{From: day(5), To: day(5)}); err != nil || len(days) != 0 {
		t.Errorf("another workspace: got %+v, %v", days, err)
	}
	for name, f := range map[string]Filter{"no from": {To: day(1)}, "no to": {From: day(1)}, "backwards": {From: day(2), To: day(1)}, "too long": {From: day(1), To: day(1 + MaxDays)},
		"currency": {From: day(1), To: day(1), Currency: "\x00"}} {
		if _, err := Days(t.Context(), db, "large", f); !errors.As(err, new(*projections.InvalidQueryError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Days(t.Context(), db, "large", Filter{From: day(1), To: day(MaxDays)}); err != nil {
		t.Error(err)
	}
	if _, err := db.Exec(`VACUUM ANALYZE view_daily`); err != nil {
		t.Fatal(err)
	}
	plantest.Check(t, "analysed", plantest.Plan(t, db, Name, sumUp, "large", "2026-01-05", "2026-01-06", ""), "Index Only Scan using view_daily_day")
}

// What an order adds to which day.
func TestRows(t *testing.T) {
	t.Parallel()
	var s state
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, e := range []domain.Event{
		order.Created{OrderID: "ord_1", Currency: "USD", LineItems: []order.LineItemInput{{ID: "li_1", Quantity: 2, UnitPrice: 500}}},
		order.PaymentAuthorized{PaymentID: "pay_1", Amount: 1000}, order.Placed{},
		order.PaymentCaptured{PaymentID: "pay_1", Amount: 300}, order.PaymentCaptured{PaymentID: "pay_1", Amount: 700}, order.Shipped{},
		nil, // the next day
		order.Delivered{}, order.PaymentRefunded{PaymentID: "pay_1", Amount: 100},
		nil,
		order.PaymentRefunded{PaymentID: "pay_1", Amount: 50},
	} {
		if e == nil {
			at = at.AddDate(0, 0, 1)
			continue
		}
		before := s
		s = evolve(s, projections.Event{Event: e, RecordedAt: at})
		if !reflect.DeepEqual(evolve(before, projections.Event{Event: e, RecordedAt: at}), s) {
			t.Errorf("%T: the state before was changed", e)
		}
	}
	want := []row{
		{"2026-01-01", "placed", "USD", 1, 1000}, {"2026-01-01", "paid", "USD", 2, 1000}, {"2026-01-01", "shipped", "USD", 1, 1000},
		{"2026-01-02", "delivered", "USD", 1, 1000}, {"2026-01-02", "refunded", "USD", 1, 100}, {"2026-01-03", "refunded", "USD", 1, 50},
	}
	if got := rows(s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
