// Package eventstore keeps the log: it is the only writer of events.
//
// A stream is one aggregate's events, numbered 1, 2, 3, … without gaps. Whoever wants to add to a stream says after which version
// (its [Head]); the unique key on (workspace, stream, version) lets exactly one writer have the next one, and everybody else gets
// a [*ConflictError]. A command's events are one [Batch], appended whole or not at all.
//
// # One round trip
//
// An append is one statement, which is its own transaction: a plain INSERT where every batch is one event without a key, else a call of
// the SQL function append_events (see migrations), which also claims idempotency keys. Batches that arrive together share that
// statement and its commit, each with its own verdict: while a statement is under way the others gather, and leave together when it is
// done, when half of those who come and go have gathered, or when it turns out to be stuck. A lone batch leaves at once. [Store.AppendTx]
// does the same inside the caller's transaction, and never aborts it for a lost race.
//
// # Order
//
// The log is read in the order of (transaction, position), below the oldest transaction that still runs: nothing can appear behind a
// reader, whatever commits late. Within a stream this order is the order of versions. That takes care in one case only: a caller's
// transaction may be older than the one that appended the event before. Such an append is refused as a conflict; the caller runs
// its transaction again, which is then the younger one.
//
// # Chain
//
// Every event carries a SHA-256 hash over itself and the hash of the event before it in its stream, so no event can be changed,
// dropped, inserted or swapped later without breaking the chain ([VerifyChain]).
package eventstore
