package domain

import "reflect"

// Copy returns a state that shares nothing with the one that is given: whoever gets it may sort its lists and write into its maps, while the
// engine goes on deciding on the other. Fields that are not exported, and with them times, are copied as they are.
func Copy(state State) State {
	if state == nil {
		return nil
	}
	return copied(reflect.ValueOf(state)).Interface()
}

func copied(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(copied(v.Elem()))
		return p
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(s, v)
		if refers(v.Type().Elem()) {
			for i := range v.Len() {
				s.Index(i).Set(copied(v.Index(i)))
			}
		}
		return s
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for i := v.MapRange(); i.Next(); {
			m.SetMapIndex(i.Key(), copied(i.Value()))
		}
		return m
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		s.Set(v)
		for i := range v.NumField() {
			if f := s.Field(i); f.CanSet() && refers(f.Type()) {
				f.Set(copied(v.Field(i)))
			}
		}
		return s
	case reflect.Array:
		a := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			a.Index(i).Set(copied(v.Index(i)))
		}
		return a
	case reflect.Interface:
		if !v.IsNil() {
			return copied(v.Elem())
		}
	}
	return v
}

// refers says whether values of a type may refer to others, apart from strings, which nobody can change.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct, reflect.Array, reflect.Interface:
		return true
	}
	return false
}
