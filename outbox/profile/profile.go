// Package profile describes how the log is told to the outside: under which names, in which shape, how signed, and how patiently.
//
// A [Profile] is data and a few pure functions. The relay knows profiles only through this type; [All] has every one.
//
//	profile.go        what a profile is
//	schedule.go       when to try again, and what many failures lead to
//	signing.go        secrets, and the signatures of the Standard Webhooks specification
//	platform.go       profiles that are made of rules: which events of the log are which of a platform's
//	native.go         Waybill's own profile
//	chord.go, …       the platforms, one file each; values.go and money.go are what they share
//	schema.go         the JSON Schema of a body, from the Go type that it is written from
//	sample.go         samples of events, from the lives in lives.go
//
// docs/profiles.md has what each platform is sent, and which gaps of its documentation were filled how.
package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Profile is one way of telling subscribers about events.
type Profile struct {
	Name string // as webhooks name it, such as "native"

	// Events lists what can be subscribed to, sorted by name. Where All is true, a webhook may name no event and gets every one,
	// those included that a later version of the program adds.
	Events []Event
	All    bool
	// Aliases are other names that are accepted for events, and the events that they mean. Messages never carry them.
	Aliases map[string]string
	// Includes lists what a webhook may ask to have included in its messages, sorted.
	Includes []string

	// Render gives the message for an occurrence. The same occurrence gives the same bytes, whenever and wherever it is rendered.
	// It returns [ErrNothingToSay] where the occurrence, looked at closely, is none of the profile's events.
	Render func(Occurrence) (Message, error)
	// Signer prepares the headers of a webhook with these secrets, the newest first. It returns an error where a secret has not the
	// form that the profile needs, or where there is none and SecretOptional is false.
	Signer func(secrets []string) (Sign, error)
	// SecretOptional is true where a webhook may have no secret; its messages are then not signed.
	SecretOptional bool
	NewSecret      func() string // a random secret in the form that the profile's receivers expect
	Rotation       time.Duration // how long an old secret goes on signing beside the new one

	Success  func(status int) bool // whether a response with this status code ends the delivery well
	GivesUp  func(status int) bool // whether a response with this status code ends it for good, without further attempts
	Timeout  time.Duration         // for one attempt, from the dial to the last byte of the response
	Schedule Schedule              // of the retries
	Circuit  Circuit

	samples func() ([]Occurrence, error) // see Sample
}

// Rotation is how long an old secret goes on signing, in every profile: the 24 hours of Ordergroove, the only platform that names
// a time.
const Rotation = 24 * time.Hour

// Event is something that can be subscribed to.
type Event struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Types       []string `json:"-"` // the log's event types that it stands for; not every event of such a type need be one

	schema func() json.RawMessage
}

// Schema is the JSON Schema (2020-12) of the event's body. Its $id ends in a version, which changes whenever a body that was valid
// before would be so no longer.
func (e Event) Schema() json.RawMessage {
	if e.schema == nil {
		return json.RawMessage("true")
	}
	return e.schema()
}

// Occurrence is an event of the log, with the aggregate around it.
type Occurrence struct {
	domain.Recorded
	Event      domain.Event // decoded, in its present schema version
	Before     domain.State // what was true just before the event
	After      domain.State // and just after
	Subscribed []string     // the public names that the webhook asked for; empty means all
	Include    []string     // what of the profile's Includes the webhook asked for
}

// Message is what a receiver gets.
type Message struct {
	ID    string // the same for every attempt
	Event string // the public name
	Body  []byte
}

// Sign sets the headers of one attempt to send a message. It is safe for concurrent use.
type Sign func(header http.Header, m Message, at time.Time)

// ErrNothingToSay says that an occurrence is none of a profile's events. The delivery then ends without an attempt.
var ErrNothingToSay = errors.New("the profile has no message for this event")

// UnknownEventError says that a profile has no event of that name.
type UnknownEventError struct {
	Profile string
	Event   string // empty where the profile wants at least one to be named
}

func (e *UnknownEventError) Error() string {
	if e.Event == "" {
		return fmt.Sprintf("profile %s needs at least one event", e.Profile)
	}
	return fmt.Sprintf("profile %s has no event %q", e.Profile, e.Event)
}

// UnknownIncludeError says that a profile cannot include what a webhook asks for.
type UnknownIncludeError struct {
	Profile string
	Include string
	Known   []string // what it can include, sorted; empty where that is nothing
}

func (e *UnknownIncludeError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("profile %s cannot include anything, so not %q", e.Profile, e.Include)
	}
	return fmt.Sprintf("profile %s cannot include %q, only %s", e.Profile, e.Include, strings.Join(e.Known, ", "))
}

// Event returns the event of that name or alias, or an [*UnknownEventError].
func (p *Profile) Event(name string) (Event, error) {
	if meant, ok := p.Aliases[name]; ok {
		name = meant
	}
	i, found := slices.BinarySearchFunc(p.Events, name, func(e Event, name string) int { return strings.Compare(e.Name, name) })
	if !found {
		return Event{}, &UnknownEventError{Profile: p.Name, Event: name}
	}
	return p.Events[i], nil
}

// Types translates the public names that a webhook asks for into the log's event types; nil stands for all. It returns an
// [*UnknownEventError] for a name that the profile does not have.
func (p *Profile) Types(names []string) ([]string, error) {
	if len(names) == 0 && p.All {
		return nil, nil
	}
	if len(names) == 0 {
		return nil, &UnknownEventError{Profile: p.Name}
	}
	var types []string
	for _, name := range names {
		event, err := p.Event(name)
		if err != nil {
			return nil, err
		}
		types = append(types, event.Types...)
	}
	sort.Strings(types)
	return slices.Compact(types), nil
}

// CheckIncludes returns an [*UnknownIncludeError] for the first name that the profile cannot include.
func (p *Profile) CheckIncludes(names []string) error {
	for _, name := range names {
		if !slices.Contains(p.Includes, name) {
			return &UnknownIncludeError{Profile: p.Name, Include: name, Known: p.Includes}
		}
	}
	return nil
}

// Set is the profiles that a program knows, by name.
type Set map[string]*Profile

// NewSet panics if two profiles share a name, which is a mistake in the program and not in its input.
func NewSet(profiles ...*Profile) Set {
	set := Set{}
	for _, p := range profiles {
		if set[p.Name] != nil {
			panic("profile: two profiles are named " + p.Name)
		}
		set[p.Name] = p
	}
	return set
}

// Names lists the profiles, sorted.
func (s Set) Names() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// successful is the usual answer to what counts as success.
func successful(status int) bool { return status >= 200 && status <= 299 }

// gone is what ends a delivery for good by the Standard Webhooks specification.
func gone(status int) bool { return status == http.StatusGone }

// never is for platforms that say that they try again after every failure.
func never(int) bool { return false }

// field appends a name and a JSON value, which is compact already, to an object under construction.
func field(b []byte, name string, value json.RawMessage) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return append(b, value...)
}

// text appends a name and a string, likewise.
func text(b []byte, name, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(value) // a string can always be marshalled
			return field(b, name, quoted)
		}
	}
	b = field(b, name, nil)
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// lowerCamel makes the name of an aggregate, such as "stock_item", the name of a JSON field, such as "stockItem".
func lowerCamel(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	for i := range words[1:] {
		words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
	}
	return strings.Join(words, "")
}
