// Package imports is the import aggregate: a list of things, such as customers or prices, that is taken in one after the other.
//
// The files, in the order in which to read them:
//
//	imports.go   the machine, and the state, which is also the resource that webhooks and the API show
//	commands.go  what can be asked, and what is wrong with it by itself
//	events.go    what can have happened
//	decide.go    which events follow from a command, or why it is not legal
//	evolve.go    what is true after an event
//	story.go     events told in words
//
// An import knows how many inputs it has. Progress is told as sums, which never shrink, so telling the same again does no harm and a
// report that was lost is made up for by the next. Errors are counted among what is processed. An import is complete once every input
// was processed, with an error or without; one that cannot get there is interrupted.
package imports
