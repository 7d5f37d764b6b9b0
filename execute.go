package waybill

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Limits on what one command may bring along.
const (
	maxOptionLength = 255     // bytes of an actor, a key, …
	maxCommandBytes = 1 << 20 // of all its events' data together
	maxRounds       = 1000    // of deciding anew after a lost race; each lost round means that a rival got on
)

// Result is what a command came to.
type Result struct {
	ID       string            // the aggregate's id, also where the engine generated it
	Version  int               // the stream's version after the command
	Events   []domain.Recorded // what the command appended; none where it changed nothing
	Repeated bool              // the command was not executed now: this is the outcome it had under the same idempotency key
}

// Option says more about a command.
type Option func(*request)

// IdempotencyKey makes a command safe to repeat: while it had no outcome it is executed, after that its first outcome is returned
// again, whatever has happened to the aggregate since. A command that was refused had no outcome. 1–255 bytes, unique within a
// workspace.
func IdempotencyKey(key string) Option { return func(r *request) { r.key = &key } }

// ExpectVersion lets a command be executed only while the stream is at that version; 0 means that it must not exist yet. It fails
// with an [*eventstore.ConflictError] otherwise.
func ExpectVersion(version int) Option { return func(r *request) { r.expect = &version } }

// Actor records who issued the command, in up to 255 bytes.
func Actor(actor string) Option { return func(r *request) { r.metadata.Actor = actor } }

// Correlation records the business transaction that the command belongs to, in up to 255 bytes.
func Correlation(id string) Option { return func(r *request) { r.metadata.CorrelationID = id } }

// Causation records the event or message that made the caller issue the command, in up to 255 bytes.
func Causation(id string) Option { return func(r *request) { r.metadata.CausationID = id } }

// Execute decides a command and appends what follows from it, atomically. When somebody else changes the same aggregate meanwhile,
// it decides anew on the new state, unless the caller gave [ExpectVersion]. See [Result], and the package's documentation for the errors.
func (w *Workspace) Execute(ctx context.Context, command domain.Command, options ...Option) (Result, error) {
	r, err := w.newRequest(command, options)
	if err != nil {
		return Result{}, err
	}
	done, err := w.engine.turns.take(ctx, r.cacheKey())
	if err != nil {
		return Result{}, err
	}
	defer done()
	current, known := w.engine.cached(r.cacheKey())
	if _, creates := r.command.(domain.Creator); creates && !known {
		current, known = entry{state: r.aggregate.New()}, true // most likely there is none yet; the append will tell
	}
	fresh := false               // whether current was compared with the database in this round
	tried := map[uuid.UUID]int{} // the batches that were sent off, and how many events they have
	for round := 0; round < maxRounds; round++ {
		if !known && !fresh {
			if current, _, err = r.refresh(ctx, nil, current); err != nil {
				return Result{}, err
			}
			fresh = true
		}
		events, refusal := r.decide(current)
		if (refusal != nil || len(events) == 0) && !fresh {
			known = false // what a state from memory refuses, the database may allow
			continue
		}
		if refusal != nil {
			return r.refused(ctx, nil, refusal)
		}
		if len(events) == 0 && r.key == nil {
			return Result{ID: r.stream.ID, Version: current.head.Version}, nil
		}
		if !fresh {
			if outdated, err := r.outdated(ctx, current, events); err != nil {
				return Result{}, err
			} else if outdated {
				known = false
				continue
			}
		}
		batch, adopter, err := r.batch(ctx, nil, current, events)
		if err != nil {
			return Result{}, err
		}
		next, err := r.after(current, batch, events)
		if err != nil {
			return Result{}, err
		}
		tried[batch.ID] = len(batch.Events)
		err = w.engine.append(ctx, batch, adopter)
		if err == nil {
			w.engine.remember(r.cacheKey(), next)
			w.engine.Wake()
			return r.result(batch.Head().Version, batch.Events), nil
		}
		if errors.As(err, new(*eventstore.KeyTakenError)) {
			return r.repeat(ctx, nil, tried)
		}
		if !errors.As(err, new(*eventstore.ConflictError)) && !unknown(err) {
			return Result{}, err
		}

		// Somebody else was faster, or the connection broke and nobody knows. The log knows: if a batch of ours is in it, this is done.
		var tail []domain.Recorded
		failure := err
		if current, tail, err = r.refresh(ctx, nil, current); err != nil {
			return Result{}, errors.Join(failure, err)
		}
		fresh = true
		for i, recorded := range tail {
			if n := tried[recorded.ID]; n > 0 {
				w.engine.remember(r.cacheKey(), current)
				w.engine.Wake()
				return r.result(tail[i+n-1].Version, tail[i:i+n]), nil
			}
		}
	}
	return Result{}, &eventstore.ConflictError{Stream: r.stream, Expected: current.head.Version, Actual: -1}
}

// ExecuteTx is Execute within the caller's own transaction: what follows from the command is committed together with whatever else
// the caller writes, or not at all. It does not decide anew after a lost race, because the caller's transaction may not see what the
// rival did: on an [*eventstore.ConflictError], run the whole transaction again. The transaction stays usable after any refusal.
func (w *Workspace) ExecuteTx(ctx context.Context, tx *sql.Tx, command domain.Command, options ...Option) (Result, error) {
	if tx == nil {
		return Result{}, invalid("execute", "tx", "is missing: begin a transaction, or use Execute")
	}
	r, err := w.newRequest(command, options)
	if err != nil {
		return Result{}, err
	}
	current, _, err := r.refresh(ctx, tx, entry{state: r.aggregate.New()})
	if err != nil {
		return Result{}, err
	}
	events, refusal := r.decide(current)
	if refusal != nil {
		return r.refused(ctx, tx, refusal)
	}
	if len(events) == 0 && r.key == nil {
		return Result{ID: r.stream.ID, Version: current.head.Version}, nil
	}
	batch, adopter, err := r.batch(ctx, tx, current, events)
	if err != nil {
		return Result{}, err
	}
	if _, err := r.after(current, batch, events); err != nil {
		return Result{}, err
	}
	_, err = w.engine.appendTx(ctx, tx, batch, adopter)
	if errors.As(err, new(*eventstore.KeyTakenError)) {
		return r.repeat(ctx, tx, nil)
	}
	if err != nil {
		return Result{}, err
	}
	w.engine.Wake() // early, for nobody knows when the caller commits; relays look again after a moment, and [Engine.Wake] is exact
	return r.result(batch.Head().Version, batch.Events), nil
}

func unknown(err error) bool {
	var database *pgerr.Error
	return errors.As(err, &database) && database.Unknown
}

// request is a command on its way.
type request struct {
	workspace   *Workspace
	aggregate   *domain.Aggregate
	command     domain.Command
	stream      domain.StreamID
	fingerprint [sha256.Size]byte
	content     []byte // of the command, which has the fingerprint
	key         *string
	expect      *int
	metadata    domain.Metadata
}

// newRequest checks everything that can be checked without any state.
func (w *Workspace) newRequest(command domain.Command, options []Option) (*request, error) {
	if command = plain(command); command == nil {
		return nil, invalid("nil", "command", "is missing")
	}
	name := command.CommandName()
	if err := w.check(name); err != nil {
		return nil, err
	}
	r := &request{workspace: w, metadata: domain.Metadata{Command: name}}
	for _, option := range options {
		if option != nil {
			option(r)
		}
	}
	if r.key != nil {
		r.metadata.IdempotencyKey = *r.key
		text, err := json.Marshal(command)
		if err != nil {
			return nil, fmt.Errorf("encode command %s: %w", name, err)
		}
		r.content = append([]byte(name+"\n"), text...)
		r.fingerprint = w.engine.fingerprint(r.content)
	}
	if creator, ok := command.(domain.Creator); ok && command.StreamID().ID == "" {
		command = creator.WithID(generatedID(command.StreamID().Aggregate))
	}
	r.command, r.stream = command, command.StreamID()
	r.aggregate = w.engine.aggregates[r.stream.Aggregate]
	if r.aggregate == nil {
		return nil, &domain.NotFoundError{Kind: "aggregate", ID: r.stream.Aggregate}
	}
	if fields := r.wrongOptions(); len(fields) > 0 {
		return nil, &domain.InvalidCommandError{Command: name, Fields: fields}
	}
	if err := command.Validate(); err != nil {
		return nil, err
	}
	if !isID(r.stream.ID) {
		return nil, invalid(name, "id", fmt.Sprintf("%.80q cannot name a stream: use 1 to %d bytes of UTF-8 without NUL", r.stream.ID, maxOptionLength))
	}
	return r, nil
}

// plain is the command that a pointer points to, where its type is a command itself, and nil where the pointer is nil.
func plain(command domain.Command) domain.Command {
	v := reflect.ValueOf(command)
	if v.Kind() != reflect.Pointer {
		return command
	}
	if v.IsNil() {
		return nil
	}
	if inner, ok := v.Elem().Interface().(domain.Command); ok {
		return inner
	}
	return command
}

// isID says whether the log can hold a stream of that name. Most aggregates want more of their ids, which their commands check.
func isID(id string) bool {
	return id != "" && len(id) <= maxOptionLength && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

func invalid(command, field, message string) error {
	return &domain.InvalidCommandError{Command: command, Fields: []domain.FieldError{{Field: field, Message: message}}}
}

func (r *request) wrongOptions() (fields []domain.FieldError) {
	check := func(field, value string) {
		switch {
		case len(value) > maxOptionLength:
			fields = append(fields, domain.FieldError{Field: field, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(value), maxOptionLength)})
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			fields = append(fields, domain.FieldError{Field: field, Message: "is not valid UTF-8 text without NUL"})
		}
	}
	check("actor", r.metadata.Actor)
	check("correlationId", r.metadata.CorrelationID)
	check("causationId", r.metadata.CausationID)
	check("idempotencyKey", r.metadata.IdempotencyKey)
	if r.key != nil && *r.key == "" {
		fields = append(fields, domain.FieldError{Field: "idempotencyKey", Message: "is empty: leave the option out, or give a key"})
	}
	if r.expect != nil && *r.expect < 0 {
		fields = append(fields, domain.FieldError{Field: "expectedVersion", Message: "is negative: versions start at 1, and 0 means a new stream"})
	}
	return fields
}

// generatedID makes an id such as ord_01981f5c7d2e7b3c9a4be1f2a3b4c5d6. Where the aggregate's name is made of several words, the prefix
// is made of their initials, so that an order_batch's ids (ob_…) do not look like an order's.
func generatedID(aggregate string) string {
	prefix := aggregate[:min(3, len(aggregate))]
	if words := strings.Split(aggregate, "_"); len(words) > 1 {
		prefix = ""
		for _, word := range words {
			prefix += word[:min(1, len(word))]
		}
	}
	id := uuid.Must(uuid.NewV7())
	return prefix + "_" + hex.EncodeToString(id[:])
}

// refresh brings an entry up to date with the database, and returns the events that it lacked.
func (r *request) refresh(ctx context.Context, tx *sql.Tx, e entry) (entry, []domain.Recorded, error) {
	return r.workspace.refresh(ctx, tx, r.aggregate, r.stream, e)
}

// decide answers the command on a state; a version that is not the expected one is a refusal like any other.
func (r *request) decide(e entry) (events []domain.Event, err error) {
	defer domain.Rescue(&err, func() string { return "deciding " + r.metadata.Command + " on " + r.stream.String() })
	if r.expect != nil && *r.expect != e.head.Version {
		return nil, &eventstore.ConflictError{Stream: r.stream, Expected: *r.expect, Actual: e.head.Version}
	}
	return r.aggregate.Decide(e.state, r.command)
}

// refused returns the refusal, unless the command has had an outcome before.
func (r *request) refused(ctx context.Context, tx *sql.Tx, refusal error) (Result, error) {
	if r.key == nil {
		return Result{}, refusal
	}
	result, err := r.repeat(ctx, tx, nil)
	if errors.Is(err, errNoOutcome) {
		return Result{}, refusal
	}
	return result, err
}

var errNoOutcome = errors.New("no command had an outcome under this key")

// repeat returns the outcome that was stored under the command's key. Outcomes of the batches in tried are this command's own.
func (r *request) repeat(ctx context.Context, tx *sql.Tx, tried map[uuid.UUID]int) (Result, error) {
	outcome, found, err := r.workspace.engine.store.Outcome(ctx, tx, r.workspace.name, *r.key)
	switch {
	case err != nil:
		return Result{}, err
	case !found:
		return Result{}, errNoOutcome
	case outcome.Fingerprint != r.fingerprint && outcome.Fingerprint != sha256.Sum256(r.content): // as it was before there was a master key
		return Result{}, &IdempotencyMismatchError{Key: *r.key, Stream: outcome.Stream.String()}
	}
	_, own := tried[outcome.BatchID]
	result := Result{ID: outcome.Stream.ID, Version: outcome.Last, Repeated: !own}
	if outcome.Last >= outcome.First {
		events, err := r.workspace.engine.store.StreamTail(ctx, tx, r.workspace.name, outcome.Stream, outcome.First-1)
		if err != nil {
			return Result{}, err
		}
		result.Events = events[:min(outcome.Last-outcome.First+1, len(events))]
	}
	return result, nil
}

// batch encodes what was decided, and seals what is personal in it. It also returns whose the stream turns out to be, where it had been
// nobody's until now.
func (r *request) batch(ctx context.Context, tx *sql.Tx, current entry, events []domain.Event) (_ *eventstore.Batch, adopter vault.Subject, err error) {
	defer domain.Rescue(&err, func() string { return "encoding what follows from " + r.metadata.Command + " on " + r.stream.String() })
	facts := make([]eventstore.Fact, len(events))
	size := 0
	for i, e := range events {
		data, schemaVersion, err := r.aggregate.Codec.Encode(e)
		if err != nil {
			return nil, "", err
		}
		facts[i] = eventstore.Fact{Type: e.EventType(), SchemaVersion: schemaVersion, Data: data}
		size += len(data)
	}
	if size > maxCommandBytes {
		return nil, "", invalid(r.metadata.Command, "command", fmt.Sprintf("its events take %d bytes, at most %d are allowed", size, maxCommandBytes))
	}
	if adopter, err = r.seal(ctx, tx, current, events, facts); err != nil {
		return nil, "", err
	}
	metadata, err := json.Marshal(r.metadata)
	if err != nil {
		return nil, "", fmt.Errorf("encode metadata of %s: %w", r.metadata.Command, err)
	}
	var key *eventstore.Key
	if r.key != nil {
		key = &eventstore.Key{Name: *r.key, Fingerprint: r.fingerprint}
	}
	return eventstore.NewBatch(r.workspace.name, r.stream, current.head, facts, metadata, r.workspace.engine.config.Now(), key), adopter, nil
}

// after is the state once the batch is in the log. It is asked for before the append: what cannot be folded must not get into the log.
func (r *request) after(current entry, batch *eventstore.Batch, events []domain.Event) (_ entry, err error) {
	defer domain.Rescue(&err, func() string { return "folding what follows from " + r.metadata.Command + " into " + r.stream.String() })
	state := current.state
	for i, e := range events {
		state = r.aggregate.Evolve(state, e, batch.Events[i].RecordedAt)
	}
	return entry{state, batch.Head(), current.keys}.with(batch.Events), nil
}

func (r *request) result(version int, events []domain.Recorded) Result {
	return Result{ID: r.stream.ID, Version: version, Events: events}
}

func (r *request) cacheKey() cacheKey { return cacheKey{r.workspace.name, r.stream} }
