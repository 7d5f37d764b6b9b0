package imports

import (
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/domain"
)

// Evolve returns the import after an event that was recorded at the time given. It panics on an event that is none of an import's: to
// skip it would be to tell a wrong history.
func Evolve(i Import, event domain.Event, at time.Time) Import {
	at = at.UTC()
	i.UpdatedAt = at
	switch e := event.(type) {
	case Created:
		return Import{
			ID: e.ImportID, Status: StatusPending, ResourceType: e.ResourceType, Reference: e.Reference, Inputs: e.Inputs,
			CreatedAt: at, UpdatedAt: at,
		}
	case Started:
		i.Status, i.StartedAt = StatusStarted, at
	case Progressed:
		i.Processed, i.Errors = e.Processed, e.Errors
	case Completed:
		i.Status, i.CompletedAt = StatusCompleted, at
	case Interrupted:
		i.Status, i.InterruptedAt, i.Reason = StatusInterrupted, at, e.Reason
	case Destroyed:
		i.Status, i.DestroyedAt = StatusDestroyed, at
	default:
		panic(fmt.Sprintf("imports: %T is not an event of an import", event))
	}
	return i
}
