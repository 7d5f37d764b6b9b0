package profile

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// UP42 is the profile of UP42. Its bodies are {"event":"order.status","body":{…,"status":"FULFILLED"}}, as the code that UP42 publishes
// for receivers reads them (github.com/up42/up42-webhooks).
func UP42(aggregates map[string]*domain.Aggregate) *Profile {
	p := &Profile{
		Name:           "up42",
		Signer:         up42Signer,
		SecretOptional: true,
		NewSecret:      newHexSecret,
		Rotation:       Rotation,
		Success:        successful,
		GivesUp:        gone,
		Timeout:        15 * time.Second,
		// UP42 names no retries; these are ours.
		Schedule: Schedule{Pauses: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour}},
	}
	return p.follow([]rule{
		tell("order.status", "Sent when the order status becomes FULFILLED or FAILED_PERMANENTLY.", up42OrderOf,
			func(c change[order.Order]) bool { return up42Ends(c.before) == "" && up42Ends(c.after) != "" },
			"order.fulfilled", "order.cancelled"),
	}, aggregates)
}

// up42Ends is the final status of an order, empty as long as there is none. What was fulfilled stays so, whatever is given back later.
func up42Ends(o order.Order) string {
	switch {
	case o.FulfillmentStatus == order.FulfillmentStatusFulfilled:
		return "FULFILLED"
	case o.Status == order.StatusCancelled:
		return "FAILED_PERMANENTLY"
	}
	return ""
}

type up42Message struct {
	Event string    `json:"event" schema:"event"`
	Body  up42Order `json:"body"`
}

type up42Order struct {
	ID            string            `json:"id"`
	DisplayName   string            `json:"displayName"`
	WorkspaceID   string            `json:"workspaceId"`
	Status        string            `json:"status"`
	StatusMessage *string           `json:"statusMessage"`
	CreatedAt     string            `json:"createdAt" schema:"date-time"`
	UpdatedAt     string            `json:"updatedAt" schema:"date-time"`
	Tags          map[string]string `json:"tags"`
}

func up42OrderOf(c change[order.Order]) up42Message {
	o := c.after
	moment := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }
	return up42Message{Event: c.name, Body: up42Order{
		ID: o.ID, DisplayName: cmp.Or(o.Number, o.ID), WorkspaceID: c.Workspace, Status: up42Ends(o), StatusMessage: orNull(o.CancelReason),
		CreatedAt: moment(o.CreatedAt), UpdatedAt: moment(o.UpdatedAt), Tags: o.Metadata,
	}}
}

// up42Signer signs as the code that UP42 publishes for receivers checks it, if there is a secret: Signature-Input names headers, and
// Signature is the base64 HMAC-SHA256 of their values, put together. Which headers is ours to choose, and Content-Digest (RFC 9530)
// among them makes it a signature of the body. That code reads one signature only, so that during a rotation the old secret's is in
// Signature-Previous.
func up42Signer(secrets []string) (Sign, error) {
	keys, err := plainKeys(secrets)
	if err != nil {
		return nil, err
	}
	return func(header http.Header, m Message, at time.Time) {
		header["Webhook-Id"] = []string{m.ID}
		if len(keys) == 0 {
			return
		}
		unix := strconv.FormatInt(at.Unix(), 10)
		sum := sha256.Sum256(m.Body)
		digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		header["Webhook-Timestamp"] = []string{unix}
		header["Content-Digest"] = []string{digest}
		header["Signature-Input"] = []string{`up42-sig=("webhook-id" "webhook-timestamp" "content-digest");created=` + unix}
		for i, name := range []string{"Signature", "Signature-Previous"}[:min(len(keys), 2)] {
			mac := keys[i](m.ID+unix+digest, nil)
			header[name] = []string{"up42-sig=" + base64.StdEncoding.EncodeToString(mac[:])}
		}
	}, nil
}
