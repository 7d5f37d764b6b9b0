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
	return family("webhook", "Subscribe webhooks to events",
		p.webhookCreateCommand(), p.webhookListCommand(), p.webhookShowCommand(),
		p.webhookUpdateCommand(), p.webhookEnableCommand(), p.webhookDisableCommand(), p.webhookDeleteCommand(),
		p.webhookTestCommand(), p.webhookRotateSecretCommand(), p.webhookResetCommand(),
		p.webhookDeliveriesCommand(), p.webhookReplayCommand(),
	)
}

func (p *program) webhookCreateCommand() *cobra.Command {
	var n webhook.New
	var secret string
	var retries retriesFlag
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
			if err := checkEvents(n.Profile, n.Events); err != nil {
				return err
			}
			var err error
			if n.Secret, err = p.readSecret(secret); err != nil {
				return err
			}
			n.Retries = retries.pauses
			return p.use(c.Context(), withSecrets, func(s *session) error {
				made, secret, err := s.workspace.CreateWebhook(c.Context(), n)
				if err != nil {
					return refusedWebhook(c, err)
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
	flags.StringVar(&n.Profile, "profile", webhook.DefaultProfile, "whose names, bodies, headers and signature it gets: "+oneOf(profileNames()))
	flags.StringVar(&secret, "secret", "", "sign with this `SECRET`; - reads it from the standard input (default a new one, where the profile needs one)")
	flags.StringSliceVar(&n.Include, "include", nil, "`WHAT` the profile shall add to its bodies")
	flags.StringVar(&n.Filter, "filter", "", "send only what this CEL `EXPRESSION` over event and body is true for")
	flags.IntVar(&n.RateLimit, "rate-limit", 0, "attempts a second at most (default no limit)")
	flags.Var(&retries, "retries", "the longest pause before each retry, such as 5s,5m,1h, or none (default the profile's)")
	flags.BoolVar(&n.Unordered, "unordered", false, "let a failing delivery not hold back later ones of the same order")
	flags.BoolVar(&n.Inactive, "inactive", false, "deliver nothing until it is enabled (waybill webhook enable)")
	return c
}

// retriesFlag is a schedule on the command line.
type retriesFlag struct {
	pauses []webhook.Duration
}

func (r *retriesFlag) Type() string { return "PAUSES" }

func (r *retriesFlag) String() string {
	parts := make([]string, len(r.pauses))
	for i, pause := range r.pauses {
		parts[i] = pause.String()
	}
	return strings.Join(parts, ",")
}

func (r *retriesFlag) Set(text string) error {
	r.pauses = []webhook.Duration{}
	if text == "none" {
		return nil
	}
	for _, part := range strings.Split(text, ",") {
		var pause webhook.Duration
		if err := pause.UnmarshalText([]byte(part)); err != nil {
			return err
		}
		r.pauses = append(r.pauses, pause)
	}
	return nil
}

// readSecret reads a secret from the standard input where the flag is -.
func (p *program) readSecret(flag string) (webhook.Secret, error) {
	if flag != "-" {
		return webhook.Secret(flag), nil
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, 4096))
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", usagef("give it on the first line, or leave --secret out to have one made", "there is no secret on the standard input")
	}
	return webhook.Secret(secret), nil
}

// refusedWebhook makes of what is wrong with a webhook a mistake in the command line.
func refusedWebhook(c *cobra.Command, err error) error {
	var invalid *webhook.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	parts := make([]string, len(invalid.Fields))
	for i, f := range invalid.Fields {
		flag := map[string]string{"rateLimit": "rate-limit"}[f.Field]
		parts[i] = "--" + orElse(flag, f.Field) + " " + f.Message
	}
	return usagef("`"+c.CommandPath()+" --help` explains the flags", "%s", strings.Join(parts, "; "))
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
	t.add(p.style.dim("profile"), w.Profile)
	if secret != "" {
		t.add(p.style.dim("secret"), secret.Reveal())
	}
	t.write(p.stdout, "  ")
	switch {
	case secret != "":
		p.printf("\nKeep the secret: it signs every request, and is not shown again.\n")
	default:
		p.printf("\nIt has no secret, so that what it is sent is not signed.\n")
	}
	if !w.Active {
		p.printf("It is inactive: `waybill webhook enable %s` starts it.\n", w.ID)
	}
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
	t.add(p.style.dim("id"), p.style.dim("name"), p.style.dim("profile"), p.style.dim("state"), p.style.dim("url"), p.style.dim("events"))
	for _, w := range list {
		t.add(w.ID, clean(w.Name), w.Profile, p.webhookState(w), clean(w.URL), orElse(strings.Join(w.Events, ", "), "all"))
	}
	t.write(p.stdout, "")
	return nil
}

// webhookState says in a few words whether a webhook is told of anything.
func (p *program) webhookState(w webhook.Webhook) string {
	state := p.style.green("active")
	switch {
	case w.Health.State == webhook.Disabled:
		state = p.style.yellow("disabled by failures")
	case !w.Active:
		state = p.style.yellow("inactive")
	case w.Health.State == webhook.CircuitOpen:
		state = p.style.yellow("circuit open")
	case w.Health.State == webhook.Failing:
		state = p.style.yellow("failing")
	}
	if !w.Ordered {
		state += ", unordered"
	}
	return state
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

// checkEvents refuses events that the native profile does not have, and names what may have been meant, before anything is started. What
// other profiles have is for the store to say.
func checkEvents(profileName string, events []string) error {
	if profileName != webhook.DefaultProfile {
		return nil
	}
	known, err := profileEvents(profileName)
	if err != nil {
		return err
	}
	names := make([]string, len(known))
	for i, e := range known {
		names[i] = e.Name
	}
	for _, e := range events {
		if !slices.Contains(names, e) {
			return usagef(orElse(suggest(e, names), "`waybill event-types` lists them"), "--events: there is no event %q", e)
		}
	}
	return nil
}
