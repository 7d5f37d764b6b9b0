package main

import (
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

func (p *program) webhookUpdateCommand() *cobra.Command {
	var name, url, filter string
	var events, include []string
	var rateLimit int
	var retries retriesFlag
	var profileRetries, ordered bool
	c := &cobra.Command{
		Use:   "update ID",
		Short: "Change a webhook; what no flag names stays as it is",
		Example: `  waybill webhook update wh_0d8n4cxfw1q2v7r9kz3m5p6t8b --url https://shop.example.com/new
  waybill webhook update wh_0d8n4cxfw1q2v7r9kz3m5p6t8b --events order.placed --rate-limit 20`,
		Args: words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			var u webhook.Update
			changed := c.Flags().Changed
			give(&u.Name, name, changed("name"))
			give(&u.URL, url, changed("url"))
			give(&u.Events, events, changed("events"))
			give(&u.Include, include, changed("include"))
			give(&u.Filter, filter, changed("filter"))
			give(&u.RateLimit, rateLimit, changed("rate-limit"))
			give(&u.Retries, retries.pauses, changed("retries"))
			give(&u.Ordered, ordered, changed("ordered"))
			if changed("retries") && profileRetries {
				return usagef("leave one of them out", "--retries and --profile-retries exclude each other")
			}
			if profileRetries {
				u.Retries = new([]webhook.Duration)
			}
			if u == (webhook.Update{}) {
				return usagef("`"+c.CommandPath()+" --help` lists what there is to change", "%s changes nothing without flags", c.CommandPath())
			}
			return p.updateWebhook(c, args[0], u)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&name, "name", "", "a name, unique in the workspace")
	flags.StringVar(&url, "url", "", "where to POST to")
	flags.StringSliceVar(&events, "events", nil, "the `TYPES` to be told of, see `waybill event-types`; empty for all")
	flags.StringSliceVar(&include, "include", nil, "`WHAT` the profile shall add to its bodies")
	flags.StringVar(&filter, "filter", "", "send only what this CEL `EXPRESSION` is true for; empty for everything")
	flags.IntVar(&rateLimit, "rate-limit", 0, "attempts a second at most; 0 for no limit")
	flags.Var(&retries, "retries", "the longest pause before each retry, such as 5s,5m,1h, or none")
	flags.BoolVar(&profileRetries, "profile-retries", false, "go back to the profile's schedule of retries")
	flags.BoolVar(&ordered, "ordered", true, "let a failing delivery hold back later ones of the same order")
	return c
}

// give sets a part of an update where its flag was given.
func give[T any](part **T, value T, given bool) {
	if given {
		*part = &value
	}
}

func (p *program) updateWebhook(c *cobra.Command, id string, u webhook.Update) error {
	return p.withWebhook(c, id, func(s *session) error {
		w, err := s.workspace.UpdateWebhook(c.Context(), id, u)
		if err != nil {
			return refusedWebhook(c, err)
		}
		return p.printWebhook(w)
	})
}

func (p *program) webhookEnableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enable ID",
		Short: "Deliver to a webhook from now on",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.updateWebhook(c, args[0], webhook.Update{Active: new(true)})
		},
	}
}

func (p *program) webhookDisableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "disable ID",
		Short: "Deliver nothing more to a webhook until it is enabled",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.updateWebhook(c, args[0], webhook.Update{Active: new(false)})
		},
	}
}
