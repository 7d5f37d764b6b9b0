package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

// A view's life, as the command line shows it.
func TestGoldenProjections(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	settle(t, db)
	c := on(db.DSN)
	golden := func(name, line string, status int) {
		t.Helper()
		r := c.run(t, strings.Fields(line)...)
		if r.status != status {
			t.Errorf("%s: exit status %d, want %d", line, r.status, status)
		}
		r.golden(t, name, strings.Fields(line)...)
	}
	spoil := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	golden("projection/list-none", "projection list", exitOK)
	golden("projection/verify-none", "projection verify orders", exitFailed)
	golden("projection/rollback-none", "projection rollback orders", exitFailed)
	golden("projection/rebuild", "projection rebuild orders", exitOK)
	golden("projection/verify", "projection verify orders", exitOK)
	golden("projection/verify-sample-json", "projection verify orders --sample 2 -o json", exitOK)
	spoil(`UPDATE view_orders SET status = 'spoiled' WHERE id = 'ACS-176461162'`)
	golden("projection/verify-spoiled", "projection verify orders", exitFailed)
	golden("projection/rebuild-no-swap", "projection rebuild orders --no-swap", exitOK)
	golden("projection/list-building", "projection list", exitOK)
	golden("projection/rebuild-diff", "projection rebuild orders --diff", exitOK)
	golden("projection/rebuild-json", "projection rebuild shipments -o json", exitOK)
	golden("projection/rollback", "projection rollback orders", exitOK)
	golden("projection/rollback-again-json", "projection rollback orders -o json", exitOK)
	golden("projection/list", "projection list", exitOK)
	golden("projection/list-json", "projection list -o json", exitOK)
	golden("projection/parked-none", "projection parked orders", exitOK)
	spoil(`INSERT INTO projection_parked (projection, generation, workspace, id, version, error, parked_at)
		SELECT 'orders', generation, 'default', 'ACS-176461163', 7, 'event order.exploded is unknown', '2026-07-01 12:00:00Z'
		FROM projection_generations WHERE projection = 'orders' AND state = 'live'`)
	golden("projection/parked", "projection parked orders", exitOK)
	golden("projection/retry", "projection retry orders", exitOK)
	golden("projection/retry-json", "projection retry orders -o json", exitOK)
	golden("projection/unknown", "projection rebuild ordrs", exitUsage)
	golden("projection/sample-zero", "projection verify orders --sample 0", exitUsage)
}

// Lists of orders and shipments, before their views are there, when they are, and when they are behind.
func TestGoldenLists(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	settle(t, db)
	c := on(db.DSN)
	golden := func(name, line string) {
		t.Helper()
		c.run(t, strings.Fields(line)...).golden(t, name, strings.Fields(line)...)
	}
	golden("list/not-built", "order list")
	golden("list/not-built-json", "shipment list -o json")
	for _, view := range []string{"orders", "shipments"} {
		if r := c.run(t, "projection", "rebuild", view); r.status != exitOK {
			t.Fatal(r.stderr)
		}
	}
	golden("list/orders", "order list")
	golden("list/orders-json", "order list --status cancelled -o json")
	golden("list/orders-filtered", "order list --status approved,cancelled --payment paid,free --fulfillment fulfilled,unfulfilled --created-since 2026-07-01 --created-until 2026-07-01 --currency usd --min-total 1")
	golden("list/orders-free", "order list --max-total 0")
	golden("list/orders-none", "order list --number none")
	golden("list/orders-elsewhere", "order list --workspace other")
	golden("list/orders-cursor", "order list --cursor zzz")
	golden("list/shipments", "shipment list")
	golden("list/shipments-json", "shipment list --order ACS-176461162 -o json")
	golden("list/shipments-filtered", "shipment list --status shipped,delivered --carrier UPS")
	golden("list/shipments-none", "shipment list --tracking-number none")

	var seen []string
	args := []string{"order", "list", "--limit", "2"}
	for cursor := regexp.MustCompile(`--cursor (\S+)`); ; {
		r := c.run(t, args...)
		seen = append(seen, regexp.MustCompile(`ACS-[0-9]+`).FindAllString(r.stdout, -1)...)
		next := cursor.FindStringSubmatch(r.stdout)
		if next == nil {
			break
		}
		args = append(args[:4:4], "--cursor", next[1])
	}
	if len(seen) != 5 || !slices.IsSortedFunc(seen, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("pages of two show %q", seen)
	}

	engine, err := waybill.New(db.DB, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Execute(t.Context(), order.Create{OrderID: "ord_late", Currency: "USD"}); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{{"order", "list"}, {"shipment", "list"}} {
		if r := c.run(t, line...); !strings.Contains(r.stdout, "The view is behind by ") || strings.Contains(r.stdout, "ord_late") {
			t.Errorf("%s: %s", line, r.stdout)
		}
	}
}

// The bar on a terminal, and the lines elsewhere.
func TestProgress(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"terminal": "\r\x1b[Korders ░░░░░░░░░░░░░░░░░░░░░░░░   0 %  0 of 1000000 events" +
			"\r\x1b[Korders ████████████░░░░░░░░░░░░  50 %  500000 of 1000000 events, 50000/s, 10s left" +
			"\r\x1b[Korders catching up …\r\x1b[K",
		"file": "folding: 0 of 1000000 events\nfolding: 500000 of 1000000 events, 50000/s, 10s left\ncatching up\n",
	} {
		var out bytes.Buffer
		clock := now
		p := &program{environment: environment{stdout: &out, now: func() time.Time { return clock }}, terminal: name == "terminal", output: choice{value: outputText}}
		bar := p.progressBar()
		show := func(after time.Duration, phase string, events int64) {
			clock = now.Add(after)
			bar.show(projections.Progress{Projection: "orders", Phase: phase, Events: events, Total: 1_000_000, Now: events})
		}
		show(0, projections.PhaseFold, 0)
		show(time.Millisecond, projections.PhaseFold, 10_000) // too soon after the one before
		show(10*time.Second, projections.PhaseFold, 500_000)
		show(11*time.Second, projections.PhaseCatchUp, 1_000_000)
		bar.clear()
		bar.clear()
		if out.String() != want {
			t.Errorf("%s:\n%q\nwant\n%q", name, out.String(), want)
		}
	}
}
