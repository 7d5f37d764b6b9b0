// Package rooms pins which rooms of the project may import which: downwards only.
package rooms

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/waybill-dev/waybill"

// allowed says, for each room, which rooms of the project its packages may import besides their own. A room is the first part of a
// package's path, unless the package is named here itself; "" is the root package. The order is from the bottom to the top.
var allowed = map[string][]string{
	"domain":         {},
	"internal":       {"migrations"}, // the tests' databases are migrated ones
	"migrations":     {"internal"},
	"eventstore":     {"domain", "internal", "migrations"},
	"outbox":         {"domain", "internal"},
	"projections":    {"domain", "internal"},
	"inbox":          {},
	"":               {"domain", "eventstore", "outbox", "projections", "migrations", "internal"},
	"internal/bench": {"", "domain", "outbox"}, // measures the engine from outside
	"httpapi":        {"", "domain", "eventstore", "outbox", "projections", "internal"},
	"cmd":            {"", "domain", "eventstore", "outbox", "projections", "inbox", "httpapi", "migrations", "internal", "internal/bench"},
}

func TestImports(t *testing.T) {
	output, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from := room(p.ImportPath)
		mayImport, known := allowed[from]
		if !known {
			t.Errorf("%s lies in a room that this test does not know: %q", p.ImportPath, from)
		}
		for _, imported := range p.Imports {
			to := room(imported)
			if !strings.HasPrefix(imported, module) || to == from {
				continue
			}
			if !slices.Contains(mayImport, to) {
				t.Errorf("%s imports %s: room %q may import %q only", p.ImportPath, imported, from, mayImport)
			}
		}
	}
	if packages < len(allowed)/2 {
		t.Fatalf("go list found %d packages only", packages)
	}
}

func room(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	if _, named := allowed[path]; named {
		return path
	}
	first, _, _ := strings.Cut(path, "/")
	return first
}
