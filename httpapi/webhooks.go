package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

// Webhook is a subscription.
type Webhook struct {
	ID        string    `json:"id" example:"wh_0d8n4cxfw1q2v7r9kz3m5p6t8b"`
	Name      string    `json:"name" example:"shop" doc:"Unique in the workspace."`
	URL       string    `json:"url" example:"https://shop.example.com/hooks"`
	Profile   string    `json:"profile" example:"native" doc:"Which platform's names, bodies, headers and signature it gets."`
	Events    []string  `json:"events" nullable:"false" doc:"The profile's names; empty means all."`
	Ordered   bool      `json:"ordered" doc:"A failing delivery holds back the later ones of the same order."`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"createdAt"`
}

// CreatedWebhook is a webhook that was just made, with its secret, which is not shown again.
type CreatedWebhook struct {
	Webhook
	Secret string `json:"secret" doc:"Signs what the webhook is sent. It is shown here and never again. Empty where the profile needs none and none was given."`
}

func webhookOf(w webhook.Webhook) Webhook {
	return Webhook{
		ID: w.ID, Name: w.Name, URL: w.URL, Profile: w.Profile, Events: append([]string{}, w.Events...),
		Ordered: w.Ordered, Active: w.Active, CreatedAt: w.CreatedAt,
	}
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
		id: "deleteWebhook", method: http.MethodDelete, path: inside + "/webhooks/{webhook}", tag: "webhooks", status: http.StatusNoContent,
		summary: "End a subscription",
		about:   "What is still to be delivered is dropped; the attempts that were made stay on record.",
	}, a.deleteWebhook)
}

// NewWebhook says what a webhook shall be.
type NewWebhook struct {
	Name    string   `json:"name" minLength:"1" maxLength:"100" example:"shop" doc:"Unique in the workspace."`
	URL     string   `json:"url" minLength:"1" maxLength:"2048" example:"https://shop.example.com/hooks" doc:"Where to POST to: https, and a public address."`
	Events  []string `json:"events,omitempty" maxItems:"200" doc:"The profile's names, see GET /v1/webhooks/events. Left out or empty: all, where the profile allows that."`
	Profile string   `json:"profile,omitempty" maxLength:"40" example:"native" doc:"Left out: native if all of the events are native's, else the only profile that has them all."`
	Secret  string   `json:"secret,omitempty" maxLength:"200" writeOnly:"true" doc:"In the form that the profile needs. Left out: a new one is made, where the profile needs one."`
	Active  *bool    `json:"active,omitempty" doc:"Left out: true, but false with profile up42."`
	Ordered *bool    `json:"ordered,omitempty" doc:"Whether a failing delivery holds back the later ones of the same order. Left out: true."`
}

type createWebhookRequest struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Up to 255 printable characters of the client's choice. The same request under the same key gets the first answer again, for at least a day."`
	Body NewWebhook
}

func (a *api) createWebhook(ctx context.Context, c caller, in *createWebhookRequest) (*reply[CreatedWebhook], error) {
	n := in.Body.wanted(a)
	return once(ctx, a, c, in.Key, "createWebhook", in.Body, n, func(w webhook.Webhook, secret webhook.Secret) *reply[CreatedWebhook] {
		return replyWith(CreatedWebhook{webhookOf(w), secret.Reveal()})
	})
}

// wanted fills in what depends on the profile.
func (n NewWebhook) wanted(a *api) webhook.New {
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
	}
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

func (a *api) deleteWebhook(ctx context.Context, c caller, in *webhookRequest) (*struct{}, error) {
	return nil, c.workspace.DeleteWebhook(ctx, in.Webhook)
}
