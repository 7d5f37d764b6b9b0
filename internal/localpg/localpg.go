// Package localpg runs a private PostgreSQL server for a directory, so that Waybill works where nobody has set up a database.
//
// The server belongs to its directory and every program that names the directory shares it: the first one starts it, the last one to
// call [Cluster.Stop] stops it. It listens on a Unix socket in a directory that only its own user and root may enter, and on no network
// address; who reaches the socket is superuser.
//
// A program that dies without calling Stop, be it by SIGKILL, loses its share. Where it was the last one and flock(1) is installed, as
// on any usual Linux, a flock that waits for the share stops the server at once. Elsewhere the server stays up until the next program
// has found, used and stopped it.
//
// PostgreSQL refuses to run as root, so for root the server runs as the user postgres, or nobody where there is no such user. Where
// that user may not enter the directory, the cluster lies in /var/lib or /var/tmp instead and a file in the directory says where.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

const (
	superuser = "waybill"

	// startTimeout bounds how long a server may take to accept connections, the recovery after a crash included.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds how long an orderly shutdown may take. What follows it costs a recovery at the next start, but no data.
	stopTimeout = 30 * time.Second
	// quitTimeout bounds an immediate shutdown; PostgreSQL itself kills its processes after five seconds of it.
	quitTimeout = 10 * time.Second
)

// Config says what cluster to run. Only Dir is required.
type Config struct {
	// Dir is the directory that the cluster belongs to. It is created if need be.
	Dir string

	// Log receives a line of text for every step that takes a while, and the progress of a download. Nil discards them.
	Log io.Writer

	// Disposable gives up durability for speed: the server does not wait for the disk, so a crash of the machine may lose or damage the
	// data, and data that no longer starts is thrown away and made anew. It is for tests, and a property of the data for good:
	// a directory that holds durable data refuses it, and the other way round.
	Disposable bool

	// Settings are server settings that go before the package's own, such as {"max_connections": "500"}. They take effect when this
	// program is the one that starts the server.
	Settings map[string]string

	// BinDir is the directory with PostgreSQL's programs. Empty looks for them on PATH, in what pg_config says and where packages
	// usually install them, and downloads them where there are none.
	BinDir string

	// Repository is the base URL of the Maven repository to download from, by default Maven Central.
	Repository string
}

// Cluster is a share in a running server. Its methods may be called concurrently, but none after Stop.
type Cluster struct {
	config Config
	site   site
	files  *os.Root // the directory site.home

	users    *lock // shared by all who use the server; who has it alone may stop the server
	starting *lock // held by the one who prepares and starts the server

	server atomic.Pointer[postmaster]

	ensuring sync.Mutex // does among the goroutines what starting does among processes
	watched  bool       // guarded by ensuring

	stop func() error

	logging sync.Mutex // guards the writes to config.Log
}

// Start returns once the server of config.Dir accepts connections, having started it if it was not running. It makes good what an
// earlier run left behind when it crashed. The caller must call [Cluster.Stop].
//
// Besides the errors of the file system it returns a [*NoBinariesError], a [*StartError], an [*OwnerError], an [*UnsafeDirError] or
// [ErrDisposable], and the error of ctx if that ends first; ctx does not matter to the server after that.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	c := &Cluster{config: config}
	c.stop = sync.OnceValue(c.leave)
	var err error
	if c.site, err = locate(ctx, config.Dir); err != nil {
		return nil, err
	}
	if c.files, err = os.OpenRoot(c.site.home); err != nil {
		return nil, c.site.explain(err)
	}
	if c.users, err = openLock(c.files, usersName, c.site.account); err != nil {
		return nil, errors.Join(c.site.explain(err), c.files.Close())
	}
	if c.starting, err = openLock(c.files, "start.lock", c.site.account); err != nil {
		return nil, errors.Join(c.site.explain(err), c.users.close(), c.files.Close())
	}
	if err = c.users.acquire(ctx, syscall.LOCK_SH); err == nil {
		err = c.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// open is ensure, with a second try for disposable data.
func (c *Cluster) open(ctx context.Context) error {
	return c.alone(ctx, func() error {
		err := c.ensure(ctx)
		failed, missing := new(StartError), new(NoBinariesError)
		unusable := errors.As(err, &failed) || errors.As(err, &missing) && missing.Major != 0
		if !unusable || !c.config.Disposable || ctx.Err() != nil {
			return err
		}
		c.say("throwing away the data in %s, as they are unusable: %v", c.data(), err)
		if err := errors.Join(c.halt(ctx, quitTimeout, syscall.SIGQUIT), c.files.RemoveAll(dataName)); err != nil {
			return err
		}
		return c.ensure(ctx)
	})
}

// alone calls do while nobody else prepares or starts the server.
func (c *Cluster) alone(ctx context.Context, do func() error) error {
	c.ensuring.Lock()
	defer c.ensuring.Unlock()
	if err := c.starting.acquire(ctx, syscall.LOCK_EX); err != nil {
		return err
	}
	defer c.starting.release()
	return do()
}

// Stop gives up the caller's share and, if it was the last one, stops the server and waits until it is gone: orderly within 30 seconds,
// else in a way that makes the next start recover. Further calls do nothing and return what the first one did.
func (c *Cluster) Stop() error { return c.stop() }

func (c *Cluster) leave() (err error) {
	// Whoever comes in the meantime waits for the lock, so nobody's server is stopped under their feet.
	last, err := c.users.try(syscall.LOCK_EX)
	if last {
		err = c.halt(context.Background(), stopTimeout, syscall.SIGINT)
		if errors.Is(err, context.DeadlineExceeded) {
			err = c.halt(context.Background(), quitTimeout, syscall.SIGQUIT)
		}
		if s := c.server.Load(); err == nil && s != nil && filepath.Dir(s.socketDir) != c.site.home {
			_ = os.Remove(s.socketDir) // A short one outside of home. If it is not empty, something is amiss that is not ours to remove.
		}
	}
	return errors.Join(err, c.starting.close(), c.users.close(), c.files.Close())
}

// Halt ends the server under all who use it, while the caller keeps its share, and waits until it is gone. It is for tests of how a
// program bears the loss of its database. The signal is one of
//
//   - SIGINT, an orderly shutdown that terminates every session,
//   - SIGQUIT, an immediate one, after which the server recovers as from a crash,
//   - SIGKILL, the death of the main process, whose sessions find out by themselves.
func (c *Cluster) Halt(ctx context.Context, signal syscall.Signal) error {
	return c.halt(ctx, stopTimeout, signal)
}

// Resume brings up a server that [Cluster.Halt] ended, or that crashed, and returns once it accepts connections. It never throws away
// data. Its errors are those of [Start].
func (c *Cluster) Resume(ctx context.Context) error {
	return c.alone(ctx, func() error { return c.ensure(ctx) })
}

// DSN returns the URL of a database of the cluster, for lib/pq as well as for PostgreSQL's own programs. Every cluster has the database
// "postgres"; for others see [Cluster.CreateDatabase].
func (c *Cluster) DSN(database string) string { return dsn(c.server.Load().socketDir, database) }

func dsn(socketDir, database string) string {
	query := url.Values{"host": {socketDir}, "port": {"5432"}, "sslmode": {"disable"}}
	// libpq takes a plus sign for itself and not for a space.
	encoded := strings.ReplaceAll(query.Encode(), "+", "%20")
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: encoded}).String()
}

// CreateDatabase creates a database if there is none of that name.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	db, err := connect(c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
	// Of two who create it at once, one may fail on the catalog's unique index.
	if pq.As(err, pqerror.DuplicateDatabase, pqerror.UniqueViolation) != nil {
		return nil
	}
	return err
}

// Home returns the directory with the cluster's files: Config.Dir, unless the user that root's server runs as may not enter it. The
// server's log is in the file postgres.log there.
func (c *Cluster) Home() string { return c.site.home }

func (c *Cluster) data() string { return filepath.Join(c.site.home, dataName) }

func (c *Cluster) say(format string, args ...any) {
	c.logging.Lock()
	defer c.logging.Unlock()
	if c.config.Log != nil {
		fmt.Fprintf(c.config.Log, format+"\n", args...)
	}
}
