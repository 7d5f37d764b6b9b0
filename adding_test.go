package waybill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
	"github.com/waybill-dev/waybill/projections"
)

// The code of docs/adding.md. Each part stands between two marks, and a test compares the page with it.

// adding: aggregate
// An invoice is issued, and then paid.
type (
	invoice struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Email  string `json:"email" personal:"true"` // sealed at rest, and erased when its subject is forgotten
		Amount int64  `json:"amount"`                // minor units
	}

	issueInvoice struct {
		InvoiceID string `json:"invoiceId"`
		Email     string `json:"email"`
		Amount    int64  `json:"amount"`
	}
	payInvoice struct {
		InvoiceID string `json:"invoiceId"`
	}

	invoiceIssued struct {
		InvoiceID string `json:"invoiceId"`
		Email     string `json:"email" personal:"true"`
		Amount    int64  `json:"amount"`
	}
	invoicePaid struct{}
)

func invoiceStream(id string) domain.StreamID { return domain.StreamID{Aggregate: "invoice", ID: id} }

func (issueInvoice) CommandName() string               { return "invoice.issue" }
func (c issueInvoice) StreamID() domain.StreamID       { return invoiceStream(c.InvoiceID) }
func (c issueInvoice) WithID(id string) domain.Command { c.InvoiceID = id; return c } // it makes an aggregate
func (c issueInvoice) Validate() error {
	if c.Amount <= 0 {
		return &domain.InvalidCommandError{Command: c.CommandName(), Fields: []domain.FieldError{{Field: "amount", Message: "has to be more than 0"}}}
	}
	return nil
}

func (payInvoice) CommandName() string         { return "invoice.pay" }
func (c payInvoice) StreamID() domain.StreamID { return invoiceStream(c.InvoiceID) }
func (payInvoice) Validate() error             { return nil }

func (invoiceIssued) EventType() string { return "invoice.issued" }
func (invoicePaid) EventType() string   { return "invoice.paid" }

var invoiceMachine = &domain.Machine{
	Name: "invoice", Initial: "open", Final: []string{"paid"},
	Moves: fsm.Events{{Name: "pay", Src: []string{"open"}, Dst: "paid"}},
}

var invoices = domain.Define("invoice", []*domain.Machine{invoiceMachine},
	domain.NewCodec(
		domain.EventOf[invoiceIssued]("An invoice was issued."),
		domain.EventOf[invoicePaid]("An invoice was paid."),
		domain.EventOf[invoiceReminded]("Somebody was reminded of an invoice."),
	), decideInvoice, evolveInvoice)

// decideInvoice says which events follow from a command, or why it is not legal.
func decideInvoice(i invoice, command domain.Command) ([]domain.Event, error) {
	if _, creates := command.(issueInvoice); !creates && i.ID == "" {
		return nil, &domain.NotFoundError{Kind: "invoice", ID: command.StreamID().ID}
	}
	switch c := command.(type) {
	case issueInvoice:
		if i.ID != "" {
			return nil, invoiceMachine.Refuse(c.CommandName(), "invoice "+i.ID, i.Status, "its id is taken")
		}
		return []domain.Event{invoiceIssued(c)}, nil
	case payInvoice:
		if _, ok := invoiceMachine.Fire(i.Status, "pay"); !ok {
			return nil, invoiceMachine.Refuse(c.CommandName(), "invoice "+i.ID, i.Status, "")
		}
		return []domain.Event{invoicePaid{}}, nil
	case remindOfInvoice:
		return []domain.Event{invoiceReminded{Channel: c.Channel}}, nil
	}
	return nil, fmt.Errorf("%T is not a command of an invoice", command)
}

// evolveInvoice returns the state after an event. It never refuses, and asks no machine: what is recorded has happened, whatever the
// machine allows by now.
func evolveInvoice(i invoice, event domain.Event, _ time.Time) invoice {
	switch e := event.(type) {
	case invoiceIssued:
		return invoice{ID: e.InvoiceID, Status: "open", Email: e.Email, Amount: e.Amount}
	case invoicePaid:
		i.Status = "paid"
	}
	return i
}

// adding: end

// adding: event
// The event, in its present form.
type invoiceReminded struct {
	Channel string `json:"channel"`
}

func (invoiceReminded) EventType() string { return "invoice.reminded" }

// And the command that it follows from.
type remindOfInvoice struct {
	InvoiceID string `json:"invoiceId"`
	Channel   string `json:"channel"`
}

func (remindOfInvoice) CommandName() string         { return "invoice.remind" }
func (c remindOfInvoice) StreamID() domain.StreamID { return invoiceStream(c.InvoiceID) }
func (remindOfInvoice) Validate() error             { return nil }

// adding: end

// adding: upcast
// Version 1 of invoice.reminded said {"by":"email"}. Given to EventOf, this lets it be read as version 2.
func remindedV1(data json.RawMessage) (json.RawMessage, error) {
	var old struct{ By string }
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, err
	}
	return json.Marshal(invoiceReminded{Channel: old.By})
}

// adding: end

// adding: projection
const openInvoicesTable = `CREATE TABLE open_invoices (
	generation integer, workspace text, id text,
	amount bigint,
	PRIMARY KEY (generation, workspace, id))`

type openInvoice struct {
	Amount int64 `json:"amount"`
}

var openInvoices = projections.Define("open_invoices", "open_invoices", invoices,
	func(i invoice, e projections.Event) invoice { return evolveInvoice(i, e.Event, e.RecordedAt) },
	func(i invoice) []openInvoice {
		if i.Status != "open" {
			return nil
		}
		return []openInvoice{{i.Amount}}
	})

// adding: end

// adding: profile
// plain tells of paid invoices in two lines of text, with the secret as a bearer token.
var plain = &profile.Profile{
	Name:   "plain",
	Events: []profile.Event{{Name: "paid", Description: "An invoice was paid.", Types: []string{"invoice.paid"}}},
	Render: func(o profile.Occurrence) (profile.Message, error) {
		i := o.After.(invoice) // as it was right after the event
		return profile.Message{ID: o.ID.String(), Event: "paid", Body: fmt.Appendf(nil, "invoice %s\npaid %d\n", i.ID, i.Amount)}, nil
	},
	Signer: func(secrets []string) (profile.Sign, error) {
		return func(h http.Header, m profile.Message, at time.Time) { h.Set("Authorization", "Bearer "+secrets[0]) }, nil
	},
	NewSecret: profile.NewStandardSecret,
	Rotation:  profile.Rotation,
	Success:   func(status int) bool { return status == http.StatusOK },
	GivesUp:   func(status int) bool { return status == http.StatusGone },
	Timeout:   10 * time.Second,
	Schedule:  profile.Schedule{Pauses: []time.Duration{time.Minute, time.Hour}},
}

// adding: end

func TestAdding(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, db := newEngine(t, waybill.Config{})
	if _, err := db.Exec(openInvoicesTable); err != nil {
		t.Fatal(err)
	}
	// adding: lines
	engine, err := waybill.New(db, waybill.Config{
		Aggregates:  append(waybill.Aggregates(), invoices),
		Projections: append(waybill.Projections(), openInvoices),
		Profiles:    []*profile.Profile{plain},
		// adding: end
		MasterKey: bytes.Repeat([]byte{7}, 32), AllowTargets: loopback, AllowHTTP: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		body.ReadFrom(r.Body)
		got <- r.Header.Get("Authorization") + "\n" + body.String()
	}))
	defer receiver.Close()
	_, secret, err := engine.CreateWebhook(ctx, webhook.New{Name: "plain", URL: receiver.URL, Profile: "plain", Events: []string{"paid"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []domain.Command{
		issueInvoice{InvoiceID: "inv_1", Email: "customer@example.com", Amount: 1063}, issueInvoice{InvoiceID: "inv_2", Amount: 500},
		remindOfInvoice{InvoiceID: "inv_1", Channel: "email"}, payInvoice{InvoiceID: "inv_1"},
	} {
		must(t)(engine.Execute(ctx, command))
	}
	if _, err := engine.Execute(ctx, payInvoice{InvoiceID: "inv_1"}); err == nil || !strings.Contains(err.Error(), "invoice.pay is not allowed") {
		t.Errorf("paying twice: %v", err)
	}
	if _, err := engine.Execute(ctx, issueInvoice{}); err == nil || !strings.Contains(err.Error(), "has to be more than 0") {
		t.Errorf("an invoice of nothing: %v", err)
	}
	state, _, err := engine.State(ctx, invoiceStream("inv_1"))
	if err != nil || state != (invoice{"inv_1", "paid", "customer@example.com", 1063}) {
		t.Errorf("the invoice is %+v, %v", state, err)
	}

	relay, err := engine.Relay()
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- relay.Run(running) }()
	if got, want := <-got, "Bearer "+secret.Reveal()+"\ninvoice inv_1\npaid 1063\n"; got != want {
		t.Errorf("the receiver was told %q, want %q", got, want)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	if err := engine.Rebuild(ctx, "open_invoices", nil); err != nil {
		t.Fatal(err)
	}
	var open string
	if err := db.QueryRow(`SELECT string_agg(id || ' ' || amount, ',') FROM open_invoices WHERE generation = live_generation('open_invoices')`).Scan(&open); err != nil || open != "inv_2 500" {
		t.Errorf("open invoices are %q, %v", open, err)
	}

	old := domain.NewCodec(domain.EventOf[invoiceReminded]("Somebody was reminded of an invoice.", remindedV1))
	e, err := old.Decode(domain.Recorded{Type: "invoice.reminded", SchemaVersion: 1, Data: []byte(`{"by":"letter"}`)})
	if err != nil || e != (invoiceReminded{"letter"}) {
		t.Errorf("an event of version 1 is read as %+v, %v", e, err)
	}
}

// docs/adding.md shows the code above.
func TestAddingGolden(t *testing.T) {
	t.Parallel()
	source := readFile(t, "adding_test.go")
	page := readFile(t, "docs/adding.md")
	got := page
	for _, part := range []string{"aggregate", "event", "upcast", "projection", "profile", "lines"} {
		_, code, _ := strings.Cut(source, "// adding: "+part+"\n")
		code, _, _ = strings.Cut(code, "// adding: end\n")
		code = strings.TrimRight(code, "\t\n") + "\n"
		if part == "lines" {
			code = strings.ReplaceAll(strings.ReplaceAll(code, "\n\t", "\n"), "\tengine", "engine") + "\t// …\n})\n"
		}
		got = replaceBetween(t, got, "<!-- "+part+" -->\n```go\n", "```\n", code)
	}
	if *update {
		if err := os.WriteFile("docs/adding.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != page {
		t.Error("docs/adding.md does not show the code of adding_test.go: run make generate")
	}
}
