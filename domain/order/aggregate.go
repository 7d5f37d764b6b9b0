package order

import "github.com/waybill-dev/waybill/domain"

// Name is the aggregate's name, the first half of its stream names.
const Name = "order"

var aggregate = domain.Define(Name,
	[]*domain.Machine{OrderMachine, PaymentMachine, FulfillmentMachine, ShipmentMachine},
	codec, Decide, Evolve)

// Aggregate is what the engine needs to run orders. It is the same every time, and nothing may change it.
func Aggregate() *domain.Aggregate { return aggregate }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new order exists, as a draft."),
	domain.EventOf[Updated]("The order's content changed; the event holds what changed."),
	domain.EventOf[Submitted]("The order went from draft to pending."),
	domain.EventOf[RevertedToDraft]("The order went back from pending to draft."),
	domain.EventOf[PlacingStarted]("Placing the order has begun."),
	domain.EventOf[PlacementFailed]("Placing the order failed; it is pending again and can be retried."),
	domain.EventOf[Placed]("The order was placed."),
	domain.EventOf[EditingStarted]("The placed order was opened for editing."),
	domain.EventOf[EditingStopped]("The order was closed after editing and is placed again."),
	domain.EventOf[Approved]("The order was approved."),
	domain.EventOf[Cancelled]("The order was cancelled: by someone, because its placement failed for good, or because it was refunded in full."),
	domain.EventOf[Destroyed]("The order, which was never placed, is gone."),
	domain.EventOf[FirstItemAdded]("The order, which was created without any, got its first line item; happens once in an order's life."),
	domain.EventOf[Scheduled]("The day on which the order is meant to be placed was set."),
	domain.EventOf[Expedited]("The order is meant to be placed now."),
	domain.EventOf[Skipped]("The customer lets this order be; it is cancelled before it was placed."),
	domain.EventOf[Reminded]("The customer was reminded of the order that is to come."),
	domain.EventOf[PaymentSourceChanged]("The order, which is still to be placed, will be paid with something else."),
	domain.EventOf[ErrorRecorded]("Something went wrong with the order before it was placed, which changed no status."),
	domain.EventOf[PaymentAuthorized]("A payment was authorized."),
	domain.EventOf[PaymentFailed]("A payment was tried in vain."),
	domain.EventOf[PaymentCaptured]("Money of a payment was captured, all or a part."),
	domain.EventOf[PaymentVoided]("Money of a payment was given up before it was captured, all or a part."),
	domain.EventOf[PaymentRefunded]("Captured money of a payment was given back, all or a part."),
	domain.EventOf[Unpaid]("The order, which was free, is so no longer."),
	domain.EventOf[PartiallyAuthorized]("A part of the order's total is authorized."),
	domain.EventOf[Authorized]("The order's total is authorized."),
	domain.EventOf[PartiallyPaid]("A part of the order's total is captured."),
	domain.EventOf[Paid]("The order's total is captured."),
	domain.EventOf[PartiallyVoided]("A part of what was authorized was given up, and the rest no longer covers the total."),
	domain.EventOf[Voided]("All that was authorized was given up."),
	domain.EventOf[PartiallyRefunded]("A part of what was captured was given back."),
	domain.EventOf[Refunded]("All that was captured was given back."),
	domain.EventOf[Freed]("There is nothing to pay for the order."),
	domain.EventOf[FulfillmentStarted]("Fulfillment of the order has started."),
	domain.EventOf[Fulfilled]("Every shipment of the order that is not cancelled has shipped."),
	domain.EventOf[FulfillmentCancelled]("Fulfillment was stopped by a full refund."),
	domain.EventOf[FulfillmentNotRequired]("The approved order has nothing to ship."),
	domain.EventOf[Shipped]("The first shipment of the order has shipped; happens once in an order's life."),
	domain.EventOf[Delivered]("All shipments of the order that are not cancelled are delivered; happens once in an order's life."),
	domain.EventOf[ShipmentCreated]("A new shipment exists, as a draft."),
	domain.EventOf[ShipmentScheduled]("The shipment went from draft to upcoming."),
	domain.EventOf[ShipmentHeld]("The shipment was put on hold."),
	domain.EventOf[ShipmentPickingStarted]("The shipment is being picked."),
	domain.EventOf[ShipmentPackingStarted]("The shipment is being packed."),
	domain.EventOf[ShipmentReadied]("The shipment is ready to ship."),
	domain.EventOf[ShipmentShipped]("The shipment has shipped."),
	domain.EventOf[ShipmentDelivered]("The shipment was delivered."),
	domain.EventOf[ShipmentCancelled]("The shipment was cancelled before it shipped."),
	domain.EventOf[ShipmentDestroyed]("The shipment is gone, with its parcels."),
	domain.EventOf[ParcelCreated]("A shipment got a new parcel."),
	domain.EventOf[ParcelDestroyed]("The parcel is gone."),
	domain.EventOf[ParcelTrackingUpdated]("The parcel's tracking changed."),
	domain.EventOf[ParcelCarrierStatusUpdated]("The carrier said something new about the parcel."),
)
