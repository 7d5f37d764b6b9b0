package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: "order", ID: id} }

// batch is n events for a stream.
func batch(id string, after Head, n int, key ...string) *Batch {
	facts := make([]Fact, n)
	for i := range facts {
		facts[i] = Fact{Type: "order.noted", SchemaVersion: 1, Data: []byte(fmt.Sprintf(`{"note":"\"%d\" \\ ä"}`, i))}
	}
	var k *Key
	if len(key) > 0 {
		k = &Key{Name: key[0], Fingerprint: [32]byte{1}}
	}
	return NewBatch("default", stream(id), after, facts, []byte(`{"command":"order.note"}`), noon, k)
}

func appended(t *testing.T, s *Store, b *Batch) *Batch {
	t.Helper()
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, events iter.Seq2[domain.Recorded, error]) (all []domain.Recorded) {
	t.Helper()
	for r, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// names lists events as "id/version", in their order.
func names(events []domain.Recorded) string {
	var list []string
	for _, r := range events {
		list = append(list, fmt.Sprintf("%s/%d", r.Stream.ID, r.Version))
	}
	return strings.Join(list, " ")
}

func conflict(err error) bool { return errors.As(err, new(*ConflictError)) }
func taken(err error) bool    { return errors.As(err, new(*KeyTakenError)) }

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	s := New(pgtest.New(t).DB)
	first := appended(t, s, batch("a", Head{}, 3))
	second := appended(t, s, batch("a", first.Head(), 2))
	events := read(t, s.ReadStream(t.Context(), "default", stream("a"), 0))
	if got := names(events); got != "a/1 a/2 a/3 a/4 a/5" {
		t.Fatalf("stream is %s", got)
	}
	for i, want := range append(first.Events, second.Events...) {
		if got := fmt.Sprintf("%+v", events[i]); got != fmt.Sprintf("%+v", want) {
			t.Errorf("read    %s\nappended %+v", got, want)
		}
	}
	if got := names(read(t, s.ReadStream(t.Context(), "default", stream("a"), 3))); got != "a/4 a/5" {
		t.Errorf("behind version 3: %s", got)
	}
	if got := read(t, s.ReadStream(t.Context(), "other", stream("a"), 0)); len(got) != 0 {
		t.Errorf("another workspace sees %s", names(got))
	}
	if r, err := s.EventByID(t.Context(), "default", events[2].ID); err != nil || r.Version != 3 {
		t.Errorf("by id: %v, %v", r, err)
	}
	if _, err := s.EventByID(t.Context(), "other", events[2].ID); !errors.As(err, new(*domain.NotFoundError)) {
		t.Errorf("by id in another workspace: %v", err)
	}
}

func TestReadsInPages(t *testing.T) {
	t.Parallel()
	s := New(pgtest.New(t).DB)
	head := Head{}
	for range 3 {
		head = appended(t, s, batch("a", head, PageSize-1)).Head()
	}
	want := 3 * (PageSize - 1)
	if got := read(t, s.ReadStream(t.Context(), "default", stream("a"), 0)); len(got) != want || got[want-1].Version != want {
		t.Errorf("the stream has %d events, want %d", len(got), want)
	}
	if got := settled(t, s, want); len(got) != want {
		t.Errorf("the log has %d events, want %d", len(got), want)
	}
	for range s.ReadLog(t.Context(), Cursor{}) {
		break // stopping early is the caller's right
	}
}

// One statement, many commands, and each gets what it deserves.
func TestVerdictsOfAGroup(t *testing.T) {
	t.Parallel()
	s := New(pgtest.New(t).DB)
	old := appended(t, s, batch("old", Head{}, 1, "used"))
	other := old.Head()
	other.Hash = batch("old", Head{}, 2).Events[1].Hash
	b := []*Batch{
		0:  batch("free", Head{}, 3),
		1:  batch("old", Head{}, 2),                          // somebody was there before
		2:  batch("old", old.Head(), 1),                      // this one knows it
		3:  batch("same", Head{}, 2),                         // 3 and 4 want the same place
		4:  batch("same", Head{}, 1),                         //
		5:  batch("keyed", Head{}, 1, "used"),                // the key is taken
		6:  batch("twice", Head{}, 1, "twice"),               // 6 and 7 want the same key
		7:  batch("twice-too", Head{}, 1, "twice"),           //
		8:  batch("old", Head{}, 1, "freed"),                 // loses its place, so its key must be free again
		9:  batch("nothing", Head{Version: 7}, 0, "nothing"), // an outcome without events
		10: batch("old", other, 2),                           // follows an event that is not in the log
	}
	verdicts, err := s.appendAll(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range []func(error) bool{0: nil, 1: conflict, 2: nil, 5: taken, 8: conflict, 9: nil, 10: conflict} {
		switch err := verdicts[i]; {
		case i == 3 || i == 4 || i == 6 || i == 7: // in pairs, below
		case ok == nil && err != nil, ok != nil && !ok(err):
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if (verdicts[3] == nil) == (verdicts[4] == nil) || verdicts[3] != nil && !conflict(verdicts[3]) || verdicts[4] != nil && !conflict(verdicts[4]) {
		t.Errorf("one place, two batches: %v, %v", verdicts[3], verdicts[4])
	}
	if (verdicts[6] == nil) == (verdicts[7] == nil) || verdicts[6] != nil && !taken(verdicts[6]) || verdicts[7] != nil && !taken(verdicts[7]) {
		t.Errorf("one key, two batches: %v, %v", verdicts[6], verdicts[7])
	}
	for i, b := range b {
		got := 0
		for _, r := range read(t, s.ReadStream(t.Context(), "default", b.Stream, b.After.Version)) {
			if len(b.Events) > 0 && r.ID == b.Events[min(got, len(b.Events)-1)].ID {
				got++
			}
		}
		if want := len(b.Events); verdicts[i] == nil && got != want || verdicts[i] != nil && got != 0 {
			t.Errorf("batch %d (%v): %d of %d events are in the log", i, verdicts[i], got, want)
		}
		for _, r := range b.Events {
			if (r.Position > 0) != (verdicts[i] == nil) {
				t.Errorf("batch %d (%v): position %d", i, verdicts[i], r.Position)
			}
		}
	}
	for key, want := range map[string]bool{"used": true, "twice": true, "freed": false, "nothing": true} {
		outcome, found, err := s.Outcome(t.Context(), nil, "default", key)
		if err != nil || found != want {
			t.Errorf("key %s: found %v, %v", key, found, err)
		}
		if key == "nothing" && (outcome.First != 8 || outcome.Last != 7) {
			t.Errorf("an outcome without events is %+v", outcome)
		}
	}
	if _, err := VerifyChain(s.ReadStream(t.Context(), "default", stream("old"), 0)); err != nil {
		t.Error(err)
	}
}

// The statement for plain batches gives the same verdicts as the function.
func TestVerdictsOfAPlainGroup(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	old := appended(t, s, batch("old", Head{}, 1))
	other, lost := old.Head(), old.Head() // heads of another log: one that went another way, and one that went on
	other.Hash = batch("old", Head{}, 2).Events[1].Hash
	lost.Version = 7
	b := []*Batch{
		batch("free", Head{}, 1), batch("old", Head{}, 1), batch("old", old.Head(), 1),
		batch("same", Head{}, 1), batch("same", Head{}, 1), batch("old", other, 1), batch("old", lost, 1),
	}
	if !plain(b) || plain(append(b, batch("x", Head{}, 2))) || plain(append(b, batch("x", Head{}, 1, "key"))) {
		t.Fatal("these batches are plain, and those are not")
	}
	verdicts, err := s.appendAll(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, wins := range []bool{true, false, true, verdicts[3] == nil, verdicts[3] != nil, false, false} {
		if wins != (verdicts[i] == nil) || !wins && !conflict(verdicts[i]) {
			t.Errorf("batch %d: %v", i, verdicts[i])
		}
		if wins != (b[i].Events[0].Position > 0) {
			t.Errorf("batch %d: position %d", i, b[i].Events[0].Position)
		}
	}
	var events int
	if err := db.QueryRow(`SELECT count(*) FROM events`).Scan(&events); err != nil || events != 4 {
		t.Errorf("%d events in the log, %v", events, err)
	}
}

// A batch that the database refuses must not take the others in its statement down with it.
func TestRefusedBatchFailsAlone(t *testing.T) {
	t.Parallel()
	s := New(pgtest.New(t).DB)
	poison := batch("poison", Head{}, 1)
	poison.Events[0].Data = []byte(`{"not":"json`)
	all := []*Batch{batch("a", Head{}, 1), poison, batch("b", Head{}, 1)}
	waiters := make([]*waiter, len(all))
	for i, b := range all {
		waiters[i] = &waiter{batch: b}
	}
	var internal *pgerr.Error
	for i, err := range s.group.flush(t.Context(), waiters) {
		if i == 1 && !(errors.As(err, &internal) && internal.Kind == pgerr.Internal) || i != 1 && err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if strings.Contains(internal.Error(), "json") {
		t.Errorf("the database's own words reach the caller: %v", internal)
	}
}

// Whoever waits may give up; whoever is called to lead just then passes the lead on.
func TestGroupSurvivesCallersWhoLeave(t *testing.T) {
	t.Parallel()
	hold, underWay := make(chan struct{}), make(chan int, 100)
	g := &group{stuckAfter: time.Microsecond, appendAll: func(_ context.Context, batches []*Batch) ([]error, error) {
		underWay <- len(batches)
		<-hold
		return make([]error, len(batches)), nil
	}}
	results := make(chan error, 100)
	run := func(ctx context.Context) { go func() { results <- g.append(ctx, &Batch{}) }() }
	for range maxFlushes {
		run(t.Context())
		<-underWay
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range 10 {
		run(ctx)
	}
	eventually(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == 10 })
	cancel()
	for range 10 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context ended got %v", err)
		}
	}
	run(t.Context())
	eventually(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == 1 })
	close(hold)
	for range maxFlushes + 1 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flushing != 0 || len(g.waiting) != 0 {
		t.Errorf("%d statements under way and %d callers waiting after everybody is done", g.flushing, len(g.waiting))
	}

	// Called to lead and gone at the same moment: the next one leads.
	gone, next := &waiter{lead: make(chan struct{}, 1)}, &waiter{lead: make(chan struct{}, 1)}
	g.waiting = []*waiter{gone, next}
	g.board()
	g.mu.Unlock()
	g.leave(gone)
	g.mu.Lock()
	select {
	case <-next.lead:
	default:
		t.Error("nobody leads")
	}
}

// A server's statement_timeout ends a statement that waits for a rival: who caused it is told so, and nobody else of its group suffers.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Exec(`ALTER DATABASE ` + db.Name + ` SET statement_timeout = 2000`); err != nil { // for connections from now on
		t.Fatal(err)
	}
	impatient, err := sql.Open("postgres", db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	rival, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rival.Rollback()
	if err := New(db.DB).AppendTx(t.Context(), rival, batch("a", Head{}, 1)); err != nil {
		t.Fatal(err)
	}
	s := New(impatient)
	verdicts := s.group.flush(t.Context(), []*waiter{{batch: batch("a", Head{}, 1)}, {batch: batch("b", Head{}, 1)}})
	var failure *pgerr.Error
	if !errors.As(verdicts[0], &failure) || failure.Kind != pgerr.TimedOut || !failure.Retryable() || failure.Unknown || errors.Is(verdicts[0], context.Canceled) {
		t.Errorf("who waited for a rival in vain got %v", verdicts[0])
	}
	if verdicts[1] != nil {
		t.Errorf("who was in the same statement got %v", verdicts[1])
	}
	if err := rival.Rollback(); err != nil {
		t.Fatal(err)
	}
	appended(t, s, batch("a", Head{}, 1)) // nothing of it was written
}

// While a statement is under way, others gather: until they are worth one of their own, or it is done.
func TestGroupGathers(t *testing.T) {
	t.Parallel()
	finish, underWay := make(chan struct{}), make(chan int)
	g := &group{stuckAfter: time.Hour, appendAll: func(_ context.Context, batches []*Batch) ([]error, error) {
		underWay <- len(batches)
		<-finish
		return make([]error, len(batches)), nil
	}}
	results := make(chan error, 100)
	waiting := 0
	run := func(n int) {
		for range n {
			go func() { results <- g.append(t.Context(), &Batch{}) }()
		}
		waiting += n
		eventually(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == waiting })
	}
	left := func(want int) {
		if n := <-underWay; n != want {
			t.Errorf("a statement with %d batches, want %d", n, want)
		}
		waiting = 0
	}
	go func() { results <- g.append(t.Context(), &Batch{}) }()
	left(1)
	run(worthwhile - 1)
	go func() { results <- g.append(t.Context(), &Batch{}) }()
	left(worthwhile)
	run(3)
	finish <- struct{}{}
	finish <- struct{}{}
	left(3)
	finish <- struct{}{}
	for range 1 + worthwhile + 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// Where many issue commands, more have to wait before a second statement leaves: half of those who were here lately.
func TestGroupKnowsItsCrowd(t *testing.T) {
	t.Parallel()
	g := &group{stuckAfter: time.Hour, flushing: 1, crowd: 20}
	for range 9 {
		g.waiting = append(g.waiting, &waiter{lead: make(chan struct{}, 1)})
	}
	g.depart()
	if g.boarding {
		t.Error("a second statement leaves with less than half of the crowd")
	}
	g.waiting = append(g.waiting, &waiter{lead: make(chan struct{}, 1)})
	g.depart()
	if !g.boarding {
		t.Error("no second statement leaves with half of the crowd")
	}
	g.waiting, g.boarding, g.flushing = nil, false, 10_000
	for range 10_000 {
		g.done()
	}
	if g.crowd > 1 {
		t.Errorf("a crowd of %.1f is remembered after 10,000 statements of nobody", g.crowd)
	}
}

// A statement that hopes for the best fails as a whole where a rival is about to take a version. Then each batch gets its own verdict all the
// same, and for a while nobody hopes.
func TestLostRace(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	for _, rivalWins := range []bool{true, false} {
		name := fmt.Sprintf("contested-%t", rivalWins)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AppendTx(t.Context(), tx, batch(name, Head{}, 1)); err != nil {
			t.Fatal(err)
		}
		s.waryUntil.Store(0)
		all := []*Batch{batch("a"+name, Head{}, 1), batch(name, Head{}, 1), batch("z"+name, Head{}, 1)}
		var verdicts []error
		done := make(chan error)
		go func() {
			var err error
			verdicts, err = s.appendAll(t.Context(), all)
			done <- err
		}()
		eventually(t, func() (waits bool) {
			err := db.QueryRow(`SELECT EXISTS (SELECT FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO events%')`).Scan(&waits)
			return err == nil && waits
		})
		if rivalWins {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err := errors.Join(err, <-done); err != nil {
			t.Fatal(err)
		}
		if lost := conflict(verdicts[1]); lost != rivalWins || verdicts[0] != nil || !lost && verdicts[1] != nil || verdicts[2] != nil {
			t.Errorf("the rival wins: %t; verdicts %v", rivalWins, verdicts)
		}
		if wary := s.waryUntil.Load() > time.Now().UnixMilli(); wary != rivalWins {
			t.Errorf("the rival wins: %t; the store is wary: %t", rivalWins, wary)
		}
	}
}

// Who waits for a lock that a caller's own transaction holds does not hold up anybody else.
func TestStuckStatementsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	held := []string{"held1", "held2", "held3"}
	for _, id := range held {
		if err := s.AppendTx(t.Context(), tx, batch(id, Head{}, 1)); err != nil {
			t.Fatal(err)
		}
	}
	results := make(chan error, len(held))
	for i, id := range held {
		go func() { results <- s.Append(t.Context(), batch(id, Head{}, 1)) }()
		eventually(t, func() bool {
			s.group.mu.Lock()
			defer s.group.mu.Unlock()
			return s.group.flushing == i+1 && !s.group.boarding
		})
	}
	appended(t, s, batch("free", Head{}, 1))
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range held {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// settled reads the log once it shows n events. That may take a moment: transactions of other tests, in other databases of the same
// server, hold the horizon for everybody.
func settled(t *testing.T, s *Store, n int) (events []domain.Recorded) {
	t.Helper()
	eventually(t, func() bool { events = read(t, s.ReadLog(t.Context(), Cursor{})); return len(events) >= n })
	return events
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for tick := time.NewTicker(time.Millisecond); !condition(); <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("it never happened")
		}
	}
}

// A transaction that started early and commits late must not be skipped, nor appear behind a reader.
func TestReadLogWaitsForLateCommits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	late, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Rollback()
	if err := s.AppendTx(t.Context(), late, batch("late", Head{}, 1)); err != nil {
		t.Fatal(err)
	}
	appended(t, s, batch("early", Head{}, 1))
	if got := names(read(t, s.ReadLog(t.Context(), Cursor{}))); got != "" {
		t.Errorf("while an older transaction runs the log shows %q", got)
	}
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := names(settled(t, s, 2)); got != "late/1 early/1" {
		t.Errorf("after it the log shows %q", got)
	}
}

// An append that would put a later version of a stream before an earlier one in the log is refused, and the refusal leaves the
// caller's transaction alive.
func TestAppendTxKeepsTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	old, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Rollback()
	if err := s.AppendTx(t.Context(), old, batch("other", Head{}, 1)); err != nil { // old has its place in the log now
		t.Fatal(err)
	}
	young := appended(t, s, batch("a", Head{}, 1))
	if err := s.AppendTx(t.Context(), old, batch("a", young.Head(), 1)); !conflict(err) {
		t.Errorf("an append by an older transaction: %v", err)
	}
	if err := s.AppendTx(t.Context(), old, batch("a", Head{}, 1)); !conflict(err) {
		t.Errorf("an append to a version that is there: %v", err)
	}
	if err := s.AppendTx(t.Context(), old, batch("b", Head{}, 2)); err != nil {
		t.Errorf("the transaction is unusable: %v", err)
	}
	if err := old.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := names(settled(t, s, 4)); got != "other/1 b/1 b/2 a/1" {
		t.Errorf("the log is %q", got)
	}
}

func TestStreamsAt(t *testing.T) {
	t.Parallel()
	s := New(pgtest.New(t).DB)
	appended(t, s, batch("a", Head{}, 3))
	appended(t, s, batch("b", Head{}, 2))
	histories, err := s.StreamsAt(t.Context(), []domain.StreamAt{
		{Workspace: "default", Stream: stream("b"), Version: 2}, {Workspace: "default", Stream: stream("none"), Version: 1},
		{Workspace: "default", Stream: stream("a"), Version: 1}, {Workspace: "default", Stream: stream("a"), Version: 3},
		{Workspace: "other", Stream: stream("a"), Version: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"b/1 b/2", "", "a/1", "a/1 a/2 a/3", ""} {
		if got := names(histories[i]); got != want {
			t.Errorf("stream %d: %q, want %q", i, got, want)
		}
	}
}

func TestHistoryCannotBeAlteredUnnoticed(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]struct {
		sql     string
		version int // that the chain is said to be broken at
	}{
		"change data":      {`UPDATE events SET data = '{"note":"forged"}' WHERE version = 2`, 2},
		"change metadata":  {`UPDATE events SET metadata = '{"actor":"somebody else"}' WHERE version = 3`, 3},
		"change type":      {`UPDATE events SET type = 'order.paid' WHERE version = 1`, 1},
		"change schema":    {`UPDATE events SET schema_version = 2 WHERE version = 4`, 4},
		"change time":      {`UPDATE events SET recorded_at = recorded_at + interval '1 microsecond' WHERE version = 5`, 5},
		"change id":        {`UPDATE events SET id = gen_random_uuid() WHERE version = 5`, 5},
		"change workspace": {`UPDATE events SET workspace = 'default' WHERE workspace = 'other'`, 1},
		"delete":           {`DELETE FROM events WHERE version = 3`, 3},
		"delete first":     {`DELETE FROM events WHERE version = 1`, 1},
		"swap": {`UPDATE events SET version = 100 WHERE version = 2; UPDATE events SET version = 2 WHERE version = 3;
			UPDATE events SET version = 3 WHERE version = 100`, 2},
		"insert": {`UPDATE events SET version = version + 100 WHERE version >= 3;
			INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
			SELECT era_base() | pg_current_xact_id()::text::bigint, workspace, stream, 3, gen_random_uuid(), type, schema_version, data, metadata, recorded_at, hash FROM events WHERE version = 2;
			UPDATE events SET version = version - 99 WHERE version >= 100`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t).DB
			s := New(db)
			if name == "change workspace" {
				foreign := batch("a", Head{}, 5)
				foreign.Workspace = "other"
				foreign.Events = NewBatch("other", stream("a"), Head{}, []Fact{{Type: "x", SchemaVersion: 1, Data: []byte(`{}`)}}, []byte(`{}`), noon, nil).Events
				foreign.ID = foreign.Events[0].ID
				appended(t, s, foreign)
			} else {
				appended(t, s, batch("a", Head{}, 5))
			}
			if _, err := db.Exec(tamper.sql); err == nil {
				t.Fatal("the log let itself be changed")
			}
			for _, statement := range []string{`ALTER TABLE events DISABLE TRIGGER events_append_only`, tamper.sql} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			_, err := VerifyChain(s.ReadStream(t.Context(), "default", stream("a"), 0))
			var broken *ChainError
			if !errors.As(err, &broken) || broken.Version != tamper.version {
				t.Errorf("the chain: %v; want it broken at version %d", err, tamper.version)
			}
		})
	}
}

// What a statement costs must not depend on how large the log is, and on whether it has been analysed since it grew.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	if _, err := db.Exec(`ALTER TABLE events SET (autovacuum_enabled = off);
		INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, 'default', 'order/' || n / 10, n % 10 + 1, gen_random_uuid(), 'x', 1, '{}', '{}',
			now(), sha256('') FROM generate_series(1, 100000) n`); err != nil {
		t.Fatal(err)
	}
	const appendArguments = `era_base(), pg_postmaster_start_time(), 'events'::regclass::oid, sha256(''),
		gen_random_uuid(), 'default', 'order/78', 11, 'x', 1, '{}', '{}', now(), sha256('')`
	for _, analysed := range []bool{false, true} {
		for name, test := range map[string]struct {
			query string
			args  string
			most  int // pages
		}{
			"stream":          {streamQuery, `'default', 'order/77', 3, 500`, 20},
			"log":             {logQuery, `0, 0, 500`, 2200},
			"behind":          {logQuery, `log_horizon(), 0, 500`, 20},
			"stride":          {strideQuery, `'other', 0, 0, 500, 50, ''`, 600},
			"places":          {placesQuery, `ARRAY[1::bigint], ARRAY[5::bigint]`, 20},
			"era":             {`SELECT begin_era() WHERE $1`, `true`, 40},
			"append, hopeful": {plainStatement(1, true), appendArguments, 80},
			"append, wary":    {plainStatement(1, false), appendArguments, 80},
			"at":              {streamsQuery, `'{default,default}', '{order/1,order/2}', '{3,4}'`, 40},
		} {
			if plan, pages := explain(t, db, test.query, test.args); pages > test.most || strings.Contains(plan, "Seq Scan on events") {
				t.Errorf("%s, analysed %v: %d pages, want at most %d\n%s", name, analysed, pages, test.most, plan)
			}
		}
		if _, err := db.Exec(`ANALYZE`); err != nil {
			t.Fatal(err)
		}
	}
}

// explain runs a query by its generic plan, and returns the plan and how many pages it touched.
func explain(t *testing.T, db *sql.DB, query, args string) (plan string, pages int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), `SET plan_cache_mode = force_generic_plan; PREPARE q AS `+query); err != nil {
		t.Fatal(err)
	}
	defer conn.ExecContext(context.Background(), `DEALLOCATE q; RESET plan_cache_mode`)
	// Once before, so that what a session that is new has to read from the catalogue does not count.
	if _, err := conn.ExecContext(t.Context(), `EXECUTE q (`+args+`)`); err != nil {
		t.Fatal(err)
	}
	var lines []string
	rows, err := conn.QueryContext(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) EXECUTE q (`+args+`)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
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

// A store that is led to another server than the one it knew, be it in another era or not, notices and goes on.
func TestServerChangesUnderTheStore(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	first := appended(t, s, batch("a", Head{}, 1))
	elsewhere := func() {
		other := *s.era.Load()
		other.base, other.server = 7<<44, other.server.Add(time.Second)
		s.era.Store(&other)
	}
	elsewhere()
	appended(t, s, batch("a", first.Head(), 1))
	elsewhere()
	appended(t, s, batch("b", Head{}, 2, "with a key"))
	elsewhere()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := s.AppendTx(t.Context(), tx, batch("c", Head{}, 1)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	all := settled(t, s, 5)
	if got := names(all); got != "a/1 a/2 b/1 b/2 c/1" {
		t.Errorf("the log is %s", got)
	}
	for _, r := range all {
		if r.TransactionID>>44 != 1 {
			t.Errorf("%s/%d is of era %d", r.Stream, r.Version, r.TransactionID>>44)
		}
	}
}

// A cluster that was brought back from a copy of its files has the same identifier, but its transactions begin where the copy was made. A
// dump of its later self that is restored into it begins a new era.
func TestEraBeginsWhereTheLogIsAheadOfTheCluster(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	if _, err := db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		VALUES (era_base() | pg_current_xact_id()::text::bigint + 1000000, 'default', 'order/a', 1, gen_random_uuid(), 'order.noted', 1, '{}', '{}', now(), sha256(''))`); err != nil {
		t.Fatal(err)
	}
	s := New(db)
	// The first who asks may do so in a transaction that comes to nothing, and the era with it.
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.AppendTx(t.Context(), tx, batch("b", Head{}, 1)), tx.Rollback()); err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(10)
	appended(t, s, batch("b", Head{}, 1))
	var begun bool
	if err := db.QueryRow(`SELECT EXISTS (SELECT FROM eras WHERE number = 2)`).Scan(&begun); err != nil || !begun {
		t.Fatalf("an era that is written in has begun: %v, %v", begun, err)
	}
	appended(t, New(db), batch("c", Head{}, 1))
	all := settled(t, s, 3)
	if got := names(all); got != "a/1 b/1 c/1" {
		t.Fatalf("the log is %s", got)
	}
	if all[1].TransactionID>>44 != 2 || all[2].TransactionID>>44 != 2 {
		t.Errorf("what was appended is of the eras %d and %d, want 2", all[1].TransactionID>>44, all[2].TransactionID>>44)
	}
}

// A transaction whose snapshot is older than the era does not know of it: what it is told of its append must not depend on that.
func TestTransactionOlderThanTheEra(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	first := appended(t, New(db), batch("a", Head{}, 1))
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`SELECT count(*) FROM events`); err != nil { // takes the snapshot
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		VALUES (era_base() | pg_current_xact_id()::text::bigint + 1000000, 'default', 'order/b', 1, gen_random_uuid(), 'order.noted', 1, '{}', '{}', now(), sha256(''))`); err != nil {
		t.Fatal(err)
	}
	s := New(db)
	appended(t, s, batch("c", Head{}, 1)) // begins the second era
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	wrong := first.Head()
	wrong.Hash = make([]byte, len(wrong.Hash))
	if err := s.AppendTx(ctx, tx, batch("a", wrong, 1)); !conflict(err) {
		t.Errorf("what does not follow got %v", err)
	}
	if e := s.era.Load(); e == nil || e.base>>44 != 2 {
		t.Errorf("the store takes the era for %+v", e)
	}
}

// Whoever asks for the era while others append is told the one that there is.
func TestNoEraBeginsWhileOthersAppend(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	s := New(db)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 300 {
				if err := s.Append(t.Context(), batch(fmt.Sprintf("%d-%d", g, i), Head{}, 1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for range 300 {
				if e, err := s.askEra(t.Context(), nil); err != nil || e.base != 1<<44 {
					t.Errorf("the era is %+v, %v", e, err)
					return
				}
			}
		})
	}
	all.Wait()
	var eras int
	if err := db.QueryRow(`SELECT count(*) FROM eras`).Scan(&eras); err != nil || eras != 1 {
		t.Errorf("there are %d eras (%v), want 1", eras, err)
	}
}
