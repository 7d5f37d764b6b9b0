package projections

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// RebuildOptions say how a view is rebuilt.
type RebuildOptions struct {
	// Fresh throws away what an earlier rebuild, which was interrupted, has done. Else that is gone on with.
	Fresh bool
	// NoSwap ends when the new generation has caught up and was compared. The next rebuild goes on from there.
	NoSwap bool
	// Diff, where given, is called with each stream whose rows differ from those of the live generation.
	Diff func(Difference) error
}

// Phases of a rebuild.
const (
	PhaseFold    = "folding"
	PhaseCatchUp = "catching up"
	PhaseCompare = "comparing"
	PhaseSwap    = "swapped"
)

// Progress tells how far a rebuild has come.
type Progress struct {
	Projection string `json:"projection"`
	Generation int    `json:"generation"`
	Phase      string `json:"phase"`
	Events     int64  `json:"events"` // folded, those before an interruption too
	Total      int64  `json:"total"`  // in the log when the rebuild began
	Streams    int64  `json:"streams"`
	Now        int64  `json:"now"` // of Events, folded since this call; for the rate
}

// Rebuilt is what a rebuild came to.
type Rebuilt struct {
	Projection string `json:"projection"`
	Generation int    `json:"generation"`
	Resumed    bool   `json:"resumed"` // it went on with an interrupted one
	Swapped    bool   `json:"swapped"`
	Events     int64  `json:"events"`    // folded, all in all
	Streams    int64  `json:"streams"`   // folded, all in all
	Compared   int64  `json:"compared"`  // streams that were compared with the live generation
	Different  int64  `json:"different"` // of these
	Parked     int64  `json:"parked"`    // streams that could not be folded to their end
}

// Rebuild builds a view anew from the log, beside the one that is read, and puts it in its place. Nobody who reads notices anything but the
// new rows, and nothing is sent to anybody. It may be killed at any time; the next one goes on where it was, and several processes that
// rebuild the same view share the work. progress, where given, is called every now and then, by one goroutine at a time.
//
// It returns a [*domain.NotFoundError] for a name that is no projection's, and an [*OvertakenError].
func (r *Runner) Rebuild(ctx context.Context, name string, o RebuildOptions, progress func(Progress)) (Rebuilt, error) {
	v, err := r.view(name)
	if err != nil {
		return Rebuilt{}, err
	}
	return r.rebuild(ctx, v, o, progress)
}

func (r *Runner) rebuild(ctx context.Context, v *view, o RebuildOptions, progress func(Progress)) (Rebuilt, error) {
	if err := r.sweep(ctx, v); err != nil { // of an earlier one that was killed before it came to that
		return Rebuilt{}, err
	}
	b, err := r.begin(ctx, v, o.Fresh)
	if err != nil {
		return Rebuilt{}, err
	}
	b.report = progress
	if err := b.foldAll(ctx); err != nil {
		return Rebuilt{}, b.overtaken(ctx, err)
	}
	done := Rebuilt{Projection: v.name, Generation: b.generation, Resumed: b.resumed, Events: b.events.Load(), Streams: b.streams.Load()}
	b.tell(PhaseCatchUp)
	if err := r.catchUpWith(ctx, v, b.generation); err != nil {
		return Rebuilt{}, b.overtaken(ctx, err)
	}
	if _, err := r.config.DB.ExecContext(ctx, v.statement(`ANALYZE {T}`)); err != nil { // there may be twice as many rows as before
		return Rebuilt{}, pgerr.Wrap("analyse view "+v.name, err)
	}
	live, err := r.live(ctx, v)
	if err != nil {
		return Rebuilt{}, err
	}
	if live != 0 {
		b.tell(PhaseCompare)
		if done.Compared, done.Different, err = r.diff(ctx, v, live, b.generation, o.Diff); err != nil {
			return Rebuilt{}, err
		}
	}
	if done.Parked, err = r.parked(ctx, v, b.generation); err != nil || o.NoSwap {
		return done, err
	}
	if err := r.swap(ctx, v, b.generation, "building"); err != nil {
		return Rebuilt{}, b.overtaken(ctx, err)
	}
	done.Swapped = true
	b.tell(PhaseSwap)
	return done, r.sweep(ctx, v)
}

// Rollback puts the generation that was live before in the place of the one that is, which is kept in turn. It catches up first, so nothing
// that has happened since is missing. It returns a [*domain.NotFoundError] where none is kept.
func (r *Runner) Rollback(ctx context.Context, name string) (generation int, err error) {
	v, err := r.view(name)
	if err != nil {
		return 0, err
	}
	err = r.config.DB.QueryRowContext(ctx, `SELECT generation FROM projection_generations WHERE projection = $1 AND state = 'kept'`, name).Scan(&generation)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, &domain.NotFoundError{Kind: "earlier generation of projection", ID: name}
	}
	if err != nil {
		return 0, pgerr.Wrap("roll back projection "+name, err)
	}
	if err := r.catchUpWith(ctx, v, generation); err != nil {
		return 0, err
	}
	return generation, r.swap(ctx, v, generation, "kept")
}

// building is a rebuild under way.
type building struct {
	*Runner
	*view
	generation int
	resumed    bool
	total      int64
	events     atomic.Int64
	streams    atomic.Int64
	before     int64 // of events, done before this call

	mu     sync.Mutex
	report func(Progress)
}

func (b *building) tell(phase string) {
	if b.report == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events.Load()
	b.report(Progress{Projection: b.name, Generation: b.generation, Phase: phase, Events: events, Total: max(b.total, events),
		Streams: b.streams.Load(), Now: events - b.before})
}

// OvertakenError says that another process has finished the same rebuild, or thrown it away to begin afresh.
type OvertakenError struct {
	Projection string
	Generation int
}

func (e *OvertakenError) Error() string {
	return fmt.Sprintf("another process has finished generation %d of projection %s, or thrown it away: see `waybill projection list`", e.Generation, e.Projection)
}

// overtaken explains an error by the generation not being built any more.
func (b *building) overtaken(ctx context.Context, err error) error {
	var state sql.NullString
	look := b.config.DB.QueryRowContext(ctx, `SELECT state FROM projection_generations WHERE projection = $1 AND generation = $2`,
		b.name, b.generation).Scan(&state)
	if look == nil && state.String != "building" || errors.Is(look, sql.ErrNoRows) {
		return &OvertakenError{Projection: b.name, Generation: b.generation}
	}
	return err
}

const (
	eventsPerShard = 20_000 // at least
	maxShards      = 64
	samplePages    = 400 // of the log, that ranges are drawn from
)

// begin finds the generation that is being built, or begins one.
func (r *Runner) begin(ctx context.Context, v *view, fresh bool) (*building, error) {
	op := "begin to rebuild projection " + v.name
	tx, err := r.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	class, key := v.lock(lockBegin, 0)
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, class, key); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	if fresh {
		if _, err := tx.ExecContext(ctx, `UPDATE projection_generations SET state = 'discarded' WHERE projection = $1 AND state = 'building'`, v.name); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
	}
	b := &building{Runner: r, view: v}
	err = tx.QueryRowContext(ctx, `SELECT generation, events FROM projection_generations WHERE projection = $1 AND state = 'building'`, v.name).
		Scan(&b.generation, &b.total)
	switch {
	case err == nil:
		b.resumed = true
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(events), 0), coalesce(sum(streams), 0) FROM projection_shards
			WHERE projection = $1 AND generation = $2`, v.name, b.generation).Scan(scanTo(&b.events), scanTo(&b.streams)); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		b.before = b.events.Load()
	case errors.Is(err, sql.ErrNoRows):
		if err := b.create(ctx, tx); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
	default:
		return nil, pgerr.Wrap(op, err)
	}
	if err := tx.Commit(); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	if fresh {
		return b, r.sweep(ctx, v)
	}
	return b, nil
}

// scanTo lets a column be scanned into an atomic.
func scanTo(to *atomic.Int64) sql.Scanner { return scanner{to} }

type scanner struct{ to *atomic.Int64 }

func (s scanner) Scan(value any) error {
	var n sql.NullInt64
	if err := n.Scan(value); err != nil {
		return err
	}
	s.to.Store(n.Int64)
	return nil
}

// create begins a generation. Its checkpoint is the horizon of this moment: whatever is folded from now on sees all that is below, and what
// is not below will be caught up with. A horizon in the past would do as well.
func (b *building) create(ctx context.Context, tx *sql.Tx) error {
	err := tx.QueryRowContext(ctx, `
		INSERT INTO projection_generations (projection, generation, state, transaction_id, position, events)
		SELECT $1, coalesce((SELECT max(generation) FROM projection_generations WHERE projection = $1), 0) + 1, 'building', log_horizon(), 0,
			(SELECT count(*) FROM events WHERE starts_with(stream, $2))
		RETURNING generation, events`, b.name, b.prefix()).Scan(&b.generation, &b.total)
	if err != nil {
		return err
	}
	// The ranges are cut where a sample of the log says that they are about equal. The sample says nothing about what is in them.
	shards := min(b.total/eventsPerShard+1, maxShards)
	_, err = tx.ExecContext(ctx, `
		WITH sample AS (
			SELECT DISTINCT workspace, stream FROM events
				TABLESAMPLE SYSTEM (least(100, 100.0 * $4 * current_setting('block_size')::integer / greatest(pg_relation_size('events'), 1)))
			WHERE starts_with(stream, $5)
		), tiles AS (
			SELECT workspace, stream, ntile($3) OVER (ORDER BY workspace, stream) AS tile FROM sample
		), bounds AS (
			SELECT DISTINCT ON (tile) workspace, stream FROM tiles WHERE tile < $3 ORDER BY tile, workspace DESC, stream DESC
		), ends AS (
			SELECT workspace, stream FROM bounds UNION ALL SELECT NULL, NULL
		)
		INSERT INTO projection_shards (projection, generation, shard, after_workspace, after_stream, upto_workspace, upto_stream)
		SELECT $1, $2, row_number() OVER along, coalesce(lag(workspace) OVER along, ''), coalesce(lag(stream) OVER along, ''), workspace, stream
		FROM ends WINDOW along AS (ORDER BY workspace NULLS LAST, stream)`,
		b.name, b.generation, shards, samplePages, b.prefix())
	return err
}

// foldAll works on all shards until none is left, whoever has done it.
func (b *building) foldAll(ctx context.Context) error {
	b.tell(PhaseFold)
	for {
		var open pq.Int64Array
		err := b.config.DB.QueryRowContext(ctx, `SELECT coalesce(array_agg(shard ORDER BY shard), '{}') FROM projection_shards
			WHERE projection = $1 AND generation = $2 AND NOT done`, b.name, b.generation).Scan(&open)
		if err != nil {
			return pgerr.Wrap("rebuild projection "+b.name, err)
		}
		if len(open) == 0 {
			return nil
		}
		worked, err := b.foldShards(ctx, open)
		if err != nil {
			return err
		}
		if !worked { // the rest is done by others
			timer := time.NewTimer(50 * time.Millisecond)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

func (b *building) foldShards(ctx context.Context, shards []int64) (worked bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int64)
	var did atomic.Bool
	var workers sync.WaitGroup
	for range min(b.config.Workers, len(shards)) {
		workers.Go(func() {
			for shard := range next {
				some, err := b.foldShard(ctx, int(shard))
				if err != nil {
					cancel(err)
				}
				if some {
					did.Store(true)
				}
			}
		})
	}
	for _, shard := range shards {
		select {
		case next <- shard:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	if ctx.Err() != nil {
		return did.Load(), context.Cause(ctx)
	}
	return did.Load(), nil
}

// foldShard works through a range, until it is done or somebody else is found to work on it.
func (b *building) foldShard(ctx context.Context, shard int) (worked bool, err error) {
	w := &shardWork{building: b, shard: shard}
	for {
		more, err := w.page(ctx)
		switch {
		case ctx.Err() != nil:
			return worked, context.Cause(ctx)
		case err != nil && pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.UniqueViolation) != nil:
			return worked, nil // somebody else has done that page since our snapshot; the shard comes up again
		case err != nil:
			return worked, err
		case !more:
			return worked, nil
		}
		worked = true
		b.tell(PhaseFold)
	}
}

// pageEvents is how many events are folded in one transaction.
const pageEvents = 4_000

// shardWork is a worker on its way through a range.
type shardWork struct {
	*building
	shard int
	at    string  // the name of the last stream whose rows are committed, with its workspace
	open  *stream // the one that follows, as far as it was folded
	read  int     // and the last version of it that was looked at
}

const lockedShard = `
SELECT after_workspace, after_stream, upto_workspace, upto_stream FROM projection_shards
WHERE projection = $1 AND generation = $2 AND shard = $3 AND NOT done AND pg_try_advisory_xact_lock($4, $5)`

// The log in the order of its streams, behind one place and up to the end of a stream, or of the log.
const (
	streamEvents = `SELECT workspace, stream, version, type, schema_version, data, metadata, recorded_at FROM events
		WHERE (workspace, stream, version) > ($1, $2, $3) AND starts_with(stream, $4)`
	streamEventsUpTo  = streamEvents + ` AND (workspace, stream) <= ($6, $7) ORDER BY workspace, stream, version LIMIT $5`
	streamEventsToEnd = streamEvents + ` ORDER BY workspace, stream, version LIMIT $5`
)

// page folds some events and commits the rows of the streams that are complete, together with how far it came. A stream that is longer than
// a page stays in memory, folded. It returns false where the shard is done, or not ours.
func (w *shardWork) page(ctx context.Context) (more bool, err error) {
	op := "rebuild projection " + w.name
	tx, err := w.config.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	// What a crash of the server takes back here, it takes back as a whole.
	if _, err := tx.ExecContext(ctx, walkIndexes+"; SET LOCAL synchronous_commit = off"); err != nil {
		return false, pgerr.Wrap(op, err)
	}
	var afterWorkspace, afterStream string
	var uptoWorkspace, uptoStream sql.NullString
	class, key := w.lock(lockShard, w.generation*(maxShards+1)+w.shard)
	err = tx.QueryRowContext(ctx, lockedShard, w.name, w.generation, w.shard, class, key).Scan(&afterWorkspace, &afterStream, &uptoWorkspace, &uptoStream)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	if w.at != afterWorkspace+"/"+afterStream {
		w.open = nil // somebody else was here
	}
	if w.open != nil && len(w.open.keys) > 0 {
		gone, err := w.config.Holding.Destroyed(ctx, tx, w.open.keys)
		if err != nil {
			return false, err
		}
		if len(gone) > 0 {
			w.open = nil // something of it was erased: it begins anew
		}
	}
	workspace, name, version := afterWorkspace, afterStream, maxVersion
	if w.open != nil {
		workspace, name, version = w.open.workspace, w.prefix()+w.open.id, w.read
	}
	query, args := streamEventsToEnd, []any{workspace, name, version, w.prefix(), pageEvents}
	if uptoStream.Valid {
		query, args = streamEventsUpTo, append(args, uptoWorkspace.String, uptoStream.String)
	}
	complete, open, last, events, err := w.fold(ctx, tx, query, args)
	if err != nil {
		return false, err
	}
	done := events < pageEvents
	if done && open != nil {
		complete, open = append(complete, open), nil
	}
	if len(complete) > 0 {
		s := complete[len(complete)-1]
		afterWorkspace, afterStream = s.workspace, w.prefix()+s.id
	}
	moved, err := tx.ExecContext(ctx, `UPDATE projection_shards
		SET after_workspace = $4, after_stream = $5, done = $6, events = events + $7, streams = streams + $8
		WHERE projection = $1 AND generation = $2 AND shard = $3`,
		w.name, w.generation, w.shard, afterWorkspace, afterStream, done, events, len(complete))
	if err != nil {
		return false, pgerr.Wrap(op, err)
	}
	if n, err := moved.RowsAffected(); err != nil || n != 1 {
		return false, fmt.Errorf("%s: generation %d was thrown away by another process (%w)", op, w.generation, err)
	}
	if _, err := write(ctx, tx, w.Projection, w.generation, complete, true); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, pgerr.Wrap(op, err)
	}
	w.at, w.open, w.read = afterWorkspace+"/"+afterStream, open, last
	w.events.Add(int64(events))
	w.building.streams.Add(int64(len(complete)))
	return !done, nil
}

// maxVersion is behind every version of a stream.
const maxVersion = 1<<31 - 1

// fold folds the events of a query. The last stream may go on behind them, and behind the version last.
func (w *shardWork) fold(ctx context.Context, tx *sql.Tx, query string, args []any) (complete []*stream, open *stream, last, events int, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, 0, 0, pgerr.Wrap("read events", err)
	}
	defer rows.Close()
	var r domain.Recorded
	r.Stream.Aggregate = w.aggregate.Name
	if w.open != nil {
		open = w.open.clone() // should this page fail, it is read again
		r.Workspace, r.Stream.ID = open.workspace, open.id
	}
	var workspace, name, data, metadata sql.RawBytes
	var read tail
	for rows.Next() {
		if err := rows.Scan(&workspace, &name, &r.Version, &r.Type, &r.SchemaVersion, &data, &metadata, &r.RecordedAt); err != nil {
			return nil, nil, 0, 0, pgerr.Wrap("read events", err)
		}
		events++
		if id := name[len(w.prefix()):]; open == nil || string(id) != r.Stream.ID || string(workspace) != r.Workspace {
			if open != nil {
				complete = append(complete, open)
			}
			r.Workspace, r.Stream.ID = string(workspace), string(id)
			open = w.newStream(streamKey{r.Workspace, r.Stream.ID})
		}
		if !bytes.Equal(r.Metadata, metadata) { // one command's events share it
			r.Metadata = bytes.Clone(metadata) // a fold may keep it
		}
		r.Data, r.RecordedAt = bytes.Clone(data), r.RecordedAt.UTC()
		read.add(open, r)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, 0, 0, pgerr.Wrap("read events", err)
	}
	rows.Close()
	return complete, open, r.Version, events, read.fold(ctx, tx, w.config.Holding, w.Projection)
}

// catchUpWith does batch after batch until nothing is left that is settled.
func (r *Runner) catchUpWith(ctx context.Context, v *view, generation int) error {
	own := r.newView(v.Projection) // the cache of v belongs to the goroutine that follows the live one
	for {
		events, err := r.step(ctx, own, generation)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil:
		case err != nil:
			return err
		case events == 0:
			return nil
		}
	}
}

// swap makes a generation the live one, and keeps the one that was. It waits for whoever is at work on either, brings what comes up to the
// last event that anybody can see, and commits all that at once.
func (r *Runner) swap(ctx context.Context, v *view, generation int, from string) error {
	const attempts = 30 // each waits for as long as lockTimeout for appends
	for i := 1; ; i++ {
		err := r.trySwap(ctx, v, generation, from)
		if err == nil || ctx.Err() != nil || i == attempts || pq.As(err, pqerror.LockNotAvailable, pqerror.TRDeadlockDetected, pqerror.TRSerializationFailure) == nil {
			return err
		}
	}
}

func (r *Runner) trySwap(ctx context.Context, v *view, generation int, from string) error {
	op := "swap the generations of projection " + v.name
	tx, err := r.config.DB.BeginTx(ctx, nil) // read committed: each statement sees what is committed before it
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	live, err := r.live(ctx, v)
	if err != nil {
		return err
	}
	class, shadowKey := v.lock(lockFollow, generation)
	_, liveKey := v.lock(lockFollow, live)
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1, $2), pg_advisory_xact_lock($1, $3)`, class, min(liveKey, shadowKey), max(liveKey, shadowKey)); err != nil {
		return pgerr.Wrap(op, err)
	}
	if err := keepAppendsAway(ctx, tx, v); err != nil {
		return err
	}
	// The live generation may show more than what is settled, and so has this one to.
	var horizon int64
	if err := tx.QueryRowContext(ctx, `SELECT log_horizon()`).Scan(&horizon); err != nil {
		return pgerr.Wrap(op, err)
	}
	own := r.newView(v.Projection)
	settled := place{horizon, 0}
	for {
		b, err := r.nextBatch(ctx, tx, own, generation, false)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := catchUp(ctx, tx, r.config.Holding, v.Projection, b.streams); err != nil {
			return err
		}
		if err := r.writeBatch(ctx, tx, own, generation, b.streams); err != nil {
			return err
		}
		if err := moveCheckpoint(ctx, tx, v, generation, b.to); err != nil {
			return err
		}
	}
	// But it goes on from where the log is settled.
	if _, err := tx.ExecContext(ctx, `UPDATE projection_generations SET transaction_id = $3, position = $4
		WHERE projection = $1 AND generation = $2 AND (transaction_id, position) > ($3, $4)`, v.name, generation, settled.transactionID, settled.position); err != nil {
		return pgerr.Wrap(op, err)
	}
	// There is one generation in each state, at any moment; a discarded one is in none.
	taken, err := tx.ExecContext(ctx, `UPDATE projection_generations SET state = 'discarded' WHERE projection = $1 AND generation = $2 AND state = $3`,
		v.name, generation, from)
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	if n, err := taken.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%s: generation %d is not %s any more (%w)", op, generation, from, err)
	}
	for _, change := range []string{
		`UPDATE projection_generations SET state = 'discarded' WHERE projection = $1 AND state = 'kept' AND generation <> $2`,
		`UPDATE projection_generations SET state = 'kept' WHERE projection = $1 AND state = 'live' AND generation <> $2`,
		`UPDATE projection_generations SET state = 'live', swapped_at = now() WHERE projection = $1 AND generation = $2`,
	} {
		if _, err := tx.ExecContext(ctx, change, v.name, generation); err != nil {
			return pgerr.Wrap(op, err)
		}
	}
	return pgerr.Wrap(op, tx.Commit())
}

func moveCheckpoint(ctx context.Context, tx *sql.Tx, v *view, generation int, to place) error {
	_, err := tx.ExecContext(ctx, `UPDATE projection_generations SET transaction_id = $3, position = $4 WHERE projection = $1 AND generation = $2`,
		v.name, generation, to.transactionID, to.position)
	return pgerr.Wrap("move the checkpoint of "+v.name, err)
}

// sweepRows is how many rows of a discarded generation are removed in one statement.
const sweepRows = 5000

// sweep removes discarded generations, bit by bit.
func (r *Runner) sweep(ctx context.Context, v *view) error {
	op := "remove old generations of projection " + v.name
	for {
		var generation int
		err := r.config.DB.QueryRowContext(ctx, `SELECT generation FROM projection_generations WHERE projection = $1 AND state = 'discarded' LIMIT 1`, v.name).Scan(&generation)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		for err == nil {
			var removed sql.Result
			removed, err = r.config.DB.ExecContext(ctx, v.statement(`DELETE FROM {T} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {T} WHERE generation = $1 LIMIT $2))`),
				generation, sweepRows)
			if err != nil {
				break
			}
			if n, _ := removed.RowsAffected(); n == 0 {
				_, err = r.config.DB.ExecContext(ctx, `DELETE FROM projection_generations WHERE projection = $1 AND generation = $2 AND state = 'discarded'`, v.name, generation)
				break
			}
		}
		if err != nil {
			return pgerr.Wrap(op, err)
		}
	}
}
