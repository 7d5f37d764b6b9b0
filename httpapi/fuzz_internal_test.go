package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
)

// What decode accepts is a document that says each thing once, in the fields' own names: it stays what it is when it is written and
// read again, and a plain reader takes it for the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"n","url":"https://shop.example.com/","events":["order.placed"],"active":true}`,
		`{"name":"n","name":"m"}`, `{"Name":"n"}`, `{"n\u0061me":"a\u0000"}`, `{"events":[null]}`, `[]`, `null`, `{"active":1}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var document any
		var strict, plain, again NewWebhook
		if decode([]byte(text), &document) != nil || decode([]byte(text), &strict) != nil {
			return
		}
		written, err := json.Marshal(strict)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(written), `\u0000`) {
			t.Errorf("a zero byte in %s", written)
		}
		if err := decode(written, &again); err != nil {
			t.Errorf("%s was read, but not %s: %v", text, written, err)
		}
		if err := json.Unmarshal([]byte(text), &plain); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for _, other := range []NewWebhook{plain, again} {
			if got, _ := json.Marshal(other); string(got) != string(written) {
				t.Errorf("%s is %s, and %s", text, written, got)
			}
		}
	})
}

// A cursor that is accepted is one that the same listing has given, letter by letter.
func FuzzCursors(f *testing.F) {
	mine, theirs := listing{"events", "acme", ""}, listing{"events", "other", ""}
	for _, seed := range []string{"", "AAAA", mine.cursor("1.2"), theirs.cursor("1.2"), mine.cursor("x"), mine.cursor("9223372036854775807.1"), mine.cursor("1.2") + "=", mine.cursor("1.2") + "\n", mine.cursor("01.2")} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, cursor, inner string) {
		place, err := mine.place(cursor)
		if err == nil && mine.cursor(place) != cursor {
			t.Errorf("%q is accepted, as %q", cursor, place)
		}
		if at, err := parsePlace(place); err == nil && (at.TransactionID < 0 || at.Position < 0) {
			t.Errorf("%q is the place %+v", place, at)
		}
		if got, err := mine.place(mine.cursor(inner)); err != nil || got != inner {
			t.Errorf("%q comes back as %q, %v", inner, got, err)
		}
		if inner != "" {
			if _, err := theirs.place(mine.cursor(inner)); err == nil {
				t.Errorf("a cursor of another list is accepted")
			}
		}
	})
}
