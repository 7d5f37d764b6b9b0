// Package order is the order aggregate: an order with its payments, its fulfillment, its shipments and their parcels. They share one
// stream and one decision, so that a rule may look at all of them, and none of it needs a saga.
//
// The files, in the order in which to read them:
//
//	machines.go    the four tables: order, payment, fulfillment, shipment
//	order.go       the state, which is also the resource that webhooks and the API show
//	commands.go    what can be asked, and validate.go what is wrong with it by itself
//	events.go      what can have happened, and aggregate.go the list of it
//	decide*.go     which events follow from a command, or why it is not legal
//	evolve.go      what is true after an event, and totals.go what follows from that
//	story.go       events and changes told in words
//
// # Rules that the tables cannot say
//
// Money. The total is Σ quantity × unit price, plus the shipping amount, plus the taxes, promotions and fees that are not included
// in prices. A shipment's cost and adjustments are no part of it, so that it does not move when an order is split into shipments.
//
// The payment status follows from the total and the ledger ([PaymentMachine] has what can follow what). With money captured it is
// refunded when all of that was given back, partially_refunded when some was, paid when it reaches the total, and partially_paid
// else. Without, it is authorized as long as what is open reaches the total, else partially_voided or partially_authorized; voided
// when nothing is left of what was authorized; free when the total is zero and nothing was ever authorized; unpaid else. An order
// without line items is not free but empty, hence unpaid. An event tells of a new payment status right after the entry that led to
// it; where several authorizations are voided at once, one event follows the last.
//
// A paid order stays paid for approval, fulfillment and shipping when a part of the money is given back, for otherwise nothing that
// is left of it could be shipped. With delayed capture a shipment may leave before its money is taken, but not once the money is no
// longer promised either.
//
// Waiting. An order may wait for its day, such as the next one of a subscription. Until it is placed its day can be set or be moved
// to now, what it will be paid with can be changed, its customer can be reminded of it, and can skip it, which cancels it. Nothing
// here places it: that is somebody's command on that day. order.first_item_added tells that an order which was created without line
// items has some; one that is created with them says so itself.
//
// Ending. Cancelling, a placement that fails for good, and the full refund of an approved order do the same: they void what is open,
// cancel what has not shipped, stop fulfillment, and cancel the order, told in that order; a full refund is told before all of it.
// What was captured stays captured and can be refunded afterwards. Besides that only physical facts are recorded of an order that
// has ended: where its parcels are, and that a shipment which had left has arrived. A destroyed order is gone, with its shipments
// and parcels; its id stays used. One that ever took money cannot be destroyed, because its ledger has to stay on record.
//
// Shipping. What is in shipments that are not cancelled never exceeds what was ordered, also when the order is updated. A shipment can
// be scheduled once its order was placed, including while it is edited. Picking needs fulfillment to have started; it may also be
// over, because shipments can be added later. order.fulfilled comes with the last shipment to leave, or when the last one that has not
// left is cancelled or destroyed; all cancelled is not fulfilled. order.shipped and order.delivered happen once in an order's life.
// The order's own end comes first: after it neither happens.
//
// Parcels can be added and removed until their shipment is delivered or cancelled, so that a lost one does not hold it up for ever.
// What a carrier says is kept as the delivery status, apart from the shipment's status, which changes only when a command says so.
//
// Doing something again is an error for a move (an order is approved once), and nothing at all for a value: an update, a tracking
// number or a carrier status that is there already records no event.
package order
