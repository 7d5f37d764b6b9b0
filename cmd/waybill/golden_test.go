package main

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func asRefusal(err error, refusal **domain.IllegalTransitionError) bool {
	return errors.As(err, refusal)
}

// What needs no database, however the command line is wrong.
func TestGoldenWithoutDatabase(t *testing.T) {
	t.Parallel()
	c := cli{dir: "/nonexistent", env: map[string]string{}}
	for name, line := range map[string]string{
		"help":                        "",
		"help-order-show":             "help order show",
		"help-order-list":             "help order list",
		"help-shipment-list":          "help shipment list",
		"help-customer-forget":        "help customer forget",
		"help-webhook-create":         "webhook create --help",
		"help-bench":                  "bench --help",
		"machine":                     "machine",
		"machine-shipment":            "machine shipment",
		"machine-order-json":          "machine order -o json",
		"machine-fulfillment-mermaid": "machine fulfillment -o mermaid",
		"machine-fulfillment-dot":     "machine fulfillment -o dot",
		"event-types":                 "event-types",
		"event-types-json":            "event-types -o json",
		"event-types-chord":           "event-types --profile chord",
		"event-types-up42-json":       "event-types --profile up42 -o json",
		"usage/event-types-profile":   "event-types --profile chrod",

		"usage/unknown-command":          "ordr",
		"usage/unknown-help":             "help ordr",
		"usage/unknown-subcommand":       "order shwo",
		"usage/unknown-nothing-near":     "xyzzy",
		"usage/unknown-flag":             "order show ord_1 --verson 3",
		"usage/unknown-machine":          "machine shipmnt",
		"usage/unknown-output":           "machine -o yaml",
		"usage/unknown-event":            "webhook create --name x --url http://127.0.0.1/ --events order.plced",
		"usage/order-list-status":        "order list --status plcaed",
		"usage/order-list-payment":       "order list --payment xyzzy -o json",
		"usage/order-list-limit":         "order list --limit 501",
		"usage/order-list-time":          "order list --created-since yesterday",
		"usage/order-list-backwards":     "order list --placed-since 2026-07-02 --placed-until 2026-07-01",
		"usage/shipment-list-status":     "shipment list --status placed",
		"usage/shipment-list-delivery":   "shipment list --delivery delivred",
		"usage/missing-word":             "order show",
		"usage/missing-flag":             "webhook create --name x",
		"usage/one-word-too-many":        "order history ord_1 ord_2",
		"usage/word-where-none-is":       "serve now",
		"usage/order-id":                 "order show ../etc",
		"usage/order-id-json":            "order show ../etc -o json",
		"usage/webhook-id":               "webhook delete wh/1",
		"usage/event-id":                 "event show 42",
		"usage/delivery-id":              "delivery show wh_1",
		"usage/delivery-event-id":        "delivery show wh_1/2",
		"usage/workspace":                "order show ord_1 --workspace no/name",
		"usage/time":                     "order show ord_1 --as-of yesterday",
		"usage/version-zero":             "order history ord_1 --version 0",
		"usage/version-word":             "order history ord_1 --version two",
		"usage/version-and-time":         "order show ord_1 --version 2 --as-of 2026-07-01",
		"usage/database-url":             "order show ord_1 --database mysql://root:hunter2@localhost/x",
		"usage/nothing-to-serve":         "serve --no-relay --no-projections --no-http",
		"usage/bench-seconds":            "bench --seconds 0",
		"usage/bench-events":             "bench slow --events -5",
		"usage/bench-scenario":           "bench append-32 delivr-1",
		"usage/bench-scenario-far":       "bench everything",
		"usage/bench-write-some":         "bench --write /nonexistent/page.md slow latency",
		"usage/demo-workspace":           "demo --workspace mine",
		"usage/machine-name-and-another": "machine order payment",
		"usage/token-scope":              "token create --scope admin",
		"usage/token-no-scope":           "token create",
		"usage/customer-stream":          "customer forget --stream ord_1 --yes",
		"usage/empty-secret":             "webhook create --name x --url http://127.0.0.1/ --secret -",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(line)
			r := c.run(t, args...)
			if strings.HasPrefix(name, "usage/") && (r.status != exitUsage || r.stdout != "") {
				t.Errorf("exit status %d, stdout %q: want %d and nothing", r.status, r.stdout, exitUsage)
			}
			r.golden(t, name, args...)
		})
	}
}

// Settings from the environment that cannot be right.
func TestGoldenSettings(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string][2]string{
		"settings/master-key":    {"WAYBILL_MASTER_KEY", "c2hvcnQ="},
		"settings/allow-targets": {"WAYBILL_ALLOW_TARGETS", "127.0.0.0/8, 10.0.0.0/99"},
		"settings/database-url":  {"WAYBILL_DATABASE_URL", "postgres://u:hunter2@[::1/x"},
		"settings/addr":          {"WAYBILL_ADDR", "8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := cli{dir: "/nonexistent", env: map[string]string{setting[0]: setting[1]}}.run(t, "serve", "--no-relay")
			if r.status != exitUsage || strings.Contains(r.stderr, "hunter2") {
				t.Errorf("exit status %d, want %d, and no password", r.status, exitUsage)
			}
			r.golden(t, name, "serve", "--no-relay")
		})
	}
}

// Orders as they are looked at.
func TestGoldenOrders(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	t.Run("look", func(t *testing.T) {
		for name, line := range map[string]string{
			"order-show":            "order show ACS-176461162",
			"order-show-json":       "order show ACS-176461162 -o json",
			"order-show-parcels":    "order show ACS-176461163",
			"order-show-cancelled":  "order show ACS-176461164",
			"order-show-refunded":   "order show ACS-176461165",
			"order-show-free":       "order show ACS-176461166",
			"order-show-version":    "order show ACS-176461163 --version 20",
			"order-show-as-of":      "order show ACS-176461162 --as-of 2026-07-01T10:00:03Z",
			"order-show-as-of-day":  "order show ACS-176461162 --as-of 2026-07-01",
			"order-show-none":       "order show ord_1",
			"order-show-none-json":  "order show ord_1 -o json",
			"order-show-before":     "order show ACS-176461162 --as-of 2026-06-30",
			"order-show-beyond":     "order show ACS-176461162 --version 99",
			"order-history":         "order history ACS-176461162",
			"order-history-parcels": "order history ACS-176461163",
			"order-history-version": "order history ACS-176461162 --version 5",
			"order-history-as-of":   "order history ACS-176461162 --as-of 2026-07-01T10:00:02Z",
			"order-history-json":    "order history ACS-176461166 -o json",
			"order-history-none":    "order history ord_1 -o json",
			"event-show-none":       "event show 01981f5c-7d2e-7b3c-9a4b-e1f2a3b4c5d6",
			"delivery-show-none":    "delivery show wh_1/01981f5c-7d2e-7b3c-9a4b-e1f2a3b4c5d6",
			"audit-verify":          "audit verify",
			"audit-verify-order":    "audit verify ACS-176461162",
			"audit-verify-json":     "audit verify -o json",
			"audit-verify-none":     "audit verify ord_1",
			"migrate-up-nothing":    "migrate up",
			"migrate-status":        "migrate status",
			"migrate-status-json":   "migrate status -o json",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				args := strings.Fields(line)
				on(db.DSN).run(t, args...).golden(t, name, args...)
			})
		}
	})
}

// An event by the id that a receiver has.
func TestGoldenEvent(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live(t, db)
	var id string
	const placed = `SELECT id FROM events WHERE stream = 'order/ACS-176461165' AND type = 'payment.refunded' LIMIT 1`
	if err := db.QueryRow(placed).Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "json"} {
		args := []string{"event", "show", id, "-o", format}
		on(db.DSN).run(t, args...).golden(t, "event-show-"+format, args...)
	}
}

// What is personal about a customer, until it is forgotten.
func TestGoldenCustomers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	engine, err := waybill.New(db.DB, waybill.Config{Now: ticking(), MasterKey: []byte("another key, which is 32 bytes..")})
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(testKey)
	if err != nil {
		t.Fatal(err)
	}
	same, err := waybill.New(db.DB, waybill.Config{Now: ticking(), MasterKey: key})
	if err != nil {
		t.Fatal(err)
	}
	create := func(e *waybill.Engine, id string, who order.Customer) {
		t.Helper()
		who.Email = "customer@example.com"
		if _, err := e.Execute(t.Context(), order.Create{OrderID: id, Currency: "USD", Customer: &who, Email: who.Email}); err != nil {
			t.Fatal(err)
		}
	}
	stamps := regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)
	create(same, "ord_1", order.Customer{ID: "cus_1"})
	create(same, "ord_2", order.Customer{})
	create(engine, "ord_3", order.Customer{ID: "cus_3"})
	step := func(name, line string) {
		args := strings.Fields(line)
		r := c.run(t, args...)
		if strings.HasPrefix(name, "customer-keys") { // the database's own clock
			r.stdout = stamps.ReplaceAllString(times.ReplaceAllString(r.stdout, "<time                 >"), "<time>")
		}
		r.golden(t, name, args...)
	}
	step("customer-keys", "customer keys cus_1")
	step("customer-keys-none", "customer keys cus_2")
	step("customer-order-before", "order show ord_1")
	step("customer-forget-without-yes", "customer forget cus_1")
	step("customer-forget", "customer forget cus_1 --yes")
	step("customer-forget-again", "customer forget cus_1 --yes")
	step("customer-forget-guest-json", "customer forget --stream order/ord_2 --yes -o json")
	step("customer-keys-after-json", "customer keys cus_1 -o json")
	step("customer-order-after", "order show ord_1")
	step("customer-audit-after", "audit verify")
	step("customer-other-master-key", "order show ord_3")
}

// Webhooks from their creation to their end.
func TestGoldenWebhooks(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	step := func(name, line string) {
		args := strings.Fields(line)
		c.run(t, args...).golden(t, name, args...)
	}
	step("webhook-list-none", "webhook list")
	step("webhook-create", "webhook create --name shop --url https://shop.example.com/hooks")
	step("webhook-create-taken", "webhook create --name shop --url https://shop.example.com/hooks")
	step("webhook-create-json", "webhook create --name mail --url http://127.0.0.1:9000/ --events order.shipped,order.placed --unordered -o json")
	c.stdin = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
	step("webhook-create-secret", "webhook create --name own --url https://shop.example.com/own --secret -")
	step("webhook-create-url", "webhook create --name x --url gopher://shop.example.com/")
	step("webhook-create-bad-secret", "webhook create --name x --url https://shop.example.com/ --secret hunter2")
	step("webhook-list", "webhook list")
	step("webhook-list-json", "webhook list -o json")
	step("webhook-list-elsewhere", "webhook list --workspace other")
	step("webhook-delete-none", "webhook delete wh_none")

	var id string
	if err := db.QueryRow(`SELECT id FROM webhooks WHERE name = 'shop'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	step("webhook-delete-elsewhere", "webhook delete --workspace other "+id)
	step("webhook-delete", "webhook delete "+id)
	step("webhook-delete-again", "webhook delete "+id)

	delete(c.env, "WAYBILL_MASTER_KEY")
	step("webhook-create-without-key", "webhook create --name y --url https://shop.example.com/")
	step("demo-without-key", "demo")
}

var warning = regexp.MustCompile(`(?m)^time=.* level=WARN .*\n`)

// Databases that are not as they should be.
func TestGoldenDatabases(t *testing.T) {
	t.Parallel()
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		const nowhere = "postgres://waybill@/waybill?host=/nonexistent&sslmode=disable"
		on(nowhere).run(t, "order", "show", "ord_1").golden(t, "database/away", "order", "show", "ord_1")
		on(nowhere).run(t, "order", "show", "ord_1", "-o", "json").golden(t, "database/away-json", "order", "show", "ord_1", "-o", "json")
		on(nowhere).run(t, "migrate", "status").golden(t, "database/away-migrate", "migrate", "status")
	})
	t.Run("not migrated", func(t *testing.T) {
		t.Parallel()
		db := pgtest.Empty(t)
		on(db.DSN).run(t, "order", "show", "ord_1").golden(t, "database/empty", "order", "show", "ord_1")
		on(db.DSN).run(t, "demo").golden(t, "database/empty-demo", "demo")
		on(db.DSN).run(t, "migrate", "status").golden(t, "database/empty-status", "migrate", "status")
		on(db.DSN).run(t, "migrate", "up").golden(t, "database/empty-up", "migrate", "up")
		on(db.DSN).run(t, "order", "show", "ord_1").golden(t, "database/empty-and-up", "order", "show", "ord_1")
	})
	t.Run("newer", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
			t.Fatal(err)
		}
		on(db.DSN).run(t, "order", "show", "ord_1").golden(t, "database/newer", "order", "show", "ord_1")
		on(db.DSN).run(t, "serve").golden(t, "database/newer-serve", "serve")
		on(db.DSN).run(t, "migrate", "up").golden(t, "database/newer-up", "migrate", "up")
		on(db.DSN).run(t, "migrate", "status").golden(t, "database/newer-status", "migrate", "status")
	})
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		live(t, db)
		if _, err := db.Exec(`ALTER DATABASE ` + db.Name + ` SET default_transaction_read_only = on`); err != nil {
			t.Fatal(err)
		}
		demo := on(db.DSN).run(t, "demo")
		demo.stderr = warning.ReplaceAllString(demo.stderr, "") // the relay complains too, sooner or later
		demo.golden(t, "database/read-only-demo", "demo")
		on(db.DSN).run(t, "order", "history", "ACS-176461166").golden(t, "database/read-only-history", "order", "history", "ACS-176461166")
	})
	t.Run("altered", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		live(t, db)
		for _, statement := range []string{
			`ALTER TABLE events DISABLE TRIGGER ALL`,
			`UPDATE events SET data = '{"paymentId":"pay_1","amount":1,"currency":"USD"}' WHERE stream = 'order/ACS-176461165' AND version = 6`,
			`DELETE FROM events WHERE stream = 'order/ACS-176461166' AND version = 3`,
		} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		for name, line := range map[string]string{
			"database/altered":         "audit verify",
			"database/altered-json":    "audit verify -o json",
			"database/altered-changed": "audit verify ACS-176461165",
			"database/altered-dropped": "audit verify ACS-176461166",
			"database/altered-other":   "audit verify ACS-176461162",
		} {
			args := strings.Fields(line)
			on(db.DSN).run(t, args...).golden(t, name, args...)
		}
	})
}
