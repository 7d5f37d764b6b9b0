package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

func (p *program) webhookCommand() *cobra.Command {
	return family("webhook", "Subscribe webhooks to events", p.webhookCreateCommand(), p.webhookListCommand(), p.webhookDeleteCommand())
}

func (p *program) webhookCreateCommand() *cobra.Command {
	var n webhook.New
	var secret string
	c := &cobra.Command{
		Use:   "create --name NAME --url URL",
		Short: "Subscribe a webhook, and print its secret once",
		Example: `  waybill webhook create --name shop --url https://shop.example.com/hooks
  waybill webhook create --name mail --url http://127.0.0.1:9000/ --events order.placed,order.shipped
  pass show shop/webhook | waybill webhook create --name shop --url https://shop.example.com/hooks --secret -`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, required := range []string{"name", "url"} {
				if !c.Flags().Changed(required) {
					return usagef("usage: "+c.UseLine(), "%s needs --%s", c.CommandPath(), required)
				}
			}
			if err := p.checkEvents(n.Events); err != nil {
				return err
			}
			if secret == "-" {
				text, err := io.ReadAll(io.LimitReader(p.stdin, 4096))
				if err != nil {
					return fmt.Errorf("read the secret: %w", err)
				}
				if secret = strings.TrimSpace(string(text)); secret == "" {
					return usagef("give it on the first line, or leave --secret out to have one made", "there is no secret on the standard input")
				}
			}
			n.Secret = webhook.Secret(secret)
			return p.use(c.Context(), withSecrets, func(s *session) error {
				made, secret, err := s.workspace.CreateWebhook(c.Context(), n)
				if err != nil {
					return refusedWebhook(err)
				}
				return p.printCreated(made, secret)
			})
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.Name, "name", "", "a name, unique in the workspace")
	flags.StringVar(&n.URL, "url", "", "where to POST to")
	flags.StringSliceVar(&n.Events, "events", nil, "the `TYPES` to be told of, see `waybill event-types` (default all)")
	flags.StringVar(&secret, "secret", "", "sign with this `SECRET`, whsec_…; - reads it from the standard input (default a new one)")
	flags.BoolVar(&n.Unordered, "unordered", false, "let a failing delivery not hold back later ones of the same order")
	return c
}

// refusedWebhook makes of what is wrong with a webhook a mistake in the command line.
func refusedWebhook(err error) error {
	var invalid *webhook.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	parts := make([]string, len(invalid.Fields))
	for i, f := range invalid.Fields {
		parts[i] = "--" + f.Field + " " + f.Message
	}
	return usagef("`waybill webhook create --help` shows an example", "%s", strings.Join(parts, "; "))
}

func (p *program) printCreated(w webhook.Webhook, secret webhook.Secret) error {
	if p.json() {
		return p.printJSON(struct {
			webhook.Webhook
			Secret string `json:"secret"`
		}{w, secret.Reveal()})
	}
	p.printf("%s %s\n", p.style.green("created"), p.style.bold(w.ID))
	var t table
	t.add(p.style.dim("name"), clean(w.Name))
	t.add(p.style.dim("url"), clean(w.URL))
	t.add(p.style.dim("events"), orElse(strings.Join(w.Events, ", "), "all"))
	t.add(p.style.dim("secret"), secret.Reveal())
	t.write(p.stdout, "  ")
	p.printf("\nKeep the secret: it signs every request, and is not shown again.\n")
	return nil
}

func (p *program) webhookListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the webhooks of the workspace",
		Args:  noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.use(c.Context(), withSecrets, func(s *session) error {
				list := []webhook.Webhook{}
				for cursor, more := "", true; more; more = cursor != "" {
					page, next, err := s.workspace.Webhooks(c.Context(), cursor, 0)
					if err != nil {
						return err
					}
					list, cursor = append(list, page...), next
				}
				return p.printWebhooks(list)
			})
		},
	}
}

func (p *program) printWebhooks(list []webhook.Webhook) error {
	if p.json() {
		return p.printJSON(list)
	}
	if len(list) == 0 {
		p.printf("workspace %s has no webhooks; make one with `waybill webhook create`\n", p.workspace)
		return nil
	}
	var t table
	t.add(p.style.dim("id"), p.style.dim("name"), p.style.dim("state"), p.style.dim("url"), p.style.dim("events"))
	for _, w := range list {
		state := p.style.green("active")
		if !w.Active {
			state = p.style.yellow("inactive")
		}
		if !w.Ordered {
			state += ", unordered"
		}
		t.add(w.ID, clean(w.Name), state, clean(w.URL), orElse(strings.Join(w.Events, ", "), "all"))
	}
	t.write(p.stdout, "")
	return nil
}

func (p *program) webhookDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a webhook; its attempts stay on record",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkID("a webhook", args[0]); err != nil {
				return err
			}
			return p.use(c.Context(), withSecrets, func(s *session) error {
				if err := s.workspace.DeleteWebhook(c.Context(), args[0]); err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(map[string]string{"deleted": args[0]})
				}
				p.printf("%s %s\n", p.style.green("deleted"), args[0])
				return nil
			})
		},
	}
}

// checkEvents refuses events that do not exist, and names what may have been meant.
func (p *program) checkEvents(events []string) error {
	known := eventNames()
	for _, e := range events {
		if !slices.Contains(known, e) {
			return usagef(orElse(suggest(e, known), "`waybill event-types` lists them"), "--events: there is no event %q", e)
		}
	}
	return nil
}

func eventNames() (names []string) {
	for _, t := range eventTypes() {
		names = append(names, t.Name)
	}
	return names
}
