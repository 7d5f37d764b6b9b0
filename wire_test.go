package waybill_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

// wire is a database whose connections are watched: it counts round trips, and can lose an answer.
type wire struct {
	*sql.DB
	roundTrips atomic.Int64 // Sync and Query messages: each makes the client wait for the server
	lose       atomic.Int64 // 1: the connection breaks instead of bringing the next answer, 2: the one after it, …
}

func newWire(t *testing.T) *wire {
	t.Helper()
	connector, err := pq.NewConnector(pgtest.New(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	connector.Dialer(w)
	w.DB = sql.OpenDB(connector)
	t.Cleanup(func() { w.DB.Close() })
	return w
}

// engine tells nobody of its events: that would come in between.
func (w *wire) engine(t *testing.T, config waybill.Config) *waybill.Engine {
	t.Helper()
	engine, err := waybill.New(w.DB, config)
	if err != nil {
		t.Fatal(err)
	}
	engine.Close()
	return engine
}

func (w *wire) Dial(network, address string) (net.Conn, error) {
	return w.DialContext(context.Background(), network, address)
}

func (w *wire) DialTimeout(network, address string, _ time.Duration) (net.Conn, error) {
	return w.DialContext(context.Background(), network, address)
}

func (w *wire) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, wire: w}, nil
}

// watchedConn reads along what the client says, by the frontend protocol: after the start-up message every message is a type byte and
// a length that counts itself.
type watchedConn struct {
	net.Conn
	wire    *wire
	mu      sync.Mutex
	started bool
	pending []byte
}

func (c *watchedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.pending = append(c.pending, b...)
	for {
		header := 1
		if !c.started {
			header = 0
		}
		if len(c.pending) < header+4 {
			break
		}
		length := header + int(binary.BigEndian.Uint32(c.pending[header:]))
		if len(c.pending) < length {
			break
		}
		if c.started && (c.pending[0] == 'S' || c.pending[0] == 'Q') {
			c.wire.roundTrips.Add(1)
		}
		c.started = true
		c.pending = c.pending[length:]
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.wire.lose.Load() > 0 && c.wire.lose.Add(-1) == 0 {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestAnAppendIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	engine := w.engine(t, waybill.Config{})
	w.SetMaxOpenConns(1) // statements are prepared once for each connection
	ctx := t.Context()
	must(t)(engine.Execute(ctx, draft("warm-up"), waybill.IdempotencyKey("warm-up")))
	must(t)(engine.Execute(ctx, order.Submit{OrderID: "warm-up"}))
	count := func(name string, want int64, f func()) {
		t.Helper()
		before := w.roundTrips.Load()
		f()
		if got := w.roundTrips.Load() - before; got != want {
			t.Errorf("%s took %d round trips, want %d", name, got, want)
		}
	}
	count("a command that makes an order", 1, func() { must(t)(engine.Execute(ctx, draft("ord_1"))) })
	count("a command on one that is", 1, func() { must(t)(engine.Execute(ctx, order.Submit{OrderID: "ord_1"})) })
	count("a command with two events and a key", 1, func() {
		r := must(t)(engine.Execute(ctx, order.Authorize{OrderID: "ord_1", PaymentID: "pay_1", Amount: 1000, Currency: "USD"}, waybill.IdempotencyKey("k")))
		if len(r.Events) != 2 {
			t.Errorf("%d events", len(r.Events))
		}
	})
	engine = w.engine(t, waybill.Config{})
	must(t)(engine.Execute(ctx, draft("warm-up-2")))
	if _, err := engine.Order(ctx, "warm-up-2"); err != nil {
		t.Fatal(err)
	}
	count("a command on an order that is not in memory", 2, func() { must(t)(engine.Execute(ctx, order.Place{OrderID: "ord_1"})) })
	count("reading an order that is in memory", 1, func() {
		if _, err := engine.Order(ctx, "ord_1"); err != nil {
			t.Error(err)
		}
	})
}

// The connection breaks after the database has committed and before its answer is read. The command must neither be lost, nor done
// twice, nor reported as refused because it finds its own work in its way.
func TestAnswerLostAfterCommit(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]waybill.Option{"without a key": nil, "with a key": {waybill.IdempotencyKey("k")}} {
		for _, cache := range []int{0, -1} {
			t.Run(fmt.Sprintf("%s, cache %d", name, cache), func(t *testing.T) {
				t.Parallel()
				w := newWire(t)
				engine := w.engine(t, waybill.Config{CacheSize: cache})
				ctx := t.Context()
				must(t)(engine.Execute(ctx, draft("ord_1"), waybill.IdempotencyKey("warm-up")))
				w.lose.Store(1)
				if cache < 0 {
					w.lose.Store(2) // the first one is that to the read
				}
				result := must(t)(engine.Execute(ctx, order.Submit{OrderID: "ord_1"}, options...))
				if left := w.lose.Load(); left != 0 {
					t.Fatalf("no answer was lost; %d to go", left)
				}
				if result.Version != 2 || result.Repeated || len(result.Events) != 1 || result.Events[0].Type != "order.submitted" {
					t.Errorf("the command came to %+v", result)
				}
				events := history(t, engine, "ord_1")
				if len(events) != 2 || events[1].ID != result.Events[0].ID {
					t.Errorf("the log has %d events", len(events))
				}
				must(t)(engine.Execute(ctx, order.RevertToDraft{OrderID: "ord_1"}))
			})
		}
	}
}

// kill -9 of the server between any two commands of many: what was answered is there, what was not is there once or not at all.
func TestServerCrashesUnderCommands(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	engine, err := waybill.New(server.DB, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const goroutines = 8
	must(t)(engine.Execute(ctx, draft("warm-up")))
	var mu sync.Mutex
	answered, unanswered := map[string]bool{}, map[string]bool{}
	crash := make(chan struct{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("ord_%d_%d", g, i)
				_, err := engine.Execute(ctx, draft(id))
				mu.Lock()
				if err == nil {
					answered[id] = true
					if len(answered) == 200 {
						close(crash)
					}
				} else {
					unanswered[id] = true
				}
				mu.Unlock()
				if err != nil {
					if !errors.As(err, new(*waybill.DatabaseError)) {
						t.Errorf("a crash surfaced as %v", err)
					}
					return
				}
			}
		})
	}
	<-crash
	server.Crash()
	wg.Wait()
	server.Start()
	for id := range answered {
		if o, err := engine.Order(ctx, id); err != nil || o.Status != "draft" {
			t.Fatalf("%s was answered and is %q, %v", id, o.Status, err)
		}
	}
	kept := 0
	for id := range unanswered {
		_, err := engine.Order(ctx, id)
		switch {
		case err == nil:
			kept++
		case !errors.As(err, new(*domain.NotFoundError)):
			t.Errorf("%s: %v", id, err)
		}
	}
	t.Logf("%d commands answered, %d not, of which %d were committed", len(answered), len(unanswered), kept)
}
