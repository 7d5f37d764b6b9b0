package token_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/httpapi/token"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestTokens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store, ctx := token.NewStore(db.DB, nil), t.Context()
	if any, err := store.Any(ctx); any || err != nil {
		t.Errorf("an empty database: %v, %v", any, err)
	}
	made, plain, err := store.Create(ctx, "acme", "backend", token.Write)
	if err != nil {
		t.Fatal(err)
	}
	if any, err := store.Any(ctx); !any || err != nil {
		t.Errorf("a database with a token: %v, %v", any, err)
	}
	if got, err := store.Authenticate(ctx, plain); err != nil || got != made {
		t.Errorf("got %+v, %v, want %+v", got, err, made)
	}

	// The database holds the hash and nothing of the secret.
	var row string
	if err := db.QueryRow(`SELECT t::text FROM tokens t`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	secret := plain.Reveal()[strings.LastIndex(plain.Reveal(), "_")+1:]
	if strings.Contains(row, secret) || !strings.Contains(row, fmt.Sprintf("%x", sha256.Sum256([]byte(plain.Reveal())))) {
		t.Errorf("stored: %s", row)
	}

	// Nothing near it is a token: another last letter, another id, another form.
	other, otherPlain, err := store.Create(ctx, "other", "", token.Read)
	if err != nil {
		t.Fatal(err)
	}
	text, last := plain.Reveal(), "0"
	if strings.HasSuffix(text, last) {
		last = "g"
	}
	for _, wrong := range []string{
		"", "wbt_", text[1:], text + "0", strings.ToUpper(text), text + "\n", " " + text, text[:len(text)-1] + last, made.ID,
		otherPlain.Reveal()[:21] + text[21:], strings.Replace(text, made.ID[4:], strings.Repeat("0", 16), 1),
	} {
		if got, err := store.Authenticate(ctx, token.Plain(wrong)); !errors.Is(err, token.ErrUnknown) {
			t.Errorf("%q: %+v, %v", wrong, got, err)
		}
	}

	// A workspace sees and revokes its own tokens only.
	if all := list(t, store, "acme"); len(all) != 1 || all[0] != made {
		t.Errorf("list: %+v", all)
	}
	for workspace, id := range map[string]string{"acme": other.ID, "other": "tok_0000000000000000"} {
		if err := store.Revoke(ctx, workspace, id); !errors.As(err, new(*domain.NotFoundError)) {
			t.Errorf("revoke %s of %s: %v", id, workspace, err)
		}
	}
	if err := store.Revoke(ctx, "acme", made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Authenticate(ctx, plain); !errors.Is(err, token.ErrUnknown) {
		t.Errorf("a revoked token: %v", err)
	}
	if _, err := store.Authenticate(ctx, otherPlain); err != nil {
		t.Errorf("another one: %v", err)
	}
	first := list(t, store, "acme")
	if len(first) != 1 || first[0].RevokedAt == nil {
		t.Fatalf("list: %+v", first)
	}
	if err := store.Revoke(ctx, "acme", made.ID); err != nil {
		t.Errorf("revoked again: %v", err)
	}
	if again := list(t, store, "acme"); !again[0].RevokedAt.Equal(*first[0].RevokedAt) {
		t.Errorf("the time of the first revocation is gone: %+v", again)
	}
}

func TestInvalidTokens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for want, c := range map[string]struct {
		workspace, name string
		scope           token.Scope
	}{
		"workspace": {"no/name", "", token.Read},
		"scope":     {"acme", "", "admin"},
		"name":      {"acme", strings.Repeat("x", 101), token.Read},
	} {
		var invalid *token.InvalidError
		if _, _, err := token.NewStore(db.DB, nil).Create(t.Context(), c.workspace, c.name, c.scope); !errors.As(err, &invalid) ||
			len(invalid.Fields) != 1 || invalid.Fields[0].Field != want {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A list of any length is read page by page.
func TestTokenPages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Exec(`INSERT INTO tokens (id, workspace, name, scope, hash, created_at)
		SELECT 'tok_' || n, 'acme', '', 'read', sha256(n::text::bytea), now() FROM generate_series(1, 450) n`); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, one := range list(t, token.NewStore(db.DB, nil), "acme") {
		seen[one.ID] = true
	}
	if len(seen) != 450 {
		t.Errorf("%d tokens", len(seen))
	}
}

func list(t *testing.T, store *token.Store, workspace string) (all []token.Token) {
	t.Helper()
	for one, err := range store.List(t.Context(), workspace) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// A token that is printed by accident is not given away.
func TestPlainHides(t *testing.T) {
	t.Parallel()
	plain := token.Plain("wbt_secret")
	encoded, err := json.Marshal(map[string]any{"token": plain})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %s %+v %#v %q %s", plain, plain, plain, plain, plain, encoded); strings.Contains(text, "secret") {
		t.Error(text)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has, needs token.Scope
		want       bool
	}{
		{token.Read, token.Read, true}, {token.Read, token.Write, false}, {token.Write, token.Read, true}, {token.Write, token.Write, true},
		{"", token.Read, false}, {"admin", token.Read, false},
	} {
		if c.has.Allows(c.needs) != c.want {
			t.Errorf("%q for %q: %v", c.has, c.needs, !c.want)
		}
	}
}
