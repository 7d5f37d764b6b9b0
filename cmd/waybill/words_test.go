package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/localpg"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"order", "event", "event-types", "webhook", "machine"}
	for word, want := range map[string]string{
		"ordr": "order", "oredr": "order", "ORDER": "order", "web": "webhook", "machines": "machine", "event-type": "event-types",
		"x": "", "delivery": "", "": "",
	} {
		if want != "" {
			want = "did you mean " + want + "?"
		}
		if got := suggest(word, known); got != want {
			t.Errorf("suggest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-07-01T15:04:05Z":           "2026-07-01T15:04:05Z",
		"2026-07-01T15:04:05.123456Z":    "2026-07-01T15:04:05.123456Z",
		"2026-07-01T15:04:05+02:00":      "2026-07-01T13:04:05Z",
		"2026-07-01":                     "2026-07-01T23:59:59.999999Z",
		"2024-02-29":                     "2024-02-29T23:59:59.999999Z",
		"2026-02-29":                     "",
		"2026-07-01 15:04:05":            "",
		"01.07.2026":                     "",
		"now":                            "",
		"":                               "",
		strings.Repeat("2026", 1_000_00): "",
	} {
		got, err := parseTime("as-of", text)
		if want == "" {
			if err == nil {
				t.Errorf("%.40q is taken for %s", text, got)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s, %v; want %s", text, got.Format(time.RFC3339Nano), err, want)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		testKey:                            true,
		strings.TrimRight(testKey, "="):    true,
		strings.Repeat("0f", 32):           true,
		strings.Repeat("_-", 21) + "8":     true,
		strings.Repeat("0f", 31):           false,
		strings.Repeat("0f", 33):           false,
		"":                                 false,
		"correct horse battery staple and": false,
	} {
		if _, ok := parseKey(text); ok != want {
			t.Errorf("parseKey(%q): %v, want %v", text, ok, want)
		}
	}
}

// Programs that start together make one key, which stays.
func TestEmbeddedKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	keys := make([]string, 16)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			key, err := embeddedKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = hex.EncodeToString(key)
		})
	}
	group.Wait()
	for _, key := range keys {
		if key != keys[0] || len(key) != 64 {
			t.Fatalf("keys differ: %q", keys)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embeddedKey(path); err == nil || !strings.Contains(err.Error(), "does not hold a key") {
		t.Errorf("a damaged key: %v", err)
	}
}

// What others wrote cannot move the cursor, colour the terminal or break a line.
func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain – text ✓":    "plain – text ✓",
		"a\x1b[31mb\nc\rd":  "a\uFFFD[31mb\uFFFDc\uFFFDd",
		"a\u202eb\u2028c":   "a\uFFFDb\uFFFDc",
		"\x9b2Jx\x00\x7f\t": "\uFFFD2Jx\uFFFD\uFFFD\uFFFD",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	on := style{on: true}
	tab := table{right: []int{1}}
	tab.add(on.green("é"), "1", "x")
	tab.add("long", "100", "")
	tab.write(&b, " ")
	if want := " \x1b[32mé\x1b[0m       1  x\n long  100\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// A reader that went away is no reason for noise; other trouble with the output is.
// What stands in the way of the embedded database is said, with what to do about it.
func TestEmbeddedDatabaseFails(t *testing.T) {
	t.Parallel()
	c := cli{dir: t.TempDir(), now: time.Now}
	if err := os.WriteFile(filepath.Join(c.dir, embeddedDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.run(t, "order", "show", "ord_1"); r.status != exitFailed || !strings.Contains(r.stderr, "name a database of your own with --database") {
		t.Errorf("a file is in its place: exit status %d, stderr %q", r.status, r.stderr)
	}
	// Ctrl-C during initdb is no failure of initdb, and needs none of its words.
	f := explain(&localpg.StartError{Program: "initdb", Output: "creating configuration files", Err: context.Canceled})
	if f.code != "interrupted" || f.message != "interrupted" || f.status != exitFailed {
		t.Errorf("an interrupted start is shown as %+v", f)
	}
}

func TestOutputFails(t *testing.T) {
	t.Parallel()
	for failure, want := range map[error]string{
		syscall.EPIPE:  "",
		syscall.ENOSPC: "waybill: write the output: no space left on device\n",
	} {
		var stderr strings.Builder
		env := cli{now: time.Now}.environment()
		env.stdout = writerFunc(func([]byte) (int, error) { return 0, failure })
		env.stderr = &stderr
		if status := run(t.Context(), []string{"machine"}, env); status != exitFailed || stderr.String() != want {
			t.Errorf("%v: exit status %d, stderr %q", failure, status, stderr.String())
		}
	}
}
