package imports

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Describe tells an event in one short line, for histories.
func Describe(event domain.Event) string {
	switch e := event.(type) {
	case Created:
		return fmt.Sprintf("created, to take in %d %s", e.Inputs, e.ResourceType)
	case Started:
		return "started"
	case Progressed:
		return fmt.Sprintf("%d processed, %d of them with an error", e.Processed, e.Errors)
	case Completed:
		return "completed"
	case Interrupted:
		if e.Reason == "" {
			return "interrupted"
		}
		return "interrupted: " + e.Reason
	case Destroyed:
		return "destroyed"
	}
	return event.EventType()
}
