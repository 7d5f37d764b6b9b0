package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/migrations"
)

func (p *program) migrateCommand() *cobra.Command {
	return family("migrate", "Bring a database to the schema of this program",
		&cobra.Command{
			Use:   "up",
			Short: "Apply every migration that the database lacks",
			Args:  noWords,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.onDatabase(c.Context(), func(ctx context.Context, db *database) error {
					applied, err := migrations.Up(ctx, db.DB)
					if err != nil {
						return err
					}
					if p.json() {
						return p.printJSON(append([]migrations.Migration{}, applied...))
					}
					for _, m := range applied {
						p.printf("%s %s\n", p.style.green("applied"), m.Name)
					}
					if len(applied) == 0 {
						p.printf("nothing to do: the database is up to date\n")
					}
					return nil
				})
			},
		},
		&cobra.Command{
			Use:   "status",
			Short: "List the migrations, and whether the database has them",
			Args:  noWords,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.onDatabase(c.Context(), func(ctx context.Context, db *database) error {
					list, err := migrations.Status(ctx, db.DB)
					if err != nil {
						return err
					}
					if p.json() {
						return p.printJSON(list)
					}
					var t table
					for _, m := range list {
						state := p.style.yellow("pending")
						if m.Applied {
							state = p.style.green("applied")
						}
						t.add(state, m.Name)
					}
					t.write(p.stdout, "")
					if err := migrations.Check(ctx, db.DB); errors.As(err, new(*migrations.NewerSchemaError)) {
						return err
					}
					return nil
				})
			},
		},
	)
}

// onDatabase runs work on a database that need not have our schema.
func (p *program) onDatabase(ctx context.Context, work func(context.Context, *database) error) error {
	db, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, db), db.Close())
}
