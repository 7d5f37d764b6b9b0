package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox"
	"github.com/waybill-dev/waybill/projections"
)

func (p *program) doctorCommand() *cobra.Command {
	var limit time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say how far deliveries and views are behind, and what holds them back",
		Long: `Look at the log's consumers, at the transactions that keep them from reading on, at the views, and at
what is still to be delivered. A transaction that has written something and is left open, in whatever
database of the same PostgreSQL server, holds back every event that is appended after it.

The exit status is 1 where a consumer or a view is behind, or held back, for longer than --limit, and
where a view has parked streams, which it cannot follow. A view that was never built is not behind.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("give a duration such as 1m", "--limit: %v is not how old something may be", limit)
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				d, err := outbox.Diagnose(c.Context(), s.DB)
				if err != nil {
					return err
				}
				views, err := s.engine.Projections().List(c.Context())
				if err != nil {
					return err
				}
				if p.json() {
					err = p.printJSON(struct {
						outbox.Diagnosis
						Projections []projections.State `json:"projections"`
					}{d, views})
				} else {
					p.printDiagnosis(d)
					p.printViews(views)
				}
				if !d.Healthy(limit) {
					err = errors.Join(err, fmt.Errorf("the log's consumers are behind, or held back, for more than %s", limit))
				}
				return errors.Join(err, unwell(views, limit))
			})
		},
	}
	c.Flags().DurationVar(&limit, "limit", time.Minute, "how old the oldest event that waits, or a transaction that holds consumers, may be")
	return c
}

func (p *program) printDiagnosis(d outbox.Diagnosis) {
	p.printf("%s  %s deliver\n", p.style.bold("relays"), counted(d.Relays, "process"))

	p.printf("\n%s\n", p.style.bold("consumers of the log"))
	consumers := table{right: []int{1, 2, 3}}
	consumers.add(p.style.dim("consumer"), p.style.dim("behind by"), p.style.dim("of these held back"), p.style.dim("oldest"))
	for _, c := range d.Consumers {
		consumers.add(clean(c.Consumer), atMost(c.Events, "event"), itoa(c.Held), seconds(c.LagSeconds))
	}
	consumers.write(p.stdout, "  ")

	p.printf("\n%s\n", p.style.bold("transactions that hold them back"))
	if len(d.Holders) == 0 {
		p.printf("  none\n")
	} else {
		holders := table{right: []int{0, 1}}
		holders.add(p.style.dim("pid"), p.style.dim("age"), p.style.dim("database"), p.style.dim("user"), p.style.dim("state"), p.style.dim("query"))
		for _, h := range d.Holders {
			state, query := h.State, h.Query
			if h.Name != "" {
				state, query = h.Kind, "COMMIT PREPARED or ROLLBACK PREPARED '"+h.Name+"'"
			}
			holders.add(itoa(h.PID), seconds(h.AgeSeconds), clean(h.Database), clean(h.User), clean(state), clean(query))
		}
		holders.write(p.stdout, "  ")
	}

	p.printf("\n%s\n", p.style.bold("webhooks with something to deliver"))
	if len(d.Webhooks) == 0 {
		p.printf("  none\n")
		return
	}
	backlogs := table{right: []int{3, 4, 5}}
	backlogs.add(p.style.dim("workspace"), p.style.dim("webhook"), p.style.dim("name"), p.style.dim("open"), p.style.dim("held"), p.style.dim("oldest"))
	for _, w := range d.Webhooks {
		backlogs.add(clean(w.Workspace), clean(w.Webhook), clean(w.Name), atMost(w.Open, ""), atMost(w.Held, ""), seconds(w.LagSeconds))
	}
	backlogs.write(p.stdout, "  ")
}

func (p *program) printViews(views []projections.State) {
	p.printf("\n%s\n", p.style.bold("views"))
	t := table{right: []int{1, 2, 3}}
	t.add(p.style.dim("projection"), p.style.dim("behind by"), p.style.dim("oldest"), p.style.dim("parked streams"))
	for _, s := range views {
		if s.Generation == 0 {
			t.add(s.Projection, p.style.dim("never built"))
		} else {
			t.add(s.Projection, p.behind(s), seconds(s.LagSeconds), p.parked(s))
		}
	}
	t.write(p.stdout, "  ")
}

// unwell says which views somebody has to look after.
func unwell(views []projections.State, limit time.Duration) error {
	var errs []error
	for _, s := range views {
		if s.LagSeconds > limit.Seconds() {
			errs = append(errs, fmt.Errorf("projection %s is behind for more than %s: `waybill serve` keeps it up to date", s.Projection, limit))
		}
		if s.Parked > 0 {
			errs = append(errs, fmt.Errorf("projection %s cannot follow %s: `waybill projection parked %s` says why", s.Projection, counted(int(s.Parked), "stream"), s.Projection))
		}
	}
	return errors.Join(errs...)
}

// atMost shows a count that stops at a limit.
func atMost(n int, thing string) string {
	text := itoa(n)
	if thing != "" {
		text = counted(n, thing)
	}
	if n >= outbox.MaxCount {
		return "at least " + text
	}
	return text
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
