package audit

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Log is the log of one database, to be audited. It has nothing to close.
type Log struct {
	db  *sql.DB
	now func() time.Time

	sealSize, rangeSize int // events that a seal covers at most, and that one reader takes at a time
}

// New returns the log of a database that is open with lib/pq and migrated. Seals are dated by now, which defaults to time.Now.
func New(db *sql.DB, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{db: db, now: now, sealSize: MaxSealed, rangeSize: rangeSize}
}

// Progress tells how far long work has come, while it goes on. It may be read at any time. A nil Progress is one that nobody looks at.
type Progress struct {
	step        atomic.Pointer[string]
	done, total atomic.Int64
}

// Step is what is being done, such as "chains"; it is empty before the first.
func (p *Progress) Step() string {
	if step := p.step.Load(); step != nil {
		return *step
	}
	return ""
}

// Done is how many events of the step are done, and about how many there are: 0 where nobody knows.
func (p *Progress) Done() (done, total int64) { return p.done.Load(), p.total.Load() }

func (p *Progress) begin(step string, total int64) {
	if p == nil {
		return
	}
	p.done.Store(0)
	p.total.Store(total)
	p.step.Store(&step)
}

func (p *Progress) add(events int64) {
	if p != nil {
		p.done.Add(events)
	}
}

const sealColumns = `number, first_transaction_id, first_position, last_transaction_id, last_position, events, recorded_from, recorded_to,
	root, marks, previous, public_key, signature, sealed_at`

func scanSeal(row interface{ Scan(...any) error }) (s Seal, err error) {
	var root, previous, key []byte
	err = row.Scan(&s.Number, &s.First.TransactionID, &s.First.Position, &s.Last.TransactionID, &s.Last.Position, &s.Events,
		&s.RecordedFrom, &s.RecordedTo, &root, &s.Marks, &previous, &key, &s.Signature, &s.SealedAt)
	copy(s.Root[:], root)
	copy(s.Previous[:], previous)
	s.PublicKey = key
	s.RecordedFrom, s.RecordedTo, s.SealedAt = s.RecordedFrom.UTC(), s.RecordedTo.UTC(), s.SealedAt.UTC()
	return s, err
}

// Seals yields the seals behind a number, in their order. Nothing about them was checked yet.
func (l *Log) Seals(ctx context.Context, after int64) iter.Seq2[Seal, error] {
	return func(yield func(Seal, error) bool) {
		for {
			// One at a time: with its marks, a seal takes up to 256 KB.
			s, err := scanSeal(l.db.QueryRowContext(ctx, `SELECT `+sealColumns+` FROM seals WHERE number > $1 ORDER BY number LIMIT 1`, after))
			if errors.Is(err, sql.ErrNoRows) {
				return
			}
			if !yield(s, pgerr.Wrap("read seals", err)) || err != nil {
				return
			}
			after = s.Number
		}
	}
}

// LastSeal returns the newest seal; found is false where there is none.
func (l *Log) LastSeal(ctx context.Context) (s Seal, found bool, err error) {
	s, err = scanSeal(l.db.QueryRowContext(ctx, `SELECT `+sealColumns+` FROM seals ORDER BY number DESC LIMIT 1`))
	if errors.Is(err, sql.ErrNoRows) {
		return Seal{}, false, nil
	}
	return s, err == nil, pgerr.Wrap("read seals", err)
}

// OtherKeyError says that the newest seal was made with another key than the one that is to seal now.
type OtherKeyError struct {
	Seal        int64
	Theirs, Our ed25519.PublicKey
}

func (e *OtherKeyError) Error() string {
	return fmt.Sprintf("seal %d was signed with the key %s, and this is %s: seal with that one or, where the key was meant to change, say so with --new-key",
		e.Seal, KeyID(e.Theirs), KeyID(e.Our))
}

// BadSealError says that the newest seal is not one to go on from.
type BadSealError struct{ Seal int64 }

func (e *BadSealError) Error() string {
	return fmt.Sprintf("seal %d was altered: its signature does not fit; nothing is sealed behind it", e.Seal)
}

// SealOptions tune [Log.Seal].
type SealOptions struct {
	NewKey   bool             // seal although the newest seal was made with another key
	Made     func(Seal) error // is called with every seal once it is in the database; an error ends the sealing. Defaults to nothing
	Progress *Progress
}

// Seal seals what was appended since the last seal and is settled, in as many seals as that takes, and returns how many it made. Several
// may seal at once: each range is sealed by one of them. It returns an [*OtherKeyError] or a [*BadSealError] where the newest seal is
// not one of ours.
func (l *Log) Seal(ctx context.Context, key ed25519.PrivateKey, o SealOptions) (seals int, events int64, err error) {
	var horizon int64
	if err := l.db.QueryRowContext(ctx, `SELECT log_horizon()`).Scan(&horizon); err != nil {
		return 0, 0, pgerr.Wrap("seal the log", err)
	}
	o.Progress.begin("sealing", 0)
	for {
		last, found, err := l.LastSeal(ctx)
		switch {
		case err != nil:
			return seals, events, err
		case found && !last.Signed():
			return seals, events, &BadSealError{last.Number}
		case found && !o.NewKey && !last.PublicKey.Equal(key.Public()):
			return seals, events, &OtherKeyError{last.Number, last.PublicKey, key.Public().(ed25519.PublicKey)}
		}
		var c collector
		err = l.leaves(ctx, last.Last, eventstore.Cursor{TransactionID: horizon}, l.sealSize, func(place eventstore.Cursor, at time.Time, hash []byte) error {
			c.add(place, at, hash)
			o.Progress.add(1)
			return nil
		})
		if err != nil || c.seal.Events == 0 {
			return seals, events, err
		}
		s := c.finish(last, key, l.now())
		made, err := l.insertSeal(ctx, s)
		if err != nil {
			return seals, events, err
		}
		if !made {
			continue // somebody else was faster; what is left is behind theirs
		}
		seals, events = seals+1, events+int64(s.Events)
		if o.Made != nil {
			if err := o.Made(s); err != nil {
				return seals, events, err
			}
		}
		if s.Events < l.sealSize {
			return seals, events, nil
		}
	}
}

// insertSeal says whether the seal was the first with its number.
func (l *Log) insertSeal(ctx context.Context, s Seal) (bool, error) {
	result, err := l.db.ExecContext(ctx, `INSERT INTO seals (`+sealColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (number) DO NOTHING`,
		s.Number, s.First.TransactionID, s.First.Position, s.Last.TransactionID, s.Last.Position, s.Events, s.RecordedFrom, s.RecordedTo,
		s.Root[:], s.Marks, s.Previous[:], []byte(s.PublicKey), s.Signature, s.SealedAt)
	if err != nil {
		return false, pgerr.Wrap("write a seal", err)
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}

const leavesQuery = `SELECT transaction_id, position, recorded_at, hash FROM next_leaves($1, $2, $3, $4, $5) ORDER BY transaction_id, position`

// leaves visits what seals are made of, behind one place and up to and including another, but no more than at most; 0 means all.
func (l *Log) leaves(ctx context.Context, after, upto eventstore.Cursor, atMost int, visit func(eventstore.Cursor, time.Time, []byte) error) error {
	for visited := 0; ; {
		page := pageSize
		if atMost > 0 {
			page = min(page, atMost-visited)
		}
		rows, err := l.db.QueryContext(ctx, leavesQuery, after.TransactionID, after.Position, upto.TransactionID, upto.Position, page)
		if err != nil {
			return pgerr.Wrap("read the log", err)
		}
		n := 0
		var at time.Time
		var hash sql.RawBytes
		for rows.Next() {
			if err := rows.Scan(&after.TransactionID, &after.Position, &at, &hash); err != nil {
				rows.Close()
				return pgerr.Wrap("read the log", err)
			}
			if err := visit(after, at.UTC(), hash); err != nil {
				rows.Close()
				return err
			}
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return pgerr.Wrap("read the log", err)
		}
		if visited += n; n < page || visited == atMost {
			return nil
		}
	}
}
