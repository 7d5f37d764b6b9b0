package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore/audit"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

const testSealKey = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="

// sealing is a cli with a key, and with a log that is settled and may be sealed.
func sealing(t *testing.T) (cli, *pgtest.Database) {
	db := pgtest.New(t)
	live(t, db)
	settle(t, db)
	c := on(db.DSN)
	c.env["WAYBILL_SEAL_KEY"] = testSealKey
	return c, db
}

func settle(t *testing.T, db *pgtest.Database) {
	t.Helper()
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		var settled bool
		if err := db.QueryRowContext(t.Context(), `SELECT max(transaction_id) < log_horizon() FROM events`).Scan(&settled); err != nil {
			t.Fatal(err)
		}
		if settled {
			return
		}
	}
}

// Sealing, verifying, exporting, and what they say once somebody has been at the tables.
func TestGoldenAudit(t *testing.T) {
	t.Parallel()
	c, db := sealing(t)
	dir := t.TempDir()
	step := func(name, line string, files ...string) {
		t.Helper()
		args := strings.Fields(line)
		for _, f := range files {
			args = append(args, filepath.Join(dir, f))
		}
		r := c.run(t, args...)
		r.stdout, r.stderr = strings.ReplaceAll(r.stdout, dir, "DIR"), strings.ReplaceAll(r.stderr, dir, "DIR")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], dir, "DIR")
		}
		r.golden(t, "audit/"+name, args...)
	}
	step("seal", "audit seal --witness", "witness")
	step("seal-again", "audit seal")
	step("seal-json", "audit seal -o json")
	step("verify", "audit verify --witness", "witness")
	step("verify-json", "audit verify -o json")
	step("export", "audit export --out", "bundle")
	step("export-json", "audit export -o json --workspace other --out", "other")
	step("bundle", "audit verify --bundle", "bundle")
	step("bundle-json", "audit verify -o json --bundle", "other")
	step("bundle-none", "audit verify --bundle", "none")
	step("bundle-bad", "audit verify --bundle", "witness")

	key := c.env["WAYBILL_SEAL_KEY"]
	delete(c.env, "WAYBILL_SEAL_KEY")
	step("verify-untrusted", "audit verify")
	step("seal-without-key", "audit seal")
	step("bundle-unsigned", "audit export --out", "unsigned")
	step("bundle-unsigned-verify", "audit verify --bundle", "unsigned")
	c.env["WAYBILL_SEAL_KEY"] = "c2hvcnQ="
	step("seal-bad-key", "audit seal")
	c.env["WAYBILL_SEAL_KEY"] = testKey
	step("seal-other-key", "audit seal")
	step("verify-other-key", "audit verify")
	c.env["WAYBILL_SEAL_KEY"] = key

	for _, statement := range []string{`ALTER TABLE events DISABLE TRIGGER ALL`, `DELETE FROM events WHERE stream = 'order/ACS-176461166'`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	step("removed", "audit verify")
	for _, statement := range []string{`ALTER TABLE seals DISABLE TRIGGER ALL`, `DELETE FROM seals`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	step("dropped", "audit verify --witness", "witness")
	step("dropped-unnoticed", "audit verify")
}

func TestGoldenAuditUsage(t *testing.T) {
	t.Parallel()
	c := cli{dir: "/nonexistent", env: map[string]string{}}
	for name, line := range map[string]string{
		"help":              "audit",
		"help-verify":       "audit verify --help",
		"two-ids":           "audit verify ord_1 ord_2",
		"id-and-bundle":     "audit verify ord_1 --bundle x",
		"workers":           "audit verify --workers 0",
		"public-key":        "audit verify --public-key hunter2",
		"witness":           "audit verify --witness /nonexistent/x",
		"every":             "audit seal --every 1ms",
		"key-file":          "audit seal --key /nonexistent/x",
		"from":              "audit export --from yesterday",
		"to-before-from":    "audit export --from 2026-07-02 --to 2026-07-01",
		"conform-unknown":   "machine conform shipmnt",
		"conform-help":      "machine conform --help",
		"diff-nothing":      "order diff ord_1",
		"diff-moment":       "order diff ord_1 yesterday",
		"diff-to-beginning": "order diff ord_1 3 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(line)
			r := c.run(t, args...)
			if !strings.Contains(name, "help") && r.status != exitUsage {
				t.Errorf("exit status %d, want %d", r.status, exitUsage)
			}
			r.golden(t, "audit-usage/"+name, args...)
		})
	}
}

// A key goes into a file that nobody else can read, never over another one, and fits the public key that is printed.
func TestAuditKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.key")
	c := cli{env: map[string]string{}}
	r := c.run(t, "audit", "key", "--out", file)
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 || r.status != exitOK {
		t.Fatal(r, info, err)
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.ParseKey(string(secret))
	if err != nil || strings.Contains(r.stdout, strings.TrimSpace(string(secret))) {
		t.Errorf("%v, printed as %s", err, r.stdout)
	}
	if again := c.run(t, "audit", "key", "--out", file); again.status != exitUsage {
		t.Errorf("over another key: %+v", again)
	}
	c.env["WAYBILL_SEAL_KEY"] = string(secret)
	p := &program{environment: c.environment()}
	own, err := p.publicKeys(nil)
	if err != nil || !strings.Contains(r.stdout, audit.FormatPublicKey(own[0])) || !own[0].Equal(key.Public()) {
		t.Errorf("%v, %v", own, err)
	}
	if printed := c.run(t, "audit", "key", "-o", "json"); printed.status != exitOK || !strings.Contains(printed.stdout, `"publicKey"`) || !strings.Contains(printed.stdout, `"key"`) {
		t.Errorf("%+v", printed)
	}
}

// It seals until it is told to stop, which is no failure.
func TestSealEvery(t *testing.T) {
	t.Parallel()
	c, _ := sealing(t)
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 10)
	env := c.environment()
	env.stdout = writerFunc(func(b []byte) (int, error) { lines <- string(b); return len(b), nil })
	status := make(chan int, 1)
	go func() { status <- run(ctx, []string{"audit", "seal", "--every", "1s"}, env) }()
	for _, want := range []string{"sealed 94 events in 1 seal", "nothing is new"} {
		if line := <-lines; !strings.Contains(line, want) {
			t.Errorf("%q, want %q", line, want)
		}
	}
	cancel()
	if got := <-status; got != exitOK {
		t.Errorf("exit status %d", got)
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	var m meter
	at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	for i, test := range []struct {
		step        string
		done, total int64
		seconds     int
		bar         bool
		want        string
	}{
		{"", 0, 0, 0, true, ""},
		{"chains", 0, 1000, 0, true, "chains   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   0%  0 events"},
		{"chains", 500, 1000, 10, true, "chains   ███████████████░░░░░░░░░░░░░░░  50%  500 events  50/s  11s left"},
		{"chains", 1100, 1000, 20, true, "chains   ██████████████████████████████ 100%  1100 events  55/s"},
		{"seals", 10, 0, 21, false, "seals     10 events"},
		{"seals", 30, 0, 31, false, "seals     30 events  2/s"},
		{"seals", 40, 80, 41, false, "seals     50%  40 events  2/s  28s left"},
	} {
		if got := m.line(test.step, test.done, test.total, at.Add(time.Duration(test.seconds)*time.Second), test.bar); got != test.want {
			t.Errorf("%d: %q, want %q", i, got, test.want)
		}
	}
	var b bytes.Buffer
	p := &program{environment: environment{stderr: &b, getenv: func(string) string { return "" }}}
	p.watch(&audit.Progress{})()
	if b.Len() > 0 {
		t.Errorf("work that is short is shown as %q", b.String())
	}
}

// Orders between two moments, and what the machines say of history.
func TestGoldenOrderDiff(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	for name, line := range map[string]string{
		"order-diff":          "order diff ACS-176461162 5 9",
		"order-diff-json":     "order diff ACS-176461162 5 9 -o json",
		"order-diff-times":    "order diff ACS-176461163 2026-07-01T10:00:20Z 2026-07-01T10:00:24Z",
		"order-diff-birth":    "order diff ACS-176461166 0 1",
		"order-diff-day":      "order diff ACS-176461166 2026-06-30",
		"order-diff-nothing":  "order diff ACS-176461162 4 4",
		"order-diff-beyond":   "order diff ACS-176461162 99",
		"order-diff-none":     "order diff ord_1 1 2",
		"machine-conform":     "machine conform",
		"machine-conform-one": "machine conform shipment -o json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(line)
			on(db.DSN).run(t, args...).golden(t, name, args...)
		})
	}
}

// What a history tells of an update, and of where a command came from.
func TestGoldenHistoryOfAnUpdate(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	engine, err := waybill.New(db.DB, waybill.Config{Now: ticking()})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("long ", 30)
	address := &order.Address{Address1: "10 Lovely Street", City: "Herndon", Country: "US"}
	for _, command := range []domain.Command{
		order.Create{OrderID: "ord_1", Currency: "USD", ShippingAddress: &order.Address{City: "Reston"}},
		order.Update{OrderID: "ord_1", ShippingAddress: address, BillingAddress: address, Note: &text, Channel: &text, StoreID: &text,
			LineItems: []order.LineItemInput{{ID: "li_1", Name: "Book\x1b[31m", SKU: "b", Quantity: 1, UnitPrice: 1000}}},
	} {
		_, err := engine.Execute(t.Context(), command, waybill.Actor("shop"), waybill.Correlation("checkout-77"), waybill.Causation("msg_9"), waybill.IdempotencyKey("k-"+command.CommandName()))
		if err != nil {
			t.Fatal(err)
		}
	}
	on(db.DSN).run(t, "order", "history", "ord_1").golden(t, "order-history-update", "order", "history", "ord_1")
}

// Machines that allow less than what has happened.
func TestGoldenConformDeviations(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	stricter := *order.Aggregate()
	stricter.Machines = nil
	for _, m := range order.Aggregate().Machines {
		altered := &domain.Machine{Name: m.Name, Initial: m.Initial, Final: m.Final}
		for _, move := range m.Moves {
			if m.Name != "shipment" || move.Name != "start_packing" {
				altered.Moves = append(altered.Moves, fsm.EventDesc{Name: move.Name, Src: move.Src, Dst: move.Dst})
			}
		}
		if m.Name == "shipment" {
			altered.Moves = append(altered.Moves, fsm.EventDesc{Name: "pack_at_once", Src: []string{"upcoming"}, Dst: "packing"})
		}
		stricter.Machines = append(stricter.Machines, altered)
	}
	engine, err := waybill.New(db.DB, waybill.Config{Aggregates: []*domain.Aggregate{&stricter}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := engine.Conform(t.Context(), audit.ConformOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out, failure bytes.Buffer
	p := &program{environment: environment{stdout: &out, stderr: &failure, getenv: func(string) string { return "" }}, workspace: "default", output: choice{value: outputText}}
	status := p.report(p.printConformity(found), false)
	result{status, out.String(), failure.String()}.golden(t, "machine-conform-deviations", "machine", "conform")
}
