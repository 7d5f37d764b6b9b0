package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	noon     = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	key      = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	otherKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	public   = key.Public().(ed25519.PublicKey)
)

// fixture is a database with a log.
type fixture struct {
	*sql.DB
	t     testing.TB
	log   *Log
	store *eventstore.Store
	heads map[string]eventstore.Head
	at    time.Time // when things happen
}

func newFixture(t testing.TB) *fixture {
	db := pgtest.New(t).DB
	f := &fixture{DB: db, t: t, store: eventstore.New(db), heads: map[string]eventstore.Head{}, at: noon}
	f.log = New(db, func() time.Time { return f.at })
	return f
}

// append adds an event to each of the streams, which are named "workspace/id".
func (f *fixture) append(streams ...string) {
	f.t.Helper()
	for _, name := range streams {
		workspace, id, _ := strings.Cut(name, "/")
		head := f.heads[name]
		data := fmt.Appendf(nil, `{"note":"\"%d\" \\ ä"}`, head.Version+1)
		b := eventstore.NewBatch(workspace, domain.StreamID{Aggregate: "order", ID: id}, head,
			[]eventstore.Fact{{Type: "order.noted", SchemaVersion: 1, Data: data}}, []byte(`{"command":"order.note"}`), f.at, nil)
		if err := f.store.Append(f.t.Context(), b); err != nil {
			f.t.Fatal(err)
		}
		f.heads[name] = b.Head()
	}
}

// seal seals everything that was appended, once no transaction of another test holds the horizon any more.
func (f *fixture) seal() {
	f.t.Helper()
	f.settle()
	if _, _, err := f.log.Seal(f.t.Context(), key, SealOptions{Progress: &Progress{}}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) settle() {
	f.t.Helper()
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		var settled bool
		if err := f.QueryRowContext(f.t.Context(), `SELECT max(transaction_id) < log_horizon() FROM events`).Scan(&settled); err != nil {
			f.t.Fatal(err)
		}
		if settled {
			return
		}
	}
}

// exec changes tables behind everybody's back.
func (f *fixture) exec(statements ...string) {
	f.t.Helper()
	tx, err := f.Begin()
	if err != nil {
		f.t.Fatal(err)
	}
	defer tx.Rollback()
	for _, s := range append([]string{`SET LOCAL session_replication_role = replica`}, statements...) {
		if _, err := tx.Exec(s); err != nil {
			f.t.Fatalf("%s: %v", s, err)
		}
	}
	if err := tx.Commit(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) verify(o Options) Report {
	f.t.Helper()
	r, err := f.log.Verify(f.t.Context(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// findings are all that a report found, as text.
func findings(r Report) string {
	var list []string
	for _, b := range r.Broken {
		list = append(list, fmt.Sprintf("%s/%s %d: %s", b.Workspace, b.Stream, b.Version, b.Reason))
	}
	for _, fault := range r.Seals.Faults {
		list = append(list, fault.String())
	}
	return strings.Join(list, "\n")
}

// life is a log with three seals, which cover ten events each, and two events behind them.
func life(t testing.TB) *fixture {
	f := newFixture(t)
	for range 3 {
		f.append("a/1", "a/2", "b/1", "a/1", "b/2", "a/1", "b/1", "a/3", "a/3", "a/2")
		f.seal()
	}
	f.append("a/1", "b/9")
	return f
}

// rechain writes a stream anew from one of its events on, with hashes that fit.
func (f *fixture) rechain(workspace, stream string, from int) {
	f.t.Helper()
	id, err := domain.ParseStreamID(stream)
	if err != nil {
		f.t.Fatal(err)
	}
	var previous []byte
	var statements []string
	for r, err := range f.store.ReadStream(f.t.Context(), workspace, id, 0) {
		if err != nil {
			f.t.Fatal(err)
		}
		if r.Version >= from {
			r.Data = []byte(`{"note":"forged"}`)
			r.Hash = eventstore.ChainHash(previous, r)
			statements = append(statements, fmt.Sprintf(`UPDATE events SET data = '%s', hash = '\x%x' WHERE id = '%s'`, r.Data, r.Hash, r.ID))
		}
		previous = r.Hash
	}
	f.exec(statements...)
}

const insert = `INSERT INTO events (transaction_id, position, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
	OVERRIDING SYSTEM VALUE SELECT transaction_id, 1000000, workspace, 'order/77', 1, gen_random_uuid(), type, schema_version, data, metadata, recorded_at, hash
	FROM events WHERE workspace = 'a' AND stream = 'order/2' AND version = 2`

// tampering is whatever somebody may do who can write to every table and has no key.
var tampering = []struct {
	name string
	do   func(*fixture)
	want string // what is found
}{
	{"nothing", func(*fixture) {}, ""},
	{"change", func(f *fixture) {
		f.exec(`UPDATE events SET data = '{"note":"forged"}' WHERE workspace = 'a' AND stream = 'order/1' AND version = 5`)
	}, "a/order/1 5: the event, or one before it, does not match its hash"},
	{"change with its hash", func(f *fixture) {
		f.exec(`UPDATE events SET hash = sha256('x') WHERE workspace = 'a' AND stream = 'order/3' AND version = 6`)
	}, "a/order/3 6: the event, or one before it, does not match its hash\n" +
		"seal 3, at order/3 version 6 of workspace a: this event is not the one that was sealed at its place"},
	{"delete", func(f *fixture) {
		f.exec(`DELETE FROM events WHERE workspace = 'b' AND stream = 'order/1' AND version = 3`)
	}, "b/order/1 3: the event is missing, version 4 follows\n" +
		"seal 2, at order/1 version 5 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)"},
	{"insert", func(f *fixture) { f.exec(insert) }, "a/order/77 1: the event, or one before it, does not match its hash\n" +
		"seal 2, at order/77 version 1 of workspace a: this event was not there when it was sealed (10 were sealed, 11 are there)"},
	{"swap two in a stream", func(f *fixture) {
		f.exec(`UPDATE events SET version = 100 WHERE workspace = 'a' AND stream = 'order/1' AND version = 2`,
			`UPDATE events SET version = 2 WHERE workspace = 'a' AND stream = 'order/1' AND version = 3`,
			`UPDATE events SET version = 3 WHERE workspace = 'a' AND stream = 'order/1' AND version = 100`)
	}, "a/order/1 2: the event, or one before it, does not match its hash"},
	{"swap two in the log", func(f *fixture) {
		f.exec(`CREATE TEMP TABLE two ON COMMIT DROP AS SELECT * FROM events WHERE stream = 'order/2' AND version = 1`,
			`DELETE FROM events WHERE stream = 'order/2' AND version = 1`,
			`INSERT INTO events (transaction_id, position, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
				OVERRIDING SYSTEM VALUE SELECT o.transaction_id, o.position, t.workspace, t.stream, t.version, t.id, t.type, t.schema_version, t.data,
				t.metadata, t.recorded_at, t.hash FROM two t JOIN two o ON o.workspace <> t.workspace`)
	}, "seal 1, at order/2 version 1 of workspace b: this event is not the one that was sealed at its place"},
	{"cut a stream's end off", func(f *fixture) {
		f.exec(`DELETE FROM events WHERE workspace = 'b' AND stream = 'order/2' AND version >= 2`)
	}, "seal 2, at order/1 version 6 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)\n" +
		"seal 3, at order/1 version 9 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)"},
	{"cut the end of a range off", func(f *fixture) {
		f.exec(`DELETE FROM events WHERE workspace = 'a' AND stream = 'order/2' AND version = 6`)
	}, "seal 3, at order/3 version 6 of workspace a: the events behind this one are gone (10 were sealed, 9 are there)"},
	{"delete a stream", func(f *fixture) {
		f.exec(`DELETE FROM events WHERE workspace = 'b' AND stream = 'order/2'`)
	}, "seal 1, at order/1 version 3 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)\n" +
		"seal 2, at order/1 version 6 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)\n" +
		"seal 3, at order/1 version 9 of workspace a: the events right before this one are gone (10 were sealed, 9 are there)"},
	{"delete what a seal covers", func(f *fixture) {
		f.exec(`DELETE FROM events WHERE (transaction_id, position) > (SELECT last_transaction_id, last_position FROM seals WHERE number = 2)`)
	}, "seal 3: all of its events are gone (10 were sealed, 0 are there)"},
	{"write a stream anew from its middle", func(f *fixture) { f.rechain("a", "order/3", 4) },
		"seal 2, at order/3 version 4 of workspace a: this event is not the one that was sealed at its place\n" +
			"seal 3, at order/3 version 5 of workspace a: this event is not the one that was sealed at its place"},
	{"change a seal", func(f *fixture) { f.exec(`UPDATE seals SET root = sha256('x') WHERE number = 2`) },
		"seal 2: it was altered: its signature does not fit\nseal 3: it was made behind another seal 2 than this one"},
	{"change marks", func(f *fixture) {
		f.exec(`UPDATE seals SET marks = set_byte(marks, 0, get_byte(marks, 0) # 1) WHERE number = 1`)
	},
		"seal 1: it was altered: its signature does not fit\nseal 2: it was made behind another seal 1 than this one"},
	{"seal with another key", func(f *fixture) { f.reseal(otherKey) },
		fmt.Sprintf("seal 1: it is signed with the key %[1]s, which is none of those given\nseal 2: it is signed with the key %[1]s, which is none of those given\n"+
			"seal 3: it is signed with the key %[1]s, which is none of those given", KeyID(otherKey.Public().(ed25519.PublicKey)))},
	{"drop a seal", func(f *fixture) { f.exec(`DELETE FROM seals WHERE number = 2`) }, "seal 3: seal 2, which comes before it, is missing"},
	{"drop the last seal", func(f *fixture) { f.exec(`DELETE FROM seals WHERE number = 3`) },
		"seal 3: it is missing: it was made at 2026-01-01T12:00:00Z"},
	{"drop all seals", func(f *fixture) { f.exec(`DELETE FROM seals`) },
		"seal 1: it is missing: it was made at 2026-01-01T12:00:00Z\nseal 2: it is missing: it was made at 2026-01-01T12:00:00Z\n" +
			"seal 3: it is missing: it was made at 2026-01-01T12:00:00Z"},
}

// reseal makes every seal anew, with a key.
func (f *fixture) reseal(key ed25519.PrivateKey) {
	f.t.Helper()
	var seals []Seal
	for s, err := range f.log.Seals(f.t.Context(), 0) {
		if err != nil {
			f.t.Fatal(err)
		}
		var before Seal
		if len(seals) > 0 {
			before = seals[len(seals)-1]
		}
		c := collector{seal: Seal{First: s.First, Last: s.Last, Events: s.Events, RecordedFrom: s.RecordedFrom, RecordedTo: s.RecordedTo, Marks: s.Marks}}
		anew := c.finish(before, key, s.SealedAt)
		anew.Root = s.Root
		anew.Signature = ed25519.Sign(key, anew.Statement())
		seals = append(seals, anew)
	}
	f.exec(`DELETE FROM seals`)
	for _, s := range seals {
		if _, err := f.log.insertSeal(f.t.Context(), s); err != nil {
			f.t.Fatal(err)
		}
	}
}

// witness writes all seals down.
func (f *fixture) witness() []Witnessed {
	f.t.Helper()
	var file bytes.Buffer
	for s, err := range f.log.Seals(f.t.Context(), 0) {
		if err != nil || WriteWitness(&file, s) != nil {
			f.t.Fatal(err)
		}
	}
	witness, err := ReadWitness(&file)
	if err != nil || len(witness) == 0 {
		f.t.Fatal(witness, err)
	}
	return witness
}

func TestTampering(t *testing.T) {
	t.Parallel()
	for _, test := range tampering {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := life(t)
			o := Options{Keys: []ed25519.PublicKey{public}, Witness: f.witness()}
			if test.name == "seal with another key" {
				o.Witness = nil
			}
			test.do(f)
			report := f.verify(o)
			if got := findings(report); got != test.want {
				t.Errorf("found\n%s\nwant\n%s", got, test.want)
			}
			if report.Intact() != (test.want == "") {
				t.Error("the report says that it is intact:", report.Intact())
			}
			if test.want != "" && (&AlteredError{report}).Error() == "" {
				t.Error("the error says nothing")
			}
			bundle, _ := f.export(ExportOptions{Key: otherKey})
			o.Keys = append(o.Keys, otherKey.Public().(ed25519.PublicKey))
			if test.name == "seal with another key" {
				o.Keys = o.Keys[:1]
				bundle, _ = f.export(ExportOptions{})
			}
			report, err := VerifyBundle(t.Context(), bytes.NewReader(bundle), o)
			if got := findings(report); err != nil || got != test.want {
				t.Errorf("in the bundle: found\n%s\nwant\n%s\n%v", got, test.want, err)
			}
		})
	}
}

// What is behind the last seal is protected by its chains only, and a report says how much that is.
func TestWhatSealsCannotShow(t *testing.T) {
	t.Parallel()
	f := life(t)
	if r := f.verify(Options{}); r.Seals.Unsealed != 2 || r.Seals.Sealed != 30 || r.Seals.Number != 3 || r.Seals.Trusted || r.Streams != 6 || r.Events != 32 {
		t.Errorf("%+v", r)
	}
	f.exec(`DELETE FROM events WHERE stream = 'order/9'`)
	if r := f.verify(Options{}); !r.Intact() || r.Seals.Unsealed != 1 {
		t.Errorf("%+v", r)
	}
	// Without a witness, dropping the newest seals shows only in how much is not sealed.
	f.exec(`DELETE FROM seals WHERE number = 3`)
	if r := f.verify(Options{}); !r.Intact() || r.Seals.Unsealed != 11 {
		t.Errorf("%+v", r)
	}
	// And whoever makes all seals anew with a key of their own is found out by the key that is known, or by the witness.
	f.reseal(otherKey)
	if r := f.verify(Options{}); !r.Intact() || !slices.Equal(r.Seals.Keys, []string{FormatPublicKey(otherKey.Public().(ed25519.PublicKey))}) {
		t.Errorf("%+v", r)
	}
}

func TestSealsAreAppendOnly(t *testing.T) {
	t.Parallel()
	f := life(t)
	for _, statement := range []string{`UPDATE seals SET events = 1`, `DELETE FROM seals`, `TRUNCATE seals`} {
		if _, err := f.Exec(statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// One wins, and the others go on behind it: every event is in exactly one seal.
func TestSealersAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if _, _, err := f.log.Seal(t.Context(), key, SealOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 40 {
		f.append("a/1", "a/2")
	}
	wg.Wait()
	f.seal()
	if r := f.verify(Options{Keys: []ed25519.PublicKey{public}}); !r.Intact() || r.Seals.Sealed != 80 || r.Seals.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
}

// What a transaction has not committed yet will be sealed once it is settled, and so will what comes after it.
func TestSealLeavesOutWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tx, err := f.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	late := eventstore.NewBatch("a", domain.StreamID{Aggregate: "order", ID: "late"}, eventstore.Head{},
		[]eventstore.Fact{{Type: "x", SchemaVersion: 1, Data: []byte(`{}`)}}, []byte(`{}`), noon, nil)
	if err := f.store.AppendTx(t.Context(), tx, late); err != nil {
		t.Fatal(err)
	}
	f.append("a/1")
	if seals, events, err := f.log.Seal(t.Context(), key, SealOptions{}); err != nil || seals != 0 || events != 0 {
		t.Errorf("%d seals of %d events, %v", seals, events, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	f.seal()
	if r := f.verify(Options{}); !r.Intact() || r.Seals.Sealed != 2 {
		t.Errorf("%+v", r)
	}
}

func TestSealersKey(t *testing.T) {
	t.Parallel()
	f := life(t)
	var other *OtherKeyError
	if _, _, err := f.log.Seal(t.Context(), otherKey, SealOptions{}); !errors.As(err, &other) || other.Seal != 3 {
		t.Errorf("another key: %v", err)
	}
	f.append("a/1")
	var made []int64
	f.seal()
	f.append("a/1")
	for tick := time.NewTicker(time.Millisecond); len(made) == 0; <-tick.C {
		if _, _, err := f.log.Seal(t.Context(), otherKey, SealOptions{NewKey: true, Made: func(s Seal) error { made = append(made, s.Number); return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	both := []ed25519.PublicKey{public, otherKey.Public().(ed25519.PublicKey)}
	if r := f.verify(Options{Keys: both}); !r.Intact() || len(r.Seals.Keys) != 2 {
		t.Errorf("%+v", r)
	}
	f.exec(`UPDATE seals SET events = events + 1, marks = marks || '\x00000000' WHERE number = (SELECT max(number) FROM seals)`)
	if _, _, err := f.log.Seal(t.Context(), otherKey, SealOptions{}); !errors.As(err, new(*BadSealError)) {
		t.Errorf("behind an altered seal: %v", err)
	}
}

// A range that is larger than a seal gets several, and streams that are longer than a page or a range are walked in one piece.
func TestLongLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const events, long = 6000, pageSize * 3 / 2
	f.log.sealSize, f.log.rangeSize = 4000, 1000
	f.fill(events, long)
	f.seal()
	var p Progress
	r := f.verify(Options{Keys: []ed25519.PublicKey{public}, Progress: &p})
	if !r.Intact() || r.Events != events || r.Seals.Number != 2 || r.Seals.Sealed != r.Events || r.Seals.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
	if done, _ := p.Done(); p.Step() != "seals" || done != r.Events {
		t.Errorf("%s: %d done", p.Step(), done)
	}
	if one := f.verify(Options{Workspace: "a", ChainsOnly: true}); one.Streams != 1 || one.Events != long {
		t.Errorf("one workspace: %+v", one)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.log.Verify(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// fill appends n events fast: to one stream of workspace a as many as said, the others to streams of ten in workspace b.
func (f *fixture) fill(n, long int) {
	f.t.Helper()
	appendAll := func(workspace, id string, count int) {
		facts := make([]eventstore.Fact, count)
		for i := range facts {
			facts[i] = eventstore.Fact{Type: "order.noted", SchemaVersion: 1, Data: fmt.Appendf(nil, `{"note":"%s-%d","text":"%0300d"}`, id, i, i)}
		}
		b := eventstore.NewBatch(workspace, domain.StreamID{Aggregate: "order", ID: id}, f.heads[workspace+"/"+id], facts, []byte(`{"command":"order.note","actor":"checkout"}`), noon, nil)
		if err := f.store.Append(f.t.Context(), b); err != nil {
			f.t.Fatal(err)
		}
		f.heads[workspace+"/"+id] = b.Head()
	}
	for done := 0; done < long; done += 2000 {
		appendAll("a", "long", min(2000, long-done))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := long
	for range 8 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next += 10
				mu.Unlock()
				if i >= n {
					return
				}
				facts := make([]eventstore.Fact, min(10, n-i))
				for j := range facts {
					facts[j] = eventstore.Fact{Type: "order.noted", SchemaVersion: 1, Data: fmt.Appendf(nil, `{"note":"%d-%d","text":"%0300d"}`, i, j, j)}
				}
				b := eventstore.NewBatch("b", domain.StreamID{Aggregate: "order", ID: fmt.Sprint("o", i)}, eventstore.Head{}, facts, []byte(`{"command":"order.note","actor":"checkout"}`), noon, nil)
				if err := f.store.Append(f.t.Context(), b); err != nil {
					f.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The tree is that of RFC 6962, section 2.1: compared with its recursive definition there.
func TestTree(t *testing.T) {
	t.Parallel()
	var define func(leaves [][sha256.Size]byte) [sha256.Size]byte
	define = func(leaves [][sha256.Size]byte) [sha256.Size]byte {
		switch len(leaves) {
		case 0:
			return sha256.Sum256(nil)
		case 1:
			return leaves[0]
		}
		k := 1
		for 2*k < len(leaves) {
			k *= 2
		}
		left, right := define(leaves[:k]), define(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
	var tree tree
	var leaves [][sha256.Size]byte
	for n := range 300 {
		if got, want := tree.root(), define(leaves); got != want {
			t.Fatalf("root of %d leaves is %x, want %x", n, got, want)
		}
		hash := sha256.Sum256(fmt.Append(nil, n))
		l := leaf(eventstore.Cursor{TransactionID: int64(n), Position: 7}, hash[:])
		if want := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 0, 0, 0, 7}, hash[:])); l != want {
			t.Fatalf("leaf %d is %x, want %x", n, l, want)
		}
		tree.add(l)
		leaves = append(leaves, l)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	made, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseKey(FormatKey(made) + "\n"); err != nil || !back.Equal(made) {
		t.Errorf("%v", err)
	}
	if back, err := ParsePublicKey(FormatPublicKey(public)); err != nil || !back.Equal(public) {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "hunter2", FormatKey(made)[:20]} {
		var wrong *KeyError
		if _, err := ParseKey(text); !errors.As(err, &wrong) || wrong.Public || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := ParsePublicKey(text); !errors.As(err, &wrong) || !wrong.Public {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ReadWitness(strings.NewReader("{\"number\":1}\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a line that is about no seal: %v", err)
	}
}
