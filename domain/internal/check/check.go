// Package check finds what is wrong with a command's fields by themselves, in the same words for every aggregate.
package check

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
)

// Limits. They keep every sum far from overflowing an int64 and every event and webhook body at a size that can be sent.
const (
	MaxID       = 64                // characters
	MaxText     = 255               // characters
	MaxNote     = 2000              // characters
	MaxURL      = 2000              // characters
	MaxMetadata = 16 << 10          // bytes of all keys and values
	MaxAmount   = 1_000_000_000_000 // minor units
	MaxQuantity = 1_000_000

	MaxKeys = 100 // of metadata
)

// Fields gathers everything that is wrong with a command, so that a caller can mend it all at once.
type Fields struct{ wrong []domain.FieldError }

// Fail notes that a field is wrong.
func (v *Fields) Fail(field, format string, args ...any) {
	v.wrong = append(v.wrong, domain.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Err is the [*domain.InvalidCommandError] with what was noted, or nil.
func (v *Fields) Err(c domain.Command) error {
	if len(v.wrong) == 0 {
		return nil
	}
	return &domain.InvalidCommandError{Command: c.CommandName(), Fields: v.wrong}
}

// ID wants 1 to 64 of A-Z a-z 0-9 _ and -, so that ids can stand in URLs and stream names.
func (v *Fields) ID(field, id string) {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if id == "" || len(id) > MaxID || strings.ContainsFunc(id, func(r rune) bool { return !allowed(r) }) {
		v.Fail(field, "%q is not an id; it must be 1 to %d characters of A-Z, a-z, 0-9, _ and -", Shorten(id), MaxID)
	}
}

// Unique notes an id that was seen before, and remembers it.
func (v *Fields) Unique(field, id string, seen map[string]bool) {
	if seen[id] {
		v.Fail(field, "%q is there twice", Shorten(id))
	}
	seen[id] = true
}

// Text refuses, besides what is longer than limit characters, what PostgreSQL cannot keep (NUL) or JSON would silently replace (bytes that are not UTF-8).
func (v *Fields) Text(field, s string, limit int) {
	switch {
	case !utf8.ValidString(s):
		v.Fail(field, "it is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		v.Fail(field, "it contains a NUL character")
	case utf8.RuneCountInString(s) > limit:
		v.Fail(field, "it has %d characters; at most %d are kept", utf8.RuneCountInString(s), limit)
	}
}

// Required wants a text that is not empty.
func (v *Fields) Required(field, s string, limit int) {
	if s == "" {
		v.Fail(field, "it is required")
		return
	}
	v.Text(field, s, limit)
}

// OptionalText checks a text that an update may leave out.
func (v *Fields) OptionalText(field string, s *string, limit int) {
	if s != nil {
		v.Text(field, *s, limit)
	}
}

// Amount wants least to [MaxAmount] minor units.
func (v *Fields) Amount(field string, amount, least int64) {
	if amount < least || amount > MaxAmount {
		v.Fail(field, "%d is out of range; it must be %d to %d minor units", amount, least, int64(MaxAmount))
	}
}

// Quantity wants 1 to [MaxQuantity] of something.
func (v *Fields) Quantity(field string, quantity int64) { v.Number(field, quantity, 1, MaxQuantity) }

// Number wants least to most of something.
func (v *Fields) Number(field string, n, least, most int64) {
	if n < least || n > most {
		v.Fail(field, "%d is out of range; it must be %d to %d", n, least, most)
	}
}

// Time wants a time that has a JSON, which it has only in the years 1 to 9999.
func (v *Fields) Time(field string, t time.Time) {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		v.Fail(field, "its year must be 1 to 9999")
	}
}

// UTC is a time as events keep it: UTC, and without a monotonic reading that would not survive being stored.
func UTC(t time.Time) time.Time { return t.Round(0).UTC() }

// Currency wants a code of the form of ISO 4217.
func (v *Fields) Currency(field, code string) {
	if len(code) != 3 || strings.ContainsFunc(code, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		v.Fail(field, "%q is not a currency; it must be three capital letters of ISO 4217, such as USD", Shorten(code))
	}
}

// Email lets an empty text pass: whether there has to be one is the command's affair.
func (v *Fields) Email(field, s string) {
	v.Text(field, s, MaxText)
	at := strings.LastIndexByte(s, '@')
	if s != "" && (at < 1 || at == len(s)-1 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })) {
		v.Fail(field, "%q is not an email address", Shorten(s))
	}
}

// URL lets http and https pass and nothing else, because pages show these addresses as links.
func (v *Fields) URL(field string, s *string) {
	if s == nil || *s == "" {
		return
	}
	v.Text(field, *s, MaxURL)
	if u, err := url.Parse(*s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		v.Fail(field, "%q is not an absolute http or https URL", Shorten(*s))
	}
}

// Metadata bounds the keys, and the bytes of all keys and values.
func (v *Fields) Metadata(field string, m map[string]string, limit int) {
	size := 0
	for key, value := range m {
		size += len(key) + len(value)
	}
	if size > limit || len(m) > MaxKeys {
		v.Fail(field, "%d bytes under %d keys; at most %d bytes under %d keys are kept", size, len(m), limit, MaxKeys)
		return
	}
	for _, key := range sortedKeys(m) {
		name := fmt.Sprintf("%s[%q]", field, Shorten(key))
		if key == "" {
			v.Fail(name, "a key must not be empty")
		}
		v.Text(name, key, MaxText)
		v.Text(name, m[key], limit)
	}
}

// Shorten keeps error messages readable whatever was sent.
func Shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
