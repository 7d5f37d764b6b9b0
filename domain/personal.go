package domain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Erased stands where personal data stood whose key was destroyed.
const Erased = "[erased]"

// PersonalField is a personal string in the data of an event.
type PersonalField struct {
	Start, End int    // its JSON token, quotes included, is data[Start:End]
	Subject    string // whose it is: the id that stands beside it, empty where that is
	OfState    bool   // no id stands beside it: it belongs to [Aggregate.Subject] of the state after the event
}

// Which fields are personal is said once, in the struct tags of event and state types:
//
//	Email string `json:"email" personal:"true"`    a personal string; also of type *string, []string or map[string]string
//	ID    string `json:"id" personal:"subject"`    the id of the customer to whom the personal strings in this struct, and below it, belong
//
// shape is what the tags of a type come to; a nil shape has nothing personal in it. It is made once for each type, when the program starts.
type shape struct {
	personal bool
	subject  bool // the value is the subject of what is around it
	scope    bool // one of the fields is a subject
	each     *shape
	fields   map[string]*shape
	order    []member // of a struct, its fields that have a shape, in the order of declaration
}

type member struct {
	index []int
	shape *shape
}

const personalTag = "personal"

// shapeOf panics over a tag that cannot be right, which is a mistake in the program and not in its input.
func shapeOf(t reflect.Type) *shape {
	if s := shapeWithin(t, map[reflect.Type]*shape{}); s.holds(map[*shape]bool{}) {
		return s
	}
	return nil
}

// holds says whether anything within is personal, or the id of a person.
func (s *shape) holds(seen map[*shape]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	if s.personal || s.subject || s.each.holds(seen) {
		return true
	}
	for _, field := range s.fields {
		if field.holds(seen) {
			return true
		}
	}
	return false
}

var marshaler = reflect.TypeFor[json.Marshaler]()

func shapeWithin(t reflect.Type, around map[reflect.Type]*shape) *shape {
	if s := around[t]; s != nil {
		return s // a type within itself
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shapeWithin(t.Elem(), around)
	case reflect.Slice, reflect.Array, reflect.Map:
		if each := shapeWithin(t.Elem(), around); each != nil {
			return &shape{each: each}
		}
		return nil
	case reflect.Struct:
		if t.Implements(marshaler) {
			return nil
		}
	default:
		return nil
	}
	s := &shape{fields: map[string]*shape{}}
	around[t] = s
	defer delete(around, t)
	for i := range t.NumField() {
		s.add(t, t.Field(i), around)
	}
	if len(s.fields) == 0 {
		return nil
	}
	return s
}

func (s *shape) add(t reflect.Type, f reflect.StructField, around map[reflect.Type]*shape) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	var of *shape
	switch tag := f.Tag.Get(personalTag); tag {
	case "":
		if of = shapeWithin(f.Type, around); of == nil || name == "-" || !f.IsExported() && !f.Anonymous {
			return
		}
	case "true":
		of = stringsOf(f.Type)
	case "subject":
		if f.Type.Kind() == reflect.String {
			of, s.scope = &shape{subject: true}, true
		}
	}
	if of == nil || name == "-" || !f.IsExported() && !f.Anonymous {
		panic(fmt.Sprintf("domain: the tag %q of %s.%s cannot be: true is for exported strings, subject for one that is an id", f.Tag, t, f.Name))
	}
	if f.Anonymous && name == "" && of.fields != nil { // its fields are this struct's own
		s.scope = s.scope || of.scope
		for name, field := range of.fields {
			s.fields[name] = field
		}
		for _, m := range of.order {
			s.order = append(s.order, member{append([]int{f.Index[0]}, m.index...), m.shape})
		}
		return
	}
	if name == "" {
		name = f.Name
	}
	s.fields[name] = of
	s.order = append(s.order, member{f.Index, of})
}

// stringsOf is the shape of a type that is nothing but strings, or nil.
func stringsOf(t reflect.Type) *shape {
	switch t.Kind() {
	case reflect.String:
		return &shape{personal: true}
	case reflect.Pointer:
		return stringsOf(t.Elem())
	case reflect.Slice, reflect.Map:
		if each := stringsOf(t.Elem()); each != nil {
			return &shape{each: each}
		}
	}
	return nil
}

// eventShape is that of an event type, which must leave the name free under which sealed parts are kept.
func eventShape(t reflect.Type) *shape {
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == sealedMember {
				panic(fmt.Sprintf("domain: %s.%s is named %s, which is where sealed parts are kept", t, t.Field(i).Name, sealedMember))
			}
		}
	}
	return shapeOf(t)
}

// Personal finds the personal strings in the data of an event that [Codec.Encode] has just encoded, in the order in which they stand
// there. Empty ones are none. For a type without such fields it costs nothing.
func (c Codec) Personal(eventType string, data json.RawMessage) []PersonalField {
	shape := c.types[eventType].personal
	if shape == nil {
		return nil
	}
	f := finder{data: data}
	f.value(shape)
	return f.found
}

// MayBePersonal says whether events of that type can have personal fields, or name the person to whom others belong.
func (c Codec) MayBePersonal(eventType string) bool { return c.types[eventType].personal != nil }

// finder walks along data that encoding/json has written, so it is compact and right.
type finder struct {
	data  []byte
	at    int
	found []PersonalField
}

// value passes one value, and returns it where it is a string.
func (f *finder) value(s *shape) (text []byte) {
	start := f.at
	switch f.data[f.at] {
	case '{':
		f.object(s)
	case '[':
		f.at++
		for f.data[f.at] != ']' {
			if f.data[f.at] == ',' {
				f.at++
			}
			f.next(s.each)
		}
		f.at++
	case '"':
		f.skip()
		if text = f.data[start:f.at]; s.personal && len(text) > len(`""`) {
			if f.found == nil {
				f.found = make([]PersonalField, 0, 16)
			}
			f.found = append(f.found, PersonalField{Start: start, End: f.at, OfState: true})
		}
	default:
		f.skip()
	}
	return text
}

func (f *finder) object(s *shape) {
	first := len(f.found)
	var subject []byte
	f.at++
	for f.data[f.at] != '}' {
		if f.data[f.at] == ',' {
			f.at++
		}
		start := f.at
		f.skip()
		name := f.data[start+1 : f.at-1]
		f.at++ // the colon
		field := s.fields[string(name)]
		if field == nil {
			field = s.each
		}
		if text := f.next(field); field != nil && field.subject {
			subject = text
		}
	}
	f.at++
	if !s.scope {
		return
	}
	id, _ := strconv.Unquote(string(subject))
	for i := first; i < len(f.found); i++ {
		if f.found[i].OfState { // nobody nearer claims it
			f.found[i].OfState, f.found[i].Subject = false, id
		}
	}
}

// next passes a value that may have no shape.
func (f *finder) next(s *shape) []byte {
	if s == nil {
		f.skip()
		return nil
	}
	return f.value(s)
}

// skip passes one value without looking into it.
func (f *finder) skip() {
	for depth := 0; ; {
		switch f.data[f.at] {
		case '"':
			for f.at++; f.data[f.at] != '"'; f.at++ {
				if f.data[f.at] == '\\' {
					f.at++
				}
			}
			f.at++
		case '{', '[':
			depth++
			f.at++
		case '}', ']':
			depth--
			f.at++
		case ',', ':':
			f.at++
		default: // a number, true, false or null
			for f.at < len(f.data) && f.data[f.at] != ',' && f.data[f.at] != ']' && f.data[f.at] != '}' {
				f.at++
			}
		}
		if depth == 0 {
			return
		}
	}
}

// subjectIn returns the first id of a person that a state names, looking neither into lists nor into maps.
func subjectIn(v reflect.Value, s *shape) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if s.subject {
		return v.String()
	}
	for _, m := range s.order {
		if field, err := v.FieldByIndexErr(m.index); err == nil {
			if id := subjectIn(field, m.shape); id != "" {
				return id
			}
		}
	}
	return ""
}

// stringsIn appends the personal strings in a value that are not empty.
func stringsIn(found []string, v reflect.Value, s *shape) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			found = stringsIn(found, v.Elem(), s)
		}
	case reflect.String:
		if s.personal && v.Len() > 0 {
			found = append(found, v.String())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			found = stringsIn(found, v.Index(i), s.each)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			found = stringsIn(found, v.MapIndex(key), s.each)
		}
	case reflect.Struct:
		for _, m := range s.order {
			if field, err := v.FieldByIndexErr(m.index); err == nil {
				found = stringsIn(found, field, m.shape)
			}
		}
	}
	return found
}
