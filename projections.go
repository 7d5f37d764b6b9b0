package waybill

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/daily"
	"github.com/waybill-dev/waybill/projections/lifecycle"
	"github.com/waybill-dev/waybill/projections/orders"
	"github.com/waybill-dev/waybill/projections/shipments"
)

// Projections returns the views that come with Waybill, to which a program may add its own: see [Config].
func Projections() []*projections.Projection {
	return []*projections.Projection{orders.Projection(), shipments.Projection(), daily.Projection(), lifecycle.Projection()}
}

// Projections returns what keeps the engine's views up to date, while its Run is running. Any number of processes may run it; they take
// turns. It also rebuilds, rolls back and verifies views, and lists how they are doing.
func (e *Engine) Projections() *projections.Runner { return e.views }

// Projections tells how the engine's views are doing; of parked streams it counts the workspace's own.
func (w *Workspace) Projections(ctx context.Context) ([]projections.State, error) {
	if err := w.check("list projections"); err != nil {
		return nil, err
	}
	return w.engine.views.ListIn(ctx, w.name)
}

// Rebuild builds a view anew from the log, beside the one that is read, and then puts it in its place. It may be killed at any time: the
// next call goes on from there. progress may be nil. [projections.Runner.Rebuild] can do more.
func (e *Engine) Rebuild(ctx context.Context, name string, progress func(projections.Progress)) error {
	_, err := e.views.Rebuild(ctx, name, projections.RebuildOptions{}, progress)
	return err
}

// Orders lists and searches the workspace's orders, from new to old, as the view "orders" shows them. It returns a
// [*projections.InvalidQueryError], or a [*projections.NotBuiltError] where nothing keeps the views.
func (w *Workspace) Orders(ctx context.Context, f orders.Filter) (projections.Page[orders.Order], error) {
	if err := w.check("list orders"); err != nil {
		return projections.Page[orders.Order]{}, err
	}
	return orders.List(ctx, w.engine.db, w.name, f)
}

// Shipments lists and searches the workspace's shipments, from new to old, as the view "shipments" shows them. Its errors are those of
// [Workspace.Orders].
func (w *Workspace) Shipments(ctx context.Context, f shipments.Filter) (projections.Page[shipments.Shipment], error) {
	if err := w.check("list shipments"); err != nil {
		return projections.Page[shipments.Shipment]{}, err
	}
	return shipments.List(ctx, w.engine.db, w.name, f)
}

// Daily sums up what happened on each day in the workspace, as the view "daily" shows it. Its errors are those of [Workspace.Orders].
func (w *Workspace) Daily(ctx context.Context, f daily.Filter) ([]daily.Day, error) {
	if err := w.check("sum up days"); err != nil {
		return nil, err
	}
	return daily.Days(ctx, w.engine.db, w.name, f)
}

// Lifecycle tells how long the workspace's orders took, for each day on which they were placed; both from and to (UTC) are included. Its
// errors are those of [Workspace.Orders].
func (w *Workspace) Lifecycle(ctx context.Context, from, to time.Time) ([]lifecycle.Day, error) {
	if err := w.check("measure orders"); err != nil {
		return nil, err
	}
	return lifecycle.Days(ctx, w.engine.db, w.name, from, to)
}

// append adds a batch to the log. Where views are written with it, or the stream's personal keys become those of adopter, that takes a
// transaction of its own; else it shares a statement with whatever else is being appended.
func (e *Engine) append(ctx context.Context, batch *eventstore.Batch, adopter vault.Subject) error {
	if adopter == "" && (len(batch.Events) == 0 || !e.views.HasInline(batch.Stream.Aggregate)) {
		return e.store.Append(ctx, batch)
	}
	op := "append to " + batch.Stream.String()
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	written, err := e.appendTx(ctx, tx, batch, adopter)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return pgerr.Wrap(op, err)
	}
	written.Remember()
	return nil
}

// appendTx adds a batch to the log, and to the views that are written with it, and hands personal keys over to adopter, if there is one.
func (e *Engine) appendTx(ctx context.Context, tx *sql.Tx, batch *eventstore.Batch, adopter vault.Subject) (*projections.Inlined, error) {
	if err := e.store.AppendTx(ctx, tx, batch); err != nil {
		return nil, err
	}
	if adopter != "" {
		if err := e.vault.AdoptTx(ctx, tx, batch.Workspace, batch.Stream, adopter); err != nil {
			return nil, err
		}
	}
	if len(batch.Events) == 0 {
		return &projections.Inlined{}, nil
	}
	return e.views.WriteTx(ctx, tx, batch.Workspace, batch.Stream)
}
