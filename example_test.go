package waybill_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func Example() {
	dsn, drop := exampleDatabase()
	defer drop()
	// README: begin
	ctx := context.Background()
	db, err := sql.Open("postgres", dsn)
	check(err)
	check(waybill.Migrate(ctx, db))
	engine, err := waybill.New(db, waybill.Config{})
	check(err)

	john := &order.Customer{Email: "john@example.com"}
	book := order.LineItemInput{ID: "li_1", Name: "Atlas", SKU: "atlas-2", Quantity: 1, UnitPrice: 1063} // cents
	for _, command := range []domain.Command{
		order.Create{OrderID: "ord_1", Currency: "USD", Customer: john, LineItems: []order.LineItemInput{book}},
		order.Submit{OrderID: "ord_1"},
		order.Authorize{OrderID: "ord_1", PaymentID: "pay_1", Amount: 1063, Currency: "USD"},
		order.Place{OrderID: "ord_1"},
	} {
		_, err := engine.Execute(ctx, command, waybill.Actor("checkout"))
		check(err)
	}
	for event, err := range engine.History(ctx, "ord_1") {
		check(err)
		fmt.Println(event.Version, event.Type)
	}
	// README: end

	// Output:
	// 1 order.created
	// 2 order.submitted
	// 3 payment.authorized
	// 4 order.authorized
	// 5 order.placed
}

// A command that is not legal says what would be.
func ExampleWorkspace_Execute_refused() {
	engine, drop := exampleEngine()
	defer drop()
	ctx := context.Background()
	_, err := engine.Execute(ctx, order.Create{OrderID: "ord_1", Currency: "USD"})
	check(err)

	_, err = engine.Execute(ctx, order.Approve{OrderID: "ord_1"})
	fmt.Println(err)
	if illegal, ok := errors.AsType[*domain.IllegalTransitionError](err); ok {
		fmt.Println(illegal.State, illegal.Allowed)
	}
	// Output:
	// order.approve is not allowed: order ord_1 is draft (the order machine allows from draft: destroy, submit)
	// draft [destroy submit]
}

// A repeated command gets its first outcome again.
func ExampleIdempotencyKey() {
	engine, drop := exampleEngine()
	defer drop()
	ctx := context.Background()
	for range 2 {
		result, err := engine.Execute(ctx, order.Create{Currency: "EUR"}, waybill.IdempotencyKey("cart-77"))
		check(err)
		fmt.Println(result.Version, result.Events[0].Type, result.Repeated)
	}
	_, err := engine.Execute(ctx, order.Create{Currency: "USD"}, waybill.IdempotencyKey("cart-77"))
	_, mismatch := errors.AsType[*waybill.IdempotencyMismatchError](err)
	fmt.Println("another command under the same key is refused:", mismatch)
	// Output:
	// 1 order.created false
	// 1 order.created true
	// another command under the same key is refused: true
}

// The order and the caller's own rows change together, or not at all.
func ExampleWorkspace_ExecuteTx() {
	dsn, drop := exampleDatabase()
	defer drop()
	db, err := sql.Open("postgres", dsn)
	check(err)
	defer db.Close()
	engine, err := waybill.New(db, waybill.Config{})
	check(err)
	ctx := context.Background()
	_, err = db.ExecContext(ctx, `CREATE TABLE carts (id text PRIMARY KEY, order_id text)`)
	check(err)

	tx, err := db.BeginTx(ctx, nil)
	check(err)
	defer tx.Rollback()
	result, err := engine.ExecuteTx(ctx, tx, order.Create{OrderID: "ord_1", Currency: "USD"})
	check(err)
	_, err = tx.ExecContext(ctx, `INSERT INTO carts VALUES ('cart-77', $1)`, result.ID)
	check(err)
	check(tx.Commit())

	o, err := engine.Order(ctx, "ord_1")
	check(err)
	fmt.Println(o.Status)
	// Output: draft
}

// Nothing is overwritten, so an order can be seen as it was.
func ExampleWorkspace_Order() {
	engine, drop := exampleEngine()
	defer drop()
	ctx := context.Background()
	for _, command := range []domain.Command{
		order.Create{OrderID: "ord_1", Currency: "USD", Email: "john@example.com", Customer: &order.Customer{ID: "cus_1"},
			LineItems: []order.LineItemInput{{ID: "li_1", Name: "Sample", SKU: "sample", Quantity: 1}}},
		order.Submit{OrderID: "ord_1"},
		order.Place{OrderID: "ord_1"},
	} {
		_, err := engine.Execute(ctx, command)
		check(err)
	}
	for _, moment := range [][]waybill.ReadOption{{waybill.AtVersion(1)}, {waybill.AtVersion(2)}, {waybill.AsOf(time.Now())}, nil} {
		o, err := engine.Order(ctx, "ord_1", moment...)
		check(err)
		fmt.Println(o.Status, o.PaymentStatus)
	}
	// Output:
	// draft free
	// pending free
	// placed free
	// placed free
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func exampleEngine() (*waybill.Engine, func()) {
	dsn, drop := exampleDatabase()
	db, err := sql.Open("postgres", dsn)
	check(err)
	engine, err := waybill.New(db, waybill.Config{})
	check(err)
	return engine, func() { check(db.Close()); drop() }
}

// exampleDatabase is a database as tests have it, for functions that are handed no *testing.T.
func exampleDatabase() (dsn string, drop func()) {
	db, drop := pgtest.Example()
	return db.DSN, drop
}
