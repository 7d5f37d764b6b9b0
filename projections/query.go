package projections

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Page is a part of a list.
type Page[R any] struct {
	Rows []R `json:"rows"`
	// Next is the cursor of the following page, empty at the end. There may be one although fewer rows came than were asked for, or none:
	// a page looks at so many rows and then says how far it came, so that a filter that fits hardly any cannot make it look for ever.
	Next string `json:"next,omitempty"`
}

// InvalidQueryError lists what is wrong with a query of a view.
type InvalidQueryError struct{ Fields []domain.FieldError }

func (e *InvalidQueryError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return "the query is invalid: " + strings.Join(parts, "; ")
}

// Invalid returns an [*InvalidQueryError] about one field.
func Invalid(field, message string) error {
	return &InvalidQueryError{Fields: []domain.FieldError{{Field: field, Message: message}}}
}

// Together makes one [*InvalidQueryError] of all that are given, so that everything that is wrong is said at once. It returns nil where
// none is, and any other error as it is.
func Together(errs ...error) error {
	var all InvalidQueryError
	for _, err := range errs {
		var invalid *InvalidQueryError
		switch {
		case errors.As(err, &invalid):
			all.Fields = append(all.Fields, invalid.Fields...)
		case err != nil:
			return err
		}
	}
	if len(all.Fields) == 0 {
		return nil
	}
	return &all
}

// Position is where a page of a list that goes from new to old ends: behind the row with this time and these ids.
type Position struct {
	At  time.Time `json:"t"`
	IDs []string  `json:"i"`
}

// Cursor writes the position down, for whoever asks for the next page.
func (p Position) Cursor() string {
	text, _ := json.Marshal(p) // times and strings can always be encoded
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseCursor reads what [Position.Cursor] wrote, with so many ids. It returns an [*InvalidQueryError] for anything else.
func ParseCursor(cursor string, ids int) (p Position, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || len(p.IDs) != ids || p.At.IsZero() || p.At.Year() < 1 || p.At.Year() > 9999 || strings.ContainsRune(strings.Join(p.IDs, ""), 0) {
		return Position{}, Invalid("cursor", "is not one that this list gave")
	}
	return p, nil
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	// Budget is how many rows a page looks at.
	Budget = 2000
)

// Limit returns how many rows a page has.
func Limit(asked int) (int, error) {
	switch {
	case asked < 0:
		return 0, Invalid("limit", "is negative")
	case asked == 0:
		return DefaultLimit, nil
	}
	return min(asked, MaxLimit), nil
}

// CheckStatuses returns an [*InvalidQueryError] where one of the statuses is none of those that there are.
func CheckStatuses(field string, given, known []string) error {
	for _, s := range given {
		if !slices.Contains(known, s) {
			return Invalid(field, fmt.Sprintf("has to be one of %s; %.40q is none", strings.Join(known, ", "), s))
		}
	}
	return nil
}

// CheckTexts returns an [*InvalidQueryError] for what no column can hold, and PostgreSQL refuses: bytes that are no UTF-8, and U+0000. The
// texts are by field.
func CheckTexts(texts map[string]string) error {
	var wrong []error
	for _, field := range slices.Sorted(maps.Keys(texts)) {
		if text := texts[field]; !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			wrong = append(wrong, Invalid(field, "has to be text in UTF-8, without the character U+0000"))
		}
	}
	return Together(wrong...)
}

// CheckSpan returns an [*InvalidQueryError] where days are missing, not of the years 1 to 9999, in the wrong order, or too many.
func CheckSpan(from, to time.Time, most int) error {
	day := func(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
	switch {
	case from.IsZero():
		return Invalid("from", "is missing")
	case to.IsZero():
		return Invalid("to", "is missing")
	case from.UTC().Year() < 1 || from.UTC().Year() > 9999:
		return Invalid("from", "has to be in the years 1 to 9999")
	case to.UTC().Year() < 1 || to.UTC().Year() > 9999:
		return Invalid("to", "has to be in the years 1 to 9999")
	case day(to).Before(day(from)):
		return Invalid("to", "is before from")
	case day(to).Sub(day(from)) >= time.Duration(most)*24*time.Hour:
		return Invalid("to", fmt.Sprintf("is more than %d days behind from: ask for fewer at once", most))
	}
	return nil
}

// Set is values without repetition, as an array for a statement.
func Set(values []string) pq.StringArray {
	return append(pq.StringArray{}, slices.Compact(slices.Sorted(slices.Values(values)))...)
}

// TimeOrNull is a time for a statement, NULL where it is zero.
func TimeOrNull(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }

// Read runs a query of a view, in a read-only transaction in which the planner walks along indexes rather than sort what it believes to be
// few rows. It returns a [*NotBuiltError] where there is nothing to query.
func Read(ctx context.Context, db *sql.DB, projection string, query func(*sql.Tx) error) error {
	op := "read view " + projection
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return pgerr.Wrap(op, err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, walkIndexes); err != nil {
		return pgerr.Wrap(op, err)
	}
	var built bool
	if err := tx.QueryRowContext(ctx, `SELECT live_generation($1) IS NOT NULL`, projection).Scan(&built); err != nil {
		return pgerr.Wrap(op, err)
	}
	if !built {
		return notBuilt(ctx, tx, projection)
	}
	return pgerr.Wrap(op, query(tx))
}

// Collect scans every row of a result.
func Collect[R any](rows *sql.Rows, err error, scan func(*sql.Rows) (R, error)) ([]R, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []R{}
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}
