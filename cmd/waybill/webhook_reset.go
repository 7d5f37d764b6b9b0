package main

import (
	"github.com/spf13/cobra"
)

func (p *program) webhookResetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset ID",
		Short: "Close a webhook's circuit: its failures are forgotten, and what waits goes out",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withWebhook(c, args[0], func(s *session) error {
				w, err := s.workspace.ResetWebhook(c.Context(), args[0])
				if err != nil {
					return err
				}
				return p.printWebhook(w)
			})
		},
	}
}
