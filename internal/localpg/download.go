package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	defaultRepository = "https://repo1.maven.org/maven2"
	downloadPrefix    = "postgresql-"
)

// downloads are the versions that can be had, by major version. The one of 0 is for a new cluster.
var downloads = map[int]embeddedpostgres.PostgresVersion{
	0:  embeddedpostgres.V17,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// download puts PostgreSQL's programs of the major version, or of one of our choice if that is 0, where find looks for them.
func (c *Cluster) download(ctx context.Context, major int) error {
	version, ok := downloads[major]
	if !ok {
		return fmt.Errorf("there is no PostgreSQL %d to be had", major)
	}
	const scratchName = "download"
	if err := c.files.RemoveAll(scratchName); err != nil { // left by a run that was killed
		return err
	}
	if err := c.files.Mkdir(scratchName, 0o755); err != nil {
		return err
	}
	defer func() { _ = c.files.RemoveAll(scratchName) }() // what stays is removed by the next run

	repository := &relay{ctx: ctx, upstream: c.config.Repository, name: fmt.Sprintf("PostgreSQL %s", version), say: c.say}
	if repository.upstream == "" {
		repository.upstream = defaultRepository
	}
	if err := repository.listen(); err != nil {
		return err
	}
	defer repository.close()

	// All that the library lets us ask for is a running server, with its data here and as our own user. It unpacks the programs first,
	// though, and then does not get further with a directory that it takes for a cluster and that is empty.
	scratch := filepath.Join(c.site.home, scratchName)
	data := filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	made, _, _ := strings.Cut(string(version), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(made+"\n"), 0o600); err != nil {
		return err
	}
	unpacked := filepath.Join(scratch, "programs")
	library := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		Port(0).
		CachePath(filepath.Join(scratch, "cache")).
		RuntimePath(filepath.Join(scratch, "run")).
		BinariesPath(unpacked).
		DataPath(data).
		BinaryRepositoryURL(repository.url).
		Logger(io.Discard))
	err := library.Start()
	if err == nil {
		return errors.Join(errors.New("an empty PostgreSQL cluster started"), library.Stop())
	}
	if failure := repository.failure(); failure != nil {
		return failure
	}
	if _, statErr := os.Stat(filepath.Join(unpacked, "bin", "postgres")); statErr != nil {
		return err
	}
	if err := makeReadable(unpacked); err != nil {
		return err
	}
	target := downloadPrefix + string(version)
	if err := c.files.RemoveAll(target); err != nil {
		return err
	}
	return c.files.Rename(filepath.Join(scratchName, "programs"), target)
}

// makeReadable lets every user run what lies below dir, whatever the umask was: the server may run as another user.
func makeReadable(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// relay stands between the library and the repository. The library by itself downloads in silence and without a context, forgives a
// missing checksum, and does not tell what went wrong.
type relay struct {
	ctx      context.Context
	upstream string // base URL of the repository
	name     string // what is downloaded, for people
	say      func(format string, args ...any)
	url      string // what the library is to take for the repository

	server *http.Server

	mu  sync.Mutex
	err error
}

func (r *relay) listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.url = "http://" + listener.Addr().String()
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return nil
}

func (r *relay) close() { _ = r.server.Close() } // of connections to ourselves that nobody needs any more

// failure returns what went wrong first, nil if nothing did.
func (r *relay) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := r.forward(w, strings.TrimSuffix(r.upstream, "/")+req.URL.Path); err != nil {
		r.mu.Lock()
		if r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
		panic(http.ErrAbortHandler) // the library must not take what it got for the whole
	}
}

func (r *relay) forward(w http.ResponseWriter, url string) error {
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	if response.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(response.ContentLength, 10))
	}
	var to io.Writer = w
	if strings.HasSuffix(url, ".jar") {
		r.say("downloading %s from %s", r.name, url)
		to = io.MultiWriter(w, &progress{relay: r, total: response.ContentLength})
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return nil
}

// progress reports every tenth of a download, or every 4 MiB if its size is not known.
type progress struct {
	relay              *relay
	total, done, shown int64
}

func (p *progress) Write(b []byte) (int, error) {
	const mebibyte = 1 << 20
	p.done += int64(len(b))
	step := max(p.total/10, 1)
	if p.total < 0 {
		step = 4 * mebibyte
	}
	if p.done/step > p.shown/step {
		p.shown = p.done
		if p.total < 0 {
			p.relay.say("downloaded %.1f MiB of %s", float64(p.done)/mebibyte, p.relay.name)
		} else {
			p.relay.say("downloaded %.1f of %.1f MiB of %s", float64(p.done)/mebibyte, float64(p.total)/mebibyte, p.relay.name)
		}
	}
	return len(b), nil
}
