// Package projections keeps views of the log: tables that show what has happened in a form that can be listed, searched and summed up.
//
// # A tour
//
// A [Projection] says, in one file, how a view follows a stream and which rows it shows of it:
//
//	func Projection() *projections.Projection {
//		return projections.Define("notes", "view_notes", order.Aggregate(), evolve, rows)
//	}
//
// It becomes a part of an engine by one line of its configuration. The packages below this one are the views that come with Waybill: orders,
// shipments, daily and lifecycle, each with its own queries.
//
// The rows of a stream are a pure function of that stream's events. That is what everything here rests on: rows can be written again at any
// time, by anybody, from the beginning of a stream or from a fold that is kept, one stream before another or after it, and they come out the
// same. There is nothing that could be counted twice.
//
// # Following the log
//
// [Runner.Run] does batch after batch (runner.go): it reads which streams have events behind the checkpoint, and below the log's horizon; folds
// these streams as far as its snapshot shows them; replaces those of their rows that differ; and moves the checkpoint. All of that is one
// transaction, so after a crash either everything of a batch is there or nothing. Of several processes one does a batch at a time: the others
// do not get its lock, or find that the checkpoint is not where they saw it, and the database refuses (repeatable read).
//
// A stream is folded as far as the snapshot shows it, which may be further than the batch goes. So rows never go back, and a batch that finds
// rows as they should be touches nothing.
//
// # Parked streams
//
// An event that cannot be read, a fold that panics, a row that the table refuses: each concerns one stream. Its rows stay as they are after the
// last event that made sense, the error is written down, and all others go on. Later events of that stream change nothing until
// [Runner.Retry] folds it once more, by a program that can.
//
// # Views that appends write
//
// The rows of an [Inline] projection are written by the append itself, in its transaction ([Runner.WriteTx]). The runner follows it all the
// same, but only compares: it mends what was appended by a process that does not have the projection, or does not have it as inline. While it
// does, and while generations are swapped, appends wait; that is what the lock is for that each of them shares.
//
// # Rebuilding
//
// Rows are there in generations (rebuild.go). One is live: the function live_generation names it, and every query of a view asks for it. A
// rebuild makes another one beside it, in ranges of streams that are worked on at once: it reads a range in the order of its streams, so
// that each is folded as a whole, and commits rows together with how far it came. Ranges along the key, and not by a hash, because each worker
// then walks through its own part of the index; by a hash each would walk through all of it. Whoever is killed is followed by somebody who
// goes on from there.
//
// What was appended meanwhile is behind the checkpoint that the new generation got when it was begun, and is followed as ever. At the end
// both generations are locked, the new one sees the last events that anybody can see, and the two change places: one row of
// projection_generations says which is live, so every statement sees the one or the other as a whole. The old generation stays, for
// [Runner.Rollback], which does the same the other way round.
//
// No webhook notices any of this: deliveries are made by another consumer of the log.
package projections
