package profile

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"
)

// schemaVersion is that of every profile's bodies. It goes up with a change after which an old receiver could fail: a field that is
// gone, or is of another type. testdata/schemas shows what has changed.
const schemaVersion = "1"

type object = map[string]any // a JSON object under construction; it is marshalled with sorted keys

// lazySchema makes the schema of an event's body when it is asked for, once.
func lazySchema(profile, event string, describe func() object) func() json.RawMessage {
	return sync.OnceValue(func() json.RawMessage {
		schema := describe()
		schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		schema["$id"] = "urn:waybill:webhook:" + profile + ":" + event + ":" + schemaVersion
		text, err := json.Marshal(schema)
		if err != nil {
			panic("profile: " + err.Error()) // it holds nothing but strings, slices and maps
		}
		return text
	})
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// describe tells what encoding/json makes of a value of the type. The tag schema:"event" marks the field that always holds the name
// of the event, schema:"date-time" and the like give the format of a string. Other fields than those that it lists may be there: a
// receiver has to accept what a later version adds.
func describe(t reflect.Type, event string) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType:
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describe(t.Elem(), event)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": describe(t.Elem(), event)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": describe(t.Elem(), event)}
	case reflect.Struct:
		properties, required := object{}, []string{}
		for _, field := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || !field.IsExported() || name == "-" {
				continue // the fields of an embedded struct are visible by themselves
			}
			if name == "" {
				name = field.Name
			}
			optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
			property := describe(field.Type, event)
			if note := field.Tag.Get("schema"); note == "event" {
				property["const"] = event
			} else if note != "" {
				property["format"] = note
			}
			if !optional {
				required = append(required, name)
				if field.Type.Kind() == reflect.Pointer {
					property = object{"anyOf": []any{property, object{"type": "null"}}}
				}
			}
			properties[name] = property
		}
		return object{"type": "object", "properties": properties, "required": required}
	}
	return object{} // an interface: anything at all
}
