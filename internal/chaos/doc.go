// Package chaos tries to break the promises of the engine and the relay, and decides afterwards whether it has.
//
// A run (TestChaos) has worker processes that live random orders' lives through the Go API, relay processes that
// deliver to receivers of many moods, and a list of faults: processes killed and paused, the database stopped, connections cut and
// delayed, clocks moved, the disk full. Everybody takes notes of what it did, in files that outlive a kill -9.
//
// When all is quiet again the notes and the tables make a [History], and [Check], which knows neither the engine nor the database,
// compares them: what was in the log, what receivers truly got and answered, and what was recorded about it. That it would notice is
// tested with relays that are broken on purpose and with histories made by hand.
//
// Half of what a sender cannot know is whether an answer that it did not get was given. So a receiver may accept an event twice;
// but only where the attempt that it accepted first was under way, or not yet recorded, at a fault that explains it. Check demands
// that explanation, one for each, and [Summarize] counts them.
package chaos
