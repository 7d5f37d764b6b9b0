package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/httpapi/token"
)

func (p *program) tokenCommand() *cobra.Command {
	return family("token", "Let programs use the HTTP API", p.tokenCreateCommand(), p.tokenListCommand(), p.tokenRevokeCommand())
}

func (p *program) tokenCreateCommand() *cobra.Command {
	scope := choice{allowed: []string{string(token.Read), string(token.Write)}}
	var name string
	c := &cobra.Command{
		Use:   "create --scope read|write",
		Short: "Make a token for the workspace, and print it once",
		Example: `  waybill token create --scope read --name reports
  waybill token create --workspace acme --scope write -o json`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("scope") {
				return usagef("usage: "+c.UseLine(), "%s needs --scope", c.CommandPath())
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				made, plain, err := token.NewStore(s.DB, p.now).Create(c.Context(), p.workspace, name, token.Scope(scope.value))
				if invalid := new(token.InvalidError); errors.As(err, &invalid) {
					return usagef("`waybill token create --help` shows an example", "--%s %s", invalid.Fields[0].Field, invalid.Fields[0].Message)
				}
				if err != nil {
					return err
				}
				return p.printNewToken(made, plain)
			})
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.Var(&scope, "scope", "what it is good for: read, or write, which includes read")
	flags.StringVar(&name, "name", "", "what it is for, for people")
	return c
}

func (p *program) printNewToken(t token.Token, plain token.Plain) error {
	if p.json() {
		return p.printJSON(struct {
			token.Token
			Plain string `json:"token"`
		}{t, plain.Reveal()})
	}
	p.printf("%s %s\n", p.style.green("created"), p.style.bold(t.ID))
	var rows table
	rows.add(p.style.dim("workspace"), t.Workspace)
	rows.add(p.style.dim("scope"), string(t.Scope))
	if t.Name != "" {
		rows.add(p.style.dim("name"), clean(t.Name))
	}
	rows.add(p.style.dim("token"), plain.Reveal())
	rows.write(p.stdout, "  ")
	p.printf("\nKeep the token: it is not shown again. Send it as  Authorization: Bearer TOKEN\n")
	return nil
}

func (p *program) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the workspace's tokens, revoked ones too",
		Args:  noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				list := []token.Token{}
				for t, err := range token.NewStore(s.DB, p.now).List(c.Context(), p.workspace) {
					if err != nil {
						return err
					}
					list = append(list, t)
				}
				return p.printTokens(list)
			})
		},
	}
}

func (p *program) printTokens(list []token.Token) error {
	if p.json() {
		return p.printJSON(list)
	}
	if len(list) == 0 {
		p.printf("workspace %s has no tokens; make one with `waybill token create`\n", p.workspace)
		return nil
	}
	var t table
	t.add(p.style.dim("id"), p.style.dim("scope"), p.style.dim("state"), p.style.dim("created (UTC)"), p.style.dim("name"))
	for _, one := range list {
		state := p.style.green("active")
		if one.RevokedAt != nil {
			state = p.style.yellow("revoked")
		}
		t.add(one.ID, string(one.Scope), state, when(one.CreatedAt), clean(one.Name))
	}
	t.write(p.stdout, "")
	return nil
}

func (p *program) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token's validity, at once and for good",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "wbt_") { // the token itself, which must not be repeated in an error
				return usagef("`waybill token list` shows the ids, which begin with tok_", "that is a token and not the id of one")
			}
			if err := checkID("a token", args[0]); err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				if err := token.NewStore(s.DB, p.now).Revoke(c.Context(), p.workspace, args[0]); err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(map[string]string{"revoked": args[0]})
				}
				p.printf("%s %s\n", p.style.green("revoked"), args[0])
				return nil
			})
		},
	}
}
