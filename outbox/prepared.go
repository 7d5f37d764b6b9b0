package outbox

import (
	"context"
	"database/sql"
	"errors"

	watermill "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// preparedBeginner begins transactions in which some queries are prepared, once for each connection. watermill-sql hands its queries over
// as text, which PostgreSQL would parse and plan at every look at the log, and which takes two round trips instead of one.
type preparedBeginner struct {
	watermill.Beginner
	db         *sql.DB
	statements map[string]*sql.Stmt // by their text
}

func prepare(ctx context.Context, db *sql.DB, queries ...string) (*preparedBeginner, error) {
	b := &preparedBeginner{Beginner: watermill.BeginnerFromStdSQL(db), db: db, statements: map[string]*sql.Stmt{}}
	for _, query := range queries {
		statement, err := db.PrepareContext(ctx, query)
		if err != nil {
			b.close()
			return nil, pgerr.Wrap("prepare to read the log", err)
		}
		b.statements[query] = statement
	}
	return b, nil
}

func (b *preparedBeginner) close() error {
	var errs []error
	for _, statement := range b.statements {
		errs = append(errs, statement.Close())
	}
	return errors.Join(errs...)
}

// BeginTx is called by the subscriber.
func (b *preparedBeginner) BeginTx(ctx context.Context, options *sql.TxOptions) (watermill.Tx, error) {
	tx, err := b.db.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return preparedTx{tx, b.statements}, nil
}

// preparedTx is a transaction of a preparedBeginner. A query that was not prepared is executed as it is.
type preparedTx struct {
	*sql.Tx
	statements map[string]*sql.Stmt
}

// ExecContext is part of watermill-sql's interface of a transaction.
func (t preparedTx) ExecContext(ctx context.Context, query string, args ...any) (watermill.Result, error) {
	if statement := t.statements[query]; statement != nil {
		return t.StmtContext(ctx, statement).ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

// QueryContext is part of it too.
func (t preparedTx) QueryContext(ctx context.Context, query string, args ...any) (watermill.Rows, error) {
	return t.query(ctx, query, args...)
}

func (t preparedTx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if statement := t.statements[query]; statement != nil {
		return t.StmtContext(ctx, statement).QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, query, args...)
}
