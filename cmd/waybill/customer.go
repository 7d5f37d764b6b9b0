package main

import (
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore/vault"
)

func (p *program) customerCommand() *cobra.Command {
	return family("customer", "Look after what is personal about customers", p.customerForgetCommand(), p.customerKeysCommand())
}

// subject is whom a command is about: a customer, or a stream that names none.
type subject struct{ stream bool }

func (s *subject) flags(c *cobra.Command) {
	c.Flags().BoolVar(&s.stream, "stream", false, "ID is that of a stream which names no customer, such as order/ord_1 of a guest")
}

func (s *subject) parse(text string) (domain.StreamID, error) {
	if !s.stream {
		if text == "" {
			return domain.StreamID{}, usagef("it is what orders have as the id of their customer", "the id of a customer is empty")
		}
		return domain.StreamID{}, nil
	}
	stream, err := domain.ParseStreamID(text)
	if err != nil {
		return stream, usagef("it is an aggregate and an id with a slash between them, such as order/ord_1", "%.120q is not the name of a stream", text)
	}
	return stream, nil
}

func (p *program) customerForgetCommand() *cobra.Command {
	var whom subject
	var yes bool
	c := &cobra.Command{
		Use:   "forget ID --yes",
		Short: "Erase what is personal about a customer, for good",
		Long: `Destroy the keys with which what is personal about a customer was sealed: email, names, addresses,
phone numbers. Orders and their events stay, and their hash chains stay valid; they show "[erased]",
as do views and what is sent to webhooks from now on.

Processes that are running may show what they have in memory for another 30 seconds. Backups that
were made before hold the keys: destroy them, too, or forget the customer again after restoring one.`,
		Example: `  waybill customer forget cus_1 --yes
  waybill customer forget --stream order/ord_1 --yes`,
		Args: words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			stream, err := whom.parse(args[0])
			if err != nil {
				return err
			}
			if !yes {
				return usagef("add --yes if that is what you want", "this cannot be undone: nobody will be able to read what is personal about %s again", args[0])
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				var keys int
				if whom.stream {
					keys, err = s.workspace.ForgetStream(c.Context(), stream)
				} else {
					keys, err = s.workspace.Forget(c.Context(), args[0])
				}
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(struct {
						Forgotten     string `json:"forgotten"`
						KeysDestroyed int    `json:"keysDestroyed"`
					}{args[0], keys})
				}
				if keys == 0 {
					p.printf("workspace %s has nothing personal about %s\n", p.workspace, clean(args[0]))
					return nil
				}
				p.printf("%s %s: %s destroyed\n", p.style.green("forgotten"), clean(args[0]), counted(keys, "key"))
				return nil
			})
		},
	}
	whom.flags(c)
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

func (p *program) customerKeysCommand() *cobra.Command {
	var whom subject
	c := &cobra.Command{
		Use:   "keys ID",
		Short: "List a customer's keys: whether there is something personal, and when it was erased",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			stream, err := whom.parse(args[0])
			if err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				var keys []vault.Key
				if whom.stream {
					keys, err = s.workspace.PersonalKeysOfStream(c.Context(), stream)
				} else {
					keys, err = s.workspace.PersonalKeys(c.Context(), args[0])
				}
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(append([]vault.Key{}, keys...))
				}
				p.printKeys(args[0], keys)
				return nil
			})
		},
	}
	whom.flags(c)
	return c
}

func (p *program) printKeys(id string, keys []vault.Key) {
	if len(keys) == 0 {
		p.printf("workspace %s has nothing personal about %s\n", p.workspace, clean(id))
		return
	}
	var t table
	t.add(p.style.dim("key"), p.style.dim("state"), p.style.dim("made (UTC)"), p.style.dim("stored"), p.style.dim("first the key of"))
	for _, k := range keys {
		state, stored := p.style.green("live"), "as it is"
		if k.Wrapped {
			stored = "encrypted"
		}
		if k.DestroyedAt != nil {
			state, stored = p.style.yellow("destroyed "+when(*k.DestroyedAt)), ""
		}
		t.add(k.ID.String(), state, when(k.CreatedAt), stored, clean(k.AdoptedFrom))
	}
	t.write(p.stdout, "")
}
