// Package subscription has the aggregates of a subscription program: the subscriber with all their subscriptions, and the items of
// the orders that are to come of them.
//
// The files, in the order in which to read them:
//
//	subscriber.go           the subscriber: two machines and the state; subscriber_commands.go, …_events.go, …_decide.go
//	item.go                 the item: machine and state; item_commands.go, …_events.go, …_decide.go
//	story.go                events told in words
//
// # Rules that the tables cannot say
//
// Subscriptions share their subscriber's stream, because whether somebody is a subscriber depends on all of them: the first one makes
// a subscriber, the end of the last one that is live cancels the subscriber, and the next one brings the subscriber back. Each of
// these is told right after what led to it, but for the first: a subscriber is created before the subscription is.
//
// Only a live subscription can be changed. What it is changed to says whether anything happens: a value that is there already records
// no event.
//
// An item is one product in an order that is still to be placed, with a subscription behind it or, bought once, without. It has a
// stream of its own, because it may move from one order to the next: on its owner's wish, or because it is out of stock when its day
// comes. An item that is bought once can become a subscription's, once. Placed and removed are both the end of it.
//
// A subscriber's and an item's customer, address and payment are referred to by their ids: there is no personal data here.
package subscription
