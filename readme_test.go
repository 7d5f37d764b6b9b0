package waybill_test

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

var update = flag.Bool("update", false, "write README.md's generated parts anew")

// The README's code is the code of an example that runs, and its pictures are drawn from the tables that decide.
func TestReadmeGolden(t *testing.T) {
	t.Parallel()
	example := readFile(t, "example_test.go")
	_, example, _ = strings.Cut(example, "// README: begin\n")
	example, _, _ = strings.Cut(example, "\t// README: end\n")
	code := readmeHead + example + readmeTail

	var machines strings.Builder
	for _, m := range order.Aggregate().Machines {
		machines.WriteString("**" + m.Name + "**\n\n```mermaid\n" + m.Mermaid() + "```\n\n")
	}

	want := readFile(t, "README.md")
	got := replaceBetween(t, want, "```go\n", "```\n", code)
	got = replaceBetween(t, got, "<!-- machines: begin -->\n", "<!-- machines: end -->\n", "\n"+machines.String())
	if *update {
		if err := os.WriteFile("README.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Error("README.md does not show the example or the machines as they are now: run make generate")
	}
}

// The README's program is the example's body, with what every program needs.
const (
	readmeHead = `package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

func main() {
	dsn := os.Getenv("DATABASE_URL")
`
	readmeTail = `}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
`
)

// The README's program, as it stands there, does what the README says.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	_, code, _ := strings.Cut(readFile(t, "README.md"), "```go\n")
	code, _, _ = strings.Cut(code, "```\n")
	main := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(main, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", main)
	run.Env = append(os.Environ(), "DATABASE_URL="+pgtest.New(t).DSN)
	out, err := run.CombinedOutput()
	if want := "1 order.created\n2 order.submitted\n3 payment.authorized\n4 order.authorized\n5 order.placed\n"; err != nil || string(out) != want {
		t.Errorf("it ends with %v and prints\n%s", err, out)
	}
}

// Whatever the README says to type is there.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	makefile := readFile(t, "Makefile")
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)").FindAllStringSubmatch(readFile(t, "README.md"), -1)
	if len(named) < 4 {
		t.Fatalf("found %d make commands only: %v", len(named), named)
	}
	for _, command := range named {
		if !regexp.MustCompile(`(?m)^` + command[1] + `:.*## `).MatchString(makefile) {
			t.Errorf("README.md names `make %s`, which is no documented target", command[1])
		}
	}
}

// Whatever test the guarantees name is there.
func TestGuaranteesNameTests(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if entry.IsDir() && path != "." && path[0] == '.' {
			return filepath.SkipDir // the tests' databases among them, which come and go
		}
		if err == nil && strings.HasSuffix(path, "_test.go") {
			sources.WriteString(readFile(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(readFile(t, "docs/guarantees.md"), -1)
	if len(named) < 20 {
		t.Fatalf("found %d names only", len(named))
	}
	for _, name := range named {
		if !strings.Contains(sources.String(), "\nfunc "+name[1]+"(t *testing.T)") {
			t.Errorf("docs/guarantees.md names %s, which is no test", name[1])
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func replaceBetween(t *testing.T, text, begin, end, replacement string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md lacks %q … %q", begin, end)
	}
	return before + begin + replacement + end + after
}
