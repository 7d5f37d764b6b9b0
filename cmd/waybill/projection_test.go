package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

// A view's life, as the command line shows it.
func TestGoldenProjections(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	for settled := false; !settled; { // other tests on the same server may hold the log's horizon for a moment
		if err := db.QueryRowContext(t.Context(), `SELECT log_horizon() > max(transaction_id) FROM events`).Scan(&settled); err != nil {
			t.Fatal(err)
		}
	}
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
