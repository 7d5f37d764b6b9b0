package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
)

// commandNote is a line of a clerk's notes: a command that is about to be issued, or, with a Result, what became of it.
type commandNote struct {
	ID      string
	At      int64
	Name    string          `json:",omitempty"`
	Command json.RawMessage `json:",omitempty"`
	Stream  string          `json:",omitempty"`
	Key     string          `json:",omitempty"`
	Ledger  bool            `json:",omitempty"`
	Expect  *int            `json:",omitempty"`

	Resumed bool `json:",omitempty"` // a successor issues it again

	Result string   `json:",omitempty"`
	Events []string `json:",omitempty"`
	Last   int      `json:",omitempty"`
	Error  string   `json:",omitempty"`
}

// clerk lives the lives of orders. What it was about when its process died, its successor finds in the notes.
type clerk struct {
	name   string
	db     *sql.DB
	engine *waybill.Engine
	notes  *notes
	random *rand.Rand
	rivals []string // whose orders it meddles with at times
	issued int
}

// workerMain is a backend with a few clerks, until ctx ends.
func workerMain(ctx context.Context, role role, clock *clock) error {
	db, err := sql.Open("postgres", role.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(8)
	engine, err := waybill.New(db, waybill.Config{
		Now: clock.Now, CacheSize: 20, // small, so that states come and go
		Logger: slog.New(slog.NewTextHandler(role.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	var clerks sync.WaitGroup
	for i, name := range role.Clerks {
		path := role.Notes + "." + name
		before, err := readNotes[commandNote](path)
		if err != nil {
			return err
		}
		notes, err := openNotes(path)
		if err != nil {
			return err
		}
		c := &clerk{name: name, db: db, engine: engine, notes: notes, rivals: role.Clerks, issued: len(before),
			random: rand.New(rand.NewPCG(role.Seed, uint64(i+1000*len(before))))}
		clerks.Go(func() { c.work(ctx, before, role.Interval) })
	}
	clerks.Wait()
	return nil
}

func (c *clerk) work(ctx context.Context, before []commandNote, interval time.Duration) {
	var open commandNote
	for _, n := range before {
		if n.Name != "" || n.Result != "" {
			open = n
		}
	}
	switch {
	case open.Name != "" && open.Key != "":
		c.notes.note(commandNote{ID: open.ID, At: now(), Resumed: true})
		c.issue(ctx, open)
	case open.Name != "":
		c.notes.note(commandNote{ID: open.ID, At: now(), Result: Unknown, Error: "the process died"})
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if n, ok := c.next(ctx); ok {
			c.notes.note(n)
			c.issue(ctx, n)
		}
	}
}

// lifetime is how many commands a clerk gives to its orders before it turns to new ones.
const lifetime = 60

// next thinks of a command, most often one that is legal and leads on.
func (c *clerk) next(ctx context.Context) (commandNote, bool) {
	c.issued++
	owner := c.name
	if c.random.IntN(6) == 0 {
		owner = c.rivals[c.random.IntN(len(c.rivals))]
	}
	id := fmt.Sprintf("%s-%d-%d", owner, c.issued/lifetime, c.random.IntN(3))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	o, err := c.engine.Order(ctx, id)
	if err != nil && !errors.As(err, new(*domain.NotFoundError)) {
		return commandNote{}, false
	}
	candidates := c.candidates(id)
	command := candidates[c.random.IntN(len(candidates))]
	if c.random.IntN(8) > 0 {
		for range 40 {
			if events, err := order.Decide(o, command); err == nil && len(events) > 0 {
				break
			}
			command = candidates[c.random.IntN(len(candidates))]
		}
	}
	text, err := json.Marshal(command)
	if err != nil {
		panic(err)
	}
	n := commandNote{ID: fmt.Sprintf("%s/%d", c.name, now()), At: now(), Name: command.CommandName(), Command: text,
		Stream: command.StreamID().String()}
	if c.random.IntN(3) > 0 {
		n.Key = "key " + n.ID
		n.Ledger = c.random.IntN(3) == 0
	}
	if !n.Ledger && c.random.IntN(6) == 0 {
		version := 0
		if o.ID != "" {
			_, version, err = c.engine.State(ctx, command.StreamID())
		}
		if err == nil {
			n.Expect = &version
		}
	}
	return n, true
}

func (c *clerk) candidates(id string) []domain.Command {
	payment := []string{"pay_1", "pay_2"}[c.random.IntN(2)]
	shipment := []string{"shp_1", "shp_2"}[c.random.IntN(2)]
	amount := []int64{500, 1000}[c.random.IntN(2)]
	note := fmt.Sprintf("note %d ä\"\\", c.issued)
	update := order.Update{OrderID: id, Note: &note}
	return []domain.Command{
		order.Create{OrderID: id, Currency: "USD", Email: "john@example.com", Customer: &order.Customer{ID: "cus_1", Email: "john@example.com"},
			LineItems: []order.LineItemInput{{ID: "li_1", Name: "Product", SKU: "product-1", Quantity: 2, UnitPrice: 500}}},
		order.Submit{OrderID: id}, order.RevertToDraft{OrderID: id}, update, update, order.BeginPlacing{OrderID: id}, order.FailPlacement{OrderID: id, Reason: note},
		order.Authorize{OrderID: id, PaymentID: payment, Amount: amount, Currency: "USD"},
		order.Capture{OrderID: id, PaymentID: payment, Amount: amount}, order.Refund{OrderID: id, PaymentID: payment, Amount: amount},
		order.Void{OrderID: id, PaymentID: payment}, order.Place{OrderID: id}, order.Place{OrderID: id}, order.Edit{OrderID: id}, order.StopEditing{OrderID: id},
		order.Approve{OrderID: id}, order.StartFulfillment{OrderID: id},
		order.CreateShipment{OrderID: id, ShipmentID: shipment, LineItems: []order.ShipmentLineItem{{LineItemID: "li_1", Quantity: 1}}},
		order.ScheduleShipment{OrderID: id, ShipmentID: shipment}, order.StartPicking{OrderID: id, ShipmentID: shipment},
		order.StartPacking{OrderID: id, ShipmentID: shipment}, order.MarkReadyToShip{OrderID: id, ShipmentID: shipment},
		order.Ship{OrderID: id, ShipmentID: shipment}, order.Deliver{OrderID: id, ShipmentID: shipment},
		order.CreateParcel{OrderID: id, ShipmentID: shipment, ParcelID: "prc_1", TrackingNumber: note},
	}
}

// issue issues a command until it is answered, if it has a key, and else once.
func (c *clerk) issue(ctx context.Context, n commandNote) {
	command := decode(n)
	options := []waybill.Option{waybill.Correlation(n.ID), waybill.Actor(c.name)}
	if n.Key != "" {
		options = append(options, waybill.IdempotencyKey(n.Key))
	}
	if n.Expect != nil {
		options = append(options, waybill.ExpectVersion(*n.Expect))
	}
	for first := true; first || ctx.Err() == nil; first = false {
		result, err := c.execute(ctx, n, command, options)
		answer := commandNote{ID: n.ID, At: now(), Result: Unknown}
		conflict := new(eventstore.ConflictError)
		switch {
		case err == nil:
			answer.Result, answer.Last = Done, result.Version
			for _, e := range result.Events {
				answer.Events = append(answer.Events, e.ID.String())
			}
		case errors.As(err, new(*domain.IllegalTransitionError)), errors.As(err, new(*domain.NotFoundError)),
			errors.As(err, new(*domain.InvalidCommandError)), errors.As(err, &conflict) && n.Expect != nil:
			answer.Result, answer.Error = Refused, err.Error()
		case errors.As(err, new(*waybill.IdempotencyMismatchError)):
			answer.Result, answer.Error = Mismatch, err.Error()
		case n.Key != "":
			wait(ctx, 20*time.Millisecond)
			continue
		default:
			answer.Error = err.Error()
		}
		c.notes.note(answer)
		return
	}
}

// execute gives a command a few seconds, of which a connection that is cut off may take all.
func (c *clerk) execute(ctx context.Context, n commandNote, command domain.Command, options []waybill.Option) (waybill.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if !n.Ledger {
		return c.engine.Execute(ctx, command, options...)
	}
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return waybill.Result{}, err
	}
	defer tx.Rollback()
	result, err := c.engine.ExecuteTx(ctx, tx, command, options...)
	if err != nil {
		return result, err
	}
	if !result.Repeated {
		if _, err := tx.ExecContext(ctx, `INSERT INTO chaos_ledger (command) VALUES ($1)`, n.ID); err != nil {
			return result, err
		}
	}
	return result, tx.Commit()
}

func decode(n commandNote) domain.Command {
	for _, zero := range order.Commands() {
		if zero.CommandName() == n.Name {
			command := reflect.New(reflect.TypeOf(zero))
			if err := json.Unmarshal(n.Command, command.Interface()); err != nil {
				panic(err)
			}
			return command.Elem().Interface().(domain.Command)
		}
	}
	panic("no command " + n.Name)
}
