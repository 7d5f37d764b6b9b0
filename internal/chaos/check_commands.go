package chaos

import "slices"

// logHolds looks at the log by itself.
func (c *checker) logHolds() {
	versions := map[string]int{}
	ids := map[string]bool{}
	for _, e := range c.Events {
		if versions[e.Stream]++; e.Version != versions[e.Stream] {
			c.violated(BrokenHistory, e.Stream, "version %d stands in the place of version %d", e.Version, versions[e.Stream])
			versions[e.Stream] = e.Version
		}
		if ids[e.ID] {
			c.violated(BrokenHistory, e.Stream, "event %s is there twice", e.ID)
		}
		ids[e.ID] = true
	}
	for _, b := range c.Breaks {
		c.violated(BrokenHistory, b.Stream, "%s", b.Reason)
	}
}

// commandsHold compares what callers were told with the log.
func (c *checker) commandsHold() {
	events := map[string][]*Event{}
	for i := range c.Events {
		e := &c.Events[i]
		if c.commands[e.Command] == nil {
			c.violated(BrokenCommand, e.Stream, "event %s follows from command %q, which nobody issued", e.ID, e.Command)
		}
		events[e.Command] = append(events[e.Command], e)
	}
	rows := map[string]int{}
	for _, id := range c.Ledger {
		rows[id]++
	}
	keys := map[string]*Key{}
	for i := range c.Keys {
		keys[c.Keys[i].Name] = &c.Keys[i]
	}
	for i := range c.Commands {
		command := &c.Commands[i]
		c.commandHolds(command, events[command.ID], keys[command.Key], rows[command.ID])
	}
}

// commandHolds takes the events that followed from a command, its key as it is stored, and how many rows its caller wrote.
func (c *checker) commandHolds(command *Command, events []*Event, key *Key, rows int) {
	violated := func(format string, args ...any) {
		c.violated(BrokenCommand, command.ID+" "+command.Name+" on "+command.Stream, format, args...)
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
		if e.Version != events[0].Version+i || e.Stream != command.Stream {
			violated("its events are not one piece of its stream")
			return
		}
	}
	first, last := 0, -1
	if len(events) > 0 {
		first, last = events[0].Version, events[len(events)-1].Version
	}
	outcome := len(events) > 0 || key != nil || rows > 0
	switch {
	case command.Result == Done && !slices.Equal(ids, command.Events):
		violated("it was answered with the events %v, the log has %v", command.Events, ids)
	case command.Result == Done && len(ids) > 0 && command.Last != last:
		violated("it was answered with version %d, the log has it at %d", command.Last, last)
	case command.Result == Done && command.Key != "" && key == nil:
		violated("it was done, and its key is not stored")
	case command.Result == Mismatch:
		violated("its key was said to belong to another command")
	case command.Result == Refused && outcome:
		violated("it was refused, and has %d events, %d rows, key: %v", len(events), rows, key)
	case command.Key != "" && len(events) > 0 && (key == nil || key.First != first || key.Last != last):
		violated("its events are %d to %d, its key says %+v", first, last, key)
	case command.Key != "" && len(events) == 0 && key != nil && key.Last >= key.First:
		violated("it has no events, its key says %+v", *key)
	case command.Ledger && (outcome || command.Result == Done) && rows != 1:
		violated("its caller's row is there %d times", rows)
	}
}
