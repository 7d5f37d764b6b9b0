package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// life is the events of one order, of which a log can be made by copying, and what a webhook is told of each.
type life struct {
	orderID  string
	types    []string
	versions []int64 // of the data's schema
	data     []string
	metadata []string
	messages []profile.Message
}

// small is the least that an order can be created with.
func small() order.Create { return order.Create{Currency: "USD", Number: "bench"} }

// draft is an order as a shop would create it.
func draft() order.Create {
	address := &order.Address{FirstName: "First", LastName: "Last", Address1: "10 Example Street", City: "Springfield", PostalCode: "10001",
		State: "New York", Country: "United States"}
	return order.Create{
		Currency: "USD", Number: "1000001", Channel: "web", StoreID: "2", Email: "customer@example.com",
		Customer: &order.Customer{ID: "cus_1", Email: "customer@example.com"}, ShippingAddress: address, BillingAddress: address,
		LineItems: []order.LineItemInput{
			{ID: "1", Name: "Mug, stoneware", SKU: "mug-stone", Quantity: 2, UnitPrice: 1250},
			{ID: "2", Name: "Poster, framed", SKU: "poster-framed", Quantity: 1, UnitPrice: 2400},
		},
		Adjustments: []order.AdjustmentInput{{ID: "tax", Kind: order.AdjustmentTax, Amount: 310, Label: "NY 6.250%"}},
	}
}

// elsewhere is a workspace that no webhook listens to; its name is as long as that of the default one.
const elsewhere = "example"

// newLife takes an order through its life, from its creation to the shipping.
func (s *subject) newLife(ctx context.Context) (*life, error) {
	w := s.engine.Workspace(elsewhere)
	created, err := w.Execute(ctx, draft())
	if err != nil {
		return nil, err
	}
	id := created.ID
	draft, err := w.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, command := range []domain.Command{
		order.Submit{OrderID: id},
		order.Authorize{OrderID: id, PaymentID: "pay_1", Amount: draft.Total, Currency: draft.Currency, Method: "card"},
		order.Place{OrderID: id},
		order.Approve{OrderID: id},
		order.Capture{OrderID: id, PaymentID: "pay_1", Amount: draft.Total},
		order.CreateShipment{OrderID: id, ShipmentID: "shp_1", LineItems: []order.ShipmentLineItem{{LineItemID: "1", Quantity: 2}, {LineItemID: "2", Quantity: 1}}},
		order.ScheduleShipment{OrderID: id, ShipmentID: "shp_1"},
	} {
		if _, err := w.Execute(ctx, command, waybill.Actor("checkout")); err != nil {
			return nil, err
		}
	}

	return s.life(ctx, w, id)
}

// life reads an order's life out of the log.
func (s *subject) life(ctx context.Context, w *waybill.Workspace, id string) (*life, error) {
	l := &life{orderID: id}
	aggregate := order.Aggregate()
	native := profile.Native(map[string]*domain.Aggregate{order.Name: aggregate})
	state := aggregate.New()
	for r, err := range w.History(ctx, id) {
		if err != nil {
			return nil, err
		}
		if state, err = aggregate.Fold(state, r); err != nil {
			return nil, err
		}
		message, err := native.Render(profile.Occurrence{Recorded: r, After: state})
		if err != nil {
			return nil, err
		}
		l.types = append(l.types, r.Type)
		l.versions = append(l.versions, int64(r.SchemaVersion))
		l.data = append(l.data, string(r.Data))
		l.metadata = append(l.metadata, string(r.Metadata))
		l.messages = append(l.messages, message)
	}
	return l, nil
}

// fillLog appends events number $3 to $4 of as many orders as it takes, which take turns in hundreds. Everything has the size and the order
// of what the engine appends, but the hashes chain nothing: no reader but `audit verify` looks at them.
const fillLog = `
INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
SELECT (SELECT era_base() | pg_current_xact_id()::text::bigint), $1, 'order/' || o.id, o.version,
	(lpad(to_hex($5::bigint + i / 1000), 12, '0') || '7' || lpad(to_hex(i % 1000), 3, '0') || '8' || substr(md5($2 || i), 1, 15))::uuid,
	($6::text[])[o.version], ($7::smallint[])[o.version], replace(($8::text[])[o.version], $10, o.id)::json, ($9::text[])[o.version]::json,
	now(), decode(repeat('00', 32), 'hex')
FROM generate_series($3::integer, $4::integer) i CROSS JOIN LATERAL (
	SELECT 'ord_' || $2 || lpad(to_hex(i / (100 * cardinality($6::text[])) * 100 + i % 100), 12, '0'), 1 + i / 100 % cardinality($6::text[])
) AS o (id, version)`

// fillStep is how many events are appended in one statement, so that there is progress to tell and a moment to stop.
const fillStep = 50_000

// fill appends n events to the log of a workspace.
func (r *run) fill(ctx context.Context, s *subject, workspace string, l *life, n int) error {
	var random [4]byte
	rand.Read(random[:])
	now := time.Now().UnixMilli()
	prefix := fmt.Sprintf("%012x%s", now, hex.EncodeToString(random[:])) // of the orders' ids, which are 32 digits long
	for from := 0; from < n; from += fillStep {
		r.Progress("filling the log", from, n)
		if _, err := s.ExecContext(ctx, fillLog, workspace, prefix, from, min(from+fillStep, n)-1, now,
			pq.StringArray(l.types), pq.Int64Array(l.versions), pq.StringArray(l.data), pq.StringArray(l.metadata), l.orderID); err != nil {
			return fmt.Errorf("fill the log: %w", err)
		}
	}
	return nil
}

// settle leaves the tables as they are some time after they were filled, so that the database does not do it during what follows.
func (r *run) settle(ctx context.Context, s *subject) error {
	r.Progress("letting the database settle", 0, 0)
	for _, statement := range []string{`VACUUM (ANALYZE) events`, `VACUUM (ANALYZE) deliveries`} {
		if _, err := s.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("let the database settle: %w", err)
		}
	}
	// Not everybody may do this; then it happens when it happens.
	_, _ = s.ExecContext(ctx, `CHECKPOINT`)
	return ctx.Err()
}

// passLog moves the fan-out's checkpoint to the end of the log.
func passLog(ctx context.Context, s *subject) error {
	_, err := s.ExecContext(ctx, `
		INSERT INTO checkpoints (consumer, transaction_id, position)
		SELECT $1, transaction_id, position FROM events ORDER BY transaction_id DESC, position DESC LIMIT 1
		ON CONFLICT (consumer) DO UPDATE SET transaction_id = excluded.transaction_id, position = excluded.position`, delivery.Consumer)
	return err
}

// pile makes a delivery to a webhook of each event of a workspace, and returns how many.
func pile(ctx context.Context, s *subject, webhook, workspace string) (int, error) {
	result, err := s.ExecContext(ctx, `
		INSERT INTO deliveries (webhook, transaction_id, position, stream)
		SELECT w.number, e.transaction_id, e.position, e.stream FROM webhooks w CROSS JOIN events e
		WHERE w.id = $1 AND e.workspace = $2 ORDER BY e.transaction_id, e.position`, webhook, workspace)
	if err != nil {
		return 0, fmt.Errorf("pile deliveries up: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// fannedOut says whether the fan-out has come to the end of the log.
func fannedOut(ctx context.Context, s *subject) (done bool, err error) {
	err = s.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT FROM checkpoints c WHERE c.consumer = $1 AND c.position =
			(SELECT e.position FROM events e ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1))`, delivery.Consumer).Scan(&done)
	return done, err
}

// delivered says whether no delivery is open any more, and counts the attempts.
func delivered(ctx context.Context, s *subject) (bool, error) {
	var open bool
	err := s.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM deliveries)`).Scan(&open)
	return !open, err
}

// successes counts the deliveries that are recorded as made, and all attempts.
func successes(ctx context.Context, s *subject) (delivered, attempts int, err error) {
	err = s.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE outcome = 'delivered'), count(*) FROM attempts`).Scan(&delivered, &attempts)
	return delivered, attempts, err
}
