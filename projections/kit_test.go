package projections_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

// roleVariable makes the test binary a process that follows the log, or rebuilds a view.
const roleVariable = "WAYBILL_PROJECTIONS_ROLE"

type role struct{ Kind, DSN string }

func TestMain(m *testing.M) {
	if text := os.Getenv(roleVariable); text != "" {
		if err := play(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

// play follows the log until the standard input ends, or rebuilds the view "orders" and says how far it is.
func play(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	db, err := sql.Open("postgres", r.DSN)
	if err != nil {
		return err
	}
	engine, err := waybill.New(db, waybill.Config{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	if r.Kind == "follow" {
		return engine.Projections().Run(ctx)
	}
	done, err := engine.Projections().Rebuild(ctx, "orders", projections.RebuildOptions{}, func(p projections.Progress) { fmt.Println(p.Phase, p.Events) })
	fmt.Println("resumed", done.Resumed)
	return err
}

// child is a process in a role.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

func start(t testing.TB, r role) *child {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+string(text))
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	return c
}

// kill is kill -9.
func (c *child) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait()
}

func (c *child) stop() {
	c.t.Helper()
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Error(err)
	}
}

func newEngine(t testing.TB, db *sql.DB, views ...*projections.Projection) *waybill.Engine {
	t.Helper()
	engine, err := waybill.New(db, waybill.Config{Projections: views})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func run(t testing.TB, engine *waybill.Engine, commands ...domain.Command) {
	t.Helper()
	for _, c := range commands {
		if _, err := engine.Execute(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func execute(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query[T any](t testing.TB, db *sql.DB, statement string, args ...any) (value T) {
	t.Helper()
	if err := db.QueryRow(statement, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

func draft(id string) order.Create {
	return order.Create{OrderID: id, Currency: "USD", Customer: &order.Customer{ID: "cus_1"}, // nothing personal: some tests copy events from stream to stream
		LineItems: []order.LineItemInput{{ID: "li_1", Name: "Product", SKU: "product-1", Quantity: 2, UnitPrice: 500}}}
}

// life is an order from draft to placed.
func life(id string) []domain.Command {
	return []domain.Command{draft(id), order.Submit{OrderID: id}, order.Authorize{OrderID: id, PaymentID: "pay_1", Amount: 1000, Currency: "USD"},
		order.Place{OrderID: id}, order.Capture{OrderID: id, PaymentID: "pay_1", Amount: 1000}, order.Approve{OrderID: id}}
}

// fill copies an order's life until the log has so many more orders.
func fill(t testing.TB, engine *waybill.Engine, db *sql.DB, orders int) {
	t.Helper()
	run(t, engine, life("ord_0")...)
	execute(t, db, `
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT (e.transaction_id >> 44 << 44) | 100, e.workspace, 'order/old_' || n, e.version, gen_random_uuid(), e.type,
			e.schema_version, replace(e.data::text, 'ord_0', 'old_' || n)::json, e.metadata, e.recorded_at, e.hash
		FROM events e CROSS JOIN generate_series(1, $1::integer) n WHERE e.stream = 'order/ord_0' ORDER BY n / 100, e.version, n`, orders)
}

// follow runs an engine's projections until the test ends.
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

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("within a minute it did not come about that %s", what)
		}
	}
}

// settled waits until an engine's views have seen everything.
func settled(t testing.TB, engine *waybill.Engine) {
	t.Helper()
	eventually(t, "the views have seen everything", func() bool {
		list, err := engine.Projections().List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Generation == 0 || s.Behind > 0 {
				return false
			}
		}
		return true
	})
}

// verified fails the test unless all rows of all views are the fold of the log.
func verified(t testing.TB, engine *waybill.Engine, names ...string) {
	t.Helper()
	for _, name := range names {
		v, err := engine.Projections().Verify(context.Background(), name, 0, func(d projections.Difference) error {
			return fmt.Errorf("%s: the view has %s, the log says %s", d.ID, d.Have, d.Want)
		})
		if err != nil || v.Streams == 0 || v.Different+v.Parked+v.Behind+v.Orphans != 0 {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

var allViews = []string{"orders", "shipments", "daily", "lifecycle"}

func as[E error](t testing.TB, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, which is no %T", err, e)
	}
	return e
}
