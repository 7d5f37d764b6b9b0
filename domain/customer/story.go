package customer

import (
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event of any aggregate of this package in one short line, for histories. It names no person.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return "customer created"
	case Updated:
		var fields []string
		if e.Person != nil {
			fields = append(fields, "person")
		}
		if e.Reference != nil {
			fields = append(fields, "reference")
		}
		if e.Metadata != nil {
			fields = append(fields, "metadata")
		}
		return "changed " + strings.Join(fields, ", ")
	case Acquired:
		return fmt.Sprintf("acquired by order %s", e.OrderID)
	case Repeated:
		return fmt.Sprintf("a repeat customer by order %s", e.OrderID)
	case Destroyed:
		return "customer destroyed"
	case SubscriptionCreated:
		if e.Reference == "" {
			return "subscribed"
		}
		return "subscribed to " + e.Reference
	case SubscriptionEnded:
		return "subscription destroyed"
	case PasswordResetCreated:
		return "asked for a new password"
	case PasswordResetEnded:
		return "password reset is over"
	}
	return event.EventType()
}
