package projections_test

import (
	"context"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/orders"
)

// A view that does not look by itself any more hears of what is appended: in its own process, by another, by one that has a relay of its
// own, and, after its connection broke, of what it has missed.
func TestViewsAreWoken(t *testing.T) {
	t.Parallel()
	const listening = `FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN "waybill"'`
	for name, wake := range map[string]func(t *testing.T, d *pgtest.Database, here *waybill.Engine) (again func()){
		"by its own process": func(t *testing.T, d *pgtest.Database, here *waybill.Engine) func() {
			run(t, here, draft("ord_1"))
			return here.Wake
		},
		"by another process": func(t *testing.T, d *pgtest.Database, _ *waybill.Engine) func() {
			elsewhere := newEngine(t, d.DB)
			t.Cleanup(elsewhere.Close)
			run(t, elsewhere, draft("ord_1"))
			return elsewhere.Wake
		},
		"by one with a relay": func(t *testing.T, d *pgtest.Database, _ *waybill.Engine) func() {
			elsewhere, err := waybill.New(d.DB, waybill.Config{MasterKey: make([]byte, 32)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(elsewhere.Close)
			relay, err := elsewhere.Relay()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- relay.Run(ctx) }()
			t.Cleanup(func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			eventually(t, "the relay runs", relay.Wake)
			run(t, elsewhere, draft("ord_1"))
			return elsewhere.Wake
		},
		"when its connection is back": func(t *testing.T, d *pgtest.Database, _ *waybill.Engine) func() {
			eventually(t, "it listens", func() bool { return query[int](t, d.DB, `SELECT count(*) `+listening) == 1 })
			silent := newEngine(t, d.DB)
			silent.Close() // it tells nobody
			run(t, silent, draft("ord_1"))
			return func() { execute(t, d.DB, `SELECT pg_terminate_backend(pid) `+listening) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := pgtest.New(t)
			here, err := waybill.New(d.DB, waybill.Config{ListenDSN: d.DSN, Projections: []*projections.Projection{orders.Projection()}})
			if err != nil {
				t.Fatal(err)
			}
			asleep := make(chan struct{}, 1)
			here.Projections().SleepSoundly(func() {
				select {
				case asleep <- struct{}{}:
				default:
				}
			})
			follow(t, here)
			<-asleep
			again := wake(t, d, here) // more than once, for another test's transaction may keep the event from being read for a while
			eventually(t, "the order is in the view", func() bool {
				again()
				return query[int](t, d.DB, `SELECT count(*) FROM view_orders WHERE generation = live_generation('orders')`) == 1
			})
		})
	}
}
