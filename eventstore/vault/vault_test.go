package vault

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	master = bytes.Repeat([]byte{1}, 32)
	place1 = Event{"default", domain.StreamID{Aggregate: "order", ID: "ord_1"}, 1, "order.created"}
)

func newVault(t testing.TB, config Config) *Vault {
	t.Helper()
	v, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// seal seals {"email":"…","name":"…"}, the email being customer 1's, the name being customer 2's.
func seal(t testing.TB, v *Vault, e Event) domain.Recorded {
	t.Helper()
	const data = `{"email":"a@example.com","name":"Ada"}`
	sealed, err := v.Seal(t.Context(), nil, e, []byte(data), []domain.PersonalField{{Start: 9, End: 24}, {Start: 32, End: 37}}, []Subject{Customer("1"), Customer("2")})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Recorded{Workspace: e.Workspace, Stream: e.Stream, Version: e.Version, Type: e.Type, Data: sealed}
}

func opened(t testing.TB, v *Vault, r domain.Recorded) string {
	t.Helper()
	if err := v.Open(t.Context(), nil, []*domain.Recorded{&r}); err != nil {
		t.Fatal(err)
	}
	return string(r.Data)
}

// Several people in one event are forgotten one by one.
func TestSubjectsOfOneEvent(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	v := newVault(t, Config{DB: db})
	r := seal(t, v, place1)
	if strings.Contains(string(r.Data), "Ada") || strings.Contains(string(r.Data), "a@example") {
		t.Errorf("sealed is %s", r.Data)
	}
	forget := func(s Subject) {
		t.Helper()
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		ids, err := v.ForgetTx(t.Context(), tx, "default", s)
		if err != nil || len(ids) != 1 || !slices.Contains(r.Keys(), ids[0]) {
			t.Fatalf("destroyed %v, %v", ids, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		v.Forgotten(ids)
	}
	for _, step := range []struct {
		subject Subject
		want    string
	}{{"", `{"email":"a@example.com","name":"Ada"}`}, {Customer("1"), `{"email":"[erased]","name":"Ada"}`}, {Customer("2"), `{"email":"[erased]","name":"[erased]"}`}} {
		if step.subject != "" {
			forget(step.subject)
		}
		if got := opened(t, v, r); got != step.want {
			t.Errorf("%s: %s", step.subject, got)
		}
		if got := opened(t, newVault(t, Config{DB: db}), r); got != step.want {
			t.Errorf("%s, elsewhere: %s", step.subject, got)
		}
	}
	var left int
	if err := db.QueryRow(`SELECT count(key) FROM personal_keys`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d keys are still there, %v", left, err)
	}
}

// What is sealed belongs to its event: nobody can move it, or change a bit of it.
func TestSealedElsewhere(t *testing.T) {
	t.Parallel()
	v := newVault(t, Config{DB: pgtest.New(t).DB})
	r := seal(t, v, place1)
	opened(t, v, r)
	for name, change := range map[string]func(*domain.Recorded){
		"workspace": func(r *domain.Recorded) { r.Workspace = "other" },
		"stream":    func(r *domain.Recorded) { r.Stream.ID = "ord_2" },
		"version":   func(r *domain.Recorded) { r.Version = 2 },
		"type":      func(r *domain.Recorded) { r.Type = "order.updated" },
		"bit": func(r *domain.Recorded) {
			r.Data = bytes.Clone(r.Data)
			if i := bytes.IndexByte(r.Data, '.') + 30; r.Data[i] == 'A' {
				r.Data[i] = 'B'
			} else {
				r.Data[i] = 'A'
			}
		},
		"rest": func(r *domain.Recorded) {
			r.Data = bytes.Replace(r.Data, []byte(`"email"`), []byte(`"e-mail"`), 1)
		},
	} {
		moved := r
		change(&moved)
		if err := v.Open(t.Context(), nil, []*domain.Recorded{&moved}); err == nil {
			t.Errorf("%s: opened as %s", name, moved.Data)
		}
	}
}

func TestWrapping(t *testing.T) {
	t.Parallel()
	key, id := newKey(), uuid.New()
	wrapped := func(masters ...[]byte) wrapper {
		w, err := newWrapper(masters)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	other := bytes.Repeat([]byte{2}, 32)
	plain, sealed := wrapped().wrap("default", id, key), wrapped(master).wrap("default", id, key)
	if bytes.Contains(sealed, key) || !bytes.Contains(plain, key) {
		t.Errorf("stored as %x", sealed)
	}
	for name, test := range map[string]struct {
		by        wrapper
		workspace string
		stored    []byte
		reason    string // empty where it works
	}{
		"plain, without a master key":  {wrapped(), "default", plain, ""},
		"plain, from before there was": {wrapped(master), "default", plain, ""},
		"wrapped":                      {wrapped(master), "default", sealed, ""},
		"wrapped with an older one":    {wrapped(other, master), "default", sealed, ""},
		"wrapped, none":                {wrapped(), "default", sealed, "this process has none"},
		"wrapped with another":         {wrapped(other), "default", sealed, "another master key"},
		"of another workspace":         {wrapped(master), "other", sealed, "another workspace"},
		"cut off":                      {wrapped(master), "default", sealed[:40], "damaged"},
		"nothing":                      {wrapped(master), "default", []byte{}, "damaged"},
		"from a newer program":         {wrapped(master), "default", []byte{9, 1, 2, 3, 4, 5}, "newer"},
	} {
		got, err := test.by.unwrap(test.workspace, id, test.stored)
		var wrong *KeyError
		switch {
		case test.reason == "" && (err != nil || !bytes.Equal(got, key)):
			t.Errorf("%s: %v", name, err)
		case test.reason != "" && (!errors.As(err, &wrong) || !strings.Contains(wrong.Reason, test.reason)):
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newWrapper([][]byte{master, {1}}); err == nil {
		t.Error("a short master key was accepted")
	}
}

// Many events are opened with one look for their keys, and then with none for a while; more of them than fit into memory, too.
func TestOneLookForManyKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	v := newVault(t, Config{DB: db})
	var events []domain.Recorded
	for i := range 50 {
		e := place1
		e.Version = i + 1
		sealed, err := v.Seal(t.Context(), nil, e, []byte(`{"email":"a@example.com"}`), []domain.PersonalField{{Start: 9, End: 24}}, []Subject{Customer(fmt.Sprint(i))})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, domain.Recorded{Workspace: e.Workspace, Stream: e.Stream, Version: e.Version, Type: e.Type, Data: sealed})
	}
	for _, size := range []int{0, 7} {
		now := time.Unix(0, 0)
		fresh := newVault(t, Config{DB: db, Size: size, Watch: func() time.Time { return now }})
		open := func() (looks int) {
			t.Helper()
			list := make([]*domain.Recorded, len(events))
			for i, r := range events {
				list[i] = &r
			}
			before := counted(t, db)
			if err := fresh.Open(t.Context(), nil, list); err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				if string(r.Data) != `{"email":"a@example.com"}` {
					t.Fatalf("opened as %s", r.Data)
				}
			}
			return counted(t, db) - before
		}
		open() // prepares the statement
		if size == 7 {
			if looks := open(); looks != 1 {
				t.Errorf("with room for %d keys: %d looks", size, looks)
			}
			continue
		}
		if looks := open(); looks != 0 {
			t.Errorf("%d looks for keys that are in memory", looks)
		}
		now = now.Add(DefaultTTL)
		if looks := open(); looks != 1 {
			t.Errorf("%d looks after a while", looks)
		}
	}
}

// counted is how often keys were looked up on the database's connections, of which there is one.
func counted(t testing.TB, db *sql.DB) (n int) {
	t.Helper()
	db.SetMaxOpenConns(1)
	err := db.QueryRow(`SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements WHERE statement LIKE '%id = ANY%'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Memory holds keys no longer than it should, and never takes a destroyed one for alive again.
func TestMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var m memory
	if err := m.init(Config{TTL: time.Minute, Size: 2, Watch: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	alive := func() *key { return &key{id: uuid.New(), aead: newAEAD(master), fetched: now} }
	a, b, c := alive(), alive(), alive()
	m.keep(a)
	m.keep(b)
	known := func(k *key) bool {
		_, missing := m.known([]uuid.UUID{k.id, k.id}, time.Minute)
		return len(missing) == 0
	}
	if !known(a) || !known(b) {
		t.Error("a key was not kept")
	}
	m.keep(c)
	if known(a) || !known(c) {
		t.Error("more keys are kept than there is room for")
	}
	m.keepCurrent(owner{"default", "s"}, c)
	now = now.Add(time.Minute)
	if known(c) || m.currentOf(owner{"default", "s"}) != nil {
		t.Error("a key is believed in for too long")
	}
	c.fetched = now
	if m.currentOf(owner{"default", "s"}) != c {
		t.Error("the current key was lost")
	}
	m.forget([]uuid.UUID{c.id})
	if m.currentOf(owner{"default", "s"}) != nil {
		t.Error("a destroyed key is current")
	}
	if m.keep(c).aead != nil {
		t.Error("a look from before made a destroyed key alive again")
	}
}

// Those who come while a statement is under way share the next, and whoever leaves takes nothing from the others.
func TestMakersShareStatements(t *testing.T) {
	t.Parallel()
	var statements [][]owner
	entered, proceed := make(chan struct{}), make(chan struct{})
	m := makers{make: func(_ context.Context, owners []owner) (map[owner]*key, error) {
		statements = append(statements, owners)
		entered <- struct{}{}
		<-proceed
		keys := map[owner]*key{}
		for _, o := range owners {
			keys[o] = &key{}
		}
		return keys, nil
	}}
	var wg sync.WaitGroup
	want := func(ctx context.Context, name string, fails bool) {
		wg.Go(func() {
			if k, err := m.get(ctx, owner{"default", Subject(name)}); (err != nil) != fails || (k == nil) != fails {
				t.Errorf("%s got %v, %v", name, k, err)
			}
		})
	}
	waiting := func(n int) {
		for {
			m.mu.Lock()
			done := len(m.waiting) == n
			m.mu.Unlock()
			if done {
				return
			}
			runtime.Gosched()
		}
	}
	want(t.Context(), "a", false)
	<-entered
	leaving, leave := context.WithCancel(t.Context())
	want(leaving, "z", true)
	waiting(1)
	for _, name := range []string{"b", "c", "b"} {
		want(t.Context(), name, false)
	}
	waiting(4)
	leave()
	waiting(3)
	proceed <- struct{}{}
	<-entered
	proceed <- struct{}{}
	wg.Wait()
	if len(statements) != 2 || len(statements[0]) != 1 || len(statements[1]) != 2 {
		t.Errorf("statements for %v", statements)
	}
	want(t.Context(), "d", false)
	<-entered
	proceed <- struct{}{}
	wg.Wait()
}
