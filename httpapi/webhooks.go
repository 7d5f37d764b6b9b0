package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/delivery"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// Webhook is a subscription.
type Webhook struct {
	ID        string    `json:"id" example:"wh_0d8n4cxfw1q2v7r9kz3m5p6t8b"`
	Name      string    `json:"name" example:"shop" doc:"Unique in the workspace."`
	URL       string    `json:"url" example:"https://shop.example.com/hooks"`
	Profile   string    `json:"profile" example:"native" doc:"Which platform's names, bodies, headers and signature it gets."`
	Events    []string  `json:"events" nullable:"false" doc:"The profile's names; empty means all."`
	Include   []string  `json:"include" nullable:"false" doc:"What the profile adds to its bodies."`
	Filter    string    `json:"filter" doc:"A CEL expression over event and body; only what it is true for is sent. Empty lets everything through."`
	RateLimit int       `json:"rateLimit" doc:"Attempts a second; 0 is no limit."`
	Retries   []string  `json:"retries" example:"[\"5s\",\"5m0s\"]" doc:"The longest pause before each retry; null is the profile's schedule."`
	Ordered   bool      `json:"ordered" doc:"A failing delivery holds back the later ones of the same order."`
	Active    bool      `json:"active" doc:"False also where failures have disabled it."`
	Health    Health    `json:"health"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt" doc:"Of its settings."`
}

// Health tells how a webhook's receiver fares.
type Health struct {
	State               string     `json:"state" enum:"healthy,failing,circuit_open,disabled"`
	ConsecutiveFailures int        `json:"consecutiveFailures" doc:"Attempts, over all events."`
	FailingSince        *time.Time `json:"failingSince"`
	CircuitOpenedAt     *time.Time `json:"circuitOpenedAt" doc:"Nothing is sent from then on until a reset."`
	DisabledReason      string     `json:"disabledReason"`
}

// CreatedWebhook is a webhook that was just made, with its secret, which is not shown again.
type CreatedWebhook struct {
	Webhook
	Secret string `json:"secret" doc:"Signs what the webhook is sent. It is shown here and never again. Empty where the profile needs none and none was given."`
}

func webhookOf(w webhook.Webhook) Webhook {
	shown := Webhook{
		ID: w.ID, Name: w.Name, URL: w.URL, Profile: w.Profile, Events: append([]string{}, w.Events...), Include: append([]string{}, w.Include...),
		Filter: w.Filter, RateLimit: w.RateLimit, Ordered: w.Ordered, Active: w.Active, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		Health: Health{string(w.Health.State), w.Health.ConsecutiveFailures, w.Health.FailingSince, w.Health.CircuitOpenedAt, w.Health.DisabledReason},
	}
	if w.Retries != nil {
		shown.Retries = make([]string, len(w.Retries))
		for i, pause := range w.Retries {
			shown.Retries[i] = pause.String()
		}
	}
	return shown
}

func (a *api) webhookOperations() {
	handle(a, operation{
		id: "createWebhook", method: http.MethodPost, path: inside + "/webhooks", tag: "webhooks", status: http.StatusCreated,
		summary: "Subscribe a webhook",
		about:   "It is told of every event that is committed from then on. The answer shows its secret, which is not shown again.",
	}, a.createWebhook)
	handle(a, operation{
		id: "listWebhooks", method: http.MethodGet, path: inside + "/webhooks", tag: "webhooks",
		summary: "The workspace's webhooks, the oldest first",
	}, a.listWebhooks)
	handle(a, operation{
		id: "getWebhook", method: http.MethodGet, path: inside + "/webhooks/{webhook}", tag: "webhooks",
		summary: "One webhook",
	}, a.getWebhook)
	handle(a, operation{
		id: "updateWebhook", method: http.MethodPatch, path: inside + "/webhooks/{webhook}", tag: "webhooks",
		summary: "Change a webhook",
		about:   "What is left out stays as it is. Attempts that begin afterwards follow the change. With active it is enabled and disabled.",
	}, a.updateWebhook)
	handle(a, operation{
		id: "deleteWebhook", method: http.MethodDelete, path: inside + "/webhooks/{webhook}", tag: "webhooks", status: http.StatusNoContent,
		summary: "End a subscription",
		about:   "What is still to be delivered is dropped; the attempts that were made stay on record.",
	}, a.deleteWebhook)
	handle(a, operation{
		id: "testWebhook", method: http.MethodPost, path: inside + "/webhooks/{webhook}/tests", tag: "webhooks", patience: testPatience,
		summary: "Send test messages, and wait for the answers",
		about: "One for the event named, or one for each event that the webhook subscribes to. They are signed like all others, go out also where the " +
			"webhook is inactive, and count neither for nor against its health.",
	}, a.testWebhook)
	handle(a, operation{
		id: "rotateWebhookSecret", method: http.MethodPost, path: inside + "/webhooks/{webhook}/secret-rotations", tag: "webhooks",
		summary: "Give a webhook a new secret",
		about:   "The answer shows it, and it is not shown again. The old one signs beside it for a day.",
	}, a.rotateWebhookSecret)
	handle(a, operation{
		id: "resetWebhook", method: http.MethodPost, path: inside + "/webhooks/{webhook}/reset", tag: "webhooks",
		summary: "Close a webhook's circuit",
		about:   "Its failures are forgotten, and it is enabled where they had disabled it. What waits goes out, in order.",
	}, a.resetWebhook)
}

// NewWebhook says what a webhook shall be.
type NewWebhook struct {
	Name      string   `json:"name" minLength:"1" maxLength:"100" example:"shop" doc:"Unique in the workspace."`
	URL       string   `json:"url" minLength:"1" maxLength:"2048" example:"https://shop.example.com/hooks" doc:"Where to POST to: https, and a public address."`
	Events    []string `json:"events,omitempty" maxItems:"200" doc:"The profile's names, see GET /v1/webhooks/events. Left out or empty: all, where the profile allows that."`
	Profile   string   `json:"profile,omitempty" maxLength:"40" example:"native" doc:"Left out: native if all of the events are native's, else the first profile that has them all."`
	Secret    string   `json:"secret,omitempty" maxLength:"200" writeOnly:"true" doc:"In the form that the profile needs. Left out: a new one is made, where the profile needs one."`
	Active    *bool    `json:"active,omitempty" doc:"Left out: true, but false with profile up42."`
	Include   []string `json:"include,omitempty" maxItems:"100" doc:"What the profile shall add to its bodies."`
	Filter    string   `json:"filter,omitempty" maxLength:"4096" example:"body.data.order.total > 10000" doc:"A CEL expression over event and body; only what it is true for is sent."`
	RateLimit int      `json:"rateLimit,omitempty" minimum:"0" doc:"Attempts a second; 0 is no limit."`
	Retries   Retries  `json:"retries,omitzero"`
	Ordered   *bool    `json:"ordered,omitempty" doc:"Whether a failing delivery holds back the later ones of the same order. Left out: true."`
}

// WebhookUpdate says what shall become different. What is left out stays.
type WebhookUpdate struct {
	Name      *string   `json:"name,omitempty" minLength:"1" maxLength:"100"`
	URL       *string   `json:"url,omitempty" minLength:"1" maxLength:"2048"`
	Events    *[]string `json:"events,omitempty" maxItems:"200"`
	Active    *bool     `json:"active,omitempty" doc:"True also enables a webhook that failures have disabled."`
	Include   *[]string `json:"include,omitempty" maxItems:"100"`
	Filter    *string   `json:"filter,omitempty" maxLength:"4096" doc:"Empty lets everything through."`
	RateLimit *int      `json:"rateLimit,omitempty" minimum:"0" doc:"0 is no limit."`
	Retries   Retries   `json:"retries,omitzero"`
	Ordered   *bool     `json:"ordered,omitempty"`
	Secret    *string   `json:"secret,omitempty" minLength:"1" maxLength:"200" writeOnly:"true" doc:"Becomes the secret, in the form that the profile needs; the old one signs beside it for a day. The one that it has already changes nothing."`
}

// Retries is a schedule that may be left out, or be null for the profile's own.
type Retries struct {
	Given  bool
	Pauses []string
}

// Schema implements [huma.SchemaProvider].
func (Retries) Schema(huma.Registry) *huma.Schema {
	most := 30
	return &huma.Schema{Type: huma.TypeArray, Nullable: true, Items: &huma.Schema{Type: huma.TypeString}, MaxItems: &most,
		Description: "The longest pause before each retry, such as 30s, 5m or 2h; an empty list for no retries, null for the profile's schedule."}
}

// UnmarshalJSON notes that there is something, and be it null.
func (r *Retries) UnmarshalJSON(text []byte) error {
	r.Given = true
	return json.Unmarshal(text, &r.Pauses)
}

// MarshalJSON is the reverse.
func (r Retries) MarshalJSON() ([]byte, error) { return json.Marshal(r.Pauses) }

// durations returns nil for null.
func (r Retries) durations() ([]webhook.Duration, error) {
	if r.Pauses == nil {
		return nil, nil
	}
	durations, wrong := make([]webhook.Duration, len(r.Pauses)), []domain.FieldError(nil)
	for i, text := range r.Pauses {
		if err := durations[i].UnmarshalText([]byte(text)); err != nil {
			wrong = append(wrong, domain.FieldError{Field: "retries[" + strconv.Itoa(i) + "]", Message: "has to be a duration such as 30s, 5m or 2h"})
		}
	}
	if wrong != nil {
		return nil, invalid(wrong...)
	}
	return durations, nil
}

type createWebhookRequest struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Up to 255 printable characters of the client's choice. The same request under the same key gets the first answer again, for at least a day."`
	Body NewWebhook
}

func (a *api) createWebhook(ctx context.Context, c caller, in *createWebhookRequest) (*reply[CreatedWebhook], error) {
	n, err := in.Body.wanted(a)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, c, in.Key, "createWebhook", in.Body, n, func(w webhook.Webhook, secret webhook.Secret) *reply[CreatedWebhook] {
		return replyWith(CreatedWebhook{webhookOf(w), secret.Reveal()})
	})
}

// wanted fills in what depends on the profile.
func (n NewWebhook) wanted(a *api) (webhook.New, error) {
	retries, err := n.Retries.durations()
	profile := n.Profile
	if profile == "" {
		profile = a.profileOf(n.Events)
	}
	active := profile != up42 // UP42 makes webhooks that wait to be tested first
	if n.Active != nil {
		active = *n.Active
	}
	return webhook.New{
		Name: n.Name, URL: n.URL, Events: n.Events, Profile: profile, Secret: webhook.Secret(n.Secret),
		Inactive: !active, Unordered: n.Ordered != nil && !*n.Ordered,
		Include: n.Include, Filter: n.Filter, RateLimit: n.RateLimit, Retries: retries,
	}, err
}

type webhooksRequest struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

func (a *api) listWebhooks(ctx context.Context, c caller, in *webhooksRequest) (*page[Webhook], error) {
	listing := listing{"webhooks", c.workspace.Name()}
	place, err := listing.place(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, next, err := c.workspace.Webhooks(ctx, place, in.Limit)
	if err != nil {
		return nil, err
	}
	shown := make([]Webhook, len(found))
	for i, w := range found {
		shown[i] = webhookOf(w)
	}
	return pageOf(shown, listing.cursor(next)), nil
}

type webhookRequest struct {
	Webhook string `path:"webhook" doc:"The webhook's id."`
}

func (a *api) getWebhook(ctx context.Context, c caller, in *webhookRequest) (*reply[Webhook], error) {
	w, err := c.workspace.Webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	return replyWith(webhookOf(w)), nil
}

type updateWebhookRequest struct {
	Webhook string `path:"webhook" doc:"The webhook's id."`
	Body    WebhookUpdate
}

func (a *api) updateWebhook(ctx context.Context, c caller, in *updateWebhookRequest) (*reply[Webhook], error) {
	u := webhook.Update{
		Name: in.Body.Name, URL: in.Body.URL, Events: in.Body.Events, Include: in.Body.Include, Filter: in.Body.Filter,
		RateLimit: in.Body.RateLimit, Active: in.Body.Active, Ordered: in.Body.Ordered,
	}
	if in.Body.Retries.Given {
		retries, err := in.Body.Retries.durations()
		if err != nil {
			return nil, err
		}
		u.Retries = &retries
	}
	if in.Body.Secret != nil {
		u.Secret = new(webhook.Secret(*in.Body.Secret))
	}
	w, err := c.workspace.UpdateWebhook(ctx, in.Webhook, u)
	if err != nil {
		return nil, err
	}
	return replyWith(webhookOf(w)), nil
}

func (a *api) deleteWebhook(ctx context.Context, c caller, in *webhookRequest) (*struct{}, error) {
	return nil, c.workspace.DeleteWebhook(ctx, in.Webhook)
}

// testPatience is for some hundred events, of which a few are under way at a time, and receivers that let us wait.
const testPatience = 5 * time.Minute

// WebhookTest says what to test.
type WebhookTest struct {
	Event string `json:"event,omitempty" maxLength:"100" doc:"One of the profile's names. Left out: every event that the webhook subscribes to."`
}

type testWebhookRequest struct {
	Webhook string `path:"webhook" doc:"The webhook's id."`
	Body    *WebhookTest
}

func (a *api) testWebhook(ctx context.Context, c caller, in *testWebhookRequest) (*reply[delivery.TestRun], error) {
	event := ""
	if in.Body != nil {
		event = in.Body.Event
	}
	run, err := c.workspace.TestWebhook(ctx, in.Webhook, event)
	if err != nil {
		return nil, err
	}
	return replyWith(run), nil
}

// SecretRotation may bring the new secret.
type SecretRotation struct {
	Secret string `json:"secret,omitempty" maxLength:"200" writeOnly:"true" doc:"In the form that the profile needs. Left out: a new one is made."`
}

// RotatedSecret is the new secret.
type RotatedSecret struct {
	Secret      string    `json:"secret" doc:"Signs from now on. It is shown here and never again."`
	OldSignsTil time.Time `json:"oldSecretSignsUntil" doc:"Up to then the old secret signs too."`
}

type rotateSecretRequest struct {
	Webhook string `path:"webhook" doc:"The webhook's id."`
	Body    *SecretRotation
}

func (a *api) rotateWebhookSecret(ctx context.Context, c caller, in *rotateSecretRequest) (*reply[RotatedSecret], error) {
	var given webhook.Secret
	if in.Body != nil {
		given = webhook.Secret(in.Body.Secret)
	}
	secret, until, err := c.workspace.RotateWebhookSecret(ctx, in.Webhook, given)
	if err != nil {
		return nil, err
	}
	return replyWith(RotatedSecret{secret.Reveal(), until.UTC()}), nil
}

func (a *api) resetWebhook(ctx context.Context, c caller, in *webhookRequest) (*reply[Webhook], error) {
	w, err := c.workspace.ResetWebhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	return replyWith(webhookOf(w)), nil
}
