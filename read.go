package waybill

import (
	"bytes"
	"context"
	"database/sql"
	"iter"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
)

// ReadOption chooses the moment at which an aggregate is looked at. Without one it is now.
type ReadOption func(*moment)

type moment struct {
	asOf    *time.Time
	version *int
}

// AsOf looks at an aggregate as it was at a time: after every event that was recorded then or before.
func AsOf(t time.Time) ReadOption { return func(m *moment) { m.asOf = &t } }

// AtVersion looks at an aggregate as it was right after its event with that version.
func AtVersion(version int) ReadOption { return func(m *moment) { m.version = &version } }

// Order returns an order, now or as it was. It returns a [*domain.NotFoundError] where there is, or was, none.
func (w *Workspace) Order(ctx context.Context, id string, options ...ReadOption) (order.Order, error) {
	state, _, err := w.State(ctx, domain.StreamID{Aggregate: order.Name, ID: id}, options...)
	if err != nil {
		return order.Order{}, err
	}
	return state.(order.Order), nil
}

// State returns an aggregate's folded state and version, now or as it was. The state is the caller's own. It returns a [*domain.NotFoundError] for a stream that
// has, or had, no events.
func (w *Workspace) State(ctx context.Context, stream domain.StreamID, options ...ReadOption) (domain.State, int, error) {
	if err := w.check("read " + stream.Aggregate); err != nil {
		return nil, 0, err
	}
	aggregate := w.engine.aggregates[stream.Aggregate]
	if aggregate == nil {
		return nil, 0, &domain.NotFoundError{Kind: "aggregate", ID: stream.Aggregate}
	}
	var at moment
	for _, option := range options {
		if option != nil {
			option(&at)
		}
	}
	if !isID(stream.ID) {
		return nil, 0, &domain.NotFoundError{Kind: aggregate.Name, ID: stream.ID}
	}
	var current entry
	var err error
	if at == (moment{}) {
		current, err = w.now(ctx, aggregate, stream)
	} else {
		current, err = w.then(ctx, aggregate, stream, at)
	}
	if err != nil {
		return nil, 0, err
	}
	if current.head.Version == 0 || at.version != nil && current.head.Version != *at.version {
		return nil, 0, &domain.NotFoundError{Kind: aggregate.Name, ID: stream.ID}
	}
	return domain.Copy(current.state), current.head.Version, nil
}

// now reads only what a cached state lacks.
func (w *Workspace) now(ctx context.Context, aggregate *domain.Aggregate, stream domain.StreamID) (entry, error) {
	key := cacheKey{w.name, stream}
	current, _ := w.engine.cached(key)
	current, tail, err := w.refresh(ctx, nil, aggregate, stream, current)
	if err == nil && len(tail) > 0 {
		w.engine.remember(key, current)
	}
	return current, err
}

// then folds the beginning of the stream. Events of a stream are dated in their order, so a time cuts it as a version does.
func (w *Workspace) then(ctx context.Context, aggregate *domain.Aggregate, stream domain.StreamID, at moment) (entry, error) {
	current := entry{state: aggregate.New()}
	for r, err := range w.engine.store.ReadStream(ctx, w.name, stream, 0) {
		if err != nil {
			return entry{}, err
		}
		if at.version != nil && r.Version > *at.version || at.asOf != nil && r.RecordedAt.After(*at.asOf) {
			break
		}
		if current.state, err = aggregate.Fold(current.state, r); err != nil {
			return entry{}, err
		}
		current.head = eventstore.HeadOf(r)
	}
	return current, nil
}

// History yields an order's events from its first, or a [*domain.NotFoundError] where it has none.
func (w *Workspace) History(ctx context.Context, id string) iter.Seq2[domain.Recorded, error] {
	return w.StreamHistory(ctx, domain.StreamID{Aggregate: order.Name, ID: id})
}

// StreamHistory yields the events of any stream from its first, or a [*domain.NotFoundError] where it has none.
func (w *Workspace) StreamHistory(ctx context.Context, stream domain.StreamID) iter.Seq2[domain.Recorded, error] {
	return func(yield func(domain.Recorded, error) bool) {
		if err := w.check("read " + stream.Aggregate); err != nil {
			yield(domain.Recorded{}, err)
			return
		}
		if !isID(stream.ID) {
			yield(domain.Recorded{}, &domain.NotFoundError{Kind: stream.Aggregate, ID: stream.ID})
			return
		}
		none := true
		for r, err := range w.engine.store.ReadStream(ctx, w.name, stream, 0) {
			none = false
			if !yield(r, err) {
				return
			}
		}
		if none {
			yield(domain.Recorded{}, &domain.NotFoundError{Kind: stream.Aggregate, ID: stream.ID})
		}
	}
}

// VerifyOrder walks an order's hash chain, and returns how many events are what was appended. It stops with an
// [*eventstore.ChainError] at the first that is not.
func (w *Workspace) VerifyOrder(ctx context.Context, id string) (events int, err error) {
	return w.VerifyStream(ctx, domain.StreamID{Aggregate: order.Name, ID: id})
}

// VerifyStream is [Workspace.VerifyOrder] for any stream. It needs no keys, and forgotten customers make no difference to it. It returns
// a [*domain.NotFoundError] for a stream that has no events.
func (w *Workspace) VerifyStream(ctx context.Context, stream domain.StreamID) (events int, err error) {
	if err := w.check("verify " + stream.Aggregate); err != nil {
		return 0, err
	}
	if !isID(stream.ID) {
		return 0, &domain.NotFoundError{Kind: stream.Aggregate, ID: stream.ID}
	}
	events, err = eventstore.VerifyChain(w.engine.store.ReadStored(ctx, w.name, stream, 0))
	if events == 0 && err == nil {
		err = &domain.NotFoundError{Kind: stream.Aggregate, ID: stream.ID}
	}
	return events, err
}

// refresh brings an entry up to date, and returns the events that it lacked. The zero entry is one that lacks all.
func (w *Workspace) refresh(ctx context.Context, tx *sql.Tx, aggregate *domain.Aggregate, stream domain.StreamID, e entry) (entry, []domain.Recorded, error) {
	if len(e.keys) > 0 {
		gone, err := w.engine.vault.Destroyed(ctx, nil, e.keys)
		if err != nil {
			return e, nil, err
		}
		if len(gone) > 0 {
			e = entry{} // something in it has been erased since
		}
	}
	if e.state == nil {
		e.state = aggregate.New()
	}
	var tail []domain.Recorded
	for known := e.head.Version > 0; ; known = false {
		after := e.head.Version
		if known {
			after-- // what is known of a stream counts for as long as the log has the last event of it
		}
		page, err := w.engine.store.StreamTail(ctx, tx, w.name, stream, after)
		if err != nil {
			return e, nil, err
		}
		more := len(page) == eventstore.PageSize
		if known {
			if len(page) == 0 || !bytes.Equal(page[0].Hash, e.head.Hash) {
				return w.refresh(ctx, tx, aggregate, stream, entry{}) // a backup was brought back, or a standby promoted that had not got it
			}
			page = page[1:]
		}
		if len(page) > 0 {
			if e.state, err = aggregate.Fold(e.state, page...); err != nil {
				return e, nil, err
			}
			e.head = eventstore.HeadOf(page[len(page)-1])
			e = e.with(page)
		}
		tail = append(tail, page...)
		if !more {
			return e, tail, nil
		}
	}
}
