package customer

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "cus_1"

var (
	person    = Person{Email: "customer@example.com", FirstName: "First", LastName: "Last", Phone: "+1 555"}
	create    = Create{CustomerID: id, Person: person}
	reference = "crm-7"
)

var customers = conformance.Suite{
	Aggregate: Aggregate(),
	Commands:  Commands(),
	Describe:  Describe,
	Samples: []domain.Event{
		Created{CustomerID: id, Person: person, Reference: reference, Metadata: map[string]string{"b": "2", "a": "1"}},
		Updated{Person: &person, Reference: &reference, Metadata: map[string]string{"a": "1"}},
		Acquired{OrderID: "ord_1"}, Repeated{OrderID: "ord_2"}, Destroyed{From: StatusRepeat},
	},
	Tables: map[string]string{"customer": `
		prospect: acquire=acquired destroy=destroyed
		acquired: destroy=destroyed repeat=repeat
		repeat: destroy=destroyed
		destroyed:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"customer": s.(Customer).Status} },
	Reach: map[string][]domain.Command{
		"customer.prospect":  {create},
		"customer.acquired":  {create, RecordOrder{id, "ord_1"}},
		"customer.repeat":    {create, RecordOrder{id, "ord_1"}, RecordOrder{id, "ord_2"}},
		"customer.destroyed": {create, Destroy{id}},
	},
	// Recording an order is never refused: see TestRecordingOrders.
	Moves:  map[string]domain.Command{"customer.acquire": nil, "customer.repeat": nil, "customer.destroy": Destroy{id}},
	Silent: []string{"customer.record_order", "customer.update"},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Customer).ID == "" {
			return create
		}
		other := Person{Email: rapid.StringMatching(`[a-z]{1,3}@example\.com`).Draw(t, "email")}
		if rapid.IntRange(0, 20).Draw(t, "end") == 0 {
			return Destroy{id}
		}
		return rapid.SampledFrom([]domain.Command{
			create, RecordOrder{id, "ord_1"}, RecordOrder{id, "ord_2"}, RecordOrder{id, "ord_3"}, Update{CustomerID: id, Person: &other},
			Update{CustomerID: id, Reference: &other.Email}, Update{CustomerID: id, Metadata: map[string]string{"a": other.Email}}, Update{CustomerID: id},
		}).Draw(t, "command")
	},
}

var subscriptions = conformance.Suite{
	Aggregate: SubscriptionAggregate(),
	Commands:  SubscriptionCommands(),
	Describe:  Describe,
	Samples: []domain.Event{
		SubscriptionCreated{SubscriptionID: "csu_1", CustomerID: id, Person: person, Reference: "newsletter", ReferenceOrigin: "mailer"}, SubscriptionEnded{},
	},
	Tables: map[string]string{"customer_subscription": `
		active: destroy=destroyed
		destroyed:`},
	Statuses: func(s domain.State) map[string]string {
		return map[string]string{"customer_subscription": s.(Subscription).Status}
	},
	Reach: map[string][]domain.Command{
		"customer_subscription.active":    {CreateSubscription{SubscriptionID: "csu_1", Person: person}},
		"customer_subscription.destroyed": {CreateSubscription{SubscriptionID: "csu_1", Person: person}, DestroySubscription{"csu_1"}},
	},
	Moves: map[string]domain.Command{"customer_subscription.destroy": DestroySubscription{"csu_1"}},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		return rapid.SampledFrom([]domain.Command{
			CreateSubscription{SubscriptionID: "csu_1", CustomerID: id, Person: person, Reference: "newsletter"}, DestroySubscription{"csu_1"},
		}).Draw(t, "command")
	},
}

var passwordResets = conformance.Suite{
	Aggregate: PasswordResetAggregate(),
	Commands:  PasswordResetCommands(),
	Describe:  Describe,
	Samples: []domain.Event{
		PasswordResetCreated{PasswordResetID: "cpr_1", CustomerID: id, Person: person}, PasswordResetEnded{},
	},
	Tables: map[string]string{"customer_password_reset": `
		requested: destroy=destroyed
		destroyed:`},
	Statuses: func(s domain.State) map[string]string {
		return map[string]string{"customer_password_reset": s.(PasswordReset).Status}
	},
	Reach: map[string][]domain.Command{
		"customer_password_reset.requested": {CreatePasswordReset{"cpr_1", id, person}},
		"customer_password_reset.destroyed": {CreatePasswordReset{"cpr_1", id, person}, DestroyPasswordReset{"cpr_1"}},
	},
	Moves: map[string]domain.Command{"customer_password_reset.destroy": DestroyPasswordReset{"cpr_1"}},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		return rapid.SampledFrom([]domain.Command{CreatePasswordReset{"cpr_1", id, person}, DestroyPasswordReset{"cpr_1"}}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) {
	for _, suite := range []conformance.Suite{customers, subscriptions, passwordResets} {
		t.Run(suite.Aggregate.Name, suite.GoldenEvents)
	}
}

func TestContract(t *testing.T) {
	for _, suite := range []conformance.Suite{customers, subscriptions, passwordResets} {
		t.Run(suite.Aggregate.Name, suite.Run)
	}
}

func FuzzCustomers(f *testing.F)      { customers.Fuzz(f) }
func FuzzSubscriptions(f *testing.F)  { subscriptions.Fuzz(f) }
func FuzzPasswordResets(f *testing.F) { passwordResets.Fuzz(f) }

func TestRecordingOrders(t *testing.T) {
	s := customers.Expect(t, Customer{}, create, "customer.created")
	customers.Refuse(t, s, create, "its id is taken")
	s = customers.Expect(t, s, RecordOrder{id, "ord_1"}, "customer.acquired")
	s = customers.Expect(t, s, RecordOrder{id, "ord_1"})
	s = customers.Expect(t, s, RecordOrder{id, "ord_2"}, "customer.repeated")
	for _, again := range []string{"ord_1", "ord_2", "ord_3"} {
		customers.Expect(t, s, RecordOrder{id, again})
	}
	if c := s.(Customer); c.Status != StatusRepeat || c.FirstOrderID != "ord_1" || c.RepeatOrderID != "ord_2" || c.AcquiredAt.IsZero() || c.RepeatAt.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestUpdatesRecordWhatChanged(t *testing.T) {
	s := customers.Play(t, Customer{}, create)
	other := person
	other.Phone = ""
	events, err := customers.Try(s, Update{CustomerID: id, Person: &other, Reference: new(string), Metadata: map[string]string{}})
	if err != nil || len(events) != 1 || events[0].(Updated).Person.Phone != "" || events[0].(Updated).Reference != nil || events[0].(Updated).Metadata != nil {
		t.Errorf("%+v, %v", events, err)
	}
	s = customers.Expect(t, s, Update{CustomerID: id, Reference: &reference, Metadata: map[string]string{"a": "1"}}, "customer.updated")
	s = customers.Expect(t, s, Update{CustomerID: id, Person: &person, Reference: &reference, Metadata: map[string]string{"a": "1"}})
	s = customers.Expect(t, s, Update{CustomerID: id, Metadata: map[string]string{}}, "customer.updated")
	if c := s.(Customer); c.Reference != reference || len(c.Metadata) != 0 || c.Person != person {
		t.Errorf("%+v", c)
	}
}

func TestValidate(t *testing.T) {
	bad := Person{Email: "nobody", FirstName: "\xff", LastName: "\x00", Phone: strings.Repeat("1", 256)}
	text := "\xff"
	customers.Invalid(t, Customer{}, Create{CustomerID: "a b", Person: bad, Reference: text, Metadata: map[string]string{"": ""}},
		"customerId", "person.email", "person.firstName", "person.lastName", "person.phone", "reference", `metadata[""]`)
	customers.Invalid(t, Customer{}, Create{}, "person.email")
	customers.Invalid(t, Customer{}, Update{Person: &Person{}, Reference: &text, Metadata: map[string]string{"": ""}}, "customerId", "person.email", "reference", `metadata[""]`)
	customers.Invalid(t, Customer{}, RecordOrder{}, "customerId", "orderId")
	subscriptions.Invalid(t, Subscription{}, CreateSubscription{SubscriptionID: "a b", CustomerID: "a b", Reference: text, ReferenceOrigin: text},
		"subscriptionId", "customerId", "person.email", "reference", "referenceOrigin")
	passwordResets.Invalid(t, PasswordReset{}, CreatePasswordReset{PasswordResetID: "a b"}, "passwordResetId", "customerId", "person.email")
}
