package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/lib/pq"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

func (p *program) auditCommand() *cobra.Command {
	return family("audit", "Prove that history was not altered", &cobra.Command{
		Use:   "verify [ID]",
		Short: "Check the hash chain of an order, or of every order of the workspace",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return words("ID")(c, args)
			}
			if len(args) == 1 {
				if err := checkID("an order", args[0]); err != nil {
					return err
				}
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				streams := one(domain.StreamID{Aggregate: order.Name, ID: first(args)})
				if len(args) == 0 {
					streams = streamsOf(c.Context(), s.DB, p.workspace)
				}
				return p.verify(c.Context(), s, streams)
			})
		},
	})
}

// verify checks every stream to its end, and fails if one of them is broken.
func (p *program) verify(ctx context.Context, s *session, streams iter.Seq2[domain.StreamID, error]) error {
	type broken struct {
		Stream  string `json:"stream"`
		Version int    `json:"version"`
		Reason  string `json:"reason"`
	}
	found := struct {
		Streams int      `json:"streams"`
		Events  int      `json:"events"`
		Broken  []broken `json:"broken"`
	}{Broken: []broken{}}
	var failure error
	for stream, err := range streams {
		if err != nil {
			return err
		}
		events, err := eventstore.VerifyChain(s.workspace.StreamHistory(ctx, stream))
		found.Streams++
		found.Events += events
		var chain *eventstore.ChainError
		switch {
		case errors.As(err, &chain):
			found.Broken = append(found.Broken, broken{stream.String(), chain.Version, chain.Reason})
			failure = err
		case err != nil:
			return err
		}
	}
	if p.json() {
		if err := p.printJSON(found); err != nil {
			return err
		}
	} else {
		for _, b := range found.Broken {
			p.printf("%s %s, version %d: %s\n", p.style.red("broken"), clean(b.Stream), b.Version, b.Reason)
		}
		if failure == nil {
			p.printf("%s %s of %s: every hash is right, from the first to the last\n",
				p.style.green("verified"), counted(found.Events, "event"), counted(found.Streams, "stream"))
		}
	}
	if len(found.Broken) > 1 {
		return fmt.Errorf("%d of %d histories are broken, the last of them: %w", len(found.Broken), found.Streams, failure)
	}
	return failure
}

// streamsOf yields every stream of a workspace, sorted. It does not go by the log, which holds back its newest events for a moment.
func streamsOf(ctx context.Context, db *sql.DB, workspace string) iter.Seq2[domain.StreamID, error] {
	const page = 1000
	return func(yield func(domain.StreamID, error) bool) {
		for after, more := "", true; more; {
			var names pq.StringArray
			err := db.QueryRowContext(ctx, `SELECT coalesce(array_agg(stream ORDER BY stream), '{}') FROM (
				SELECT DISTINCT stream FROM events WHERE workspace = $1 AND stream > $2 ORDER BY stream LIMIT $3) page`,
				workspace, after, page).Scan(&names)
			if err != nil {
				yield(domain.StreamID{}, pgerr.Wrap("list streams", err))
				return
			}
			for _, name := range names {
				stream, err := domain.ParseStreamID(name)
				if !yield(stream, err) || err != nil {
					return
				}
				after = name
			}
			more = len(names) == page
		}
	}
}

func one(stream domain.StreamID) iter.Seq2[domain.StreamID, error] {
	return func(yield func(domain.StreamID, error) bool) { yield(stream, nil) }
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "s") {
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
