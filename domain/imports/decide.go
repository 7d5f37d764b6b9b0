package imports

import (
	"fmt"

	"github.com/waybill-dev/waybill/domain"
)

// Decide answers a valid command with the events that follow from it, none where it would change nothing, or says why it is not
// legal: [*domain.IllegalTransitionError], or [*domain.NotFoundError] where the import does not exist (any more).
func Decide(i Import, command domain.Command) ([]domain.Event, error) {
	refuse := func(reason string, args ...any) ([]domain.Event, error) {
		return nil, Machine.Refuse(command.CommandName(), "import "+i.ID, i.Status, fmt.Sprintf(reason, args...))
	}
	if c, ok := command.(Create); ok {
		if i.ID != "" {
			return refuse("its id is taken")
		}
		if c.ImportID == "" {
			return nil, domain.MissingID(command, "importId")
		}
		return []domain.Event{Created(c)}, nil
	}
	if i.ID == "" || i.Status == StatusDestroyed {
		return nil, &domain.NotFoundError{Kind: "import", ID: command.StreamID().ID}
	}
	move := func(name string, e domain.Event) ([]domain.Event, error) {
		if _, ok := Machine.Fire(i.Status, name); !ok {
			return refuse("")
		}
		return []domain.Event{e}, nil
	}
	switch c := command.(type) {
	case Start:
		return move("start", Started{})
	case RecordProgress:
		return i.progress(c, refuse)
	case Complete:
		if i.Status == StatusStarted && i.Processed < i.Inputs {
			return refuse("%d of its %d inputs are processed", i.Processed, i.Inputs)
		}
		return move("complete", Completed{})
	case Interrupt:
		return move("interrupt", Interrupted{From: i.Status, Reason: c.Reason})
	case Destroy:
		return move("destroy", Destroyed{From: i.Status})
	}
	return nil, fmt.Errorf("imports: %T is not a command of an import", command)
}

func (i Import) progress(c RecordProgress, refuse func(string, ...any) ([]domain.Event, error)) ([]domain.Event, error) {
	switch {
	case i.Status != StatusStarted:
		return refuse("only an import that is running makes progress")
	case c.Processed > i.Inputs:
		return refuse("it has %d inputs, less than %d", i.Inputs, c.Processed)
	case c.Processed < i.Processed || c.Errors < i.Errors:
		return refuse("%d processed with %d errors are recorded already, and sums do not shrink", i.Processed, i.Errors)
	case c.Processed == i.Processed && c.Errors == i.Errors:
		return nil, nil
	}
	return []domain.Event{Progressed{Processed: c.Processed, Errors: c.Errors}}, nil
}
