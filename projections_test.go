package waybill_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/daily"
	"github.com/waybill-dev/waybill/projections/orders"
	"github.com/waybill-dev/waybill/projections/shipments"
)

// inline are the views that come with Waybill, written by every append.
func inline() (list []*projections.Projection) {
	for _, p := range waybill.Projections() {
		list = append(list, projections.Inline(p))
	}
	return list
}

// follow keeps an engine's views up to date until the test ends.
func follow(t testing.TB, engine *waybill.Engine) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Projections().Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// settled waits until every view has seen everything.
func settled(t testing.TB, engine *waybill.Engine) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for {
		behind := false
		list, err := engine.Projections().List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			behind = behind || s.Generation == 0 || s.Behind > 0
		}
		if !behind {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("the views did not settle: %+v", list)
		}
	}
}

// clock is a clock that goes on by an hour at each look, so that days pass.
func clock() func() time.Time {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Hour)
		return now
	}
}

// tables is everything that the live generations of all views show of a workspace.
func tables(t interface{ Fatal(...any) }, db *sql.DB, workspace string) string {
	var all strings.Builder
	for _, name := range []string{"orders", "shipments", "daily", "lifecycle"} {
		var text string
		if err := db.QueryRow(`SELECT coalesce(string_agg((to_jsonb(t) - 'generation')::text, E'\n' ORDER BY (to_jsonb(t) - 'generation')::text), '')
			FROM view_`+name+` t WHERE generation = live_generation($1) AND workspace = $2`, name, workspace).Scan(&text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", name, text)
	}
	return all.String()
}

// For random histories: the views are the fold of the log; those that appends write are those that follow; a rebuild changes nothing.
func TestViewsAreTheFoldOfRandomHistories(t *testing.T) {
	t.Parallel()
	following, followingDB := newEngine(t, waybill.Config{Now: clock()})
	writing, writingDB := newEngine(t, waybill.Config{Now: clock(), Projections: inline()})
	ctx := context.Background()
	for _, p := range waybill.Projections() {
		if err := writing.Rebuild(ctx, p.Name(), nil); err != nil { // of nothing: from now on appends write it
			t.Fatal(err)
		}
	}
	follow(t, following)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		workspace := fmt.Sprintf("run-%d", runs)
		for _, command := range rapid.SliceOfN(commands, 1, 40).Draw(rt, "commands") {
			_, err := following.Workspace(workspace).Execute(ctx, command)
			var other error
			if rapid.Bool().Draw(rt, "in a transaction") {
				other = inTx(writingDB, func(tx *sql.Tx) error {
					_, err := writing.Workspace(workspace).ExecuteTx(ctx, tx, command)
					return err
				})
			} else {
				_, other = writing.Workspace(workspace).Execute(ctx, command)
			}
			if fmt.Sprint(err) != fmt.Sprint(other) {
				rt.Fatalf("%+v: %v and %v", command, err, other)
			}
		}
		settled(t, following)
		got, want := timeless(tables(rt, writingDB, workspace)), timeless(tables(rt, followingDB, workspace))
		if got != want {
			rt.Fatalf("inline:\n%s\nfollowing:\n%s", got, want)
		}
		for _, id := range []string{"ord_1", "ord_2"} {
			sameAsOrder(rt, following.Workspace(workspace), id)
		}
	})
	for _, engine := range []*waybill.Engine{following, writing} {
		for _, p := range waybill.Projections() {
			verified, err := engine.Projections().Verify(ctx, p.Name(), 0, nil)
			if err != nil || verified.Streams == 0 || verified.Different+verified.Parked+verified.Orphans > 0 {
				t.Errorf("%+v, %v", verified, err)
			}
		}
	}
	before := tables(t, followingDB, "run-1")
	for _, p := range waybill.Projections() {
		if err := following.Rebuild(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if after := tables(t, followingDB, "run-1"); after != before {
		t.Errorf("rebuilt:\n%s\nbefore:\n%s", after, before)
	}
}

// What Prometheus is told of views.
func TestProjectionMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	engine, db := newEngine(t, waybill.Config{Metrics: registry})
	if err := engine.Rebuild(t.Context(), "orders", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		must(t)(engine.Execute(t.Context(), draft(fmt.Sprint("ord_", i))))
	}
	if _, err := db.Exec(`INSERT INTO projection_parked (projection, generation, workspace, id, version, error) VALUES ('orders', 1, 'default', 'ord_1', 1, 'x')`); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.HasPrefix(f.GetName(), "waybill_projection_") {
				got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if len(got) != 3 || got["waybill_projection_lag_events orders"] != 3 || got["waybill_projection_lag_seconds orders"] <= 0 || got["waybill_projection_parked_streams orders"] != 1 {
		t.Errorf("%v", got)
	}
}

// timeless leaves times out: the two engines' clocks drift apart where one of them decides twice.
func timeless(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		var row map[string]any
		if json.Unmarshal([]byte(line), &row) != nil {
			kept = append(kept, line)
			continue
		}
		for field := range row {
			if strings.HasSuffix(field, "_at") || field == "day" {
				delete(row, field)
			}
			if _, number := row[field].(float64); number && strings.Contains(" approved paid shipped delivered ", " "+field+" ") {
				row[field] = "some time"
			}
		}
		sorted, _ := json.Marshal(row)
		kept = append(kept, string(sorted))
	}
	return strings.Join(kept, "\n")
}

func inTx(db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// sameAsOrder compares what the views show of an order with the order.
func sameAsOrder(t *rapid.T, w *waybill.Workspace, id string) {
	o, err := w.Order(context.Background(), id)
	if errors.As(err, new(*domain.NotFoundError)) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.Orders(context.Background(), orders.Filter{Statuses: []string{o.Status}, CustomerID: o.Customer.ID, Email: strings.ToUpper(o.Email)})
	if err != nil {
		t.Fatal(err)
	}
	var got orders.Order
	for _, row := range page.Rows {
		if row.ID == id {
			got = row
		}
	}
	_, version, _ := w.State(context.Background(), domain.StreamID{Aggregate: order.Name, ID: id})
	want := orders.Order{
		ID: id, Version: version, Number: o.Number, Status: o.Status, PaymentStatus: o.PaymentStatus, FulfillmentStatus: o.FulfillmentStatus,
		CustomerID: o.Customer.ID, Email: o.Email, Currency: o.Currency, ItemCount: o.ItemCount, Total: o.Total, CapturedTotal: o.CapturedTotal,
		RefundedTotal: o.RefundedTotal, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, PlacedAt: o.PlacedAt, CancelledAt: o.CancelledAt,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the view shows %+v, the order is %+v", got, want)
	}
	list, err := w.Shipments(context.Background(), shipments.Filter{OrderID: id})
	if err != nil || len(list.Rows) != len(o.Shipments) {
		t.Fatalf("%d shipments in the view, %d in the order, %v", len(list.Rows), len(o.Shipments), err)
	}
	for _, s := range list.Rows {
		real, ok := o.Shipment(s.ID)
		if !ok || s.Status != real.Status || s.Parcels != len(real.Parcels) || !s.ShippedAt.Equal(real.ShippedAt) {
			t.Fatalf("the view shows %+v, the shipment is %+v", s, real)
		}
	}
	days, err := w.Daily(context.Background(), daily.Filter{From: o.CreatedAt, To: o.CreatedAt.AddDate(0, 0, 300)})
	if err != nil {
		t.Fatal(err)
	}
	var paid, refunded int64
	for _, d := range days {
		paid += d.Paid.Amount
		refunded += d.Refunded.Amount
	}
	other := order.Order{}
	for _, another := range []string{"ord_1", "ord_2"} {
		if another != id {
			other, _ = w.Order(context.Background(), another)
		}
	}
	if (other.ID == "" || !other.CreatedAt.Before(o.CreatedAt)) && (paid != o.CapturedTotal+other.CapturedTotal || refunded != o.RefundedTotal+other.RefundedTotal) {
		t.Fatalf("days sum up to %d paid and %d refunded, orders to %d and %d", paid, refunded, o.CapturedTotal+other.CapturedTotal, o.RefundedTotal+other.RefundedTotal)
	}
}
