package waybill_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
)

// A projection is one file: its table, the fold of a stream, and the rows that it shows of it. This one shows what is still to be paid.
const debtsTable = `CREATE TABLE debts (
	generation integer, workspace text, id text,
	email text, amount bigint,
	PRIMARY KEY (generation, workspace, id))`

type debt struct {
	Email  string `json:"email"`
	Amount int64  `json:"amount"`
}

func debts() *projections.Projection {
	return projections.Define("debts", "debts", order.Aggregate(),
		func(o order.Order, e projections.Event) order.Order { return order.Evolve(o, e.Event, e.RecordedAt) },
		func(o order.Order) []debt {
			if o.Status != order.StatusPlaced || o.CapturedTotal >= o.Total {
				return nil
			}
			return []debt{{o.Email, o.Total - o.CapturedTotal}}
		})
}

// Adding a projection takes one line of the engine's configuration. From then on [projections.Runner.Run] keeps it up to date, in this
// process or another; here it is built once.
func ExampleConfig_projections() {
	dsn, drop := exampleDatabase()
	defer drop()
	ctx := context.Background()
	db, err := sql.Open("postgres", dsn)
	check(err)
	defer db.Close()
	_, err = db.ExecContext(ctx, debtsTable)
	check(err)

	engine, err := waybill.New(db, waybill.Config{Projections: append(waybill.Projections(), debts())}) // the line
	check(err)

	place(engine, "ord_1", "first@example.com")
	place(engine, "ord_2", "second@example.com")
	_, err = engine.Execute(ctx, order.Capture{OrderID: "ord_1", PaymentID: "pay_1", Amount: 400})
	check(err)
	check(engine.Rebuild(ctx, "debts", nil))

	rows, err := db.QueryContext(ctx, `SELECT email, amount FROM debts WHERE generation = live_generation('debts') ORDER BY id`)
	check(err)
	defer rows.Close()
	for rows.Next() {
		var d debt
		check(rows.Scan(&d.Email, &d.Amount))
		fmt.Println(d.Email, d.Amount)
	}
	check(rows.Err())
	// Output:
	// first@example.com 600
	// second@example.com 1000
}

// place takes a new order of 10.00 USD to placed.
func place(engine *waybill.Engine, id, email string) {
	create := draft(id)
	create.Email = email
	_, err := engine.Execute(context.Background(), create)
	check(err)
	_, err = engine.Execute(context.Background(), order.Submit{OrderID: id})
	check(err)
	_, err = engine.Execute(context.Background(), order.Authorize{OrderID: id, PaymentID: "pay_1", Amount: 1000, Currency: "USD"})
	check(err)
	_, err = engine.Execute(context.Background(), order.Place{OrderID: id})
	check(err)
}
