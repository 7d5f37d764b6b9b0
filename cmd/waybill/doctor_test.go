package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/projections"
)

// A transaction left open in another database of the server holds the log's readers; the doctor names it.
func TestDoctorNamesTheHolder(t *testing.T) {
	t.Parallel()
	db, elsewhere := pgtest.New(t), pgtest.Empty(t)
	if _, err := db.Exec(`INSERT INTO checkpoints (consumer) VALUES ('deliveries')`); err != nil {
		t.Fatal(err)
	}
	tx, err := elsewhere.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var pid int
	if err := tx.QueryRow(`SELECT pg_backend_pid() FROM pg_current_xact_id()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	engine, err := waybill.New(db.DB, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Execute(t.Context(), order.Create{OrderID: "ord_1", Currency: "USD"}); err != nil {
		t.Fatal(err)
	}

	r := on(db.DSN).run(t, "doctor", "-o", "json", "--limit", "1h")
	var d outbox.Diagnosis
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || r.status != exitOK {
		t.Fatalf("status %d, %v: %s%s", r.status, err, r.stdout, r.stderr)
	}
	named := false
	for _, h := range d.Holders {
		if h.PID == pid {
			named = true
			if h.Database != elsewhere.Name || h.State != "idle in transaction" || !strings.Contains(h.Query, "pg_backend_pid") {
				t.Errorf("the holder is described as %+v", h)
			}
		}
	}
	if !named {
		t.Errorf("the doctor does not name pid %d: %+v", pid, d.Holders)
	}
	if len(d.Consumers) != 1 || d.Consumers[0].Events != 1 || d.Consumers[0].Held != 1 || d.Consumers[0].LagSeconds <= 0 {
		t.Errorf("consumers are %+v", d.Consumers)
	}

	if r := on(db.DSN).run(t, "doctor", "--limit", "1ns"); r.status != exitFailed || !strings.Contains(r.stdout, elsewhere.Name) ||
		!strings.Contains(r.stdout, "1 event") || !strings.Contains(r.stderr, "behind, or held back, for more than 1ns") {
		t.Errorf("status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	r = on(db.DSN).run(t, "doctor", "-o", "json", "--limit", "1h")
	if strings.Contains(r.stdout, elsewhere.Name) {
		t.Errorf("the holder is gone and still named: %s", r.stdout)
	}
}

// The doctor tells of views: of one that was never built, of one that nobody keeps up to date, and of one that cannot follow a stream.
func TestDoctorLooksAtViews(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	engine, err := waybill.New(db.DB, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Rebuild(t.Context(), "orders", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Execute(t.Context(), order.Create{OrderID: "ord_1", Currency: "USD"}); err != nil {
		t.Fatal(err)
	}
	c := on(db.DSN)
	var d struct{ Projections []projections.State }
	r := c.run(t, "doctor", "-o", "json", "--limit", "1h")
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || r.status != exitOK {
		t.Fatalf("status %d, %v: %s%s", r.status, err, r.stdout, r.stderr)
	}
	if len(d.Projections) != 4 || d.Projections[0].Behind != 1 || d.Projections[0].LagSeconds <= 0 || d.Projections[1].Generation != 0 {
		t.Errorf("%+v", d.Projections)
	}
	if r := c.run(t, "doctor", "--limit", "1us"); r.status != exitFailed || !strings.Contains(r.stderr, "projection orders is behind for more than 1µs") ||
		strings.Contains(r.stderr, "shipments") || !strings.Contains(r.stdout, "never built") {
		t.Errorf("status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
	if _, err := db.Exec(`INSERT INTO projection_parked (projection, generation, workspace, id, version, error) VALUES ('orders', 1, 'default', 'ord_1', 1, 'x')`); err != nil {
		t.Fatal(err)
	}
	if r := c.run(t, "doctor", "--limit", "-5s"); r.status != exitUsage || !strings.Contains(r.stderr, "--limit: -5s") {
		t.Errorf("a negative limit: status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
	if r := c.run(t, "doctor", "--limit", "1h"); r.status != exitFailed || !strings.Contains(r.stderr, "cannot follow 1 stream: `waybill projection parked orders`") {
		t.Errorf("status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
}
