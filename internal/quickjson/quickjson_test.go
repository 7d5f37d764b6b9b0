package quickjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/stock"
	"github.com/waybill-dev/waybill/domain/subscription"
	"github.com/waybill-dev/waybill/domain/webhook"
)

type (
	word  string
	plain struct {
		Text     string            `json:"text"`
		Word     word              `json:"word,omitempty"`
		Untagged int               ``
		Small    int8              `json:"small,omitzero"`
		Yes      bool              `json:"yes,omitempty"`
		No       bool              `json:"no"`
		At       time.Time         `json:"at,omitempty"` // a struct is never empty
		Then     time.Time         `json:"then,omitzero"`
		Pointer  *plain2           `json:"pointer,omitempty"`
		Null     *plain2           `json:"null"`
		Inside   plain2            `json:"inside,omitzero"`
		List     []plain2          `json:"list,omitempty"`
		Zero     []string          `json:"zero,omitzero"` // which is not empty
		Texts    []string          `json:"texts"`
		Map      map[string]string `json:"map"`
		MapToo   map[string]string `json:"mapToo,omitempty"`
		Hidden   string            `json:"-"`
		hidden   string
	}
	plain2 struct {
		N int64 `json:"n,omitempty"`
	}

	embedding struct {
		plain2
		B string
	}
	recursive struct {
		Next *recursive
	}
	nested struct {
		Inside embedding
	}
	byValue   struct{ N int }
	byPointer struct{ N int }
	asText    string
	zeroer    struct{ N int }
)

func (byValue) MarshalJSON() ([]byte, error)    { return []byte(`"<own>"`), nil }
func (*byPointer) MarshalJSON() ([]byte, error) { return []byte(`"own"`), nil }
func (asText) MarshalText() ([]byte, error)     { return []byte("own"), nil }
func (zeroer) IsZero() bool                     { return true }

// same fails the test where encoding/json writes something else.
func same(t *testing.T, v any) {
	t.Helper()
	want, wantErr := json.Marshal(v)
	got, err := Marshal(v)
	if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Errorf("%#v: got\n%s, %v, want\n%s, %v", v, got, err, want, wantErr)
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	values := []any{
		"", "text", true, 7, int8(-7), int64(1) << 60, []string(nil), []string{}, []string{"a", ""}, at, time.Time{}, word("w"), plain2{}, &plain2{N: 1}, (*plain2)(nil),
		map[string]string(nil), map[string]string{}, map[string]string{"b": "1", "a": "<2>", "é": "\n"},
		plain{}, plain{Zero: []string{}, List: []plain2{}, Map: map[string]string{}, MapToo: map[string]string{}},
		at.In(time.FixedZone("", 3600)), at.In(time.FixedZone("", 100*3600)), at.AddDate(8000, 0, 0), at.AddDate(-3000, 0, 0),
		plain{At: at.AddDate(8000, 0, 0)}, []plain{{Then: at.Local()}}, // told late that it is not so plain
	}
	for _, text := range []string{`"`, `\`, "<", ">", "&", "'", "/", "\x00", "\x1f", "\x7f", "\t", "\u00e9", "日本", "😀", "\u2028", "\u2029", "\xff", "a\xc3", "\u2027", "\ufffd"} {
		values = append(values, text, "before "+text, plain{Text: text, Map: map[string]string{text: text}})
	}
	full := plain{hidden: "x"}
	fill(reflect.ValueOf(&full).Elem(), at)
	for _, v := range append(values, full, []plain{full, full}, []*plain{&full, nil}) {
		if writerOf(reflect.TypeOf(v)) == nil {
			t.Errorf("%T is not taken for plain", v)
		}
		same(t, v)
	}
}

func TestNotPlain(t *testing.T) {
	t.Parallel()
	type (
		floats   struct{ F float64 }
		anything struct{ A any }
		raw      struct{ R json.RawMessage }
		bytewise struct{ B []byte }
		unsigned struct{ U uint64 }
		keyed    struct{ M map[int]string }
		valued   struct{ M map[string]int }
		quoted   struct {
			N int `json:",string"`
		}
		twice struct {
			A int `json:"B"`
			B int
		}
		strange struct {
			A int `json:"a<b"`
		}
		zeroing struct {
			Z zeroer `json:"z,omitzero"`
		}
		array struct{ A [2]int }
	)
	for _, v := range []any{
		floats{1.5}, anything{1}, raw{json.RawMessage(`{"a": 1}`)}, bytewise{[]byte("x")}, unsigned{1}, keyed{map[int]string{1: "a"}}, valued{map[string]int{"a": 1}},
		quoted{1}, twice{1, 2}, strange{1}, tagged(`json:"-,"`), zeroing{zeroer{1}}, array{}, embedding{plain2{1}, "b"}, nested{}, recursive{&recursive{}},
		byValue{}, &byValue{}, byPointer{}, &byPointer{}, []byPointer{{}}, asText("x"), map[asText]string{"x": "y"}, struct{ A asText }{}, struct{ B *byPointer }{},
		[]any{1}, map[string]any{"a": 1}, 1.5, make(chan int), func() {},
	} {
		if writerOf(reflect.TypeOf(v)) != nil {
			t.Errorf("%T is taken for plain", v)
		}
		if kind := reflect.TypeOf(v).Kind(); kind != reflect.Func && kind != reflect.Chan {
			same(t, v)
		} else if _, err := Marshal(v); err == nil {
			t.Errorf("%T was written", v)
		}
	}
	same(t, nil)
}

// tagged is a struct whose one field has a tag that linters would not let pass.
func tagged(tag reflect.StructTag) any {
	return reflect.New(reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[int](), Tag: tag}})).Elem().Interface()
}

// The states that are told most are plain, and nothing in them is written in another way.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, aggregate := range []*domain.Aggregate{order.Aggregate(), stock.Aggregate(), gift.Aggregate(), batch.Aggregate(),
		customer.Aggregate(), customer.SubscriptionAggregate(), customer.PasswordResetAggregate(), imports.Aggregate(), webhook.Aggregate(),
		subscription.SubscriberAggregate(), subscription.ItemAggregate()} {
		same(t, aggregate.New())
		full := reflect.New(reflect.TypeOf(aggregate.New()))
		fill(full.Elem(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		same(t, full.Elem().Interface())
		if writerOf(full.Elem().Type()) == nil {
			t.Errorf("%s is not plain", aggregate.Name)
		}
	}
}

// fill gives every field a value that is not its zero.
func fill(v reflect.Value, at time.Time) {
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(at))
	case v.Kind() == reflect.String:
		v.SetString("é <" + v.Type().String() + ">")
	case v.CanInt():
		v.SetInt(-12)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), at)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(1), at)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, at)
		v.SetMapIndex(reflect.ValueOf("b").Convert(v.Type().Key()), value)
		v.SetMapIndex(reflect.ValueOf("a").Convert(v.Type().Key()), value)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), at)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("plain", "<é>\u2028\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		same(t, plain{Text: a, List: []plain2{{1}}, Texts: []string{b}, Map: map[string]string{a: b, b: a}})
	})
}

func BenchmarkMarshal(b *testing.B) {
	var state order.Order
	fill(reflect.ValueOf(&state).Elem(), time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC))
	var v any = state
	for name, marshal := range map[string]func(any) ([]byte, error){"encoding/json": json.Marshal, "quickjson": Marshal} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := marshal(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
