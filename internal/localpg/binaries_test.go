package localpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withoutPostgres makes it look as if no PostgreSQL were installed.
func withoutPostgres(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", "/nonexistent")
	t.Setenv("TMPDIR", testDir(t)) // where the library that downloads leaves files
	usual := places
	places = nil
	t.Cleanup(func() { places = usual })
}

func TestTooOld(t *testing.T) {
	bin := testDir(t)
	script(t, bin, "postgres", `echo 'postgres (PostgreSQL) 14.9 (Debian 14.9-1)'`)
	script(t, bin, "initdb", `exit 1`)
	script(t, bin, "pg_ctl", `exit 1`)
	withoutPostgres(t)
	t.Setenv("PATH", bin)
	repository := httptest.NewServer(http.NotFoundHandler())
	defer repository.Close()

	_, err := Start(t.Context(), Config{Dir: testDir(t), Repository: repository.URL})
	var missing *NoBinariesError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"no PostgreSQL 15 or newer", bin + ": version 14 is too old", "404 Not Found", repository.URL, "apt install"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
}

func TestFind(t *testing.T) {
	install := func(name, version string) string {
		dir := filepath.Join(testDir(t), name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		script(t, dir, "postgres", "echo 'postgres (PostgreSQL) "+version+"'")
		script(t, dir, "initdb", "")
		script(t, dir, "pg_ctl", "")
		return dir
	}
	old, v15, v16, v17 := install("a", "13.1"), install("b", "15.13"), install("c", "16devel"), install("d", "17beta1")
	broken := testDir(t)
	script(t, broken, "postgres", "exit 3")
	link := testDir(t)
	if err := os.Symlink(filepath.Join(v16, "postgres"), filepath.Join(link, "postgres")); err != nil {
		t.Fatal(err)
	}
	withoutPostgres(t)
	paths := func(dirs ...string) string { return strings.Join(dirs, string(os.PathListSeparator)) }
	for name, test := range map[string]struct {
		path, only string
		places     []string
		major      int
		want       string
	}{
		"first on PATH":              {path: paths(broken, old, v15, v17), places: []string{v17}, want: v15},
		"behind a link":              {path: paths(link), want: v16},
		"newest of the usual places": {path: old, places: []string{v15, v17, v16}, want: v17},
		"the version of the data":    {path: v17, places: []string{v15, v16}, major: 16, want: v16},
		"no other than that":         {path: v17, only: v15, want: v15},
		"none":                       {path: paths(broken, old), want: ""},
		"none of that version":       {path: paths(v15, v16), major: 17, want: ""},
	} {
		t.Setenv("PATH", test.path)
		places = test.places
		got, err := find(t.Context(), account{}, "/nonexistent", test.only, test.major)
		missing := new(NoBinariesError)
		if got.dir != test.want || (err == nil) != (test.want != "") || err != nil && !errors.As(err, &missing) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// fakeRepository serves what a Maven repository does, made from the PostgreSQL that is installed.
type fakeRepository struct {
	*httptest.Server
	requests []string
	jar      []byte
	sum      string
}

func newFakeRepository(t *testing.T) *fakeRepository {
	t.Helper()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("needs xz")
	}
	installed, err := find(t.Context(), account{}, "/nonexistent", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, program := range []string{"initdb", "pg_ctl", "postgres"} {
		// As if it were a later version, but with an own copy of nothing.
		body := fmt.Sprintf("#!/bin/sh\nexec %q \"$@\"\n", installed.path(program))
		if err := w.WriteHeader(&tar.Header{Name: "bin/" + program, Mode: 0o700, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	xz := exec.CommandContext(t.Context(), "xz", "-c")
	xz.Stdin = &archive
	compressed, err := xz.Output()
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	entry, err := z.Create("postgres-linux-x86_64.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(compressed); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}

	r := &fakeRepository{jar: jar.Bytes(), sum: fmt.Sprintf("%x", sha256.Sum256(jar.Bytes()))}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.requests = append(r.requests, req.URL.Path)
		switch {
		case strings.HasSuffix(req.URL.Path, ".jar"):
			_, _ = w.Write(r.jar)
		case r.sum != "":
			_, _ = w.Write([]byte(r.sum))
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func TestDownload(t *testing.T) {
	repository := newFakeRepository(t)
	withoutPostgres(t)
	var log bytes.Buffer
	dir := testDir(t)
	c := start(t, Config{Dir: dir, Log: &log, Disposable: true, Repository: repository.URL + "/maven2/"})
	if got := query(t, open(t, c), "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	if len(repository.requests) != 2 || !strings.HasPrefix(repository.requests[0], "/maven2/io/zonky/test/postgres/") {
		t.Errorf("the requests were %q", repository.requests)
	}
	for _, want := range []string{"downloading PostgreSQL 17", repository.URL, "downloaded 0.0 of 0.0 MiB"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	stop(t, c)
	if entries, err := filepath.Glob(filepath.Join(dir, "download*")); err != nil || len(entries) > 0 {
		t.Errorf("%q are left, %v", entries, err)
	}

	// The next time they are there.
	repository.Close()
	stop(t, start(t, Config{Dir: dir, Disposable: true, Repository: repository.URL}))
}

func TestDownloadFails(t *testing.T) {
	repository := newFakeRepository(t)
	withoutPostgres(t)
	fails := func(name, want string) {
		t.Helper()
		dir := testDir(t)
		_, err := Start(t.Context(), Config{Dir: dir, Repository: repository.URL})
		var missing *NoBinariesError
		if !errors.As(err, &missing) || missing.Download == nil || !strings.Contains(missing.Download.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
		if entries, err := filepath.Glob(filepath.Join(dir, "*load*")); err != nil || len(entries) > 0 {
			t.Errorf("%s: %q are left, %v", name, entries, err)
		}
	}
	sum, jar := repository.sum, repository.jar
	repository.sum = strings.Repeat("0", len(sum))
	fails("wrong checksum", "checksums do not match")
	repository.sum = ""
	fails("no checksum", ".jar.sha256: 404 Not Found")
	repository.jar = jar[:len(jar)/2]
	repository.sum = fmt.Sprintf("%x", sha256.Sum256(repository.jar))
	fails("half a file", "zip")
	repository.Close()
	fails("nobody there", "connection refused")
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	withoutPostgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	repository := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		cancel()
		<-req.Context().Done()
	}))
	defer repository.Close()
	if _, err := Start(ctx, Config{Dir: testDir(t), Repository: repository.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
