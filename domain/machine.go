package domain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/looplab/fsm"
)

// Machine is one finite-state machine, as data. Decisions, diagrams, docs and tests all read the same table.
type Machine struct {
	Name    string     // such as "shipment"
	Initial string     // the status of a thing that was just made
	Final   []string   // statuses that nothing leaves
	Moves   fsm.Events // the table: each move's name, the statuses it leaves and the one it enters

	pool sync.Pool // of *fsm.FSM: building one costs more than a decision
}

// Fire returns the status that the named move leads to, and false where the table does not allow it.
func (m *Machine) Fire(from, move string) (to string, ok bool) {
	f, pooled := m.pool.Get().(*fsm.FSM)
	if !pooled {
		f = fsm.NewFSM(m.Initial, m.Moves, nil)
	}
	f.SetState(from)
	if !f.Can(move) {
		m.pool.Put(f)
		return "", false
	}
	// A cancelled context would wedge the instance for good, and there are no callbacks that could wait on one.
	if err := f.Event(context.Background(), move); err != nil {
		return "", false // and the instance is dropped: after an error its inner state is not to be trusted
	}
	to = f.Current()
	m.pool.Put(f)
	return to, true
}

// Allowed lists the moves that the table allows from a status, sorted.
func (m *Machine) Allowed(from string) []string {
	var moves []string
	for _, e := range m.Moves {
		if slices.Contains(e.Src, from) && !slices.Contains(moves, e.Name) {
			moves = append(moves, e.Name)
		}
	}
	sort.Strings(moves)
	return moves
}

// Refuse is the error for a command that is not legal for a subject in a status: by the table, or by the guard that reason names.
func (m *Machine) Refuse(command, subject, status, reason string) *IllegalTransitionError {
	return &IllegalTransitionError{Machine: m.Name, Subject: subject, State: status, Command: command, Allowed: m.Allowed(status), Reason: reason}
}

// States lists every status of the machine, sorted.
func (m *Machine) States() []string {
	states := []string{m.Initial}
	for _, e := range m.Moves {
		states = append(append(states, e.Src...), e.Dst)
	}
	sort.Strings(states)
	return slices.Compact(states)
}

// Mermaid draws the machine as a Mermaid state diagram.
func (m *Machine) Mermaid() string {
	drawing, err := fsm.VisualizeForMermaidWithGraphType(fsm.NewFSM(m.Initial, m.Moves, nil), fsm.StateDiagram)
	if err != nil {
		panic(err) // the only error is an unknown kind of diagram
	}
	for _, state := range m.Final {
		drawing += fmt.Sprintf("    %s --> [*]\n", state)
	}
	return drawing
}

// Dot draws the machine for Graphviz.
func (m *Machine) Dot() string { return fsm.Visualize(fsm.NewFSM(m.Initial, m.Moves, nil)) }

// Check finds what looplab/fsm would silently accept: a move defined twice from one status (the last would win), a move from a
// status to itself (which it reports as an error only when fired), a status that cannot be reached, and a dead end that was not
// declared final, or a final status that is left after all.
func (m *Machine) Check() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("machine %s: "+format, append([]any{m.Name}, args...)...))
	}
	type edge struct{ move, from string }
	seen := map[edge]bool{}
	next := map[string][]string{}
	for _, e := range m.Moves {
		if len(e.Src) == 0 {
			fail("move %q leaves no status", e.Name)
		}
		for _, from := range e.Src {
			if seen[edge{e.Name, from}] {
				fail("move %q is defined twice from %s", e.Name, from)
			}
			seen[edge{e.Name, from}] = true
			if from == e.Dst {
				fail("move %q leads from %s to itself", e.Name, from)
			}
			next[from] = append(next[from], e.Dst)
		}
	}
	reached := map[string]bool{m.Initial: true}
	for frontier := []string{m.Initial}; len(frontier) > 0; frontier = frontier[1:] {
		for _, to := range next[frontier[0]] {
			if !reached[to] {
				reached[to] = true
				frontier = append(frontier, to)
			}
		}
	}
	for _, state := range m.States() {
		final := slices.Contains(m.Final, state)
		switch {
		case !reached[state]:
			fail("status %s cannot be reached from %s", state, m.Initial)
		case len(next[state]) == 0 && !final:
			fail("status %s is a dead end, but not declared final", state)
		case len(next[state]) > 0 && final:
			fail("status %s is declared final, but %q leaves it", state, m.Allowed(state)[0])
		}
	}
	for _, state := range m.Final {
		if !slices.Contains(m.States(), state) {
			fail("final status %s appears in no move", state)
		}
	}
	return errors.Join(errs...)
}
