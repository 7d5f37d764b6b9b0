package localpg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

const (
	usersName      = "users.lock"
	logName        = "postgres.log"
	pidName        = dataName + "/postmaster.pid"
	disposableName = dataName + "/waybill.disposable"

	// outputTail is how much of a failed program's output goes into the error, in bytes.
	outputTail = 4 << 10
)

// postmaster is a running server.
type postmaster struct {
	pid       int
	socketDir string
	binDir    string
}

// identity is what a process has to do with a data directory.
type identity int

const (
	stranger identity = iota // nothing, or there is no such process
	ours                     // it is the server of the directory
	unsure                   // it may be
)

// running returns the server that has our data directory open, nil if there is none. Other than the file postmaster.pid it tells a
// living server from one that crashed and left the file behind, even if its process number was given to somebody else since.
func (c *Cluster) running() (*postmaster, error) {
	content, err := c.files.ReadFile(pidName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(content), "\n")
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 0 {
		return nil, nil
	}
	switch identify(pid, c.data()) {
	case unsure:
		return nil, fmt.Errorf("process %d may be the server of %s, but it cannot be told: stop it, or remove %s",
			pid, c.data(), filepath.Join(c.site.home, pidName))
	case stranger:
		return nil, nil
	}
	p := &postmaster{pid: pid}
	if len(lines) > 4 {
		p.socketDir = lines[4] // a server that has just started has yet to write it
	}
	// The first word is the path of the program, the others are quoted.
	if opts, err := c.files.ReadFile(dataName + "/postmaster.opts"); err == nil {
		program, _, _ := strings.Cut(strings.TrimSpace(string(opts)), ` "`)
		p.binDir = filepath.Dir(program)
	}
	return p, nil
}

// child is a server that we started. Its process may be long gone, which err says once done is closed.
type child struct {
	done chan struct{}
	err  error
}

func (c *child) exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// ensure returns once the server accepts connections. It starts the server unless it runs, having waited for one that is stopping. It is
// called by way of alone.
func (c *Cluster) ensure(ctx context.Context) error {
	if err := c.checkDisposable(); err != nil {
		return err
	}
	p, err := c.running()
	if err != nil {
		return err
	}
	var programs binaries
	if p == nil {
		// Now, as a download may take longer than a start.
		if programs, err = c.prepare(ctx); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var started *child
	err = poll(ctx, func() (bool, error) {
		p, err := c.running()
		switch {
		case err != nil:
			return false, err
		case p != nil:
			return c.accepts(ctx, p)
		case started == nil && programs.dir == "": // it ran at first
			programs, err = c.prepare(ctx)
			return false, err
		case started == nil:
			started, err = c.launch(ctx, programs)
			return false, err
		case !started.exited():
			return false, nil
		}
		failure := &StartError{Program: "postgres", LogFile: filepath.Join(c.site.home, logName), Output: c.logTail(), Err: started.err}
		// A main process that was killed leaves processes behind, which take a moment to notice.
		if strings.Contains(failure.Output, "pre-existing shared memory block") {
			started = nil
			return false, nil
		}
		return false, failure
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return &StartError{Program: "postgres", LogFile: filepath.Join(c.site.home, logName), Output: c.logTail(), Err: err}
	}
	return err
}

// accepts tells whether the server accepts connections, and if so, remembers it as ours.
func (c *Cluster) accepts(ctx context.Context, p *postmaster) (bool, error) {
	if p.socketDir == "" {
		return false, nil
	}
	db, err := connect(dsn(p.socketDir, "postgres"))
	if err != nil {
		return false, err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var data string
	err = db.QueryRowContext(ctx, "SHOW data_directory").Scan(&data)
	failure := pq.As(err)
	switch {
	case failure == nil && err != nil, failure != nil && failure.Code.Class() == "57":
		return false, nil // not listening yet, starting up, or shutting down
	case failure != nil && failure.Code != pqerror.TooManyConnections:
		return false, err
	case err == nil && !sameFile(data, c.data()):
		return false, fmt.Errorf("the server on the socket in %s is that of %s, not of %s", p.socketDir, data, c.data())
	}
	c.server.Store(p)
	return true, nil
}

// prepare finds PostgreSQL's programs, downloading them if need be, and makes the data directory if there is none.
func (c *Cluster) prepare(ctx context.Context) (binaries, error) {
	major, err := c.dataMajor()
	if err != nil {
		return binaries{}, err
	}
	programs, err := find(ctx, c.site.account, c.site.home, c.config.BinDir, major)
	missing := new(NoBinariesError)
	// For the sake of data that can be thrown away nothing is downloaded.
	if errors.As(err, &missing) && c.config.BinDir == "" && (major == 0 || !c.config.Disposable) {
		if missing.Download = c.download(ctx, major); missing.Download == nil {
			programs, err = find(ctx, c.site.account, c.site.home, "", major)
		}
	}
	if err != nil || major != 0 {
		return programs, err
	}
	return programs, c.initialise(ctx, programs)
}

// dataMajor returns the major version of PostgreSQL that made the data, 0 if there are none.
func (c *Cluster) dataMajor() (int, error) {
	if _, err := c.files.Lstat(dataName); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	content, err := c.files.ReadFile(dataName + "/PG_VERSION")
	if err != nil {
		return 0, fmt.Errorf("%s does not hold a PostgreSQL cluster: %w", c.data(), err)
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}

// checkDisposable keeps durable data from being served without fsync.
func (c *Cluster) checkDisposable() error {
	if _, err := c.files.Lstat(dataName); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := c.files.Lstat(disposableName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if disposable := err == nil; disposable != c.config.Disposable {
		return fmt.Errorf("%s: %w", c.data(), ErrDisposable)
	}
	return nil
}

// initialise makes the data directory under another name first, so that one by its own name is always whole.
func (c *Cluster) initialise(ctx context.Context, programs binaries) error {
	const unfinished = dataName + ".unfinished-"
	entries, err := fs.Glob(c.files.FS(), unfinished+"*")
	if err != nil {
		return err
	}
	for _, name := range entries {
		if err := c.files.RemoveAll(name); err != nil {
			return err
		}
	}
	c.say("making a PostgreSQL %d cluster in %s", programs.major, c.data())
	// A name of its own, lest processes of an initdb that was killed still write into it.
	name := unfinished + strconv.Itoa(os.Getpid())
	if err := c.files.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := c.site.account.own(c.files, name); err != nil {
		return err
	}
	args := []string{"--pgdata=" + filepath.Join(c.site.home, name), "--username=" + superuser, "--encoding=UTF8", "--locale=C",
		"--auth-local=trust", "--auth-host=reject", "--no-instructions"}
	if c.config.Disposable {
		args = append(args, "--no-sync")
	}
	if out, err := c.site.account.command(ctx, c.site.home, programs.path("initdb"), args...).CombinedOutput(); err != nil {
		return errors.Join(&StartError{Program: "initdb", Output: tail(out), Err: causeOf(ctx, err)}, c.files.RemoveAll(name))
	}
	if c.config.Disposable {
		if err := c.files.WriteFile(name+strings.TrimPrefix(disposableName, dataName), nil, 0o644); err != nil {
			return err
		}
	}
	if err := c.files.Rename(name, dataName); err != nil {
		return err
	}
	return syncDir(c.site.home)
}

// launch starts the server and does not wait for it.
func (c *Cluster) launch(ctx context.Context, programs binaries) (*child, error) {
	socketDir, err := c.site.socketDir(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.clearLocks(socketDir); err != nil {
		return nil, err
	}
	log, err := c.newLog()
	if err != nil {
		return nil, err
	}
	defer log.Close()

	if !c.watched {
		c.watched = c.watch(programs) == nil
	}

	// It has to survive ctx, which is that of the start.
	cmd := c.site.account.command(context.Background(), c.site.home, programs.path("postgres"), "-D", c.data())
	settings := c.settings(programs, socketDir)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		cmd.Args = append(cmd.Args, "-c", name+"="+settings[name])
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, &StartError{Program: "postgres", Err: err}
	}
	started := &child{done: make(chan struct{})}
	go func() {
		defer close(started.done)
		if started.err = cmd.Wait(); started.err == nil {
			started.err = errors.New("exited")
		}
	}()
	return started, nil
}

func (c *Cluster) settings(programs binaries, socketDir string) map[string]string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": `"` + strings.ReplaceAll(socketDir, `"`, `""`) + `"`,
		"unix_socket_permissions": "0700",
		"port":                    "5432",
		"max_connections":         "200",
		"shared_buffers":          "256MB",
		"synchronous_commit":      "on",
		"jit":                     "off", // compiling costs more than any of our short queries
		"autovacuum":              "on",
		"timezone":                "UTC",
		"log_timezone":            "UTC",

		// Checkpoints by the clock, not one after the other while something writes a lot.
		"max_wal_size":       "2GB",
		"checkpoint_timeout": "15min",

		// Not the errors of statements: their callers get to see them, and lost races for a version are everyday business that would
		// let the log grow without bounds.
		"log_min_messages": "log",
		"log_line_prefix":  "%m [%p] %q%d ",
	}
	if programs.hasLibrary("pg_stat_statements") {
		settings["shared_preload_libraries"] = "pg_stat_statements"
	}
	if c.config.Disposable {
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, c.config.Settings)
	return settings
}

// clearLocks removes the lock files of a server that crashed, where PostgreSQL would take them for those of a living one because their
// process number is somebody else's now. Of a dead process PostgreSQL removes them itself, with more care than we could.
func (c *Cluster) clearLocks(socketDir string) error {
	content, err := c.files.ReadFile(pidName)
	if err == nil {
		first, _, _ := strings.Cut(string(content), "\n")
		if pid, err := strconv.Atoi(first); err != nil || pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			if err := c.files.Remove(pidName); err != nil {
				return err
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The directory of the socket is ours alone.
	for _, name := range []string{socketName, socketName + ".lock"} {
		if err := os.Remove(filepath.Join(socketDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// watch starts a process that stops the server once nobody uses it any more, for those who die before they can do it themselves.
func (c *Cluster) watch(programs binaries) error {
	flock, err := exec.LookPath("flock")
	if err != nil {
		return err
	}
	// Like running, this does not trust the process number: pg_ctl by itself would stop whoever has it.
	const script = `read -r pid <"$1/postmaster.pid" && [ "/proc/$pid/cwd" -ef "$1" ] && exec "$2" stop -D "$1" -m fast -s -t "$3"`
	cmd := c.site.account.command(context.Background(), c.site.home, flock, "-x", filepath.Join(c.site.home, usersName),
		"/bin/sh", "-c", script, "sh", c.data(), programs.path("pg_ctl"), strconv.Itoa(int(stopTimeout.Seconds())))
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // It fails where the server is stopped already, as it usually is.
	return nil
}

// halt signals the server, if it runs, and waits until its process is gone.
func (c *Cluster) halt(ctx context.Context, limit time.Duration, signal syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := c.running()
	if p == nil || err != nil {
		return err
	}
	if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop PostgreSQL, process %d: %w", p.pid, err)
	}
	err = poll(ctx, func() (bool, error) { return identify(p.pid, c.data()) == stranger, nil })
	if err != nil {
		return fmt.Errorf("wait for PostgreSQL, process %d, to stop: %w", p.pid, err)
	}
	return nil
}

// newLog opens the server's log. It keeps that of the run before under another name, and forgets those before it.
func (c *Cluster) newLog() (*os.File, error) {
	if err := c.files.Rename(logName, logName+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	log, err := c.files.OpenFile(logName, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return log, c.site.account.own(c.files, logName)
}

func (c *Cluster) logTail() string {
	log, err := c.files.Open(logName)
	if err != nil {
		return ""
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil && info.Size() > outputTail {
		_, _ = log.Seek(-outputTail, io.SeekEnd) // where it fails, tail still keeps to its end
	}
	content, _ := io.ReadAll(log) // as much as there is: this goes into the message about another failure
	return tail(content)
}

func tail(output []byte) string {
	return strings.TrimSpace(string(output[max(0, len(output)-outputTail):]))
}

// causeOf prefers the reason why we killed a program to the news that it was killed.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func connect(dsn string) (*sql.DB, error) {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// syncDir makes a rename in a directory last.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
