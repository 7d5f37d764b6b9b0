package customer

import (
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

type (
	// Create starts a customer, as a prospect.
	Create struct {
		CustomerID string            `json:"customerId"` // generated where it is empty
		Person     Person            `json:"person"`     // with an email at least
		Reference  string            `json:"reference,omitzero"`
		Metadata   map[string]string `json:"metadata,omitzero"`
	}
	// Update replaces what it names and leaves the rest: nil means "as it is", and a person or metadata are replaced as a whole.
	Update struct {
		CustomerID string            `json:"customerId"`
		Person     *Person           `json:"person,omitzero"`
		Reference  *string           `json:"reference,omitzero"`
		Metadata   map[string]string `json:"metadata,omitzero"`
	}
	// RecordOrder tells that an order of the customer was placed. It may be told any number of times.
	RecordOrder struct {
		CustomerID string `json:"customerId"`
		OrderID    string `json:"orderId"`
	}
	// Destroy removes a customer. Their id stays used.
	Destroy struct {
		CustomerID string `json:"customerId"`
	}
)

// WithID addresses the customer that Create starts.
func (c Create) WithID(id string) domain.Command { c.CustomerID = id; return c }

func (Create) CommandName() string      { return "customer.create" }
func (Update) CommandName() string      { return "customer.update" }
func (RecordOrder) CommandName() string { return "customer.record_order" }
func (Destroy) CommandName() string     { return "customer.destroy" }

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: id} }

func (c Create) StreamID() domain.StreamID      { return stream(c.CustomerID) }
func (c Update) StreamID() domain.StreamID      { return stream(c.CustomerID) }
func (c RecordOrder) StreamID() domain.StreamID { return stream(c.CustomerID) }
func (c Destroy) StreamID() domain.StreamID     { return stream(c.CustomerID) }

// Commands returns a zero value of every command of a customer.
func Commands() []domain.Command {
	return []domain.Command{Create{}, Update{}, RecordOrder{}, Destroy{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := check.Fields{}
	if c.CustomerID != "" {
		v.ID("customerId", c.CustomerID)
	}
	c.Person.check(&v, "person")
	v.Text("reference", c.Reference, check.MaxText)
	v.Metadata("metadata", c.Metadata, check.MaxMetadata)
	return v.Err(c)
}

func (c Update) Validate() error {
	v := check.Fields{}
	v.ID("customerId", c.CustomerID)
	if c.Person != nil {
		c.Person.check(&v, "person")
	}
	v.OptionalText("reference", c.Reference, check.MaxText)
	v.Metadata("metadata", c.Metadata, check.MaxMetadata)
	return v.Err(c)
}

func (c RecordOrder) Validate() error {
	v := check.Fields{}
	v.ID("customerId", c.CustomerID)
	v.ID("orderId", c.OrderID)
	return v.Err(c)
}

func (c Destroy) Validate() error {
	v := check.Fields{}
	v.ID("customerId", c.CustomerID)
	return v.Err(c)
}

func (p Person) check(v *check.Fields, field string) {
	if p.Email == "" {
		v.Fail(field+".email", "it is required")
	}
	v.Email(field+".email", p.Email)
	v.Text(field+".firstName", p.FirstName, check.MaxText)
	v.Text(field+".lastName", p.LastName, check.MaxText)
	v.Text(field+".phone", p.Phone, check.MaxText)
}
