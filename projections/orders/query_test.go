package orders

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/internal/plantest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const rowsPerGeneration = 20_000

// insert makes orders 1 to 20,000, a minute apart. Every 100th is of workspace small, and every 500th is cancelled.
const insert = `INSERT INTO view_orders SELECT $1::integer, CASE WHEN n % 100 = 0 THEN 'small' ELSE 'large' END, 'ord_' || n, 1, 'N' || n,
	CASE WHEN n % 500 = 1 THEN 'cancelled' ELSE 'placed' END, CASE WHEN n % 500 = 2 THEN 'voided' ELSE 'paid' END,
	CASE WHEN n % 500 = 3 THEN 'fulfilled' ELSE 'in_progress' END, 'cus_' || n / 10, 'Customer' || n / 10 || '@Example.com', 'USD', 1, n, n, 0,
	'2026-01-01Z'::timestamptz + n * interval '1 minute', now(), '2026-01-01Z'::timestamptz + n * interval '1 minute', NULL
	FROM generate_series(1, 20000) n`

// ways are filters, each with the index that serves it.
var ways = map[string]struct {
	Filter
	index string
}{
	"all":          {Filter{}, "view_orders_created"},
	"dates":        {Filter{CreatedFrom: day(3), CreatedTo: day(5)}, "view_orders_created"},
	"amounts":      {Filter{MinTotal: amount(100), MaxTotal: amount(200), Currency: "USD"}, "view_orders_created"},
	"number":       {Filter{Number: "N4711"}, "view_orders_number"},
	"email":        {Filter{Email: "customer471@example.com"}, "view_orders_email"},
	"customer":     {Filter{CustomerID: "cus_471"}, "view_orders_customer"},
	"status":       {Filter{Statuses: []string{"cancelled"}}, "view_orders_status"},
	"two statuses": {Filter{Statuses: []string{"cancelled", "placed"}}, "view_orders_status"},
	"payment":      {Filter{PaymentStatuses: []string{"voided"}}, "view_orders_payment"},
	"fulfillment":  {Filter{FulfillmentStatuses: []string{"fulfilled"}}, "view_orders_fulfillment"},
}

func day(n int) time.Time    { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
func amount(n int64) *int64  { return &n }
func number(text string) int { n, _ := strconv.Atoi(strings.TrimPrefix(text, "N")); return n }

// Every way into the list walks along its index, and looks at no more rows than the budget: also on a table that was never analysed.
func TestPlans(t *testing.T) {
	t.Parallel()
	db := plantest.Database(t, Name, "view_orders", insert)
	check := func(state string) {
		for name, way := range ways {
			args, _, err := way.arguments("large")
			if err != nil {
				t.Fatal(err)
			}
			plan := plantest.Plan(t, db, Name, way.statement(), args...)
			plantest.Check(t, state+" "+name, plan, way.index)
			for _, rows := range regexp.MustCompile(`Index.* Scan.*rows=(\d+)`).FindAllStringSubmatch(plan, -1) {
				if n, _ := strconv.Atoi(rows[1]); n > projections.Budget {
					t.Errorf("%s %s reads %d rows:\n%s", state, name, n, plan)
				}
			}
			if removed := regexp.MustCompile(`Rows Removed by (?:Filter|Index Recheck): (\d+)`).FindAllStringSubmatch(plan, -1); name != "amounts" {
				for _, rows := range removed {
					if n, _ := strconv.Atoi(rows[1]); n > projections.Budget {
						t.Errorf("%s %s removes %d rows:\n%s", state, name, n, plan)
					}
				}
			}
		}
	}
	check("never analysed")
	if _, err := db.Exec(`VACUUM ANALYZE view_orders`); err != nil {
		t.Fatal(err)
	}
	check("analysed")
}

// Pages lead through the whole list, from new to old, and each row comes once.
func TestPages(t *testing.T) {
	t.Parallel()
	db := plantest.Database(t, Name, "view_orders", insert)
	for name, c := range map[string]struct {
		Filter
		fits func(n int) bool
	}{
		"all":           {Filter{}, func(int) bool { return true }},
		"dates":         {Filter{CreatedFrom: day(3), CreatedTo: day(5)}, func(n int) bool { return n >= 2*1440 && n < 4*1440 }},
		"placed":        {Filter{PlacedFrom: day(3), PlacedTo: day(5)}, func(n int) bool { return n >= 2*1440 && n < 4*1440 }},
		"amounts":       {Filter{MinTotal: amount(101), MaxTotal: amount(210)}, func(n int) bool { return n >= 101 && n <= 210 }},
		"number":        {Filter{Number: "N4711"}, func(n int) bool { return n == 4711 }},
		"email":         {Filter{Email: "CUSTOMER471@example.com"}, func(n int) bool { return n/10 == 471 }},
		"customer":      {Filter{CustomerID: "cus_471"}, func(n int) bool { return n/10 == 471 }},
		"status":        {Filter{Statuses: []string{"cancelled", "cancelled"}}, func(n int) bool { return n%500 == 1 }},
		"both statuses": {Filter{Statuses: []string{"placed", "cancelled"}}, func(int) bool { return true }},
		"payment":       {Filter{PaymentStatuses: []string{"voided"}}, func(n int) bool { return n%500 == 2 }},
		"fulfillment":   {Filter{FulfillmentStatuses: []string{"fulfilled"}}, func(n int) bool { return n%500 == 3 }},
		"several":       {Filter{Statuses: []string{"cancelled"}, MinTotal: amount(10_000)}, func(n int) bool { return n%500 == 1 && n >= 10_000 }},
		"nothing":       {Filter{Currency: "EUR"}, func(int) bool { return false }},
		"no customer":   {Filter{CustomerID: "cus_471", Number: "N1"}, func(int) bool { return false }},
	} {
		for _, limit := range []int{7, 500} {
			if limit == 7 && (name == "all" || name == "both statuses" || name == "dates" || name == "placed") {
				continue // takes long
			}
			var got, want []int
			f := c.Filter
			f.Limit = limit
			for more := true; more; more = f.Cursor != "" {
				page, err := List(t.Context(), db, "large", f)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if len(page.Rows) > limit {
					t.Fatalf("%s: a page of %d", name, len(page.Rows))
				}
				for _, o := range page.Rows {
					got = append(got, number(o.Number))
				}
				f.Cursor = page.Next
			}
			for n := rowsPerGeneration; n > 0; n-- {
				if n%100 != 0 && c.fits(n) {
					want = append(want, n)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %d a page: got %d orders, want %d: %.200s", name, limit, len(got), len(want), fmt.Sprint(got))
			}
		}
	}
}

func TestInvalidQueries(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	for name, f := range map[string]Filter{
		"limit": {Limit: -1}, "status": {Statuses: []string{"plcaed"}}, "payment": {PaymentStatuses: []string{"placed"}},
		"cursor": {Cursor: "zzz"}, "another list's cursor": {Cursor: projections.Position{At: day(1), IDs: []string{"a", "b"}}.Cursor()},
		"a cursor with NUL": {Cursor: projections.Position{At: day(1), IDs: []string{"\x00"}}.Cursor()},
		"a number with NUL": {Number: "\x00"}, "an email that is no text": {Email: "\xff@example.com"},
	} {
		if _, err := List(t.Context(), db, "default", f); !errors.As(err, new(*projections.InvalidQueryError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := List(t.Context(), db, "default", Filter{Number: "\x00", Statuses: []string{"plcaed"}, FulfillmentStatuses: []string{"placed"}})
	if invalid := new(projections.InvalidQueryError); !errors.As(err, &invalid) || len(invalid.Fields) != 3 {
		t.Errorf("not everything that is wrong is said at once: %v", err)
	}
	notBuilt := func(building bool) {
		t.Helper()
		_, err := List(t.Context(), db, "default", Filter{})
		if missing := new(projections.NotBuiltError); !errors.As(err, &missing) || missing.Building != building {
			t.Errorf("a view that was never built: %v", err)
		}
	}
	notBuilt(false)
	const begin = `INSERT INTO projection_generations (projection, generation, state, transaction_id, position) VALUES ('orders', 1, 'building', 0, 0)`
	if _, err := db.Exec(begin); err != nil {
		t.Fatal(err)
	}
	notBuilt(true)
}
