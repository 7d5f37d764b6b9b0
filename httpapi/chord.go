package httpapi

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

const chord = "chord"

// chordOperations are Chord's own, as its documentation shows them: https://chord-commerce.gitbook.io/oms-guide.
func (a *api) chordOperations() {
	handle(a, operation{
		id: "createChordEndpoint", method: http.MethodPost, path: "/api/webhook/endpoints", tag: "compatibility", status: http.StatusCreated,
		summary: "Subscribe a webhook as Chord OMS does",
		about: "It is made in the token's workspace, with profile chord, and without a secret. Chord's documentation does not show the answer; " +
			"this one has the form of the request.",
	}, a.createChordEndpoint)
}

// ChordEndpoint is a webhook as Chord OMS puts it.
type ChordEndpoint struct {
	ID        string    `json:"id"`
	TargetURL string    `json:"target_url"`
	Events    []string  `json:"events" nullable:"false"`
	CreatedAt time.Time `json:"created_at"`
}

// NewChordEndpoint says what such a webhook shall be.
type NewChordEndpoint struct {
	Endpoint struct {
		TargetURL string   `json:"target_url" minLength:"1" maxLength:"2048" example:"https://example.com/my/webhook/endpoint"`
		Events    []string `json:"events" minItems:"1" maxItems:"200" nullable:"false" example:"[\"order_completed\",\"order_cancelled\"]"`
	} `json:"endpoint"`
}

type chordRequest struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"As in createWebhook."`
	Body NewChordEndpoint
}

type chordReply struct {
	Body struct {
		Endpoint ChordEndpoint `json:"endpoint"`
	}
}

func (a *api) createChordEndpoint(ctx context.Context, c caller, in *chordRequest) (*chordReply, error) {
	n := webhook.New{
		Name: chordName(in.Body.Endpoint.TargetURL), URL: in.Body.Endpoint.TargetURL, Events: in.Body.Endpoint.Events, Profile: chord,
	}
	reply, err := once(ctx, a, c, in.Key, "createChordEndpoint", in.Body, n, func(w webhook.Webhook, _ webhook.Secret) *chordReply {
		reply := &chordReply{}
		reply.Body.Endpoint = ChordEndpoint{w.ID, w.URL, w.Events, w.CreatedAt}
		return reply
	})
	return reply, inChordsWords(err)
}

// chordName makes up what Chord's endpoints do not have: a name, which says where it leads, and is nobody else's.
func chordName(target string) string {
	host := "endpoint"
	if u, err := url.Parse(target); err == nil && u.Hostname() != "" && len(u.Hostname()) < 64 {
		host = u.Hostname()
	}
	return "Chord " + host + " " + strings.ToLower(rand.Text()[:8])
}

// inChordsWords names the fields as the request does.
func inChordsWords(err error) error {
	if p, _ := problemOf(err); err != nil && p.Code == "invalid_request" {
		for i, f := range p.Details {
			switch f.Field {
			case "url":
				p.Details[i].Field = "endpoint.target_url"
			case "events":
				p.Details[i].Field = "endpoint.events"
			}
		}
		return invalid(p.Details...)
	}
	return err
}
