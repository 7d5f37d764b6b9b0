package profile

import (
	"slices"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/batch"
	"github.com/waybill-dev/waybill/domain/customer"
	"github.com/waybill-dev/waybill/domain/gift"
	"github.com/waybill-dev/waybill/domain/imports"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/domain/stock"
	"github.com/waybill-dev/waybill/domain/subscription"
	"github.com/waybill-dev/waybill/domain/webhook"
)

// lives are the sample lives, each of one stream. Together they have every event, and the first occurrence of each is the one shown.
func lives() [][]domain.Command {
	return slices.Concat(orderLives(), otherLives(), webhookLives())
}

func webhookLives() [][]domain.Command {
	since := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)
	report := func(kind string, failures int, minutes time.Duration) webhook.Report {
		return webhook.Report{WebhookID: "wh_sample", Kind: kind, Name: "shop", URL: "https://shop.example/hooks", Profile: "commercelayer",
			ConsecutiveFailures: failures, FailingSince: &since, OccurredAt: since.Add(minutes * time.Minute)}
	}
	gone := report("disabled", 1, 90)
	gone.WebhookID, gone.Profile, gone.Reason = "wh_sample_2", "native", "the receiver answered 410 Gone"
	return [][]domain.Command{{
		report("failing", 5, 10), report("recovered", 7, 20), report("failing", 5, 50), report("circuit_opened", 30, 70), report("reset", 30, 80),
	}, {gone}}
}

func orderLives() [][]domain.Command {
	text := func(s string) *string { return &s }
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
		order.Schedule{OrderID: id, PlaceAt: *moment(12)},
		order.ChangePaymentSource{OrderID: id, PaymentSource: "pm_1"},
		order.Remind{OrderID: id},
		order.RecordError{OrderID: id, Code: "999", Reason: "the shop did not answer"},
		order.Expedite{OrderID: id},
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
		order.Skip{OrderID: skipped, Reason: "skipped this time"},
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
		order.Create{OrderID: digital, Number: "R1006", Currency: "USD", Customer: &order.Customer{ID: "cus_1", Email: "customer@example.com"}},
		order.Update{OrderID: digital, LineItems: download},
		order.Update{OrderID: digital, LineItems: priced},
		order.Update{OrderID: digital, LineItems: download},
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

func otherLives() [][]domain.Command {
	person := customer.Person{Email: "customer@example.com", FirstName: "Sample", LastName: "Customer", Phone: "+1 555 0100"}
	moved := person
	moved.Phone = "+1 555 0101"
	const (
		stockItem, batchID, giftID, backGiftID = "stk_1", "bat_1", "gft_1", "gft_2"
		customerID, subscriber                 = "cus_1", "cus_1"
		sub, itemID, goneItem                  = "sub_1", "itm_1", "itm_2"
	)
	return [][]domain.Command{
		{
			stock.Create{StockItemID: stockItem, SKU: "mug-blue", Location: "default", OnHand: 2},
			stock.Reserve{StockItemID: stockItem, Quantity: 2, Reference: "ord_1"},
			stock.Release{StockItemID: stockItem, Quantity: 1, Reference: "ord_1"},
			stock.Issue{StockItemID: stockItem, Quantity: 1, Reference: "ord_1"},
			stock.Adjust{StockItemID: stockItem, Change: -1, Reason: "one was broken"},
			stock.Receive{StockItemID: stockItem, Quantity: 1000, Reference: "po_1"},
			stock.Destroy{StockItemID: stockItem},
		},
		{
			batch.Create{BatchID: batchID, Name: "Spring gifts", Expected: 3},
			batch.AddOrder{BatchID: batchID, OrderID: "ord_1"},
			batch.DropOrder{BatchID: batchID, Reason: "the address is unknown"},
			batch.AddOrder{BatchID: batchID, OrderID: "ord_2"},
		},
		{
			gift.Create{GiftID: giftID, OrderID: "ord_1", Message: "Thank you!",
				Sender:    gift.Person{CustomerID: "cus_1", Name: "Sample Customer", Email: "customer@example.com"},
				Recipient: gift.Person{Name: "Sample Recipient", Email: "recipient@example.com"}},
			gift.Notify{GiftID: giftID, Channel: "email"},
			gift.Open{GiftID: giftID},
			gift.Accept{GiftID: giftID},
			gift.AddThankYouNote{GiftID: giftID, Note: "How kind of you."},
		},
		{
			gift.Create{GiftID: backGiftID, OrderID: "ord_2", Recipient: gift.Person{Name: "Sample Recipient"}},
			gift.Cancel{GiftID: backGiftID, Reason: "sent to the wrong person"},
		},
		{
			customer.Create{CustomerID: customerID, Person: person, Reference: "crm_1", Metadata: map[string]string{"language": "en"}},
			customer.Update{CustomerID: customerID, Person: &moved},
			customer.RecordOrder{CustomerID: customerID, OrderID: "ord_1"},
			customer.RecordOrder{CustomerID: customerID, OrderID: "ord_2"},
			customer.Destroy{CustomerID: customerID},
		},
		{
			customer.CreateSubscription{SubscriptionID: "csb_1", CustomerID: customerID, Person: person, Reference: "newsletter", ReferenceOrigin: "website"},
			customer.DestroySubscription{SubscriptionID: "csb_1"},
		},
		{
			customer.CreatePasswordReset{PasswordResetID: "pwr_1", CustomerID: customerID, Person: person},
			customer.DestroyPasswordReset{PasswordResetID: "pwr_1"},
		},
		{
			imports.Create{ImportID: "imp_1", ResourceType: "customers", Inputs: 200, Reference: "spring"},
			imports.Start{ImportID: "imp_1"},
			imports.RecordProgress{ImportID: "imp_1", Processed: 200, Errors: 3},
			imports.Complete{ImportID: "imp_1"},
			imports.Destroy{ImportID: "imp_1"},
		},
		{
			imports.Create{ImportID: "imp_2", ResourceType: "prices", Inputs: 10},
			imports.Interrupt{ImportID: "imp_2", Reason: "the file is damaged"},
		},
		{
			subscription.Create{SubscriberID: subscriber, SubscriptionID: sub, Product: "beans-500", Quantity: 1, Every: 2, Period: subscription.PeriodWeeks,
				Components: []subscription.Component{{Product: "beans-dark", Quantity: 1}}, PaymentID: "pm_1", ShippingAddressID: "adr_1",
				Offer: "off_1", OrderID: "ord_1", Metadata: map[string]string{"grind": "fine"}},
			subscription.ChangeProduct{SubscriberID: subscriber, SubscriptionID: sub, Product: "beans-1000"},
			subscription.ChangeComponents{SubscriberID: subscriber, SubscriptionID: sub, Components: []subscription.Component{{Product: "beans-light", Quantity: 2}}},
			subscription.ChangeQuantity{SubscriberID: subscriber, SubscriptionID: sub, Quantity: 2},
			subscription.ChangeFrequency{SubscriberID: subscriber, SubscriptionID: sub, Every: 1, Period: subscription.PeriodMonths},
			subscription.ChangeShippingAddress{SubscriberID: subscriber, SubscriptionID: sub, ShippingAddressID: "adr_2"},
			subscription.ChangePayment{SubscriberID: subscriber, SubscriptionID: sub, PaymentID: "pm_2"},
			subscription.Cancel{SubscriberID: subscriber, SubscriptionID: sub, Reason: "Overstocked", ReasonCode: "4"},
			subscription.Reactivate{SubscriberID: subscriber, SubscriptionID: sub},
		},
		{
			subscription.CreateItem{ItemID: itemID, OrderID: "ord_8", CustomerID: "cus_1", Product: "beans-500", Offer: "off_1", Quantity: 1, UnitPrice: 1200,
				Currency: "USD"},
			subscription.ChangeItemQuantity{ItemID: itemID, Quantity: 2},
			subscription.ChangeItemPrice{ItemID: itemID, UnitPrice: 1150},
			subscription.ChangeItemProduct{ItemID: itemID, Product: "beans-dark"},
			subscription.SubscribeItem{ItemID: itemID, SubscriptionID: sub},
			subscription.MoveItem{ItemID: itemID, OrderID: "ord_9"},
			subscription.PostponeItem{ItemID: itemID, OrderID: "ord_10"},
			subscription.PlaceItem{ItemID: itemID},
		},
		{
			subscription.CreateItem{ItemID: goneItem, OrderID: "ord_8", Product: "beans-500", Quantity: 1, UnitPrice: 1200, Currency: "USD"},
			subscription.RemoveItem{ItemID: goneItem},
		},
	}
}
