// Package webhook is the aggregate that tells how webhooks fare: when a receiver begins to fail and recovers, when its circuit opens, when
// it is disabled, and when somebody resets it. What happened is decided where attempts are recorded; here it becomes history, so that
// owners are told of it like of anything else.
package webhook

import (
	"errors"
	"time"

	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Name is the aggregate's name, the first half of its streams' names.
const Name = "webhook"

// Webhook is a webhook as far as its owner has been told of it.
type Webhook struct {
	Name                string     `json:"name"`
	URL                 string     `json:"url"`
	Profile             string     `json:"profile"`
	State               string     `json:"state"` // healthy, failing, circuit_open or disabled
	ConsecutiveFailures int        `json:"consecutiveFailures"`
	FailingSince        *time.Time `json:"failingSince,omitempty"`
	DisabledReason      string     `json:"disabledReason,omitempty"`
}

// States of a webhook.
const (
	Healthy     = "healthy"
	Failing     = "failing"
	CircuitOpen = "circuit_open"
	Disabled    = "disabled"
)

// Health is the machine of the states that an owner is told of.
var Health = &domain.Machine{
	Name:    "webhook",
	Initial: Healthy,
	Moves: fsm.Events{
		{Name: "failing", Src: []string{Healthy}, Dst: Failing},
		{Name: "recovered", Src: []string{Failing}, Dst: Healthy},
		{Name: "circuit_opened", Src: []string{Healthy, Failing}, Dst: CircuitOpen},
		{Name: "disabled", Src: []string{Healthy, Failing, CircuitOpen}, Dst: Disabled},
		{Name: "reset", Src: []string{Failing, CircuitOpen, Disabled}, Dst: Healthy},
	},
}

// Report is the command that tells what has happened to a webhook. Reporting what is known already changes nothing.
type Report struct {
	WebhookID           string     `json:"webhookId"`
	Kind                string     `json:"kind"` // the name of one of the moves of [Health]
	Name                string     `json:"name"`
	URL                 string     `json:"url"`
	Profile             string     `json:"profile"`
	ConsecutiveFailures int        `json:"consecutiveFailures"`
	FailingSince        *time.Time `json:"failingSince,omitempty"` // UTC
	Reason              string     `json:"reason,omitempty"`
	OccurredAt          time.Time  `json:"occurredAt"` // UTC
}

// CommandName implements [domain.Command].
func (Report) CommandName() string { return "webhook.report" }

// StreamID implements [domain.Command].
func (c Report) StreamID() domain.StreamID { return domain.StreamID{Aggregate: Name, ID: c.WebhookID} }

// Validate implements [domain.Command].
func (c Report) Validate() error {
	var fields []domain.FieldError
	if c.WebhookID == "" {
		fields = append(fields, domain.FieldError{Field: "webhookId", Message: "is missing"})
	}
	if c.event() == nil {
		fields = append(fields, domain.FieldError{Field: "kind", Message: "has to be failing, recovered, circuit_opened, disabled or reset"})
	}
	if fields == nil {
		return nil
	}
	return &domain.InvalidCommandError{Command: c.CommandName(), Fields: fields}
}

// facts are what every event of a webhook says.
type facts struct {
	Name                string     `json:"name"` // of the webhook, as it was then
	URL                 string     `json:"url"`
	Profile             string     `json:"profile"`
	ConsecutiveFailures int        `json:"consecutiveFailures"` // attempts in a row; of what recovered or was reset, before that
	FailingSince        *time.Time `json:"failingSince,omitempty"`
	OccurredAt          time.Time  `json:"occurredAt"`
}

// The events of a webhook.
type (
	// StartedFailing says that so many attempts in a row have failed that the owner should know.
	StartedFailing struct{ facts }
	// Recovered says that an attempt has succeeded, after the owner was told of failures.
	Recovered struct{ facts }
	// CircuitOpened says that so many attempts in a row have failed that nothing is sent any more until a reset.
	CircuitOpened struct{ facts }
	// WasDisabled says that the webhook is told of nothing any more.
	WasDisabled struct {
		facts
		Reason string `json:"reason"`
	}
	// WasReset says that somebody has closed the circuit, or enabled the webhook again.
	WasReset struct{ facts }
)

// EventType implements [domain.Event].
func (StartedFailing) EventType() string { return "webhook.failing" }

// EventType implements [domain.Event].
func (Recovered) EventType() string { return "webhook.recovered" }

// EventType implements [domain.Event].
func (CircuitOpened) EventType() string { return "webhook.circuit_opened" }

// EventType implements [domain.Event].
func (WasDisabled) EventType() string { return "webhook.disabled" }

// EventType implements [domain.Event].
func (WasReset) EventType() string { return "webhook.reset" }

// event is what the command reports, or nil.
func (c Report) event() domain.Event {
	f := facts{c.Name, c.URL, c.Profile, c.ConsecutiveFailures, c.FailingSince, c.OccurredAt}
	switch c.Kind {
	case "failing":
		return StartedFailing{f}
	case "recovered":
		return Recovered{f}
	case "circuit_opened":
		return CircuitOpened{f}
	case "disabled":
		return WasDisabled{f, c.Reason}
	case "reset":
		return WasReset{f}
	}
	return nil
}

// decide reports what the machine allows. Anything else is no news: a reset of failures that were too few to tell of, for one.
func decide(w Webhook, command domain.Command) ([]domain.Event, error) {
	report, ok := command.(Report)
	if !ok {
		return nil, errors.New("webhook: unknown command " + command.CommandName())
	}
	if w.State == "" {
		w.State = Health.Initial
	}
	if _, ok := Health.Fire(w.State, report.Kind); !ok {
		return nil, nil
	}
	return []domain.Event{report.event()}, nil
}

func evolve(w Webhook, event domain.Event, _ time.Time) Webhook {
	// States are written out, and not asked of the machine: its table may change one day, and history may not.
	take := func(state string, f facts) {
		w.State = state
		w.Name, w.URL, w.Profile, w.ConsecutiveFailures, w.FailingSince, w.DisabledReason = f.Name, f.URL, f.Profile, f.ConsecutiveFailures, f.FailingSince, ""
	}
	switch e := event.(type) {
	case StartedFailing:
		take(Failing, e.facts)
	case Recovered:
		take(Healthy, e.facts)
		w.ConsecutiveFailures, w.FailingSince = 0, nil
	case CircuitOpened:
		take(CircuitOpen, e.facts)
	case WasDisabled:
		take(Disabled, e.facts)
		w.DisabledReason = e.Reason
	case WasReset:
		take(Healthy, e.facts)
		w.ConsecutiveFailures, w.FailingSince = 0, nil
	}
	return w
}

// Aggregate describes webhooks to the engine.
func Aggregate() *domain.Aggregate {
	return domain.Define(Name, []*domain.Machine{Health}, domain.NewCodec(
		domain.EventOf[StartedFailing]("Several attempts in a row have failed."),
		domain.EventOf[Recovered]("An attempt has succeeded after several have failed."),
		domain.EventOf[CircuitOpened]("Too many attempts in a row have failed: nothing is sent any more until the webhook is reset."),
		domain.EventOf[WasDisabled]("The webhook is told of nothing any more: its receiver is gone, or has failed for too long."),
		domain.EventOf[WasReset]("The circuit was closed, or the webhook enabled again."),
	), decide, evolve)
}
