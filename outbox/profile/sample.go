package profile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
)

// Sample returns an occurrence of an event, for test messages and documentation. It is the same every time, and comes from a life that
// the aggregates themselves have decided on, command by command. It returns an [*UnknownEventError] for an event that the profile does
// not have.
func (p *Profile) Sample(event string) (Occurrence, error) {
	e, err := p.Event(event)
	if err != nil {
		return Occurrence{}, err
	}
	if p.samples == nil {
		return Occurrence{}, fmt.Errorf("profile %s has no samples", p.Name)
	}
	occurrences, err := p.samples()
	if err != nil {
		return Occurrence{}, fmt.Errorf("make a sample of %s: %w", event, err)
	}
	for _, o := range occurrences {
		if !slices.Contains(e.Types, o.Type) {
			continue
		}
		o.Subscribed = []string{e.Name}
		switch message, err := p.Render(o); {
		case errors.Is(err, ErrNothingToSay):
		case err != nil:
			return Occurrence{}, fmt.Errorf("make a sample of %s: %w", event, err)
		case message.Event == e.Name:
			return o, nil
		}
	}
	return Occurrence{}, fmt.Errorf("profile %s has no sample of %s", p.Name, e.Name)
}

// sampler plays the sample lives once, when they are first asked for. Of an aggregate that no sample life is of, each event is shown as
// it is with nothing in it.
func sampler(aggregates map[string]*domain.Aggregate) func() ([]Occurrence, error) {
	return sync.OnceValues(func() ([]Occurrence, error) {
		stage := &stage{now: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)}
		played := map[string]bool{}
		for _, life := range lives() {
			aggregate := aggregates[life[0].StreamID().Aggregate]
			if aggregate == nil {
				continue
			}
			if err := stage.play(aggregate, life); err != nil {
				return nil, err
			}
			played[aggregate.Name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(aggregates)) {
			if !played[name] {
				if err := stage.show(aggregates[name]); err != nil {
					return nil, err
				}
			}
		}
		return stage.occurrences, nil
	})
}

// stage is where lives are played: a log in memory, with a clock of its own.
type stage struct {
	now         time.Time
	position    int64
	occurrences []Occurrence
}

func (s *stage) play(aggregate *domain.Aggregate, life []domain.Command) error {
	state, version := aggregate.New(), 0
	for _, command := range life {
		if err := command.Validate(); err != nil {
			return err
		}
		events, err := aggregate.Decide(state, command)
		if err != nil {
			return err
		}
		s.now = s.now.Add(7 * time.Minute)
		for _, event := range events {
			version++
			o, err := s.record(aggregate, command.StreamID(), version, command.CommandName(), event, state)
			if err != nil {
				return err
			}
			state = o.After
			s.occurrences = append(s.occurrences, o)
		}
	}
	return nil
}

// show records each event of an aggregate once, with nothing in it.
func (s *stage) show(aggregate *domain.Aggregate) error {
	stream := domain.StreamID{Aggregate: aggregate.Name, ID: "sample"}
	for i, t := range aggregate.Codec.Types() {
		event, err := aggregate.Codec.Decode(domain.Recorded{Type: t.Name, SchemaVersion: t.SchemaVersion(), Data: json.RawMessage("{}")})
		if err != nil {
			return err
		}
		o, err := s.record(aggregate, stream, i+1, "sample", event, aggregate.New())
		if err != nil {
			return err
		}
		s.occurrences = append(s.occurrences, o)
	}
	return nil
}

func (s *stage) record(aggregate *domain.Aggregate, stream domain.StreamID, version int, command string, event domain.Event,
	before domain.State) (o Occurrence, err error) {
	data, schemaVersion, err := aggregate.Codec.Encode(event)
	if err != nil {
		return o, err
	}
	metadata, err := json.Marshal(domain.Metadata{Command: command, Actor: "sample"})
	if err != nil {
		return o, err
	}
	s.position++
	o.Recorded = domain.Recorded{
		Position: s.position, TransactionID: s.position, Workspace: "default", Stream: stream, Version: version,
		ID: sampleID(s.now, s.position), Type: event.EventType(), SchemaVersion: schemaVersion, Data: data, Metadata: metadata, RecordedAt: s.now,
	}
	if o.Event, err = aggregate.Codec.Decode(o.Recorded); err != nil {
		return o, err
	}
	o.Before, o.After = before, aggregate.Evolve(before, o.Event, s.now)
	return o, nil
}

// sampleID is a UUIDv7 with a counter in the place of its random bits.
func sampleID(at time.Time, n int64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|7<<12)
	binary.BigEndian.PutUint64(id[8:], 2<<62|uint64(n))
	return id
}

// lives are the sample lives, each of one stream. Together they have every event, and the first occurrence of each is the one shown.
func lives() [][]domain.Command {
	return slices.Concat(orderLives())
}

func orderLives() [][]domain.Command {
	text := func(s string) *string { return &s }
	amount := func(n int64) *int64 { return &n }
	moment := func(day int) *time.Time {
		t := time.Date(2026, 1, day, 9, 0, 0, 0, time.UTC)
		return &t
	}
	address := order.Address{
		ID: "adr_1", FirstName: "Sample", LastName: "Recipient", Address1: "10 Harbour Road", City: "Springfield", PostalCode: "10001",
		State: "NY", Country: "US", Phone: "+1 555 0100",
	}
	elsewhere := address
	elsewhere.ID, elsewhere.Address1, elsewhere.Address2 = "adr_2", "22 Station Street", "2nd floor"
	items := []order.LineItemInput{
		{ID: "item_1", Name: "Ceramic mug", SKU: "mug-blue", Quantity: 2, UnitPrice: 1450, ImageURL: "https://shop.example/mug.jpg",
			Adjustments: []order.AdjustmentInput{{ID: "adj_1", Kind: order.AdjustmentTax, Amount: 181, Label: "Sales tax 6.25%"}}},
		{ID: "item_2", Name: "Coffee beans", SKU: "beans-500", Quantity: 1, UnitPrice: 1200},
	}
	create := func(id, number string, items []order.LineItemInput) order.Create {
		return order.Create{
			OrderID: id, Number: number, Currency: "USD", Channel: "web", Email: "customer@example.com",
			Customer:        &order.Customer{ID: "cus_1", Email: "customer@example.com", Name: "Sample Customer", ExternalID: "cus_ext_1"},
			ShippingAddress: &address, BillingAddress: &address, LineItems: items, ShippingAmount: 500,
			Adjustments: []order.AdjustmentInput{{ID: "adj_2", Kind: order.AdjustmentPromotion, Amount: -300, Label: "Welcome", PromotionCode: "WELCOME3"}},
			PlaceAt:     *moment(20), StoreID: "2", CheckoutSessionID: "cs_1", SubscriptionID: "sub_1",
			CartURL: "https://shop.example/carts/1", Note: "Thank you!", Metadata: map[string]string{"campaign": "spring"},
		}
	}
	const total = 4481 // of such an order with both items
	all := []order.ShipmentLineItem{{LineItemID: "item_1", Quantity: 2}, {LineItemID: "item_2", Quantity: 1}}
	var list [][]domain.Command

	const id = "ord_1" // goes all the way, and back
	list = append(list, []domain.Command{
		create(id, "R1001", items),
		order.Submit{OrderID: id},
		order.RevertToDraft{OrderID: id},
		order.Update{OrderID: id, ShippingAddress: &elsewhere},
		order.Update{OrderID: id, PlaceAt: moment(12)},
		order.Update{OrderID: id, PlaceAt: moment(2)},
		order.Submit{OrderID: id},
		order.RecordFailedPayment{OrderID: id, PaymentID: "pay_1", Amount: total, Currency: "USD", Method: "Stripe", Reason: "insufficient funds"},
		order.Authorize{OrderID: id, PaymentID: "pay_2", Amount: 2000, Currency: "USD", Method: "Stripe", Reference: "pi_2"},
		order.Authorize{OrderID: id, PaymentID: "pay_3", Amount: total - 2000, Currency: "USD", Method: "Stripe", Reference: "pi_3"},
		order.BeginPlacing{OrderID: id},
		order.FailPlacement{OrderID: id, Reason: "the payment provider did not answer"},
		order.BeginPlacing{OrderID: id},
		order.Place{OrderID: id},
		order.Edit{OrderID: id},
		order.Update{OrderID: id, Note: text("Please ring twice.")},
		order.StopEditing{OrderID: id},
		order.Approve{OrderID: id},
		order.Capture{OrderID: id, PaymentID: "pay_2", Amount: 2000},
		order.Capture{OrderID: id, PaymentID: "pay_3", Amount: total - 2000},
		order.CreateShipment{OrderID: id, ShipmentID: "shp_1", Number: "H1001", Cost: 450, LineItems: all,
			Adjustments: []order.AdjustmentInput{{ID: "adj_3", Kind: order.AdjustmentTax, Amount: 28, Label: "Sales tax 6.25%"}}},
		order.ScheduleShipment{OrderID: id, ShipmentID: "shp_1"},
		order.StartFulfillment{OrderID: id},
		order.StartPicking{OrderID: id, ShipmentID: "shp_1"},
		order.HoldShipment{OrderID: id, ShipmentID: "shp_1", Reason: "a mug is missing"},
		order.StartPicking{OrderID: id, ShipmentID: "shp_1"},
		order.StartPacking{OrderID: id, ShipmentID: "shp_1"},
		order.CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_0"},
		order.DestroyParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_0"},
		order.CreateParcel{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Carrier: "UPS", LabelURL: "https://labels.example/par_1.pdf"},
		order.MarkReadyToShip{OrderID: id, ShipmentID: "shp_1"},
		order.SetTracking{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", TrackingNumber: text("1Z9999W99999999999"),
			TrackingURL: text("https://track.example/1Z9999W99999999999")},
		order.Ship{OrderID: id, ShipmentID: "shp_1"},
		order.SetCarrierStatus{OrderID: id, ShipmentID: "shp_1", ParcelID: "par_1", Status: order.CarrierDelivered,
			StatusDetail: "arrived_at_destination", TrackingDetail: "Delivered"},
		order.Deliver{OrderID: id, ShipmentID: "shp_1"},
		order.Refund{OrderID: id, PaymentID: "pay_2", Amount: 500, Reason: "a mug was broken"},
		order.Refund{OrderID: id, PaymentID: "pay_2", Amount: 1500, Reason: "a mug was broken"},
		order.Refund{OrderID: id, PaymentID: "pay_3", Amount: total - 2000, Reason: "a mug was broken"},
	})

	const stopped = "ord_2" // cancelled after it was placed
	list = append(list, []domain.Command{
		create(stopped, "R1002", items),
		order.Submit{OrderID: stopped},
		order.Authorize{OrderID: stopped, PaymentID: "pay_4", Amount: total, Currency: "USD", Method: "Stripe", Reference: "pi_4"},
		order.Void{OrderID: stopped, PaymentID: "pay_4", Amount: 481},
		order.Authorize{OrderID: stopped, PaymentID: "pay_5", Amount: 481, Currency: "USD", Method: "Stripe", Reference: "pi_5"},
		order.Place{OrderID: stopped},
		order.CreateShipment{OrderID: stopped, ShipmentID: "shp_2", LineItems: all},
		order.ScheduleShipment{OrderID: stopped, ShipmentID: "shp_2"},
		order.Cancel{OrderID: stopped, Reason: "the customer changed their mind", CancelledBy: "7"},
	})

	const rejected = "ord_3" // placing it failed for good
	list = append(list, []domain.Command{
		create(rejected, "R1003", items),
		order.Submit{OrderID: rejected},
		order.BeginPlacing{OrderID: rejected},
		order.RejectPlacement{OrderID: rejected, Reason: "the card has expired"},
	})

	const skipped = "ord_4" // cancelled before it was placed
	list = append(list, []domain.Command{
		create(skipped, "R1004", items),
		order.Submit{OrderID: skipped},
		order.Cancel{OrderID: skipped, Reason: "skipped this time"},
	})

	const gone = "ord_5" // never placed
	list = append(list, []domain.Command{
		create(gone, "R1005", items),
		order.CreateShipment{OrderID: gone, ShipmentID: "shp_3", LineItems: all},
		order.DestroyShipment{OrderID: gone, ShipmentID: "shp_3"},
		order.Destroy{OrderID: gone},
	})

	const digital = "ord_6" // has nothing to ship, and costs nothing in the end
	download := []order.LineItemInput{{ID: "item_3", Name: "Recipe book", SKU: "recipes-pdf", Quantity: 1, DoNotShip: true}}
	priced := slices.Clone(download)
	priced[0].UnitPrice = 900
	list = append(list, []domain.Command{
		order.Create{OrderID: digital, Number: "R1006", Currency: "USD", LineItems: download, Customer: &order.Customer{ID: "cus_1", Email: "customer@example.com"}},
		order.Update{OrderID: digital, LineItems: priced},
		order.Update{OrderID: digital, LineItems: download, ShippingAmount: amount(0)},
		order.Submit{OrderID: digital},
		order.Place{OrderID: digital},
		order.Approve{OrderID: digital},
	})

	const returned = "ord_7" // refunded while it was being fulfilled
	list = append(list, []domain.Command{
		create(returned, "R1007", items),
		order.Submit{OrderID: returned},
		order.Authorize{OrderID: returned, PaymentID: "pay_6", Amount: total, Currency: "USD", Method: "Stripe", Reference: "pi_6"},
		order.Place{OrderID: returned},
		order.Approve{OrderID: returned},
		order.Capture{OrderID: returned, PaymentID: "pay_6", Amount: total},
		order.StartFulfillment{OrderID: returned},
		order.Refund{OrderID: returned, PaymentID: "pay_6", Amount: total, Reason: "out of stock"},
	})
	return list
}
