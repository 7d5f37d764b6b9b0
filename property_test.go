package waybill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore"
)

// Random commands on a few orders, from several goroutines and two engines at once. Whatever they race to, afterwards the folded state
// must be the fold of the history, at every version; versions have no gaps; every event that was reported is in the log, once and as
// reported; chains hold; and a second engine, which has seen nothing, agrees.
func TestRandomCommandsAtOnce(t *testing.T) {
	t.Parallel()
	here, db := newEngine(t, waybill.Config{CacheSize: 2}) // small, so that states come and go
	there, err := waybill.New(db, waybill.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		workspace := fmt.Sprintf("run-%d", runs)
		engines := []*waybill.Workspace{here.Workspace(workspace), there.Workspace(workspace)}
		plans := rapid.SliceOfN(rapid.SliceOfN(commands, 1, 12), 1, 4).Draw(t, "plans")

		var mu sync.Mutex
		reported := map[string][]domain.Recorded{}
		var failures []error
		var wg sync.WaitGroup
		for g, plan := range plans {
			wg.Go(func() {
				for _, command := range plan {
					result, err := engines[g%2].Execute(ctx, command)
					mu.Lock()
					switch {
					case err == nil:
						reported[result.ID] = append(reported[result.ID], result.Events...)
					case !errors.As(err, new(*domain.IllegalTransitionError)) && !errors.As(err, new(*domain.NotFoundError)) &&
						!errors.As(err, new(*domain.InvalidCommandError)):
						failures = append(failures, fmt.Errorf("%+v: %w", command, err))
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if err := errors.Join(failures...); err != nil {
			t.Fatal(err)
		}

		for id, events := range reported {
			slices.SortFunc(events, func(a, b domain.Recorded) int { return a.Version - b.Version })
			state := order.Order{}
			version := 0
			for r, err := range engines[0].History(ctx, id) {
				if err != nil {
					t.Fatal(err)
				}
				if version++; r.Version != version || version > len(events) || fmt.Sprint(r) != fmt.Sprint(events[version-1]) {
					t.Fatalf("%s: the log has %v at place %d, reported were %v", id, r, version, events)
				}
				e, err := order.Aggregate().Codec.Decode(r)
				if err != nil {
					t.Fatal(err)
				}
				state = order.Evolve(state, e, r.RecordedAt)
				then, err := engines[1].Order(ctx, id, waybill.AtVersion(version))
				if err != nil {
					t.Fatal(err)
				}
				sameOrder(t, then, state)
			}
			if version != len(events) {
				t.Fatalf("%s: %d events in the log, %d reported", id, version, len(events))
			}
			for _, engine := range engines {
				now, err := engine.Order(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				sameOrder(t, now, state)
			}
			if n, err := eventstore.VerifyChain(engines[0].History(ctx, id)); err != nil || n != version {
				t.Fatalf("%s: %d of %d events verified, %v", id, n, version, err)
			}
		}
	})
}

func sameOrder(t *rapid.T, got, want order.Order) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Fatalf("order is\n%s\nwant\n%s", g, w)
	}
}

// commands are such that a fair part of them is legal when issued in any order on two orders.
var commands = rapid.Custom(func(t *rapid.T) domain.Command {
	id := rapid.SampledFrom([]string{"ord_1", "ord_2"}).Draw(t, "order")
	payment := rapid.SampledFrom([]string{"pay_1", "pay_2"}).Draw(t, "payment")
	shipment := rapid.SampledFrom([]string{"shp_1", "shp_2"}).Draw(t, "shipment")
	amount := rapid.SampledFrom([]int64{500, 1000}).Draw(t, "amount")
	note := rapid.StringMatching(`[a-zäß"\\]{0,8}`).Draw(t, "note")
	return rapid.SampledFrom([]domain.Command{
		draft(id), draft(id), order.Submit{OrderID: id}, order.Submit{OrderID: id}, order.RevertToDraft{OrderID: id},
		order.Update{OrderID: id, Note: &note}, order.Update{OrderID: id, Metadata: map[string]string{"note": note, "a": ""}},
		order.BeginPlacing{OrderID: id}, order.FailPlacement{OrderID: id, Reason: note}, order.RejectPlacement{OrderID: id},
		order.Authorize{OrderID: id, PaymentID: payment, Amount: amount, Currency: "USD"},
		order.Authorize{OrderID: id, PaymentID: payment, Amount: 1000, Currency: "USD"},
		order.Capture{OrderID: id, PaymentID: payment, Amount: amount}, order.Capture{OrderID: id, PaymentID: payment, Amount: amount},
		order.Void{OrderID: id, PaymentID: payment}, order.Refund{OrderID: id, PaymentID: payment, Amount: amount},
		order.Place{OrderID: id}, order.Place{OrderID: id}, order.Place{OrderID: id}, order.Edit{OrderID: id}, order.StopEditing{OrderID: id},
		order.Approve{OrderID: id}, order.Approve{OrderID: id}, order.Cancel{OrderID: id}, order.StartFulfillment{OrderID: id},
		order.CreateShipment{OrderID: id, ShipmentID: shipment, LineItems: []order.ShipmentLineItem{{LineItemID: "li_1", Quantity: 1}}},
		order.ScheduleShipment{OrderID: id, ShipmentID: shipment}, order.StartPicking{OrderID: id, ShipmentID: shipment},
		order.StartPacking{OrderID: id, ShipmentID: shipment}, order.MarkReadyToShip{OrderID: id, ShipmentID: shipment},
		order.Ship{OrderID: id, ShipmentID: shipment}, order.Deliver{OrderID: id, ShipmentID: shipment},
		order.CreateParcel{OrderID: id, ShipmentID: shipment, ParcelID: "prc_1", TrackingNumber: note},
		order.CancelShipment{OrderID: id, ShipmentID: shipment, Reason: note},
	}).Draw(t, "command")
})
