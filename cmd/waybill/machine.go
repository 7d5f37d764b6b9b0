package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
)

func (p *program) machineCommand() *cobra.Command {
	format := choice{value: outputText, allowed: []string{outputText, outputJSON, "mermaid", "dot"}}
	var all []*domain.Machine
	var names []string
	var list strings.Builder
	for _, a := range waybill.Aggregates() {
		first := len(names)
		for _, m := range a.Machines {
			all, names = append(all, m), append(names, m.Name)
		}
		fmt.Fprintln(&list, "  "+strings.Join(names[first:], ", "))
	}
	c := &cobra.Command{
		Use:       "machine [NAME]",
		Short:     "Show the state machines that decide what is legal",
		Long:      "Show the state machines that decide what is legal, all of them or one:\n\n" + strings.TrimSuffix(list.String(), "\n"),
		ValidArgs: names,
		RunE: func(c *cobra.Command, args []string) error {
			machines := all
			if len(args) > 1 {
				return usagef("usage: "+c.UseLine(), "%s takes no %q after NAME", c.CommandPath(), args[1])
			}
			if len(args) == 1 {
				i := slices.Index(names, args[0])
				if i < 0 {
					return usagef(orElse(suggest(args[0], names), "there are "+strings.Join(names, ", ")), "there is no machine %q", args[0])
				}
				machines = machines[i : i+1]
			}
			return p.printMachines(machines, format.value)
		},
	}
	c.Flags().VarP(&format, "output", "o", "how to print: text, json, mermaid or dot")
	c.AddCommand(p.machineConformCommand(names))
	return c
}

func (p *program) printMachines(machines []*domain.Machine, format string) error {
	if format == outputJSON {
		type move struct {
			Name string   `json:"name"`
			From []string `json:"from"`
			To   string   `json:"to"`
		}
		type machine struct {
			Name    string   `json:"name"`
			Initial string   `json:"initial"`
			Final   []string `json:"final"`
			Moves   []move   `json:"moves"`
		}
		list := make([]machine, len(machines))
		for i, m := range machines {
			list[i] = machine{m.Name, m.Initial, append([]string{}, m.Final...), nil}
			for _, e := range m.Moves {
				list[i].Moves = append(list[i].Moves, move{e.Name, e.Src, e.Dst})
			}
		}
		return p.printJSON(list)
	}
	for i, m := range machines {
		if i > 0 {
			p.printf("\n")
		}
		switch format {
		case "mermaid":
			p.printf("%s", m.Mermaid())
		case "dot":
			p.printf("%s", m.Dot())
		default:
			p.printMachine(m)
		}
	}
	return nil
}

func (p *program) printMachine(m *domain.Machine) {
	p.printf("%s  starts as %s%s\n", p.style.bold(m.Name), m.Initial, ends(m.Final))
	var t table
	for _, from := range inOrderOfLife(m) {
		shown := p.style.status(from)
		for _, e := range m.Moves {
			if slices.Contains(e.Src, from) {
				t.add(shown, p.style.dim("──"), e.Name, p.style.dim("→"), p.style.status(e.Dst))
				shown = ""
			}
		}
	}
	t.write(p.stdout, "  ")
}

func ends(final []string) string {
	if len(final) == 0 {
		return ", never ends"
	}
	return fmt.Sprintf(", ends as %s", oneOf(final))
}

// inOrderOfLife lists a machine's statuses from its first, each as late as the moves to it are in the table.
func inOrderOfLife(m *domain.Machine) []string {
	states := []string{m.Initial}
	for i := 0; i < len(states); i++ {
		for _, e := range m.Moves {
			if slices.Contains(e.Src, states[i]) && !slices.Contains(states, e.Dst) {
				states = append(states, e.Dst)
			}
		}
	}
	return states
}
