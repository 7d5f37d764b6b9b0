package localpg

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
)

// helperDir names the variable that makes the test binary a program that uses a cluster: it starts the one in that directory, prints
// the server's process number and stops it when its standard input ends.
const helperDir = "LOCALPG_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		c, err := Start(context.Background(), Config{Dir: dir, Disposable: true, BinDir: os.Getenv("LOCALPG_TEST_BIN")})
		if err != nil {
			fmt.Printf("%T: %v\n", err, err)
			os.Exit(1)
		}
		fmt.Println(c.server.Load().pid)
		_, _ = io.Copy(io.Discard, os.Stdin)
		if err := c.Stop(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	syscall.Umask(0o022) // so that root's directories can be entered by the server's user, unless a test is about that
	os.Exit(m.Run())
}

// helper is such a program.
type helper struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

func startHelper(t *testing.T, dir string, env ...string) *helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startHelperAs(t, exec.Command(self), dir, env...)
}

func startHelperAs(t *testing.T, cmd *exec.Cmd, dir string, env ...string) *helper {
	t.Helper()
	cmd.Env = append(append(os.Environ(), helperDir+"="+dir), env...)
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
	return &helper{t: t, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
}

func (h *helper) line() string {
	h.t.Helper()
	line, err := h.out.ReadString('\n')
	if err != nil {
		h.t.Fatalf("the helper wrote %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

// pid waits until the helper uses the server.
func (h *helper) pid() int {
	h.t.Helper()
	line := h.line()
	pid, err := strconv.Atoi(line)
	if err != nil {
		h.t.Fatalf("the helper failed: %s", line)
	}
	return pid
}

// kill ends the helper without any notice.
func (h *helper) kill() {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	// The end of its output shows that none of what it started has a hand on it.
	if rest, err := io.ReadAll(h.out); err != nil || len(rest) > 0 {
		h.t.Fatalf("the helper went on with %q, %v", rest, err)
	}
	_ = h.cmd.Wait()
}

// testDir returns a directory that the server's user may enter even if we are root, unlike that of t.TempDir.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start starts a cluster that stops when the test ends.
func start(t *testing.T, config Config) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, c *Cluster) *sql.DB {
	t.Helper()
	db, err := connect(c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	var value string
	if err := db.QueryRowContext(t.Context(), statement).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

func running(pid int, c *Cluster) bool { return identify(pid, c.data()) == ours }

func TestDurableCluster(t *testing.T) {
	t.Parallel()
	// A name that needs every kind of quoting.
	dir := filepath.Join(testDir(t), `it's a "50%+20" dir`)
	var log bytes.Buffer
	config := Config{Dir: dir, Log: &log, Settings: map[string]string{"max_connections": "17"}}
	c := start(t, config)
	if !strings.Contains(log.String(), "making a PostgreSQL") {
		t.Errorf("the log is %q", &log)
	}
	db := open(t, c)
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "jit": "off",
		"listen_addresses": "", "unix_socket_permissions": "0700", "max_wal_size": "2GB", "max_connections": "17",
		"server_encoding": "UTF8", "lc_collate": "C", "TimeZone": "UTC",
	} {
		if got := query(t, db, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := query(t, db, "SELECT count(*) FROM pg_hba_file_rules WHERE type <> 'local' AND auth_method <> 'reject'"); got != "0" {
		t.Errorf("%s rules let somebody in over the network", got)
	}
	for path, want := range map[string]os.FileMode{c.data(): 0o700, c.server.Load().socketDir: 0o700, filepath.Join(c.Home(), logName): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want || int(info.Sys().(*syscall.Stat_t).Uid) != c.site.account.uid {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	pid := c.server.Load().pid
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid == syscall.Getpgrp() {
		t.Errorf("the server is in our process group: %d, %v", pgid, err)
	}

	execute(t, db, "CREATE TABLE kept AS SELECT 42 AS answer")
	if err := c.CreateDatabase(t.Context(), "way bill"); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateDatabase(t.Context(), "way bill"); err != nil {
		t.Errorf("the second time: %v", err)
	}
	psql, err := c.Bin("psql")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), psql, "-XAtc", "SELECT current_database()", c.DSN("way bill")).CombinedOutput()
	if string(out) != "way bill\n" {
		t.Errorf("psql says %q, %v", out, err)
	}

	stop(t, c)
	if running(pid, c) {
		t.Errorf("process %d still runs", pid)
	}
	stop(t, c) // does no harm

	c = start(t, config)
	if got := query(t, open(t, c), "SELECT answer FROM kept"); got != "42" {
		t.Errorf("found %s", got)
	}
	if _, err := os.Stat(filepath.Join(c.Home(), logName+".1")); err != nil {
		t.Error(err)
	}
	stop(t, c)

	if _, err := Start(t.Context(), Config{Dir: dir, Disposable: true}); !errors.Is(err, ErrDisposable) {
		t.Errorf("got %v", err)
	}
}

func TestBin(t *testing.T) {
	t.Parallel()
	c := start(t, Config{Dir: testDir(t), Disposable: true})
	for _, program := range []string{"pgbench", "pg_dump"} {
		path, err := c.Bin(program)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput(); err != nil {
			t.Errorf("%s: %s, %v", path, out, err)
		}
	}
	var missing *MissingProgramError
	if path, err := c.Bin("pg_nonsense"); !errors.As(err, &missing) || missing.Name != "pg_nonsense" {
		t.Errorf("got %q, %v", path, err)
	}
}

func TestUsersInOneProcess(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	var users [4]*Cluster
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			c, err := Start(t.Context(), Config{Dir: dir, Disposable: true})
			if err != nil {
				t.Error(err)
			}
			users[i] = c
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	pid := users[0].server.Load().pid
	for i, c := range users {
		if got := query(t, open(t, c), "SELECT 1"); got != "1" || c.server.Load().pid != pid {
			t.Errorf("got %s from %d, want 1 from %d", got, c.server.Load().pid, pid)
		}
		stop(t, c)
		if last := i == len(users)-1; running(pid, c) == last {
			t.Errorf("after %d of %d have left, running: %v", i+1, len(users), !last)
		}
	}
}

func TestUsersInTwoPrograms(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	first := startHelper(t, dir)
	pid := first.pid()
	c := start(t, Config{Dir: dir, Disposable: true})
	if got := c.server.Load().pid; got != pid {
		t.Errorf("the second one uses process %d and not %d", got, pid)
	}
	// The one who started the server leaves it to the other, and without a child's life hanging on a parent's.
	if err := first.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	stop(t, c)
	if running(pid, c) {
		t.Errorf("process %d still runs", pid)
	}
}

func TestKilledUserLeavesServer(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	programs, err := find(t.Context(), account{}, dir, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	h := startHelper(t, dir, "PATH=/nonexistent", "LOCALPG_TEST_BIN="+programs.dir) // without flock
	pid := h.pid()
	h.kill()
	c := start(t, Config{Dir: dir, Disposable: true})
	if got := c.server.Load().pid; got != pid {
		t.Errorf("the next one uses process %d and not %d", got, pid)
	}
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	if path, err := c.Bin("pg_ctl"); err != nil || filepath.Dir(path) != programs.dir {
		t.Errorf("the server's programs are in %s, %v", path, err)
	}
	stop(t, c)
	if running(pid, c) {
		t.Errorf("process %d still runs", pid)
	}
}

func TestKilledUsersServerStops(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("needs flock")
	}
	dir := testDir(t)
	h := startHelper(t, dir)
	h.pid()
	// While somebody else uses it, nothing happens to the server.
	c := start(t, Config{Dir: dir, Disposable: true})
	h.kill()
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	stop(t, c)

	h = startHelper(t, dir)
	pid := h.pid()
	h.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := poll(ctx, func() (bool, error) { return !running(pid, c), nil }); err != nil {
		t.Errorf("process %d outlives its last user: %v", pid, err)
	}
}

func TestKilledUsersAndServersTakeTurns(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	// Whether the next one finds the server running, stopping or stopped is up to chance. It has to get one in any case.
	for range 5 {
		h := startHelper(t, dir)
		h.pid()
		h.kill()
	}
	c := start(t, Config{Dir: dir, Disposable: true})
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
}

func TestHaltAndResume(t *testing.T) {
	t.Parallel()
	c := start(t, Config{Dir: testDir(t), Disposable: true})
	db := open(t, c)
	execute(t, db, "CREATE TABLE kept (signal text)")
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		execute(t, db, "INSERT INTO kept VALUES ("+pq.QuoteLiteral(signal.String())+")")
		pid := c.server.Load().pid
		if err := c.Halt(t.Context(), signal); err != nil {
			t.Fatalf("%v: %v", signal, err)
		}
		if running(pid, c) {
			t.Errorf("process %d outlives %v", pid, signal)
		}
		if err := c.Resume(t.Context()); err != nil {
			t.Fatalf("%v: %v", signal, err)
		}
	}
	var wg sync.WaitGroup
	for range 4 { // several find out at once
		wg.Go(func() {
			if err := c.Resume(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := open(t, c)
	if got := query(t, fresh, "SELECT string_agg(signal, ', ') FROM kept"); got != "interrupt, quit, killed" {
		t.Errorf("found %q", got)
	}
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	c := start(t, Config{Dir: dir, Disposable: true})
	socketDir := c.server.Load().socketDir
	if err := c.Halt(t.Context(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pidFile, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		t.Fatal(err)
	}
	stop(t, c)

	// A process of the server's own user that lives, and has got the number of the server that was killed.
	stranger := c.site.account.command(t.Context(), "/", "cat")
	stdin, err := stranger.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(pidFile, []byte("\n"))
	recycled := fmt.Appendf(nil, "%d\n%s", stranger.Process.Pid, rest)

	for name, content := range map[string][]byte{"dead": pidFile, "recycled": recycled, "empty": nil, "nonsense": []byte("x\n")} {
		for _, path := range []string{filepath.Join(dir, pidName), filepath.Join(socketDir, socketName+".lock")} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(path, c.site.account.uid, c.site.account.gid); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Start(t.Context(), Config{Dir: dir, Disposable: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		stop(t, c)
	}

	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Wait(); err != nil {
		t.Errorf("the stranger came to harm: %v", err)
	}
}

func TestInterruptedInitdb(t *testing.T) {
	t.Parallel()
	dir, bin := testDir(t), testDir(t)
	programs, err := find(t.Context(), account{}, dir, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	begun, hang := filepath.Join(bin, "begun"), filepath.Join(bin, "hang")
	for _, fifo := range []string{begun, hang} {
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(fifo, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	script(t, bin, "postgres", `exec `+programs.path("postgres")+` "$@"`)
	script(t, bin, "pg_ctl", `exit 1`)
	script(t, bin, "initdb", `
		for arg; do case $arg in --pgdata=*) data=${arg#--pgdata=};; esac; done
		echo 15 >"$data/PG_VERSION"
		echo begun >`+begun+`
		exec cat `+hang)

	h := startHelper(t, dir, "LOCALPG_TEST_BIN="+bin)
	if content, err := os.ReadFile(begun); err != nil || string(content) != "begun\n" {
		t.Fatalf("initdb said %q, %v", content, err)
	}
	h.kill()
	if entries, err := filepath.Glob(filepath.Join(dir, "pg*", "PG_VERSION")); err != nil || len(entries) != 1 {
		t.Fatalf("initdb left %q, %v", entries, err)
	}

	c := start(t, Config{Dir: dir, Disposable: true})
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	if entries, err := filepath.Glob(filepath.Join(dir, "pg*")); err != nil || len(entries) != 1 {
		t.Errorf("%q are left, %v", entries, err)
	}
	let, err := os.OpenFile(hang, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	let.Close()
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), strings.Repeat("long/", 30))
	c := start(t, Config{Dir: dir, Disposable: true})
	socketDir := c.server.Load().socketDir
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	info, err := os.Lstat(socketDir)
	if err != nil || info.Mode() != os.ModeDir|0o700 || int(info.Sys().(*syscall.Stat_t).Uid) != c.site.account.uid {
		t.Errorf("%s: %v, %v", socketDir, info, err)
	}
	if strings.HasPrefix(socketDir, dir) {
		t.Errorf("the socket is in %s", socketDir)
	}
	stop(t, c)
	if _, err := os.Lstat(socketDir); !os.IsNotExist(err) {
		t.Errorf("%s is left, %v", socketDir, err)
	}
}

func TestPlantedDirectories(t *testing.T) {
	t.Parallel()
	me := account{uid: os.Geteuid(), gid: os.Getegid()}
	dir := testDir(t)
	target := filepath.Join(dir, "target")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	link, open, file := filepath.Join(dir, "link"), filepath.Join(dir, "open"), filepath.Join(dir, "file")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	planted := []string{link, open, file}
	if me.uid == 0 {
		foreign := filepath.Join(dir, "foreign")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		planted = append(planted, foreign)
	} else {
		planted = append(planted, "/") // somebody else's, and always there
	}
	for _, path := range planted {
		var unsafe *UnsafeDirError
		if err := secureDir(path, me, 0o700); !errors.As(err, &unsafe) || unsafe.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := secureDir(target, me, 0o700); err != nil {
		t.Error(err)
	}
}

func TestFailureShowsLog(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	_, err := Start(t.Context(), Config{Dir: dir, Settings: map[string]string{"shared_buffers": "plenty"}})
	var failure *StartError
	if !errors.As(err, &failure) || !strings.Contains(failure.Output, `invalid value for parameter "shared_buffers": "plenty"`) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), filepath.Join(dir, logName)) || !strings.Contains(err.Error(), "plenty") {
		t.Errorf("the message is %q", err)
	}
	start(t, Config{Dir: dir}) // nothing is left in the way
}

func TestDisposableDataIsRemade(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	var log bytes.Buffer
	for _, damage := range []string{"global/pg_control", "PG_VERSION"} {
		c := start(t, Config{Dir: dir, Log: &log, Disposable: true})
		execute(t, open(t, c), "CREATE TABLE lost ()")
		stop(t, c)
		content := []byte("16\n") // where that is the version, one that is not at hand
		if c.server.Load().binDir == "/usr/lib/postgresql/16/bin" {
			content = []byte("15\n")
		}
		if err := os.WriteFile(filepath.Join(c.data(), damage), content, 0o600); err != nil {
			t.Fatal(err)
		}
		c = start(t, Config{Dir: dir, Log: &log, Disposable: true, BinDir: c.server.Load().binDir})
		if got := query(t, open(t, c), "SELECT count(*) FROM pg_class WHERE relname = 'lost'"); got != "0" {
			t.Error("the damaged data are still there")
		}
		if !strings.Contains(log.String(), "throwing away") {
			t.Errorf("the log is %q", &log)
		}
		stop(t, c)
		log.Reset()
	}
}

func TestDurableDataAreNotRemade(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	c := start(t, Config{Dir: dir})
	stop(t, c)
	control := filepath.Join(c.data(), "global/pg_control")
	content, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(control, content[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	var failure *StartError
	if _, err := Start(t.Context(), Config{Dir: dir}); !errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(control, content, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Dir: dir})
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	c := start(t, Config{Dir: dir, Disposable: true})
	// Somebody starts or stops the server, and does not get done.
	if ok, err := c.starting.try(syscall.LOCK_EX); !ok {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Config{Dir: dir, Disposable: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	c.starting.release()
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
}

// For root, a directory that nobody else may enter.
func TestDirectoryOfRootAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base, dir := testDir(t), t.TempDir() // below one of mode 0700
	usual := elsewhere
	elsewhere = []string{"/proc/nonexistent", base}
	defer func() { elsewhere = usual }()

	c := start(t, Config{Dir: dir, Disposable: true})
	if filepath.Dir(c.Home()) != base {
		t.Errorf("the cluster is in %s", c.Home())
	}
	execute(t, open(t, c), "CREATE TABLE kept ()")
	note, err := os.ReadFile(filepath.Join(dir, locationName))
	if err != nil || !strings.Contains(string(note), c.Home()) {
		t.Errorf("the note is %q, %v", note, err)
	}
	info, err := os.Stat(c.data())
	if err != nil || info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Errorf("the data directory is %v, %v", info, err)
	}
	stop(t, c)
	// The choice lasts, even if the directory is opened to others later.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	c = start(t, Config{Dir: dir, Disposable: true})
	if got := query(t, open(t, c), "SELECT count(*) FROM kept"); got != "0" {
		t.Errorf("got %s", got)
	}
	stop(t, c)

	// Somebody was faster, and has planted a link to a directory of their own.
	if err := os.RemoveAll(c.Home()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	trap := filepath.Join(base, "trap")
	if err := os.Mkdir(trap, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trap, c.Home()); err != nil {
		t.Fatal(err)
	}
	var unsafe *UnsafeDirError
	if _, err := Start(t.Context(), Config{Dir: dir, Disposable: true}); !errors.As(err, &unsafe) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(trap); err != nil || len(entries) > 0 {
		t.Errorf("the trap holds %v, %v", entries, err)
	}
}

// After a run as root, an ordinary user is told so. And root takes over the cluster of an ordinary user as that user.
func TestRootAndOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("needs a user nobody")
	}
	who, err := toAccount(nobody)
	if err != nil {
		t.Fatal(err)
	}
	bin := testDir(t)
	self := filepath.Join(bin, "helper")
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "install", "-m", "755", executable, self).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}

	ofRoot := testDir(t)
	stop(t, start(t, Config{Dir: ofRoot, Disposable: true}))
	for range 2 {
		h := startHelperAs(t, who.command(t.Context(), "/", self), ofRoot)
		if line := h.line(); !strings.HasPrefix(line, "*localpg.OwnerError") || !strings.Contains(line, "sudo rm -rf "+ofRoot) {
			t.Errorf("the ordinary user is told: %s", line)
		}
		_ = h.cmd.Wait()
		// As where the cluster is elsewhere, and only the directory is root's.
		if err := os.RemoveAll(filepath.Join(ofRoot, dataName)); err != nil {
			t.Fatal(err)
		}
	}

	ofNobody := testDir(t)
	if err := os.Chown(ofNobody, who.uid, who.gid); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time after root
		h := startHelperAs(t, who.command(t.Context(), "/", self), ofNobody)
		h.pid()
		if err := h.stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if err := h.cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		c := start(t, Config{Dir: ofNobody, Disposable: true})
		if c.site.account.name != "nobody" {
			t.Errorf("the server runs as %s", c.site.account.name)
		}
		stop(t, c)
	}
}

// script writes a program that the server's user may run.
func script(t *testing.T, dir, name, body string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
