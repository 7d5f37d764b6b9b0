package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/localpg"
)

// Server is a server of one test's own, which the test may stop and break. Its methods fail the test if they fail; those that end the
// server return when it is gone.
type Server struct {
	*sql.DB        // to a database with Waybill's schema
	DSN     string // of that database; it stays the same over restarts

	t       testing.TB
	cluster *localpg.Cluster
}

// Cluster starts a server, which takes the better part of a second, and removes it when the test ends. What it has committed outlives
// the server's death by any of the methods, though not the machine's.
func Cluster(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "waybill-pgtest-")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { remove(t, dir) })
	// If we are root, the server's user is another and needs to get in.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	ctx := context.Background()
	c, err := localpg.Start(ctx, localpg.Config{Dir: dir, Log: os.Stderr, Disposable: true})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
		remove(t, c.Home())
	})
	const name = "waybill"
	s := &Server{DSN: c.DSN(name), t: t, cluster: c}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := errors.Join(c.CreateDatabase(ctx, name), migrate(ctx, s.DSN)); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if s.DB, err = open(s.DSN); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { s.DB.Close() })
	return s
}

func remove(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("pgtest: %v", err)
	}
}

// Stop shuts the server down in good order: it tells its clients so and writes everything to its files.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(syscall.SIGINT)
}

// Crash ends all of the server's processes on the spot. The next start recovers from the log.
func (s *Server) Crash() {
	s.t.Helper()
	s.end(syscall.SIGQUIT)
}

// Kill kills the server's main process, as the kernel does when it is out of memory. Those of the sessions end when they notice.
func (s *Server) Kill() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
}

func (s *Server) end(signal syscall.Signal) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.cluster.Halt(ctx, signal); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Start brings the server up again and returns when it accepts connections. It does nothing if the server runs.
func (s *Server) Start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.cluster.Resume(ctx); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// SetReadOnly makes the server refuse writes, as a standby does, or accept them again: in every transaction that begins after it returns
// and does not itself ask for the contrary. It lasts over restarts.
func (s *Server) SetReadOnly(readOnly bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.setReadOnly(ctx, map[bool]string{false: "off", true: "on"}[readOnly]); err != nil {
		s.t.Fatalf("pgtest: set the server read-only: %v", err)
	}
}

func (s *Server) setReadOnly(ctx context.Context, value string) error {
	db, err := open(s.cluster.DSN("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxIdleConns(0) // every statement on a new connection
	for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + value, "SELECT pg_reload_conf()"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	// The main process tells the sessions that exist before it accepts another with the new value.
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		var now string
		if err := db.QueryRowContext(ctx, "SHOW default_transaction_read_only").Scan(&now); err != nil || now == value {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Dump writes a database of the server to a file, as pg_dump does. It skips the test where there is no pg_dump.
func (s *Server) Dump(dsn string) (file string) {
	s.t.Helper()
	file = filepath.Join(s.t.TempDir(), "dump")
	s.run("pg_dump", "--format=custom", "--file="+file, dsn)
	return file
}

// Restore makes a new database of a dump, as pg_restore does.
func (s *Server) Restore(file, name string) *Database {
	s.t.Helper()
	if err := s.cluster.CreateDatabase(context.Background(), name); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
	dsn := s.cluster.DSN(name)
	s.run("pg_restore", "--exit-on-error", "--dbname="+dsn, file)
	db, err := open(dsn)
	if err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
	s.t.Cleanup(func() { db.Close() })
	return &Database{DB: db, Name: name, DSN: dsn}
}

func (s *Server) run(program string, args ...string) {
	s.t.Helper()
	path, err := s.cluster.Bin(program)
	if errors.As(err, new(*localpg.MissingProgramError)) {
		s.t.Skip(err)
	}
	if err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
	if output, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("pgtest: %s: %v\n%s", program, err, output)
	}
}
