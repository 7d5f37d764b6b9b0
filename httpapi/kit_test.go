package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { pgtest.Main(m) }

var masterKey = []byte("0123456789abcdef0123456789abcdef")

// kit is a server on a database of its own, and a client of workspace acme.
type kit struct {
	t      testing.TB
	db     *pgtest.Database
	engine *waybill.Engine
	server *httptest.Server
	log    *logBuffer
	token  string // of workspace acme, to write

	handler http.Handler
	logger  *slog.Logger
	waited  time.Duration
}

// newKit starts a server; change may alter its configuration first.
func newKit(t testing.TB, change ...func(*waybill.Config, *httpapi.Config)) *kit {
	t.Helper()
	k := &kit{t: t, db: pgtest.New(t), log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	engineConfig := waybill.Config{MasterKey: masterKey, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}
	config := httpapi.Config{
		DB: k.db.DB, MasterKey: masterKey, Metrics: prometheus.NewRegistry(), Logger: logger,
		Ready: func(context.Context) error { return nil },
	}
	for _, c := range change {
		c(&engineConfig, &config)
	}
	var err error
	if k.engine, err = waybill.New(k.db.DB, engineConfig); err != nil {
		t.Fatal(err)
	}
	config.Engine = k.engine
	if k.handler, err = httpapi.New(config); err != nil {
		t.Fatal(err)
	}
	k.logger = logger
	k.server = httptest.NewUnstartedServer(nil)
	k.server.Config = httpapi.Server(k.handler, logger)
	k.server.Start()
	t.Cleanup(k.server.Close)
	k.token = k.newToken("acme", token.Write)
	return k
}

func (k *kit) newToken(workspace string, scope token.Scope) string {
	k.t.Helper()
	_, plain, err := token.NewStore(k.db.DB, nil).Create(k.t.Context(), workspace, "test", scope)
	if err != nil {
		k.t.Fatal(err)
	}
	return plain.Reveal()
}

// request is what a client sends; by default with the kit's token and as JSON.
type request struct {
	method, path string
	body         string
	header       map[string]string // an empty value removes the header
}

type response struct {
	status int
	header http.Header
	body   string
}

func (k *kit) do(r request) response {
	k.t.Helper()
	sent, err := http.NewRequestWithContext(k.t.Context(), r.method, k.server.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		k.t.Fatal(err)
	}
	sent.Header.Set("Authorization", "Bearer "+k.token)
	if r.body != "" {
		sent.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		if sent.Header.Set(name, value); value == "" {
			sent.Header.Del(name)
		}
	}
	got, err := k.server.Client().Do(sent)
	if err != nil {
		k.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return response{got.StatusCode, got.Header, strings.TrimSpace(string(body))}
}

func (k *kit) get(path string) response {
	k.t.Helper()
	return k.do(request{method: "GET", path: path})
}
func (k *kit) post(path, body string) response {
	k.t.Helper()
	return k.do(request{method: "POST", path: path, body: body})
}
func (k *kit) patch(path, body string) response {
	k.t.Helper()
	return k.do(request{method: "PATCH", path: path, body: body})
}
func (k *kit) delete(path string) response {
	k.t.Helper()
	return k.do(request{method: "DELETE", path: path})
}
func (k *kit) as(token, path string) response {
	k.t.Helper()
	return k.do(request{method: "GET", path: path, header: map[string]string{"Authorization": "Bearer " + token}})
}

// data reads the data of an answer that has to have that status.
func data[T any](t testing.TB, r response, status int) T {
	t.Helper()
	var answer struct {
		Data  T                `json:"data"`
		Error *json.RawMessage `json:"error"`
	}
	decode(t, r, status, &answer)
	if answer.Error != nil || !strings.Contains(r.body, `"error":null`) {
		t.Errorf("an answer with status %d has no error null: %s", r.status, r.body)
	}
	return answer.Data
}

func decode(t testing.TB, r response, status int, into any) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	decoder := json.NewDecoder(strings.NewReader(r.body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
}

// problem is the error of an answer.
type problem struct {
	Code    string              `json:"code"`
	Message string              `json:"message"`
	Details []domain.FieldError `json:"details"`
}

func problemOf(t testing.TB, r response, status int) problem {
	t.Helper()
	var answer struct {
		Data  *json.RawMessage `json:"data"`
		Error problem          `json:"error"`
	}
	decode(t, r, status, &answer)
	if answer.Data != nil || !strings.Contains(r.body, `"data":null`) || answer.Error.Code == "" || answer.Error.Message == "" ||
		answer.Error.Details == nil || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("not an error as they are all: %s %s", r.header.Get("Content-Type"), r.body)
	}
	return answer.Error
}

type made struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Profile string   `json:"profile"`
	Events  []string `json:"events"`
	Active  bool     `json:"active"`
	Secret  string   `json:"secret"`
}

// webhook makes one of workspace acme.
func (k *kit) webhook(name, url string) made {
	k.t.Helper()
	return data[made](k.t, k.post("/v1/workspaces/acme/webhooks", `{"name":"`+name+`","url":"`+url+`"}`), 201)
}

// order places an order of workspace acme.
func (k *kit) order(id string) {
	k.t.Helper()
	k.orderIn("acme", id)
}

func (k *kit) orderIn(workspace, id string) {
	k.t.Helper()
	for _, c := range []domain.Command{
		order.Create{OrderID: id, Currency: "USD", Customer: &order.Customer{Email: "customer@example.com"},
			LineItems: []order.LineItemInput{{ID: "li_1", Name: "Atlas", SKU: "atlas-2", Quantity: 1, UnitPrice: 1063}}},
		order.Submit{OrderID: id},
		order.Authorize{OrderID: id, PaymentID: "pay_1", Amount: 1063, Currency: "USD"},
		order.Place{OrderID: id},
	} {
		if _, err := k.engine.Workspace(workspace).Execute(k.t.Context(), c, waybill.Actor("checkout")); err != nil {
			k.t.Fatal(err)
		}
	}
}

// toPicking brings an order of workspace acme from placed to a shipment that is being picked.
func (k *kit) toPicking(id string) {
	k.t.Helper()
	k.execute(
		order.Capture{OrderID: id, PaymentID: "pay_1", Amount: 1063}, order.Approve{OrderID: id}, order.StartFulfillment{OrderID: id},
		order.CreateShipment{OrderID: id, ShipmentID: "shp_1", LineItems: []order.ShipmentLineItem{{LineItemID: "li_1", Quantity: 1}}},
		order.CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Carrier: "UPS", TrackingNumber: "1Z999"},
		order.ScheduleShipment{OrderID: id, ShipmentID: "shp_1"}, order.StartPicking{OrderID: id, ShipmentID: "shp_1"},
	)
}

// execute executes commands in workspace acme.
func (k *kit) execute(commands ...domain.Command) {
	k.t.Helper()
	for _, c := range commands {
		if _, err := k.engine.Workspace("acme").Execute(k.t.Context(), c); err != nil {
			k.t.Fatal(err)
		}
	}
}

// settle waits until nothing can appear in the log any more before what is there: transactions of other tests' databases on the same
// server are in the way of that as well.
func (k *kit) settle() {
	k.t.Helper()
	for settled := false; !settled; {
		const look = `SELECT coalesce(max(transaction_id), 0) < log_horizon() FROM events, pg_sleep(0.01)`
		if err := k.db.QueryRowContext(k.t.Context(), look).Scan(&settled); err != nil {
			k.t.Fatal(err)
		}
	}
}

// follow keeps the views up to date until the test ends, or the function that it returns is called.
func (k *kit) follow() (stop func()) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.engine.Projections().Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			k.t.Error(err)
		}
	})
	k.t.Cleanup(stop)
	return stop
}

// seen waits until the views have seen everything.
func (k *kit) seen() {
	k.t.Helper()
	k.eventually("the views have seen everything", func() bool {
		list, err := k.engine.Projections().List(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		return !slices.ContainsFunc(list, func(s projections.State) bool { return s.Generation == 0 || s.Behind > 0 })
	})
}

// eventually asks until something is as it should be, up to a minute.
func (k *kit) eventually(what string, reached func() bool) {
	k.t.Helper()
	for ticks := time.Tick(10 * time.Millisecond); !reached(); <-ticks {
		if k.waited += 10 * time.Millisecond; k.waited > time.Minute {
			k.t.Fatalf("%s: it does not come to that\n%s", what, k.log)
		}
	}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// relay delivers until the test ends.
func (k *kit) relay() {
	k.t.Helper()
	relay, err := k.engine.Relay()
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- relay.Run(ctx) }()
	k.t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			k.t.Error(err)
		}
	})
}
