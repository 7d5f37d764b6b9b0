package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

func (p *program) webhookShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a webhook, and how its receiver fares",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withWebhook(c, args[0], func(s *session) error {
				w, err := s.workspace.Webhook(c.Context(), args[0])
				if err != nil {
					return err
				}
				return p.printWebhook(w)
			})
		},
	}
}

// withWebhook runs a command's work on a webhook whose id can be one.
func (p *program) withWebhook(c *cobra.Command, id string, work func(*session) error) error {
	if err := checkID("a webhook", id); err != nil {
		return err
	}
	return p.use(c.Context(), withSecrets, work)
}

func (p *program) printWebhook(w webhook.Webhook) error {
	if p.json() {
		return p.printJSON(w)
	}
	p.printf("%s   %s\n", p.style.bold(clean(w.Name)), p.webhookState(w))
	var t table
	fact := func(name, value string) {
		if value != "" {
			t.add(p.style.dim(name), clean(value))
		}
	}
	fact("id", w.ID)
	fact("url", w.URL)
	fact("profile", w.Profile)
	fact("events", orElse(strings.Join(w.Events, ", "), "all"))
	fact("include", strings.Join(w.Include, ", "))
	fact("filter", w.Filter)
	if w.RateLimit > 0 {
		fact("rate limit", strconv.Itoa(w.RateLimit)+" attempts a second")
	}
	if w.Retries != nil {
		fact("retries", orElse((&retriesFlag{w.Retries}).String(), "none"))
	}
	fact("created", when(w.CreatedAt)+" UTC")
	fact("updated", when(w.UpdatedAt)+" UTC")
	if w.Health.ConsecutiveFailures > 0 {
		fact("failures", strconv.Itoa(w.Health.ConsecutiveFailures)+" in a row")
	}
	if w.Health.FailingSince != nil {
		fact("failing", "since "+when(*w.Health.FailingSince)+" UTC")
	}
	fact("reason", w.Health.DisabledReason)
	t.write(p.stdout, "  ")
	if w.Health.State == webhook.CircuitOpen || w.Health.State == webhook.Disabled {
		p.printf("\nNothing is sent until `waybill webhook reset %s`.\n", w.ID)
	}
	return nil
}
