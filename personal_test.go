package waybill_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/webhook"
	"github.com/waybill-dev/waybill/projections/orders"
)

var masterKey = bytes.Repeat([]byte{7}, 32)

// personal is an order of a customer about whom there is much to forget.
func personal(id, customer string) order.Create {
	c := draft(id)
	c.Email = customer + "@example.com"
	c.Customer = &order.Customer{ID: customer, Email: c.Email, Name: "Name of " + customer, ExternalID: "ext_1"}
	c.ShippingAddress = &order.Address{FirstName: "First " + customer, LastName: "Last " + customer, Address1: "1 Street of " + customer, Country: "US", Phone: "+1 555 " + customer}
	c.BillingAddress = &order.Address{Company: "Company of " + customer, City: "City of " + customer, Country: "DE"}
	c.IPAddress = "192.0.2.77"
	return c
}

// secretsOf are what nobody may find of that customer.
func secretsOf(customer string) []string {
	return []string{customer + "@example.com", "Name of " + customer, "First " + customer, "1 Street of " + customer, "+1 555 " + customer, "Company of " + customer, "City of " + customer, "192.0.2.77"}
}

// shows says which of some secrets a text shows.
func shows(text string, secrets []string) (found []string) {
	for _, s := range secrets {
		if strings.Contains(text, s) {
			found = append(found, s)
		}
	}
	return found
}

// dump is every row of every table.
func dump(t testing.TB, db *sql.DB) string {
	t.Helper()
	var tables []string
	rows, err := db.Query(`SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	var all strings.Builder
	for _, table := range tables {
		var text string
		if err := db.QueryRow(`SELECT coalesce(string_agg(r::text, E'\n'), '') FROM ` + table + ` r`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s:\n%s\n", table, text)
	}
	return all.String()
}

func TestPersonalDataAtRestAndForgotten(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{MasterKey: masterKey, AllowTargets: loopback, AllowHTTP: true})

	// A receiver that repeats whatever it is told. When it is first told of ord_1 it takes its time, and then fails.
	var failed atomic.Bool
	forgotten := make(chan struct{})
	bodies, others := make(chan string, 100), make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte("ord_1")) {
			others <- string(body)
		} else if bodies <- string(body); failed.CompareAndSwap(false, true) {
			<-forgotten
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write([]byte("thanks for " + string(body[max(0, len(body)-1000):]) + "\n" + string(body)))
	}))
	defer server.Close()
	if _, _, err := engine.CreateWebhook(ctx, webhook.New{Name: "echo", URL: server.URL}); err != nil {
		t.Fatal(err)
	}
	relay, err := engine.Relay()
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- relay.Run(running) }()
	defer func() { stop(); <-stopped }()

	created := must(t)(engine.Execute(ctx, personal("ord_1", "cus_1"), waybill.IdempotencyKey("k")))
	if first := <-bodies; len(shows(first, secretsOf("cus_1"))) != len(secretsOf("cus_1")) {
		t.Errorf("the receiver is told\n%s", first)
	}
	must(t)(engine.Execute(ctx, personal("ord_2", "cus_2")))
	if second := <-others; len(shows(second, secretsOf("cus_2"))) != len(secretsOf("cus_2")) {
		t.Errorf("the receiver is told\n%s", second)
	}
	must(t)(engine.Execute(ctx, order.Update{OrderID: "ord_1", ShippingAddress: &order.Address{City: "City of cus_1", Country: "US"}}))
	whole, err := engine.Order(ctx, "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	before := history(t, engine, "ord_1")

	// Whoever asks sees everything, and nothing of it is at rest.
	if text := string(created.Events[0].Data) + asJSON(t, whole) + string(before[0].Data); strings.Count(text, "cus_1@example.com") != 6 || strings.Contains(text, "$personal") {
		t.Errorf("seen is %s", text)
	}
	if string(created.Events[0].Data) != string(before[0].Data) || string(created.Events[0].Stored()) != string(before[0].Stored()) {
		t.Errorf("appended was %+v, the log has %+v", created.Events[0], before[0])
	}
	if found := shows(dump(t, db), append(secretsOf("cus_1"), secretsOf("cus_2")...)); found != nil {
		t.Errorf("the database shows %q", found)
	}

	keys, err := engine.Forget(ctx, "cus_1")
	if err != nil || keys != 1 {
		t.Fatalf("%d keys were destroyed, %v", keys, err)
	}
	close(forgotten)

	// Nobody sees it again: not in the order, now or as it was, not in its events, and not in what is sent from now on.
	stranger, err := waybill.New(db, waybill.Config{MasterKey: masterKey})
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*waybill.Engine{"the process that forgot": engine, "another": stranger} {
		erased, err := e.Order(ctx, "ord_1")
		if err != nil {
			t.Fatal(err)
		}
		then, err := e.Order(ctx, "ord_1", waybill.AtVersion(1))
		if err != nil {
			t.Fatal(err)
		}
		after := history(t, e, "ord_1") // verifies the chain, too
		if found := shows(asJSON(t, erased)+asJSON(t, then)+asJSON(t, after), secretsOf("cus_1")); found != nil {
			t.Errorf("%s still shows %q", name, found)
		}
		want := *whole.Customer
		want.Email, want.Name = domain.Erased, domain.Erased
		if *erased.Customer != want || erased.Email != domain.Erased || then.ShippingAddress.Phone != domain.Erased || then.ShippingAddress.Address2 != "" ||
			erased.ShippingAddress.Country != "US" || erased.Total != 1000 {
			t.Errorf("%s shows %s", name, asJSON(t, erased))
		}
		for i := range after {
			if !bytes.Equal(after[i].Hash, before[i].Hash) || string(after[i].Stored()) != string(before[i].Stored()) || strings.Contains(string(after[i].Data), "$personal") {
				t.Errorf("%s: version %d was changed", name, i+1)
			}
		}
		if n, err := e.VerifyOrder(ctx, "ord_1"); n != 2 || err != nil {
			t.Errorf("%d events verified, %v", n, err)
		}
		if other, err := e.Order(ctx, "ord_2"); err != nil || other.Email != "cus_2@example.com" || other.Customer.Name != "Name of cus_2" {
			t.Errorf("another customer is shown as %+v, %v", other.Customer, err)
		}
		repeated := must(t)(e.Execute(ctx, personal("ord_1", "cus_1"), waybill.IdempotencyKey("k")))
		if !repeated.Repeated || len(shows(string(repeated.Events[0].Data), secretsOf("cus_1"))) > 0 {
			t.Errorf("the command comes to %+v", repeated)
		}
	}
	for range 2 { // order.created again, and then order.updated
		if body := <-bodies; len(shows(body, secretsOf("cus_1"))) > 0 || !strings.Contains(body, `"email":"[erased]"`) || strings.Contains(body, "$personal") {
			t.Errorf("sent is %s", body)
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	stopped <- nil
	text := dump(t, db)
	if found := shows(text, append(secretsOf("cus_1"), secretsOf("cus_2")...)); found != nil {
		t.Errorf("the database shows %q", found)
	}
	if !strings.Contains(text, "thanks for ") || !strings.Contains(text, `shippingAddress`) {
		t.Error("the receiver's answers are not there at all")
	}

	if keys, err := engine.Forget(ctx, "cus_1"); keys != 0 || err != nil {
		t.Errorf("forgotten once more: %d keys, %v", keys, err)
	}
	// The customer comes back.
	must(t)(engine.Execute(ctx, personal("ord_3", "cus_1")))
	if o, err := stranger.Order(ctx, "ord_3"); err != nil || o.Email != "cus_1@example.com" {
		t.Errorf("after the return: %q, %v", o.Email, err)
	}
	list, err := engine.PersonalKeys(ctx, "cus_1")
	if err != nil || len(list) != 2 || list[0].DestroyedAt == nil || list[1].DestroyedAt != nil || !list[1].Wrapped || !list[1].Current {
		t.Errorf("keys are %+v, %v", list, err)
	}
	if list, err := engine.Workspace("other").PersonalKeys(ctx, "cus_1"); len(list) != 0 || err != nil {
		t.Errorf("another workspace sees %+v, %v", list, err)
	}
}

// two are the engines of two processes on one database, which have a watch in common.
func two(t testing.TB, watch func() time.Time) (here, there *waybill.Engine) {
	t.Helper()
	db := pgtest.New(t).DB
	engines := make([]*waybill.Engine, 2)
	for i := range engines {
		var err error
		if engines[i], err = waybill.NewWithWatch(db, waybill.Config{}, watch); err != nil {
			t.Fatal(err)
		}
	}
	return engines[0], engines[1]
}

// Two processes: one that did not destroy a key itself believes in it for so long and no longer, whatever it has in memory.
func TestForgettingReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	here, there := two(t, clock)
	email := func(e *waybill.Engine) string {
		t.Helper()
		o, err := e.Order(ctx, "ord_1")
		if err != nil {
			t.Fatal(err)
		}
		return o.Email
	}
	must(t)(here.Execute(ctx, personal("ord_1", "cus_1")))
	if email(there) != "cus_1@example.com" || email(here) != "cus_1@example.com" {
		t.Fatal("the order is not readable")
	}
	if _, err := here.Forget(ctx, "cus_1"); err != nil {
		t.Fatal(err)
	}
	if got := email(here); got != domain.Erased {
		t.Errorf("the process that forgot shows %q", got)
	}
	if got := email(there); got != "cus_1@example.com" {
		t.Logf("the other process shows %q already", got)
	}
	offset.Store(int64(vault.DefaultTTL))
	if got := email(there); got != domain.Erased {
		t.Errorf("the other process shows %q after %s", got, vault.DefaultTTL)
	}
	// What is decided is decided on what is known now: the same address as before is news.
	result := must(t)(there.Execute(ctx, order.Update{OrderID: "ord_1", Email: ptr("cus_1@example.com")}))
	if len(result.Events) != 1 || email(there) != "cus_1@example.com" {
		t.Errorf("the update came to %+v", result)
	}
}

// A state in memory that was folded before somebody else destroyed a key is not what an update is compared with.
func TestUpdateAfterForgettingElsewhere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	here, there := two(t, clock)
	must(t)(here.Execute(ctx, personal("ord_1", "cus_1")))
	if _, err := there.Forget(ctx, "cus_1"); err != nil {
		t.Fatal(err)
	}
	offset.Store(int64(vault.DefaultTTL))
	c := personal("ord_1", "cus_1")
	must(t)(here.Execute(ctx, order.Update{OrderID: "ord_1", Email: &c.Email, Customer: c.Customer, Note: ptr("new")}))
	if o, err := there.Order(ctx, "ord_1"); err != nil || o.Email != c.Email || *o.Customer != *c.Customer || o.Note != "new" || o.ShippingAddress.LastName != domain.Erased {
		t.Errorf("the order is %s, %v", asJSON(t, o), err)
	}
}

func ptr[T any](v T) *T { return &v }

// Events from before there were keys: plain ones are read as they are, also where a user wrote what looks like something sealed.
func TestOldPlainEvents(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{MasterKey: masterKey})
	must(t)(engine.Execute(ctx, personal("ord_0", "cus_1")))
	keys, err := engine.PersonalKeys(ctx, "cus_1")
	if err != nil {
		t.Fatal(err)
	}
	old := order.Created{
		OrderID: "ord_1", Currency: "USD", Email: `{"$personal":["` + keys[0].ID.String() + `.AAAA"],`, Note: "[erased]",
		Customer: &order.Customer{ID: "cus_1", Email: "old@example.com"}, Metadata: map[string]string{"$personal": "x"},
	}
	data, version, err := order.Aggregate().Codec.Encode(old)
	if err != nil {
		t.Fatal(err)
	}
	batch := eventstore.NewBatch("default", domain.StreamID{Aggregate: "order", ID: "ord_1"}, eventstore.Head{},
		[]eventstore.Fact{{Type: "order.created", SchemaVersion: version, Data: data}}, json.RawMessage(`{"command":"order.create"}`), time.Now(), nil)
	if err := eventstore.New(db).Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		o, err := engine.Order(ctx, "ord_1")
		if err != nil || o.Email != old.Email || *o.Customer != *old.Customer || o.Note != old.Note {
			t.Errorf("the order is %s, %v", asJSON(t, o), err)
		}
		if events := history(t, engine, "ord_1"); string(events[0].Data) != string(data) || events[0].Sealed != nil {
			t.Errorf("the event is %+v", events[0])
		}
	}
	check()
	if _, err := engine.Forget(ctx, "cus_1"); err != nil {
		t.Fatal(err)
	}
	check()
}

// A guest's order belongs to nobody but itself, until somebody says whose it is: then it is forgotten with the customer.
func TestGuestBecomesCustomer(t *testing.T) {
	t.Parallel()
	for _, inTx := range []bool{false, true} {
		t.Run(fmt.Sprintf("in a transaction: %v", inTx), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			engine, db := newEngine(t, waybill.Config{})
			execute := func(c domain.Command) {
				t.Helper()
				if !inTx {
					must(t)(engine.Execute(ctx, c))
					return
				}
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback()
				must(t)(engine.ExecuteTx(ctx, tx, c))
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			guest := func(id string) order.Create {
				c := personal(id, "guest")
				c.Customer.ID = ""
				return c
			}
			for _, id := range []string{"ord_1", "ord_2", "ord_3"} {
				execute(guest(id))
			}
			execute(order.Update{OrderID: "ord_1", Customer: &order.Customer{ID: "cus_1", Email: "cus_1@example.com"}})
			execute(order.Update{OrderID: "ord_2", Customer: &order.Customer{ID: "cus_2", Email: "cus_2@example.com"}})
			if n, err := engine.Forget(ctx, "cus_1"); n != 2 || err != nil {
				t.Errorf("%d keys were destroyed, %v", n, err)
			}
			if n, err := engine.ForgetStream(ctx, domain.StreamID{Aggregate: "order", ID: "ord_3"}); n != 1 || err != nil {
				t.Errorf("%d keys were destroyed, %v", n, err)
			}
			for _, id := range []string{"ord_1", "ord_3"} {
				if found := shows(asJSON(t, history(t, engine, id)), append(secretsOf("guest"), secretsOf("cus_1")...)); found != nil {
					t.Errorf("%s still shows %q", id, found)
				}
			}
			if found := shows(asJSON(t, history(t, engine, "ord_2")), secretsOf("guest")); len(found) != len(secretsOf("guest")) {
				t.Errorf("of ord_2 only %q is left", found)
			}
			// The customer of ord_2 is taken off it, and what is said of the next guest is not that customer's.
			execute(order.Update{OrderID: "ord_2", Customer: &order.Customer{}, Email: ptr("next@example.com")})
			if n, err := engine.Forget(ctx, "cus_2"); n != 2 || err != nil {
				t.Errorf("%d keys were destroyed, %v", n, err)
			}
			if o, err := engine.Order(ctx, "ord_2"); err != nil || o.Email != "next@example.com" || o.Customer != nil || o.IPAddress != domain.Erased {
				t.Errorf("ord_2 is %s, %v", asJSON(t, o), err)
			}
		})
	}
}

// A transaction with one connection for everything, and the first that the engine ever sees: it makes keys, reads with them, destroys them, and may come to nothing.
func TestPersonalDataInTransactions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{})
	db.SetMaxOpenConns(1)
	begin := func() *sql.Tx {
		t.Helper()
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	tx := begin()
	must(t)(engine.ExecuteTx(ctx, tx, personal("ord_1", "cus_1")))
	must(t)(engine.ExecuteTx(ctx, tx, personal("ord_2", "cus_1")))
	must(t)(engine.ExecuteTx(ctx, tx, order.Submit{OrderID: "ord_1"}))
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	must(t)(engine.Execute(ctx, personal("ord_1", "cus_1"))) // with a key that is there
	tx = begin()
	must(t)(engine.ExecuteTx(ctx, tx, personal("ord_2", "cus_1")))
	must(t)(engine.ExecuteTx(ctx, tx, personal("ord_3", "cus_3")))
	must(t)(engine.ExecuteTx(ctx, tx, personal("ord_4", "cus_3")))
	if n, err := engine.ForgetTx(ctx, tx, "cus_1"); n != 1 || err != nil {
		t.Fatalf("%d keys were destroyed, %v", n, err)
	}
	back := must(t)(engine.ExecuteTx(ctx, tx, personal("ord_5", "cus_1")))
	result := must(t)(engine.ExecuteTx(ctx, tx, order.Update{OrderID: "ord_1", Email: ptr("cus_1@example.com")})) // erased, so it is a change
	if len(result.Events) != 1 || len(back.Events) != 1 {
		t.Errorf("the update came to %+v", result)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(0)
	fresh, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"ord_1": "cus_1@example.com", "ord_2": domain.Erased, "ord_3": "cus_3@example.com", "ord_4": "cus_3@example.com", "ord_5": "cus_1@example.com",
	} {
		if o, err := fresh.Order(ctx, id); err != nil || o.Email != want {
			t.Errorf("%s has email %q, %v, want %q", id, o.Email, err, want)
		}
	}
	if o, err := fresh.Order(ctx, "ord_1"); err != nil || o.Customer.Email != domain.Erased {
		t.Errorf("ord_1: %+v, %v", o.Customer, err)
	}
	if list, err := fresh.PersonalKeys(ctx, "cus_3"); len(list) != 1 || err != nil {
		t.Errorf("one transaction made %d keys, %v", len(list), err)
	}
}

// Views show what is personal until it is forgotten: the row that is read, the one of the generation before, those that appends write, and
// whatever is in the memory of who writes them.
func TestViewsForget(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	following, db := newEngine(t, waybill.Config{})
	follow(t, following)
	writing, writingDB := newEngine(t, waybill.Config{Projections: inline()})
	for _, p := range waybill.Projections() {
		if err := writing.Rebuild(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, e := range map[string]struct {
		*waybill.Engine
		db *sql.DB
	}{"following": {following, db}, "inline": {writing, writingDB}} {
		catchUp := func() {
			if name == "following" {
				settled(t, e.Engine)
			}
		}
		list := func(email string) (ids []string) {
			t.Helper()
			page, err := e.Orders(ctx, orders.Filter{Email: email})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.Rows {
				ids = append(ids, row.ID)
			}
			slices.Sort(ids)
			return ids
		}
		for i, who := range []string{"cus_1", "cus_1", "cus_2"} {
			must(t)(e.Execute(ctx, personal(fmt.Sprintf("ord_%d", i+1), who)))
		}
		catchUp()
		if err := e.Rebuild(ctx, "orders", nil); err != nil { // the generation before is kept
			t.Fatal(err)
		}
		if got := list("CUS_1@example.com"); !slices.Equal(got, []string{"ord_1", "ord_2"}) {
			t.Errorf("%s: the view has %q", name, got)
		}
		if n, err := e.Forget(ctx, "cus_1"); n != 1 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		check := func() {
			t.Helper()
			if found := shows(dump(t, e.db), secretsOf("cus_1")[:5]); found != nil {
				t.Errorf("%s: the database shows %q", name, found)
			}
			if got := list("cus_1@example.com"); got != nil {
				t.Errorf("%s: the view has %q", name, got)
			}
			if got := list("cus_2@example.com"); !slices.Equal(got, []string{"ord_3"}) {
				t.Errorf("%s: of another customer the view has %q", name, got)
			}
			if page, err := e.Orders(ctx, orders.Filter{CustomerID: "cus_1"}); err != nil || len(page.Rows) != 2 || page.Rows[0].Email != domain.Erased {
				t.Errorf("%s: the view shows %+v, %v", name, page.Rows, err)
			}
			if v, err := e.Projections().Verify(ctx, "orders", 0, nil); err != nil || v.Different+v.Parked+v.Orphans > 0 {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
		}
		check()
		for i := range 2 { // what is in memory does not come back
			must(t)(e.Execute(ctx, order.Update{OrderID: fmt.Sprintf("ord_%d", i+1), Note: ptr("later")}))
		}
		catchUp()
		check()
		if err := e.Rebuild(ctx, "orders", nil); err != nil {
			t.Fatal(err)
		}
		check()
	}
}

// Forgetting against those who write rows at the same time: whoever comes first, in the end no row shows what is forgotten.
func TestViewsForgetUnderWay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{Projections: inline()})
	for _, p := range waybill.Projections() {
		if err := engine.Rebuild(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, engine)
	const rounds = 12
	for i := range rounds {
		must(t)(engine.Execute(ctx, personal(fmt.Sprintf("ord_%d", i), fmt.Sprintf("cus_%d", i))))
	}
	var wg sync.WaitGroup
	for i := range rounds {
		wg.Go(func() {
			if _, err := engine.Forget(ctx, fmt.Sprintf("cus_%d", i)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for n := range 5 {
				if _, err := engine.Execute(ctx, order.Update{OrderID: fmt.Sprintf("ord_%d", i), Note: ptr(fmt.Sprint(n))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if err := engine.Rebuild(ctx, "orders", nil); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	text := dump(t, db)
	for i := range rounds {
		if found := shows(text, []string{fmt.Sprintf("cus_%d@example.com", i)}); found != nil {
			t.Errorf("the database shows %q", found)
		}
	}
	if v, err := engine.Projections().Verify(ctx, "orders", 0, nil); err != nil || v.Streams != rounds || v.Different+v.Parked+v.Orphans > 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

type forgetter func(ctx context.Context, tx *sql.Tx, workspace string, subject vault.Subject, streams []domain.StreamID) error

func (f forgetter) Forget(ctx context.Context, tx *sql.Tx, workspace string, subject vault.Subject, streams []domain.StreamID) error {
	return f(ctx, tx, workspace, subject, streams)
}

func TestForgetters(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var told []string
	failure := errors.New("no")
	var engine *waybill.Engine
	var db *sql.DB
	engine, db = newEngine(t, waybill.Config{Forgetters: []waybill.Forgetter{forgetter(func(ctx context.Context, tx *sql.Tx, workspace string, subject vault.Subject, streams []domain.StreamID) error {
		page, err := eventstore.New(db, eventstore.WithVault(mustVault(t, db))).StreamTail(ctx, tx, workspace, domain.StreamID{Aggregate: "order", ID: "ord_1"}, 0)
		if err != nil || len(shows(string(page[0].Data), secretsOf("cus_1"))) > 0 {
			t.Errorf("within the transaction the event is %s, %v", page[0].Data, err)
		}
		told = append(told, fmt.Sprint(workspace, " ", subject, " ", streams))
		return failure
	})}})
	must(t)(engine.Execute(ctx, personal("ord_1", "cus_1")))
	if _, err := engine.Forget(ctx, "cus_1"); !errors.Is(err, failure) {
		t.Errorf("the failure of a forgetter is %v", err)
	}
	if o, err := engine.Order(ctx, "ord_1"); err != nil || o.Email != "cus_1@example.com" {
		t.Errorf("nothing should have happened: %q, %v", o.Email, err)
	}
	failure = nil
	if n, err := engine.Forget(ctx, "cus_1"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if want := []string{"default customer/cus_1 [order/ord_1]", "default customer/cus_1 [order/ord_1]"}; !slices.Equal(told, want) {
		t.Errorf("forgetters were told %q", told)
	}
}

func mustVault(t testing.TB, db *sql.DB) *vault.Vault {
	t.Helper()
	v, err := vault.New(vault.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A process with another master key, or none, says what is wrong; it neither shows garbage nor takes the data for erased. Verifying needs
// no key at all.
func TestWrongMasterKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{MasterKey: masterKey})
	must(t)(engine.Execute(ctx, personal("ord_1", "cus_1")))
	for name, config := range map[string]waybill.Config{"none": {}, "another": {MasterKey: bytes.Repeat([]byte{8}, 32)}} {
		stranger, err := waybill.New(db, config)
		if err != nil {
			t.Fatal(err)
		}
		var wrong *vault.KeyError
		if _, err := stranger.Order(ctx, "ord_1"); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "master key") {
			t.Errorf("%s: reading says %v", name, err)
		}
		if _, err := stranger.Execute(ctx, personal("ord_2", "cus_1")); !errors.As(err, &wrong) {
			t.Errorf("%s: writing says %v", name, err)
		}
		if n, err := stranger.VerifyOrder(ctx, "ord_1"); n != 1 || err != nil {
			t.Errorf("%s: %d events verified, %v", name, n, err)
		}
	}
	if _, err := waybill.New(db, waybill.Config{MasterKey: []byte("short")}); err == nil {
		t.Error("a short master key was accepted")
	}
}

// Many first uses at once, in two processes, make one key; and everybody reads what anybody wrote.
func TestFirstUseAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	here, db := newEngine(t, waybill.Config{})
	there, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := []*waybill.Engine{here, there}[i%2].Execute(ctx, personal(fmt.Sprintf("ord_%d", i), fmt.Sprintf("cus_%d", i%4))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var keys int
	if err := db.QueryRow(`SELECT count(*) FROM personal_keys`).Scan(&keys); err != nil || keys != 4 {
		t.Errorf("%d keys, %v", keys, err)
	}
	for i := range 40 {
		if o, err := []*waybill.Engine{there, here}[i%2].Order(ctx, fmt.Sprintf("ord_%d", i)); err != nil || o.Email != fmt.Sprintf("cus_%d@example.com", i%4) {
			t.Errorf("ord_%d: %q, %v", i, o.Email, err)
		}
	}
}

// A key that was made for an event which never came, as after a crash in between, is used by the next.
func TestCrashBetweenKeyAndAppend(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{MasterKey: masterKey})
	must(t)(engine.Execute(ctx, draft("ord_1")))
	if _, err := engine.Execute(ctx, personal("ord_1", "cus_9"), waybill.ExpectVersion(0)); err == nil { // a key is made, the append is refused
		t.Fatal("an order was created twice")
	}
	fresh, err := waybill.New(db, waybill.Config{MasterKey: masterKey})
	if err != nil {
		t.Fatal(err)
	}
	must(t)(fresh.Execute(ctx, personal("ord_2", "cus_9")))
	if o, err := engine.Order(ctx, "ord_2"); err != nil || o.Email != "cus_9@example.com" {
		t.Errorf("%q, %v", o.Email, err)
	}
	if list, err := engine.PersonalKeys(ctx, "cus_9"); len(list) != 1 || err != nil {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

// Whatever an order's personal fields hold, who reads it gets it back, and the log does not show it.
func TestSealedIsWhatItWas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	engine, db := newEngine(t, waybill.Config{MasterKey: masterKey, CacheSize: -1})
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 \"\\/<>&{}[]:,.@ü€😀\u2028\n")), 0, 12, -1)
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		mark := fmt.Sprintf("mark%dmark", runs) // something to look for
		c := order.Create{
			OrderID: fmt.Sprintf("ord_%d", runs), Currency: "USD", Note: text.Draw(t, "note"), CartURL: "https://example.com/",
			Customer:        &order.Customer{ID: rapid.SampledFrom([]string{"", "cus_1", "cus/2", `cus"3`}).Draw(t, "id"), Email: "a@example.com", Name: text.Draw(t, "name") + mark},
			ShippingAddress: &order.Address{FirstName: text.Draw(t, "first"), City: text.Draw(t, "city") + mark, Phone: mark, Country: text.Draw(t, "country")},
		}
		result, err := engine.Execute(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		o, err := engine.Order(ctx, c.OrderID)
		if err != nil || *o.Customer != *c.Customer || *o.ShippingAddress != *c.ShippingAddress || o.Note != c.Note {
			t.Fatalf("it is %+v, %v", o, err)
		}
		event, err := engine.Event(ctx, result.Events[0].ID)
		if err != nil || string(event.Data) != string(result.Events[0].Data) {
			t.Fatalf("the event is %s, it was %s, %v", event.Data, result.Events[0].Data, err)
		}
		var stored string
		if err := db.QueryRow(`SELECT data FROM events WHERE id = $1`, event.ID.String()).Scan(&stored); err != nil || strings.Contains(stored, mark) {
			t.Fatalf("the log shows %s, %v", stored, err)
		}
	})
}

// A command's fingerprint gives nothing away where there is a master key, and is known again from before there was one.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	plain, db := newEngine(t, waybill.Config{})
	keyed, err := waybill.New(db, waybill.Config{MasterKey: masterKey})
	if err != nil {
		t.Fatal(err)
	}
	c := personal("ord_1", "cus_1")
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	guess := sha256.Sum256(append([]byte("order.create\n"), text...))
	stored := func(key string) (fingerprint []byte) {
		t.Helper()
		if err := db.QueryRow(`SELECT fingerprint FROM idempotency_keys WHERE key = $1`, key).Scan(&fingerprint); err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	must(t)(plain.Execute(ctx, c, waybill.IdempotencyKey("before")))
	if !bytes.Equal(stored("before"), guess[:]) {
		t.Error("the fingerprint without a master key is not what it was")
	}
	if r := must(t)(keyed.Execute(ctx, c, waybill.IdempotencyKey("before"))); !r.Repeated {
		t.Errorf("the command was not known again: %+v", r)
	}
	c.OrderID = "ord_2"
	must(t)(keyed.Execute(ctx, c, waybill.IdempotencyKey("after")))
	text, _ = json.Marshal(c)
	if guess = sha256.Sum256(append([]byte("order.create\n"), text...)); bytes.Equal(stored("after"), guess[:]) {
		t.Error("whoever guesses the command can see from the fingerprint that the guess is right")
	}
	if r := must(t)(keyed.Execute(ctx, c, waybill.IdempotencyKey("after"))); !r.Repeated {
		t.Errorf("the command was not known again: %+v", r)
	}
	c.Email = "other@example.com"
	if _, err := keyed.Execute(ctx, c, waybill.IdempotencyKey("after")); !errors.As(err, new(*waybill.IdempotencyMismatchError)) {
		t.Errorf("another command under the same key: %v", err)
	}
}

// BenchmarkCreate makes orders: without a customer, of one that is known, and of a new one each time.
func BenchmarkCreate(b *testing.B) {
	db := pgtest.New(b).DB
	engine, err := waybill.New(db, waybill.Config{MasterKey: masterKey, CacheSize: -1})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for name, command := range map[string]func(id string) order.Create{
		"nobody":         func(id string) order.Create { c := draft(id); c.Customer, c.Email = nil, ""; return c },
		"known customer": func(id string) order.Create { return personal(id, "cus_1") },
		"new customer":   func(id string) order.Create { return personal(id, "cus_"+id) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				if _, err := engine.Execute(b.Context(), command(fmt.Sprintf("ord_%d", n))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
