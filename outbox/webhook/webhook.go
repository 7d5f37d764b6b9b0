// Package webhook keeps the subscriptions: who wants to be told which events, where, and signed with which secret.
package webhook

import (
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// Webhook is one subscription.
type Webhook struct {
	ID        string    `json:"id"` // wh_…
	Workspace string    `json:"workspace"`
	Name      string    `json:"name"` // unique in the workspace
	URL       string    `json:"url"`
	Profile   string    `json:"profile"`
	Events    []string  `json:"events"`  // the profile's names; empty means all
	Ordered   bool      `json:"ordered"` // a failing delivery holds back the later ones of the same stream
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"createdAt"` // UTC
}

// New says what a webhook shall be. Only Name and URL are needed.
type New struct {
	Name      string
	URL       string   // http or https
	Events    []string // the profile's names. Defaults to all, where the profile allows that
	Profile   string   // Defaults to "native"
	Secret    Secret   // Defaults to a random one
	Inactive  bool     // make it, but deliver nothing yet
	Unordered bool     // deliver the events of one stream in any order
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
)

// check finds everything that is wrong with n, and returns the log's event types that it subscribes to.
func (n New) check(profiles profile.Set, allowHTTP bool) (types []string, err error) {
	invalid := &InvalidError{}
	switch {
	case strings.TrimSpace(n.Name) == "":
		invalid.add("name", "is missing")
	case utf8.RuneCountInString(n.Name) > maxNameLength || !printable(n.Name):
		invalid.add("name", "has to be at most 100 printable characters")
	}
	if message := checkURL(n.URL, allowHTTP); message != "" {
		invalid.add("url", message)
	}
	p := profiles[n.Profile]
	if p == nil {
		invalid.add("profile", "has to be one of "+strings.Join(profiles.Names(), ", "))
		return nil, invalid
	}
	if len(n.Events) > maxEvents {
		invalid.add("events", "has to name at most 200 events")
	} else if types, err = p.Types(n.Events); err != nil {
		invalid.add("events", err.Error())
	}
	if _, err := p.Signer([]string{n.Secret.Reveal()}); err != nil {
		invalid.add("secret", err.Error())
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return sortedCopy(types), nil
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
	case u.User != nil:
		return "must not contain a user name or password; receivers tell us from others by the signature"
	case u.Fragment != "" || strings.Contains(address, "#"):
		return "must not have a fragment"
	}
	return ""
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
