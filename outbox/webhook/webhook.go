// Package webhook keeps the subscriptions: who wants to be told which events, where, and signed with which secret.
package webhook

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// Webhook is one subscription.
type Webhook struct {
	ID        string     `json:"id"` // wh_…
	Workspace string     `json:"workspace"`
	Name      string     `json:"name"` // unique in the workspace
	URL       string     `json:"url"`
	Profile   string     `json:"profile"`
	Events    []string   `json:"events"`            // the profile's names; empty means all
	Include   []string   `json:"include"`           // what the profile adds to its bodies
	Filter    string     `json:"filter"`            // a CEL expression over the body (see [Filter]); empty lets everything through
	RateLimit int        `json:"rateLimit"`         // attempts a second; 0 is no limit
	Retries   []Duration `json:"retries,omitempty"` // the longest pause before each retry; nil is the profile's schedule
	Ordered   bool       `json:"ordered"`           // a failing delivery holds back the later ones of the same stream
	Active    bool       `json:"active"`            // false also where failures have disabled it
	Health    Health     `json:"health"`
	CreatedAt time.Time  `json:"createdAt"` // UTC
	UpdatedAt time.Time  `json:"updatedAt"` // of its settings, UTC
}

// Health tells how a webhook's receiver fares.
type Health struct {
	State               State      `json:"state"`
	ConsecutiveFailures int        `json:"consecutiveFailures"` // attempts, over all events; as many as there were when it was stopped
	FailingSince        *time.Time `json:"failingSince,omitempty"`
	CircuitOpenedAt     *time.Time `json:"circuitOpenedAt,omitempty"`
	DisabledReason      string     `json:"disabledReason,omitempty"`
}

// State is a webhook's state of health.
type State string

const (
	Healthy     State = "healthy"
	Failing     State = "failing"      // the last attempt failed
	CircuitOpen State = "circuit_open" // too many in a row failed: nothing is sent until a reset, and what there is to send waits
	Disabled    State = "disabled"     // its receiver is gone, or has failed for too long: it is told of nothing any more
)

// New says what a webhook shall be. Only Name and URL are needed.
type New struct {
	Name      string
	URL       string     // http or https
	Events    []string   // the profile's names. Defaults to all, where the profile allows that
	Profile   string     // Defaults to "native"
	Secret    Secret     // Defaults to a random one, or to none where the profile can do without
	Inactive  bool       // make it, but deliver nothing yet
	Unordered bool       // deliver the events of one stream in any order
	Include   []string   // what the profile shall add to its bodies. Defaults to nothing
	Filter    string     // a CEL expression over the body, see [Filter]. Defaults to none
	RateLimit int        // attempts a second. Defaults to no limit
	Retries   []Duration // the longest pause before each retry; empty and not nil for none. Defaults to the profile's schedule
}

// Update says what shall become different about a webhook. What is nil stays.
type Update struct {
	Name, URL       *string
	Events, Include *[]string
	Filter          *string
	RateLimit       *int
	Retries         *[]Duration // a pointer to nil brings the profile's schedule back
	Active          *bool       // true also enables a webhook that failures have disabled; a circuit is closed by [Store.Reset] only
	Ordered         *bool
	Secret          *Secret // becomes the secret as by [Store.RotateSecret]; the one that it has already changes nothing
}

// Duration is a time.Duration that JSON has as a text, such as "5m0s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is not a duration such as 30s, 5m or 2h", text)
	}
	*d = Duration(parsed)
	return nil
}

// DefaultProfile is the profile of a webhook that names none.
const DefaultProfile = "native"

// InvalidError lists everything that is wrong with a webhook.
type InvalidError struct {
	Fields []domain.FieldError
}

func (e *InvalidError) Error() string {
	return (&domain.InvalidCommandError{Command: "webhook", Fields: e.Fields}).Error()
}

func (e *InvalidError) add(field, message string) {
	e.Fields = append(e.Fields, domain.FieldError{Field: field, Message: message})
}

// NameTakenError says that the workspace has a webhook of that name already.
type NameTakenError struct {
	Workspace string
	Name      string
}

func (e *NameTakenError) Error() string {
	return "workspace " + e.Workspace + " has a webhook named " + e.Name + " already"
}

const (
	maxNameLength = 100
	maxURLLength  = 2048
	maxEvents     = 200
	maxRateLimit  = 10_000 // attempts a second
	maxRetries    = 30
	maxPause      = 7 * 24 * time.Hour
)

// check adds everything that is wrong with a webhook's settings to invalid, and returns the log's event types that it subscribes to.
func (w *Webhook) check(profiles profile.Set, allowHTTP bool, invalid *InvalidError) (types []string) {
	switch {
	case strings.TrimSpace(w.Name) == "":
		invalid.add("name", "is missing")
	case utf8.RuneCountInString(w.Name) > maxNameLength || !printable(w.Name):
		invalid.add("name", "has to be at most 100 printable characters")
	}
	if message := checkURL(w.URL, allowHTTP); message != "" {
		invalid.add("url", message)
	}
	if w.RateLimit < 0 || w.RateLimit > maxRateLimit {
		invalid.add("rateLimit", "has to be between 1 and 10000 attempts a second, or 0 for no limit")
	}
	if len(w.Retries) > maxRetries {
		invalid.add("retries", "has to name at most 30 pauses")
	}
	for i, pause := range w.Retries {
		if pause < 0 || time.Duration(pause) > maxPause {
			invalid.add(fmt.Sprintf("retries[%d]", i), "has to be a pause between 0 and 168h")
		}
	}
	if w.Filter != "" {
		if _, err := CompileFilter(w.Filter); err != nil {
			invalid.add("filter", err.Error())
		}
	}
	p := profiles[w.Profile]
	if p == nil {
		invalid.add("profile", "has to be one of "+strings.Join(profiles.Names(), ", "))
		return nil
	}
	if err := p.CheckIncludes(w.Include); err != nil {
		invalid.add("include", err.Error())
	}
	types, err := p.Types(w.Events)
	switch {
	case len(w.Events) > maxEvents:
		invalid.add("events", "has to name at most 200 events")
	case err != nil:
		invalid.add("events", err.Error())
	}
	return sortedCopy(types)
}

// chooseSecret returns the secret to use where one was given, or none: a random one, unless the profile can do without.
func chooseSecret(p *profile.Profile, given Secret, invalid *InvalidError) Secret {
	if p == nil {
		return ""
	}
	if given == "" && !p.SecretOptional {
		given = Secret(p.NewSecret())
	}
	if given != "" {
		if _, err := p.Signer([]string{given.Reveal()}); err != nil {
			invalid.add("secret", strings.TrimPrefix(err.Error(), "a secret "))
		}
	}
	return given
}

// checkURL returns what is wrong with the URL of a receiver. Where the name leads to is checked at every connection, because that can
// change at any time.
func checkURL(address string, allowHTTP bool) string {
	if address == "" {
		return "is missing"
	}
	if len(address) > maxURLLength {
		return "has to be at most 2048 bytes"
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || !printable(address):
		return "is not a URL"
	case u.Scheme != "https" && u.Scheme != "http":
		return "has to begin with https://"
	case u.Scheme == "http" && !allowHTTP:
		return "has to begin with https://; plain http is not allowed here"
	case u.Hostname() == "" || u.Opaque != "":
		return "has to name a host"
	case !portInRange(u.Port()):
		return "has to have a port between 1 and 65535, or none"
	case u.User != nil:
		return "must not contain a user name or password; receivers tell us from others by the signature"
	case u.Fragment != "" || strings.Contains(address, "#"):
		return "must not have a fragment"
	}
	return ""
}

// portInRange says whether a port, which is empty or a number, can be connected to.
func portInRange(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// ids are written in the letters of Crockford's base32, which leaves out those that are easily misread.
var ids = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func newID() string {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return "wh_" + ids.EncodeToString(random[:])
}

// sortedCopy is never nil, because PostgreSQL tells an empty array from none.
func sortedCopy(names []string) []string {
	names = append([]string{}, names...)
	slices.Sort(names)
	return slices.Compact(names)
}
