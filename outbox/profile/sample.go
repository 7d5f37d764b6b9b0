package profile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
)

// Sample returns an occurrence of an event, for test messages and documentation. It is the same every time, and comes from a life that
// the aggregates themselves have decided on, command by command. It returns an [*UnknownEventError] for an event that the profile does
// not have.
func (p *Profile) Sample(event string) (Occurrence, error) {
	e, err := p.Event(event)
	if err != nil {
		return Occurrence{}, err
	}
	if p.samples == nil {
		return Occurrence{}, fmt.Errorf("profile %s has no samples", p.Name)
	}
	occurrences, err := p.samples()
	if err != nil {
		return Occurrence{}, fmt.Errorf("make a sample of %s: %w", event, err)
	}
	for _, o := range occurrences {
		if !slices.Contains(e.Types, o.Type) {
			continue
		}
		o.Subscribed = []string{e.Name}
		switch message, err := p.Render(o); {
		case errors.Is(err, ErrNothingToSay):
		case err != nil:
			return Occurrence{}, fmt.Errorf("make a sample of %s: %w", event, err)
		case message.Event == e.Name:
			return o, nil
		}
	}
	return Occurrence{}, fmt.Errorf("profile %s has no sample of %s", p.Name, e.Name)
}

// sampler plays the sample lives once, when they are first asked for. What they do not have, because an aggregate is not one of those
// that they were written for, is shown as it is with nothing in it.
func sampler(aggregates map[string]*domain.Aggregate) func() ([]Occurrence, error) {
	return sync.OnceValues(func() ([]Occurrence, error) {
		stage := &stage{now: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)}
		for _, life := range lives() {
			if aggregate := aggregates[life[0].StreamID().Aggregate]; aggregate != nil {
				_ = stage.play(aggregate, life) // where it is refused, the rest of the life is missing
			}
		}
		lived := map[string]bool{}
		for _, o := range stage.occurrences {
			lived[o.Type] = true
		}
		for _, name := range slices.Sorted(maps.Keys(aggregates)) {
			for _, t := range aggregates[name].Codec.Types() {
				if lived[t.Name] {
					continue
				}
				if err := stage.show(aggregates[name], t); err != nil {
					return nil, err
				}
			}
		}
		return stage.occurrences, nil
	})
}

// stage is where lives are played: a log in memory, with a clock of its own.
type stage struct {
	now         time.Time
	position    int64
	occurrences []Occurrence
}

func (s *stage) play(aggregate *domain.Aggregate, life []domain.Command) error {
	state, version := aggregate.New(), 0
	for _, command := range life {
		if err := command.Validate(); err != nil {
			return err
		}
		events, err := aggregate.Decide(state, command)
		if err != nil {
			return err
		}
		s.now = s.now.Add(7 * time.Minute)
		for _, event := range events {
			version++
			o, err := s.record(aggregate, command.StreamID(), version, command.CommandName(), event, state)
			if err != nil {
				return err
			}
			state = o.After
			s.occurrences = append(s.occurrences, o)
		}
	}
	return nil
}

// show records an event of an aggregate with nothing in it.
func (s *stage) show(aggregate *domain.Aggregate, t domain.EventType) error {
	event, err := aggregate.Codec.Decode(domain.Recorded{Type: t.Name, SchemaVersion: t.SchemaVersion(), Data: json.RawMessage("{}")})
	if err != nil {
		return err
	}
	o, err := s.record(aggregate, domain.StreamID{Aggregate: aggregate.Name, ID: "sample"}, 1, "sample", event, aggregate.New())
	if err != nil {
		return err
	}
	s.occurrences = append(s.occurrences, o)
	return nil
}

func (s *stage) record(aggregate *domain.Aggregate, stream domain.StreamID, version int, command string, event domain.Event,
	before domain.State) (o Occurrence, err error) {
	data, schemaVersion, err := aggregate.Codec.Encode(event)
	if err != nil {
		return o, err
	}
	metadata, err := json.Marshal(domain.Metadata{Command: command, Actor: "sample"})
	if err != nil {
		return o, err
	}
	s.position++
	o.Recorded = domain.Recorded{
		Position: s.position, TransactionID: s.position, Workspace: "default", Stream: stream, Version: version,
		ID: sampleID(s.now, s.position), Type: event.EventType(), SchemaVersion: schemaVersion, Data: data, Metadata: metadata, RecordedAt: s.now,
	}
	if o.Event, err = aggregate.Codec.Decode(o.Recorded); err != nil {
		return o, err
	}
	o.Before, o.After = before, aggregate.Evolve(before, o.Event, s.now)
	return o, nil
}

// sampleID is a UUIDv7 with a counter in the place of its random bits.
func sampleID(at time.Time, n int64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|7<<12)
	binary.BigEndian.PutUint64(id[8:], 2<<62|uint64(n))
	return id
}
