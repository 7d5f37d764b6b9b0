package chaos

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// What a relay process is patient about, short enough for a run of a minute.
const (
	leaseTTL       = 2 * time.Second
	attemptTimeout = 700 * time.Millisecond
)

var (
	loopback   = netip.MustParsePrefix("127.0.0.0/8")
	aggregates = map[string]*domain.Aggregate{order.Name: order.Aggregate()}
)

// sendHeader names the attempt in a request, so that a receiver's notes and a sender's can be laid side by side.
const sendHeader = "Chaos-Send"

// hasty is the native profile, but for its patience: it is short, and never ends.
func hasty() profile.Set {
	p := *profile.Native(aggregates)
	p.Timeout = attemptTimeout
	p.Schedule.Pauses = make([]time.Duration, 100_000)
	for i := range p.Schedule.Pauses {
		p.Schedule.Pauses[i] = min(time.Duration(10*(i+1))*time.Millisecond, 200*time.Millisecond)
	}
	return profile.NewSet(&p)
}

// hastyButPatient tries again at once, and waits long for an answer.
func hastyButPatient() profile.Set {
	set := hasty()
	set["native"].Timeout = patience
	return set
}

// relayMain is what a relay process does until ctx ends. As under any supervisor, it starts again where the database is not there.
func relayMain(ctx context.Context, role role, clock *clock) error {
	log := slog.New(slog.NewTextHandler(role.log, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withCause}))
	db, err := sql.Open("postgres", role.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(16)
	notes, err := openNotes(role.Notes)
	if err != nil {
		return err
	}
	sealer, err := webhook.NewSealer(role.MasterKey)
	if err != nil {
		return err
	}
	limits := delivery.Limits{LeaseTTL: leaseTTL, PollInterval: 20 * time.Millisecond, StopGrace: time.Second}
	var next http.RoundTripper = delivery.NewTransport([]netip.Prefix{loopback}, limits)
	if role.Broken {
		next = &saboteur{next: next, sent: map[Delivery]int{}}
	}
	relay, err := outbox.New(outbox.Config{
		DB: db, Aggregates: aggregates, History: eventstore.New(db).StreamsAt, Sealer: sealer, Profiles: hasty(), Clock: clock.Now, Logger: log,
		Transport: &notingTransport{notes: notes, next: next},
		Limits:    limits,
	})
	if err != nil {
		return err
	}
	go noteStalls(ctx, notes)
	for ctx.Err() == nil {
		if err := relay.Run(ctx); err != nil {
			log.Warn("the relay did not start", "error", err)
			wait(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

// withCause adds what the database itself said, which errors keep to themselves.
func withCause(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
			a.Value = slog.StringValue(err.Error() + ": " + cause.Error())
		}
	}
	return a
}

// sendNote is a line of a relay process's notes: an attempt that begins or ends, or a time for which the process stood still.
type sendNote struct {
	Begin, End string `json:",omitempty"` // an attempt's id
	Stall      int64  `json:",omitempty"` // since when
	Delivery
	At      int64
	Status  int    `json:",omitempty"`
	Problem string `json:",omitempty"`
}

// notingTransport takes notes of every attempt, and names it in a header.
type notingTransport struct {
	notes *notes
	next  http.RoundTripper
}

func (t *notingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	id := rand.Text()
	r.Header.Set(sendHeader, id)
	t.notes.note(sendNote{Begin: id, Delivery: deliveryOf(r), At: now()})
	response, err := t.next.RoundTrip(r)
	end := sendNote{End: id, At: now()}
	if err != nil {
		end.Problem = err.Error()
	} else {
		end.Status = response.StatusCode
	}
	t.notes.note(end)
	return response, err
}

// deliveryOf says what is being delivered. URLs end in the webhook's name.
func deliveryOf(r *http.Request) Delivery {
	return Delivery{Webhook: strings.TrimPrefix(r.URL.Path, "/"), Event: r.Header.Get("webhook-id")}
}

// noteStalls notes when the machine did not let the process run for so long that its view of its leases may be off.
func noteStalls(ctx context.Context, notes *notes) {
	const tick = 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		at := now()
		if at-last > int64(leaseTTL/20) {
			notes.note(sendNote{Stall: last, At: at})
		}
		last = at
	}
}
