package domain

import (
	"encoding/json"
	"errors"
	"testing"
)

type renamed struct {
	Title string `json:"title"`
	Pages int    `json:"pages"`
}

func (renamed) EventType() string { return "book.renamed" }

// Version 1 called the title a name, version 2 had no pages.
func bookCodec() Codec {
	return NewCodec(EventOf[renamed]("A book was renamed.",
		func(data json.RawMessage) (json.RawMessage, error) {
			var old struct{ Name string }
			if err := json.Unmarshal(data, &old); err != nil {
				return nil, err
			}
			return json.Marshal(map[string]any{"title": old.Name})
		},
		func(data json.RawMessage) (json.RawMessage, error) {
			var e map[string]any
			if err := json.Unmarshal(data, &e); err != nil {
				return nil, err
			}
			e["pages"] = 1
			return json.Marshal(e)
		}))
}

func TestUpcasting(t *testing.T) {
	t.Parallel()
	c := bookCodec()
	data, version, err := c.Encode(renamed{"Atlas", 7})
	if err != nil || version != 3 || string(data) != `{"title":"Atlas","pages":7}` {
		t.Fatalf("encoded as %s, version %d, %v", data, version, err)
	}
	for _, test := range []struct {
		version int
		data    string
		want    renamed
	}{
		{1, `{"name":"Atlas"}`, renamed{"Atlas", 1}},
		{2, `{"title":"Atlas"}`, renamed{"Atlas", 1}},
		{3, `{"title":"Atlas","pages":7}`, renamed{"Atlas", 7}},
	} {
		e, err := c.Decode(Recorded{Type: "book.renamed", SchemaVersion: test.version, Data: []byte(test.data)})
		if err != nil || e != test.want {
			t.Errorf("version %d: %+v, %v", test.version, e, err)
		}
	}
}

func TestUnreadableEvents(t *testing.T) {
	t.Parallel()
	c := bookCodec()
	for name, r := range map[string]Recorded{
		"unknown type": {Type: "book.burnt", SchemaVersion: 1, Data: []byte(`{}`)},
		"from ahead":   {Type: "book.renamed", SchemaVersion: 4, Data: []byte(`{}`)},
		"version zero": {Type: "book.renamed", Data: []byte(`{}`)},
	} {
		var unknown *UnknownEventError
		if _, err := c.Decode(r); !errors.As(err, &unknown) || unknown.Type != r.Type {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, version := range []int{1, 2, 3} {
		if _, err := c.Decode(Recorded{Type: "book.renamed", SchemaVersion: version, Data: []byte(`[]`)}); err == nil {
			t.Errorf("version %d: garbage was read", version)
		}
	}
	if _, _, err := NewCodec().Encode(renamed{}); !errors.As(err, new(*UnknownEventError)) {
		t.Errorf("an unregistered event was encoded: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("two types of one name were accepted")
		}
	}()
	NewCodec(EventOf[renamed](""), EventOf[renamed](""))
}

func TestStreamNames(t *testing.T) {
	t.Parallel()
	id := StreamID{Aggregate: "order", ID: "ord_1"}
	if parsed, err := ParseStreamID(id.String()); err != nil || parsed != id {
		t.Errorf("%v, %v", parsed, err)
	}
	for _, name := range []string{"", "order", "order/", "/ord_1"} {
		if _, err := ParseStreamID(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}
