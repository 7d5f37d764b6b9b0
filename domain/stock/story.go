package stock

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event in one short line, for histories.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return fmt.Sprintf("created with %d of %s at %s", e.OnHand, e.SKU, e.Location)
	case Received:
		return of(fmt.Sprintf("received %d", e.Quantity), e.Reference)
	case Reserved:
		return of(fmt.Sprintf("reserved %d", e.Quantity), e.Reference)
	case Released:
		return of(fmt.Sprintf("released %d", e.Quantity), e.Reference)
	case Issued:
		return of(fmt.Sprintf("issued %d", e.Quantity), e.Reference)
	case Adjusted:
		return of(fmt.Sprintf("adjusted by %+d", e.Change), e.Reason)
	case OutOfStock:
		return "out of stock"
	case BackInStock:
		return "back in stock"
	case Destroyed:
		return "destroyed"
	}
	return event.EventType()
}

func of(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}
