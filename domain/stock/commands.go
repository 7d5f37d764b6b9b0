package stock

import (
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// MaxQuantity bounds what is on hand, and each change of it.
const MaxQuantity = 1_000_000_000

type (
	// Create starts the record of a SKU at a location, with what is there already.
	Create struct {
		StockItemID string `json:"stockItemId"` // generated where it is empty
		SKU         string `json:"sku"`
		Location    string `json:"location"`
		OnHand      int64  `json:"onHand,omitzero"`
	}
	// Receive adds goods that arrived.
	Receive struct {
		StockItemID string `json:"stockItemId"`
		Quantity    int64  `json:"quantity"`
		Reference   string `json:"reference,omitzero"` // such as a purchase order
	}
	// Reserve promises goods that are available.
	Reserve struct {
		StockItemID string `json:"stockItemId"`
		Quantity    int64  `json:"quantity"`
		Reference   string `json:"reference,omitzero"` // such as an order's id
	}
	// Release takes a promise back.
	Release struct {
		StockItemID string `json:"stockItemId"`
		Quantity    int64  `json:"quantity"`
		Reference   string `json:"reference,omitzero"`
	}
	// Issue lets goods leave that were reserved.
	Issue struct {
		StockItemID string `json:"stockItemId"`
		Quantity    int64  `json:"quantity"`
		Reference   string `json:"reference,omitzero"`
	}
	// Adjust corrects what is on hand after somebody counted, up or down.
	Adjust struct {
		StockItemID string `json:"stockItemId"`
		Change      int64  `json:"change"`
		Reason      string `json:"reason,omitzero"`
	}
	// Destroy ends the record. Nothing may be reserved any more. Its id stays used.
	Destroy struct {
		StockItemID string `json:"stockItemId"`
	}
)

// WithID addresses the stock item that Create starts.
func (c Create) WithID(id string) domain.Command { c.StockItemID = id; return c }

func (Create) CommandName() string  { return "stock_item.create" }
func (Receive) CommandName() string { return "stock_item.receive" }
func (Reserve) CommandName() string { return "stock_item.reserve" }
func (Release) CommandName() string { return "stock_item.release" }
func (Issue) CommandName() string   { return "stock_item.issue" }
func (Adjust) CommandName() string  { return "stock_item.adjust" }
func (Destroy) CommandName() string { return "stock_item.destroy" }

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: id} }

func (c Create) StreamID() domain.StreamID  { return stream(c.StockItemID) }
func (c Receive) StreamID() domain.StreamID { return stream(c.StockItemID) }
func (c Reserve) StreamID() domain.StreamID { return stream(c.StockItemID) }
func (c Release) StreamID() domain.StreamID { return stream(c.StockItemID) }
func (c Issue) StreamID() domain.StreamID   { return stream(c.StockItemID) }
func (c Adjust) StreamID() domain.StreamID  { return stream(c.StockItemID) }
func (c Destroy) StreamID() domain.StreamID { return stream(c.StockItemID) }

// Commands returns a zero value of every command.
func Commands() []domain.Command {
	return []domain.Command{Create{}, Receive{}, Reserve{}, Release{}, Issue{}, Adjust{}, Destroy{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := check.Fields{}
	if c.StockItemID != "" {
		v.ID("stockItemId", c.StockItemID)
	}
	v.Required("sku", c.SKU, check.MaxText)
	v.Required("location", c.Location, check.MaxText)
	v.Number("onHand", c.OnHand, 0, MaxQuantity)
	return v.Err(c)
}

func (c Receive) Validate() error { return validate(c, c.StockItemID, c.Quantity, c.Reference) }
func (c Reserve) Validate() error { return validate(c, c.StockItemID, c.Quantity, c.Reference) }
func (c Release) Validate() error { return validate(c, c.StockItemID, c.Quantity, c.Reference) }
func (c Issue) Validate() error   { return validate(c, c.StockItemID, c.Quantity, c.Reference) }

func (c Adjust) Validate() error {
	v := check.Fields{}
	v.ID("stockItemId", c.StockItemID)
	v.Number("change", c.Change, -MaxQuantity, MaxQuantity)
	v.Text("reason", c.Reason, check.MaxText)
	return v.Err(c)
}

func (c Destroy) Validate() error {
	v := check.Fields{}
	v.ID("stockItemId", c.StockItemID)
	return v.Err(c)
}

func validate(c domain.Command, id string, quantity int64, reference string) error {
	v := check.Fields{}
	v.ID("stockItemId", id)
	v.Number("quantity", quantity, 1, MaxQuantity)
	v.Text("reference", reference, check.MaxText)
	return v.Err(c)
}
