package lifecycle

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

// insert makes 100 orders on each of 200 days. They took 1 to 100 ms to be approved, none was paid, half of them shipped.
const insert = `INSERT INTO view_lifecycle SELECT $1::integer, 'large', 'ord_' || d || '_' || n, '2026-01-01'::date + d, n, NULL, CASE WHEN n <= 50 THEN 1000 * n END, NULL
	FROM generate_series(1, 100) n, generate_series(0, 199) d`

func TestDays(t *testing.T) {
	t.Parallel()
	db := plantest.Database(t, Name, "view_lifecycle", insert)
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	plantest.Check(t, "never analysed", plantest.Plan(t, db, Name, percentiles, "large", "2026-01-05", "2026-01-06"), "view_lifecycle_day")
	days, err := Days(t.Context(), db, "large", day(5), day(6))
	var want []Day
	for _, d := range []string{"2026-01-05", "2026-01-06"} {
		want = append(want, Day{Day: d, Placed: 100, Approved: Percentiles{100, 50, 90, 99}, Shipped: Percentiles{50, 25_000, 45_000, 50_000}})
	}
	if err != nil || !reflect.DeepEqual(days, want) {
		t.Errorf("got %+v, %v", days, err)
	}
	if _, err := Days(t.Context(), db, "large", day(1), day(1+MaxDays)); !errors.As(err, new(*projections.InvalidQueryError)) {
		t.Errorf("too many days: %v", err)
	}
	if _, err := db.Exec(`VACUUM ANALYZE view_lifecycle`); err != nil {
		t.Fatal(err)
	}
	plantest.Check(t, "analysed", plantest.Plan(t, db, Name, percentiles, "large", "2026-01-05", "2026-01-06"), "Index Only Scan using view_lifecycle_day")
}

// How long one order took.
func TestRows(t *testing.T) {
	t.Parallel()
	var s state
	at := time.Date(2026, 1, 1, 23, 59, 59, 0, time.UTC)
	for _, e := range []domain.Event{order.Created{}, order.Paid{}, order.Placed{}, order.Approved{}, order.Shipped{}, order.Paid{}} {
		if got := rows(s); s.placed.IsZero() && len(got) != 0 {
			t.Errorf("before it was placed it shows %+v", got)
		}
		s = evolve(s, projections.Event{Event: e, RecordedAt: at})
		at = at.Add(1500 * time.Millisecond)
	}
	ms := func(n int64) *int64 { return &n }
	if got, want := rows(s), []row{{"2026-01-02", ms(1500), ms(0), ms(3000), nil}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
