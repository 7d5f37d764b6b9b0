package profile

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

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

var update = flag.Bool("update", false, "write the golden files, and the tables of docs/profiles.md, anew")

// everything is every aggregate that profiles tell of.
var everything = byName(order.Aggregate(), stock.Aggregate(), batch.Aggregate(), gift.Aggregate(), customer.Aggregate(),
	customer.SubscriptionAggregate(), customer.PasswordResetAggregate(), imports.Aggregate(), subscription.SubscriberAggregate(),
	subscription.ItemAggregate(), webhook.Aggregate())

func byName(aggregates ...*domain.Aggregate) map[string]*domain.Aggregate {
	byName := map[string]*domain.Aggregate{}
	for _, a := range aggregates {
		byName[a.Name] = a
	}
	return byName
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; if it may, run: go test ./outbox/profile -update\ngot  %s\nwant %s", path, got, want)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func indented(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, json.Indent(&b, text, "", "  "))
	b.WriteByte('\n')
	return b.Bytes()
}

// Every event of every profile has a sample; its body is that of the golden file, the same bytes every time, and valid by the event's
// own schema, also where that is made to allow nothing besides what it lists.
func TestGoldenBodies(t *testing.T) {
	t.Parallel()
	bodies := 0
	for name, p := range All(everything) {
		again := All(everything)[name] // nothing of the first may be needed
		for _, e := range p.Events {
			o, err := p.Sample(e.Name)
			check(t, err)
			o.Include = p.Includes
			m, err := p.Render(o)
			check(t, err)
			if m.Event != e.Name || m.ID != o.ID.String() {
				t.Errorf("%s %s: rendered as %s, id %s", name, e.Name, m.Event, m.ID)
			}
			golden(t, filepath.Join("testdata", name, e.Name+".json"), indented(t, m.Body))
			o, err = again.Sample(e.Name)
			check(t, err)
			o.Include = slices.Clone(p.Includes)
			slices.Reverse(o.Include)
			if n, err := again.Render(o); err != nil || !bytes.Equal(n.Body, m.Body) || n.ID != m.ID {
				t.Errorf("%s %s is not the same again: %s, %v", name, e.Name, n.Body, err)
			}
			validate(t, e, m.Body)
			bodies++
		}
		if !*update {
			files, err := filepath.Glob(filepath.Join("testdata", name, "*.json"))
			check(t, err)
			if len(files) != len(p.Events) {
				t.Errorf("%s: %d golden files, %d events", name, len(files), len(p.Events))
			}
		}
	}
	if bodies < 190 {
		t.Errorf("%d bodies only", bodies)
	}
}

// The schemas of all events, in which what was there before is not written out again.
func TestGoldenSchemas(t *testing.T) {
	t.Parallel()
	for name, p := range All(everything) {
		var text bytes.Buffer
		seen := map[string]string{}
		for _, e := range p.Events {
			if want := `"$id":"urn:waybill:webhook:` + name + ":" + e.Name + ":" + schemaVersion + `"`; !bytes.Contains(e.Schema(), []byte(want)) {
				t.Errorf("%s %s: no %s in the schema", name, e.Name, want)
			}
			var schema any
			check(t, json.Unmarshal(e.Schema(), &schema))
			short, err := json.Marshal(shorten(t, schema, e.Name, seen))
			check(t, err)
			text.Write(indented(t, short))
		}
		golden(t, filepath.Join("testdata", "schemas", name+".json"), text.Bytes())
	}
}

// shorten puts the place of its first appearance in the place of each larger part that has appeared before.
func shorten(t *testing.T, part any, path string, seen map[string]string) any {
	object, ok := part.(map[string]any)
	if !ok {
		return part
	}
	text, err := json.Marshal(object)
	check(t, err)
	if first, ok := seen[string(text)]; ok {
		return "as " + first
	}
	short := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		short[key] = shorten(t, object[key], path+"."+key, seen)
	}
	if len(text) > 200 {
		seen[string(text)] = path
	}
	return short
}

// validate checks a body against the schema of its event, and against one that forbids what it does not list.
func validate(t *testing.T, e Event, body []byte) {
	t.Helper()
	for _, strict := range []bool{false, true} {
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Schema()))
		check(t, err)
		if strict {
			forbidOthers(schema)
		}
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft2020)
		compiler.AssertFormat()
		check(t, compiler.AddResource("urn:it", schema))
		compiled, err := compiler.Compile("urn:it")
		check(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		check(t, err)
		if err := compiled.Validate(value); err != nil {
			t.Errorf("the body of %s is not valid (strict %v): %v\n%s", e.Name, strict, err, body)
		}
	}
}

func forbidOthers(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, ok := s["properties"]; ok {
			s["additionalProperties"] = false
		}
		for _, value := range s {
			forbidOthers(value)
		}
	case []any:
		for _, value := range s {
			forbidOthers(value)
		}
	}
}

// A schema that accepts anything would make the other tests worthless.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	e, err := Chord(everything).Event("order_completed")
	check(t, err)
	var schema map[string]any
	check(t, json.Unmarshal(e.Schema(), &schema))
	compiler := jsonschema.NewCompiler()
	check(t, compiler.AddResource("urn:it", schema))
	compiled, err := compiler.Compile("urn:it")
	check(t, err)
	o, err := Chord(everything).Sample("order_completed")
	check(t, err)
	m, err := Chord(everything).Render(o)
	check(t, err)
	for name, spoil := range map[string]func(map[string]any){
		"another event": func(b map[string]any) { b["event_name"] = "order_cancelled" },
		"no order":      func(b map[string]any) { delete(b, "order") },
		"a null total":  func(b map[string]any) { b["order"].(map[string]any)["total"] = nil },
		"a number":      func(b map[string]any) { b["order"].(map[string]any)["total"] = 10.63 },
		"no line item id": func(b map[string]any) {
			delete(b["order"].(map[string]any)["line_items"].([]any)[0].(map[string]any), "id")
		},
	} {
		var body map[string]any
		check(t, json.Unmarshal(m.Body, &body))
		check(t, compiled.Validate(body))
		spoil(body)
		if compiled.Validate(body) == nil {
			t.Errorf("%s is valid", name)
		}
	}
}

// No schema takes nothing at all, a body that lacks a part, or one that tells of another event by its name.
func TestEachSchemaRefuses(t *testing.T) {
	t.Parallel()
	marks := map[string]string{"native": "type", "chord": "event_name", "goody": "event_type", "ordergroove": "type", "up42": "event"}
	for name, p := range All(everything) {
		for _, e := range p.Events {
			schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Schema()))
			check(t, err)
			compiler := jsonschema.NewCompiler()
			check(t, compiler.AddResource("urn:it", schema))
			compiled, err := compiler.Compile("urn:it")
			check(t, err)
			o, err := p.Sample(e.Name)
			check(t, err)
			m, err := p.Render(o)
			check(t, err)
			var body map[string]any
			check(t, json.Unmarshal(m.Body, &body))
			check(t, compiled.Validate(body))
			for key, value := range body {
				delete(body, key)
				if compiled.Validate(body) == nil {
					t.Errorf("%s %s is valid without %s", name, e.Name, key)
				}
				body[key] = []any{}
				if compiled.Validate(body) == nil {
					t.Errorf("%s %s is valid with a list for %s", name, e.Name, key)
				}
				body[key] = value
			}
			if mark := marks[name]; mark != "" {
				if body[mark] = "another"; compiled.Validate(body) == nil {
					t.Errorf("%s %s is valid under another name", name, e.Name)
				}
			}
			if compiled.Validate(map[string]any{}) == nil || compiled.Validate(nil) == nil {
				t.Errorf("%s %s: nothing at all is valid", name, e.Name)
			}
		}
	}
}

func TestSampleErrors(t *testing.T) {
	t.Parallel()
	p := Chord(everything)
	if _, err := p.Sample("order_eaten"); err == nil {
		t.Error("there is a sample of an event that there is not")
	}
	if o, err := p.Sample("shipping_delivery_status_updated"); err != nil || o.Subscribed[0] != "shipment_delivery_status_updated" {
		t.Errorf("the sample of an alias is %v, %v", o.Subscribed, err)
	}
	// Events of an aggregate without a sample life are there too.
	if o, err := Native(items).Sample("stock_item.renamed"); err != nil || o.Type != "stock_item.renamed" {
		t.Errorf("%+v, %v", o, err)
	}
}

// The samples of orders are lives that were lived, so every event of the log is in one.
func TestSampleLivesHaveEveryEvent(t *testing.T) {
	t.Parallel()
	occurrences, err := sampler(everything)()
	check(t, err)
	seen, ids := map[string]bool{}, map[string]bool{}
	for _, o := range occurrences {
		seen[o.Type] = !bytes.Contains(o.Metadata, []byte(`"command":"sample"`)) || seen[o.Type]
		if ids[o.ID.String()] || o.ID.Version() != 7 {
			t.Errorf("%s is no id of its own", o.ID)
		}
		ids[o.ID.String()] = true
	}
	for _, a := range everything {
		for _, e := range a.Codec.Types() {
			if !seen[e.Name] {
				t.Errorf("no sample life has a %s", e.Name)
			}
		}
	}
	if slices.Sorted(maps.Keys(ids))[0] != occurrences[0].ID.String() {
		t.Error("the ids do not ascend")
	}
}
