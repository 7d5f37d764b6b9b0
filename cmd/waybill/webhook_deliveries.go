package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/delivery"
)

func (p *program) webhookDeliveriesCommand() *cobra.Command {
	status := choice{}
	for _, s := range delivery.Statuses {
		status.allowed = append(status.allowed, string(s))
	}
	var o delivery.ListOptions
	var since string
	c := &cobra.Command{
		Use:   "deliveries ID",
		Short: "List what a webhook was sent and is to be sent, the newest event first",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.Limit < 1 || o.Limit > 200 {
				return usagef("want 1 to 200", "--limit: %d is out of range", o.Limit)
			}
			if since != "" {
				if o.Since, err = parseTime("since", since); err != nil {
					return err
				}
			}
			o.Status = delivery.Status(status.value)
			return p.withWebhook(c, args[0], func(s *session) error {
				page, next, err := s.workspace.Deliveries(c.Context(), args[0], o)
				if wrong := new(delivery.CursorError); errors.As(err, &wrong) {
					return usagef("leave it out to begin from the start", "--cursor: %v", wrong)
				}
				if err != nil {
					return err
				}
				return p.printDeliveries(page, next)
			})
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.Var(&status, "status", "those with this status only: "+oneOf(status.allowed))
	flags.StringVar(&o.Event, "event", "", "those of this `TYPE` only")
	flags.StringVar(&since, "since", "", "those of events recorded at that `TIME` or later (2026-07-01T15:04:05Z)")
	flags.IntVar(&o.Limit, "limit", 50, "how many at most, up to 200")
	flags.StringVar(&o.Cursor, "cursor", "", "go on where the list before ended")
	return c
}

func (p *program) printDeliveries(page []delivery.Delivery, next string) error {
	if p.json() {
		return p.printJSON(struct {
			Deliveries []delivery.Delivery `json:"deliveries"`
			NextCursor string              `json:"nextCursor,omitempty"`
		}{append([]delivery.Delivery{}, page...), next})
	}
	t := table{right: []int{3}}
	t.add(p.style.dim("recorded (UTC)"), p.style.dim("event"), p.style.dim("status"), p.style.dim("tries"), p.style.dim("of"), p.style.dim("event id"))
	for _, d := range page {
		of := clean(d.Event.Stream)
		if d.Test {
			of = "a test"
		}
		t.add(when(d.Event.RecordedAt), clean(d.Event.Type), p.style.status(string(d.Status)), itoa(d.AttemptsMade), of, d.Event.ID.String())
	}
	if len(page) == 0 && next == "" {
		p.printf("there are no such deliveries\n")
		return nil
	}
	t.write(p.stdout, "")
	if next != "" {
		p.printf("\nThere may be more: --cursor %s\n", next)
	}
	return nil
}
