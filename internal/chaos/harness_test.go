package chaos

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/inbox"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// plan says how large a run is.
type plan struct {
	Relays, Workers int
	Rate            int // commands per second
	Seed            uint64
	Broken          bool   // the relays are, on purpose
	Moods           []mood // of receivers
}

// run is a run under way.
type run struct {
	plan
	t       testing.TB
	dir     string
	cluster *pgtest.Server // nil where the run has no server of its own to stop
	db      *sql.DB        // straight to the database
	child   *url.URL       // of the database, as processes see it, but for the address of their proxy
	tcp     string         // address of the database
	key     []byte
	engine  *waybill.Engine

	launcher  launcher
	proxies   *proxies
	slots     []*slot
	webhooks  []Webhook
	receivers []*receiver
	doors     map[string]*proxy // to receivers
	accepted  atomic.Int64
	faults    []Fault
	began     time.Time
}

// slot is a place for a process: when it was killed, another one takes it.
type slot struct {
	role  role
	proxy *proxy // to the database
	*process
	generation int
}

const patience = 90 * time.Second

func newRun(t testing.TB, p plan, ownServer bool) *run {
	t.Helper()
	r := &run{plan: p, t: t, key: make([]byte, 32), proxies: newProxies(t), doors: map[string]*proxy{}, began: time.Now()}
	r.dir = t.TempDir()
	if *dirFlag != "" {
		r.must(os.MkdirAll(*dirFlag, 0o755))
		var err error
		r.dir, err = os.MkdirTemp(*dirFlag, time.Now().UTC().Format("20060102-150405-"))
		r.must(err)
		t.Logf("notes are in %s", r.dir)
	}
	rand.Read(r.key)
	dsn := ""
	if ownServer {
		r.cluster = pgtest.Cluster(t)
		r.db, dsn = r.cluster.DB, r.cluster.DSN
	} else {
		d := pgtest.New(t)
		r.db, dsn = d.DB, d.DSN
	}
	address, err := url.Parse(dsn)
	r.must(err)
	if socketDir := address.Query().Get("host"); strings.HasPrefix(socketDir, "/") {
		r.tcp = bridge(t, filepath.Join(socketDir, ".s.PGSQL.5432"))
	} else {
		r.tcp = address.Host
	}
	address.RawQuery = url.Values{"sslmode": {"disable"}, "connect_timeout": {"5"}}.Encode()
	r.child = address
	r.engine, err = waybill.New(r.db, waybill.Config{MasterKey: r.key, AllowHTTP: true, AllowTargets: []netip.Prefix{loopback}})
	r.must(err)
	_, err = r.db.Exec(`CREATE TABLE chaos_ledger (command text NOT NULL);
		CREATE TABLE chaos_processed (n bigint GENERATED ALWAYS AS IDENTITY, event text NOT NULL);
		CREATE FUNCTION chaos_disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;`)
	r.must(err)
	r.launcher = newLauncher(t)
	return r
}

func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) say(format string, args ...any) {
	r.t.Logf("%6.1fs  %s", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// subscribe makes a webhook with a receiver behind a proxy.
func (r *run) subscribe(name string, change ...func(*webhook.New)) *receiver {
	r.t.Helper()
	receiver := newReceiver(r.t, name, r.Seed+uint64(len(r.receivers)), r.Moods, &r.accepted)
	door := r.proxies.to(name, receiver.listen.Addr().String())
	n := webhook.New{Name: name, URL: "http://" + door.address + "/" + name, Secret: webhook.NewSecret()}
	for _, f := range change {
		f(&n)
	}
	var err error
	receiver.box, err = inbox.New(r.db, inbox.Config{Secrets: []string{n.Secret.Reveal()}, Tolerance: 24 * time.Hour}) // clocks are moved
	r.must(err)
	made := Webhook{Name: name, Types: n.Events, Ordered: !n.Unordered, Made: Span{From: now()}}
	// It may have been made although we are not told, so not more than once; the database is up when we are here.
	_, _, err = r.engine.CreateWebhook(r.t.Context(), n)
	r.must(err)
	made.Made.To = now()
	r.webhooks = append(r.webhooks, made)
	r.receivers = append(r.receivers, receiver)
	r.doors[name] = door
	return receiver
}

// throughInbox makes the receiver work in a table of its own, with a row for each time that it processed an event.
func (r *run) throughInbox(receiver *receiver) {
	r.t.Helper()
	r.must(receiver.box.CreateTable(r.t.Context()))
	receiver.work = func(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO chaos_processed (event) VALUES ($1)`, m.ID)
		return err
	}
	r.webhooks[len(r.webhooks)-1].Inbox = true
}

const clerksPerWorker = 3

// start starts the processes.
func (r *run) start() {
	r.t.Helper()
	var clerks []string
	for i := range r.Workers * clerksPerWorker {
		clerks = append(clerks, fmt.Sprintf("clerk%d", i))
	}
	for i := range r.Relays + r.Workers {
		s := &slot{role: role{Kind: "relay", Name: fmt.Sprintf("relay%d", i), MasterKey: r.key, Broken: r.Broken}}
		if i >= r.Relays {
			w := i - r.Relays
			s.role = role{Kind: "worker", Name: fmt.Sprintf("worker%d", w), Seed: r.Seed,
				Interval: time.Second * time.Duration(r.Workers*clerksPerWorker) / time.Duration(r.Rate),
				Clerks:   clerks[w*clerksPerWorker : (w+1)*clerksPerWorker], Notes: filepath.Join(r.dir, "notes")}
		}
		s.proxy = r.proxies.to(s.role.Name, r.tcp)
		address := *r.child
		address.Host = s.proxy.address
		s.role.DSN = address.String()
		r.slots = append(r.slots, s)
		r.launch(s)
	}
	r.t.Cleanup(func() { // where a test ends before its time
		for _, s := range r.slots {
			if !s.meant {
				_, _ = s.kill()
			}
		}
	})
}

// launch starts the next process of a slot.
func (r *run) launch(s *slot) {
	r.t.Helper()
	s.generation++
	next := s.role
	next.Name = fmt.Sprintf("%s.%d", s.role.Name, s.generation)
	if next.Kind == "relay" {
		next.Notes = filepath.Join(r.dir, next.Name+".notes")
	}
	var err error
	s.process, err = r.launcher.start(r.dir, next)
	r.must(err)
}

func (r *run) slotsOf(kind string) (slots []*slot) {
	for _, s := range r.slots {
		if s.role.Kind == kind {
			slots = append(slots, s)
		}
	}
	return slots
}

// eventually waits until a condition holds, as long as every process is alive. It returns false after a time.
func (r *run) eventually(limit time.Duration, condition func() bool) bool {
	r.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(limit)
	for {
		for _, s := range r.slots {
			r.must(s.died())
		}
		if condition() {
			return true
		}
		select {
		case <-ticker.C:
		case <-deadline:
			return condition()
		}
	}
}

// progress waits until receivers have accepted some more.
func (r *run) progress(more int64, limit time.Duration) bool {
	r.t.Helper()
	goal := r.accepted.Load() + more
	return r.eventually(limit, func() bool { return r.accepted.Load() >= goal })
}

// watch lets some time pass, in which nothing has to happen.
func (r *run) watch(d time.Duration) {
	r.t.Helper()
	r.eventually(d, func() bool { return false })
}

// finish ends the workers, lets the relays deliver everything to receivers who take everything, and ends them, too.
func (r *run) finish() {
	r.t.Helper()
	for _, s := range r.slotsOf("worker") {
		r.must(s.stop(patience))
	}
	for _, receiver := range r.receivers {
		receiver.calmDown()
	}
	for _, s := range r.slotsOf("relay") {
		fmt.Fprintln(s.stdin, time.Hour) // so that whatever a moved clock has put off is due
	}
	r.say("workers have ended; draining")
	drained := r.eventually(patience, func() bool {
		var done bool
		r.must(r.db.QueryRow(`SELECT NOT EXISTS (SELECT FROM deliveries) AND NOT EXISTS (
			SELECT FROM events e WHERE (e.transaction_id, e.position) > (SELECT c.transaction_id, c.position FROM checkpoints c))`).Scan(&done))
		return done
	})
	if !drained {
		r.t.Errorf("not everything was delivered within %s", patience)
	}
	for _, s := range r.slotsOf("relay") {
		r.must(s.stop(patience))
	}
	r.say("drained; relays have ended")
}
