// Package token keeps the tokens with which callers of the HTTP API show who they are: one workspace, to be read or also to be changed.
//
// A token is random and is shown once, when it is made. What is stored is its SHA-256. A slow hash would add nothing: nobody can guess
// 256 random bits, and every request has to be checked.
package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"errors"
	"iter"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Scope says what a token is good for.
type Scope string

const (
	Read  Scope = "read"  // look at everything in the workspace
	Write Scope = "write" // and change it
)

// Allows tells whether a token of this scope may do what needs another.
func (s Scope) Allows(needed Scope) bool { return s == needed || s == Write && needed == Read }

// Token is what is known of a token, which is not the token itself.
type Token struct {
	ID        string     `json:"id"` // tok_…
	Workspace string     `json:"workspace"`
	Name      string     `json:"name"`
	Scope     Scope      `json:"scope"`
	CreatedAt time.Time  `json:"createdAt"`           // UTC
	RevokedAt *time.Time `json:"revokedAt,omitempty"` // UTC
}

// Plain is a token as its holder sends it. It prints as a placeholder everywhere, so that it cannot slip into a log; only
// [Plain.Reveal] shows it.
type Plain string

const hidden = "(token)"

// Reveal returns the token itself.
func (p Plain) Reveal() string { return string(p) }

func (p Plain) String() string               { return hidden }
func (p Plain) GoString() string             { return hidden }
func (p Plain) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (p Plain) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// A token is "wbt_", the letters of its id, "_", and the letters of its secret, so that its row is found by its id and what is compared
// is compared in constant time.
const (
	prefix   = "wbt_"
	idPrefix = "tok_"
)

// letters are those of Crockford's base32, which leaves out those that are easily misread.
var letters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

var form = regexp.MustCompile(`^` + prefix + `([0-9a-hjkmnp-tv-z]{16})_[0-9a-hjkmnp-tv-z]{52}$`)

// newPlain returns a token and its id.
func newPlain() (Plain, string) {
	var random [10 + 32]byte
	rand.Read(random[:]) // never fails
	id := letters.EncodeToString(random[:10])
	return Plain(prefix + id + "_" + letters.EncodeToString(random[10:])), idPrefix + id
}

// ErrUnknown says that a token is none, or none any more. Which of the two is for nobody to know.
var ErrUnknown = errors.New("the token is not valid")

// InvalidError lists what is wrong with a token that is to be made.
type InvalidError struct {
	Fields []domain.FieldError
}

func (e *InvalidError) Error() string {
	return (&domain.InvalidCommandError{Command: "token", Fields: e.Fields}).Error()
}

// Store keeps tokens. It is safe for concurrent use.
type Store struct {
	db  *sql.DB
	now func() time.Time
}

// NewStore returns a store on a lib/pq database. now is the clock for created_at and revoked_at; nil means time.Now.
func NewStore(db *sql.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: db, now: now}
}

const maxName = 100

// workspaces have names of this form everywhere.
var workspaceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Create makes a token for a workspace. The token itself is returned here and never again. The name is for people; it may be empty. It
// returns an [*InvalidError].
func (s *Store) Create(ctx context.Context, workspace, name string, scope Scope) (Token, Plain, error) {
	var wrong []domain.FieldError
	if !workspaceForm.MatchString(workspace) {
		wrong = append(wrong, domain.FieldError{Field: "workspace", Message: "has to be 1 to 64 of A-Z a-z 0-9 _ -"})
	}
	if scope != Read && scope != Write {
		wrong = append(wrong, domain.FieldError{Field: "scope", Message: "has to be read or write"})
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		wrong = append(wrong, domain.FieldError{Field: "name", Message: "has to be at most 100 printable characters"})
	}
	if len(wrong) > 0 {
		return Token{}, "", &InvalidError{Fields: wrong}
	}
	plain, id := newPlain()
	hash := sha256.Sum256([]byte(plain))
	t := Token{ID: id, Workspace: workspace, Name: name, Scope: scope, CreatedAt: s.now().UTC().Truncate(time.Microsecond)}
	_, err := s.db.ExecContext(ctx, `INSERT INTO tokens (id, workspace, name, scope, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		t.ID, t.Workspace, t.Name, t.Scope, hash[:], t.CreatedAt)
	if err != nil {
		return Token{}, "", pgerr.Wrap("create a token", err)
	}
	return t, plain, nil
}

// Authenticate tells whose token it is. It returns [ErrUnknown] for one that was never given out, or was revoked.
func (s *Store) Authenticate(ctx context.Context, plain Plain) (Token, error) {
	parts := form.FindStringSubmatch(string(plain))
	if parts == nil {
		return Token{}, ErrUnknown
	}
	t := Token{ID: idPrefix + parts[1]}
	var stored []byte
	err := s.db.QueryRowContext(ctx, `SELECT workspace, name, scope, created_at, hash FROM tokens WHERE id = $1 AND revoked_at IS NULL`, t.ID).
		Scan(&t.Workspace, &t.Name, &t.Scope, &t.CreatedAt, &stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Token{}, pgerr.Wrap("check a token", err)
	}
	hash := sha256.Sum256([]byte(plain))
	if subtle.ConstantTimeCompare(hash[:], stored) != 1 {
		return Token{}, ErrUnknown
	}
	t.CreatedAt = t.CreatedAt.UTC()
	return t, nil
}

const pageSize = 200 // tokens per round trip

// List yields the tokens of a workspace in the order in which they were made, revoked ones too.
func (s *Store) List(ctx context.Context, workspace string) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		after := int64(0)
		for {
			page, last, err := s.page(ctx, workspace, after)
			if err != nil {
				yield(Token{}, err)
				return
			}
			for _, t := range page {
				if !yield(t, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			after = last
		}
	}
}

func (s *Store) page(ctx context.Context, workspace string, after int64) (page []Token, last int64, err error) {
	const op = "list tokens"
	rows, err := s.db.QueryContext(ctx, `SELECT number, id, workspace, name, scope, created_at, revoked_at FROM tokens
		WHERE workspace = $1 AND number > $2 ORDER BY number LIMIT $3`, workspace, after, pageSize)
	if err != nil {
		return nil, 0, pgerr.Wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var t Token
		if err := rows.Scan(&last, &t.ID, &t.Workspace, &t.Name, &t.Scope, &t.CreatedAt, &t.RevokedAt); err != nil {
			return nil, 0, pgerr.Wrap(op, err)
		}
		t.CreatedAt = t.CreatedAt.UTC()
		if t.RevokedAt != nil {
			*t.RevokedAt = t.RevokedAt.UTC()
		}
		page = append(page, t)
	}
	return page, last, pgerr.Wrap(op, rows.Err())
}

// Any tells whether there is a token, of whatever workspace, that is good for anything.
func (s *Store) Any(ctx context.Context) (any bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM tokens WHERE revoked_at IS NULL)`).Scan(&any)
	return any, pgerr.Wrap("look for tokens", err)
}

// Revoke ends a token's validity, at once and for good. It returns a [*domain.NotFoundError] where the workspace has no such token;
// revoking it again changes nothing.
func (s *Store) Revoke(ctx context.Context, workspace, id string) error {
	result, err := s.db.ExecContext(ctx, `UPDATE tokens SET revoked_at = coalesce(revoked_at, $3) WHERE id = $1 AND workspace = $2`,
		id, workspace, s.now().UTC())
	if err != nil {
		return pgerr.Wrap("revoke a token", err)
	}
	if revoked, err := result.RowsAffected(); err != nil || revoked == 0 {
		if err != nil {
			return pgerr.Wrap("revoke a token", err)
		}
		return &domain.NotFoundError{Kind: "token", ID: id}
	}
	return nil
}
