package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
)

// environment is everything that a run of the program takes from outside.
type environment struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	now    func() time.Time
	dir    string // the embedded database lies in .waybill/ below it
}

// program is one run: its environment, and the flags that every command has.
type program struct {
	environment
	terminal bool  // whether stdout is one
	style    style // for stdout

	database  string
	workspace string
	output    choice
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, env environment) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &stickyWriter{to: env.stdout, failed: cancel}
	p := &program{environment: env, terminal: isTerminal(env.stdout), style: styleFor(env.stdout, env.getenv)}
	p.stdout = out

	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if out.err != nil {
		err = out.err
	}
	return p.report(err, wantsJSON(args))
}

const (
	groupLook   = "look"
	groupTell   = "tell"
	groupServe  = "serve"
	groupSystem = "system"
)

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "waybill",
		Short: "An event-sourced order and shipment engine with webhooks",
		Long: `Waybill decides what happens to orders, records every transition in a log that nobody can
alter unnoticed, and tells each subscribed webhook of it.

Without a database of your own it runs a private PostgreSQL in .waybill/ of the current
directory. See it work:  waybill demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noWords,
		RunE:          showHelp,
	}
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "Run it:"},
		&cobra.Group{ID: groupLook, Title: "Look at orders and events:"},
		&cobra.Group{ID: groupTell, Title: "Tell others:"},
		&cobra.Group{ID: groupSystem, Title: "Look after it:"},
	)
	root.SetCompletionCommandGroupID(groupSystem)
	root.SetHelpCommand(helpCommand())
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagError)

	p.output = choice{value: outputText, allowed: []string{outputText, outputJSON}}
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&p.database, "database", "", "PostgreSQL `URL` (default $WAYBILL_DATABASE_URL, else embedded in .waybill/)")
	flags.StringVar(&p.workspace, "workspace", waybill.DefaultWorkspace, "the workspace to work in")
	flags.VarP(&p.output, "output", "o", "how to print: text or json")

	root.AddCommand(
		in(groupServe, p.demoCommand()),
		in(groupServe, p.serveCommand()),
		in(groupServe, p.relayCommand()),
		in(groupServe, p.benchCommand()),
		p.benchSinkCommand(),
		p.benchRelayCommand(),
		in(groupLook, p.orderCommand()),
		in(groupLook, p.shipmentCommand()),
		in(groupLook, p.eventCommand()),
		in(groupLook, p.auditCommand()),
		in(groupLook, p.machineCommand()),
		in(groupLook, p.eventTypesCommand()),
		in(groupTell, p.webhookCommand()),
		in(groupTell, p.deliveryCommand()),
		in(groupTell, p.tokenCommand()),
		in(groupSystem, p.customerCommand()),
		in(groupSystem, p.doctorCommand()),
		in(groupSystem, p.migrateCommand()),
		in(groupSystem, p.projectionCommand()),
		in(groupSystem, p.versionCommand()),
	)
	return root
}

func in(group string, c *cobra.Command) *cobra.Command {
	c.GroupID = group
	return c
}

// family is a command that only holds others, such as `waybill order`.
func family(use, short string, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noWords, RunE: showHelp}
	c.AddCommand(members...)
	return c
}

func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// noWords refuses every word; where the command has subcommands the word was meant for one of them.
func noWords(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !c.HasAvailableSubCommands() {
		return usagef(fmt.Sprintf("`%s --help` shows how it is used", c.CommandPath()), "%s takes no %q", c.CommandPath(), args[0])
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := orElse(suggest(args[0], names), fmt.Sprintf("`%s --help` lists the commands", c.CommandPath()))
	return usagef(hint, "%s has no command %q", c.CommandPath(), args[0])
}

// words checks the number of a command's arguments, which are named as in its usage line.
func words(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		hint := "usage: " + c.UseLine()
		switch {
		case len(args) < len(names):
			return usagef(hint, "%s needs %s", c.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usagef(hint, "%s takes no %q after %s", c.CommandPath(), args[len(names)], strings.Join(names, " "))
		}
		return nil
	}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Explain a command",
		GroupID: groupSystem,
		RunE: func(c *cobra.Command, args []string) error {
			target, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return noWords(c.Root(), args)
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// flagError explains a flag that does not exist or has a wrong value.
func flagError(c *cobra.Command, err error) error {
	message := strings.TrimSpace(err.Error())
	hint := fmt.Sprintf("`%s --help` lists the flags", c.CommandPath())
	if name, ok := strings.CutPrefix(message, "unknown flag: "); ok {
		hint = orElse(suggest(name, flagNames(c)), hint)
	}
	if number := new(strconv.NumError); errors.As(err, &number) {
		if before, _, ok := strings.Cut(message, ": strconv."); ok {
			message = before + ": want a number"
		}
	}
	return usagef(hint, "%s", message)
}
