// Package customer has the aggregates about people who buy: the customer, a customer's subscriptions to what is not an order, such as
// a newsletter, and a customer's requests to reset a password.
//
// The files, in the order in which to read them:
//
//	customer.go        the customer: machine and state; customer_commands.go, …_events.go, …_decide.go as in every aggregate
//	subscription.go    customer subscriptions: all of it
//	password_reset.go  password resets: all of it
//	story.go           events told in words
//
// # Rules that the tables cannot say
//
// A customer is a prospect until the first order is recorded, acquired from then on, and repeat from the second. Recording an order
// again, or any order after the second, changes nothing and records no event, so whoever watches orders need not keep count. Only
// that which made the customer what they are is kept: the first two orders.
//
// All personal data is in [Person]. It never holds a password or a token to set one: a log that nobody can alter is no place for
// either.
package customer
