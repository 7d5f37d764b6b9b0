package projections

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
)

// Projection says what a view shows and where its rows are. [Define] makes one.
type Projection struct {
	name      string
	table     string
	aggregate *domain.Aggregate
	inline    bool
	newFold   func() folding
	columns   []column
	mistake   error // in the type of its rows
}

// Name is the projection's name, such as "orders".
func (p *Projection) Name() string { return p.name }

// Aggregate is the kind of streams that it follows.
func (p *Projection) Aggregate() *domain.Aggregate { return p.aggregate }

// Event is an event of a stream, on its way into a view.
type Event struct {
	domain.Event
	Workspace  string
	Stream     domain.StreamID
	Version    int
	RecordedAt time.Time       // UTC
	Metadata   json.RawMessage // a [domain.Metadata]
}

// Define describes a projection: how it follows one stream, by a fold of its own, and which rows it shows of it.
//
// evolve returns the state after an event. It is called with every event of the stream in order, beginning with the zero S, and as
// often as need be; so it has to be a pure function that leaves what it is given as it was. rows returns the rows of a state, none or many.
// An R is a struct whose fields are columns of the table, named by their JSON tags: strings, booleans, numbers, times, []string or
// json.RawMessage (for jsonb), or pointers to these. One that is a nil pointer, or zero and tagged omitzero, is NULL.
//
// The table must begin with the columns generation (integer), workspace and id (text), which are filled in for it, and so must its primary key.
func Define[S, R any](name, table string, aggregate *domain.Aggregate, evolve func(S, Event) S, rows func(S) []R) *Projection {
	columns, mistake := columnsOf(reflect.TypeFor[R]())
	d := &definition[S, R]{evolve: evolve, rows: rows, columns: columns}
	return &Projection{
		name: name, table: table, aggregate: aggregate, columns: columns, mistake: mistake,
		newFold: func() folding { return &fold[S, R]{definition: d} },
	}
}

// Inline returns the projection as one whose rows are also written by the append itself, in its transaction: whoever sees the event
// sees them, too. Every append to its streams pays for that with some round trips; appends to others pay nothing.
func Inline(p *Projection) *Projection {
	inline := *p
	inline.inline = true
	return &inline
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func (p *Projection) check() error {
	switch {
	case p == nil:
		return errors.New("one of the projections is nil")
	case !identifier.MatchString(p.name):
		return fmt.Errorf("projection %q: the name has to be 1 to 63 of a-z 0-9 _, and begin with a letter", p.name)
	case !identifier.MatchString(p.table):
		return fmt.Errorf("projection %s: the table %q has to be 1 to 63 of a-z 0-9 _, and begin with a letter", p.name, p.table)
	case p.aggregate == nil:
		return fmt.Errorf("projection %s follows no aggregate", p.name)
	case p.mistake != nil:
		return fmt.Errorf("projection %s: %w", p.name, p.mistake)
	}
	return nil
}

// statement names the projection's table in a query, as T. The name is the program's own, never a user's.
func (p *Projection) statement(query string) string {
	return strings.ReplaceAll(query, "{T}", pq.QuoteIdentifier(p.table))
}

// prefix begins the names of the streams that it follows.
func (p *Projection) prefix() string { return p.aggregate.Name + "/" }

type definition[S, R any] struct {
	evolve  func(S, Event) S
	rows    func(S) []R
	columns []column
}

// folding is a stream on its way to its rows.
type folding interface {
	apply(Event)
	// appendRows writes each row as a JSON object that begins with the given fields, with a comma before it unless it is the first.
	appendRows(to *bytes.Buffer, fields string) error
	// values yields the columns of each row, behind those that are given. The slice is used again for the next row.
	values(before ...any) iter.Seq[[]any]
	clone() folding
}

type fold[S, R any] struct {
	*definition[S, R]
	state S
}

func (f *fold[S, R]) apply(e Event) { f.state = f.evolve(f.state, e) }

func (f *fold[S, R]) clone() folding { c := *f; return &c }

func (f *fold[S, R]) appendRows(to *bytes.Buffer, fields string) error {
	for _, row := range f.rows(f.state) {
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if to.Len() > 1 {
			to.WriteByte(',')
		}
		to.WriteString(fields)
		if len(text) > 2 {
			to.WriteByte(',')
		}
		to.Write(text[1:])
	}
	return nil
}

func (f *fold[S, R]) values(before ...any) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var values []any
		for _, row := range f.rows(f.state) {
			values = appendValues(append(values[:0], before...), f.columns, reflect.ValueOf(&row).Elem())
			if !yield(values) {
				return
			}
		}
	}
}

// streamKey is a stream of the aggregate that a projection follows.
type streamKey struct{ workspace, id string }

// stream is one that is folded as far as version.
type stream struct {
	streamKey
	version int
	fold    folding
	keys    []uuid.UUID // with which parts of its events were opened; never changed in place
	// failure says why the event after version, failedAt, could not be folded.
	failure  error
	failedAt int
	rowless  bool // not even the rows of version could be made

	origin origin // of what was folded
}

// origin tells the log from another that a connection may lead to one day: an older self that was brought back from a backup, under the same
// address, while we were running. What was folded of one log says nothing about another. It is the same as long as the server runs.
type origin struct {
	server int64 // when it was started
	log    int64 // the table's oid
}

const thisOrigin = `(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint, 'events'::regclass::oid::bigint`

// next folds an event in, unless one before it has failed.
func (s *stream) next(p *Projection, r domain.Recorded) {
	if s.failure != nil {
		return
	}
	defer func() {
		if wrong := recover(); wrong != nil {
			s.failure, s.failedAt = fmt.Errorf("event %s: panic: %v", r.Type, wrong), r.Version
		}
	}()
	if r.Version != s.version+1 {
		s.failure, s.failedAt = fmt.Errorf("version %d follows version %d: events are missing", r.Version, s.version), r.Version
		return
	}
	e, err := p.aggregate.Codec.Decode(r)
	if err != nil {
		s.failure, s.failedAt = err, r.Version
		return
	}
	s.fold.apply(Event{Event: e, Workspace: r.Workspace, Stream: r.Stream, Version: r.Version, RecordedAt: r.RecordedAt, Metadata: r.Metadata})
	s.version = r.Version
	for _, key := range r.Opened {
		if !slices.Contains(s.keys, key) {
			s.keys = append(slices.Clone(s.keys), key)
		}
	}
}

// appendRows adds the stream's rows to a JSON array under way. Where that fails it adds none.
func (s *stream) appendRows(to *bytes.Buffer, generation int) {
	if s.rowless {
		return
	}
	before := to.Len()
	var fields []byte
	fields = append(fields, `{"generation":`...)
	fields = strconv.AppendInt(fields, int64(generation), 10)
	fields = append(append(fields, `,"workspace":`...), quoted(s.workspace)...)
	fields = append(append(fields, `,"id":`...), quoted(s.id)...)
	if err := s.guard(func() error { return s.fold.appendRows(to, string(fields)) }); err != nil {
		to.Truncate(before)
		s.rowless, s.failure, s.failedAt = true, err, s.version
	}
}

// copyRows adds the stream's rows to a COPY under way. Where they cannot be made it adds none.
func (s *stream) copyRows(ctx context.Context, to *sql.Stmt, generation int) (err error) {
	if s.rowless {
		return nil
	}
	failed := s.guard(func() error {
		for values := range s.fold.values(generation, s.workspace, s.id) {
			if _, err = to.ExecContext(ctx, values...); err != nil {
				break
			}
		}
		return nil
	})
	if failed != nil {
		s.rowless, s.failure, s.failedAt = true, failed, s.version
	}
	return err
}

// guard makes an error of a panic.
func (s *stream) guard(work func() error) (err error) {
	defer func() {
		if wrong := recover(); wrong != nil {
			err = fmt.Errorf("its rows: panic: %v", wrong)
		}
	}()
	if err := work(); err != nil {
		return fmt.Errorf("its rows: %w", err)
	}
	return nil
}

func quoted(text string) []byte {
	b, _ := json.Marshal(text) // a string can always be encoded
	return b
}
