// Package pgtest gives every test a PostgreSQL database of its own.
//
// The databases are on one server, which the test binaries of all packages share while they run: a disposable [localpg] cluster in
// .waybill/test below the module's root, or what [Dir] or [DatabaseURL] says instead. A test that has to stop or break its server gets a
// private one from [Cluster].
//
// Package migrations is tested with this one, so its tests have to be in package migrations_test.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/internal/localpg"
	"github.com/waybill-dev/waybill/migrations"
)

const (
	// DatabaseURL names the environment variable with the URL of a server to use instead of our own. Its user has to be allowed to
	// create databases.
	DatabaseURL = "WAYBILL_TEST_DATABASE_URL"

	// Dir names the environment variable with the directory for our own server. A database is three hundred files, so where the file
	// system is slow at making and removing those, one in memory such as /dev/shm makes a great difference. It should have a gibibyte.
	Dir = "WAYBILL_TEST_DIR"
)

const (
	testPrefix     = "waybill_test_"
	templatePrefix = "waybill_template_"

	// timeout bounds what is done on behalf of a test, other than the first start of a server.
	timeout = time.Minute
)

// Database is the database of one test. It is gone when the test ends, with all connections to it.
type Database struct {
	*sql.DB
	Name string
	DSN  string // a URL, for connections of one's own
}

// New returns a database with Waybill's schema.
func New(t testing.TB) *Database {
	t.Helper()
	return create(t, func(ctx context.Context, s *server) (string, error) { return s.template(ctx) })
}

// Empty returns a database without anything in it.
func Empty(t testing.TB) *Database {
	t.Helper()
	return create(t, func(context.Context, *server) (string, error) { return "template0", nil })
}

// Main runs the tests of a package and then stops the server, if no other test binary uses it. A package with tests that use this one
// may call it in TestMain:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// Without that, the server stops as [localpg] says for a program that just dies.
func Main(m *testing.M) {
	code := m.Run()
	if err := release(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func create(t testing.TB, template func(context.Context, *server) (string, error)) *Database {
	t.Helper()
	s, err := share()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	from, err := template(ctx, s)
	if err != nil {
		t.Fatalf("pgtest: make the template: %v", err)
	}
	name := fmt.Sprintf("%s_%d", s.run, s.databases.Add(1))
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from+s.strategy); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if _, err := s.admin.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	db, err := open(s.dsn(name))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return &Database{DB: db, Name: name, DSN: s.dsn(name)}
}

// server is the one that the tests share.
type server struct {
	cluster  *localpg.Cluster // nil if it is not ours
	dsn      func(database string) string
	strategy string

	admin *sql.DB
	// claim is a session with advisory locks that say which databases this run uses. They end with the run, however it ends, so what
	// nobody has a lock for was left behind by a run that crashed. Unlike process numbers that holds on a server elsewhere, too.
	claim     *sql.Conn
	run       string // the prefix of the run's databases, and the name of its lock
	databases atomic.Int64

	templateOnce sync.Mutex
	templateName string
}

var shared struct {
	sync.Mutex
	server *server
	err    error
}

// share returns the server, starting it the first time.
func share() (*server, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = connect(context.Background())
	}
	return shared.server, shared.err
}

// release gives up the server, if it was used.
func release() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	err := shared.server.close()
	shared.server = nil
	return err
}

func connect(ctx context.Context) (*server, error) {
	s := &server{run: fmt.Sprintf("%s%d_%s", testPrefix, os.Getpid(), strings.ToLower(rand.Text()[:8]))}
	maintenance := "postgres"
	if external := os.Getenv(DatabaseURL); external != "" {
		u, err := url.Parse(external)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || len(u.Path) < 2 {
			return nil, fmt.Errorf("%s has to look like postgres://user@host/database", DatabaseURL)
		}
		maintenance = u.Path[1:]
		s.dsn = func(database string) string {
			other := *u
			other.Path = "/" + database
			return other.String()
		}
	} else {
		dir, err := clusterDir()
		if err != nil {
			return nil, err
		}
		s.cluster, err = localpg.Start(ctx, localpg.Config{
			Dir:        dir,
			Log:        os.Stderr,
			Disposable: true,
			Settings: map[string]string{
				"max_connections": "500", // many tests at once
				"log_checkpoints": "off", // every database costs some
				"max_wal_size":    "256MB",
			},
		})
		if err != nil {
			return nil, err
		}
		s.dsn = s.cluster.DSN
		// Copying files takes a checkpoint, which is cheap where nothing waits for the disk and else is not.
		s.strategy = " STRATEGY file_copy"
	}
	if err := s.claimRun(ctx, maintenance); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) close() error {
	var errs []error
	if s.claim != nil {
		errs = append(errs, s.claim.Close())
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop())
	}
	return errors.Join(errs...)
}

// claimRun takes the locks of this run and drops what earlier ones have left behind.
func (s *server) claimRun(ctx context.Context, maintenance string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if s.admin, err = open(s.dsn(maintenance)); err != nil {
		return err
	}
	if s.claim, err = s.admin.Conn(ctx); err != nil {
		return err
	}
	for _, name := range []string{s.run, templateName()} {
		if _, err := s.claim.ExecContext(ctx, "SELECT pg_advisory_lock_shared($1)", key(name)); err != nil {
			return err
		}
	}

	var names []string
	const list = `SELECT array_agg(datname::text) FROM pg_database
		WHERE (starts_with(datname, $1) OR starts_with(datname, $2)) AND pg_has_role(datdba, 'MEMBER')`
	if err := s.claim.QueryRowContext(ctx, list, testPrefix, templatePrefix).Scan(pq.Array(&names)); err != nil {
		return err
	}
	for _, name := range names {
		owner := name
		if strings.HasPrefix(name, testPrefix) {
			owner = name[:strings.LastIndex(name, "_")]
		}
		if err := s.dropUnclaimed(ctx, name, owner); err != nil {
			return err
		}
	}
	return nil
}

// dropUnclaimed drops a database unless a run has the lock of its owner.
func (s *server) dropUnclaimed(ctx context.Context, name, owner string) error {
	if owner == s.run || owner == templateName() {
		return nil
	}
	var unclaimed bool
	if err := s.claim.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", key(owner)).Scan(&unclaimed); err != nil || !unclaimed {
		return err
	}
	quoted := pq.QuoteIdentifier(name)
	_, err := s.claim.ExecContext(ctx, "ALTER DATABASE "+quoted+" IS_TEMPLATE false")
	if err == nil {
		_, err = s.claim.ExecContext(ctx, "DROP DATABASE "+quoted+" WITH (FORCE)")
	}
	if pq.As(err, pqerror.InvalidCatalogName) != nil { // another run was faster
		err = nil
	}
	return errors.Join(err, unlock(ctx, s.claim, key(owner)))
}

// template returns the name of a database with Waybill's schema, having made it if it is not there. It outlives the run.
func (s *server) template(ctx context.Context) (string, error) {
	s.templateOnce.Lock()
	defer s.templateOnce.Unlock()
	if s.templateName != "" {
		return s.templateName, nil
	}
	name := templateName()
	conn, err := s.admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close() // a session that fails to unlock is not used again
	lock := key("make " + name)
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return "", err
	}
	if err := s.makeTemplate(ctx, conn, name); err != nil {
		return "", errors.Join(err, unlock(ctx, conn, lock))
	}
	s.templateName = name
	return name, unlock(ctx, conn, lock)
}

func unlock(ctx context.Context, conn *sql.Conn, lock int64) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", lock)
	return err
}

func (s *server) makeTemplate(ctx context.Context, conn *sql.Conn, name string) error {
	var finished bool
	err := conn.QueryRowContext(ctx, "SELECT datistemplate FROM pg_database WHERE datname = $1", name).Scan(&finished)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || finished {
		return err
	}
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name + " TEMPLATE template0"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.dsn(name)); err != nil {
		return err
	}
	// Being a template is also what says that it is complete. Nobody may connect, as it could not be copied meanwhile.
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+name+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

func migrate(ctx context.Context, dsn string) error {
	db, err := open(dsn)
	if err != nil {
		return err
	}
	_, err = migrations.Up(ctx, db)
	return errors.Join(err, db.Close())
}

// templateName differs for every state of the migrations.
var templateName = sync.OnceValue(func() string {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.FS.ReadFile(path)
		fmt.Fprintf(hash, "%q %q\n", path, content)
		return err
	})
	if err != nil {
		panic(err) // files that are part of the program are always there
	}
	return fmt.Sprintf("%s%x", templatePrefix, hash.Sum(nil)[:6])
})

// key returns the number of an advisory lock. Should two names have the same, some leftover is dropped later.
func key(name string) int64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // never fails
	return int64(hash.Sum64())
}

func open(dsn string) (*sql.DB, error) {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// clusterDir returns where our server lies: the same place for the test binaries of all packages.
func clusterDir() (string, error) {
	if dir := os.Getenv(Dir); filepath.IsAbs(dir) {
		return dir, nil
	} else if dir != "" {
		return "", fmt.Errorf("%s has to be an absolute path", Dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".waybill", "test"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the test does not run below a directory with go.mod")
		}
		dir = parent
	}
}
