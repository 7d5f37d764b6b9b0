package waybill_test

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

// BenchmarkRebuild rebuilds the view "orders" from 1,000,000 events (or as many as PROJECTIONS_BENCH_EVENTS says), and lets psql copy the log
// out in its order. What counts is how the two compare, on the same machine at the same time:
//
//	go test . -run=xxx -bench=Rebuild -benchtime=1x
func BenchmarkRebuild(b *testing.B) {
	events := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("PROJECTIONS_BENCH_EVENTS")); err == nil {
		events = n
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		b.Skip("psql is missing")
	}
	for range b.N {
		d := pgtest.New(b)
		engine, err := waybill.New(d.DB, waybill.Config{Projections: []*projections.Projection{waybill.Projections()[0]}})
		if err != nil {
			b.Fatal(err)
		}
		events := fillLog(b, engine, d.DB, events)
		for _, name := range []string{"first", "again"} {
			before := copyRate(b, psql, d.DSN, events)
			peak := watchMemory()
			began, spent := time.Now(), processorTime(b)
			done, err := engine.Projections().Rebuild(context.Background(), "orders", projections.RebuildOptions{}, nil)
			if err != nil || done.Events != int64(events) || done.Parked+done.Different != 0 {
				b.Fatalf("%+v, %v", done, err)
			}
			rate := float64(events) / time.Since(began).Seconds()
			b.ReportMetric(float64((processorTime(b)-spent).Microseconds())/float64(events), name+"-cpu-µs")
			limit := (before + copyRate(b, psql, d.DSN, events)) / 2 // other programs come and go
			b.ReportMetric(limit, name+"-copy/s")
			b.ReportMetric(rate, name+"-events/s")
			b.ReportMetric(rate/limit, name+"-ratio")
			b.ReportMetric(peak()/(1<<20), name+"-MB")
		}
	}
}

// copyRate returns how many events a second psql copies out of the log, in its order.
func copyRate(b *testing.B, psql, dsn string, events int) float64 {
	began := time.Now()
	query := "COPY (SELECT * FROM events ORDER BY transaction_id, position) TO STDOUT"
	if output, err := exec.Command(psql, "-qX", "-c", query, "-o", "/dev/null", dsn).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, output)
	}
	return float64(events) / time.Since(began).Seconds()
}

// watchMemory returns a function that ends watching and says how many bytes this process had from the system at most.
func watchMemory() func() float64 {
	runtime.GC()
	var peak atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), int64(m.HeapSys-m.HeapReleased+m.StackSys)))
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-stopped
		return float64(peak.Load())
	}
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// fillLog copies the life of one order, from its making to its delivery, until the log has about so many events. The lives go on side by
// side, as real ones do. It returns how many events there are.
func fillLog(t testing.TB, engine *waybill.Engine, db *sql.DB, events int) int {
	t.Helper()
	nobody := draft("ord_0")
	nobody.Email, nobody.Customer = "", &order.Customer{ID: "cus_1"} // what is sealed cannot be copied to other streams
	for _, command := range []domain.Command{
		nobody, order.Submit{OrderID: "ord_0"},
		order.Authorize{OrderID: "ord_0", PaymentID: "pay_1", Amount: 1000, Currency: "USD"}, order.Place{OrderID: "ord_0"},
		order.Capture{OrderID: "ord_0", PaymentID: "pay_1", Amount: 1000}, order.Approve{OrderID: "ord_0"}, order.StartFulfillment{OrderID: "ord_0"},
		order.CreateShipment{OrderID: "ord_0", ShipmentID: "shp_1", LineItems: []order.ShipmentLineItem{{LineItemID: "li_1", Quantity: 2}}},
		order.ScheduleShipment{OrderID: "ord_0", ShipmentID: "shp_1"}, order.StartPicking{OrderID: "ord_0", ShipmentID: "shp_1"},
		order.StartPacking{OrderID: "ord_0", ShipmentID: "shp_1"},
		order.MarkReadyToShip{OrderID: "ord_0", ShipmentID: "shp_1"}, order.Ship{OrderID: "ord_0", ShipmentID: "shp_1"},
		order.Deliver{OrderID: "ord_0", ShipmentID: "shp_1"},
	} {
		if _, err := engine.Execute(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	var life int
	if err := db.QueryRow(`SELECT count(*) FROM events`).Scan(&life); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT (e.transaction_id >> 44 << 44) | 100, e.workspace, 'order/ord_' || substr(md5(n::text), 1, 12) || n, e.version, gen_random_uuid(), e.type,
			e.schema_version, replace(e.data::text, 'ord_0', 'ord_' || substr(md5(n::text), 1, 12) || n)::json, e.metadata,
			e.recorded_at - n * interval '1 second', e.hash
		FROM events e CROSS JOIN generate_series(1, $1::integer) n ORDER BY n / 1000, e.version, n`, events/life); err != nil {
		t.Fatal(err)
	}
	return life * (events/life + 1)
}
