package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, want string }{
		{`{}`, `{}`, ""},
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1}`, `{"a":2}`, "a: 1 → 2"},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, "a: 9007199254740993 → 9007199254740992"},
		{`{"a":null}`, `{"a":1}`, "a: null → 1"},
		{`{}`, `{"a":null}`, "a:  → null"},
		{`{"a":1}`, `{}`, "a: 1 → "},
		{`{"a":{"b":{"c":1}}}`, `{"a":{"b":{"c":2,"d":3}}}`, "a.b.c: 1 → 2; a.b.d:  → 3"},
		{`{"a":[{"id":"x","n":1},{"id":"y","n":1}]}`, `{"a":[{"id":"y","n":2},{"id":"z"}]}`, `a[x]: {"id":"x","n":1} → ; a[y].n: 1 → 2; a[z]:  → {"id":"z"}`},
		{`{"a":null}`, `{"a":[{"id":"x"}]}`, `a[x]:  → {"id":"x"}`},
		{`{"a":null}`, `{"a":[]}`, ""},
		{`{"a":["p","q"]}`, `{"a":["p","r","s"]}`, `a[1]: "q" → "r"; a[2]:  → "s"`},
		{`{"a":[{"id":"x"},{"id":"x"}]}`, `{"a":[{"id":"x"},{"id":"y"}]}`, `a[1].id: "x" → "y"`},
		{`{"a":{"b":1}}`, `{"a":[1]}`, `a: {"b":1} → [1]`},
	} {
		changes, err := differences(json.RawMessage(c.from), json.RawMessage(c.to))
		if err != nil {
			t.Fatal(err)
		}
		parts := make([]string, len(changes))
		for i, f := range changes {
			parts[i] = fmt.Sprintf("%s: %s → %s", f.Field, f.From, f.To)
		}
		if got := strings.Join(parts, "; "); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}
