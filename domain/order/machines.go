package order

import (
	"github.com/looplab/fsm"

	"github.com/waybill-dev/waybill/domain"
)

// Statuses of an order.
const (
	StatusDraft     = "draft"
	StatusPending   = "pending"
	StatusPlacing   = "placing"
	StatusPlaced    = "placed"
	StatusEditing   = "editing"
	StatusApproved  = "approved"
	StatusCancelled = "cancelled"
	StatusDestroyed = "destroyed"
)

// OrderMachine is the order's own status. A move is named after the command that makes it, except refund_in_full, which a
// payment.refund makes.
var OrderMachine = &domain.Machine{
	Name:    "order",
	Initial: StatusDraft,
	Final:   []string{StatusCancelled, StatusDestroyed},
	Moves: fsm.Events{
		{Name: "submit", Src: []string{StatusDraft}, Dst: StatusPending},
		{Name: "revert_to_draft", Src: []string{StatusPending}, Dst: StatusDraft},
		{Name: "begin_placing", Src: []string{StatusPending}, Dst: StatusPlacing},
		{Name: "place", Src: []string{StatusPending, StatusPlacing}, Dst: StatusPlaced},
		{Name: "fail_placement", Src: []string{StatusPlacing}, Dst: StatusPending},
		{Name: "reject_placement", Src: []string{StatusPlacing}, Dst: StatusCancelled},
		{Name: "edit", Src: []string{StatusPlaced}, Dst: StatusEditing},
		{Name: "stop_editing", Src: []string{StatusEditing}, Dst: StatusPlaced},
		{Name: "approve", Src: []string{StatusPlaced}, Dst: StatusApproved},
		{Name: "cancel", Src: []string{StatusPending, StatusPlaced}, Dst: StatusCancelled},
		{Name: "refund_in_full", Src: []string{StatusApproved}, Dst: StatusCancelled},
		{Name: "destroy", Src: []string{StatusDraft, StatusPending}, Dst: StatusDestroyed},
	},
}

// Payment statuses of an order.
const (
	PaymentStatusUnpaid              = "unpaid"
	PaymentStatusPartiallyAuthorized = "partially_authorized"
	PaymentStatusAuthorized          = "authorized"
	PaymentStatusPartiallyPaid       = "partially_paid"
	PaymentStatusPaid                = "paid"
	PaymentStatusPartiallyVoided     = "partially_voided"
	PaymentStatusVoided              = "voided"
	PaymentStatusPartiallyRefunded   = "partially_refunded"
	PaymentStatusRefunded            = "refunded"
	PaymentStatusFree                = "free"
)

// PaymentMachine is the order's payment status. It follows from the ledger and the total (see [Order.settledAs]), so the table has
// one move into each status, and leaves out what no entry of the ledger and no change of the total can do.
var PaymentMachine = &domain.Machine{
	Name:    "payment",
	Initial: PaymentStatusUnpaid,
	Moves: fsm.Events{
		{Name: "charge", Src: []string{PaymentStatusFree}, Dst: PaymentStatusUnpaid},
		{Name: "free", Src: []string{PaymentStatusUnpaid}, Dst: PaymentStatusFree},
		{Name: "authorize_partially", Src: []string{PaymentStatusUnpaid, PaymentStatusAuthorized}, Dst: PaymentStatusPartiallyAuthorized},
		{Name: "authorize", Src: []string{PaymentStatusUnpaid, PaymentStatusFree, PaymentStatusPartiallyAuthorized, PaymentStatusPartiallyVoided, PaymentStatusVoided}, Dst: PaymentStatusAuthorized},
		{Name: "pay_partially", Src: []string{PaymentStatusPartiallyAuthorized, PaymentStatusAuthorized, PaymentStatusPaid, PaymentStatusPartiallyVoided}, Dst: PaymentStatusPartiallyPaid},
		{Name: "pay", Src: []string{PaymentStatusAuthorized, PaymentStatusPartiallyPaid}, Dst: PaymentStatusPaid},
		{Name: "void_partially", Src: []string{PaymentStatusPartiallyAuthorized, PaymentStatusAuthorized, PaymentStatusVoided}, Dst: PaymentStatusPartiallyVoided},
		{Name: "void", Src: []string{PaymentStatusPartiallyAuthorized, PaymentStatusAuthorized, PaymentStatusPartiallyVoided}, Dst: PaymentStatusVoided},
		{Name: "refund_partially", Src: []string{PaymentStatusPartiallyPaid, PaymentStatusPaid, PaymentStatusRefunded}, Dst: PaymentStatusPartiallyRefunded},
		{Name: "refund", Src: []string{PaymentStatusPartiallyPaid, PaymentStatusPaid, PaymentStatusPartiallyRefunded}, Dst: PaymentStatusRefunded},
	},
}

// Fulfillment statuses of an order.
const (
	FulfillmentStatusUnfulfilled = "unfulfilled"
	FulfillmentStatusInProgress  = "in_progress"
	FulfillmentStatusFulfilled   = "fulfilled"
	FulfillmentStatusNotRequired = "not_required"
)

// FulfillmentMachine is the order's fulfillment status. The command order.start_fulfillment makes the first move; the others
// follow by themselves from an approval, a shipment or a full refund.
var FulfillmentMachine = &domain.Machine{
	Name:    "fulfillment",
	Initial: FulfillmentStatusUnfulfilled,
	Final:   []string{FulfillmentStatusFulfilled, FulfillmentStatusNotRequired},
	Moves: fsm.Events{
		{Name: "start_fulfillment", Src: []string{FulfillmentStatusUnfulfilled}, Dst: FulfillmentStatusInProgress},
		{Name: "fulfill", Src: []string{FulfillmentStatusInProgress}, Dst: FulfillmentStatusFulfilled},
		{Name: "cancel_fulfillment", Src: []string{FulfillmentStatusInProgress}, Dst: FulfillmentStatusUnfulfilled},
		{Name: "require_nothing", Src: []string{FulfillmentStatusUnfulfilled}, Dst: FulfillmentStatusNotRequired},
	},
}

// Statuses of a shipment.
const (
	ShipmentStatusDraft       = "draft"
	ShipmentStatusUpcoming    = "upcoming"
	ShipmentStatusOnHold      = "on_hold"
	ShipmentStatusPicking     = "picking"
	ShipmentStatusPacking     = "packing"
	ShipmentStatusReadyToShip = "ready_to_ship"
	ShipmentStatusShipped     = "shipped"
	ShipmentStatusDelivered   = "delivered"
	ShipmentStatusCancelled   = "cancelled"
	ShipmentStatusDestroyed   = "destroyed" // it then leaves the order's list
)

var beforeShipping = []string{ShipmentStatusDraft, ShipmentStatusUpcoming, ShipmentStatusOnHold, ShipmentStatusPicking, ShipmentStatusPacking, ShipmentStatusReadyToShip}

// ShipmentMachine is the status of each shipment. A move is named after the command that makes it.
var ShipmentMachine = &domain.Machine{
	Name:    "shipment",
	Initial: ShipmentStatusDraft,
	Final:   []string{ShipmentStatusDelivered, ShipmentStatusCancelled, ShipmentStatusDestroyed},
	Moves: fsm.Events{
		{Name: "schedule", Src: []string{ShipmentStatusDraft}, Dst: ShipmentStatusUpcoming},
		{Name: "hold", Src: []string{ShipmentStatusUpcoming, ShipmentStatusPicking}, Dst: ShipmentStatusOnHold},
		{Name: "start_picking", Src: []string{ShipmentStatusUpcoming, ShipmentStatusOnHold}, Dst: ShipmentStatusPicking},
		{Name: "start_packing", Src: []string{ShipmentStatusPicking}, Dst: ShipmentStatusPacking},
		{Name: "mark_ready_to_ship", Src: []string{ShipmentStatusPacking}, Dst: ShipmentStatusReadyToShip},
		{Name: "ship", Src: []string{ShipmentStatusReadyToShip}, Dst: ShipmentStatusShipped},
		{Name: "deliver", Src: []string{ShipmentStatusShipped}, Dst: ShipmentStatusDelivered},
		{Name: "cancel", Src: beforeShipping, Dst: ShipmentStatusCancelled},
		{Name: "destroy", Src: beforeShipping, Dst: ShipmentStatusDestroyed},
	},
}
