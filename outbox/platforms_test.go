package outbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// live appends a life, as its aggregate decides on it.
func (k *kit) live(aggregate *domain.Aggregate, life ...domain.Command) {
	k.t.Helper()
	state, facts := aggregate.New(), []eventstore.Fact(nil)
	for _, command := range life {
		events, err := aggregate.Decide(state, command)
		check(k.t, err)
		for _, e := range events {
			data, version, err := aggregate.Codec.Encode(e)
			check(k.t, err)
			facts = append(facts, eventstore.Fact{Type: e.EventType(), SchemaVersion: version, Data: data})
			state = aggregate.Evolve(state, e, time.Now())
		}
	}
	check(k.t, k.events.Append(ctx, eventstore.NewBatch("default", life[0].StreamID(), eventstore.Head{}, facts, json.RawMessage(`{}`), time.Now(), nil)))
}

// What each platform promises of one delivery, over the wire and from the first attempt to the last: a POST of JSON, as often as it says and
// when it says, each with the id and the bytes of the first, signed with the keys and the time of its own moment, also while they are
// rotated. What counts as a failure there is one, and redirects are not followed.
func TestPlatformsOverTheWire(t *testing.T) {
	t.Parallel()
	const silence = 0 // the connection is closed without an answer
	aggregates := map[string]*domain.Aggregate{order.Name: order.Aggregate()}
	set := profile.All(aggregates)
	for name, c := range map[string]struct {
		event    string
		refusals []int // given in turns
		attempts int   // until it is given up, or delivered
		good     int   // answers the last of them; 0 where that is refused, too
	}{
		"native":        {"order.created", []int{500, 302, 404, silence}, 10, 0},
		"commercelayer": {"orders.create", []int{500, 302, 410, silence}, 11, 0},
		"chord":         {"order_completed", []int{203, 302, 410, 206, silence}, 6, 0},
		"goody":         {"order.created", []int{500, 302, 404, silence}, 8, 0},
		"ordergroove":   {"order.create", []int{500, 302, 410, silence}, 7, 299},
		"up42":          {"order.status", []int{500, 302, 404, silence}, 6, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, p := newKit(t), set[name]
			at := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
			type call struct {
				*http.Request
				body string
			}
			calls, answered := make(chan call), 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, h *http.Request) {
				body, err := io.ReadAll(h.Body)
				if err != nil {
					t.Error(err)
				}
				status := c.refusals[answered%len(c.refusals)]
				if answered++; answered == c.attempts && c.good != 0 {
					status = c.good
				}
				calls <- call{h, string(body)}
				if status == silence {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}))
			defer server.Close()
			store, err := webhook.NewStore(webhook.Config{DB: k.db.DB, Sealer: k.sealer, Profiles: set, AllowHTTP: true, Clock: at.Now})
			check(t, err)
			secrets := []string{p.NewSecret()} // the newest first
			w, _, err := store.Create(ctx, "default", webhook.New{Name: name, URL: server.URL + "/hook", Profile: name, Events: []string{c.event},
				Secret: webhook.Secret(secrets[0])})
			check(t, err)
			k.live(aggregates[order.Name],
				order.Create{OrderID: "ord_1", Currency: "USD", Customer: &order.Customer{ID: "cus_1"},
					LineItems: []order.LineItemInput{{ID: "1", Name: "Leaflet", SKU: "leaflet", Quantity: 1}}},
				order.Submit{OrderID: "ord_1"}, order.Place{OrderID: "ord_1"}, order.Cancel{OrderID: "ord_1"})
			relay := func() *running {
				return k.relay(func(config *Config) { config.Profiles, config.Aggregates, config.Clock = set, aggregates, at.Now })
			}
			run := relay()

			var event uuid.UUID
			var body string
			var rotated time.Time
			for n := 1; ; n++ {
				var got call
				select {
				case got = <-calls:
				case <-time.After(patience):
					t.Fatalf("waited in vain for attempt %d", n)
				}
				if n == 1 {
					body = got.body
					check(t, k.db.QueryRow(`SELECT e.id FROM deliveries d JOIN events e USING (transaction_id, position)`).Scan(&event))
				}
				if got.Method != http.MethodPost || got.URL.Path != "/hook" || got.Header.Get("Content-Type") != "application/json" || got.body != body {
					t.Errorf("attempt %d: %s %s %v\n%s\nwant %s", n, got.Method, got.URL.Path, got.Header, got.body, body)
				}
				sign, err := p.Signer(secrets)
				check(t, err)
				want, both := http.Header{}, http.Header{}
				message := profile.Message{ID: event.String(), Event: c.event, Body: []byte(body)}
				sign(want, message, at.Now())
				if sign, err = p.Signer([]string{secrets[0], secrets[0]}); err != nil {
					t.Fatal(err)
				}
				sign(both, message, at.Now())
				for header := range both {
					if got.Header.Get(header) != want.Get(header) {
						t.Errorf("attempt %d: %s is %q, want %q", n, header, got.Header.Get(header), want.Get(header))
					}
				}
				k.eventually("the attempt is recorded", `SELECT count(*) = $1 FROM attempts`, n)
				d, err := delivery.Show(ctx, k.db.DB, "default", w.ID, event)
				check(t, err)
				if d.Status != delivery.Retrying {
					if final := map[bool]delivery.Status{true: delivery.Delivered, false: delivery.GivenUp}[c.good != 0]; n != c.attempts || d.Status != final {
						t.Errorf("%s after %d attempts, want %s after %d", d.Status, n, final, c.attempts)
					}
					break
				}
				next := *d.NextAttemptAt
				if sweep := p.Schedule.Sweep; sweep > 0 {
					if want := at.Now().Truncate(sweep).Add(sweep); !next.Equal(want) {
						t.Errorf("attempt %d is followed by one at %s, want %s", n, next, want)
					}
				} else if pause, longest := next.Sub(at.Now()), p.Schedule.Pauses[n-1]; pause < 0 || pause > longest+time.Minute { // it took some time
					t.Errorf("attempt %d is followed by one after %s, want at most %s", n, pause, longest)
				}
				switch n {
				case 2: // both sign from now on
					run.stop() // rather than waiting until it notices
					rotated = at.Now()
					secret, until, err := store.RotateSecret(ctx, "default", w.ID, "")
					check(t, err)
					if !until.Equal(rotated.Add(24 * time.Hour)) {
						t.Errorf("the old secret signs until %s", until)
					}
					secrets = append([]string{secret.Reveal()}, secrets...)
					run = relay()
				case 4: // and from exactly a day on the new one alone
					if next.Before(rotated.Add(24 * time.Hour)) {
						next = rotated.Add(24 * time.Hour)
					}
					secrets = secrets[:1]
				}
				at.set(next)
			}
			if h := k.health(w.ID); (h.State == webhook.Healthy) != (c.good != 0) || h.State != webhook.Healthy && h.State != webhook.Failing {
				t.Errorf("in the end: %+v", h)
			}
			if notices := k.number(`SELECT count(*) FROM notices WHERE kind = 'failing' AND failures = 5`); (notices == 1) != (p.Circuit.NoticeAt == 5) {
				t.Errorf("%d notices to the owner", notices)
			}
			if logged := k.number(`SELECT count(*) FROM attempts WHERE coalesce(status_code, 0) = ($1::integer[])[1 + (number - 1) % cardinality($1::integer[])]`,
				pq.Array(c.refusals)); logged != c.attempts && c.good == 0 {
				t.Errorf("%d of %d attempts are logged with what was answered", logged, c.attempts)
			}
		})
	}
}
