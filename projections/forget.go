package projections

import (
	"context"
	"database/sql"
	"slices"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// forgetPage is how many streams are folded at once.
const forgetPage = 500

// Forget writes the rows of some streams anew, in every view and all its generations, within a transaction in which what is personal in
// them was just erased. Whoever writes such rows at the same time holds the keys ([Config].Holding), so that tx either found them here, or
// keeps them waiting and then sees what it erased.
func (r *Runner) Forget(ctx context.Context, tx *sql.Tx, workspace string, streams []domain.StreamID) error {
	for _, v := range r.views {
		var ids []string
		for _, s := range streams {
			if s.Aggregate == v.aggregate.Name {
				ids = append(ids, s.ID)
			}
		}
		if len(ids) == 0 {
			continue
		}
		var generations pq.Int64Array
		err := tx.QueryRowContext(ctx, `SELECT coalesce(array_agg(generation ORDER BY generation), '{}') FROM projection_generations WHERE projection = $1`,
			v.name).Scan(&generations)
		if err != nil {
			return pgerr.Wrap("forget in view "+v.name, err)
		}
		for _, generation := range generations {
			for page := range slices.Chunk(ids, forgetPage) {
				if err := r.forget(ctx, tx, v, int(generation), workspace, page); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *Runner) forget(ctx context.Context, tx *sql.Tx, v *view, generation int, workspace string, ids []string) error {
	// Streams without rows stay without: a generation that is being built comes to them in its own time.
	var shown pq.StringArray
	err := tx.QueryRowContext(ctx, v.statement(`SELECT ARRAY(SELECT DISTINCT id FROM {T} WHERE generation = $1 AND workspace = $2 AND id = ANY ($3) ORDER BY id)`),
		generation, workspace, pq.StringArray(ids)).Scan(&shown)
	if err != nil || len(shown) == 0 {
		return pgerr.Wrap("forget in view "+v.name, err)
	}
	keys := make([]streamKey, len(shown))
	for i, id := range shown {
		keys[i] = streamKey{workspace, id}
	}
	if err := r.rewrite(ctx, tx, v, generation, keys); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `SET LOCAL enable_seqscan = DEFAULT; SET LOCAL enable_bitmapscan = DEFAULT; SET LOCAL enable_sort = DEFAULT`) // see walkIndexes
	return pgerr.Wrap("forget in view "+v.name, err)
}
