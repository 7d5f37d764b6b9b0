package chaos

// History is everything that is known of a run, from all sides. Times are Unix nanoseconds of the machine's real clock.
type History struct {
	Events []Event // the log, in its order
	Breaks []Break // streams whose hash chain does not hold
	Keys   []Key   // idempotency keys, as stored

	Webhooks []Webhook
	Left     []Delivery // deliveries that are still open
	Attempts []Attempt  // as recorded

	Sends     []Send     // by the notes of relay processes
	Requests  []Request  // by the notes of receivers
	Processed []Delivery // by the tables of those who receive through an inbox, in the order of processing

	Commands []Command // by the notes of worker processes
	Ledger   []string  // ids of commands whose caller wrote a row in the same transaction

	Faults  []Fault
	Timeout int64 // after what time the sender gives an attempt up
	Lease   int64 // for how long a relay process has a webhook without hearing from the database
}

// Event is one of the log.
type Event struct {
	ID      string
	Stream  string
	Version int
	Type    string
	Command string // the id of the command that it followed from
}

// Break is a stream whose chain of hashes does not hold.
type Break struct {
	Stream string
	Reason string
}

// Key is an idempotency key with the outcome that it stands for. Where the command changed nothing, Last is First - 1.
type Key struct {
	Name        string
	Stream      string
	First, Last int
}

// Webhook is a subscription. It was made at some time between two; what was committed before is not for it.
type Webhook struct {
	Name    string
	Types   []string // empty means all
	Ordered bool
	Inbox   bool // the receiver processes through an inbox
	Made    Span
}

// Delivery is an event for a webhook.
type Delivery struct {
	Webhook string
	Event   string
}

// Attempt is a row of the attempts that were recorded.
type Attempt struct {
	Delivery
	Number  int
	Outcome string // "delivered", "failed" or "given_up"
	Status  int
}

// Send is an attempt as its relay process noted it.
type Send struct {
	Delivery
	ID      string // in a header of the request
	Process string
	Span        // To is 0 where the process died before it knew
	Status  int // 0 where there was no answer
	Problem string
}

// Request is an attempt as it arrived.
type Request struct {
	Delivery
	Send   string // the header
	Stream string
	Body   string // a hash
	Signed bool   // the signature was verified
	At     int64
	Status int // what it was answered; 0 where nothing was
}

func (r *Request) accepted() bool { return r.Status >= 200 && r.Status <= 299 }

// Outcomes of commands.
const (
	Done     = "done"
	Refused  = "refused"  // by the machines, for good
	Unknown  = "unknown"  // an error that says neither, and nobody asked again
	Mismatch = "mismatch" // the key was said to belong to another command
)

// Command is what a worker asked for, one or several times.
type Command struct {
	ID      string // in the metadata of its events
	Name    string
	Stream  string
	Key     string // empty for none
	Ledger  bool   // it was issued in a transaction of the caller's, which wrote a row of its own
	Span           // To is 0 where the answer never came
	Resumed bool   // its process died in the midst of it, and the successor issued it again
	Result  string
	Events  []string // where done: what it said it appended
	Last    int      // where done: the version of the stream that it said
}

// Kinds of faults.
const (
	Kill     = "kill"         // of a process; From is before the signal, To when it was gone
	Pause    = "pause"        // of a process, longer than its leases last
	Stall    = "stall"        // of a process, by the machine: it was not scheduled
	Stop     = "stop"         // of the database
	CutDB    = "cut database" // a process's connections to the database, cut or delayed
	CutHTTP  = "cut webhook"  // connections to a receiver, cut or delayed
	Clock    = "clock"        // of a process, moved
	DiskFull = "disk full"    // attempts could not be recorded
)

// Fault is something that was done to the run on purpose, except for stalls.
type Fault struct {
	Kind   string
	Target string // the process or webhook; empty where it is about all
	Span
}

// Span is a time from one moment to another.
type Span struct{ From, To int64 }

func (s Span) meets(from, to int64) bool { return s.From <= to && from <= s.To }
