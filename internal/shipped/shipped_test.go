// Package shipped pins the format of every event that was ever written: its golden file may neither change nor go, because history in
// that format is in somebody's database. Golden files alone would not do, as writing them anew is one command.
package shipped

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "add the events that are new to the list; it never changes what is on it")

const list = "events.txt" // lines of SHA-256 and file

func TestEventsStayAsTheyWereShipped(t *testing.T) {
	files, err := filepath.Glob("../../domain/*/testdata/events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(list)
	if err != nil && !*update {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	shipped := map[string]string{}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		shipped[name] = sum
	}
	there := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(file, filepath.FromSlash("../../")))
		there[name] = true
		sum := fmt.Sprintf("%x", sha256.Sum256(content))
		switch was := shipped[name]; {
		case was == "" && *update:
			lines = append(lines, sum+"  "+name)
		case was == "":
			t.Errorf("%s is new: add it to the list, for ever, with go test ./internal/shipped -update", name)
		case was != sum:
			t.Errorf("%s is not as it was shipped: restore it, and give the event a new schema version with an upcast from the old one (domain.EventOf)", name)
		}
	}
	for name := range shipped {
		if name != "" && !there[name] {
			t.Errorf("%s is gone: history has such events, so restore it", name)
		}
	}
	if *update {
		slices.Sort(lines)
		if err := os.WriteFile(list, []byte(strings.TrimSpace(strings.Join(lines, "\n"))+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
