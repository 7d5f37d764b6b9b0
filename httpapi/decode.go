package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// decode reads the body of a request, more strictly than encoding/json does: a name may not come twice in an object, has to be written
// exactly like the field, and no text may contain U+0000, which PostgreSQL cannot store, or anything that is not UTF-8.
func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8") // encoding/json would write other characters in the place of the wrong ones
	}
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if document, ok := v.(*any); ok { // huma's first look, before it checks the schema
		return checkDocument(data, *document)
	}
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		return err
	}
	return checkNames(reflect.TypeOf(v), document, "")
}

var errZero = errors.New("a text contains the character U+0000, which cannot be stored")

func checkDocument(data []byte, document any) error {
	if bytes.Contains(data, []byte(`\u0000`)) && holdsZero(document) {
		return errZero
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	return checkTwice(decoder)
}

func holdsZero(document any) bool {
	switch d := document.(type) {
	case string:
		return strings.ContainsRune(d, 0)
	case []any:
		for _, element := range d {
			if holdsZero(element) {
				return true
			}
		}
	case map[string]any:
		for name, element := range d {
			if strings.ContainsRune(name, 0) || holdsZero(element) {
				return true
			}
		}
	}
	return false
}

// checkTwice walks over one value, which is known to be valid JSON.
func checkTwice(decoder *json.Decoder) error {
	start, err := decoder.Token()
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for start == json.Delim('{') || start == json.Delim('[') {
		if !decoder.More() {
			_, err := decoder.Token()
			return err
		}
		if start == json.Delim('{') {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			if names[name] {
				return fmt.Errorf("the field %.80q comes twice", name)
			}
			names[name] = true
		}
		if err := checkTwice(decoder); err != nil {
			return err
		}
	}
	return nil
}

// unknownFieldError is told apart by [ofHuma] by its text, because huma passes on nothing else.
const unknownField = "unknown field "

// checkNames finds names that encoding/json takes for a field although they are written differently.
func checkNames(t reflect.Type, document any, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch d := document.(type) {
	case []any:
		if t.Kind() != reflect.Slice {
			return nil
		}
		for i, element := range d {
			if err := checkNames(t.Elem(), element, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		fields := map[string]reflect.Type{}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = f.Type
		}
		for name, element := range d {
			at := strings.TrimPrefix(path+"."+name, ".")
			if fields[name] == nil {
				return errors.New(unknownField + at)
			}
			if err := checkNames(fields[name], element, at); err != nil {
				return err
			}
		}
	}
	return nil
}
