package outbox

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

// fanOut makes deliveries of events: one for each webhook that an event is for. It is the handler of a watermill-sql subscription to
// the log, and the subscription's BackoffManager, which is asked after every look at the log and may wait there.
type fanOut struct {
	ctx  context.Context // of the run; ends waiting
	log  *slog.Logger
	poll time.Duration
	wake chan struct{}
	made func(webhooks []int64) // called with those that deliveries were committed for

	// What the handler did, from before it acknowledges until HandleError takes it out. At the end of a run the subscriber does not wait
	// for the handler, so it may stay here.
	handled chan handled

	idle time.Duration // how long the last wait was for

	// For tests, which crash us here: between the deliveries and the checkpoint.
	beforeAck func()
}

type handled struct {
	webhooks   []int64 // that deliveries were made for
	deliveries int     // that were made
	failure    error
}

// topic is needed by watermill-sql; the schema adapter knows the table.
const topic = "events"

// run subscribes to the log and fans out until ctx ends.
func (f *fanOut) run(ctx context.Context, db *sql.DB, batchSize int) (wait func(), err error) {
	f.ctx, f.handled = ctx, make(chan handled, 1)
	beginner, err := prepare(ctx, db, selectRange, fanOutRange, moveCheckpoint)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			beginner.close()
		}
	}()
	// A message that is not acknowledged in time, or while the subscriber closes, would be committed without its checkpoint. So
	// there is no deadline, and the subscription is ended through its context, which ends the transaction with it.
	noDeadline := time.Duration(0)
	subscriber, err := watermillsql.NewSubscriber(beginner, watermillsql.SubscriberConfig{
		ConsumerGroup:  delivery.Consumer,
		SchemaAdapter:  LogSchema{BatchSize: batchSize},
		OffsetsAdapter: Checkpoints{},
		BackoffManager: f,
		AckDeadline:    &noDeadline,
	}, watermill.NewSlogLoggerWithLevelMapping(f.log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug, // HandleError reports errors
	}))
	if err != nil {
		return nil, err
	}
	messages, err := subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, pgerr.Wrap("subscribe to the log", err)
	}
	return func() {
		for m := range messages { // until the subscription has ended
			f.handle(m)
		}
		subscriber.Close()
		beginner.close()
	}, nil
}

// fanOutRange makes the deliveries of a range of events, and returns the webhooks that they are for. A webhook is told of what was
// committed after it was made. It is told of other webhooks' trouble only where it names those events, and never of its own.
const fanOutRange = `
WITH made AS (
	INSERT INTO deliveries (webhook, transaction_id, position, stream)
	SELECT w.number, e.transaction_id, e.position, e.stream
	FROM next_events($1, $2, $3, $4, NULL) e JOIN webhooks w ON w.workspace = e.workspace
	WHERE w.active AND w.deleted_at IS NULL
		AND (cardinality(w.types) = 0 AND e.stream NOT LIKE 'webhook/%' OR e.type = ANY (w.types) AND e.stream <> 'webhook/' || w.id)
		AND NOT EXISTS (SELECT FROM circuits c WHERE c.webhook = w.number AND c.state = 'disabled')
		AND (e.transaction_id >= w.since OR e.transaction_id = ANY (w.since_running))
	ORDER BY w.number, e.transaction_id, e.position
	RETURNING webhook
)
SELECT webhook, count(*) FROM made GROUP BY webhook`

// handle fans a range out, in the transaction that will move the checkpoint. If it fails it rolls that transaction back and
// acknowledges all the same: the subscriber finds its transaction gone, and begins anew. Had it refused the message, it would get it
// again and again within the same failed transaction.
func (f *fanOut) handle(m *message.Message) {
	defer m.Ack()
	tx, ok := watermillsql.TxFromContext(m.Context())
	if !ok {
		f.handled <- handled{failure: errors.New("the message came without its transaction")}
		return
	}
	made, err := insertDeliveries(m, tx.(preparedTx))
	if err != nil {
		tx.Rollback()
	} else if f.beforeAck != nil {
		f.beforeAck()
	}
	made.failure = err
	f.handled <- made
}

func insertDeliveries(m *message.Message, tx preparedTx) (made handled, err error) {
	r, err := RangeOf(m)
	if err != nil {
		return made, err
	}
	rows, err := tx.query(m.Context(), fanOutRange, r.After.TransactionID, r.After.Position, r.UpTo.TransactionID, r.UpTo.Position)
	if err != nil {
		return made, err
	}
	defer rows.Close()
	for rows.Next() {
		var webhook int64
		var n int
		if err := rows.Scan(&webhook, &n); err != nil {
			return made, err
		}
		made.webhooks, made.deliveries = append(made.webhooks, webhook), made.deliveries+n
	}
	return made, rows.Err()
}

// firstWait is how soon to look again where nothing was found. What woke us may just have been too young to be read: its transaction
// was not the oldest. So the first waits are short, and grow up to the interval for polling.
const firstWait = 2 * time.Millisecond

// While much is appended, a look at the log comes so long after the one before, unless there is no end of what is to be done: it
// costs five round trips and a commit, whether it finds ten events or a hundred.
const (
	busy   = 16 // deliveries are much
	gather = 10 * time.Millisecond
	plenty = 100 // are more
	linger = 30 * time.Millisecond
	full   = 1000
)

// HandleError is called when a look at the log is over: with everything committed, if err is nil. It waits until it is time for the
// next one.
func (f *fanOut) HandleError(_ watermill.LoggerAdapter, nothing bool, err error) time.Duration {
	var h handled
	select {
	case h = <-f.handled:
	default: // there was no message
	}
	if h.failure != nil {
		err = h.failure
	}
	switch {
	case f.ctx.Err() != nil:
		return 0
	case err != nil && pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil:
		return 0 // another process has done that range since our snapshot
	case err != nil && f.idle == 0 && pq.As(err, pqerror.UniqueViolation) != nil:
		f.idle = firstWait // so it has here, unless that happens again
		f.wait(nil)
	case err != nil:
		f.log.Warn("reading the log failed", "error", pgerr.Wrap("read the log", err), "cause", err)
		f.idle = min(max(2*f.idle, 10*firstWait), time.Second)
		f.wait(nil)
	case nothing:
		f.idle = min(max(2*f.idle, firstWait), f.poll)
		f.wait(f.wake)
	default:
		f.made(h.webhooks)
		if h.deliveries >= busy && h.deliveries < full {
			f.idle = gather
			if h.deliveries >= plenty {
				f.idle = linger
			}
			f.wait(nil)
		}
		f.idle = 0
	}
	return 0
}

// wait waits as long as f.idle says, or until it is woken or the run ends.
func (f *fanOut) wait(wake <-chan struct{}) {
	timer := time.NewTimer(f.idle)
	defer timer.Stop()
	select {
	case <-f.ctx.Done():
	case <-wake:
		f.idle = 0
	case <-timer.C:
	}
}
