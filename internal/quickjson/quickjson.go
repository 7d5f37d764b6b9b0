// Package quickjson writes values of plain types as JSON: the same bytes as encoding/json, in half of the time. A body of a webhook
// holds a whole order, and writing it was the costliest part of a delivery.
//
// A type is plain if it is made of structs, pointers, slices, maps of strings, strings, integers, booleans and times. For any other type,
// such as one with a float or with a MarshalJSON of its own, it is encoding/json that writes.
package quickjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Marshal returns v as JSON, and the error of [json.Marshal] where that would return one.
func Marshal(v any) ([]byte, error) {
	if t := reflect.TypeOf(v); t != nil {
		if write := writerOf(t); write != nil {
			root := reflect.New(t).Elem() // what has an address can be looked at in place
			root.Set(reflect.ValueOf(v))
			buffer := buffers.Get().(*[]byte)
			defer buffers.Put(buffer)
			if text, ok := write((*buffer)[:0], root); ok {
				if cap(text) <= maxBuffer {
					*buffer = text
				}
				return slices.Clone(text), nil
			}
		}
	}
	return json.Marshal(v)
}

// maxBuffer bounds how much is kept of what one large value took.
const maxBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// writer appends a value. It says false where it met a value that only encoding/json knows what to do with.
type writer func(b []byte, v reflect.Value) ([]byte, bool)

var writers sync.Map // reflect.Type → writer, nil where the type is not plain

func writerOf(t reflect.Type) writer {
	if write, ok := writers.Load(t); ok {
		return write.(writer)
	}
	write := compile(t, nil)
	writers.Store(t, write)
	return write
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	timeType      = reflect.TypeFor[time.Time]()
)

// compile returns nil where a type is not plain. within are the structs that it is part of.
func compile(t reflect.Type, within []reflect.Type) writer {
	if t == timeType {
		return writeTime
	}
	if p := reflect.PointerTo(t); p.Implements(marshaler) || p.Implements(textMarshaler) {
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, bool) { return appendString(b, v.String()), true }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendInt(b, v.Int(), 10), true }
	case reflect.Bool:
		return func(b []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendBool(b, v.Bool()), true }
	case reflect.Pointer:
		return orNull(compile(t.Elem(), within), func(write writer, b []byte, v reflect.Value) ([]byte, bool) { return write(b, v.Elem()) })
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil // bytes are written as text
		}
		return orNull(compile(t.Elem(), within), writeSlice)
	case reflect.Map:
		if t != reflect.TypeFor[map[string]string]() {
			return nil
		}
		return orNull(writeMap, func(write writer, b []byte, v reflect.Value) ([]byte, bool) { return write(b, v) })
	case reflect.Struct:
		if slices.Contains(within, t) {
			return nil
		}
		return compileStruct(t, append(within[:len(within):len(within)], t))
	}
	return nil
}

func orNull(inner writer, write func(writer, []byte, reflect.Value) ([]byte, bool)) writer {
	if inner == nil {
		return nil
	}
	return func(b []byte, v reflect.Value) ([]byte, bool) {
		if v.IsNil() {
			return append(b, "null"...), true
		}
		return write(inner, b, v)
	}
}

func writeSlice(write writer, b []byte, v reflect.Value) (_ []byte, ok bool) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, ok = write(b, v.Index(i)); !ok {
			return nil, false
		}
	}
	return append(b, ']'), true
}

func writeMap(b []byte, v reflect.Value) ([]byte, bool) {
	m := *v.Addr().Interface().(*map[string]string)
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		b = appendString(b, m[key])
	}
	return append(b, '}'), true
}

func writeTime(b []byte, v reflect.Value) ([]byte, bool) {
	t := v.Addr().Interface().(*time.Time)
	if t.Location() != time.UTC || t.Year() < 0 || t.Year() > 9999 {
		return nil, false
	}
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"'), true
}

// field is a field of a struct.
type field struct {
	index int
	name  string // `,"name":`
	write writer
	omit  func(reflect.Value) bool // nil: never
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

func compileStruct(t reflect.Type, within []reflect.Type) writer {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		x := field{i, `,"` + name + `":`, compile(f.Type, within), nil}
		same := func(other field) bool { return other.name == x.name }
		if f.Anonymous || !plainName.MatchString(name) || slices.ContainsFunc(fields, same) || x.write == nil {
			return nil
		}
		switch {
		case options == "":
		case options == "omitempty":
			x.omit = isEmpty
		case options == "omitzero" && f.Type == timeType:
			x.omit = func(v reflect.Value) bool { return v.Addr().Interface().(*time.Time).IsZero() }
		case options == "omitzero" && !reflect.PointerTo(f.Type).Implements(reflect.TypeFor[interface{ IsZero() bool }]()):
			x.omit = reflect.Value.IsZero
		default:
			return nil
		}
		fields = append(fields, x)
	}
	return func(b []byte, v reflect.Value) (_ []byte, ok bool) {
		begin := len(b)
		for i := range fields {
			f := &fields[i]
			member := v.Field(f.index)
			if f.omit != nil && f.omit(member) {
				continue
			}
			b = append(b, f.name...)
			if b, ok = f.write(b, member); !ok {
				return nil, false
			}
		}
		if len(b) == begin {
			return append(b, '{', '}'), true
		}
		b[begin] = '{'
		return append(b, '}'), true
	}
}

// isEmpty is what encoding/json calls so.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// appendString writes text as encoding/json does, which escapes also what means something in HTML and in JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	begin := 0 // of what was not written yet
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if escaped := &escapes[c]; *escaped != "" {
				b = append(append(b, s[begin:i]...), *escaped...)
				begin = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == '\u2028' || r == '\u2029' || r == utf8.RuneError && size == 1 {
			b = append(append(b, s[begin:i]...), fmt.Sprintf(`\u%04x`, r)...)
			begin = i + size
		}
		i += size
	}
	return append(append(b, s[begin:]...), '"')
}

// escapes are what ASCII characters are written as; empty where they stand for themselves.
var escapes = func() (table [utf8.RuneSelf]string) {
	for c := range byte(' ') {
		table[c] = fmt.Sprintf(`\u%04x`, c)
	}
	for _, c := range "<>&" {
		table[c] = fmt.Sprintf(`\u%04x`, c)
	}
	for c, short := range map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`} {
		table[c] = short
	}
	return table
}()
