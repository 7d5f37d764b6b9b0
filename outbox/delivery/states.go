package delivery

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/waybill-dev/waybill/domain"
)

// states finds what was true right before and right after an event. Folded states are values that never change, so a few thousand
// recent ones are kept by stream and version, and shared by all webhooks. Mostly the one before an event is there, and folding the
// event gives the next; else the whole history is read, of many streams at a time.
type states struct {
	aggregates map[string]*domain.Aggregate
	history    func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error)
	cache      *lru.Cache[domain.StreamAt, domain.State]
}

// historiesPerRead bounds how many streams are read in one round trip.
const historiesPerRead = 200

func newStates(aggregates map[string]*domain.Aggregate, history func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error), size int) (*states, error) {
	cache, err := lru.New[domain.StreamAt, domain.State](size)
	if err != nil {
		return nil, fmt.Errorf("delivery: a cache of %d states: %w", size, err)
	}
	return &states{aggregates, history, cache}, nil
}

// latest is the state of a stream after the last of its events that was folded.
type latest struct {
	version int
	state   domain.State
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
	before := l.state
	switch {
	case at.Version == 0:
		before = aggregate.New()
	case at.Version != l.version:
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
	o.Event, o.Before, o.After = event, before, aggregate.Evolve(before, event, o.RecordedAt)
	*l = latest{o.Version, o.After}
	at.Version = o.Version
	s.cache.Add(at, o.After)
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
	state := aggregate.New()
	for _, r := range history {
		event, err := aggregate.Codec.Decode(r)
		if err != nil {
			for _, it := range waiting {
				it.fault = err
			}
			return
		}
		before := state
		state = aggregate.Evolve(before, event, r.RecordedAt)
		if it := waiting[r.Version]; it != nil {
			it.fault, it.occurrence.Event, it.occurrence.Before, it.occurrence.After = nil, event, before, state
			delete(waiting, r.Version)
			s.cache.Add(domain.StreamAt{Workspace: r.Workspace, Stream: stream, Version: r.Version}, state)
		}
	}
}
