package chaos

import (
	"bytes"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

var (
	seedFlag = flag.Uint64("chaos.seed", 0, "seed of a run's plan; 0 draws one. The plan is the same for a seed, what happens is not.")
	rateFlag = flag.Int("chaos.rate", 60, "commands per second")
	dirFlag  = flag.String("chaos.dir", "", "directory to keep the notes of a run's processes in (default: one that is removed)")

	countFlags = map[string]*int{
		killRelay:  flag.Int("chaos.kills", faultKinds[killRelay], "how often a relay process is killed"),
		killWorker: flag.Int("chaos.workers", faultKinds[killWorker], "how often a backend is killed in the midst of a command"),
		Stop:       flag.Int("chaos.stops", faultKinds[Stop], "how often the database is stopped"),
		CutDB:      flag.Int("chaos.cuts", faultKinds[CutDB], "how often a process is cut off from the database"),
		delayDB:    flag.Int("chaos.delays", faultKinds[delayDB], "how often a process's connections to the database are delayed"),
		CutHTTP:    flag.Int("chaos.resets", faultKinds[CutHTTP], "how often a receiver is cut off"),
		delayHTTP:  flag.Int("chaos.lags", faultKinds[delayHTTP], "how often connections to a receiver are delayed"),
		Clock:      flag.Int("chaos.clocks", faultKinds[Clock], "how often a process's clock is moved"),
		Pause:      flag.Int("chaos.pauses", faultKinds[Pause], "how often a relay process is paused for longer than its leases last"),
		DiskFull:   flag.Int("chaos.full", faultKinds[DiskFull], "how often the disk is full when attempts are to be recorded"),
	}
)

// TestChaos is one run with all kinds of faults, of a size that a continuous integration bears. The flags make it larger:
//
//	go test ./internal/chaos -run TestChaos -v -timeout 60m -chaos.kills 200 -chaos.stops 20
func TestChaos(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-chaos.seed %d", seed)
	counts := maps.Clone(faultKinds)
	for kind, n := range countFlags {
		counts[kind] = *n
	}
	random := rand.New(rand.NewPCG(seed, 0))

	r := newRun(t, plan{Relays: 3, Workers: 2, Rate: *rateFlag, Seed: seed, Moods: moods}, true)
	r.subscribe("all")
	r.subscribe("some", func(n *webhook.New) {
		n.Events = []string{"order.created", "order.placed", "order.updated", "order.approved", "shipment.shipped", "payment.captured"}
	})
	r.subscribe("unordered", func(n *webhook.New) { n.Unordered = true })
	r.throughInbox(r.subscribe("inbox"))
	r.start()
	if !r.progress(50, patience) {
		t.Fatal("nothing is delivered")
	}
	r.inflict(schedule(counts, random), random)
	r.finish()
	r.judge(r.history())
}

// judge prints what came of a run, and fails the test for every violation.
func (r *run) judge(h *History) {
	r.t.Helper()
	violations := Check(h)
	r.t.Logf("\n%s", Summarize(h, violations))
	for i, v := range violations {
		if i == 40 {
			r.t.Errorf("… and %d more", len(violations)-i)
			break
		}
		r.t.Error(v)
	}
	r.crashed()
}

// crashed fails the test where a process has panicked or found a data race.
func (r *run) crashed() {
	r.t.Helper()
	logs, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	r.must(err)
	for _, path := range logs {
		text, err := os.ReadFile(path)
		r.must(err)
		for _, sign := range []string{"panic: ", "DATA RACE", "fatal error: "} {
			if i := bytes.Index(text, []byte(sign)); i >= 0 {
				r.t.Errorf("%s: %s", filepath.Base(path), text[i:min(len(text), i+4000)])
			}
		}
	}
}
