package projections

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/lib/pq"
)

// column is a field of a row's struct.
type column struct {
	name  string
	index int
	zero  bool // a zero value is left out, so it is NULL
}

// columnsOf reads the columns off a row's type. The types that it allows are those that JSON and COPY write alike.
func columnsOf(row reflect.Type) (columns []column, err error) {
	if row.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a row has to be a struct, and is %s", row)
	}
	for i := range row.NumField() {
		f := row.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case f.Anonymous || !identifier.MatchString(name):
			return nil, fmt.Errorf("field %s of %s needs a tag like `json:\"a_column\"`", f.Name, row)
		case name == "generation" || name == "workspace" || name == "id":
			return nil, fmt.Errorf("field %s of %s: column %s is filled in by the runner", f.Name, row, name)
		case options != "" && options != "omitzero":
			return nil, fmt.Errorf("field %s of %s: of the options there is omitzero only", f.Name, row)
		}
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if !allowed(kind) {
			return nil, fmt.Errorf("field %s of %s: %s cannot be a column; use a string, bool, number, time.Time, []string or json.RawMessage, or a pointer to one",
				f.Name, row, f.Type)
		}
		columns = append(columns, column{name, i, options == "omitzero"})
	}
	return columns, nil
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	stringsType = reflect.TypeFor[[]string]()
	jsonType    = reflect.TypeFor[json.RawMessage]()
)

func allowed(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return true
	}
	return t == timeType || t == stringsType || t == jsonType
}

// appendValues adds the columns of a row, for COPY.
func appendValues(to []any, columns []column, row reflect.Value) []any {
	for _, c := range columns {
		v := row.Field(c.index)
		if c.zero && v.IsZero() {
			to = append(to, nil)
			continue
		}
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				to = append(to, nil)
				continue
			}
			v = v.Elem()
		}
		switch {
		case v.Type() == timeType:
			to = append(to, v.Interface())
		case v.Type() == stringsType && v.IsNil(), v.Type() == jsonType && v.IsNil():
			to = append(to, nil)
		case v.Type() == stringsType:
			text, _ := pq.StringArray(v.Interface().([]string)).Value() // never fails
			to = append(to, text)
		case v.Type() == jsonType:
			to = append(to, string(v.Bytes()))
		case v.Kind() == reflect.String:
			to = append(to, v.String())
		case v.Kind() == reflect.Bool:
			to = append(to, v.Bool())
		case v.CanInt():
			to = append(to, v.Int())
		case v.CanUint():
			to = append(to, int64(v.Uint()))
		default:
			to = append(to, v.Float())
		}
	}
	return to
}
