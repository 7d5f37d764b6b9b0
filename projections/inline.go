package projections

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// HasInline says whether appends to an aggregate's streams have views to write.
func (r *Runner) HasInline(aggregate string) bool {
	for _, v := range r.views {
		if v.inline && v.aggregate.Name == aggregate {
			return true
		}
	}
	return false
}

// Inlined is what an append has made of the inline views. Once its transaction is committed, Remember spares the next append reading
// the stream from its beginning. To forget it is always right.
type Inlined struct {
	views   []*view
	streams []*stream
}

// Remember keeps the folded streams. Call it after the commit only.
func (i *Inlined) Remember() {
	for n, v := range i.views {
		v.inlineMu.Lock()
		s := i.streams[n]
		if known, ok := v.inlineFolded.Peek(s.streamKey); !ok || known.origin != s.origin || known.version < s.version {
			v.inlineFolded.Add(s.streamKey, s)
		}
		v.inlineMu.Unlock()
	}
}

// WriteTx brings the rows of one stream up to date in every inline view, within the transaction that has just appended to it. Rows that
// cannot be written park the stream, and are no error: they do not stand in the way of what has happened. A view that was never built has
// no rows to write.
func (r *Runner) WriteTx(ctx context.Context, tx *sql.Tx, workspace string, id domain.StreamID) (*Inlined, error) {
	done := &Inlined{}
	for _, v := range r.views {
		if !v.inline || v.aggregate.Name != id.Aggregate {
			continue
		}
		s, err := r.writeInline(ctx, tx, v, streamKey{workspace, id.ID})
		if err != nil {
			return nil, err
		}
		if s != nil && s.failure == nil {
			done.views, done.streams = append(done.views, v), append(done.streams, s)
		}
	}
	return done, nil
}

func (r *Runner) writeInline(ctx context.Context, tx *sql.Tx, v *view, key streamKey) (*stream, error) {
	// The lock comes first, in a statement of its own: whoever waits for it must see what its holder did.
	class, number := v.lock(lockInline, 0)
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared($1, $2)`, class, number); err != nil {
		return nil, pgerr.Wrap("write view "+v.name, err)
	}
	var generation int
	var parked bool
	var here origin
	err := tx.QueryRowContext(ctx, `SELECT `+thisOrigin+`, coalesce(g, 0), EXISTS (
		SELECT FROM projection_parked WHERE projection = $1 AND generation = g AND workspace = $2 AND id = $3)
		FROM live_generation($1) g`, v.name, key.workspace, key.id).Scan(&here.server, &here.log, &generation, &parked)
	if err != nil {
		return nil, pgerr.Wrap("write view "+v.name, err)
	}
	if generation == 0 || parked {
		return nil, nil
	}
	s := v.newStream(key)
	s.origin = here
	v.inlineMu.Lock()
	if known, ok := v.inlineFolded.Get(key); ok && known.origin == here {
		s = known.clone()
	}
	v.inlineMu.Unlock()
	if err := catchUp(ctx, tx, r.config.Holding, v.Projection, []*stream{s}); err != nil {
		return nil, err
	}
	return s, r.writeBatch(ctx, tx, v, generation, []*stream{s})
}

// differing returns the streams whose rows are not what was folded, and those that have to be parked.
func differing(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream) (wrong []streamKey, err error) {
	different, err := compareStreams(ctx, tx, p, generation, streams)
	if refused(err) { // which of them it is, mending finds out
		for _, s := range streams {
			wrong = append(wrong, s.streamKey)
		}
		return wrong, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range different {
		wrong = append(wrong, streamKey{d.Workspace, d.ID})
	}
	for _, s := range streams {
		if s.failure != nil {
			wrong = append(wrong, s.streamKey)
		}
	}
	return wrong, nil
}

// lockTimeout is how long to wait for appends that are under way. Those that come later wait behind us for as long.
const lockTimeout = "2s"

// keepAppendsAway waits until no append that writes rows of the view is under way, and keeps new ones waiting until tx ends.
func keepAppendsAway(ctx context.Context, tx *sql.Tx, v *view) error {
	if !v.inline {
		return nil
	}
	class, key := v.lock(lockInline, 0)
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = '%s'; SELECT pg_advisory_xact_lock(%d, %d); SET LOCAL lock_timeout = DEFAULT`,
		lockTimeout, class, key))
	return pgerr.Wrap("wait for appends that write view "+v.name, err)
}

// mend writes the rows of streams of an inline view that are not what they should be: those that were appended by a process without it.
func (r *Runner) mend(ctx context.Context, v *view, generation int, keys []streamKey) error {
	tx, err := r.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return pgerr.Wrap("mend view "+v.name, err)
	}
	defer tx.Rollback()
	if err := keepAppendsAway(ctx, tx, v); err != nil {
		return err
	}
	if err := r.rewrite(ctx, tx, v, generation, keys); err != nil {
		return err
	}
	return pgerr.Wrap("mend view "+v.name, tx.Commit())
}

// rewrite folds streams from their beginning and writes their rows.
func (r *Runner) rewrite(ctx context.Context, tx *sql.Tx, v *view, generation int, keys []streamKey) error {
	if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
		return pgerr.Wrap("write view "+v.name, err)
	}
	streams := make([]*stream, len(keys))
	for i, key := range keys {
		streams[i] = v.newStream(key)
	}
	if err := catchUp(ctx, tx, r.config.Holding, v.Projection, streams); err != nil {
		return err
	}
	return r.writeBatch(ctx, tx, v, generation, streams)
}
