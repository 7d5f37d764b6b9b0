package audit

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

const (
	pageSize  = 2_000  // events in one statement's result, which is read row by row
	rangeSize = 20_000 // events, about, that one reader takes at a time: whole streams
)

// DefaultWorkers is how many readers go side by side, unless told otherwise.
const DefaultWorkers = 4

// place names a stream in the order of the walk. The zero place is before all.
type place struct{ workspace, stream string }

// streams visits every event of a workspace, or of all where that is empty: stream by stream, each from its first event to its last, by
// one of several readers. Each reader has a visitor of its own, and ends a stream before it begins the next. What is appended
// meanwhile is visited or not.
func (l *Log) streams(ctx context.Context, workspace string, workers int, p *Progress, visitor func() func(domain.Recorded) error) error {
	var end place
	err := l.db.QueryRowContext(ctx, `SELECT workspace, stream FROM last_stream($1)`, workspace).Scan(&end.workspace, &end.stream)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return pgerr.Wrap("look for the last stream", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ranges := make(chan [2]place)
	var readers sync.WaitGroup
	for range max(1, workers) {
		readers.Go(func() {
			visit := visitor()
			for r := range ranges {
				if err := l.streamRange(ctx, r[0], r[1], p, visit); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	if err := l.divide(ctx, place{workspace: workspace}, end, ranges); err != nil {
		cancel(err)
	}
	close(ranges)
	readers.Wait()
	return context.Cause(ctx)
}

// divide hands out the streams in ranges: each from behind one stream up to and including another.
func (l *Log) divide(ctx context.Context, from, end place, ranges chan<- [2]place) error {
	for from != end {
		upto := end
		err := l.db.QueryRowContext(ctx, `SELECT workspace, stream FROM stream_ahead($1, $2, $3, $4, $5)`,
			from.workspace, from.stream, end.workspace, end.stream, l.rangeSize).Scan(&upto.workspace, &upto.stream)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return pgerr.Wrap("divide the log", err)
		}
		select {
		case ranges <- [2]place{from, upto}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		from = upto
	}
	return nil
}

const rangeQuery = `SELECT workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash
	FROM next_of_streams($1, $2, $3, $4, $5, $6) ORDER BY workspace, stream, version`

// afterAll is above every version: what follows it in the order of the walk is the next stream.
const afterAll = 1<<31 - 1

// streamRange visits the events of the streams behind one and up to and including another.
func (l *Log) streamRange(ctx context.Context, from, upto place, p *Progress, visit func(domain.Recorded) error) error {
	at, version := from, afterAll
	if from.stream == "" {
		version = 0
	}
	for {
		n, err := l.streamPage(ctx, &at, &version, upto, visit)
		p.add(int64(n))
		if err != nil || n < pageSize {
			return err
		}
	}
}

func (l *Log) streamPage(ctx context.Context, at *place, version *int, upto place, visit func(domain.Recorded) error) (n int, err error) {
	const op = "read the streams"
	rows, err := l.db.QueryContext(ctx, rangeQuery, at.workspace, at.stream, *version, upto.workspace, upto.stream, pageSize)
	if err != nil {
		return 0, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	r := domain.Recorded{Workspace: at.workspace, Stream: streamID(at.stream)}
	var workspace, stream, id, kind, data, metadata, hash sql.RawBytes
	for rows.Next() {
		err := rows.Scan(&workspace, &stream, &r.Version, &id, &kind, &r.SchemaVersion, &data, &metadata, &r.RecordedAt, &hash)
		if err != nil {
			return n, pgerr.Wrap(op, err)
		}
		n++
		if at.stream != string(stream) || at.workspace != string(workspace) {
			*at = place{string(workspace), string(stream)}
			r.Workspace, r.Stream = at.workspace, streamID(at.stream)
		}
		*version = r.Version
		if r.Type != string(kind) {
			r.Type = string(kind)
		}
		if r.ID, err = uuid.ParseBytes(id); err != nil {
			return n, pgerr.Wrap(op, err)
		}
		r.RecordedAt = r.RecordedAt.UTC()
		r.Data, r.Metadata, r.Hash = []byte(data), []byte(metadata), []byte(hash)
		if err := visit(r); err != nil {
			return n, err
		}
	}
	return n, pgerr.Wrap(op, rows.Err())
}

// streamID takes a name apart, also one that none of us wrote: what is called so cannot fit its hash.
func streamID(name string) domain.StreamID {
	aggregate, id, _ := strings.Cut(name, "/")
	return domain.StreamID{Aggregate: aggregate, ID: id}
}
