package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
)

// The vector of the Standard Webhooks libraries.
func TestStandardSignature(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	message := Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`)}
	for secrets, signature := range map[*[]string]string{
		{secret}:         want,
		{secret, secret}: want + " " + want,
	} {
		sign, err := StandardSigner(*secrets)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time with a hash that was used before
			header := http.Header{}
			sign(header, message, time.Unix(1614265330, 0))
			if got := header.Get("webhook-signature"); got != signature {
				t.Errorf("signature %s, want %s", got, signature)
			}
			if header.Get("webhook-id") != message.ID || header.Get("webhook-timestamp") != "1614265330" {
				t.Errorf("headers %v", header)
			}
		}
	}
}

func TestStandardSecrets(t *testing.T) {
	for secret, valid := range map[string]bool{
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":   true, // 24 bytes
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==":   false,
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":         false,
		"whsec_AAAA":                               false,
		"whsec_not base64 at all, but long enough": false,
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": false, // 69 bytes
	} {
		if _, err := DecodeStandardSecret(secret); (err == nil) != valid {
			t.Errorf("%s: %v, want valid %v", secret, err, valid)
		}
	}
}

type renamed struct {
	Name string `json:"name"`
}
type destroyed struct{}

func (renamed) EventType() string   { return "stock_item.renamed" }
func (destroyed) EventType() string { return "stock_item.destroyed" }

type item struct {
	Name string `json:"name"`
}

var items = map[string]*domain.Aggregate{"stock_item": domain.Define("stock_item", nil,
	domain.NewCodec(domain.EventOf[renamed]("It has a new name."), domain.EventOf[destroyed]("It is gone.")),
	func(item, domain.Command) ([]domain.Event, error) { return nil, nil },
	func(i item, e domain.Event, _ time.Time) item { return i })}

func TestNativeBodies(t *testing.T) {
	native := Native(items)
	recorded := domain.Recorded{
		Workspace: "acme", Stream: domain.StreamID{Aggregate: "stock_item", ID: "sku_1"}, Version: 3,
		ID: uuid.MustParse("019a0000-0000-7000-8000-000000000001"), Type: "stock_item.renamed", Data: json.RawMessage(`{"name":"<b>"}`),
		RecordedAt: time.Date(2026, 1, 2, 4, 4, 5, 120000, time.FixedZone("", 3600)),
	}
	for eventType, want := range map[string]string{
		"stock_item.renamed": `{"type":"stock_item.renamed","timestamp":"2026-01-02T03:04:05.000120Z","data":{` +
			`"eventId":"019a0000-0000-7000-8000-000000000001","workspace":"acme","stockItemId":"sku_1","version":3,` +
			`"event":{"name":"<b>"},"stockItem":{"name":"box"}}}`,
		"stock_item.destroyed": `{"type":"stock_item.destroyed","timestamp":"2026-01-02T03:04:05.000120Z","data":{` +
			`"eventId":"019a0000-0000-7000-8000-000000000001","workspace":"acme","stockItemId":"sku_1","version":3}}`,
	} {
		recorded.Type = eventType
		var first []byte
		for range 3 {
			m, err := native.Render(Occurrence{Recorded: recorded, After: item{Name: "box"}})
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Body) != want || m.ID != recorded.ID.String() || m.Event != eventType {
				t.Errorf("got %s\nwant %s", m.Body, want)
			}
			if !json.Valid(m.Body) || first != nil && !bytes.Equal(first, m.Body) {
				t.Errorf("not JSON, or not the same again: %s", m.Body)
			}
			first = m.Body
		}
	}
}

func TestNativeTypes(t *testing.T) {
	native := Native(items)
	for _, c := range []struct{ names, want []string }{
		{nil, nil},
		{[]string{"stock_item.renamed"}, []string{"stock_item.renamed"}},
		{[]string{"stock_item.renamed", "stock_item.destroyed", "stock_item.renamed"}, []string{"stock_item.destroyed", "stock_item.renamed"}},
	} {
		if got, err := native.Types(c.names); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v, want %v", c.names, got, err, c.want)
		}
	}
	unknown := new(UnknownEventError)
	if _, err := native.Types([]string{"stock_item.renamed", "stock_item.eaten"}); !errors.As(err, &unknown) || unknown.Event != "stock_item.eaten" {
		t.Errorf("got %v", err)
	}
	picky := &Profile{Name: "picky", Events: native.Events}
	if _, err := picky.Types(nil); !errors.As(err, &unknown) || unknown.Event != "" {
		t.Errorf("got %v", err)
	}
}

func TestNativePolicy(t *testing.T) {
	native := Native(items)
	for status, want := range map[int]bool{200: true, 204: true, 299: true, 199: false, 300: false, 302: false, 404: false, 500: false} {
		if native.Success(status) != want {
			t.Errorf("success of %d is %v", status, !want)
		}
	}
	if !native.GivesUp(410) || native.GivesUp(404) {
		t.Error("410 alone ends a delivery")
	}
	if p := native.Schedule.Pauses; len(p) != 9 || p[0] != 5*time.Second || p[8] != 24*time.Hour || native.Timeout != 15*time.Second {
		t.Errorf("schedule %v, timeout %v", p, native.Timeout)
	}
}
