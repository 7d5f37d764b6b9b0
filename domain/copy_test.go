package domain

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// A copy is what it was made of, and nothing that can be reached from it can be reached from there.
func TestCopy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		state := rapid.Make[met]().Draw(t, "state")
		before := asText(t, state)
		copied := Copy(state).(met)
		if !reflect.DeepEqual(copied, state) {
			t.Fatalf("%+v was copied as %+v", state, copied)
		}
		scramble(reflect.ValueOf(&copied).Elem())
		if after := asText(t, state); after != before {
			t.Fatalf("changing the copy changed\n%s to\n%s", before, after)
		}
	})
	if Copy(nil) != nil || Copy(7) != 7 {
		t.Error("what has no parts is not copied as it is")
	}
}

func asText(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scramble writes over whatever can be reached.
func scramble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			scramble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scramble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.Value{})
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString("scrambled")
		}
	}
}
