package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/waybill-dev/waybill/domain"
)

// listing is one list that can be paged through: which it is, of whom, and what it was narrowed down to. A cursor is good for the listing that
// gave it and for no other.
type listing []string

// mark is how long the part of a cursor is that tells its listing from others. It keeps mistakes out, not attacks: a cursor grants nothing.
const mark = 6

func (l listing) mark() []byte {
	sum := sha256.Sum256([]byte(strings.Join(l, "\x00")))
	return sum[:mark]
}

const foreignCursor = "is not one that this list gave, with these parameters; leave it out to begin from the start"

// cursor makes what a list has to know to go on into what clients give back. An empty place is the end, and has no cursor.
func (l listing) cursor(place string) string {
	if place == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(l.mark(), place...))
}

// place is the reverse of cursor. It returns a problem for a cursor that this listing has not given.
func (l listing) place(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	// The decoder skips line breaks wherever they stand: only what is written in the same letters again is what this listing gave.
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(text) <= mark || l.cursor(string(text[mark:])) != cursor {
		return "", badCursor()
	}
	return string(text[mark:]), nil
}

func badCursor() error { return invalid(domain.FieldError{Field: "cursor", Message: foreignCursor}) }
