// Package waybill is an event-sourced order and shipment engine on PostgreSQL.
//
// A backend issues commands; finite-state machines decide; every transition is appended to a log; the log is the outbox from which
// a relay delivers each event to each subscribed webhook. Views are rebuilt from the log at any time, and anybody can see how an
// order came to be what it is.
//
// # A tour
//
// Everything starts with a database and an engine. The zero Config works:
//
//	db, err := sql.Open("postgres", dsn)
//	err = waybill.Migrate(ctx, db)
//	engine, err := waybill.New(db, waybill.Config{})
//
// Commands are plain structs of package domain/order. Execute loads the order, lets the machines decide, and appends what follows,
// all or nothing, in one round trip:
//
//	res, err := engine.Execute(ctx, order.Create{OrderID: "ord_1", Currency: "USD", …})
//	res, err = engine.Execute(ctx, order.Submit{OrderID: "ord_1"}, waybill.Actor("checkout"))
//	res, err = engine.Execute(ctx, order.Place{OrderID: "ord_1"}, waybill.IdempotencyKey("checkout-77"))
//
// A command that is not legal comes back as a [*domain.IllegalTransitionError], which names the machine, the status, the command and
// what would be allowed. See errors.go for all types of errors.
//
// [Workspace.ExecuteTx] does the same inside a transaction of the caller's: the order changes together with the caller's own rows, or
// neither does.
//
// Nothing is ever overwritten, so every order can be seen as it was:
//
//	o, err := engine.Order(ctx, "ord_1")
//	o, err = engine.Order(ctx, "ord_1", waybill.AsOf(lastFriday))
//	for event, err := range engine.History(ctx, "ord_1") { … }
//
// Every tenant has a [Workspace] of its own; the engine itself is the one named "default":
//
//	acme := engine.Workspace("acme")
//
// Webhooks are told by a relay, of which any number of processes may run any number:
//
//	relay, err := engine.Relay()
//	err = relay.Run(ctx) // until ctx ends
//
// # Where things are
//
// Package domain holds the words and the machines, eventstore the log, outbox the relay, migrations the schema. The command line is
// cmd/waybill. docs/architecture.md follows one command from the call to the receiver.
package waybill
