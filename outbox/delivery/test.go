package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sort"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// TestRun is what came of sending test messages to a webhook.
type TestRun struct {
	StartedAt      time.Time `json:"startedAt"` // UTC
	TestsRun       int       `json:"testsRun"`
	TestsSucceeded int       `json:"testsSucceeded"`
	TestsFailed    int       `json:"testsFailed"`
	Tests          []Test    `json:"tests"` // by name
}

// Test is one message.
type Test struct {
	ID              string `json:"id"`   // of the delivery, as the log of deliveries has it
	Name            string `json:"name"` // of the event, in the profile's words
	Success         bool   `json:"success"`
	Status          int    `json:"status"` // 0 where no response came
	LatencyMS       int    `json:"latencyMs"`
	ResponseExcerpt string `json:"responseExcerpt"`
	Error           string `json:"error"` // empty where it succeeded
}

// Tester sends test messages. DB, Sealer and Profiles are needed; the rest is as in [Config].
type Tester struct {
	DB           *sql.DB
	Sealer       *webhook.Sealer
	Profiles     profile.Set
	Clock        func() time.Time
	Transport    http.RoundTripper
	AllowTargets []netip.Prefix
}

// testsAtOnce is how many test messages are under way at a time.
const testsAtOnce = 8

// Test sends a webhook a sample of an event, or where event is empty one of each that it subscribes to, and waits for the answers. Each is
// one attempt, signed like any other, with an id of its own. It is sent also where the webhook is inactive or its circuit open, whatever
// its filter says, and counts neither for its health nor against its rate; the log of deliveries shows it as a test.
//
// It returns a [*domain.NotFoundError], or a [*webhook.InvalidError] for an event that the profile does not have.
func (c Tester) Test(ctx context.Context, workspace, webhookID, event string) (TestRun, error) {
	const op = "test a webhook"
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Transport == nil {
		transport := NewTransport(c.AllowTargets, Limits{SendersPerWebhook: testsAtOnce})
		defer transport.CloseIdleConnections()
		c.Transport = transport
	}
	number, t, err := scanTarget(c.DB.QueryRowContext(ctx, selectTargets+` AND w.workspace = $1 AND w.id = $2`, workspace, webhookID), c.Profiles, c.Sealer)
	if errors.Is(err, sql.ErrNoRows) {
		return TestRun{}, &domain.NotFoundError{Kind: "webhook", ID: webhookID}
	}
	if err != nil {
		return TestRun{}, pgerr.Wrap(op, err)
	}
	if t.fault != nil {
		return TestRun{}, fmt.Errorf("test webhook %s: %w", webhookID, t.fault)
	}
	names := t.events
	switch {
	case event != "":
		names = []string{event}
	case len(names) == 0:
		for _, e := range t.profile.Events {
			names = append(names, e.Name)
		}
	}
	messages := make([]profile.Message, len(names))
	for i, name := range names {
		if messages[i], err = t.sample(name, c.Clock()); errors.As(err, new(*profile.UnknownEventError)) {
			return TestRun{}, &webhook.InvalidError{Fields: []domain.FieldError{{Field: "event", Message: err.Error()}}}
		}
		if err != nil {
			return TestRun{}, err
		}
	}
	sort.Slice(messages, func(i, j int) bool { return messages[i].Event < messages[j].Event })

	run := TestRun{StartedAt: c.Clock().UTC().Truncate(time.Microsecond), TestsRun: len(messages), Tests: make([]Test, len(messages))}
	outcomes := make([]*outcome, len(messages))
	send := sender{transport: c.Transport, clock: c.Clock}
	slots := make(chan struct{}, testsAtOnce)
	var sending sync.WaitGroup
	for i, m := range messages {
		slots <- struct{}{}
		sending.Go(func() {
			defer func() { <-slots }()
			o := &outcome{item: &item{attempts: t.schedule.Retries()}, startedAt: c.Clock()} // so that a failure is the end
			o.response(t, send.attempt(ctx, t, m), func(time.Duration) time.Duration { return 0 })
			outcomes[i] = o
		})
	}
	sending.Wait()
	for i, o := range outcomes {
		id := uuid.MustParse(messages[i].ID)
		run.Tests[i] = Test{ID: ID(webhookID, id), Name: messages[i].Event, Success: o.kind == delivered, Status: o.status,
			LatencyMS: int(o.duration.Milliseconds()), ResponseExcerpt: o.excerpt, Error: o.problem}
		if o.kind == delivered {
			run.TestsSucceeded++
		} else {
			run.TestsFailed++
		}
	}
	return run, recordTests(ctx, c.DB, number, messages, outcomes)
}

// sample renders a sample of an event, with an id that no other message has.
func (t *target) sample(name string, now time.Time) (profile.Message, error) {
	o, err := t.profile.Sample(name)
	if err != nil {
		return profile.Message{}, err
	}
	o.Workspace, o.ID, o.RecordedAt, o.Include = t.workspace, uuid.Must(uuid.NewV7()), now.UTC().Truncate(time.Microsecond), t.include
	return t.render(o)
}

const insertTests = `
INSERT INTO attempts (webhook, transaction_id, position, number, started_at, duration_ms, outcome, status_code, error_class, error,
	response_headers, response_excerpt, test_id, test_event)
SELECT $1, era_base() | pg_current_xact_id()::text::bigint, -nextval('tests'), 1, t.started_at, t.duration_ms, t.outcome, nullif(t.status_code, 0),
	nullif(t.error_class, ''), nullif(t.error, ''), nullif(t.response_headers, '')::json, nullif(t.response_excerpt, ''), t.test_id, t.test_event
FROM unnest($2::timestamptz[], $3::integer[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[])
	AS t (started_at, duration_ms, outcome, status_code, error_class, error, response_headers, response_excerpt, test_id, test_event)`

func recordTests(ctx context.Context, db *sql.DB, webhook int64, messages []profile.Message, outcomes []*outcome) error {
	var started, kinds, classes, problems, headers, excerpts, ids, events pq.StringArray
	var durations, statuses pq.Int64Array
	for i, o := range outcomes {
		started = append(started, o.startedAt.UTC().Format(time.RFC3339Nano))
		durations, statuses = append(durations, o.duration.Milliseconds()), append(statuses, int64(o.status))
		kinds, classes, problems = append(kinds, string(o.kind)), append(classes, classOf(o.problem)), append(problems, o.problem)
		headers, excerpts = append(headers, o.headers), append(excerpts, o.excerpt)
		ids, events = append(ids, messages[i].ID), append(events, messages[i].Event)
	}
	// Also where the caller has gone meanwhile: the receiver was called.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	_, err := db.ExecContext(ctx, insertTests, webhook, started, durations, kinds, statuses, classes, problems, headers, excerpts, ids, events)
	return pgerr.Wrap("record tests", err)
}
