package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/internal/localpg"
	"github.com/waybill-dev/waybill/migrations"
)

const (
	embeddedDir      = ".waybill"
	embeddedDatabase = "waybill"
	maxConnections   = 32
)

// database is an open database: the user's own, or the embedded one, which is ours to start, migrate and stop.
type database struct {
	*sql.DB
	dsn     string
	cluster *localpg.Cluster // nil where the database is the user's own
}

// openDatabase connects to the database that the command line, or else the environment, names, or else to the embedded one. Nothing
// is migrated yet.
func (p *program) openDatabase(ctx context.Context) (*database, error) {
	dsn := orElse(p.database, p.getenv("WAYBILL_DATABASE_URL"))
	if dsn == "" {
		return p.openEmbedded(ctx)
	}
	db, err := connect(dsn)
	if err != nil {
		return nil, err
	}
	return &database{DB: db, dsn: dsn}, nil
}

func (p *program) openEmbedded(ctx context.Context) (*database, error) {
	cluster, err := localpg.Start(ctx, localpg.Config{Dir: filepath.Join(p.dir, embeddedDir), Log: p.stderr})
	if errors.As(err, new(*fs.PathError)) {
		return nil, &placeError{err}
	}
	if err != nil {
		return nil, err
	}
	d := &database{cluster: cluster, dsn: cluster.DSN(embeddedDatabase)}
	if err = cluster.CreateDatabase(ctx, embeddedDatabase); err == nil {
		d.DB, err = connect(d.dsn)
	}
	if err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return d, nil
}

func connect(dsn string) (*sql.DB, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		// Neither the address nor the driver's words about it are shown: there may be a password in them.
		return nil, usagef("want postgres://user:password@host:5432/database, or leave it out to use the embedded database",
			"the database URL cannot be read")
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	return db, nil
}

// describe names the database, without the password that may be in its address.
func (d *database) describe() string {
	if d.cluster != nil {
		return "embedded PostgreSQL in " + d.cluster.Home()
	}
	config, err := pq.NewConfig(d.dsn)
	if err != nil {
		return "PostgreSQL"
	}
	return fmt.Sprintf("%s on %s:%d", config.Database, config.Host, config.Port)
}

// embeddedURL is the address of the embedded database, for programs of the user's own. There is no password in it: who may open the
// socket's directory gets in.
func (d *database) embeddedURL() string {
	if d.cluster == nil {
		return ""
	}
	return d.dsn
}

// Close also stops the embedded server, where nobody else uses it.
func (d *database) Close() error {
	var err error
	if d.DB != nil {
		err = d.DB.Close()
	}
	if d.cluster != nil {
		err = errors.Join(err, d.cluster.Stop())
	}
	return err
}

// prepare brings the embedded database to the present schema. One that is the user's own has to be there already: its migrations are
// for its operator to run.
func (d *database) prepare(ctx context.Context) error {
	if d.cluster != nil {
		return waybill.Migrate(ctx, d.DB)
	}
	return migrations.Check(ctx, d.DB)
}

// session is an open, migrated database with an engine on it.
type session struct {
	*database
	engine    *waybill.Engine
	workspace *waybill.Workspace
	metrics   *prometheus.Registry
	masterKey []byte // nil where there is none
}

// secrets says whether a command has to read or write webhooks' secrets, for which it needs the master key.
type secrets bool

const (
	withSecrets    secrets = true
	withoutSecrets secrets = false
)

// open returns a session, which the caller must close.
func (p *program) open(ctx context.Context, need secrets) (_ *session, err error) {
	if err := checkWorkspace(p.workspace); err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := waybill.Config{Now: p.now, Logger: p.logger(), Metrics: metrics}
	if config.AllowTargets, err = p.allowedTargets(); err != nil {
		return nil, err
	}
	if config.MasterKey, err = p.masterKey(); err != nil {
		return nil, err
	}
	db, err := p.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := db.prepare(ctx); err != nil {
		return nil, err
	}
	if config.MasterKey == nil && db.cluster == nil && need == withSecrets {
		return nil, usagef("make one with `openssl rand -base64 32`, and give every process on this database the same",
			"WAYBILL_MASTER_KEY is not set: webhooks' secrets are sealed with it")
	}
	if config.MasterKey == nil && db.cluster != nil {
		if config.MasterKey, err = embeddedKey(filepath.Join(p.dir, embeddedDir, "master.key")); err != nil {
			return nil, err
		}
	}
	if config.AllowTargets == nil && db.cluster != nil {
		config.AllowTargets = loopback // a private database is for development, where receivers run next door
	}
	config.AllowHTTP = len(config.AllowTargets) > 0 // whoever lets webhooks into private networks has no certificates there
	config.ListenDSN = db.dsn
	engine, err := waybill.New(db.DB, config)
	if err != nil {
		return nil, err
	}
	return &session{database: db, engine: engine, workspace: engine.Workspace(p.workspace), metrics: metrics, masterKey: config.MasterKey}, nil
}

// Close ends a session.
func (s *session) Close() error {
	s.engine.Close()
	return s.database.Close()
}

// use runs a command's work in a session.
func (p *program) use(ctx context.Context, need secrets, work func(*session) error) error {
	s, err := p.open(ctx, need)
	if err != nil {
		return err
	}
	return errors.Join(work(s), s.Close())
}

// logger writes what an operator should know to stderr.
func (p *program) logger() *slog.Logger { return p.loggerFrom(slog.LevelWarn) }

// loggerFrom writes everything from a level on to stderr, in lines for people or for programs.
func (p *program) loggerFrom(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withCause}
	if p.json() {
		return slog.New(slog.NewJSONHandler(p.stderr, options))
	}
	return slog.New(slog.NewTextHandler(p.stderr, options))
}

// withCause adds to a failure of the database what the database itself said, which its message leaves out.
func withCause(_ []string, a slog.Attr) slog.Attr {
	err, ok := a.Value.Any().(error)
	if failure := new(waybill.DatabaseError); ok && errors.As(err, &failure) && failure.Unwrap() != nil {
		return slog.String(a.Key, fmt.Sprintf("%v: %v", err, failure.Unwrap()))
	}
	return a
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// allowedTargets reads WAYBILL_ALLOW_TARGETS; nil means that it is not set.
func (p *program) allowedTargets() ([]netip.Prefix, error) {
	var allowed []netip.Prefix
	for _, text := range strings.FieldsFunc(p.getenv("WAYBILL_ALLOW_TARGETS"), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usagef("want address ranges such as 127.0.0.0/8,10.0.0.0/8", "WAYBILL_ALLOW_TARGETS: %.80q is not an address range", text)
		}
		allowed = append(allowed, prefix.Masked())
	}
	return allowed, nil
}

// masterKey reads WAYBILL_MASTER_KEY; nil means that it is not set.
func (p *program) masterKey() ([]byte, error) {
	text := strings.TrimSpace(p.getenv("WAYBILL_MASTER_KEY"))
	if text == "" {
		return nil, nil
	}
	key, ok := parseKey(text)
	if !ok {
		return nil, usagef("make one with `openssl rand -base64 32`", "WAYBILL_MASTER_KEY is not 32 bytes in base64 or hex")
	}
	return key, nil
}

func parseKey(text string) ([]byte, bool) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == 32 {
			return key, true
		}
	}
	return nil, false
}

// embeddedKey reads the master key that belongs to the embedded database, and makes it the first time. Of two programs that make one
// at once, both use that of the first.
func embeddedKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeNewKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("keep a master key for the embedded database: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the master key of the embedded database: %w", err)
	}
	key, ok := parseKey(strings.TrimSpace(string(text)))
	if !ok {
		return nil, fmt.Errorf("%s does not hold a key: restore it, or remove it and make all webhooks anew", path)
	}
	return key, nil
}

// writeNewKey links a finished file into place, so that nobody reads half a key.
func writeNewKey(path string) (err error) {
	var key [32]byte
	rand.Read(key[:])
	file, err := os.CreateTemp(filepath.Dir(path), "master.key.*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = io.WriteString(file, base64.StdEncoding.EncodeToString(key[:])+"\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
