package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/eventstore/audit"
)

func (p *program) machineConformCommand(names []string) *cobra.Command {
	workers := audit.DefaultWorkers
	c := &cobra.Command{
		Use:   "conform [NAME]",
		Short: "Say which stored events the machines of this program would not allow any more",
		Long: `Read all of history, fold every stream, and hold each change of a status against the machines of this
program, or against one of them. Run it with a new version before it is deployed: it names the events that
a machine would not allow any more, and then the exit status is 1. Nothing is changed, and history stays
valid whatever the machines say.`,
		ValidArgs: names,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return words("NAME")(c, args)
			}
			if len(args) == 1 && !slices.Contains(names, args[0]) {
				return usagef(orElse(suggest(args[0], names), "there are "+strings.Join(names, ", ")), "there is no machine %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if workers < 1 || workers > maxConnections {
				return usagef(fmt.Sprintf("give a number from 1 to %d", maxConnections), "--workers: %d is not a number of readers", workers)
			}
			o := audit.ConformOptions{Workers: workers, Progress: &audit.Progress{}}
			if len(args) == 1 {
				o.Machine = args[0]
			}
			if c.Flags().Changed("workspace") {
				o.Workspace = p.workspace
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				stop := p.watch(o.Progress)
				found, err := s.engine.Conform(c.Context(), o)
				stop()
				if err != nil {
					return err
				}
				return p.printConformity(found)
			})
		},
	}
	c.Flags().IntVar(&workers, "workers", workers, "how many read side by side")
	return c
}

// printConformity shows what was found, and returns it as an error.
func (p *program) printConformity(found audit.Conformity) error {
	var err error
	if p.json() {
		err = p.printJSON(found)
	} else {
		for _, d := range found.Deviations {
			where := ""
			if d.Workspace != p.workspace {
				where = " of workspace " + clean(d.Workspace)
			}
			p.printf("%s %s%s, version %d, %s: %s\n", p.style.red("deviates"), clean(d.Stream), where, d.Version, clean(d.Type), clean(d.Reason))
		}
		for _, name := range slices.Sorted(maps.Keys(found.Unchecked)) {
			p.printf("%s %s of aggregate %s: its statuses cannot be told from its state\n",
				p.style.yellow("unchecked"), counted(int(found.Unchecked[name]), "event"), clean(name))
		}
		if found.DeviateAt == 0 {
			p.printf("%s %s in %s of %s: the machines allow every one\n", p.style.green("conforms"),
				counted(int(found.Transitions), "transition"), counted(int(found.Events), "event"), counted(int(found.Streams), "stream"))
		}
	}
	if err == nil && found.DeviateAt > 0 {
		err = &audit.NonconformError{Conformity: found}
	}
	return err
}
