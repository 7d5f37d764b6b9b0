package vault

import (
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Config configures a [Vault]. DB is needed.
type Config struct {
	DB *sql.DB // lib/pq

	// MasterKeys encrypt keys at rest: the first one new keys, any of them those that are stored. 32 bytes each.
	// Defaults to none: then new keys are stored as they are.
	MasterKeys [][]byte

	// TTL is for how long after it was read a key is believed to exist.
	// Defaults to 30 seconds.
	TTL time.Duration

	// Size is how many keys are kept in memory, and for how many subjects which one is theirs.
	// Defaults to 16,384.
	Size int

	// Watch measures for how long keys have been in memory.
	// Defaults to time.Now.
	Watch func() time.Time
}

// Default values of [Config].
const (
	DefaultTTL  = 30 * time.Second
	DefaultSize = 16_384
)

// Vault seals and opens personal data. It is safe for concurrent use and has nothing to close; the database is the caller's.
type Vault struct {
	config  Config
	wrapper wrapper
	memory  memory
	makers  makers

	byIDStmt    atomic.Pointer[sql.Stmt]
	holdStmt    atomic.Pointer[sql.Stmt]
	currentStmt atomic.Pointer[sql.Stmt]
}

// New returns a vault. It does not touch the database yet.
func New(config Config) (*Vault, error) {
	config.TTL = cmp.Or(config.TTL, DefaultTTL)
	config.Size = cmp.Or(config.Size, DefaultSize)
	if config.Watch == nil {
		config.Watch = time.Now
	}
	wrapper, err := newWrapper(config.MasterKeys)
	if err != nil {
		return nil, err
	}
	v := &Vault{config: config, wrapper: wrapper}
	v.makers.make = v.makeKeys
	return v, v.memory.init(config)
}

// Subject is whoever personal data is about.
type Subject string

// Customer is the customer with that id.
func Customer(id string) Subject { return Subject("customer/" + id) }

// Stream is whoever a stream is about that names no customer. The stream of a customer is that customer.
func Stream(id domain.StreamID) Subject { return Subject(id.String()) }

// key is a key in memory. Without an AEAD it is one that was destroyed, or cannot be used because of err.
type key struct {
	id      uuid.UUID
	aead    cipher.AEAD
	err     error
	fetched time.Time
}

// Event is an event on its way into the log.
type Event struct {
	Workspace string
	Stream    domain.StreamID
	Version   int
	Type      string
}

// binding is what the sealed part of an event is bound to.
func (e Event) binding() []byte {
	return place(e.Workspace, e.Stream.String(), strconv.Itoa(e.Version), e.Type)
}

// Seal takes personal fields out of the data of an event and returns it as it is to stand in the log. whose says whose each field is. A
// subject that has no key gets one, which is committed at once, or with tx in that transaction; if the event never comes to be, the key
// is just not used.
func (v *Vault) Seal(ctx context.Context, tx *sql.Tx, e Event, data []byte, fields []domain.PersonalField, whose []Subject) ([]byte, error) {
	var subjects []Subject
	groups := make([]int, len(fields))
	for i, s := range whose {
		if groups[i] = slices.Index(subjects, s); groups[i] < 0 {
			groups[i] = len(subjects)
			subjects = append(subjects, s)
		}
	}
	keys, err := v.current(ctx, tx, e.Workspace, subjects)
	if err != nil {
		return nil, err
	}
	masked, patches := domain.Mask(data, fields, groups)
	sealed := domain.Sealed{Masked: masked, Parts: make([]domain.SealedPart, len(patches))}
	for i, p := range patches {
		if keys[i].err != nil {
			return nil, keys[i].err
		}
		sealed.Parts[i] = domain.SealedPart{Key: keys[i].id, Ciphertext: keys[i].aead.Seal(nil, nil, p, e.binding())}
	}
	return sealed.Encode(), nil
}

// Holding is a vault for whoever writes down what it opens, in the transaction that it opens it with: until that ends, none of the keys
// is destroyed. So whoever destroys them afterwards finds what was written.
type Holding struct{ *Vault }

// Open is [Vault.Open]; it waits for whoever is destroying one of the keys. tx must be one that may write.
func (h Holding) Open(ctx context.Context, tx *sql.Tx, events []*domain.Recorded) error {
	return h.open(ctx, tx, events, true)
}

// Destroyed is [Vault.Destroyed] in the eyes of tx, likewise.
func (h Holding) Destroyed(ctx context.Context, tx *sql.Tx, ids []uuid.UUID) ([]uuid.UUID, error) {
	return h.destroyed(ctx, tx, ids, true)
}

// Open opens events as they came from the log, in place and all with one look for their keys: what is sealed moves to Sealed, and
// Data shows it, with [domain.Erased] for each string whose key was destroyed. Events without anything sealed cost nothing. With tx it reads
// keys within that transaction, past those in memory. It returns a [*KeyError] where a key is there and cannot be used, or the event is not
// what was sealed.
func (v *Vault) Open(ctx context.Context, tx *sql.Tx, events []*domain.Recorded) error {
	return v.open(ctx, tx, events, false)
}

func (v *Vault) open(ctx context.Context, tx *sql.Tx, events []*domain.Recorded, hold bool) error {
	type opening struct {
		event  *domain.Recorded
		sealed domain.Sealed
	}
	var openings []opening
	var wanted []uuid.UUID
	for _, r := range events {
		sealed, ok, err := domain.ParseSealed(r.Stored())
		if err != nil {
			return fmt.Errorf("open version %d of %s: %w", r.Version, r.Stream, err)
		}
		if !ok {
			continue
		}
		openings = append(openings, opening{r, sealed})
		for _, p := range sealed.Parts {
			wanted = append(wanted, p.Key)
		}
	}
	if len(openings) == 0 {
		return nil
	}
	keys, err := v.byID(ctx, tx, wanted, v.config.TTL/2, hold)
	if err != nil {
		return err
	}
	for _, o := range openings {
		r := o.event
		binding := Event{r.Workspace, r.Stream, r.Version, r.Type}.binding()
		var patches []domain.Patch
		var used []uuid.UUID
		for _, p := range o.sealed.Parts {
			k := keys[p.Key]
			if k.err != nil {
				return fmt.Errorf("open version %d of %s: %w", r.Version, r.Stream, k.err)
			}
			if k.aead == nil {
				continue
			}
			patch, err := k.aead.Open(nil, nil, p.Ciphertext, binding)
			if err != nil {
				return fmt.Errorf("open version %d of %s: %w", r.Version, r.Stream, &KeyError{p.Key, "the event is damaged, or was moved here from another place"})
			}
			patches, used = append(patches, patch), append(used, p.Key)
		}
		data, err := domain.Unmask(o.sealed.Masked, patches)
		if err != nil {
			return fmt.Errorf("open version %d of %s: %w", r.Version, r.Stream, err)
		}
		r.Data, r.Sealed, r.Opened = data, r.Stored(), used
	}
	return nil
}

// Destroyed says which of some keys are not there any more, as [Vault.Open] would find it.
func (v *Vault) Destroyed(ctx context.Context, tx *sql.Tx, ids []uuid.UUID) (gone []uuid.UUID, err error) {
	return v.destroyed(ctx, tx, ids, false)
}

func (v *Vault) destroyed(ctx context.Context, tx *sql.Tx, ids []uuid.UUID, hold bool) (gone []uuid.UUID, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys, err := v.byID(ctx, tx, ids, v.config.TTL, hold)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if k := keys[id]; k != nil && k.aead == nil && k.err == nil {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// AdoptTx makes the keys of a stream those of a customer, within tx, because the stream has turned out to be about that customer.
func (v *Vault) AdoptTx(ctx context.Context, tx *sql.Tx, workspace string, stream domain.StreamID, customer Subject) error {
	v.memory.dropCurrent(owner{workspace, Stream(stream)})
	_, err := tx.ExecContext(ctx, `
		UPDATE personal_keys SET subject = $3, current = false, adopted_from = $2
		WHERE workspace = $1 AND subject = $2 AND destroyed_at IS NULL`, workspace, string(Stream(stream)), string(customer))
	return pgerr.Wrap("hand the keys of "+stream.String()+" over to a customer", err)
}

// ForgetTx destroys every key of a subject within tx, and returns which. Once tx is committed, [Vault.Forgotten] makes this process
// know; others learn of it within [Config.TTL].
func (v *Vault) ForgetTx(ctx context.Context, tx *sql.Tx, workspace string, subject Subject) (destroyed []uuid.UUID, err error) {
	rows, err := tx.QueryContext(ctx, `
		UPDATE personal_keys SET key = NULL, current = false, destroyed_at = now()
		WHERE workspace = $1 AND subject = $2 AND destroyed_at IS NULL RETURNING id`, workspace, string(subject))
	if err != nil {
		return nil, pgerr.Wrap("destroy personal keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, pgerr.Wrap("destroy personal keys", err)
		}
		destroyed = append(destroyed, id)
	}
	return destroyed, pgerr.Wrap("destroy personal keys", rows.Err())
}

// StreamsTx returns the streams with something that was sealed with some keys, sorted.
func (v *Vault) StreamsTx(ctx context.Context, tx *sql.Tx, keys []uuid.UUID) (streams []domain.StreamID, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ids := make(pq.StringArray, len(keys))
	for i, key := range keys {
		ids[i] = key.String()
	}
	rows, err := tx.QueryContext(ctx, `SELECT stream FROM streams_sealed_with($1)`, ids)
	if err != nil {
		return nil, pgerr.Wrap("look for what a key sealed", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, pgerr.Wrap("look for what a key sealed", err)
		}
		stream, err := domain.ParseStreamID(name)
		if err != nil {
			return nil, err
		}
		streams = append(streams, stream)
	}
	return streams, pgerr.Wrap("look for what a key sealed", rows.Err())
}

// Forgotten says that the transaction in which [Vault.ForgetTx] destroyed keys is committed.
func (v *Vault) Forgotten(ids []uuid.UUID) { v.memory.forget(ids) }

// Key is what is known of a key, besides the key itself.
type Key struct {
	ID          uuid.UUID  `json:"id"`
	Subject     Subject    `json:"subject"`
	Current     bool       `json:"current"`               // new events are sealed with it
	AdoptedFrom string     `json:"adoptedFrom,omitempty"` // the stream whose key it was first
	Wrapped     bool       `json:"wrapped"`               // encrypted with a master key
	CreatedAt   time.Time  `json:"createdAt"`             // UTC
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"` // UTC
}

// MaxKeys is how many keys of a subject [Vault.Keys] lists at most.
const MaxKeys = 1000

// Keys lists the keys of a subject, those that were destroyed included, from the first.
func (v *Vault) Keys(ctx context.Context, workspace string, subject Subject) (list []Key, err error) {
	rows, err := v.config.DB.QueryContext(ctx, `
		SELECT id, current, coalesce(adopted_from, ''), coalesce(get_byte(key, 0) = $3, false), created_at, destroyed_at FROM personal_keys
		WHERE workspace = $1 AND subject = $2 ORDER BY created_at, id LIMIT $4`, workspace, string(subject), storedWrapped, MaxKeys)
	if err != nil {
		return nil, pgerr.Wrap("list personal keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		k := Key{Subject: subject}
		if err := rows.Scan(&k.ID, &k.Current, &k.AdoptedFrom, &k.Wrapped, &k.CreatedAt, &k.DestroyedAt); err != nil {
			return nil, pgerr.Wrap("list personal keys", err)
		}
		k.CreatedAt = k.CreatedAt.UTC()
		if k.DestroyedAt != nil {
			*k.DestroyedAt = k.DestroyedAt.UTC()
		}
		list = append(list, k)
	}
	return list, pgerr.Wrap("list personal keys", rows.Err())
}

func newKey() []byte {
	b := make([]byte, keySize)
	rand.Read(b) // never fails
	return b
}
