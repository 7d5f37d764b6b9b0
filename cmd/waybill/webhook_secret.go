package main

import (
	"github.com/spf13/cobra"
)

func (p *program) webhookRotateSecretCommand() *cobra.Command {
	var given string
	c := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Give a webhook a new secret, and print it once",
		Long:  `Give a webhook a new secret, and print it once. The old one signs beside it for a day.`,
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			secret, err := p.readSecret(given)
			if err != nil {
				return err
			}
			return p.withWebhook(c, args[0], func(s *session) error {
				secret, until, err := s.workspace.RotateWebhookSecret(c.Context(), args[0], secret)
				if err != nil {
					return refusedWebhook(c, err)
				}
				if p.json() {
					return p.printJSON(map[string]any{"secret": secret.Reveal(), "oldSecretSignsUntil": until.UTC()})
				}
				p.printf("%s %s\n", p.style.green("rotated"), p.style.bold(args[0]))
				var t table
				t.add(p.style.dim("secret"), secret.Reveal())
				t.add(p.style.dim("the old one"), "signs too until "+when(until)+" UTC")
				t.write(p.stdout, "  ")
				p.printf("\nKeep the secret: it is not shown again.\n")
				return nil
			})
		},
	}
	c.Flags().StringVar(&given, "secret", "", "sign with this `SECRET`; - reads it from the standard input (default a new one)")
	return c
}
