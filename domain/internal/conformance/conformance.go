// Package conformance tests what every aggregate has to do: that its events can be read for ever, that its machines are what they
// are meant to be and decide alone, and that history gives the state that the commands gave.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Suite is an aggregate, and what its tests have to know of it.
type Suite struct {
	Aggregate *domain.Aggregate
	Commands  []domain.Command          // the zero value of every command
	Samples   []domain.Event            // every event once, with every field set
	Describe  func(domain.Event) string // one line for each event

	// Tables are the machines' tables once more, by the machine's name: each line a status, then every move out of it and where it
	// leads, such as "draft: destroy=destroyed submit=pending". Whoever changes a table has to change it here as well, and so says
	// that it was meant.
	Tables map[string]string

	// Statuses are the statuses in a state, by subject: "gift", or "subscription sub_1". The subject's first word is the machine.
	Statuses func(domain.State) map[string]string

	// Reach leads an aggregate to each status of each machine, with every guard on the moves out of it satisfied: commands by
	// "machine.status".
	Reach map[string][]domain.Command
	// Moves are the commands that make each move, by "machine.move". A move that only follows from something else is nil.
	Moves map[string]domain.Command

	// Silent are the commands that may be legal and yet record nothing, by name: those that set a value.
	Silent []string
	// Draw draws any command for a random life; it should be legal often enough to lead somewhere.
	Draw func(*rapid.T, domain.State) domain.Command
}

// GoldenEvents compares how events are written with their golden files in testdata/events. An event that is written differently
// would change history's format unnoticed: it needs a new schema version, with an upcast from the old one, and then a golden file of
// its own.
func (s Suite) GoldenEvents(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range s.Samples {
		data, version, err := s.Aggregate.Codec.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.EventType()] {
			t.Errorf("there are two samples of %s", e.EventType())
		}
		seen[e.EventType()] = true
		file := filepath.Join("testdata", "events", fmt.Sprintf("%s.v%d.json", e.EventType(), version))
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, data, "", "  "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		if *update {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, pretty.Bytes(), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(golden, pretty.Bytes()) {
			t.Errorf("%s is written as\n%s, and %s has\n%s", e.EventType(), pretty.Bytes(), file, golden)
		}
		back, err := s.Aggregate.Codec.Decode(domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data})
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s comes back as %+v, %v; want %+v", e.EventType(), back, err, e)
		}
		// A field that no sample sets would be in its golden file as if it were not there.
		for v, i := reflect.ValueOf(e), 0; i < v.NumField(); i++ {
			if v.Field(i).IsZero() {
				t.Errorf("the sample of %s leaves %s out", e.EventType(), v.Type().Field(i).Name)
			}
		}
	}
	for _, et := range s.Aggregate.Codec.Types() {
		if !seen[et.Name] {
			t.Errorf("there is no sample of %s", et.Name)
		}
		if et.Description == "" || !strings.HasSuffix(et.Description, ".") {
			t.Errorf("%s is described as %q", et.Name, et.Description)
		}
		// Golden files of older versions stay, and have to be readable for ever.
		for version := 1; version <= et.SchemaVersion(); version++ {
			data, err := os.ReadFile(filepath.Join("testdata", "events", fmt.Sprintf("%s.v%d.json", et.Name, version)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Aggregate.Codec.Decode(domain.Recorded{Type: et.Name, SchemaVersion: version, Data: data}); err != nil {
				t.Error(err)
			}
		}
	}
}

// Run runs everything but the golden files.
func (s Suite) Run(t *testing.T) {
	t.Run("tables", s.tables)
	t.Run("cells", s.cells)
	t.Run("commands", s.commands)
	t.Run("nothing there", s.nothing)
	t.Run("foreigners", s.foreigners)
	t.Run("words", s.words)
	t.Run("events", s.events)
	t.Run("lives", s.lives)
	t.Run("imports", func(t *testing.T) { Imports(t) })
}

func (s Suite) tables(t *testing.T) {
	if err := s.Aggregate.Check(); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Aggregate.Machines {
		var statuses []string
		for line := range strings.Lines(strings.TrimSpace(s.Tables[m.Name])) {
			status, moves, _ := strings.Cut(strings.TrimSpace(line), ":")
			statuses = append(statuses, status)
			var got []string
			for _, move := range m.Allowed(status) {
				to, _ := m.Fire(status, move)
				got = append(got, move+"="+to)
			}
			if want := strings.Fields(moves); !slices.Equal(got, want) {
				t.Errorf("%s: from %s it allows %v, want %v", m.Name, status, got, want)
			}
		}
		slices.Sort(statuses)
		if !slices.Equal(m.States(), statuses) {
			t.Errorf("%s has the statuses %v, want %v", m.Name, m.States(), statuses)
		}
	}
}

// cells tries every move in every status of every machine, legal or not.
func (s Suite) cells(t *testing.T) {
	for _, m := range s.Aggregate.Machines {
		for _, status := range m.States() {
			commands, known := s.Reach[m.Name+"."+status]
			if !known {
				t.Errorf("nothing leads to %s.%s", m.Name, status)
				continue
			}
			state := s.Play(t, s.Aggregate.New(), commands...)
			if got := s.status(state, m); got != status {
				t.Fatalf("what should lead the %s to %s leads it to %s", m.Name, status, got)
			}
			for _, row := range m.Moves {
				command, known := s.Moves[m.Name+"."+row.Name]
				if !known {
					t.Errorf("no command makes the move %s.%s", m.Name, row.Name)
				}
				if command == nil {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", m.Name, status, row.Name), func(t *testing.T) {
					events, err := s.Try(state, command)
					to, legal := m.Fire(status, row.Name)
					var illegal *domain.IllegalTransitionError
					var notFound *domain.NotFoundError
					switch {
					case legal && err != nil:
						t.Errorf("the table allows it, but: %v", err)
					case legal:
						if got := s.status(s.fold(state, events), m); got != to {
							t.Errorf("it leads to %s, the table says %s", got, to)
						}
					case status == "destroyed":
						if !errors.As(err, &notFound) {
							t.Errorf("%v, %v; want it not to be found", names(events), err)
						}
					case !errors.As(err, &illegal):
						t.Errorf("%v, %v; want an illegal transition", names(events), err)
					case illegal.Machine != m.Name || illegal.State != status || illegal.Command != command.CommandName() ||
						!slices.Equal(illegal.Allowed, m.Allowed(status)) || illegal.Reason != "":
						t.Errorf("it says %+v", *illegal)
					}
				})
			}
		}
	}
}

// commands sees that every command has a name of its own, goes to the aggregate, and cannot do without its id.
func (s Suite) commands(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range s.Commands {
		if seen[c.CommandName()] {
			t.Errorf("two commands are named %s", c.CommandName())
		}
		seen[c.CommandName()] = true
		if creator, ok := c.(domain.Creator); ok {
			c = creator.WithID("id_7")
			if _, err := s.Aggregate.Decide(s.Aggregate.New(), creator); !errors.As(err, new(*domain.InvalidCommandError)) {
				t.Errorf("%s is decided without an id: %v", c.CommandName(), err)
			}
		} else {
			var invalid *domain.InvalidCommandError
			if err := c.Validate(); !errors.As(err, &invalid) || invalid.Command != c.CommandName() {
				t.Errorf("an empty %s is answered with %v", c.CommandName(), err)
			}
			// The id of the aggregate is the first field of each of its commands.
			v := reflect.New(reflect.TypeOf(c)).Elem()
			v.Field(0).SetString("id_7")
			c = v.Interface().(domain.Command)
		}
		if c.StreamID() != (domain.StreamID{Aggregate: s.Aggregate.Name, ID: "id_7"}) {
			t.Errorf("%s goes to %s", c.CommandName(), c.StreamID())
		}
		text, err := json.Marshal(c)
		back := reflect.New(reflect.TypeOf(c))
		if err := errors.Join(err, json.Unmarshal(text, back.Interface())); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c) {
			t.Errorf("%s comes back as %+v, %v", text, back.Elem(), err)
		}
	}
}

// nothing sees that only what exists can be asked for anything, and that ids are used once.
func (s Suite) nothing(t *testing.T) {
	states := map[string]domain.State{"unknown": s.Aggregate.New()}
	if commands, ok := s.Reach[s.Aggregate.Machines[0].Name+".destroyed"]; ok {
		states["destroyed"] = s.Play(t, s.Aggregate.New(), commands...)
	}
	for name, state := range states {
		for _, c := range s.Commands {
			_, creates := c.(domain.Creator)
			if creates && name == "destroyed" {
				var illegal *domain.IllegalTransitionError
				if _, err := s.Aggregate.Decide(state, c); !errors.As(err, &illegal) || illegal.Reason != "its id is taken" {
					t.Errorf("%s of a destroyed %s: %v", c.CommandName(), s.Aggregate.Name, err)
				}
			}
			if creates || !slices.Contains(s.needExisting(), c.CommandName()) {
				continue
			}
			var notFound *domain.NotFoundError
			if _, err := s.Aggregate.Decide(state, c); !errors.As(err, &notFound) {
				t.Errorf("%s of a %s %s: %v", c.CommandName(), name, s.Aggregate.Name, err)
			}
		}
	}
}

// needExisting are the commands that do not begin a stream: all, but the first of each life.
func (s Suite) needExisting() (list []string) {
	var first []string
	for _, commands := range s.Reach {
		if len(commands) > 0 {
			first = append(first, commands[0].CommandName())
		}
	}
	for _, c := range s.Commands {
		if !slices.Contains(first, c.CommandName()) {
			list = append(list, c.CommandName())
		}
	}
	return list
}

type foreign struct{}

func (foreign) EventType() string         { return "foreign.event" }
func (foreign) CommandName() string       { return "foreign.command" }
func (foreign) StreamID() domain.StreamID { return domain.StreamID{Aggregate: "foreign", ID: "id_1"} }
func (foreign) Validate() error           { return nil }

// foreigners sees that nothing of another aggregate is taken for one's own.
func (s Suite) foreigners(t *testing.T) {
	for key, commands := range s.Reach {
		if strings.HasSuffix(key, ".destroyed") {
			continue
		}
		state := s.Play(t, s.Aggregate.New(), commands...)
		if events, err := s.Aggregate.Decide(state, foreign{}); err == nil {
			t.Errorf("%s: a foreign command records %v", key, names(events))
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a foreign event was skipped, which tells a wrong history", key)
				}
			}()
			s.Aggregate.Evolve(state, foreign{}, start)
		}()
	}
}

// words sees that every event is told in one line of its own.
func (s Suite) words(t *testing.T) {
	seen := map[string]string{}
	for _, e := range s.Samples {
		line := s.Describe(e)
		if line == "" || line == e.EventType() || strings.Contains(line, "\n") || strings.Contains(line, "%!") || len(line) > 250 {
			t.Errorf("%s is told as %q", e.EventType(), line)
		}
		if other, taken := seen[line]; taken {
			t.Errorf("%s and %s are both told as %q", e.EventType(), other, line)
		}
		seen[line] = e.EventType()
	}
	if got := s.Describe(foreign{}); got != "foreign.event" {
		t.Errorf("a foreign event is told as %q", got)
	}
}

// events sees that an event leaves the state before it as it was, gives one that stays as it is when the one before goes another way,
// and shares nothing with it.
func (s Suite) events(t *testing.T) {
	for key, commands := range s.Reach {
		state := roomy(s.Play(t, s.Aggregate.New(), commands...))
		before := show(t, state)
		for _, e := range s.Samples {
			next := s.Aggregate.Evolve(state, e, start.Add(time.Hour))
			was := show(t, next)
			for _, other := range s.Samples {
				s.Aggregate.Evolve(state, other, start.Add(2*time.Hour))
				s.Aggregate.Evolve(next, other, start.Add(2*time.Hour))
			}
			if got := show(t, state); got != before {
				t.Fatalf("%s: %s changed the state before it from\n%s to\n%s", key, e.EventType(), before, got)
			}
			if got := show(t, next); got != was {
				t.Fatalf("%s: what came after %s changed its state from\n%s to\n%s", key, e.EventType(), was, got)
			}
			if again := show(t, s.Aggregate.Evolve(state, e, start.Add(time.Hour))); again != was {
				t.Fatalf("%s: %s leads to\n%s, and then to\n%s", key, e.EventType(), was, again)
			}
			if beyond := written(reflect.ValueOf(state)); beyond != "" {
				t.Fatalf("%s: %s wrote into the room behind the list %s of the state before it", key, e.EventType(), beyond)
			}
			data, version, err := s.Aggregate.Codec.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			own, err := s.Aggregate.Codec.Decode(domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			next = s.Aggregate.Evolve(state, own, start.Add(time.Hour))
			scramble(reflect.ValueOf(own))
			if got := show(t, next); got != was {
				t.Fatalf("%s: the state after %s shares with it what became\n%s, from\n%s", key, e.EventType(), got, was)
			}
		}
	}
}

// roomy copies a state so that its lists have room to grow, which is what lets an append write into somebody else's list.
func roomy(state domain.State) domain.State {
	v := reflect.New(reflect.TypeOf(state)).Elem()
	v.Set(reflect.ValueOf(state))
	for i := range v.NumField() {
		if list := v.Field(i); list.Kind() == reflect.Slice && !list.IsNil() {
			wide := reflect.MakeSlice(list.Type(), list.Len(), list.Len()+10)
			reflect.Copy(wide, list)
			list.Set(wide)
		}
	}
	return v.Interface()
}

// written names a list of a roomy state that somebody wrote into behind its end.
func written(state reflect.Value) string {
	for i := range state.NumField() {
		if list := state.Field(i); list.Kind() == reflect.Slice {
			for whole, j := list.Slice(0, list.Cap()), list.Len(); j < whole.Len(); j++ {
				if !whole.Index(j).IsZero() {
					return state.Type().Field(i).Name
				}
			}
		}
	}
	return ""
}

// scramble overwrites what an event refers to.
func scramble(event reflect.Value) {
	for i := range event.NumField() {
		switch v := event.Field(i); v.Kind() {
		case reflect.Pointer:
			v.Elem().SetZero()
		case reflect.Slice:
			for j := range v.Len() {
				v.Index(j).SetZero()
			}
		case reflect.Map:
			v.Clear()
		}
	}
}

// lives leads aggregates through random lives: whatever commands come, each is refused with a typed error or makes only moves of the
// tables, and the history alone gives the same state.
func (s Suite) lives(t *testing.T) {
	legal := map[string]bool{}
	for _, m := range s.Aggregate.Machines {
		for _, move := range m.Moves {
			for _, from := range move.Src {
				legal[m.Name+" "+from+" "+move.Dst] = true
			}
		}
	}
	exercised := map[string]bool{}
	live := func(t *rapid.T) {
		state := s.Aggregate.New()
		var history []domain.Recorded
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			command := s.Draw(t, state)
			if err := command.Validate(); err != nil {
				t.Fatalf("%+v: %v", command, err)
			}
			before := fmt.Sprintf("%+v", state)
			events, err := s.Aggregate.Decide(state, command)
			if again, err2 := s.Aggregate.Decide(state, command); !reflect.DeepEqual(again, events) || (err == nil) != (err2 == nil) {
				t.Fatalf("%+v: deciding again gives %v, %v", command, again, err2)
			}
			if err != nil {
				if !typed(err, s.Aggregate, command) || len(events) > 0 {
					t.Fatalf("%+v: %v, %#v", command, names(events), err)
				}
				continue
			}
			if len(events) == 0 && !slices.Contains(s.Silent, command.CommandName()) {
				t.Fatalf("%+v is legal, and records nothing", command)
			}
			for i, e := range events {
				data, version, err := s.Aggregate.Codec.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				at := start.Add(time.Duration(len(history)) * time.Minute)
				history = append(history, domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data, RecordedAt: at})
				next := s.Aggregate.Evolve(state, e, at)
				changed := s.changes(state, next)
				if len(changed) > 1 {
					t.Fatalf("%s changes %v at once", e.EventType(), changed)
				}
				for _, edge := range changed {
					if !legal[edge] {
						t.Fatalf("%s makes the change %s, which is no row of the table", e.EventType(), edge)
					}
					exercised[edge] = true
				}
				if after := fmt.Sprintf("%+v", state); i == 0 && after != before {
					t.Fatalf("%+v changed the state it was decided on, from\n%s to\n%s", command, before, after)
				}
				state = next
			}
		}
		folded, err := s.Aggregate.Fold(s.Aggregate.New(), history...)
		if err != nil || !reflect.DeepEqual(folded, state) {
			t.Fatalf("history gives\n%+v, %v; the commands gave\n%+v", folded, err, state)
		}
		if len(history) > 0 {
			data, err := json.Marshal(state)
			back := reflect.New(reflect.TypeOf(state))
			if err := errors.Join(err, json.Unmarshal(data, back.Interface())); err != nil || !reflect.DeepEqual(back.Elem().Interface(), state) {
				t.Fatalf("%s is read as %+v, %v", data, back.Elem(), err)
			}
			if bytes.Contains(data, []byte("null")) {
				t.Fatalf("there is a null in %s", data)
			}
		}
	}
	for round := 0; round < 50 && len(exercised) < len(legal); round++ { // what is rare takes its time to come about
		rapid.Check(t, live)
	}
	for edge := range legal {
		if !exercised[edge] {
			t.Errorf("no random life came to make the change %s", edge)
		}
	}
}

// Fuzz decides whatever JSON a command is made of, in every status: it is refused with a typed error, or its events can be stored, read
// back and folded.
func (s Suite) Fuzz(f *testing.F) {
	for i, c := range s.Commands {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, text)
	}
	states := []domain.State{s.Aggregate.New()}
	for _, key := range slices.Sorted(maps.Keys(s.Reach)) {
		state := s.Aggregate.New()
		for _, c := range s.Reach[key] {
			text, err := json.Marshal(c)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(slices.IndexFunc(s.Commands, func(zero domain.Command) bool { return zero.CommandName() == c.CommandName() }), text)
		}
		states = append(states, s.Play(f, state, s.Reach[key]...))
	}
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		if which < 0 || which >= len(s.Commands) {
			return
		}
		v := reflect.New(reflect.TypeOf(s.Commands[which]))
		if json.Unmarshal(text, v.Interface()) != nil {
			return
		}
		command := v.Elem().Interface().(domain.Command)
		if command.Validate() != nil {
			return
		}
		for _, state := range states {
			events, err := s.Aggregate.Decide(state, command)
			if err != nil {
				if !typed(err, s.Aggregate, command) {
					t.Fatalf("%+v: %#v", command, err)
				}
				continue
			}
			for _, e := range events {
				data, version, err := s.Aggregate.Codec.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				back, err := s.Aggregate.Codec.Decode(domain.Recorded{Type: e.EventType(), SchemaVersion: version, Data: data})
				if err != nil {
					t.Fatalf("%s is read back as %+v, %v", data, back, err)
				}
				one, other := s.Aggregate.Evolve(state, e, start), s.Aggregate.Evolve(state, back, start)
				if !reflect.DeepEqual(one, other) {
					t.Fatalf("%s leads to %+v, read back to %+v", data, one, other)
				}
				state = one
			}
		}
	})
}

// changes lists the statuses that became others, as "machine from to". What is new or gone is no change.
func (s Suite) changes(before, after domain.State) (list []string) {
	was, is := s.Statuses(before), s.Statuses(after)
	for _, subject := range slices.Sorted(maps.Keys(was)) {
		if to, still := is[subject]; still && was[subject] != "" && to != was[subject] {
			machine, _, _ := strings.Cut(subject, " ")
			list = append(list, machine+" "+was[subject]+" "+to)
		}
	}
	return list
}

// status is the status of the first subject of a machine.
func (s Suite) status(state domain.State, m *domain.Machine) string {
	statuses := s.Statuses(state)
	for _, subject := range slices.Sorted(maps.Keys(statuses)) {
		if machine, _, _ := strings.Cut(subject, " "); machine == m.Name {
			return statuses[subject]
		}
	}
	return ""
}

// typed says whether a refusal tells a caller all that it should.
func typed(err error, a *domain.Aggregate, c domain.Command) bool {
	var illegal *domain.IllegalTransitionError
	if errors.As(err, &illegal) {
		for _, m := range a.Machines {
			if m.Name == illegal.Machine && slices.Contains(m.States(), illegal.State) {
				return illegal.Command == c.CommandName() && illegal.Subject != "" && slices.Equal(illegal.Allowed, m.Allowed(illegal.State))
			}
		}
		return false
	}
	return errors.As(err, new(*domain.NotFoundError)) || errors.As(err, new(*domain.InvalidCommandError))
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Try validates and decides, as the engine does.
func (s Suite) Try(state domain.State, c domain.Command) ([]domain.Event, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return s.Aggregate.Decide(state, c)
}

func (s Suite) fold(state domain.State, events []domain.Event) domain.State {
	for _, e := range events {
		state = s.Aggregate.Evolve(state, e, start)
	}
	return state
}

// Play runs commands that all have to be legal.
func (s Suite) Play(t testing.TB, state domain.State, commands ...domain.Command) domain.State {
	t.Helper()
	for _, c := range commands {
		events, err := s.Try(state, c)
		if err != nil {
			t.Fatalf("%s: %v", c.CommandName(), err)
		}
		state = s.fold(state, events)
	}
	return state
}

// Expect runs a command and compares the names of its events.
func (s Suite) Expect(t testing.TB, state domain.State, c domain.Command, want ...string) domain.State {
	t.Helper()
	events, err := s.Try(state, c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	if got := names(events); !slices.Equal(got, want) {
		t.Fatalf("%+v records %v, want %v", c, got, want)
	}
	return s.fold(state, events)
}

// Refuse runs a command that has to be an illegal transition, for a reason that contains the words given.
func (s Suite) Refuse(t testing.TB, state domain.State, c domain.Command, reason string) {
	t.Helper()
	events, err := s.Try(state, c)
	var illegal *domain.IllegalTransitionError
	if !errors.As(err, &illegal) || !typed(err, s.Aggregate, c) || !strings.Contains(illegal.Reason, reason) || reason == "" && illegal.Reason != "" {
		t.Errorf("%+v: %v, %v; want it to be refused, as %q", c, names(events), err, reason)
	}
}

// Invalid runs a command that has to be wrong in exactly the fields given.
func (s Suite) Invalid(t testing.TB, state domain.State, c domain.Command, fields ...string) {
	t.Helper()
	events, err := s.Try(state, c)
	var invalid *domain.InvalidCommandError
	if !errors.As(err, &invalid) {
		t.Errorf("%+v: %v, %v; want it to be invalid in %v", c, names(events), err, fields)
		return
	}
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Field)
	}
	if !slices.Equal(got, fields) {
		t.Errorf("%+v is invalid in %v (%v), want %v", c, got, err, fields)
	}
}

// Missing runs a command that has to be about something that does not exist.
func (s Suite) Missing(t testing.TB, state domain.State, c domain.Command, kind, id string) {
	t.Helper()
	events, err := s.Try(state, c)
	var notFound *domain.NotFoundError
	if !errors.As(err, &notFound) || notFound.Kind != kind || notFound.ID != id {
		t.Errorf("%+v: %v, %v; want that there is no %s %s", c, names(events), err, kind, id)
	}
}

func names(events []domain.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.EventType()
	}
	return list
}

func show(t testing.TB, state domain.State) string {
	t.Helper()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Imports sees that neither a clock nor chance nor the outside has a way into the package under test, which may import what all
// aggregates may, and what else is given.
func Imports(t *testing.T, further ...string) {
	allowed := append(further, "cmp", "fmt", "maps", "slices", "strings", "time", "github.com/looplab/fsm",
		"github.com/waybill-dev/waybill/domain", "github.com/waybill-dev/waybill/domain/internal/check")
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if !slices.Contains(allowed, strings.Trim(i.Path.Value, `"`)) {
				t.Errorf("%s imports %s", file, i.Path.Value)
			}
		}
		for _, call := range []string{"time.Now(", "time.Since(", "time.Until(", "time.Local", "time.Sleep("} {
			if bytes.Contains(source, []byte(call)) {
				t.Errorf("%s calls %s)", file, call)
			}
		}
	}
}
