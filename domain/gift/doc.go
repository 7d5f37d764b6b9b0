// Package gift is the gift aggregate: an order that somebody else is to open, accept and say thanks for.
//
// The files, in the order in which to read them:
//
//	gift.go      the machine, and the state, which is also the resource that webhooks and the API show
//	commands.go  what can be asked, and what is wrong with it by itself
//	events.go    what can have happened
//	decide.go    which events follow from a command, or why it is not legal
//	evolve.go    what is true after an event
//	story.go     events told in words
//
// A gift refers to its order, and has a stream of its own, because what its recipient does with it is no matter of the order's
// payment and shipments. It can be opened without a notification, by a link that was handed over some other way. It can be cancelled
// until it is accepted; after that it is the order that is cancelled or refunded.
package gift
