package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/projections"
)

func (p *program) projectionCommand() *cobra.Command {
	return family("projection", "Look after the views of the log",
		p.projectionListCommand(), p.projectionRebuildCommand(), p.projectionRollbackCommand(), p.projectionVerifyCommand(),
		p.projectionParkedCommand(), p.projectionRetryCommand())
}

// onProjection is the work of a command on one projection, whose name is its only word.
func (p *program) onProjection(work func(c *cobra.Command, r *projections.Runner, name string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		var known []string
		for _, v := range waybill.Projections() {
			if v.Name() == args[0] {
				return p.use(c.Context(), withoutSecrets, func(s *session) error { return work(c, s.engine.Projections(), args[0]) })
			}
			known = append(known, v.Name())
		}
		return usagef(orElse(suggest(args[0], known), "there are "+strings.Join(known, ", ")), "there is no projection %.40q", args[0])
	}
}

func (p *program) projectionListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Say how every view is doing",
		Args:  noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				list, err := s.engine.Projections().List(c.Context())
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(list)
				}
				t := table{right: []int{2, 3, 4, 5}}
				t.add(p.style.dim("projection"), p.style.dim("state"), p.style.dim("generation"), p.style.dim("behind by"), p.style.dim("oldest"), p.style.dim("parked"),
					p.style.dim("kept for rollback"))
				for _, s := range list {
					state, kept := p.style.green("live"), ""
					switch {
					case s.Generation == 0 && s.Building == 0:
						state = p.style.yellow("never built")
					case s.Generation == 0:
						state = p.style.yellow("being built: " + share(s.Folded, s.ToFold))
					case s.Building != 0:
						state += ", being rebuilt: " + share(s.Folded, s.ToFold)
					}
					if s.Mode == "inline" {
						state += ", inline"
					}
					if s.Kept != 0 {
						kept = "generation " + itoa(s.Kept)
					}
					t.add(s.Projection, state, itoa(s.Generation), p.behind(s), seconds(s.LagSeconds), p.parked(s), kept)
				}
				t.write(p.stdout, "")
				return nil
			})
		},
	}
}

// share is how much of a rebuild's events are done; there may be more of them by now than when it began.
func share(done, all int64) string {
	if all == 0 {
		return "100 %"
	}
	return fmt.Sprintf("%d %%", 100*min(done, all)/all)
}

func (p *program) behind(s projections.State) string {
	if s.Behind >= projections.MaxBehind {
		return "at least " + counted(s.Behind, "event")
	}
	return counted(s.Behind, "event")
}

func (p *program) parked(s projections.State) string {
	if s.Parked > 0 {
		return p.style.yellow(itoa(int(s.Parked)))
	}
	return "0"
}

func (p *program) projectionRebuildCommand() *cobra.Command {
	var o projections.RebuildOptions
	var diff bool
	c := &cobra.Command{
		Use:   "rebuild NAME",
		Short: "Build a view anew from the log, beside the one that is read",
		Long: `Build a view anew from the log, beside the one that is read; compare the two; and put the new one
in its place, all at once. Who reads meanwhile sees the old rows, then the new ones, and never
less. No webhook is told of anything. The old rows are kept for ` + "`waybill projection rollback`" + `.

It may be stopped, or killed, at any time: the next rebuild goes on where it was.`,
		Args: words("NAME"),
		RunE: p.onProjection(func(c *cobra.Command, r *projections.Runner, name string) error {
			bar := p.progressBar()
			if diff {
				o.Diff = func(d projections.Difference) error { bar.clear(); return p.printDifference(d, "old", "new") }
			}
			done, err := r.Rebuild(c.Context(), name, o, bar.show)
			bar.clear()
			if err != nil {
				return err
			}
			if p.json() {
				return p.printJSON(done)
			}
			word := p.style.green("rebuilt")
			if !done.Swapped {
				word = p.style.green("built")
			}
			p.printf("%s %s, generation %d: %s of %s\n", word, p.style.bold(name), done.Generation, counted(int(done.Events), "event"), counted(int(done.Streams), "stream"))
			if done.Compared > 0 {
				hint := ""
				if done.Different > 0 && !diff {
					hint = "; --diff shows them"
				}
				p.printf("  %s differed from the rows of the generation before%s\n", ofStreams(done.Different, done.Compared), hint)
			}
			if done.Parked > 0 {
				p.printf("  %s\n", p.style.yellow(fmt.Sprintf("%s parked: `waybill projection parked %s` says why", counted(int(done.Parked), "stream"), name)))
			}
			if !done.Swapped {
				p.printf("  it is not read yet: without --no-swap the next rebuild puts it in place\n")
			}
			return nil
		}),
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&diff, "diff", false, "print the rows that differ from those that are read")
	flags.BoolVar(&o.NoSwap, "no-swap", false, "build and compare, but leave the old rows in place")
	flags.BoolVar(&o.Fresh, "fresh", false, "throw away what an interrupted rebuild has done")
	return c
}

func ofStreams(some, all int64) string {
	if some == 0 {
		return fmt.Sprintf("none of %s", counted(int(all), "stream"))
	}
	return fmt.Sprintf("%d of %s", some, counted(int(all), "stream"))
}

func (p *program) projectionRollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback NAME",
		Short: "Bring back the rows from before the last rebuild, with all that has happened since",
		Args:  words("NAME"),
		RunE: p.onProjection(func(c *cobra.Command, r *projections.Runner, name string) error {
			generation, err := r.Rollback(c.Context(), name)
			if err != nil {
				return err
			}
			if p.json() {
				return p.printJSON(map[string]any{"projection": name, "generation": generation})
			}
			p.printf("%s %s to generation %d; another rollback undoes this one\n", p.style.green("rolled back"), p.style.bold(name), generation)
			return nil
		}),
	}
}

func (p *program) projectionVerifyCommand() *cobra.Command {
	sample := 0
	c := &cobra.Command{
		Use:   "verify NAME",
		Short: "Fold the log and compare what comes out with a view",
		Long: `Fold streams from the log and compare what comes out with the rows of a view: all streams, or a
sample of them. The exit status is 1 where rows are not what they should be.`,
		Args: words("NAME"),
		RunE: p.onProjection(func(c *cobra.Command, r *projections.Runner, name string) error {
			if sample < 0 || c.Flags().Changed("sample") && sample == 0 {
				return usagef("give a number from 1", "--sample: %d is not a number of streams", sample)
			}
			done, err := r.Verify(c.Context(), name, sample, func(d projections.Difference) error { return p.printDifference(d, "view", "log") })
			if err != nil {
				return err
			}
			wrong := done.Different + done.Orphans
			if p.json() {
				err = p.printJSON(done)
			} else if wrong == 0 {
				p.printf("%s %s: the rows of %s are the fold of the log\n", p.style.green("verified"), p.style.bold(name),
					counted(int(done.Streams-done.Behind-done.Parked), "stream"))
			}
			if !p.json() && done.Behind > 0 {
				p.printf("  %s with events that the view has not come to yet\n", counted(int(done.Behind), "stream"))
			}
			if !p.json() && done.Parked > 0 {
				p.printf("  %s parked: `waybill projection parked %s` says why\n", counted(int(done.Parked), "stream"), name)
			}
			if err == nil && wrong > 0 {
				err = fmt.Errorf("%s of projection %s have rows that are not the fold of the log: `waybill projection rebuild %s` makes them anew",
					counted(int(wrong), "stream"), name, name)
			}
			return err
		}),
	}
	c.Flags().IntVar(&sample, "sample", 0, "look at so many streams, drawn by chance (default all)")
	return c
}

func (p *program) projectionParkedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "parked NAME",
		Short: "List the streams that a view could not follow, and why",
		Args:  words("NAME"),
		RunE: p.onProjection(func(c *cobra.Command, r *projections.Runner, name string) error {
			all := []projections.Parked{}
			for after := (projections.Parked{}); ; after = all[len(all)-1] {
				list, err := r.Parked(c.Context(), name, after)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					break
				}
				all = append(all, list...)
			}
			if p.json() {
				return p.printJSON(all)
			}
			if len(all) == 0 {
				p.printf("no stream of %s is parked\n", name)
				return nil
			}
			t := table{right: []int{2}}
			t.add(p.style.dim("workspace"), p.style.dim("id"), p.style.dim("version"), p.style.dim("since"), p.style.dim("error"))
			for _, s := range all {
				t.add(clean(s.Workspace), clean(s.ID), itoa(s.Version), when(s.ParkedAt), clean(s.Error))
			}
			t.write(p.stdout, "")
			return nil
		}),
	}
}

func (p *program) projectionRetryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry NAME",
		Short: "Fold a view's parked streams once more",
		Args:  words("NAME"),
		RunE: p.onProjection(func(c *cobra.Command, r *projections.Runner, name string) error {
			mended, parked, err := r.Retry(c.Context(), name)
			if err != nil {
				return err
			}
			if p.json() {
				return p.printJSON(map[string]any{"projection": name, "mended": mended, "parked": parked})
			}
			p.printf("%s up to date again, %d still parked\n", counted(int(mended), "stream"), parked)
			return nil
		}),
	}
}

// printDifference shows the rows of one stream, as they are and as they should be.
func (p *program) printDifference(d projections.Difference, have, want string) error {
	if p.json() {
		line, err := json.Marshal(d)
		fmt.Fprintf(p.stderr, "%s\n", line)
		return err
	}
	p.printf("%s %s in %s\n", p.style.yellow("differs"), p.style.bold(clean(d.ID)), clean(d.Workspace))
	var old, new []map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(d.Have, &old), json.Unmarshal(d.Want, &new)); err != nil {
		return fmt.Errorf("read the rows of %s: %w", d.ID, err)
	}
	if len(old) == 1 && len(new) == 1 { // then the columns tell
		for _, column := range slices.Sorted(maps.Keys(new[0])) {
			if was, is := string(old[0][column]), string(new[0][column]); was != is {
				p.printf("  %s  %s %s, %s %s\n", column, p.style.dim(have), clean(was), p.style.dim(want), clean(is))
			}
		}
		return nil
	}
	for _, side := range []struct {
		name string
		rows json.RawMessage
	}{{have, d.Have}, {want, d.Want}} {
		p.printf("  %s  %s\n", p.style.dim(side.name), clean(string(side.rows)))
	}
	return nil
}

// progressBar shows how far a rebuild has come: in one line that is written over and over on a terminal, else in a line now and then.
func (p *program) progressBar() *progressBar { return &progressBar{program: p, began: p.now()} }

type progressBar struct {
	*program
	began, said time.Time
	phase       string
	shown       bool // there is a line to write over
}

const (
	barWidth    = 24
	barEvery    = 100 * time.Millisecond
	linesEvery  = 10 * time.Second
	clearToEnd  = "\r\x1b[K"
	leastToTell = time.Second // of work, before a rate means something
)

func (b *progressBar) show(progress projections.Progress) {
	now := b.now()
	every := linesEvery
	if b.terminal {
		every = barEvery
	}
	if b.json() || progress.Phase == b.phase && now.Sub(b.said) < every {
		return
	}
	b.said = now
	if !b.terminal {
		if progress.Phase == b.phase || progress.Phase == projections.PhaseFold {
			b.printf("%s: %s%s\n", progress.Phase, eventsOf(progress), b.pace(progress, now))
		} else {
			b.printf("%s\n", progress.Phase)
		}
		b.phase = progress.Phase
		return
	}
	b.phase, b.shown = progress.Phase, true
	b.printf("%s%s %s", clearToEnd, b.style.bold(progress.Projection), b.line(progress, now))
}

func (b *progressBar) line(progress projections.Progress, now time.Time) string {
	if progress.Phase != projections.PhaseFold {
		return progress.Phase + " …"
	}
	share := 1.0
	if progress.Total > 0 {
		share = float64(progress.Events) / float64(progress.Total)
	}
	full := int(share * barWidth)
	return fmt.Sprintf("%s%s %3.0f %%  %s%s", b.style.cyan(strings.Repeat("█", full)), b.style.dim(strings.Repeat("░", barWidth-full)), share*100,
		eventsOf(progress), b.pace(progress, now))
}

func eventsOf(progress projections.Progress) string {
	return fmt.Sprintf("%d of %s", progress.Events, counted(int(progress.Total), "event"))
}

// pace tells the rate, and how long the rest will take at it.
func (b *progressBar) pace(progress projections.Progress, now time.Time) string {
	took := now.Sub(b.began)
	if took < leastToTell || progress.Now == 0 {
		return ""
	}
	rate := float64(progress.Now) / took.Seconds()
	left := time.Duration(float64(progress.Total-progress.Events) / rate * float64(time.Second))
	return fmt.Sprintf(", %.0f/s, %s left", rate, left.Round(time.Second))
}

func (b *progressBar) clear() {
	if b.shown {
		b.printf("%s", clearToEnd)
		b.shown = false
	}
}
