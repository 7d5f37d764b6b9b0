package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/waybill-dev/waybill/outbox/delivery"
)

// envelope is every answer that went well.
type envelope[T any] struct {
	Data  T    `json:"data"`
	Error null `json:"error"`
}

// list is a page of things. NextCursor is null at the end.
type list[T any] struct {
	Data       []T     `json:"data" nullable:"false"`
	Error      null    `json:"error"`
	NextCursor *string `json:"nextCursor" doc:"Give it as cursor to get the next page. It is null at the end."`
}

// viewList is a page of what a view shows. It is not made of a list, because huma does not look into embedded types that are not exported.
type viewList[T any] struct {
	Data       []T     `json:"data" nullable:"false"`
	Error      null    `json:"error"`
	NextCursor *string `json:"nextCursor" doc:"Give it as cursor to get the next page. It is null at the end."`
	LagSeconds float64 `json:"lagSeconds" doc:"The age of the oldest event that the view had not seen when it was asked; 0 where it had seen all. What it shows is at least that fresh."`
}

// failed is every answer that did not go well.
type failed struct {
	Data  null    `json:"data"`
	Error problem `json:"error"`
}

// null is always null.
type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Schema implements [huma.SchemaProvider].
func (null) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: "null"} }

// reply and page are what handlers return.
type reply[T any] struct{ Body envelope[T] }

type page[T any] struct{ Body list[T] }

type viewPage[T any] struct{ Body viewList[T] }

func replyWith[T any](data T) *reply[T] { return &reply[T]{envelope[T]{Data: data}} }

// pageOf makes a page; next is empty at the end.
func pageOf[T any](data []T, next string) *page[T] {
	p := &page[T]{list[T]{Data: append([]T{}, data...)}}
	if next != "" {
		p.Body.NextCursor = &next
	}
	return p
}

// answer writes a document outside of huma.
func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_ = encode(w, document) // fails only where the client has gone
}

func fail(w http.ResponseWriter, p problem) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	answer(w, p.status, p.envelope())
}

func encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// inEnvelope gives errors, huma's own and ours, the form of all others.
func inEnvelope(ctx huma.Context, _ string, v any) (any, error) {
	ctx.SetHeader("Content-Type", jsonType)
	switch v := v.(type) {
	case *huma.ErrorModel:
		return ofHuma(v).envelope(), nil
	case *problem:
		return v.envelope(), nil
	}
	return v, nil
}

// schemaName names a type in the OpenAPI document.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	switch {
	case t == reflect.TypeFor[delivery.Event]():
		return "DeliveryEvent"
	case name == "Problem":
		return "Error"
	case name == "Failed":
		return "Failure"
	case strings.HasPrefix(name, "Envelope"):
		return strings.TrimPrefix(name, "Envelope") + "Answer"
	case strings.HasPrefix(t.Name(), "viewList["):
		return strings.TrimPrefix(name, "ViewList") + "List"
	case strings.HasPrefix(t.Name(), "list["):
		return strings.TrimPrefix(name, "List") + "List"
	}
	return name
}
