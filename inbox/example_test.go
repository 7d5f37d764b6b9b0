package inbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/inbox"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// From a command to the receiver's own table, exactly once, although the answer to the first request is lost after the receiver has done
// its work, so that Waybill has to send it again.
func ExampleBox_Handler() {
	ctx := context.Background()
	database, drop := pgtest.Example()
	db := database.DB
	defer drop()
	_, err := db.Exec(`CREATE TABLE points (customer text PRIMARY KEY, n integer NOT NULL)`)
	check(err)

	// The receiver: points for each order that is placed, in the transaction that also notes the message's id.
	var box *inbox.Box
	var hours atomic.Int64 // by which the sender's clock is ahead
	requests, done := 0, make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		box.Handler(func(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
			var body struct {
				Data struct{ Order order.Order }
			}
			if err := json.Unmarshal(m.Body, &body); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO points VALUES ($1, 10) ON CONFLICT (customer) DO UPDATE SET n = points.n + 10`,
				body.Data.Order.Customer.ID)
			return err
		}).ServeHTTP(w, r)
		if requests++; requests == 1 {
			hours.Store(1) // the retry is due then
			panic(http.ErrAbortHandler)
		}
		close(done)
	}))
	defer receiver.Close()

	// The sender.
	engine, err := waybill.New(db, waybill.Config{
		MasterKey: bytes.Repeat([]byte{7}, 32), AllowHTTP: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Now: func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) },
	})
	check(err)
	_, secret, err := engine.CreateWebhook(ctx, webhook.New{Name: "points", URL: receiver.URL, Events: []string{"order.placed"}})
	check(err)
	box, err = inbox.New(db, inbox.Config{Secrets: []string{secret.Reveal()}, Tolerance: 2 * time.Hour})
	check(err)
	check(box.CreateTable(ctx))
	relay, err := engine.Relay()
	check(err)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error)
	go func() { stopped <- relay.Run(running) }()

	_, err = engine.Execute(ctx, order.Create{OrderID: "ord_1", Currency: "USD", Customer: &order.Customer{ID: "cus_1", Email: "customer@example.com"},
		LineItems: []order.LineItemInput{{ID: "li_1", Name: "Atlas", SKU: "atlas-2", Quantity: 1, UnitPrice: 0}}})
	check(err)
	_, err = engine.Execute(ctx, order.Submit{OrderID: "ord_1"})
	check(err)
	_, err = engine.Execute(ctx, order.Place{OrderID: "ord_1"})
	check(err)

	<-done
	stop()
	check(<-stopped)
	var points int
	check(db.QueryRow(`SELECT n FROM points WHERE customer = 'cus_1'`).Scan(&points))
	fmt.Println("requests:", requests)
	fmt.Println("points:", points)

	// Output:
	// requests: 2
	// points: 10
}
