package pgtest

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// roleVariable makes the test binary a program of its own, which runs only TestRole.
const roleVariable = "PGTEST_TEST_ROLE"

// TestRole uses a database, as another test binary does at the same time, until its standard input ends.
func TestRole(t *testing.T) {
	if os.Getenv(roleVariable) == "" {
		t.Skip("is for the other tests")
	}
	db := New(t)
	fmt.Printf("\ndatabase %s since %s\n", db.Name, query[string](t, db.DB, "SELECT pg_postmaster_start_time()"))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

type role struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer

	database, since string
}

func startRole(t *testing.T, env ...string) *role {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestRole$")
	cmd.Env = append(append(os.Environ(), roleVariable+"=yes"), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r := &role{t: t, cmd: cmd, stdin: stdin}
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		if rest, ok := strings.CutPrefix(scanner.Text(), "database "); ok {
			r.database, r.since, _ = strings.Cut(rest, " since ")
			return r
		}
	}
	t.Fatalf("the other test binary said nothing: %v, %v", scanner.Err(), cmd.Wait())
	return nil
}

func query[T any](t *testing.T, db *sql.DB, statement string, args ...any) T {
	t.Helper()
	var value T
	if err := db.QueryRowContext(t.Context(), statement, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func exists(t *testing.T, db *sql.DB, database string) bool {
	t.Helper()
	return query[bool](t, db, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database)
}

func TestEachTestHasItsOwn(t *testing.T) {
	t.Parallel()
	watcher := Empty(t)
	var names []string
	t.Run("tests", func(t *testing.T) {
		for range 8 {
			db := New(t)
			names = append(names, db.Name)
			t.Run(db.Name, func(t *testing.T) {
				t.Parallel()
				if got := query[string](t, db.DB, "SELECT current_database()"); got != db.Name {
					t.Errorf("got %s", got)
				}
				if query[int](t, db.DB, "SELECT count(*) FROM events") != 0 {
					t.Error("there are events already")
				}
				execute(t, db.DB, "CREATE TABLE mine ()") // fails if another test has
				stray, err := open(db.DSN)                // which the test forgets to close
				if err != nil {
					t.Fatal(err)
				}
				execute(t, stray, "SELECT 1")
			})
		}
	})
	slices.Sort(names)
	if len(slices.Compact(names)) != 8 {
		t.Errorf("the databases were %q", names)
	}
	for _, name := range names {
		if exists(t, watcher.DB, name) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	db := Empty(t)
	const count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
	if got := query[int](t, db.DB, count); got != 0 {
		t.Errorf("it has %d tables", got)
	}
}

func TestBinariesShareTheServer(t *testing.T) {
	t.Parallel()
	if os.Getenv(DatabaseURL) != "" {
		t.Skip("the server is not ours")
	}
	db := New(t)
	r := startRole(t)
	if got := query[string](t, db.DB, "SELECT pg_postmaster_start_time()"); got != r.since {
		t.Errorf("our server runs since %s, the other's since %s", got, r.since)
	}
	if err := r.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if exists(t, db.DB, r.database) {
		t.Errorf("%s is left", r.database)
	}
}

func TestLeftoversAreDropped(t *testing.T) {
	t.Parallel()
	db := New(t)
	alive, dead := startRole(t), startRole(t)
	const oldTemplate = templatePrefix + "old"
	execute(t, db.DB, "CREATE DATABASE "+oldTemplate+" IS_TEMPLATE true")
	if err := dead.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.cmd.Wait()

	// The server needs a moment to notice, so the next run may be too early, but not all of them. A test binary of another package that
	// starts meanwhile drops them too, one after the other.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for exists(t, db.DB, dead.database) || exists(t, db.DB, oldTemplate) {
		next, err := connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{db.Name, alive.database, templateName()} {
		if !exists(t, db.DB, name) {
			t.Errorf("%s, which is in use, was dropped", name)
		}
	}
}

func TestExternalServer(t *testing.T) {
	t.Parallel()
	s := Cluster(t)
	execute(t, s.DB, "CREATE ROLE tester LOGIN CREATEDB") // no superuser
	execute(t, s.DB, "CREATE DATABASE waybill_test_1_foreign_1")
	dsn := strings.Replace(s.DSN, "waybill@", "tester@", 1)
	r := startRole(t, DatabaseURL+"="+dsn)
	for _, name := range []string{r.database, templateName(), "waybill_test_1_foreign_1"} {
		if !exists(t, s.DB, name) {
			t.Errorf("%s is not there", name)
		}
	}
	if err := r.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if exists(t, s.DB, r.database) {
		t.Errorf("%s is left", r.database)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	c := Cluster(t)
	execute(t, c.DB, "CREATE DATABASE "+templateName()) // by a run that crashed in the middle
	servers := make(chan *server, 4)
	made := make(chan error)
	for range cap(servers) {
		s := &server{run: testPrefix + "1_2", dsn: c.cluster.DSN}
		if err := s.claimRun(t.Context(), "postgres"); err != nil {
			t.Fatal(err)
		}
		servers <- s
		go func() {
			_, err := s.template(t.Context())
			made <- err
		}()
	}
	for range cap(servers) {
		if err := <-made; err != nil {
			t.Error(err)
		}
	}
	execute(t, c.DB, "CREATE DATABASE copied TEMPLATE "+templateName())
	db, err := open(c.cluster.DSN("copied"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if query[int](t, db, "SELECT count(*) FROM events") != 0 {
		t.Error("there are events already")
	}
	for range cap(servers) {
		if err := (<-servers).close(); err != nil {
			t.Error(err)
		}
	}
}

func TestClusterFaults(t *testing.T) {
	t.Parallel()
	s := Cluster(t)
	execute(t, s.DB, "CREATE TABLE kept (fault text)")
	for name, end := range map[string]func(){"stop": s.Stop, "crash": s.Crash, "kill": s.Kill} {
		if _, err := s.ExecContext(t.Context(), "INSERT INTO kept VALUES ($1)", name); err != nil {
			t.Fatal(err)
		}
		end()
		fresh, err := open(s.DSN)
		if err != nil {
			t.Fatal(err)
		}
		if err := fresh.PingContext(t.Context()); err == nil {
			t.Errorf("%s: the server answers", name)
		}
		fresh.Close()
		s.Start()
		s.Start() // does no harm
	}
	if got := query[string](t, s.DB, "SELECT string_agg(fault, ' ' ORDER BY fault) FROM kept"); got != "crash kill stop" {
		t.Errorf("found %q", got)
	}
}

func TestSetReadOnly(t *testing.T) {
	t.Parallel()
	s := Cluster(t)
	session, err := s.Conn(t.Context()) // one that exists before
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for i := range 10 {
		readOnly := i%2 == 0
		s.SetReadOnly(readOnly)
		for _, table := range []string{"a", "b"} {
			statement := fmt.Sprintf("CREATE TABLE %s%d ()", table, i)
			if table == "a" {
				_, err = session.ExecContext(t.Context(), statement)
			} else {
				_, err = s.ExecContext(t.Context(), statement)
			}
			if (err != nil) != readOnly {
				t.Errorf("read-only %v: %s: %v", readOnly, statement, err)
			}
		}
	}
}
