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
// what would be allowed. Below is a list of all types of errors.
//
// Orders are not alone: [Aggregates] lists what else the engine runs, such as stock items, gifts and subscribers. Their commands go the
// same way, and [Workspace.State] reads any of them.
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
// Lists and sums come from views of the log, which a process keeps up to date, and anybody may rebuild at any time. They are defined in a
// file each (see package projections); [Config] takes further ones:
//
//	err = engine.Projections().Run(ctx) // until ctx ends
//	page, err := engine.Orders(ctx, orders.Filter{Email: "customer@example.com"})
//	err = engine.Rebuild(ctx, "orders", nil)
//
// # Errors
//
// Errors come in a few types, each with the fields that one needs to react. Use errors.As, or errors.AsType:
//
//   - [*domain.InvalidCommandError]: the command's own fields are wrong; lists each of them.
//   - [*domain.IllegalTransitionError]: the command is not legal now; names machine, status, command and what would be.
//   - [*domain.NotFoundError]: the order, shipment, webhook, … does not exist.
//   - [*domain.PanicError]: the code of an aggregate panicked; nothing was written.
//   - [*domain.UnknownEventError]: a newer program wrote to the log what this one cannot read.
//   - [*eventstore.ConflictError]: the stream is not at the version that the caller expects.
//   - [*vault.KeyError]: what is personal cannot be read, because this process has another master key, or somebody altered it.
//   - [*IdempotencyMismatchError]: the idempotency key belongs to another command.
//   - [*webhook.InvalidError], [*webhook.NameTakenError], [ErrNoMasterKey]: a webhook cannot be made like that.
//   - [*projections.InvalidQueryError], [*projections.NotBuiltError]: a view cannot be asked like that, or nothing keeps it.
//   - [*DatabaseError]: the database is away, read-only, full, not migrated, …; its Kind says which, Retryable whether to try again.
//   - [*migrations.PendingError], [*migrations.NewerSchemaError]: the schema is older or newer than this program.
//   - context.Canceled, context.DeadlineExceeded: the caller's own context ended first.
//
// # Where things are
//
// Package domain holds the words and the machines, eventstore the log, outbox the relay, projections the views, migrations the schema.
// The command line is cmd/waybill. docs/architecture.md follows one command from the call to the receiver.
package waybill
