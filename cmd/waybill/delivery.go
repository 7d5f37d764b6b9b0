package main

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/delivery"
)

func (p *program) deliveryCommand() *cobra.Command {
	return family("delivery", "Look at what became of a delivery", p.deliveryShowCommand(), p.deliveryResendCommand())
}

func (p *program) deliveryShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show WEBHOOK/EVENT",
		Short:   "Show the delivery of an event to a webhook, with every attempt",
		Example: "  waybill delivery show wh_0d8n4cxfw1q2v7r9kz3m5p6t8b/01981f5c-7d2e-7b3c-9a4b-e1f2a3b4c5d6",
		Args:    words("WEBHOOK/EVENT"),
		RunE: func(c *cobra.Command, args []string) error {
			webhookID, eventID, err := parseDeliveryID(args[0])
			if err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				d, err := delivery.Show(c.Context(), s.DB, p.workspace, webhookID, eventID)
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(d)
				}
				p.printDelivery(d)
				return nil
			})
		},
	}
}

func (p *program) deliveryResendCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resend WEBHOOK/EVENT",
		Short: "Send an event to a webhook again, with the same id and the same bytes",
		Args:  words("WEBHOOK/EVENT"),
		RunE: func(c *cobra.Command, args []string) error {
			webhookID, eventID, err := parseDeliveryID(args[0])
			if err != nil {
				return err
			}
			return p.use(c.Context(), withSecrets, func(s *session) error {
				if err := s.workspace.ResendDelivery(c.Context(), webhookID, eventID); err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(map[string]string{"resent": args[0]})
				}
				p.printf("%s %s\n", p.style.green("sent again"), args[0])
				return nil
			})
		},
	}
}

func parseDeliveryID(text string) (webhookID string, eventID uuid.UUID, err error) {
	webhookID, event, ok := strings.Cut(text, "/")
	if !ok {
		return "", eventID, usagef("it is a webhook's id and an event's, with a slash between them", "%.120q is not the id of a delivery", text)
	}
	if err := checkID("a webhook", webhookID); err != nil {
		return "", eventID, err
	}
	eventID, err = parseEventID(event)
	return webhookID, eventID, err
}

func (p *program) printDelivery(d delivery.Delivery) {
	p.printf("%s   %s\n", p.style.bold(clean(d.Event.Type)), p.style.status(string(d.Status)))
	var t table
	t.add(p.style.dim("webhook"), clean(d.Webhook))
	t.add(p.style.dim("event"), d.Event.ID.String())
	t.add(p.style.dim("of"), clean(d.Event.Stream)+", version "+itoa(d.Event.Version))
	t.add(p.style.dim("recorded"), when(d.Event.RecordedAt)+" UTC")
	if d.NextAttemptAt != nil {
		t.add(p.style.dim("next try"), when(*d.NextAttemptAt)+" UTC")
	}
	t.write(p.stdout, "  ")
	if len(d.Attempts) == 0 {
		p.printf("\n  not tried yet\n")
		return
	}
	p.printf("\n")
	attempts := table{right: []int{0, 2, 4}}
	attempts.add(p.style.dim("try"), p.style.dim("started (UTC)"), p.style.dim("took"), p.style.dim("outcome"), p.style.dim("status"), p.style.dim("answer"))
	for _, a := range d.Attempts {
		status := ""
		if a.StatusCode != 0 {
			status = strconv.Itoa(a.StatusCode)
		}
		attempts.add(itoa(a.Number), when(a.StartedAt), itoa(a.DurationMS)+" ms", p.style.status(a.Outcome), status, clean(joined(": ", a.Error, a.ResponseExcerpt)))
	}
	attempts.write(p.stdout, "  ")
}
