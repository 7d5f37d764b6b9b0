package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// states finds what was true right before and right after an event. Mostly the delivery before it in its lane knows. Folded states are values
// that never change, so a few thousand recent ones are also kept by stream and version, and shared by all webhooks. Else the whole history
// is read, of many streams at a time.
type states struct {
	aggregates map[string]*domain.Aggregate
	history    func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error)
	personal   Personal
	cache      *lru.Cache[domain.StreamAt, folded]
}

// folded is a state, with the keys that parts of it were opened with. Nobody changes the keys in place.
type folded struct {
	state domain.State
	keys  []uuid.UUID
}

// after is the state after an event.
func (f folded) after(aggregate *domain.Aggregate, event domain.Event, r *domain.Recorded) (_ folded, err error) {
	defer domain.Rescue(&err, func() string { return "folding " + r.Type + " into " + r.Stream.String() })
	f.state = aggregate.Evolve(f.state, event, r.RecordedAt)
	for _, key := range r.Opened {
		if !slices.Contains(f.keys, key) {
			f.keys = append(slices.Clone(f.keys), key)
		}
	}
	return f, nil
}

// historiesPerRead bounds how many streams are read in one round trip.
const historiesPerRead = 200

func newStates(aggregates map[string]*domain.Aggregate, history func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error),
	personal Personal, size int) (*states, error) {
	cache, err := lru.New[domain.StreamAt, folded](size)
	if err != nil {
		return nil, fmt.Errorf("delivery: a cache of %d states: %w", size, err)
	}
	return &states{aggregates, history, personal, cache}, nil
}

// latest is the state of a stream after the last of its events that was folded.
type latest struct {
	folded
	version int
}

// open opens what is personal in items that were just read, and drops states of which something was erased since they were folded. An item
// that cannot be opened gets a fault.
func (s *states) open(ctx context.Context, items []*item) error {
	var sealed []*domain.Recorded
	var keys []uuid.UUID
	begins := map[domain.StreamAt][]uuid.UUID{} // with which states the page may begin, and their keys
	for _, it := range items {
		o := &it.occurrence
		if it.fault == nil && domain.IsSealed(o.Data) {
			sealed = append(sealed, &o.Recorded)
		}
		at := domain.StreamAt{Workspace: o.Workspace, Stream: o.Stream, Version: o.Version - 1}
		if f, ok := s.cache.Peek(at); ok && len(f.keys) > 0 {
			begins[at] = f.keys
			keys = append(keys, f.keys...)
		}
	}
	if len(keys) > 0 {
		gone, err := s.personal.Destroyed(ctx, nil, keys)
		if err != nil {
			return err
		}
		for at, keys := range begins {
			if slices.ContainsFunc(keys, func(key uuid.UUID) bool { return slices.Contains(gone, key) }) {
				s.cache.Remove(at)
			}
		}
	}
	if len(sealed) == 0 {
		return nil
	}
	err := s.personal.Open(ctx, nil, sealed)
	if err == nil || errors.As(err, new(*pgerr.Error)) || ctx.Err() != nil {
		return err
	}
	for _, it := range items { // one of them it is
		if it.fault == nil && domain.IsSealed(it.occurrence.Data) {
			it.fault = s.personal.Open(ctx, nil, []*domain.Recorded{&it.occurrence.Recorded})
		}
	}
	return nil
}

// follow tells an item what is true before it, where the one before it in its lane knows.
func (it *item) follow(before *item) {
	if o := &before.occurrence; o.Event != nil && o.Version+1 == it.occurrence.Version {
		it.before = folded{o.After, before.keys}
	}
}

// ready folds an item whose turn it is, if that was not done yet, and anew where something that it shows was erased since it was read. The
// error is one of reading, or the item's fault.
func (s *states) ready(ctx context.Context, it *item) error {
	o := &it.occurrence
	if o.Event == nil && it.fault == nil && !s.step(it, &latest{}) {
		if err := s.fold(ctx, []*item{it}); err != nil {
			return err
		}
	}
	if len(it.keys) == 0 || it.fault != nil {
		return it.fault
	}
	gone, err := s.personal.Destroyed(ctx, nil, it.keys)
	if err != nil || len(gone) == 0 {
		return err
	}
	it.before, o.Event, o.Before, o.After = folded{}, nil, nil, nil
	o.Data, o.Sealed, o.Opened = o.Stored(), nil, nil
	if err := s.open(ctx, []*item{it}); err != nil {
		return err
	}
	if err := s.fold(ctx, []*item{it}); err != nil {
		return err
	}
	return it.fault
}

// fold fills in the decoded event and the states around it, for items in the order of the log. An item that cannot be folded gets a
// fault; the error is one of reading.
func (s *states) fold(ctx context.Context, items []*item) error {
	// What this page folds is at hand until it is through, however small the cache.
	recent := make(map[domain.StreamAt]*latest, len(items)) // version 0: by stream
	missing := map[domain.StreamAt][]*item{}                // likewise
	for _, it := range items {
		if it.fault != nil {
			continue
		}
		stream := domain.StreamAt{Workspace: it.occurrence.Workspace, Stream: it.occurrence.Stream}
		l := recent[stream]
		if l == nil {
			l = &latest{}
			recent[stream] = l
		}
		if len(missing[stream]) > 0 || !s.step(it, l) {
			missing[stream] = append(missing[stream], it)
		}
	}
	var wanted []domain.StreamAt
	for stream, items := range missing {
		for _, it := range items {
			stream.Version = max(stream.Version, it.occurrence.Version)
		}
		wanted = append(wanted, stream)
	}
	for len(wanted) > 0 {
		n := min(len(wanted), historiesPerRead)
		histories, err := s.history(ctx, wanted[:n])
		if err != nil {
			return err
		}
		for i, at := range wanted[:n] {
			s.replay(histories[i], missing[domain.StreamAt{Workspace: at.Workspace, Stream: at.Stream}])
		}
		wanted = wanted[n:]
	}
	return nil
}

// step folds the item's own event onto the state before it, and says whether that was at hand.
func (s *states) step(it *item, l *latest) bool {
	o := &it.occurrence
	aggregate := s.aggregates[o.Stream.Aggregate]
	if aggregate == nil {
		it.fault = fmt.Errorf("this program has no aggregate %q", o.Stream.Aggregate)
		return true
	}
	at := domain.StreamAt{Workspace: o.Workspace, Stream: o.Stream, Version: o.Version - 1}
	before := it.before
	switch {
	case before.state != nil:
	case at.Version == 0:
		before = folded{state: aggregate.New()}
	case at.Version == l.version:
		before = l.folded
	default:
		var ok bool
		if before, ok = s.cache.Get(at); !ok {
			return false
		}
	}
	event, err := aggregate.Codec.Decode(o.Recorded)
	if err != nil {
		it.fault = err
		return true
	}
	after, err := before.after(aggregate, event, &o.Recorded)
	if err != nil {
		it.fault = err
		return true
	}
	o.Event, o.Before, o.After, it.keys = event, before.state, after.state, after.keys
	*l = latest{after, o.Version}
	at.Version = o.Version
	s.cache.Add(at, after)
	return true
}

// replay folds a stream from its beginning and serves items of it on the way.
func (s *states) replay(history []domain.Recorded, items []*item) {
	if len(items) == 0 {
		return
	}
	stream := items[0].occurrence.Stream
	aggregate := s.aggregates[stream.Aggregate]
	waiting := make(map[int]*item, len(items))
	for _, it := range items {
		waiting[it.occurrence.Version] = it
		it.fault = fmt.Errorf("version %d of %s is not in the log", it.occurrence.Version, stream) // until it comes along
	}
	state := folded{state: aggregate.New()}
	for _, r := range history {
		before := state
		event, err := aggregate.Codec.Decode(r)
		if err == nil {
			state, err = before.after(aggregate, event, &r)
		}
		if err != nil {
			for _, it := range waiting {
				it.fault = err
			}
			return
		}
		if it := waiting[r.Version]; it != nil {
			it.fault, it.occurrence.Event, it.occurrence.Before, it.occurrence.After, it.keys = nil, event, before.state, state.state, state.keys
			delete(waiting, r.Version)
			s.cache.Add(domain.StreamAt{Workspace: r.Workspace, Stream: stream, Version: r.Version}, state)
		}
	}
}
