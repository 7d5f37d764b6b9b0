package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/delivery"
)

func (p *program) webhookTestCommand() *cobra.Command {
	var event string
	c := &cobra.Command{
		Use:   "test ID",
		Short: "Send test messages to a webhook, and wait for the answers",
		Long: `Send a webhook a sample of one event, or of each that it subscribes to, and wait for the answers.
They are signed like all others, go out also where the webhook is inactive, and count neither for
nor against its health. The exit status is 1 where one of them fails.`,
		Args: words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withWebhook(c, args[0], func(s *session) error {
				run, err := s.workspace.TestWebhook(c.Context(), args[0], event)
				if err != nil {
					return refusedWebhook(c, err)
				}
				if p.json() {
					err = p.printJSON(run)
				} else {
					p.printTests(run)
				}
				if err == nil && run.TestsFailed > 0 {
					err = &testsFailedError{run.TestsFailed, run.TestsRun}
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&event, "event", "", "test with this `TYPE` only (default each that it subscribes to)")
	return c
}

// testsFailedError says that receivers did not take test messages.
type testsFailedError struct{ failed, run int }

func (e *testsFailedError) Error() string {
	return fmt.Sprintf("%d of %d tests failed", e.failed, e.run)
}

func (p *program) printTests(run delivery.TestRun) {
	t := table{right: []int{2}}
	t.add(p.style.dim("event"), p.style.dim("outcome"), p.style.dim("took"), p.style.dim("status"), p.style.dim("answer"))
	for _, test := range run.Tests {
		outcome, status := p.style.green("succeeded"), ""
		if !test.Success {
			outcome = p.style.yellow("failed")
		}
		if test.Status != 0 {
			status = strconv.Itoa(test.Status)
		}
		t.add(clean(test.Name), outcome, itoa(test.LatencyMS)+" ms", status, clean(joined(": ", test.Error, test.ResponseExcerpt)))
	}
	t.write(p.stdout, "")
}
