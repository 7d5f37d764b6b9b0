// Package inbox is the receiver's side of a webhook: it verifies who sent it, and makes that each event is processed once.
//
// A sender can never know whether an answer that it did not get was lost on its way there or on its way back, so it has to send
// again, with the same id and the same bytes. Whether an event is processed once is therefore decided here: the id is stored in the
// same transaction as the work that the event causes. If that transaction commits, every later copy is recognized; if it does not,
// neither the work nor the id is there, and the next copy does it.
//
//	box, err := inbox.New(db, inbox.Config{Secrets: []string{"whsec_…"}})
//	err = box.CreateTable(ctx) // or put inbox.Schema among your own migrations
//	http.Handle("/webhooks", box.Handler(func(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
//		_, err := tx.ExecContext(ctx, `UPDATE orders SET …`)
//		return err
//	}))
//
// The package verifies signatures of the Standard Webhooks specification (v1), as Waybill's native profile sends them. It needs
// PostgreSQL and nothing else of Waybill.
package inbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Schema makes the table that ids are stored in.
const Schema = `CREATE TABLE IF NOT EXISTS waybill_inbox (
	source      text        NOT NULL,
	id          text        NOT NULL,
	body_hash   bytea       NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS waybill_inbox_received_at ON waybill_inbox (received_at)`

// Config says whose messages are accepted. Only Secrets is needed.
type Config struct {
	// Secrets are the webhook's secrets ("whsec_" and base64); a message signed with any of them is accepted.
	Secrets []string
	// Source tells this webhook's ids from those of others in the same table. Defaults to "waybill".
	Source string
	// Tolerance is how far a message's timestamp may be from now, either way. Defaults to 5 minutes.
	Tolerance time.Duration
	// MaxBody is how many bytes a body may have. Defaults to 1 MiB.
	MaxBody int64
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Message is a verified message.
type Message struct {
	ID     string    // the same for every copy
	SentAt time.Time // of this copy; UTC, whole seconds
	Body   []byte
}

// Box receives the messages of one webhook. It is safe for concurrent use.
type Box struct {
	db     *sql.DB
	config Config
	keys   [][]byte
}

// Why a message is not accepted.
var (
	ErrNotSigned    = errors.New("inbox: the message has no id, timestamp or signature")
	ErrSignature    = errors.New("inbox: no signature of the message fits a secret")
	ErrTimestamp    = errors.New("inbox: the message is too old or from the future")
	ErrBodyTooLarge = errors.New("inbox: the body is too large")
	// ErrIDReused says that a message has the id of an earlier one, which was processed, and another body. Either the sender has erased
	// something personal from it since, or the sender is broken.
	ErrIDReused = errors.New("inbox: the id was used before with another body")
)

// New returns a box on db. It returns an error for a secret that is none.
func New(db *sql.DB, config Config) (*Box, error) {
	config.Source = cmp.Or(config.Source, "waybill")
	config.Tolerance = cmp.Or(config.Tolerance, 5*time.Minute)
	config.MaxBody = cmp.Or(config.MaxBody, 1<<20)
	if config.Now == nil {
		config.Now = time.Now
	}
	if len(config.Secrets) == 0 {
		return nil, errors.New("inbox: no secret")
	}
	b := &Box{db: db, config: config}
	for i, secret := range config.Secrets {
		encoded, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) == 0 {
			return nil, fmt.Errorf("inbox: secret %d is not whsec_ and base64", i+1)
		}
		b.keys = append(b.keys, key)
	}
	return b, nil
}

// CreateTable makes the table if it is not there.
func (b *Box) CreateTable(ctx context.Context) error {
	if _, err := b.db.ExecContext(ctx, Schema); err != nil {
		return fmt.Errorf("inbox: create the table: %w", err)
	}
	return nil
}

// Verify checks who sent a message, and when. It returns [ErrNotSigned], [ErrTimestamp] or [ErrSignature].
func (b *Box) Verify(header http.Header, body []byte) (Message, error) {
	id, timestamp, signatures := header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature")
	if id == "" || timestamp == "" || signatures == "" {
		return Message{}, ErrNotSigned
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return Message{}, ErrTimestamp
	}
	at := time.Unix(seconds, 0).UTC()
	if age := b.config.Now().Sub(at); age > b.config.Tolerance || age < -b.config.Tolerance {
		return Message{}, ErrTimestamp
	}
	for _, key := range b.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for signature := range strings.FieldsSeq(signatures) {
			encoded, ok := strings.CutPrefix(signature, "v1,")
			got, err := base64.StdEncoding.DecodeString(encoded)
			if ok && err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
				return Message{ID: id, SentAt: at, Body: body}, nil
			}
		}
	}
	return Message{}, ErrSignature
}

// First stores a message's id within the caller's transaction, and says whether it is the first copy. A copy that comes while the
// first one's transaction is still open waits for its end. The caller does the work in the same transaction, and only if first is
// true. It returns [ErrIDReused] for the id of an earlier message with another body.
func (b *Box) First(ctx context.Context, tx *sql.Tx, m Message) (first bool, err error) {
	hash := sha256.Sum256(m.Body)
	var stored []byte
	err = tx.QueryRowContext(ctx, `INSERT INTO waybill_inbox (source, id, body_hash) VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING RETURNING body_hash`, b.config.Source, m.ID, hash[:]).Scan(&stored)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("inbox: store the id of message %s: %w", m.ID, err)
	}
	err = tx.QueryRowContext(ctx, `SELECT body_hash FROM waybill_inbox WHERE source = $1 AND id = $2`, b.config.Source, m.ID).Scan(&stored)
	switch {
	case err != nil:
		return false, fmt.Errorf("inbox: look up the id of message %s: %w", m.ID, err)
	case !bytes.Equal(stored, hash[:]):
		return false, ErrIDReused
	}
	return false, nil
}

// Process verifies nothing: it runs work for a verified message exactly once, in a transaction of its own together with the
// message's id. It returns false where an earlier copy was processed, and work's error, with nothing stored, where that fails.
func (b *Box) Process(ctx context.Context, m Message, work func(context.Context, *sql.Tx, Message) error) (first bool, err error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("inbox: begin: %w", err)
	}
	defer tx.Rollback()
	if first, err = b.First(ctx, tx, m); err != nil || !first {
		return false, err
	}
	if err := work(ctx, tx, m); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("inbox: commit message %s: %w", m.ID, err)
	}
	return true, nil
}

// Handler answers webhook requests: 401 where the signature does not fit, 413 for a body that is too large, 500 where work or the
// database fails, so that the sender tries again, and 204 where the message is processed, now or before, be it with another body. The
// database's and work's words are not sent out.
func (b *Box) Handler(work func(context.Context, *sql.Tx, Message) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "only POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, b.config.MaxBody))
		if errors.As(err, new(*http.MaxBytesError)) {
			http.Error(w, ErrBodyTooLarge.Error(), http.StatusRequestEntityTooLarge)
			return
		} else if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		m, err := b.Verify(r.Header, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		// What was processed stands, whatever a later copy says: to have it sent again would change nothing.
		if _, err := b.Process(r.Context(), m, work); err != nil && !errors.Is(err, ErrIDReused) {
			http.Error(w, "the message could not be processed", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// Forget removes up to limit ids that were received before a time, oldest first, and returns how many. Keep ids for longer than the
// sender retries: Waybill's native profile does for up to four days.
func (b *Box) Forget(ctx context.Context, before time.Time, limit int) (int64, error) {
	result, err := b.db.ExecContext(ctx, `DELETE FROM waybill_inbox WHERE (source, id) IN (
		SELECT source, id FROM waybill_inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("inbox: forget old ids: %w", err)
	}
	return result.RowsAffected()
}
