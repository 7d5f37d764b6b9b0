// Package outbox delivers the log to webhooks: every event once to each webhook that it is for, in order per stream.
//
// # A tour
//
// The log is the outbox: what is committed to the table events will be delivered, and nothing else has to be written for that. A [Relay]
// does it in two steps, which meet in the table deliveries. Any number of processes run a relay each; they share the work.
//
//	events ──(1) fan-out──▶ deliveries ──(2) delivery──▶ receivers
//	  │                        │                             │
//	checkpoints             leases                        attempts
//
// (1) The fan-out (fanout.go) is a watermill-sql subscriber of the log ([LogSchema], [Checkpoints]). A message stands for a range of
// events; its handler makes their deliveries, for all webhooks, in one INSERT … SELECT. The rows commit together with the checkpoint.
//
// (2) Package outbox/delivery owns webhooks through leases, reads their rows ahead, sends them, and records attempts and outcomes many at a
// time. Package outbox/webhook keeps the subscriptions and their secrets. Package outbox/profile says how an event looks and is signed
// on the wire; the body is rendered from the log as of the event, never from what is true at the time of the attempt.
//
// # States of a delivery
//
//	         ┌───────────── 2xx ─────────────▶ delivered (row deleted) ──┐
//	ready ───┤                                                           │ resend, replay
//	  │      └── failure ──▶ retry ── 2xx ───▶ delivered (row deleted)   ▼
//	  │                      ▲ │ │                                  retry, due at once,
//	  │                      └─┘ └─ last failure, or 410            in an order of its own
//	  │                  failure   │         └▶ given up (row deleted) ──▲
//	  │                            ▼ either end takes up the next of the stream
//	  └── behind a retry ──▶ blocked ──▶ retry, due at once
//
// A delivery is a row from the fan-out until it ends. Every attempt is a row of attempts for ever, and the last of them tells the end.
// All changes on one line are one statement: an attempt is never recorded without what follows from it, nor the other way round. What the
// profile has nothing to say about, or the webhook's filter refuses, ends without an attempt.
//
// Only a webhook that wants order has blocked deliveries. Its rows are sent in the order of the log, one at a time for each stream and
// many streams at once. When one fails, those behind it in memory are put back as blocked, and those read later are found to be behind
// it and marked. The first of them becomes a retry when the failed one ends, so a stream that is held back always has exactly one retry,
// which is its oldest open delivery. If a process dies between two of these steps, the next owner finds what is behind a retry by
// itself: "blocked" saves looking again, and decides nothing.
//
// What is sent again (Resend, StartReplay) comes from outside, by any process and at any time, as a retry that is due and marked as resent.
// Of a stream there may be several; the owner finds that out when it reads them, takes the oldest, and blocks the rest until it ends. That
// is the same rule once more, for these rows alone: they wait for each other, and neither for what is told for the first time nor it for
// them. The attempts go on counting where they ended, and the schedule begins anew. A replay is a row that says how far it has come; each
// step of it moves that mark in the transaction that makes the rows.
//
// # States of a webhook
//
//	            ┌──────── success, or reset ────────┐
//	            ▼                                   │
//	healthy (no row) ─ failure ─▶ failing ──────────┤
//	            ▲                 │  │ ▲            │
//	            │                 │  └─┘ failure    │
//	            │      too many   │                 │
//	            │  in a row       ├─▶ open ──── reset
//	            │                 │
//	            └── reset, enabled └─▶ disabled: 410, or no success for too long, as the profile says
//
// The table circuits has a row for each webhook whose last attempt failed. It changes in the statement that records attempts, under the
// lease and by the attempts that this very statement logged, so that no crash, takeover or repetition makes it count wrong. Failures count
// in the order in which they are recorded, over all events, retries included; a success begins anew. What was cut off by ourselves, or could
// not be rendered, says nothing about a receiver and does not count; nor does a test.
//
// A webhook that is open or disabled has no owner, so its deliveries wait as they are, and go out in order once it is reset. While it is
// open, the fan-out goes on; while it is disabled, it is as good as inactive. Where a profile opens the circuit after so many failures, no
// more attempts are under way than may still fail: there have been exactly so many when it opens.
//
// A receiver that answers 429 or 503, and with Retry-After until when, is asked nothing more on behalf of its webhook until then, for five
// minutes at most. Only the owner's memory knows that; whoever takes the webhook over is told anew.
//
// # How owners are told
//
// The same statement writes a notice where the owner should know. [Relay] moves notices into the log, each in one transaction that appends
// an event to the stream webhook/<id> and removes the notice: after a crash both have happened or neither. (The statement does not append by
// itself because events are chained, and because whoever appends must not make the record of attempts wait.) From there they are events like
// any other, webhook.failing for one, that other webhooks can subscribe to.
//
// That cannot go round in circles. A webhook is never told of its own trouble. Such events have to be asked for by name; "all" leaves them
// out. And what becomes of them counts for nobody's circuit, save that 410 disables: telling of trouble makes no trouble to tell of.
//
// # Why nothing is lost
//
// The fan-out reads only events of transactions that are older than every running one, in the order of (transaction_id, position).
// Nothing can be committed any more before a place that it has passed, however late. Deliveries and checkpoint are one transaction: after a
// crash both are there or neither. The checkpoint only moves from the value that was read; if another process has moved it since, the
// database refuses (repeatable read), and the whole range is rolled back. A webhook keeps which transactions were running when it was
// made and which was to be the next, and gets the events of those: what commits after it is delivered, though it may have begun before.
//
// All this compares ids of transactions, which a cluster counts for itself. So the log counts eras, one for each cluster that it lives in,
// and puts the era before the id: what is appended after a dump was restored elsewhere lies behind all that came along with it.
//
// A row of deliveries is deleted in one statement only, the one that records how it ended (besides those of deleted webhooks). Whatever is
// in memory is just a copy: a process that dies or loses its lease leaves the rows as they are, and the next owner reads them from the
// beginning.
//
// # Why nothing is recorded twice
//
// There is one row for an event and a webhook (its primary key), so it ends once. A webhook has one owner at a time: the lease names it,
// with a fence that grows at every change. Whoever records locks the lease row and compares both, in the statement that records. A
// takeover waits for that lock or comes first; then nothing matches, and the stale owner records nothing.
//
// At most one attempt is under way: an owner begins none unless its lease has a good part of its time left, and cuts off what is under way
// before the lease can expire, by the clock of the moment at which it asked for the renewal. (Cut off means that the connection is
// closed. What a receiver does with a request that it has read already is its own affair.) The transport repeats a request only where not
// one byte had been written. Redirects are not followed, and HTTP/1.1 keeps it plain what became of each request.
//
// # Why order holds
//
// Within a stream, positions and transactions ascend (append_events sees to that), so the order of the log is the order of the stream. The
// next delivery of a stream is begun only after the end of the one before was committed, not merely answered. The fan-out commits ranges in
// the order of the log, so a cursor that walks along the rows misses none.
//
// # The window
//
// A receiver can get the same event twice, with the same id and the same bytes: if our process, its connection to the database, or the
// lease ends after the receiver has worked on the request and before the outcome is committed; that is some milliseconds, or as long
// as the database cannot be reached. And, as with every protocol, if the receiver has worked on a request and its answer did not arrive in
// time: that is a failed attempt to us. A receiver that keeps the id together with its own work (package inbox) works on each event once.
//
// Two things are not promised. A webhook that is made while events are being committed may or may not get those committed at the very
// same time, but from the first that it gets, it gets all. And the horizon of the fan-out is that of the whole database server: a
// transaction that stays open anywhere in it, even in another database, holds every delivery back until it ends ([Diagnose] names it).
package outbox
