package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// NotBuiltError says that a view shows nothing, because it was never built.
type NotBuiltError struct {
	Projection string
	Building   bool // it is being built for the first time
}

func (e *NotBuiltError) Error() string {
	if e.Building {
		return fmt.Sprintf("projection %s is being built for the first time: `waybill projection list` says how far that has come", e.Projection)
	}
	return fmt.Sprintf("projection %s was never built: `waybill serve` builds it and keeps it up to date, `waybill projection rebuild %s` builds it once", e.Projection, e.Projection)
}

// notBuilt explains why a projection has no live generation.
func notBuilt(ctx context.Context, q querier, name string) error {
	e := &NotBuiltError{Projection: name}
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM projection_generations WHERE projection = $1 AND state = 'building')`, name).Scan(&e.Building)
	if err != nil {
		return pgerr.Wrap("look up projection "+name, err)
	}
	return e
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// State is how a projection is doing.
type State struct {
	Projection string  `json:"projection"`
	Mode       string  `json:"mode"`       // "inline" or "follows"
	Generation int     `json:"generation"` // that is read; 0 where the view was never built
	Building   int     `json:"building"`   // generation that is being built; 0 where none is
	Folded     int64   `json:"folded"`     // events that are in it
	ToFold     int64   `json:"toFold"`     // events that were in the log when it was begun
	Kept       int     `json:"kept"`       // generation that a rollback brings back; 0 where there is none
	Behind     int     `json:"behind"`     // events that the view has not seen, at most [MaxBehind]
	LagSeconds float64 `json:"lagSeconds"` // the age of the oldest of them
	Parked     int64   `json:"parked"`     // streams
}

// MaxBehind is where counting stops.
const MaxBehind = 100_000

const stateOf = `
SELECT coalesce(max(g.generation) FILTER (WHERE g.state = 'live'), 0), coalesce(max(g.generation) FILTER (WHERE g.state = 'building'), 0),
	coalesce(max(g.generation) FILTER (WHERE g.state = 'kept'), 0), coalesce(max(g.events) FILTER (WHERE g.state = 'building'), 0),
	(SELECT coalesce(sum(s.events), 0) FROM projection_shards s JOIN projection_generations b USING (projection, generation)
		WHERE b.projection = $1 AND b.state = 'building'),
	(SELECT count(*) FROM projection_parked WHERE projection = $1 AND generation = live_generation($1) AND ($2 = '' OR workspace = $2))
FROM projection_generations g WHERE g.projection = $1`

const behind = `
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)
FROM projection_generations g CROSS JOIN LATERAL (
	SELECT recorded_at FROM events WHERE (transaction_id, position) > (g.transaction_id, g.position)
	ORDER BY transaction_id, position LIMIT $2) e
WHERE g.projection = $1 AND g.state = 'live'`

// List tells how every projection is doing.
func (r *Runner) List(ctx context.Context) ([]State, error) { return r.list(ctx, "") }

// ListIn is [Runner.List] for one workspace: only its own parked streams are counted. Everything else is the same for all, because they share
// the log.
func (r *Runner) ListIn(ctx context.Context, workspace string) ([]State, error) {
	return r.list(ctx, workspace)
}

func (r *Runner) list(ctx context.Context, workspace string) ([]State, error) {
	list := make([]State, 0, len(r.views))
	for _, v := range r.views {
		s := State{Projection: v.name, Mode: "follows"}
		if v.inline {
			s.Mode = "inline"
		}
		err := r.config.DB.QueryRowContext(ctx, stateOf, v.name, workspace).Scan(&s.Generation, &s.Building, &s.Kept, &s.ToFold, &s.Folded, &s.Parked)
		if err == nil {
			err = r.config.DB.QueryRowContext(ctx, behind, v.name, MaxBehind).Scan(&s.Behind, &s.LagSeconds)
		}
		if err != nil {
			return nil, pgerr.Wrap("list projections", err)
		}
		s.LagSeconds = max(0, s.LagSeconds)
		list = append(list, s)
	}
	return list, nil
}

const oldestUnseen = `
SELECT coalesce(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)
FROM projection_generations g LEFT JOIN LATERAL (
	SELECT recorded_at FROM events WHERE (transaction_id, position) > (g.transaction_id, g.position)
	ORDER BY transaction_id, position LIMIT 1) e ON true
WHERE g.projection = $1 AND g.state = 'live'`

// Lag tells how old the oldest event is that a view has not seen; 0 where it has seen all. Rows that are read afterwards are at least that
// fresh. It returns a [*NotBuiltError] where the view was never built.
func (r *Runner) Lag(ctx context.Context, name string) (time.Duration, error) {
	var seconds float64
	err := r.config.DB.QueryRowContext(ctx, oldestUnseen, name).Scan(&seconds)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, notBuilt(ctx, r.config.DB, name)
	}
	return time.Duration(max(0, seconds) * float64(time.Second)), pgerr.Wrap("look up projection "+name, err)
}

// Parked is a stream whose rows stay as they are, because of an error.
type Parked struct {
	Workspace string    `json:"workspace"`
	ID        string    `json:"id"`
	Version   int       `json:"version"` // of the event that is the matter
	Error     string    `json:"error"`
	ParkedAt  time.Time `json:"parkedAt"` // UTC
}

// maxParked is how many streams are listed, and retried in one transaction.
const maxParked = 100

// Parked lists the parked streams of the view that is read, behind one of them, up to 100.
func (r *Runner) Parked(ctx context.Context, name string, after Parked) ([]Parked, error) {
	if _, err := r.view(name); err != nil {
		return nil, err
	}
	return parkedStreams(ctx, r.config.DB, name, after)
}

func parkedStreams(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, name string, after Parked) (list []Parked, err error) {
	rows, err := db.QueryContext(ctx, `SELECT workspace, id, version, error, parked_at FROM projection_parked
		WHERE projection = $1 AND generation = live_generation($1) AND (workspace, id) > ($2, $3) ORDER BY workspace, id LIMIT $4`,
		name, after.Workspace, after.ID, maxParked)
	if err != nil {
		return nil, pgerr.Wrap("list parked streams", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p Parked
		if err := rows.Scan(&p.Workspace, &p.ID, &p.Version, &p.Error, &p.ParkedAt); err != nil {
			return nil, pgerr.Wrap("list parked streams", err)
		}
		p.ParkedAt = p.ParkedAt.UTC()
		list = append(list, p)
	}
	return list, pgerr.Wrap("list parked streams", rows.Err())
}

func (r *Runner) parked(ctx context.Context, v *view, generation int) (n int64, err error) {
	err = r.config.DB.QueryRowContext(ctx, `SELECT count(*) FROM projection_parked WHERE projection = $1 AND generation = $2`, v.name, generation).Scan(&n)
	return n, pgerr.Wrap("count parked streams", err)
}

// Retry folds the parked streams of a view once more, and returns how many are up to date again and how many are still parked.
func (r *Runner) Retry(ctx context.Context, name string) (mended, parked int64, err error) {
	v, err := r.view(name)
	if err != nil {
		return 0, 0, err
	}
	after := Parked{}
	for {
		list, failed, err := r.retryPage(ctx, v, after)
		if err != nil {
			return mended, parked, err
		}
		mended, parked = mended+int64(len(list)-failed), parked+int64(failed)
		if len(list) < maxParked {
			return mended, parked, nil
		}
		after = list[len(list)-1]
	}
}

func (r *Runner) retryPage(ctx context.Context, v *view, after Parked) (list []Parked, failed int, err error) {
	op := "retry projection " + v.name
	live, err := r.live(ctx, v)
	if err != nil {
		return nil, 0, err
	}
	if live == 0 {
		return nil, 0, notBuilt(ctx, r.config.DB, v.name)
	}
	tx, err := r.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	class, key := v.lock(lockFollow, live)
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, class, key); err != nil {
		return nil, 0, pgerr.Wrap(op, err)
	}
	if err := keepAppendsAway(ctx, tx, v); err != nil {
		return nil, 0, err
	}
	if list, err = parkedStreams(ctx, tx, v.name, after); err != nil || len(list) == 0 {
		return list, 0, err
	}
	keys := make([]streamKey, len(list))
	for i, p := range list {
		keys[i] = streamKey{p.Workspace, p.ID}
		if _, err := tx.ExecContext(ctx, `DELETE FROM projection_parked WHERE projection = $1 AND generation = $2 AND workspace = $3 AND id = $4`,
			v.name, live, p.Workspace, p.ID); err != nil {
			return nil, 0, pgerr.Wrap(op, err)
		}
	}
	if err := r.rewrite(ctx, tx, v, live, keys); err != nil {
		return nil, 0, err
	}
	for _, k := range keys {
		var still bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM projection_parked WHERE projection = $1 AND generation = $2 AND workspace = $3 AND id = $4)`,
			v.name, live, k.workspace, k.id).Scan(&still); err != nil {
			return nil, 0, pgerr.Wrap(op, err)
		}
		if still {
			failed++
		}
	}
	return list, failed, pgerr.Wrap(op, tx.Commit())
}
