package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

func (p *program) webhookReplayCommand() *cobra.Command {
	var since, until string
	var r waybill.Replay
	c := &cobra.Command{
		Use:   "replay ID --since TIME",
		Short: "Send the events of some time to a webhook again",
		Long: `Send events that were recorded in some time to a webhook again, each with the same id and the same
bytes, those of one order in order, whether it was told of them before or not. A relay does the
work from then on, also after an interruption.`,
		Example: `  waybill webhook replay wh_0d8n4cxfw1q2v7r9kz3m5p6t8b --since 2026-07-01T15:00:00Z --until 2026-07-01T16:00:00Z
  waybill webhook replay wh_0d8n4cxfw1q2v7r9kz3m5p6t8b --since 2026-07-01T00:00:00Z --failed-only --count`,
		Args: words("ID"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if !c.Flags().Changed("since") {
				return usagef("usage: "+c.UseLine(), "%s needs --since", c.CommandPath())
			}
			if r.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if until != "" {
				if r.Until, err = parseTime("until", until); err != nil {
					return err
				}
				if !r.Until.After(r.Since) {
					return usagef("it is the end of the time to replay", "--until has to be after --since")
				}
			}
			return p.withWebhook(c, args[0], func(s *session) error {
				n, err := s.workspace.ReplayWebhook(c.Context(), args[0], r)
				if tooLarge := new(delivery.ReplayTooLargeError); errors.As(err, &tooLarge) {
					return usagef("give a later --since, or an earlier --until", "%v", tooLarge)
				}
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(map[string]any{"webhook": args[0], "events": n, "sent": !r.CountOnly})
				}
				what := "are sent again to " + args[0]
				if r.CountOnly {
					what = "would be sent again to " + args[0]
				}
				p.printf("%s %s\n", p.style.bold(fmt.Sprintf("%d events", n)), what)
				return nil
			})
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&since, "since", "", "events recorded at that `TIME` or later (2026-07-01T15:04:05Z)")
	flags.StringVar(&until, "until", "", "and before that `TIME` (default now)")
	flags.StringSliceVar(&r.Events, "events", nil, "these `TYPES` only (default all that it subscribes to)")
	flags.BoolVar(&r.FailedOnly, "failed-only", false, "only what was given up, and not sent again since")
	flags.BoolVar(&r.CountOnly, "count", false, "say how many there are, and send nothing")
	return c
}
