package profile

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// NativeRetries are the longest pauses before each retry of the native profile. They are those of Svix, drawn out at the end, so
// that a receiver may be away for three days.
var NativeRetries = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Native is Waybill's own profile: the log's event types are the public names, and headers and signature follow the Standard
// Webhooks specification (https://www.standardwebhooks.com, version 1.0.0). A body looks like this:
//
//	{"type":"order.placed",
//	 "timestamp":"2026-01-02T03:04:05.678901Z",   when the event was recorded
//	 "data":{"eventId":"…","workspace":"default","orderId":"ord_1","version":3,
//	         "event":{…},                         the event's own data, as it was appended
//	         "order":{…}}}                        the order as it was right after the event
//
// Another aggregate puts its own name in the place of "order". An event that ends an aggregate's life (its type ends in
// ".destroyed") carries neither "event" nor the aggregate, only the ids.
func Native(aggregates map[string]*domain.Aggregate) *Profile {
	var events []Event
	for _, aggregate := range aggregates {
		for _, t := range aggregate.Codec.Types() {
			events = append(events, Event{Name: t.Name, Description: t.Description, Types: []string{t.Name}})
		}
	}
	sort.Slice(events, func(i, j int) bool { return events[i].Name < events[j].Name })
	return &Profile{
		Name:    "native",
		Events:  events,
		All:     true,
		Render:  renderNative,
		Signer:  StandardSigner,
		Success: successful,
		GivesUp: gone,
		Timeout: 15 * time.Second,
		Retries: NativeRetries,
	}
}

func renderNative(o Occurrence) (Message, error) {
	var state json.RawMessage
	whole := !strings.HasSuffix(o.Type, ".destroyed")
	if whole {
		var err error
		if state, err = json.Marshal(o.After); err != nil {
			return Message{}, fmt.Errorf("render %s as of version %d: %w", o.Stream, o.Version, err)
		}
	}
	id, name := o.ID.String(), lowerCamel(o.Stream.Aggregate)
	b := make([]byte, 0, 256+len(o.Data)+len(state))
	b = text(append(b, '{'), "type", o.Type)
	b = text(b, "timestamp", o.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z"))
	b = append(b, `,"data":{`...)
	b = text(b, "eventId", id)
	b = text(b, "workspace", o.Workspace)
	b = text(b, name+"Id", o.Stream.ID)
	b = field(b, "version", strconv.AppendInt(nil, int64(o.Version), 10))
	if whole {
		b = field(b, "event", o.Data)
		b = field(b, name, state)
	}
	b = append(b, '}', '}')
	return Message{ID: id, Event: o.Type, Body: b}, nil
}

// SecretPrefix begins every Standard Webhooks secret.
const SecretPrefix = "whsec_"

// DecodeStandardSecret returns the key that a Standard Webhooks secret stands for: 24 to 64 bytes in base64 behind "whsec_".
func DecodeStandardSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return nil, errors.New("a secret has to begin with " + SecretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("behind " + SecretPrefix + " a secret has to be base64")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("a secret has to have 24 to 64 bytes, not %d", len(key))
	}
	return key, nil
}

// StandardSigner signs as the Standard Webhooks specification says: headers webhook-id, webhook-timestamp and webhook-signature, the
// last being "v1," and the base64 HMAC-SHA256 of "id.timestamp.body", once for each secret, separated by spaces.
func StandardSigner(secrets []string) (Sign, error) {
	pools := make([]*sync.Pool, len(secrets)) // of keyed hashes: setting one up costs as much as signing a small body
	for i, secret := range secrets {
		key, err := DecodeStandardSecret(secret)
		if err != nil {
			return nil, err
		}
		pools[i] = &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
	}
	return func(header http.Header, m Message, at time.Time) {
		timestamp := strconv.FormatInt(at.Unix(), 10)
		prefix := m.ID + "." + timestamp + "."
		signatures := make([]byte, 0, len(pools)*(3+base64.StdEncoding.EncodedLen(sha256.Size)+1))
		for i, pool := range pools {
			if i > 0 {
				signatures = append(signatures, ' ')
			}
			signatures = append(signatures, "v1,"...)
			mac := pool.Get().(hash.Hash)
			mac.Reset()
			mac.Write([]byte(prefix))
			mac.Write(m.Body)
			var sum [sha256.Size]byte
			signatures = base64.StdEncoding.AppendEncode(signatures, mac.Sum(sum[:0]))
			pool.Put(mac)
		}
		header["Webhook-Id"] = []string{m.ID}
		header["Webhook-Timestamp"] = []string{timestamp}
		header["Webhook-Signature"] = []string{string(signatures)}
	}, nil
}
