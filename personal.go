package waybill

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/eventstore/vault"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Forgetter keeps something of its own about customers, beside the views. What it does in Forget is committed together with the
// destruction of the keys, or not at all; within tx those are gone already, so events that are read with tx show [domain.Erased].
// Streams are those in which there was something to erase.
type Forgetter interface {
	Forget(ctx context.Context, tx *sql.Tx, workspace string, subject vault.Subject, streams []domain.StreamID) error
}

// Forget erases what is personal about a customer, by destroying the keys that it was sealed with: afterwards every event, order, view and
// webhook body shows [domain.Erased] in its place, and every hash chain is what it was. It cannot be undone. It returns how many keys there
// were; none means that there was nothing to erase.
//
// Other processes may go on showing what they have in memory for [vault.DefaultTTL], and what they record of the customer in that time is
// erased, too. After that the customer may come back: then new events get a new key.
func (w *Workspace) Forget(ctx context.Context, customerID string) (keys int, err error) {
	return w.forget(ctx, vault.Customer(customerID))
}

// ForgetStream erases what is personal in a stream that names no customer, such as a guest's order, as [Workspace.Forget] does for a
// customer.
func (w *Workspace) ForgetStream(ctx context.Context, stream domain.StreamID) (keys int, err error) {
	return w.forget(ctx, vault.Stream(stream))
}

func (w *Workspace) forget(ctx context.Context, subject vault.Subject) (int, error) {
	tx, err := w.engine.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, pgerr.Wrap("forget "+string(subject), err)
	}
	defer tx.Rollback()
	destroyed, err := w.forgetTx(ctx, tx, subject)
	if err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, pgerr.Wrap("forget "+string(subject), err)
	}
	w.engine.vault.Forgotten(destroyed)
	return len(destroyed), nil
}

// ForgetTx is [Workspace.Forget] within the caller's own transaction. Where it is committed, this process learns of it as late as others.
func (w *Workspace) ForgetTx(ctx context.Context, tx *sql.Tx, customerID string) (keys int, err error) {
	destroyed, err := w.forgetTx(ctx, tx, vault.Customer(customerID))
	return len(destroyed), err
}

func (w *Workspace) forgetTx(ctx context.Context, tx *sql.Tx, subject vault.Subject) ([]uuid.UUID, error) {
	if err := w.check("forget"); err != nil {
		return nil, err
	}
	if tx == nil {
		return nil, invalid("forget", "tx", "is missing: begin a transaction, or use Forget")
	}
	if err := checkSubject("forget", subject); err != nil {
		return nil, err
	}
	destroyed, err := w.engine.vault.ForgetTx(ctx, tx, w.name, subject)
	if err != nil {
		return nil, err
	}
	streams, err := w.engine.vault.StreamsTx(ctx, tx, destroyed)
	if err != nil {
		return nil, err
	}
	if err := w.engine.views.Forget(ctx, tx, w.name, streams); err != nil {
		return nil, err
	}
	for _, f := range w.engine.config.Forgetters {
		if err := f.Forget(ctx, tx, w.name, subject, streams); err != nil {
			return nil, err
		}
	}
	return destroyed, nil
}

// checkSubject lets nobody believe that something was erased who gave an id that nobody can have.
func checkSubject(op string, subject vault.Subject) error {
	if kind, id, _ := strings.Cut(string(subject), "/"); kind == "" || id == "" || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return invalid(op, "id", fmt.Sprintf("%.80q is nobody's id", id))
	}
	return nil
}

// PersonalKeys lists the keys of a customer, destroyed ones included.
func (w *Workspace) PersonalKeys(ctx context.Context, customerID string) ([]vault.Key, error) {
	return w.personalKeys(ctx, vault.Customer(customerID))
}

// PersonalKeysOfStream lists the keys of a stream that names no customer.
func (w *Workspace) PersonalKeysOfStream(ctx context.Context, stream domain.StreamID) ([]vault.Key, error) {
	return w.personalKeys(ctx, vault.Stream(stream))
}

func (w *Workspace) personalKeys(ctx context.Context, subject vault.Subject) ([]vault.Key, error) {
	if err := w.check("list keys"); err != nil {
		return nil, err
	}
	if err := checkSubject("list keys", subject); err != nil {
		return nil, err
	}
	return w.engine.vault.Keys(ctx, w.name, subject)
}

// Event finds an event by its id, which is also the one that webhooks tell. It returns a [*domain.NotFoundError] where there is none.
func (w *Workspace) Event(ctx context.Context, id uuid.UUID) (domain.Recorded, error) {
	if err := w.check("read an event"); err != nil {
		return domain.Recorded{}, err
	}
	return w.engine.store.EventByID(ctx, w.name, id)
}

// seal seals what is personal in a command's events, which are decided on current and encoded as facts. It returns whose the stream turns
// out to be, where it had been nobody's until now.
func (r *request) seal(ctx context.Context, tx *sql.Tx, current entry, events []domain.Event, facts []eventstore.Fact) (adopter vault.Subject, err error) {
	codec := r.aggregate.Codec
	state, evolved := current.state, 0
	for i, e := range events {
		if !codec.MayBePersonal(facts[i].Type) {
			continue
		}
		fields := codec.Personal(facts[i].Type, facts[i].Data)
		if len(fields) == 0 && current.head.Version+i == 0 {
			continue // nothing to seal, and nothing that could change hands
		}
		at := current.head.RecordedAt // whose the data is does not depend on the time
		for ; evolved < i; evolved++ {
			state = r.aggregate.Evolve(state, events[evolved], at)
		}
		before := r.aggregate.Subject(state)
		state = r.aggregate.Evolve(state, e, at)
		evolved++
		after := r.aggregate.Subject(state)
		if before == "" && after != "" && current.head.Version+i > 0 {
			adopter = vault.Customer(after)
		}
		if len(fields) == 0 {
			continue
		}
		whose := make([]vault.Subject, len(fields))
		for j, f := range fields {
			id := f.Subject
			if f.OfState {
				id = after
			}
			if whose[j] = vault.Stream(r.stream); id != "" {
				whose[j] = vault.Customer(id)
			}
		}
		place := vault.Event{Workspace: r.workspace.name, Stream: r.stream, Version: current.head.Version + 1 + i, Type: facts[i].Type}
		if facts[i].Sealed, err = r.workspace.engine.vault.Seal(ctx, tx, place, facts[i].Data, fields, whose); err != nil {
			return "", err
		}
	}
	return adopter, nil
}

// outdated says whether something that a state was folded from is erased by now. That makes a difference to events that are personal
// themselves: what an update changes depends on what was there before.
func (r *request) outdated(ctx context.Context, current entry, events []domain.Event) (bool, error) {
	if len(current.keys) == 0 || !slices.ContainsFunc(events, func(e domain.Event) bool { return r.aggregate.Codec.MayBePersonal(e.EventType()) }) {
		return false, nil
	}
	gone, err := r.workspace.engine.vault.Destroyed(ctx, nil, current.keys)
	return len(gone) > 0, err
}

// with adds the keys of events to those that an entry's state was opened with.
func (e entry) with(events []domain.Recorded) entry {
	for i := range events {
		for _, key := range events[i].Opened {
			if !slices.Contains(e.keys, key) {
				e.keys = append(slices.Clone(e.keys), key)
			}
		}
	}
	return e
}

// fingerprint identifies a command, for its idempotency key. With a master key it is keyed, because what is personal in a command could
// be guessed from a plain hash.
func (e *Engine) fingerprint(content []byte) [sha256.Size]byte {
	if len(e.config.MasterKey) == 0 {
		return sha256.Sum256(content)
	}
	derive := hmac.New(sha256.New, e.config.MasterKey)
	derive.Write([]byte("waybill idempotency fingerprint"))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(content)
	return [sha256.Size]byte(mac.Sum(nil))
}
