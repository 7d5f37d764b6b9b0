package jsondiff

import (
	"fmt"
	"strings"
	"testing"
)

type doc map[string]any

func TestCompare(t *testing.T) {
	t.Parallel()
	item := func(id string, n int) doc { return doc{"id": id, "n": n} }
	for _, test := range []struct {
		name          string
		before, after any
		want          string
	}{
		{"the same", doc{"a": 1, "b": []int{1}}, doc{"a": 1, "b": []int{1}}, ""},
		{"a value", doc{"a": 1}, doc{"a": "1"}, `a 1 "1"`},
		{"large numbers", doc{"a": int64(9007199254740993)}, doc{"a": int64(9007199254740992)}, "a 9007199254740993 9007199254740992"},
		{"new and gone", doc{"a": 1}, doc{"b": doc{"c": 2}}, `a 1 - | b - {"c":2}`},
		{"null is not missing", doc{"a": nil}, doc{}, "a null -"},
		{"inside", doc{"a": doc{"b": doc{"c": 1, "d": 1}}}, doc{"a": doc{"b": doc{"c": 2, "d": 1}}}, "a.b.c 1 2"},
		{"lists by id, wherever they stand", doc{"a": []doc{item("x", 1), item("y", 2)}}, doc{"a": []doc{item("y", 3), item("x", 1), item("z", 4)}},
			`a[y].n 2 3 | a[z] - {"id":"z","n":4}`},
		{"lists by place", doc{"a": []int{1, 2, 3}}, doc{"a": []int{1, 9}}, "a[1] 2 9 | a[2] 3 -"},
		{"lists with an id twice", doc{"a": []doc{item("x", 1), item("x", 2)}}, doc{"a": []doc{item("x", 1), item("x", 3)}}, "a[1].n 2 3"},
		{"null for an empty list", doc{"a": nil}, doc{"a": []int{}}, ""},
	} {
		changes, err := Compare(test.before, test.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			text := func(b []byte) string {
				if b == nil {
					return "-"
				}
				return string(b)
			}
			got = append(got, fmt.Sprint(c.Field, " ", text(c.From), " ", text(c.To)))
		}
		if strings.Join(got, " | ") != test.want {
			t.Errorf("%s: %s, want %s", test.name, strings.Join(got, " | "), test.want)
		}
	}
	if _, err := Compare(make(chan int), 1); err == nil {
		t.Error("what is no JSON was compared")
	}
}
