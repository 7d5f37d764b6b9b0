package shipments

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/internal/plantest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// insert makes shipments 1 to 20,000, two for each order. Every 100th is of workspace small.
const insert = `INSERT INTO view_shipments SELECT $1::integer, CASE WHEN n % 100 = 0 THEN 'small' ELSE 'large' END, 'ord_' || n / 2, 'shp_' || n, n::text, '',
	CASE WHEN n % 500 = 1 THEN 'on_hold' ELSE 'shipped' END, CASE WHEN n % 500 = 2 THEN 'failure' ELSE '' END, 'carrier_' || n % 1000,
	ARRAY['T' || n, 'U' || n / 4], 2, '2026-01-01Z'::timestamptz + n * interval '1 minute', now(), NULL, NULL
	FROM generate_series(1, 20000) n`

var ways = map[string]struct {
	Filter
	index string
	fits  func(n int) bool
}{
	"all":          {Filter{}, "view_shipments_created", func(int) bool { return true }},
	"order":        {Filter{OrderID: "ord_4711"}, "view_shipments_pkey", func(n int) bool { return n/2 == 4711 }},
	"tracking":     {Filter{TrackingNumber: "T4711"}, "view_shipments_tracking", func(n int) bool { return n == 4711 }},
	"shared":       {Filter{TrackingNumber: "U471"}, "view_shipments_tracking", func(n int) bool { return n/4 == 471 }},
	"carrier":      {Filter{Carrier: "carrier_7"}, "view_shipments_carrier", func(n int) bool { return n%1000 == 7 }},
	"status":       {Filter{Statuses: []string{"on_hold"}}, "view_shipments_status", func(n int) bool { return n%500 == 1 }},
	"two statuses": {Filter{Statuses: []string{"on_hold", "shipped"}}, "view_shipments_status", func(int) bool { return true }},
	"delivery":     {Filter{DeliveryStatuses: []string{"failure"}}, "view_shipments_created", func(n int) bool { return n%500 == 2 }},
	"dates": {Filter{CreatedFrom: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), CreatedTo: time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC)}, "view_shipments_created",
		func(n int) bool { return n >= 2*1440 && n < 3*1440 }},
}

// Every way into the list walks along its index, also on a table that was never analysed, and its pages lead through the whole list.
func TestPlansAndPages(t *testing.T) {
	t.Parallel()
	db := plantest.Database(t, Name, "view_shipments", insert)
	check := func(state string) {
		for name, way := range ways {
			args, _, err := way.arguments("large")
			if err != nil {
				t.Fatal(err)
			}
			plantest.Check(t, state+" "+name, plantest.Plan(t, db, Name, way.statement(), args...), way.index)
		}
	}
	check("never analysed")
	for name, way := range ways {
		var got, want []string
		f := way.Filter
		f.Limit = 300
		for more := true; more; more = f.Cursor != "" {
			page, err := List(t.Context(), db, "large", f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, s := range page.Rows {
				got = append(got, s.Number)
			}
			f.Cursor = page.Next
		}
		for n := 20_000; n > 0; n-- {
			if n%100 != 0 && way.fits(n) {
				want = append(want, fmt.Sprint(n))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %d shipments, want %d: %.200s", name, len(got), len(want), fmt.Sprint(got))
		}
	}
	if _, err := db.Exec(`VACUUM ANALYZE view_shipments`); err != nil {
		t.Fatal(err)
	}
	check("analysed")
}

func TestInvalidQueries(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	for name, f := range map[string]Filter{
		"status": {Statuses: []string{"lost"}}, "delivery status": {DeliveryStatuses: []string{"shipped"}}, "limit": {Limit: -1}, "carrier": {Carrier: "\x00"},
		"cursor": {Cursor: projections.Position{At: time.Now(), IDs: []string{"a"}}.Cursor()},
	} {
		if _, err := List(t.Context(), db, "default", f); !errors.As(err, new(*projections.InvalidQueryError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
