// Package batch is the order batch aggregate: orders that belong together, such as one gift for each person on a list, and that are
// created one after the other.
//
// The files, in the order in which to read them:
//
//	batch.go     the machine, and the state, which is also the resource that webhooks and the API show
//	commands.go  what can be asked, and what is wrong with it by itself
//	events.go    what can have happened
//	decide.go    which events follow from a command, or why it is not legal
//	evolve.go    what is true after an event
//	story.go     events told in words
//
// A batch knows from its beginning how many orders it is to have, and is told of each of them once that is created. The last one
// completes it. An order that is in the batch already is not added again, so telling it twice does no harm. Orders that come to
// nothing are taken off what is expected.
package batch
