package domain

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

type person struct {
	ID     string            `json:"id,omitempty" personal:"subject"`
	Name   string            `json:"name,omitempty" personal:"true"`
	Emails []string          `json:"emails,omitempty" personal:"true"`
	Phones map[string]string `json:"phones,omitempty" personal:"true"`
}

type met struct {
	contact
	Title  string            `json:"title"`
	Note   string            `json:"note,omitempty" personal:"true"`
	Host   *person           `json:"host,omitempty"`
	Guests []person          `json:"guests,omitempty"`
	By     map[string]person `json:"by,omitempty"`
	At     time.Time         `json:"at,omitzero"`
	Count  int               `json:"count"`
	Tags   map[string]string `json:"tags,omitempty"`
	Within *met              `json:"within,omitempty"`
}

type contact struct {
	Phone *string `json:"phone,omitempty" personal:"true"`
}

func (met) EventType() string { return "meeting.met" }

var meetings = NewCodec(EventOf[met]("Some people met."), EventOf[renamed]("A book was renamed."))

func ptr[T any](v T) *T { return &v }

func TestPersonalFields(t *testing.T) {
	t.Parallel()
	e := met{
		contact: contact{ptr("+1 555")}, Title: `a "title", {like} [this]`, Note: "met \"Ada\" \\ in \u2028 <b>",
		Host:   &person{Name: "Host"}, // no id: nobody's
		Guests: []person{{ID: "cus_1", Name: "One", Emails: []string{"one@example.com", "", "1@example.com"}}, {ID: "cus_2", Name: "Two"}, {}},
		By:     map[string]person{"train": {ID: "cus_3", Phones: map[string]string{"home": "+3"}}},
		At:     time.Unix(0, 0), Count: -7, Tags: map[string]string{"name": "not personal"},
		Within: &met{Note: "earlier", Host: &person{ID: "cus_4", Name: "Four"}},
	}
	data, _, err := meetings.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		value, subject string
		ofState        bool
	}
	var got []found
	for _, f := range meetings.Personal("meeting.met", data) {
		var value string
		if err := json.Unmarshal(data[f.Start:f.End], &value); err != nil {
			t.Fatalf("%s: %v", data[f.Start:f.End], err)
		}
		got = append(got, found{value, f.Subject, f.OfState})
	}
	want := []found{
		{"+1 555", "", true}, {e.Note, "", true}, {"Host", "", false},
		{"One", "cus_1", false}, {"one@example.com", "cus_1", false}, {"1@example.com", "cus_1", false}, {"Two", "cus_2", false}, {"+3", "cus_3", false},
		{"earlier", "", true}, {"Four", "cus_4", false},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found %v\nwant  %v", got, want)
	}
	data, _, _ = meetings.Encode(renamed{"Atlas", 7})
	if fields := meetings.Personal("book.renamed", data); fields != nil || meetings.MayBePersonal("book.renamed") || !meetings.MayBePersonal("meeting.met") {
		t.Errorf("a type without personal fields has %v", fields)
	}
}

// What is not personal costs nothing, and what may be but is empty costs no memory.
func TestPersonalAllocations(t *testing.T) {
	data, _, _ := meetings.Encode(met{Title: "nobody came", Tags: map[string]string{"a": "b"}})
	if n := testing.AllocsPerRun(100, func() { meetings.Personal("meeting.met", data) }); n != 0 {
		t.Errorf("%v allocations where nothing is personal", n)
	}
}

func TestPersonalState(t *testing.T) {
	t.Parallel()
	a := Define("meeting", nil, meetings, func(met, Command) ([]Event, error) { return nil, nil }, func(s met, _ Event, _ time.Time) met { return s })
	s := met{Note: "n", Host: &person{Name: "Host"}, Guests: []person{{ID: "cus_1", Name: "One"}}}
	if id := a.Subject(s); id != "" {
		t.Errorf("subject %q: one of a list is not the subject of all", id)
	}
	s.Host.ID = "cus_9"
	if id := a.Subject(s); id != "cus_9" || a.Subject(met{}) != "" {
		t.Errorf("subject %q", id)
	}
	if found := a.PersonalStrings(s); !slices.Equal(found, []string{"n", "Host", "One"}) {
		t.Errorf("personal are %q", found)
	}
}

func TestImpossibleTags(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(){
		"a number": func() {
			shapeOf(reflect.TypeFor[struct {
				Age int `personal:"true"`
			}]())
		},
		"a struct": func() {
			shapeOf(reflect.TypeFor[struct {
				P person `personal:"true"`
			}]())
		},
		"a subject in a list": func() {
			shapeOf(reflect.TypeFor[struct {
				IDs []string `personal:"subject"`
			}]())
		},
		"another word": func() {
			shapeOf(reflect.TypeFor[struct {
				Name string `personal:"yes"`
			}]())
		},
		"left out of the JSON": func() {
			shapeOf(reflect.TypeFor[struct {
				Name string `json:"-" personal:"true"`
			}]())
		},
		"not exported": func() {
			shapeOf(reflect.TypeFor[struct {
				name string `personal:"true"`
			}]())
		},
		"the reserved name": func() {
			eventShape(reflect.TypeFor[struct {
				S string `json:"$personal"`
			}]())
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the tag was accepted", name)
				}
			}()
			make()
		}()
	}
}

var people = rapid.Custom(func(t *rapid.T) person {
	return person{
		ID: rapid.SampledFrom([]string{"", "cus_1", "cus_2"}).Draw(t, "id"), Name: rapid.String().Draw(t, "name"),
		Emails: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "emails"), Phones: rapid.MapOfN(rapid.String(), rapid.String(), 0, 2).Draw(t, "phones"),
	}
})

var anyMeeting = rapid.Custom(func(t *rapid.T) met {
	return met{
		contact: contact{rapid.Ptr(rapid.String(), true).Draw(t, "phone")}, Title: rapid.String().Draw(t, "title"), Note: rapid.String().Draw(t, "note"),
		Host: rapid.Ptr(people, true).Draw(t, "host"), Guests: rapid.SliceOfN(people, 0, 3).Draw(t, "guests"),
		By: rapid.MapOfN(rapid.String(), people, 0, 2).Draw(t, "by"), Count: rapid.Int().Draw(t, "count"),
		Tags: rapid.MapOfN(rapid.SampledFrom([]string{"$personal", "note", "x"}), rapid.String(), 0, 2).Draw(t, "tags"),
	}
})

// Whatever an event holds: masked it holds nothing personal and is what an event with [Erased] everywhere would be, and unmasked it is what it was,
// to the byte; with some patches only, what belongs to the others is erased.
func TestMaskAndUnmask(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data, _, err := meetings.Encode(anyMeeting.Draw(t, "event"))
		if err != nil {
			t.Fatal(err)
		}
		fields := meetings.Personal("meeting.met", data)
		if len(fields) == 0 {
			return
		}
		groups := make([]int, len(fields))
		for i, f := range fields {
			groups[i] = map[string]int{"": 0, "cus_1": 1, "cus_2": 2}[f.Subject]
		}
		masked, patches := Mask(data, fields, groups)
		var want strings.Builder
		done := 0
		for _, f := range fields {
			want.Write(data[done:f.Start])
			want.WriteString(`"` + Erased + `"`)
			done = f.End
		}
		want.Write(data[done:])
		if string(masked) != want.String() || !json.Valid(masked) {
			t.Fatalf("masked as %s\nwant %s", masked, want.String())
		}
		var parts []SealedPart
		for _, p := range patches {
			parts = append(parts, SealedPart{uuid.New(), p})
		}
		stored := Sealed{parts, masked}.Encode()
		if !json.Valid(stored) || !IsSealed(stored) || IsSealed(data) || IsSealed(masked) {
			t.Fatalf("stored as %s", stored)
		}
		back, ok, err := ParseSealed(stored)
		if err != nil || !ok || string(back.Masked) != string(masked) || len(back.Parts) != len(parts) {
			t.Fatalf("parsed as %+v, %v, %v", back, ok, err)
		}
		var some, all []Patch
		for i, p := range back.Parts {
			if p.Key != parts[i].Key || string(p.Ciphertext) != string(patches[i]) {
				t.Fatalf("part %d is %+v", i, p)
			}
			all = append(all, p.Ciphertext)
			if i != 1 {
				some = append(some, p.Ciphertext)
			}
		}
		if opened, err := Unmask(masked, all); err != nil || string(opened) != string(data) {
			t.Fatalf("opened as %s, %v\nit was   %s", opened, err, data)
		}
		opened, err := Unmask(masked, some)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range meetings.Personal("meeting.met", opened) {
			token := string(opened[f.Start:f.End])
			if groups[i] == 1 != (token == `"`+Erased+`"`) && string(data[fields[i].Start:fields[i].End]) != token {
				t.Fatalf("field %d is %s in %s", i, token, opened)
			}
		}
	})
}

// Data that only looks sealed: what a user writes never stands where the sealed member does, and a damaged one is an error.
func TestLooksSealed(t *testing.T) {
	t.Parallel()
	data, _, _ := meetings.Encode(met{Title: sealedPrefix, Tags: map[string]string{sealedMember: "x"}})
	if IsSealed(data) {
		t.Errorf("%s is taken for sealed", data)
	}
	id := uuid.New().String()
	for _, damaged := range []string{`"x"]`, `"x"],"a":1}`, `"` + id + `"],"a":1}`, `"` + id + `.?"],"a":1}`, `"` + id + `.AAAA","",],"a":1}`, ``} {
		if _, ok, err := ParseSealed([]byte(sealedPrefix + damaged)); !ok || err == nil {
			t.Errorf("%s was read", damaged)
		}
	}
	for _, p := range []Patch{{1}, {200}, {2, 9, 'a'}, {0, 1, 'a'}, {5, 1, 'a', 5, 1, 'b'}} {
		if _, err := Unmask([]byte(`{"a":"`+Erased+`"}`), []Patch{p}); err == nil {
			t.Errorf("patch %v was applied", p)
		}
	}
}

func FuzzUnmask(f *testing.F) {
	f.Add([]byte(`{"a":"[erased]"}`), []byte{5, 3, '"', 'x', '"'})
	f.Fuzz(func(_ *testing.T, masked, patch []byte) { Unmask(masked, []Patch{patch}) })
}

func FuzzParseSealed(f *testing.F) {
	f.Add([]byte(Sealed{[]SealedPart{{uuid.Nil, []byte("x")}}, []byte(`{"a":1}`)}.Encode()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, ok, err := ParseSealed(data); ok && err == nil && len(s.Masked) == 0 {
			t.Error("nothing is left")
		}
	})
}

func FuzzPersonal(f *testing.F) {
	f.Add(`a "b" \ c`, "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		data, _, err := meetings.Encode(met{Title: a, Note: b, Tags: map[string]string{a: b}, Guests: []person{{ID: "cus_1", Name: a}}})
		if err != nil {
			return
		}
		want := 0
		for _, s := range []string{a, b} {
			if s != "" {
				want++
			}
		}
		if fields := meetings.Personal("meeting.met", data); len(fields) != want {
			t.Errorf("%d fields in %s", len(fields), data)
		}
	})
}
