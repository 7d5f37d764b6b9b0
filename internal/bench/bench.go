// Package bench measures the engine beside what limits it: each scenario and its limit on the same machine in the same run, because
// only their ratio means something elsewhere and tomorrow.
//
//	bench.go     scenarios, their goals, and how a run goes
//	append.go    commands beside pgbench
//	deliver.go   deliveries beside a bare loop of signed requests (loop.go)
//	live.go      commands and deliveries at the same time
//	depth.go     a large log and a large backlog beside none
//	rebuild.go   a view built anew beside a copy of the log
//	fill.go      events by the million: every statement that writes to the tables behind the engine's back
//	sink.go      the receiver, in a process of its own; relay.go, the relay, likewise
//	report.go    results as a page
package bench

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"time"

	"github.com/waybill-dev/waybill"
)

// Config is what a run needs from outside.
type Config struct {
	// Database makes an empty database, with the engine's schema, on the server to be measured.
	Database func(context.Context) (*Database, error)
	// Pgbench is the path of PostgreSQL's program of that name.
	Pgbench string
	// Program is this program with other arguments and further variables in its environment, which has [SinkCommand] and
	// [RelayCommand].
	Program func(ctx context.Context, environment []string, arguments ...string) *exec.Cmd
	// Sizes are how much is measured. Defaults to Full.
	Sizes Sizes
	// Progress hears what is being done and how much of it is done; total is 0 where nobody counts. It is called from several
	// goroutines. Defaults to nobody.
	Progress func(what string, done, total int)
}

// The arguments of Config.Program's other processes. Both end when their standard input does.
const (
	SinkCommand  = "bench-sink"  // runs [Sink]
	RelayCommand = "bench-relay" // is `waybill relay`; the database and the keys are in the environment
)

// Database is one that only the run uses.
type Database struct {
	*sql.DB
	DSN  string
	Drop func() error
}

// Sizes are how much is measured.
type Sizes struct {
	Measure    time.Duration // of a rate; pgbench takes whole seconds
	Live       time.Duration // of what has to settle first, or to reach a deadline
	Rounds     int           // how often scenario and limit take turns
	Deliveries int           // of events that are in the log already
	Slow       int           // the same, to a receiver that takes its time
	FanOut     int           // events that become deliveries
	Log        int           // events in a large log
	Backlog    int           // deliveries in a large backlog
	Rebuild    int           // events that a view is built from
}

// Full is what the goals are for. A run takes about ten minutes on two cores.
func Full() Sizes {
	return Sizes{Measure: 3 * time.Second, Live: 20 * time.Second, Rounds: 2,
		Deliveries: 200_000, Slow: 30_000, FanOut: 200_000, Log: 5_000_000, Backlog: 1_000_000, Rebuild: 1_000_000}
}

// Quick is for a look: what takes time to show, such as timeouts, does not show.
func Quick() Sizes {
	return Sizes{Measure: time.Second, Live: 4 * time.Second, Rounds: 1,
		Deliveries: 20_000, Slow: 5_000, FanOut: 20_000, Log: 300_000, Backlog: 100_000, Rebuild: 100_000}
}

// Result is one figure beside its limit.
type Result struct {
	Scenario string  `json:"scenario"`
	Measure  string  `json:"measure"` // which figure of the scenario
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"` // of Value and Limit
	Limit    float64 `json:"limit"`
	Ratio    float64 `json:"ratio"` // Value / Limit
	Goal     float64 `json:"goal"`  // of Ratio
	AtMost   bool    `json:"atMost"`
	Reached  bool    `json:"reached"`
	Note     string  `json:"note,omitempty"` // what helps to explain it
}

func atLeast(measure, unit string, value, limit, goal float64) Result {
	return Result{Measure: measure, Value: value, Unit: unit, Limit: limit, Ratio: value / limit, Goal: goal, Reached: value/limit >= goal}
}

func atMost(measure, unit string, value, limit, goal float64) Result {
	r := atLeast(measure, unit, value, limit, goal)
	r.AtMost, r.Reached = true, r.Ratio <= goal
	return r
}

// Scenario is something to measure, and its limit.
type Scenario struct {
	Name  string
	What  string // is measured
	Limit string // what it stands beside

	measure func(context.Context, *run) ([]Result, error)
}

// The limits.
const (
	besidePgbench = "pgbench, a single prepared `INSERT` into the same table, as many clients"
	besideLoop    = "a bare loop that signs and posts the same bodies to the same sink, 64 connections"
	besideBound   = "the bound itself"
)

// Scenarios lists them in the order in which they run.
func Scenarios() []Scenario {
	return []Scenario{
		{"append-32", "commands of one event each on orders of their own, from 32 goroutines", besidePgbench, appendAt(32, 1.5)},
		{"append-8", "the same from 8 goroutines", besidePgbench, appendAt(8, 1)},
		{"append-1", "the time of one such command, one after the other", besidePgbench, appendLatency(1.6)},
		{"deliver-1", "events in the log to one webhook, until every delivery and attempt is durable; each body holds the whole order",
			besideLoop, deliver(1, 0.5)},
		{"deliver-100", "the same to 100 webhooks, as many deliveries in all", besideLoop, deliver(100, 0.45)},
		{"steady", "commands and their deliveries at the same time, at the rate that both keep up", besideLoop, steady(small, 0.25)},
		{"steady-2kB", "the same with orders as a shop creates them: two kilobytes, with what is personal sealed", besideLoop, steady(draft, 0.25)},
		{"latency", "from the commit to the receipt, at 500 events per second", besideBound, latency(10*time.Millisecond, 60*time.Millisecond)},
		{"hanging", "from the commit to the receipt for 50 healthy webhooks, beside 50 that hang until the deadline; the 99th percentile",
			"the same with none hanging", hanging(50, 2)},
		{"slow", "events in the log to one webhook whose receiver takes 10 ms", besideLoop + ", with that receiver", slow(0.8)},
		{"big-log", "commands from 32 goroutines, and events becoming deliveries, behind a large log", "the same behind an empty one", bigLog(0.9)},
		{"backlog", "the same beside a backlog of deliveries, and the relay's memory at its highest, also while it works the backlog off",
			"the same without one; " + besideBound, backlog(0.9, 256)},
		{"rebuild", "the view `orders` built from the log, and the memory that takes at its highest", "psql, `COPY (SELECT * FROM events ORDER BY …) TO STDOUT`; " + besideBound,
			rebuild(0.2, 256)},
	}
}

// Run measures one scenario.
func Run(ctx context.Context, config Config, scenario Scenario) (results []Result, err error) {
	if config.Sizes == (Sizes{}) {
		config.Sizes = Full()
	}
	if config.Progress == nil {
		config.Progress = func(string, int, int) {}
	}
	r := &run{Config: config}
	defer func() { err = errors.Join(err, r.end()) }()
	results, err = scenario.measure(ctx, r)
	for i := range results {
		results[i].Scenario = scenario.Name
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err() // what else went wrong went wrong because of it
	case err != nil:
		err = fmt.Errorf("%s: %w", scenario.Name, err)
	}
	return results, err
}

// run is one scenario under way.
type run struct {
	Config
	ends []func() error
}

// atEnd has something done when the scenario is over, the last first.
func (r *run) atEnd(do func() error) { r.ends = append(r.ends, do) }

func (r *run) end() error {
	var errs []error
	for _, do := range slices.Backward(r.ends) {
		errs = append(errs, do())
	}
	return errors.Join(errs...)
}

// subject is a database with an engine on it.
type subject struct {
	*Database
	engine *waybill.Engine
}

var (
	masterKey = bytes.Repeat([]byte{7}, 32) // seals the secrets of webhooks that live for minutes
	loopback  = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
)

// subject makes a database for the length of the scenario.
func (r *run) subject(ctx context.Context) (*subject, error) {
	db, err := r.Database(ctx)
	if err != nil {
		return nil, err
	}
	r.atEnd(db.Drop)
	engine, err := waybill.New(db.DB, waybill.Config{MasterKey: masterKey, AllowTargets: loopback, AllowHTTP: true})
	if err != nil {
		return nil, err
	}
	return &subject{db, engine}, nil
}

// alternate measures limit and value in turns, beginning and ending with the limit, and returns the mean of each: what else the machine
// does meanwhile then tells on both.
func alternate(rounds int, measureLimit, measureValue func() (float64, error)) (limit, value float64, err error) {
	for round := range 2*rounds + 1 {
		measure, into, n := measureLimit, &limit, rounds+1
		if round%2 == 1 {
			measure, into, n = measureValue, &value, rounds
		}
		got, err := measure()
		if err != nil {
			return 0, 0, err
		}
		*into += got / float64(n)
	}
	return limit, value, nil
}
