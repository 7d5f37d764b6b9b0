package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the program itself, in a directory with an embedded database of its own.
type binary struct {
	path string
	dir  string
}

func build(t *testing.T) binary {
	t.Helper()
	// Not t.TempDir, which lets nobody else in: then root's server, which is another user's, would lie elsewhere and be left behind.
	dir, err := os.MkdirTemp("", "waybill-binary-")
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
	b := binary{path: filepath.Join(t.TempDir(), "waybill"), dir: dir}
	if output, err := exec.Command("go", "build", "-o", b.path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return b
}

func (b binary) command(args ...string) *exec.Cmd {
	cmd := exec.Command(b.path, args...)
	cmd.Dir = b.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "WAYBILL_ADDR=127.0.0.1:0"}
	return cmd
}

// until starts a command and returns once it has printed a line with a text.
func (b binary) until(t *testing.T, text string, args ...string) (cmd *exec.Cmd, rest reader, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stderr = b.command(args...), &bytes.Buffer{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { killer.Stop() })
	rest = reader{bufio.NewReader(stdout), stdout}
	for {
		line, err := rest.ReadString('\n')
		if err != nil {
			t.Fatalf("waybill %s ended before it said %q: %v\n%s", strings.Join(args, " "), text, cmd.Wait(), stderr)
		}
		if strings.Contains(line, text) {
			return cmd, rest, stderr
		}
	}
}

// reader is what a command prints.
type reader struct {
	*bufio.Reader
	io.Closer
}

// end reads what is left and returns the exit status.
func end(t *testing.T, cmd *exec.Cmd, rest reader) (status int, output string) {
	t.Helper()
	var b bytes.Buffer
	if _, err := rest.WriteTo(&b); err != nil && !errors.Is(err, fs.ErrClosed) {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

func (b binary) demo(t *testing.T) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := b.command("demo")
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil || !bytes.HasSuffix(output, []byte("\n"+complete(t).String()+"\n")) {
		t.Errorf("demo: %v\n%s%s", err, output, &stderr)
	}
}

// stopped checks that no server was left running.
func (b binary) stopped(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(b.dir, embeddedDir, "pg", "PG_VERSION")); err != nil {
		t.Errorf("the embedded server is not where it should be: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, embeddedDir, "pg", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the embedded server still runs: %v", err)
	}
}

// The program as its users have it, with the embedded database, stopped in every way.
func TestBinary(t *testing.T) {
	t.Parallel()
	b := build(t)

	b.demo(t)
	b.stopped(t)
	b.demo(t)
	b.stopped(t)

	t.Log("Ctrl-C during a demo")
	cmd, rest, stderr := b.until(t, "order.submitted", "demo")
	cmd.Process.Signal(os.Interrupt)
	if status, _ := end(t, cmd, rest); status != exitFailed || !strings.HasSuffix(stderr.String(), "waybill: interrupted\n") {
		t.Errorf("exit status %d, stderr %q", status, stderr)
	}
	b.stopped(t)

	t.Log("a demo beside a server, which then is told to stop")
	server, serving, stderr := b.until(t, "Ctrl-C", "serve")
	b.demo(t)
	server.Process.Signal(syscall.SIGTERM)
	if status, output := end(t, server, serving); status != exitOK || !strings.HasSuffix(output, "stopped\n") {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, output, stderr)
	}
	b.stopped(t)

	t.Log("kill -9, and again")
	cmd, rest, _ = b.until(t, "order.submitted", "demo")
	cmd.Process.Kill()
	end(t, cmd, rest)
	b.demo(t)
	b.stopped(t)

	t.Log("a reader that has seen enough")
	cmd, rest, stderr = b.until(t, "order.submitted", "demo")
	rest.Close()
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Errorf("exit %v, stderr %q", err, stderr)
	}
	b.stopped(t)
}
