// Package stock is the stock item aggregate: how much of one SKU is at one location.
//
// The files, in the order in which to read them:
//
//	stock.go     the machine, and the state, which is also the resource that webhooks and the API show
//	commands.go  what can be asked, and what is wrong with it by itself
//	events.go    what can have happened
//	decide.go    which events follow from a command, or why it is not legal
//	evolve.go    what is true after an event
//	story.go     events told in words
//
// # Rules that the table cannot say
//
// What is on hand and not reserved is available. Goods that are asked for are reserved, and then leave: reserving takes them out of
// what is available, and issuing them out of what is on hand. A reservation that comes to nothing is released.
//
// A stock item runs out when what is available reaches zero, and is back once it is above. It can be below: somebody counts, and
// finds less than is reserved. Both are told only when an item that exists changes, so one that is created empty is out of stock
// without an event of its own, and each comes right after what led to it.
package stock
