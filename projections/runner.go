package projections

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Config configures a [Runner]. DB and Projections are needed.
type Config struct {
	DB          *sql.DB // lib/pq
	Projections []*Projection

	// Personal opens what is personal in events, so that views can show it. Defaults to leaving it erased.
	Personal Personal
	// Holding does the same for rows that are written down: see [Personal]. Defaults to Personal.
	Holding Personal

	// BatchSize is how many events are worked on in one transaction. Defaults to 2000.
	BatchSize int
	// PollInterval is how often to look for new events where nobody says that there are some. Defaults to 100 ms.
	PollInterval time.Duration
	// Listen calls heard whenever another process says that it appended events, until ctx ends: outbox.Listen does. Defaults to none: then
	// what other processes append is found by looking.
	Listen func(ctx context.Context, heard func())
	// CacheSize is how many folded streams are kept in memory for each projection, so that a stream that goes on need not be read from
	// its beginning. Defaults to 2000.
	CacheSize int
	// Workers is how many ranges a rebuild works on at once. Defaults to 3.
	Workers int
	// Logger gets what an operator should know. Defaults to discarding everything.
	Logger *slog.Logger
}

// Personal opens what is personal in events: package vault does. The one for rows that are written down also keeps the keys from being
// destroyed before tx ends, so that whoever destroys them finds every row that shows what they opened.
type Personal interface {
	Open(ctx context.Context, tx *sql.Tx, events []*domain.Recorded) error
	// Destroyed says which keys are gone, with which events were opened before.
	Destroyed(ctx context.Context, tx *sql.Tx, keys []uuid.UUID) ([]uuid.UUID, error)
}

// erased is a [Personal] without keys.
type erased struct{}

func (erased) Open(_ context.Context, _ *sql.Tx, events []*domain.Recorded) error {
	var errs []error
	for _, r := range events {
		errs = append(errs, r.Erase())
	}
	return errors.Join(errs...)
}

func (erased) Destroyed(context.Context, *sql.Tx, []uuid.UUID) ([]uuid.UUID, error) { return nil, nil }

// Runner keeps projections up to date while its Run is running, and rebuilds and checks them. Any number of processes may have one each.
type Runner struct {
	config  Config
	views   []*view
	running atomic.Bool

	// For tests, which crash us here: between the rows and the checkpoint.
	beforeCheckpoint func()
	newTimer         func(time.Duration) *time.Timer // for tests, in which time does not help
}

// view is a projection at work.
type view struct {
	*Projection
	wake   chan struct{}
	folded *lru.Cache[streamKey, *stream] // of the batches; for its goroutine only

	inlineMu     sync.Mutex
	inlineFolded *lru.Cache[streamKey, *stream] // of appends; never changed, only replaced
}

// ErrRunning says that the runner runs already.
var ErrRunning = errors.New("the projections' runner runs already")

// New returns a runner. It does not touch the database yet.
func New(config Config) (*Runner, error) {
	config.BatchSize = cmp.Or(config.BatchSize, 2000)
	config.PollInterval = cmp.Or(config.PollInterval, 100*time.Millisecond)
	config.CacheSize = max(1, cmp.Or(config.CacheSize, 2000))
	config.Workers = cmp.Or(config.Workers, 3)
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if config.Personal == nil {
		config.Personal = erased{}
	}
	if config.Holding == nil {
		config.Holding = config.Personal
	}
	r := &Runner{config: config, newTimer: time.NewTimer}
	for _, p := range config.Projections {
		if err := p.check(); err != nil {
			return nil, err
		}
		for _, other := range r.views {
			if other.name == p.name || other.table == p.table {
				return nil, fmt.Errorf("projections %s and %s share their name or their table", other.name, p.name)
			}
		}
		r.views = append(r.views, r.newView(p))
	}
	return r, nil
}

func (r *Runner) newView(p *Projection) *view {
	v := &view{Projection: p, wake: make(chan struct{}, 1)}
	v.folded, _ = lru.New[streamKey, *stream](r.config.CacheSize)       // fails only for sizes below one
	v.inlineFolded, _ = lru.New[streamKey, *stream](r.config.CacheSize) // likewise
	return v
}

func (r *Runner) view(name string) (*view, error) {
	for _, v := range r.views {
		if v.name == name {
			return v, nil
		}
	}
	return nil, &domain.NotFoundError{Kind: "projection", ID: name}
}

// Run keeps every projection up to date until ctx ends, and returns nil then. A projection that has never been built it builds first. It
// rides out whatever happens to the database.
func (r *Runner) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer r.running.Store(false)
	var all sync.WaitGroup
	for _, v := range r.views {
		all.Go(func() { r.follow(ctx, v) })
	}
	if r.config.Listen != nil {
		all.Go(func() { r.config.Listen(ctx, func() { r.Wake() }) })
	}
	all.Wait()
	return nil
}

// Wake says that events were appended. It costs next to nothing, so whoever appends may call it after every commit. It returns whether the
// runner is running.
func (r *Runner) Wake() bool {
	if !r.running.Load() {
		return false
	}
	for _, v := range r.views {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// firstWait is how soon to look again where nothing was found. What woke us may just have been too young to be read: its transaction
// was not the oldest. So the first waits are short, and grow up to the interval for polling.
const firstWait = 2 * time.Millisecond

// gather is how long to wait after a batch that was not full, so that a trickle of events does not make a transaction of each.
const gather = 20 * time.Millisecond

// follow does batch after batch.
func (r *Runner) follow(ctx context.Context, v *view) {
	idle := time.Duration(0)
	for ctx.Err() == nil {
		live, err := r.live(ctx, v)
		if err == nil && live == 0 {
			if _, err = r.rebuild(ctx, v, RebuildOptions{}, nil); err == nil || errors.As(err, new(*OvertakenError)) {
				continue
			}
		}
		events := 0
		if err == nil {
			events, err = r.step(ctx, v, live)
		}
		wake := v.wake
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil:
			continue // another process has done that batch since our snapshot
		case err != nil:
			r.config.Logger.Warn("following the log failed", "projection", v.name, "error", err, "cause", errors.Unwrap(err))
			idle, wake = min(max(2*idle, 10*firstWait), time.Second), nil
		case events >= r.config.BatchSize:
			idle = 0
			continue
		case events > 0:
			idle, wake = gather, nil
		default:
			idle = min(max(2*idle, firstWait), r.config.PollInterval)
		}
		timer := r.newTimer(idle)
		select {
		case <-ctx.Done():
		case <-wake:
			idle = 0
		case <-timer.C:
		}
		timer.Stop()
	}
}

// live returns the generation that is read; 0 where there is none.
func (r *Runner) live(ctx context.Context, v *view) (generation int, err error) {
	err = r.config.DB.QueryRowContext(ctx, `SELECT coalesce(live_generation($1), 0)`, v.name).Scan(&generation)
	return generation, pgerr.Wrap("look up projection "+v.name, err)
}

// place is a place in the log: right behind the event with this transaction and position.
type place struct{ transactionID, position int64 }

// walkIndexes makes the planner walk along indexes for the rest of a transaction, also on tables that have grown since they were last analysed.
const walkIndexes = `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`

// selectBatch returns a generation's checkpoint, the place of the last of the events that come next, and the streams that these are of:
// without those that are parked, and without those of other aggregates. The lock is tried for only where there is something to do. Its
// holder may just have moved the checkpoint while our snapshot still shows the old one; then moving it on fails (repeatable read).
const selectBatch = `
WITH checkpoint AS MATERIALIZED (
	SELECT g.transaction_id, g.position FROM projection_generations g WHERE g.projection = $1 AND g.generation = $2
), batch AS MATERIALIZED (
	SELECT e.transaction_id, e.position, e.workspace, e.stream FROM checkpoint c CROSS JOIN LATERAL
		next_events(c.transaction_id, c.position, CASE WHEN $5 THEN 9223372036854775807 ELSE log_horizon() END, 0, $3) e
), last AS MATERIALIZED (
	SELECT b.transaction_id, b.position FROM batch b ORDER BY b.transaction_id DESC, b.position DESC LIMIT 1
)
SELECT ` + thisOrigin + `, c.transaction_id, c.position, l.transaction_id, l.position, (SELECT count(*) FROM batch), ARRAY(
	SELECT DISTINCT b.workspace || '/' || b.stream FROM batch b
	WHERE starts_with(b.stream, $4) AND NOT EXISTS (
		SELECT FROM projection_parked p
		WHERE p.projection = $1 AND p.generation = $2 AND p.workspace = b.workspace AND p.id = substr(b.stream, length($4) + 1)))
FROM checkpoint c CROSS JOIN last l`

const tryLock = ` WHERE pg_try_advisory_xact_lock($6, $7)`

// batch is what comes next in the log.
type batch struct {
	from, to place
	events   int
	streams  []*stream
}

// step does the next batch of a generation: rows and checkpoint are one transaction. It returns how many events it did;
// 0 where there was nothing to do.
func (r *Runner) step(ctx context.Context, v *view, generation int) (events int, err error) {
	tx, err := r.config.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return 0, pgerr.Wrap("follow the log", err)
	}
	defer tx.Rollback()
	b, err := r.nextBatch(ctx, tx, v, generation, true)
	if err != nil || b == nil {
		return 0, err
	}
	if err := catchUp(ctx, tx, r.config.Holding, v.Projection, b.streams); err != nil {
		return 0, err
	}
	if v.inline {
		// Appends write these rows themselves, so what is wrong with them is mended under a lock that keeps appends away.
		wrong, err := differing(ctx, tx, v.Projection, generation, b.streams)
		if err != nil {
			return 0, err
		}
		if len(wrong) > 0 {
			tx.Rollback()
			return r.config.BatchSize, r.mend(ctx, v, generation, wrong) // and then once more
		}
	} else if err := r.writeBatch(ctx, tx, v, generation, b.streams); err != nil {
		return 0, err
	}
	if r.beforeCheckpoint != nil {
		r.beforeCheckpoint()
	}
	moved, err := tx.ExecContext(ctx, `UPDATE projection_generations SET transaction_id = $3, position = $4
		WHERE projection = $1 AND generation = $2 AND (transaction_id, position) = ($5, $6)`,
		v.name, generation, b.to.transactionID, b.to.position, b.from.transactionID, b.from.position)
	if err != nil {
		return 0, pgerr.Wrap("move the checkpoint of "+v.name, err)
	}
	if n, err := moved.RowsAffected(); err != nil || n != 1 {
		return 0, fmt.Errorf("move the checkpoint of %s: it is not where it was (%w)", v.name, err)
	}
	if err := tx.Commit(); err != nil {
		return 0, pgerr.Wrap("follow the log", err)
	}
	// What was folded is in the log for good, whatever becomes of the rows.
	for _, s := range b.streams {
		if s.failure == nil {
			v.folded.Add(s.streamKey, s)
		} else {
			v.folded.Remove(s.streamKey)
		}
	}
	return b.events, nil
}

// nextBatch returns nil where there is nothing to do, or somebody else does it.
func (r *Runner) nextBatch(ctx context.Context, tx *sql.Tx, v *view, generation int, settled bool) (*batch, error) {
	if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
		return nil, pgerr.Wrap("follow the log", err)
	}
	var b batch
	var here origin
	var names pq.StringArray
	query, args := selectBatch, []any{v.name, generation, r.config.BatchSize, v.prefix(), !settled}
	if settled {
		class, key := v.lock(lockFollow, generation)
		query, args = query+tryLock, append(args, class, key)
	}
	err := tx.QueryRowContext(ctx, query, args...).
		Scan(&here.server, &here.log, &b.from.transactionID, &b.from.position, &b.to.transactionID, &b.to.position, &b.events, &names)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, pgerr.Wrap("follow the log", err)
	}
	for _, name := range names {
		workspace, rest, _ := strings.Cut(name, "/")
		key := streamKey{workspace, strings.TrimPrefix(rest, v.prefix())}
		s, known := v.folded.Get(key)
		if known && s.origin == here {
			s = s.clone() // so that the one that is kept is what it was, should we fail half-way
		} else {
			s = v.newStream(key)
			s.origin = here
		}
		b.streams = append(b.streams, s)
	}
	return &b, nil
}

func (p *Projection) newStream(key streamKey) *stream {
	return &stream{streamKey: key, fold: p.newFold()}
}

func (s *stream) clone() *stream {
	c := *s
	c.fold = s.fold.clone()
	return &c
}

func (r *Runner) writeBatch(ctx context.Context, tx *sql.Tx, v *view, generation int, streams []*stream) error {
	parked, err := write(ctx, tx, v.Projection, generation, streams, false)
	for _, s := range parked {
		r.config.Logger.Warn("a stream of a projection is parked", "projection", v.name, "workspace", s.workspace, "stream", v.prefix()+s.id,
			"version", s.failedAt, "error", s.failure)
	}
	return err
}

// Kinds of advisory locks, all for a transaction.
const (
	lockFollow = "follow" // to move the checkpoint of a generation
	lockShard  = "shard"  // to work on a part of one that is being built
	lockBegin  = "begin"  // to begin one
	lockInline = "inline" // shared by appends that write rows, exclusive for whoever must not meet them; of no generation
)

// lockClass is the first half of our advisory locks: "view" in ASCII.
const lockClass = 0x76696577

// lock returns the two numbers of an advisory lock. Should two locks have the same ones, somebody waits for nothing.
func (p *Projection) lock(kind string, number int) (class, key int32) {
	h := uint32(2166136261) // FNV-1a
	for _, c := range []byte(fmt.Sprintf("%s/%s/%d", kind, p.name, number)) {
		h = (h ^ uint32(c)) * 16777619
	}
	return lockClass, int32(h)
}
