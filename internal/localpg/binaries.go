package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MinMajor is the oldest PostgreSQL that will do.
const MinMajor = 15

// places are where packages install PostgreSQL's programs. It is a variable for the tests.
var places = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // PostgreSQL's own packages for Fedora and Red Hat
	"/usr/lib/postgresql[0-9]*/bin",                      // SUSE
	"/usr/libexec/postgresql[0-9]*",                      // Alpine
	"/usr/local/pgsql/bin",                               // make install
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/opt/local/lib/postgresql*/bin",                     // MacPorts
}

// binaries is an installation of PostgreSQL.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// find returns the installation to use: the only one to look at if that is set, else the first on PATH, else the one that pg_config
// knows, else the newest of those in the usual places and in home. Each has to be of the given major version, or of any from MinMajor
// on if that is 0, and such that the account can run it.
func find(ctx context.Context, who account, home, only string, major int) (binaries, error) {
	var groups [][]string
	if only != "" {
		groups = [][]string{{only}}
	} else {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			groups = append(groups, []string{dir})
		}
		if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
			groups = append(groups, []string{strings.TrimSpace(string(out))})
		}
		groups = append(groups, usualPlaces(home))
	}

	missing := &NoBinariesError{Major: major}
	seen := map[string]bool{}
	for _, group := range groups {
		var newest binaries
		for _, dir := range group {
			dir = realDir(dir)
			if dir == "" || seen[dir] {
				continue
			}
			seen[dir] = true
			found, err := probe(ctx, who, dir)
			switch {
			case err != nil:
				missing.Rejected = append(missing.Rejected, fmt.Sprintf("%s: %v", dir, err))
			case found.major < MinMajor:
				missing.Rejected = append(missing.Rejected, fmt.Sprintf("%s: version %d is too old", dir, found.major))
			case major != 0 && found.major != major:
				missing.Rejected = append(missing.Rejected, fmt.Sprintf("%s: is version %d", dir, found.major))
			case found.major > newest.major:
				newest = found
			}
		}
		if newest.major > 0 {
			return newest, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return binaries{}, err
	}
	return binaries{}, missing
}

func usualPlaces(home string) []string {
	var dirs []string
	for _, pattern := range append(slices.Clone(places), filepath.Join(home, downloadPrefix+"*", "bin")) {
		// The patterns are constants, but for home, which may hold characters with a meaning.
		matches, _ := filepath.Glob(pattern)
		dirs = append(dirs, matches...)
	}
	return dirs
}

// realDir returns the directory that really holds postgres, and with it the rest of the installation, if dir has that program or a
// link to it, else "".
func realDir(dir string) string {
	if dir == "" {
		return ""
	}
	program, err := filepath.Abs(filepath.Join(dir, "postgres"))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if target, err := filepath.EvalSymlinks(program); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(target), "initdb")); err == nil {
			return filepath.Dir(target)
		}
	}
	return filepath.Dir(program)
}

var versionPattern = regexp.MustCompile(`^postgres \(.*?\) (\d+)`)

// probe asks the postgres in dir for its version.
func probe(ctx context.Context, who account, dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, program := range []string{"initdb", "pg_ctl"} {
		if _, err := os.Stat(b.path(program)); err != nil {
			return binaries{}, fmt.Errorf("has no %s", program)
		}
	}
	out, err := who.command(ctx, "/", b.path("postgres"), "--version").Output()
	if errors.Is(err, fs.ErrPermission) && who.other {
		return binaries{}, fmt.Errorf("user %s, as whom root runs it, may not", who.name)
	}
	if err != nil {
		return binaries{}, err
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("names no version: %q", strings.TrimSpace(string(out)))
	}
	b.major, err = strconv.Atoi(string(match[1]))
	return b, err
}

// hasLibrary tells whether the installation has a loadable module, wherever it was built to keep them.
func (b binaries) hasLibrary(name string) bool {
	for _, dir := range []string{"../lib", "../lib/postgresql"} {
		for _, suffix := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(b.dir, dir, name+suffix)); err == nil {
				return true
			}
		}
	}
	return false
}

// Bin returns the path of one of PostgreSQL's programs, such as pgbench or pg_dump: the one that belongs to the running server, or else
// one from PATH or the usual places. If there is none it returns a [*MissingProgramError].
func (c *Cluster) Bin(program string) (string, error) {
	candidates := []string{filepath.Join(c.server.Load().binDir, program)}
	if path, err := exec.LookPath(program); err == nil {
		candidates = append(candidates, path)
	}
	for _, dir := range usualPlaces(c.site.home) {
		candidates = append(candidates, filepath.Join(dir, program))
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return filepath.Abs(path)
		}
	}
	return "", &MissingProgramError{Name: program}
}
