package domain

import (
	"strings"
	"testing"

	"github.com/looplab/fsm"
)

func door() *Machine {
	return &Machine{Name: "door", Initial: "open", Final: []string{"bricked_up"}, Moves: fsm.Events{
		{Name: "close", Src: []string{"open"}, Dst: "closed"},
		{Name: "open", Src: []string{"closed"}, Dst: "open"},
		{Name: "brick_up", Src: []string{"open", "closed"}, Dst: "bricked_up"},
	}}
}

// Every cell of the table, against looplab/fsm itself.
func TestFireIsTheTable(t *testing.T) {
	t.Parallel()
	m := door()
	for _, from := range m.States() {
		for _, move := range []string{"close", "open", "brick_up", "paint", ""} {
			to, ok := m.Fire(from, move)
			f := fsm.NewFSM(from, m.Moves, nil)
			want := f.Can(move)
			if err := f.Event(t.Context(), move); (err == nil) != want {
				t.Fatal(err)
			}
			if ok != want || ok && to != f.Current() {
				t.Errorf("%s from %s: %q, %v; looplab/fsm says %q, %v", move, from, to, ok, f.Current(), want)
			}
		}
	}
	if got := strings.Join(m.Allowed("open"), " "); got != "brick_up close" {
		t.Errorf("allowed from open: %s", got)
	}
	if got := m.Allowed("bricked_up"); len(got) != 0 {
		t.Errorf("allowed from a final status: %s", got)
	}
}

func TestFireFromManyGoroutines(t *testing.T) {
	t.Parallel()
	m := door()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 1000 {
				if to, ok := m.Fire("open", "close"); !ok || to != "closed" {
					t.Fatalf("close from open: %q, %v", to, ok)
				}
				if _, ok := m.Fire("bricked_up", "open"); ok {
					t.Fatal("a final status was left")
				}
			}
		})
	}
}

func TestCheckFindsMistakes(t *testing.T) {
	t.Parallel()
	if err := door().Check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Machine){
		`move "close" is defined twice from open`: func(m *Machine) {
			m.Moves = append(m.Moves, fsm.EventDesc{Name: "close", Src: []string{"open"}, Dst: "bricked_up"})
		},
		`move "knock" leads from closed to itself`: func(m *Machine) {
			m.Moves = append(m.Moves, fsm.EventDesc{Name: "knock", Src: []string{"closed"}, Dst: "closed"})
		},
		`move "appear" leaves no status`: func(m *Machine) {
			m.Moves = append(m.Moves, fsm.EventDesc{Name: "appear", Dst: "open"})
		},
		"status ajar cannot be reached from open": func(m *Machine) {
			m.Moves = append(m.Moves, fsm.EventDesc{Name: "push", Src: []string{"ajar"}, Dst: "open"})
		},
		"status bricked_up is a dead end, but not declared final": func(m *Machine) { m.Final = nil },
		`status open is declared final, but "brick_up" leaves it`: func(m *Machine) { m.Final = append(m.Final, "open") },
		"final status burnt appears in no move":                   func(m *Machine) { m.Final = append(m.Final, "burnt") },
	} {
		m := door()
		spoil(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		aggregate := Define("house", []*Machine{m}, NewCodec(), func(int, Command) ([]Event, error) { return nil, nil }, nil)
		if err := aggregate.Check(); err == nil || !strings.Contains(err.Error(), "aggregate house: machine door") {
			t.Errorf("the aggregate's check says %v", err)
		}
	}
}

func TestDrawings(t *testing.T) {
	t.Parallel()
	want := `stateDiagram-v2
    [*] --> open
    closed --> bricked_up: brick_up
    closed --> open: open
    open --> bricked_up: brick_up
    open --> closed: close
    bricked_up --> [*]
`
	if got := door().Mermaid(); got != want {
		t.Errorf("Mermaid:\n%s\nwant\n%s", got, want)
	}
	if got := door().Dot(); !strings.Contains(got, `"closed" -> "open" [ label = "open" ];`) {
		t.Errorf("Graphviz:\n%s", got)
	}
}
