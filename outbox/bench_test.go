package outbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// BenchmarkRelay delivers 200,000 events (or as many as OUTBOX_BENCH_EVENTS says) to one webhook in another process, and sends as many
// signed requests in a bare loop over 64 connections. What counts is how the two compare, on the same machine at the same time:
//
//	go test ./outbox -run=xxx -bench=Relay -benchtime=1x
func BenchmarkRelay(b *testing.B) {
	events := 200_000
	if n, err := strconv.Atoi(os.Getenv("OUTBOX_BENCH_EVENTS")); err == nil {
		events = n
	}
	const perOrder = 10
	sink := startSink(b)
	for range b.N {
		k := newKit(b)
		_, secret, err := k.store.Create(context.Background(), "default", webhook.New{Name: "sink", URL: sink})
		check(b, err)
		k.fill(events, perOrder)

		spent := cpu(b)
		loop := bareLoop(b, sink, secret.Reveal(), events)
		b.ReportMetric(float64((cpu(b)-spent).Microseconds())/float64(events), "bare-cpu-µs")

		began := time.Now()
		spent = cpu(b)
		answered := make(chan struct{})
		run := k.relay(func(c *Config) {
			c.Limits = delivery.Limits{}
			c.Logger = nil
			c.Transport = &counting{next: delivery.NewTransport(c.AllowTargets, c.Limits), left: int64(events), done: answered}
		})
		<-answered // no queries until then, which would cost the database time
		k.drained(events)
		took := time.Since(began)
		run.stop()
		b.ReportMetric(float64((cpu(b)-spent).Microseconds())/float64(events), "relay-cpu-µs")
		relay := float64(events) / took.Seconds()
		b.ReportMetric(loop, "bare/s")
		b.ReportMetric(relay, "events/s")
		b.ReportMetric(relay/loop, "ratio")
	}
}

// cpu is the processor time that this process has spent: figures that other programs on the machine do not spoil.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// bareLoop sends signed requests over 64 connections and returns how many a second.
func bareLoop(b *testing.B, url, secret string, n int) float64 {
	sign, err := profile.StandardSigner([]string{secret})
	check(b, err)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	body := []byte(`{"type":"order.noted","data":"` + strings.Repeat("x", 300) + `"}`)
	var next atomic.Int64
	var senders sync.WaitGroup
	began := time.Now()
	for range 64 {
		senders.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				sign(request.Header, profile.Message{ID: strconv.FormatInt(i, 10), Body: body}, time.Now())
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		})
	}
	senders.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// counting is a transport that tells when so many requests were answered.
type counting struct {
	next http.RoundTripper
	left int64
	done chan struct{}
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err == nil && atomic.AddInt64(&c.left, -1) == 0 {
		close(c.done)
	}
	return response, err
}

const sinkVariable = "OUTBOX_TEST_SINK"

// sinkMain is the other process: it answers everything with 200.
func sinkMain() {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() { // until the parent is gone
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	server.Serve(listener)
}

func startSink(b *testing.B) string {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), sinkVariable+"=1")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	check(b, err)
	stdout, err := command.StdoutPipe()
	check(b, err)
	check(b, command.Start())
	b.Cleanup(func() {
		stdin.Close()
		command.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	check(b, err)
	return strings.TrimSpace(address)
}

// fill writes events straight into the log: n of them, of orders with perOrder events each that were written to in turns.
func (k *kit) fill(n, perOrder int) {
	k.t.Helper()
	_, err := k.db.Exec(`
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, 'default', 'order/ord_' || (i / ($2 * 100)) * 100 + i % 100, 1 + (i / 100) % $2, gen_random_uuid(), 'order.noted', 1,
			json_build_object('note', 'note ' || i), '{"command":"order.note"}', now(), sha256('')
		FROM generate_series(0, $1 - 1) i ORDER BY i`, n, perOrder)
	check(k.t, err)
	_, err = k.db.Exec(`ANALYZE events`)
	check(k.t, err)
}
