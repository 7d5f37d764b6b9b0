// Package migrations holds Waybill's database schema, as numbered SQL files, and brings a database to it.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// FS holds the SQL files.
//
//go:embed *.sql
var FS embed.FS

// Migration is one numbered step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// NewerSchemaError says that the database was migrated by a newer program than this one.
type NewerSchemaError struct {
	Database int64 // the schema version of the database
	Program  int64 // the newest one that this program knows
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema version %d, this program knows versions up to %d: upgrade the program", e.Database, e.Program)
}

// PendingError says that the database has not been migrated to what this program needs.
type PendingError struct {
	Database int64
	Program  int64
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("the database has schema version %d, this program needs version %d: run `waybill migrate up`, or call waybill.Migrate", e.Database, e.Program)
}

// Up applies every migration that db lacks, and returns those it applied. Several processes may call it at once: one migrates, the
// others wait and then find nothing to do. It returns a [*NewerSchemaError] where the database is ahead of this program.
func Up(ctx context.Context, db *sql.DB) ([]Migration, error) {
	if err := Check(ctx, db); err == nil || !errors.As(err, new(*PendingError)) {
		return nil, err
	}
	provider, err := newProvider(db)
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, pgerr.Wrap("migrate the database", err)
	}
	applied := make([]Migration, len(results))
	for i, r := range results {
		applied[i] = Migration{Version: r.Source.Version, Name: r.Source.Path, Applied: true}
	}
	return applied, nil
}

// Status lists every migration and whether db has it. It changes nothing.
func Status(ctx context.Context, db *sql.DB) ([]Migration, error) {
	provider, err := newProvider(db)
	if err != nil {
		return nil, err
	}
	version, err := databaseVersion(ctx, db)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, s := range provider.ListSources() {
		list = append(list, Migration{Version: s.Version, Name: s.Path, Applied: s.Version <= version})
	}
	return list, nil
}

// Check returns nil where the schema of db is the one this program was written for, else a [*PendingError] or a
// [*NewerSchemaError]. It changes nothing.
func Check(ctx context.Context, db *sql.DB) error { return check(ctx, db, db) }

// CheckTx is [Check] within a transaction of db, which may hold the only connection that there is.
func CheckTx(ctx context.Context, db *sql.DB, tx *sql.Tx) error { return check(ctx, db, tx) }

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func check(ctx context.Context, db *sql.DB, q querier) error {
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	database, err := databaseVersion(ctx, q)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	program := sources[len(sources)-1].Version
	switch {
	case database > program:
		return &NewerSchemaError{Database: database, Program: program}
	case database < program:
		return &PendingError{Database: database, Program: program}
	}
	return nil
}

// databaseVersion reads what goose keeps; goose's own reader would create its table first, which a look must not do.
func databaseVersion(ctx context.Context, q querier) (version int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if pq.As(err, pqerror.UndefinedTable) != nil {
		return 0, nil
	}
	return version, pgerr.Wrap("read the schema version", err)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	// Two processes that start together migrate one after the other; the second waits up to a minute.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, FS, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}
