package imports

import "github.com/waybill-dev/waybill/domain"

type (
	// Created is the first event of every import.
	Created struct {
		ImportID     string `json:"importId"`
		ResourceType string `json:"resourceType"`
		Inputs       int64  `json:"inputs"`
		Reference    string `json:"reference,omitzero"`
	}
	Started struct{}
	// Progressed holds the sums since the start.
	Progressed struct {
		Processed int64 `json:"processed"`
		Errors    int64 `json:"errors"`
	}
	Completed   struct{}
	Interrupted struct {
		From   string `json:"from"` // pending or started
		Reason string `json:"reason,omitzero"`
	}
	Destroyed struct {
		From string `json:"from"` // pending, completed or interrupted
	}
)

func (Created) EventType() string     { return "import.created" }
func (Started) EventType() string     { return "import.started" }
func (Progressed) EventType() string  { return "import.progressed" }
func (Completed) EventType() string   { return "import.completed" }
func (Interrupted) EventType() string { return "import.interrupted" }
func (Destroyed) EventType() string   { return "import.destroyed" }

// codec lists every event. One that changes gets an upcast here; its golden file in testdata/events shows that it has changed.
var codec = domain.NewCodec(
	domain.EventOf[Created]("A new import exists, and waits to be started."),
	domain.EventOf[Started]("The import has started."),
	domain.EventOf[Progressed]("More inputs of the import are processed."),
	domain.EventOf[Completed]("Every input of the import is processed."),
	domain.EventOf[Interrupted]("The import was given up before its end."),
	domain.EventOf[Destroyed]("The import is gone."),
)
