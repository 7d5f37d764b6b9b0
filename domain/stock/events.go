package stock

import "github.com/waybill-dev/waybill/domain"

type (
	// Created is the first event of every stock item.
	Created struct {
		StockItemID string `json:"stockItemId"`
		SKU         string `json:"sku"`
		Location    string `json:"location"`
		OnHand      int64  `json:"onHand"`
	}
	Received struct {
		Quantity  int64  `json:"quantity"`
		Reference string `json:"reference,omitzero"`
	}
	Reserved struct {
		Quantity  int64  `json:"quantity"`
		Reference string `json:"reference,omitzero"`
	}
	Released struct {
		Quantity  int64  `json:"quantity"`
		Reference string `json:"reference,omitzero"`
	}
	Issued struct {
		Quantity  int64  `json:"quantity"`
		Reference string `json:"reference,omitzero"`
	}
	Adjusted struct {
		Change int64  `json:"change"`
		Reason string `json:"reason,omitzero"`
	}
	OutOfStock  struct{}
	BackInStock struct{}
	Destroyed   struct{}
)

func (Created) EventType() string     { return "stock_item.created" }
func (Received) EventType() string    { return "stock_item.received" }
func (Reserved) EventType() string    { return "stock_item.reserved" }
func (Released) EventType() string    { return "stock_item.released" }
func (Issued) EventType() string      { return "stock_item.issued" }
func (Adjusted) EventType() string    { return "stock_item.adjusted" }
func (OutOfStock) EventType() string  { return "stock_item.out_of_stock" }
func (BackInStock) EventType() string { return "stock_item.back_in_stock" }
func (Destroyed) EventType() string   { return "stock_item.destroyed" }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new stock item exists."),
	domain.EventOf[Received]("Goods arrived."),
	domain.EventOf[Reserved]("Goods were promised to somebody, and are not available any more."),
	domain.EventOf[Released]("Goods that were promised are available again."),
	domain.EventOf[Issued]("Goods that were promised have left."),
	domain.EventOf[Adjusted]("What is on hand was corrected after somebody counted."),
	domain.EventOf[OutOfStock]("Nothing of the stock item is available any more."),
	domain.EventOf[BackInStock]("Something of the stock item, which was out of stock, is available again."),
	domain.EventOf[Destroyed]("The stock item is gone."),
)
