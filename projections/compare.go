package projections

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Difference is a stream whose rows are not what they should be: JSON arrays of rows.
type Difference struct {
	Workspace string          `json:"workspace"`
	ID        string          `json:"id"`
	Have      json.RawMessage `json:"have"` // what is read
	Want      json.RawMessage `json:"want"` // what the new generation has, or the log says
}

// differingStreams compares the rows of streams with those that are given, as a whole for each stream.
const differingStreams = `
WITH new AS MATERIALIZED (
	SELECT n.workspace, n.id, jsonb_agg(to_jsonb(n) - 'generation' ORDER BY to_jsonb(n)) AS rows
	FROM json_populate_recordset(NULL::{T}, $4::json) n GROUP BY n.workspace, n.id
)
SELECT s.workspace, s.id, coalesce(old.rows, '[]'), coalesce(new.rows, '[]')
FROM unnest($2::text[], $3::text[]) AS s (workspace, id)
LEFT JOIN new ON new.workspace = s.workspace AND new.id = s.id
CROSS JOIN LATERAL (
	SELECT jsonb_agg(to_jsonb(t) - 'generation' ORDER BY to_jsonb(t)) AS rows FROM {T} t
	WHERE t.generation = $1 AND t.workspace = s.workspace AND t.id = s.id OFFSET 0) old
WHERE old.rows IS DISTINCT FROM new.rows`

func compareStreams(ctx context.Context, tx *sql.Tx, p *Projection, generation int, streams []*stream) (different []Difference, err error) {
	workspaces, ids := make(pq.StringArray, len(streams)), make(pq.StringArray, len(streams))
	for i, s := range streams {
		workspaces[i], ids[i] = s.workspace, s.id
	}
	rows, err := tx.QueryContext(ctx, p.statement(differingStreams), generation, workspaces, ids, rowsOf(generation, streams))
	if err != nil {
		return nil, pgerr.Wrap("compare view "+p.name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var d Difference
		if err := rows.Scan(&d.Workspace, &d.ID, &d.Have, &d.Want); err != nil {
			return nil, pgerr.Wrap("compare view "+p.name, err)
		}
		different = append(different, d)
	}
	return different, pgerr.Wrap("compare view "+p.name, rows.Err())
}

// comparePage is how many streams are compared in one statement.
const comparePage = 1000

// differingGenerations walks along two generations at once. Rows are compared by their text behind the generation, which is the first column;
// that is quick. A stream of which one of the two has seen more than the other is not compared.
const differingGenerations = `
WITH keys AS MATERIALIZED (
	SELECT * FROM (
		(SELECT DISTINCT workspace, id FROM {T} WHERE generation = $1 AND (workspace, id) > ($3, $4) ORDER BY workspace, id LIMIT $5)
		UNION (SELECT DISTINCT workspace, id FROM {T} WHERE generation = $2 AND (workspace, id) > ($3, $4) ORDER BY workspace, id LIMIT $5)
	) both_of_them ORDER BY workspace, id LIMIT $5
), compared AS MATERIALIZED (
	SELECT k.workspace, k.id, (
		SELECT string_agg(r, E'\n' ORDER BY r) FROM (SELECT substr(t::text, strpos(t::text, ',')) AS r FROM {T} t
			WHERE t.generation = $1 AND t.workspace = k.workspace AND t.id = k.id OFFSET 0) old
	) IS DISTINCT FROM (
		SELECT string_agg(r, E'\n' ORDER BY r) FROM (SELECT substr(t::text, strpos(t::text, ',')) AS r FROM {T} t
			WHERE t.generation = $2 AND t.workspace = k.workspace AND t.id = k.id OFFSET 0) new
	) AS different
	FROM keys k
), settled AS (
	SELECT c.workspace, c.id, c.different AND NOT EXISTS (
		SELECT FROM events e JOIN projection_generations g ON (e.transaction_id, e.position) > (g.transaction_id, g.position)
		WHERE e.workspace = c.workspace AND e.stream = $7 || c.id AND g.projection = $6 AND g.generation IN ($1, $2)) AS different
	FROM compared c
)
SELECT s.workspace, s.id, s.different,
	CASE WHEN s.different THEN (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'generation' ORDER BY to_jsonb(t)), '[]') FROM {T} t
		WHERE t.generation = $1 AND t.workspace = s.workspace AND t.id = s.id) END,
	CASE WHEN s.different THEN (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'generation' ORDER BY to_jsonb(t)), '[]') FROM {T} t
		WHERE t.generation = $2 AND t.workspace = s.workspace AND t.id = s.id) END
FROM settled s ORDER BY s.workspace, s.id`

// diff compares two generations, stream by stream.
func (r *Runner) diff(ctx context.Context, v *view, live, shadow int, each func(Difference) error) (compared, different int64, err error) {
	after := streamKey{}
	for {
		n, found, last, err := r.diffPage(ctx, v, live, shadow, after)
		if err != nil {
			return 0, 0, pgerr.Wrap("compare the generations of projection "+v.name, err)
		}
		compared, different, after = compared+int64(n), different+int64(len(found)), last
		for _, d := range found {
			if each != nil {
				if err := each(d); err != nil {
					return 0, 0, err
				}
			}
		}
		if n < comparePage {
			return compared, different, nil
		}
	}
}

func (r *Runner) diffPage(ctx context.Context, v *view, live, shadow int, after streamKey) (n int, found []Difference, last streamKey, err error) {
	tx, err := r.config.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, nil, last, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
		return 0, nil, last, err
	}
	rows, err := tx.QueryContext(ctx, v.statement(differingGenerations), live, shadow, after.workspace, after.id, comparePage, v.name, v.prefix())
	if err != nil {
		return 0, nil, last, err
	}
	defer rows.Close()
	for rows.Next() {
		var different bool
		var have, want []byte
		if err := rows.Scan(&last.workspace, &last.id, &different, &have, &want); err != nil {
			return 0, nil, last, err
		}
		if n++; different {
			found = append(found, Difference{last.workspace, last.id, have, want})
		}
	}
	return n, found, last, rows.Err()
}

// Verified is what the comparison of a view with the log came to.
type Verified struct {
	Projection string `json:"projection"`
	Generation int    `json:"generation"`
	Streams    int64  `json:"streams"`   // that were folded
	Different  int64  `json:"different"` // of these, whose rows are not what they should be
	Behind     int64  `json:"behind"`    // of these, with events that the view has not come to yet
	Parked     int64  `json:"parked"`    // of these, parked
	Orphans    int64  `json:"orphans"`   // streams with rows and no events, where all were looked at
}

// Verify folds streams from the log and compares the view's rows with what comes out: a sample of the streams, or all of them where sample is
// 0, and then also looks for rows of streams that are not in the log. each, where given, is called with every difference.
//
// It returns a [*domain.NotFoundError] for a name that is no projection's, and a [*NotBuiltError].
func (r *Runner) Verify(ctx context.Context, name string, sample int, each func(Difference) error) (Verified, error) {
	v, err := r.view(name)
	if err != nil {
		return Verified{}, err
	}
	done := Verified{Projection: name}
	if done.Generation, err = r.live(ctx, v); err != nil {
		return done, err
	}
	if done.Generation == 0 {
		return done, notBuilt(ctx, r.config.DB, name)
	}
	report := func(found []Difference) error {
		for _, d := range found {
			if each != nil {
				if err := each(d); err != nil {
					return err
				}
			}
		}
		return nil
	}
	after := streamKey{}
	for {
		keys, err := r.streamsToVerify(ctx, v, sample, after)
		if err != nil {
			return done, err
		}
		if len(keys) > 0 {
			found, err := r.verifyPage(ctx, v, keys, &done)
			if err != nil {
				return done, err
			}
			if err := report(found); err != nil {
				return done, err
			}
			after = keys[len(keys)-1]
		}
		if sample > 0 || len(keys) < comparePage {
			break
		}
	}
	if sample > 0 {
		return done, nil
	}
	return done, r.orphans(ctx, v, &done, report)
}

const (
	allStreams = `SELECT DISTINCT workspace, stream FROM events WHERE (workspace, stream) > ($1, $2) AND starts_with(stream, $3)
		ORDER BY workspace, stream LIMIT $4`
	someStreams = `
		SELECT DISTINCT ON (md5(workspace || stream || $3)) workspace, stream FROM events
			TABLESAMPLE SYSTEM (least(100, 100.0 * $4 * current_setting('block_size')::integer / greatest(pg_relation_size('events'), 1)))
		WHERE starts_with(stream, $1) ORDER BY md5(workspace || stream || $3) LIMIT $2`
)

func (r *Runner) streamsToVerify(ctx context.Context, v *view, sample int, after streamKey) (keys []streamKey, err error) {
	op := "verify projection " + v.name
	tx, err := r.config.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	var rows *sql.Rows
	if sample > 0 {
		var seed string
		if err := tx.QueryRowContext(ctx, `SELECT gen_random_uuid()`).Scan(&seed); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		rows, err = tx.QueryContext(ctx, someStreams, v.prefix(), sample, seed, max(samplePages, sample))
	} else {
		if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		name := ""
		if after != (streamKey{}) {
			name = v.prefix() + after.id
		}
		rows, err = tx.QueryContext(ctx, allStreams, after.workspace, name, v.prefix(), comparePage)
	}
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var key streamKey
		if err := rows.Scan(&key.workspace, &key.id); err != nil {
			return nil, pgerr.Wrap(op, err)
		}
		key.id = key.id[len(v.prefix()):]
		keys = append(keys, key)
	}
	return keys, pgerr.Wrap(op, rows.Err())
}

// parkedOf returns which of some streams are parked.
const parkedOf = `
SELECT p.workspace, p.id FROM projection_parked p JOIN unnest($3::text[], $4::text[]) AS s (workspace, id) ON p.workspace = s.workspace AND p.id = s.id
WHERE p.projection = $1 AND p.generation = $2`

// behindOf returns which of some streams have events behind the checkpoint.
const behindOf = `
SELECT s.workspace, s.id FROM projection_generations g CROSS JOIN unnest($3::text[], $4::text[]) AS s (workspace, id)
WHERE g.projection = $1 AND g.generation = $2 AND EXISTS (
	SELECT FROM events e WHERE e.workspace = s.workspace AND e.stream = $5 || s.id AND (e.transaction_id, e.position) > (g.transaction_id, g.position))`

// verifyPage compares some streams, all of it in one snapshot.
func (r *Runner) verifyPage(ctx context.Context, v *view, keys []streamKey, done *Verified) (found []Difference, err error) {
	op := "verify projection " + v.name
	tx, err := r.config.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(live_generation($1), 0)`, v.name).Scan(&done.Generation); err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	parked, err := among(ctx, tx, parkedOf, keys, v.name, done.Generation)
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	var streams []*stream
	for _, key := range keys {
		if !parked[key] {
			streams = append(streams, v.newStream(key))
		}
	}
	if err := catchUp(ctx, tx, r.config.Personal, v.Projection, streams); err != nil {
		return nil, err
	}
	different, err := compareStreams(ctx, tx, v.Projection, done.Generation, streams)
	if err != nil {
		return nil, err
	}
	var suspects []streamKey
	for _, d := range different {
		suspects = append(suspects, streamKey{d.Workspace, d.ID})
	}
	behind, err := among(ctx, tx, behindOf, suspects, v.name, done.Generation, v.prefix())
	if err != nil {
		return nil, pgerr.Wrap(op, err)
	}
	for i, d := range different {
		if !behind[suspects[i]] {
			found = append(found, d)
		}
	}
	done.Streams += int64(len(keys))
	done.Parked += int64(len(parked))
	done.Behind += int64(len(behind))
	done.Different += int64(len(found))
	return found, nil
}

// among asks for which of some streams a statement holds. They are its third and fourth argument.
func among(ctx context.Context, tx *sql.Tx, statement string, keys []streamKey, projection string, generation int, more ...any) (map[streamKey]bool, error) {
	workspaces, ids := make(pq.StringArray, len(keys)), make(pq.StringArray, len(keys))
	for i, key := range keys {
		workspaces[i], ids[i] = key.workspace, key.id
	}
	rows, err := tx.QueryContext(ctx, statement, append([]any{projection, generation, workspaces, ids}, more...)...)
	list, err := Collect(rows, err, func(rows *sql.Rows) (key streamKey, err error) {
		return key, rows.Scan(&key.workspace, &key.id)
	})
	found := map[streamKey]bool{}
	for _, key := range list {
		found[key] = true
	}
	return found, err
}

const maxOrphans = 1000 // that are looked up; where there is one, something is badly wrong

// orphans finds rows of streams that are not in the log.
func (r *Runner) orphans(ctx context.Context, v *view, done *Verified, report func([]Difference) error) error {
	op := "verify projection " + v.name
	rows, err := r.config.DB.QueryContext(ctx, v.statement(`
		SELECT t.workspace, t.id, jsonb_agg(to_jsonb(t) - 'generation') FROM {T} t
		WHERE t.generation = live_generation($1) AND NOT EXISTS (
			SELECT FROM events e WHERE e.workspace = t.workspace AND e.stream = $2 || t.id)
		GROUP BY t.workspace, t.id LIMIT $3`), v.name, v.prefix(), maxOrphans)
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer rows.Close()
	var found []Difference
	for rows.Next() {
		d := Difference{Want: json.RawMessage("[]")}
		if err := rows.Scan(&d.Workspace, &d.ID, &d.Have); err != nil {
			return pgerr.Wrap(op, err)
		}
		found = append(found, d)
	}
	if err := rows.Err(); err != nil {
		return pgerr.Wrap(op, err)
	}
	done.Orphans = int64(len(found))
	return report(found)
}
