// Package domain holds the words that every aggregate of Waybill shares: streams, events, commands and machines.
//
// An aggregate is one consistency boundary, such as an order with its payments and shipments. It is described by two pure
// functions and a few tables, all gathered in an [Aggregate]:
//
//	Decide(state, command) → events   is this command legal now, and what happens then?
//	Evolve(state, event, at) → state  what is true after it happened?
//
// Nothing in this package, or below it, knows SQL, HTTP, a clock or a random number: the same inputs give the same outputs, on
// every machine and in every year. That is what lets history be replayed, folded as of any moment, and checked.
//
// The packages above give the rest: eventstore keeps what was decided, outbox tells subscribers.
package domain
