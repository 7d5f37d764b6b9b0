// Package plantest shows how PostgreSQL means to run a view's queries.
package plantest

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

// Database returns a database with the live generation 1 of a projection and another one, each with rows that the statement inserts: it has
// the generation as $1. The table is never analysed.
func Database(t testing.TB, projection, table, insert string) *sql.DB {
	t.Helper()
	d := pgtest.New(t)
	for _, statement := range []string{
		`ALTER TABLE ` + table + ` SET (autovacuum_enabled = off)`,
		`INSERT INTO projection_generations (projection, generation, state, transaction_id, position)
			VALUES ('` + projection + `', 1, 'live', 0, 0), ('` + projection + `', 2, 'building', 0, 0)`,
	} {
		if _, err := d.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for generation := 1; generation <= 2; generation++ {
		if _, err := d.Exec(insert, generation); err != nil {
			t.Fatalf("%s: %v", insert, err)
		}
	}
	return d.DB
}

// Plan returns the plan of a query that really ran, with the number of rows of each step.
func Plan(t testing.TB, db *sql.DB, projection, query string, args ...any) string {
	t.Helper()
	var plan strings.Builder
	err := projections.Read(context.Background(), db, projection, func(tx *sql.Tx) error {
		rows, err := tx.Query(`EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) `+query, args...)
		lines, err := projections.Collect(rows, err, func(rows *sql.Rows) (line string, err error) { return line, rows.Scan(&line) })
		plan.WriteString(strings.Join(lines, "\n"))
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return plan.String()
}

// Check fails the test unless a plan walks along an index, scans no table as a whole, and removes and sorts no more rows than so many.
func Check(t testing.TB, name, plan, index string) {
	t.Helper()
	if !strings.Contains(plan, index) {
		t.Errorf("%s does not use %s:\n%s", name, index, plan)
	}
	if strings.Contains(plan, "Seq Scan on view_") {
		t.Errorf("%s scans a table:\n%s", name, plan)
	}
}
