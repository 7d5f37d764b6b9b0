package audit

import (
	"database/sql"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What a page of a walk costs must not depend on how large the log is, and on whether it has been analysed since it grew.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.Exec(`ALTER TABLE events SET (autovacuum_enabled = off);
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, 'default', 'order/' || n / 10, n % 10 + 1, gen_random_uuid(), 'x', 1, '{}', '{}',
			now(), sha256('') FROM generate_series(1, 100000) n`); err != nil {
		t.Fatal(err)
	}
	for _, analysed := range []bool{false, true} {
		for name, test := range map[string]struct {
			query string
			args  []any
			most  int // pages, of some 3,000; a function's first call in a session reads the catalog besides
		}{
			"leaves":       {leavesQuery, []any{0, 0, int64(1) << 60, 0, 500}, 600},
			"streams":      {rangeQuery, []any{"default", "order/5", 0, "default", "order/77", 500}, 600},
			"ahead":        {`SELECT * FROM stream_ahead($1, $2, $3, $4, $5)`, []any{"default", "order/5", "default", "order/99", 500}, 600},
			"last":         {`SELECT * FROM last_stream($1)`, []any{""}, 400},
			"last of one":  {`SELECT * FROM last_stream($1)`, []any{"default"}, 400},
			"last of none": {`SELECT * FROM last_stream($1)`, []any{"nobody"}, 400},
			"export":       {exportQuery, []any{0, 0, int64(1) << 60, 0, 500}, 4500}, // each event, and the one before it, by their indexes
		} {
			if plan, pages := explain(t, f.DB, test.query, test.args...); pages > test.most {
				t.Errorf("%s, analysed %v: %d pages, want at most %d\n%s", name, analysed, pages, test.most, plan)
			}
		}
		if _, err := f.Exec(`ANALYZE`); err != nil {
			t.Fatal(err)
		}
	}
}

// explain runs a query and returns its plan, and how many pages it touched.
func explain(t *testing.T, db *sql.DB, query string, args ...any) (plan string, pages int) {
	t.Helper()
	rows, err := db.Query(`EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	// The first such line is that of the whole.
	if found := regexp.MustCompile(`Buffers: shared (?:hit=(\d+))?(?: ?read=(\d+))?`).FindStringSubmatch(strings.Join(lines, "\n")); found != nil {
		hit, _ := strconv.Atoi(found[1])
		read, _ := strconv.Atoi(found[2])
		pages = hit + read
	}
	return strings.Join(lines, "\n"), pages
}
