package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox"
)

func (p *program) doctorCommand() *cobra.Command {
	var limit time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say how far deliveries are behind, and what holds them back",
		Long: `Look at the log's consumers, at the transactions that keep them from reading on, and at what is
still to be delivered. A transaction that has written something and is left open, in whatever
database of the same PostgreSQL server, holds back every event that is appended after it.

The exit status is 1 where a consumer is behind, or held back, for longer than --limit.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				d, err := outbox.Diagnose(c.Context(), s.DB)
				if err != nil {
					return err
				}
				if p.json() {
					err = p.printJSON(d)
				} else {
					p.printDiagnosis(d)
				}
				if !d.Healthy(limit) {
					err = errors.Join(err, fmt.Errorf("the log's consumers are behind, or held back, for more than %s", limit))
				}
				return err
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
