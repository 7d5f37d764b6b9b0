// Package jsondiff tells which fields of two documents differ.
package jsondiff

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Change is one field that is another than before.
type Change struct {
	Field string          `json:"field"`          // such as lineItems[li_1].quantity: elements of lists are named by their id, or else by their place, from 0
	From  json.RawMessage `json:"from,omitempty"` // missing where the field was
	To    json.RawMessage `json:"to,omitempty"`   // missing where the field is
}

// Compare holds two documents, as their JSON is, against each other field by field, and lists what is different, sorted. What only one of
// them has is listed as a whole.
func Compare(before, after any) ([]Change, error) {
	from, err := generic(before)
	if err != nil {
		return nil, err
	}
	to, err := generic(after)
	if err != nil {
		return nil, err
	}
	changes := []Change{}
	if err := compare(&changes, "", from, to); err != nil {
		return nil, err
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Field, b.Field) })
	return changes, nil
}

// missing is what a document does not have, which is not the same as null.
type missing struct{}

// generic keeps numbers as they are written, because an amount may have more digits than a float64 can hold.
func generic(v any) (document any, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&document)
	return document, err
}

func compare(changes *[]Change, path string, from, to any) error {
	fromObject, _ := from.(map[string]any)
	toObject, _ := to.(map[string]any)
	if fromObject != nil && toObject != nil {
		return compareNamed(changes, fromObject, toObject, func(name string) string { return strings.TrimPrefix(path+"."+name, ".") })
	}
	fromList, isList := asList(from)
	toList, isListToo := asList(to)
	if isList && isListToo {
		names := byPlace
		if haveIDs(fromList) && haveIDs(toList) {
			names = byID
		}
		return compareNamed(changes, names(fromList), names(toList), func(name string) string { return path + "[" + name + "]" })
	}
	fromText, err := textOf(from)
	if err != nil {
		return err
	}
	toText, err := textOf(to)
	if err != nil {
		return err
	}
	if !bytes.Equal(fromText, toText) {
		*changes = append(*changes, Change{Field: path, From: fromText, To: toText})
	}
	return nil
}

func compareNamed(changes *[]Change, from, to map[string]any, path func(name string) string) error {
	for name, was := range from {
		is, still := to[name]
		if !still {
			is = missing{}
		}
		if err := compare(changes, path(name), was, is); err != nil {
			return err
		}
	}
	for name, is := range to {
		if _, before := from[name]; !before {
			if err := compare(changes, path(name), missing{}, is); err != nil {
				return err
			}
		}
	}
	return nil
}

// asList takes null for an empty list, as Go does.
func asList(v any) ([]any, bool) {
	elements, ok := v.([]any)
	return elements, ok || v == nil
}

// haveIDs tells whether all elements have ids, and different ones.
func haveIDs(elements []any) bool { return len(byID(elements)) == len(elements) }

func byID(elements []any) map[string]any {
	named := make(map[string]any, len(elements))
	for _, element := range elements {
		object, _ := element.(map[string]any)
		if id, ok := object["id"].(string); ok {
			named[id] = element
		}
	}
	return named
}

func byPlace(elements []any) map[string]any {
	named := make(map[string]any, len(elements))
	for i, element := range elements {
		named[strconv.Itoa(i)] = element
	}
	return named
}

func textOf(v any) (json.RawMessage, error) {
	if v == (missing{}) {
		return nil, nil
	}
	return json.Marshal(v)
}
