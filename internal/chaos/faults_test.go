package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// fault is one that has begun. end ends it, after about as long as lasts says, and returns whether that worked.
type fault struct {
	Fault
	lasts time.Duration
	end   func() error
}

// Kinds of faults that the harness tells apart, and History does not.
const (
	killRelay  = "kill relay"
	killWorker = "kill worker"
	delayDB    = "delay database"
	delayHTTP  = "delay webhook"
	newWebhook = "new webhook" // no fault, but something that comes in between
)

// faultKinds is every kind of fault, and how often it happens in a run of the bounded size.
var faultKinds = map[string]int{
	killRelay: 8, killWorker: 4, Stop: 2, CutDB: 4, delayDB: 3, CutHTTP: 4, delayHTTP: 3, Clock: 4, Pause: 3, DiskFull: 2, newWebhook: 1,
}

// schedule draws the order of a number of faults.
func schedule(counts map[string]int, random *rand.Rand) (kinds []string) {
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		for range counts[kind] {
			kinds = append(kinds, kind)
		}
	}
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

// inflict goes through a schedule. Between two faults receivers accept a few events; some faults last while the next happens.
func (r *run) inflict(kinds []string, random *rand.Rand) {
	r.t.Helper()
	var lasting *fault
	end := func() {
		if lasting != nil {
			r.must(lasting.end())
			lasting.To = now()
			r.faults = append(r.faults, lasting.Fault)
			lasting = nil
		}
	}
	for i, kind := range kinds {
		if kind == Stop || kind == DiskFull || kind == newWebhook || kind == killWorker {
			end() // these need the database themselves
		}
		f := fault{Fault: Fault{Span: Span{From: now()}}}
		r.must(r.begin(kind, &f, random))
		end()
		if f.end != nil {
			lasting = &f
			r.watch(f.lasts)
			if random.IntN(3) > 0 {
				end() // else it lasts until the next one has begun
			}
		} else if f.Kind != "" {
			r.faults = append(r.faults, f.Fault)
		}
		moved := lasting != nil || r.progress(int64(10+random.IntN(40)), 10*time.Second)
		if i == len(kinds)-1 {
			end()
		}
		if i%10 == 9 || !moved || i == len(kinds)-1 {
			r.say("%d of %d faults; %d accepted%s", i+1, len(kinds), r.accepted.Load(), map[bool]string{false: "; nothing moved after " + kind}[moved])
		}
	}
}

// begin begins a fault. Where it leaves f.end nil, it is over already.
func (r *run) begin(kind string, f *fault, random *rand.Rand) (err error) {
	pick := func(kind string) *slot {
		slots := r.slotsOf(kind)
		return slots[random.IntN(len(slots))]
	}
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(random.Int64N(int64(to-from))) }
	f.Kind = kind
	switch kind {
	case killRelay:
		s := pick("relay")
		f.Kind, f.Target = Kill, s.name
		f.Span, err = s.kill()
		r.launch(s)
	case killWorker:
		s := pick("worker")
		f.Kind, f.Target = Kill, s.name
		f.Span, err = r.killInTheMidst(s, between(100*time.Millisecond, 300*time.Millisecond))
		r.launch(s)
	case Stop:
		r.cluster.Crash()
		f.lasts = between(0, 3*time.Second)
		f.end = func() error { r.cluster.Start(); return nil }
	case CutDB, delayDB:
		s := r.slots[random.IntN(len(r.slots))]
		f.Kind, f.Target, f.lasts = CutDB, s.role.Name, between(100*time.Millisecond, 3*time.Second)
		f.end, err = r.damage(s.proxy, kind == CutDB, random)
	case CutHTTP, delayHTTP:
		name := r.receivers[random.IntN(len(r.receivers))].name
		f.Kind, f.Target, f.lasts = CutHTTP, name, between(100*time.Millisecond, 2*time.Second)
		f.end, err = r.damage(r.doors[name], kind == CutHTTP, random)
	case Clock:
		s := r.slots[random.IntN(len(r.slots))]
		f.Target, f.To = s.name, now()
		_, err = fmt.Fprintln(s.stdin, between(-10*time.Minute, 10*time.Minute))
	case Pause:
		s := pick("relay")
		f.Target, f.lasts = s.name, between(leaseTTL+leaseTTL/4, 2*leaseTTL)
		err = s.cmd.Process.Signal(syscall.SIGSTOP)
		process := s.process
		f.end = func() error {
			if process.meant {
				return nil // it was killed meanwhile
			}
			return process.cmd.Process.Signal(syscall.SIGCONT)
		}
	case DiskFull:
		f.lasts = between(200*time.Millisecond, 3*time.Second)
		_, err = r.db.Exec(`CREATE TRIGGER chaos_disk_full BEFORE INSERT ON attempts FOR EACH STATEMENT EXECUTE FUNCTION chaos_disk_full()`)
		f.end = func() error {
			_, err := r.db.Exec(`DROP TRIGGER chaos_disk_full ON attempts`)
			return err
		}
	case newWebhook:
		f.Kind = ""
		r.subscribe(fmt.Sprintf("late%d", len(r.receivers)))
	}
	return err
}

// killInTheMidst kills a worker while its commands wait for a lock. The database executes them all the same, once it is released.
func (r *run) killInTheMidst(s *slot, after time.Duration) (Span, error) {
	tx, err := r.db.Begin()
	if err != nil {
		return Span{}, err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`LOCK TABLE idempotency_keys IN EXCLUSIVE MODE`); err != nil {
		return Span{}, err
	}
	r.watch(after)
	return s.kill()
}

// damage cuts the connections through a proxy, in one way or another, or delays what goes through them.
func (r *run) damage(p *proxy, cut bool, random *rand.Rand) (mend func() error, err error) {
	stream := []string{"upstream", "downstream"}[random.IntN(2)]
	if !cut {
		if random.IntN(3) == 0 {
			return p.harm("slicer", stream, 500) // microseconds
		}
		return p.harm("latency", stream, 50+random.IntN(1000))
	}
	switch random.IntN(4) {
	case 0:
		return p.harm("reset_peer", stream, random.IntN(100))
	case 1:
		return p.harm("limit_data", stream, random.IntN(20_000))
	case 2:
		return p.harm("timeout", stream, 1+random.IntN(2000))
	}
	return p.cut(), nil
}
