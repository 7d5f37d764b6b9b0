package audit

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// ExportOptions say what [Log.Export] puts into a bundle.
type ExportOptions struct {
	// Workspace is the one whose events are told; of others there is only what seals need: place and hash of each event.
	// Defaults to all.
	Workspace string
	// From and To ask for what was recorded between them. A bundle holds whole seals, so it may hold more: from the first seal
	// that covers some of it to the last.
	// Default to the beginning and the end of the log.
	From, To time.Time
	// Key signs the end of the bundle, so that it shows if somebody cuts the bundle short and writes another end.
	// Defaults to no signature.
	Key ed25519.PrivateKey
	// Progress is told how far it is.
	Progress *Progress
}

// Exported says what a bundle holds.
type Exported struct {
	Events int64 `json:"events"`
	Leaves int64 `json:"leaves"` // events of other workspaces, of which only the hash is told
	Seals  int64 `json:"seals"`
	Signed bool  `json:"signed"`
}

// Export writes a bundle: events, their seals and the keys to check them with, which [VerifyBundle] needs no database for. What is not
// settled yet is left out. It reads the log page by page and keeps none of it.
func (l *Log) Export(ctx context.Context, to io.Writer, o ExportOptions) (Exported, error) {
	first, last, open, err := l.sealsBetween(ctx, o.From, o.To)
	if err != nil {
		return Exported{}, err
	}
	var horizon int64
	if err := l.db.QueryRowContext(ctx, `SELECT log_horizon()`).Scan(&horizon); err != nil {
		return Exported{}, pgerr.Wrap("export the log", err)
	}
	total, err := l.estimate(ctx, "")
	if err != nil {
		return Exported{}, err
	}
	o.Progress.begin("export", total)
	w := newBundleWriter(to)
	h := &header{Format: bundleFormat, MadeAt: l.now().UTC().Truncate(time.Microsecond), Workspace: o.Workspace, Previous: make([]byte, sha256.Size)}
	var after eventstore.Cursor
	for s, err := range l.Seals(ctx, first-1) {
		if err != nil {
			return Exported{}, err
		}
		if s.Number > last {
			break
		}
		if h.FirstSeal == 0 {
			h.FirstSeal, h.Previous = s.Number, s.Previous[:]
			if first > 1 {
				after = eventstore.Cursor{TransactionID: s.First.TransactionID, Position: s.First.Position - 1}
			}
			h.After = cursor(after)
			w.write(line{Bundle: h})
		}
		w.write(line{Seal: sealLineOf(s)})
		w.end.Seals++
		if err := l.exportEvents(ctx, w, o, after, s.Last); err != nil {
			return Exported{}, err
		}
		after = s.Last
	}
	if h.FirstSeal == 0 {
		if first > 1 { // all seals end before what is asked for
			newest, _, err := l.LastSeal(ctx)
			if err != nil {
				return Exported{}, err
			}
			after = newest.Last
		}
		h.After = cursor(after)
		w.write(line{Bundle: h})
	}
	if open {
		if err := l.exportEvents(ctx, w, o, after, eventstore.Cursor{TransactionID: horizon}); err != nil {
			return Exported{}, err
		}
	}
	err = w.close(o.Key)
	return Exported{w.end.Events, w.end.Leaves, w.end.Seals, len(w.end.Signature) > 0}, err
}

// sealsBetween finds the first seal that covers something recorded at from or later, and the last that covers something recorded at to or
// before. Where open is set, the bundle goes on behind the last seal.
func (l *Log) sealsBetween(ctx context.Context, from, to time.Time) (first, last int64, open bool, err error) {
	var end, newest sql.Null[time.Time]
	if !to.IsZero() {
		end = sql.Null[time.Time]{V: to, Valid: true}
	}
	err = l.db.QueryRowContext(ctx, `SELECT coalesce(min(number) FILTER (WHERE recorded_to >= $1), max(number) + 1, 1),
			coalesce(max(number) FILTER (WHERE $2::timestamptz IS NULL OR recorded_from <= $2), 0), max(recorded_to) FROM seals`, from, end).
		Scan(&first, &last, &newest)
	return first, last, !newest.Valid || to.IsZero() || to.After(newest.V), pgerr.Wrap("look for seals", err)
}

// The hash before each event comes along, so that every line of a bundle can be checked by itself.
const exportQuery = `SELECT e.transaction_id, e.position, e.workspace, e.stream, e.version, e.id, e.type, e.schema_version, e.data, e.metadata,
		e.recorded_at, e.hash, p.hash
	FROM next_events($1, $2, $3, $4, $5) n JOIN events e ON e.transaction_id = n.transaction_id AND e.position = n.position
	LEFT JOIN events p ON p.workspace = e.workspace AND p.stream = e.stream AND p.version = e.version - 1
	ORDER BY n.transaction_id, n.position`

// exportEvents writes the events behind a place up to and including another.
func (l *Log) exportEvents(ctx context.Context, w *bundleWriter, o ExportOptions, after, upto eventstore.Cursor) error {
	const page = 500
	for {
		n, err := l.exportPage(ctx, w, o, &after, upto, page)
		o.Progress.add(int64(n))
		if err != nil || n < page {
			return err
		}
	}
}

func (l *Log) exportPage(ctx context.Context, w *bundleWriter, o ExportOptions, after *eventstore.Cursor, upto eventstore.Cursor, page int) (n int, err error) {
	const op = "export the log"
	rows, err := l.db.QueryContext(ctx, exportQuery, after.TransactionID, after.Position, upto.TransactionID, upto.Position, page)
	if err != nil {
		return 0, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	var id, data, metadata, hash, previous sql.RawBytes
	for rows.Next() {
		var e eventLine
		if err := rows.Scan(&e.Place.TransactionID, &e.Place.Position, &e.Workspace, &e.Stream, &e.Version, &id, &e.Type, &e.SchemaVersion,
			&data, &metadata, &e.RecordedAt, &hash, &previous); err != nil {
			return n, pgerr.Wrap(op, err)
		}
		n++
		*after = eventstore.Cursor(e.Place)
		e.RecordedAt = e.RecordedAt.UTC()
		e.Hash, e.Previous = hexBytes(hash), hexBytes(previous)
		if o.Workspace != "" && o.Workspace != e.Workspace {
			w.end.Leaves++
			w.write(line{Leaf: &leafLine{e.Place, e.Hash}})
		} else {
			if e.ID, err = uuid.ParseBytes(id); err != nil {
				return n, pgerr.Wrap(op, err)
			}
			e.Data, e.Metadata = string(data), string(metadata)
			w.end.Events++
			w.write(line{Event: &e})
		}
		if w.err != nil {
			return n, w.err
		}
	}
	return n, pgerr.Wrap(op, rows.Err())
}

// bundleWriter writes lines, and keeps the first error.
type bundleWriter struct {
	gzip    *gzip.Writer
	hash    hash.Hash
	buffer  bytes.Buffer
	encoder *json.Encoder
	end     endLine
	err     error
}

func newBundleWriter(to io.Writer) *bundleWriter {
	packed, _ := gzip.NewWriterLevel(to, gzip.BestSpeed) // fails only for levels that there are not
	w := &bundleWriter{gzip: packed, hash: sha256.New()}
	w.encoder = json.NewEncoder(&w.buffer)
	w.encoder.SetEscapeHTML(false)
	return w
}

func (w *bundleWriter) write(l line) {
	if w.err != nil {
		return
	}
	w.buffer.Reset()
	if w.err = w.encoder.Encode(l); w.err != nil {
		return
	}
	if w.buffer.Len() > maxLine {
		w.err = fmt.Errorf("export: an event takes %d bytes, and a line of a bundle can have %d: %.200s…", w.buffer.Len(), maxLine, w.buffer.Bytes())
		return
	}
	w.hash.Write(w.buffer.Bytes())
	_, w.err = w.gzip.Write(w.buffer.Bytes())
}

func (w *bundleWriter) close(key ed25519.PrivateKey) error {
	w.end.SHA256 = w.hash.Sum(nil)
	if key != nil {
		w.end.PublicKey = key.Public().(ed25519.PublicKey)
		w.end.Signature = ed25519.Sign(key, w.end.statement())
	}
	w.write(line{End: &w.end})
	return errors.Join(w.err, w.gzip.Close())
}
