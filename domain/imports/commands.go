package imports

import (
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/check"
)

// MaxInputs is how many inputs an import can have.
const MaxInputs = 1_000_000_000

type (
	// Create announces an import.
	Create struct {
		ImportID     string `json:"importId"` // generated where it is empty
		ResourceType string `json:"resourceType"`
		Inputs       int64  `json:"inputs"`
		Reference    string `json:"reference,omitzero"`
	}
	// Start tells that the first input is being processed.
	Start struct {
		ImportID string `json:"importId"`
	}
	// RecordProgress tells how many inputs were processed since the start, and how many of those failed.
	RecordProgress struct {
		ImportID  string `json:"importId"`
		Processed int64  `json:"processed"`
		Errors    int64  `json:"errors,omitzero"`
	}
	// Complete needs every input to be processed.
	Complete struct {
		ImportID string `json:"importId"`
	}
	// Interrupt gives up before the end.
	Interrupt struct {
		ImportID string `json:"importId"`
		Reason   string `json:"reason,omitzero"`
	}
	// Destroy removes an import that is not running. Its id stays used.
	Destroy struct {
		ImportID string `json:"importId"`
	}
)

// WithID addresses the import that Create starts.
func (c Create) WithID(id string) domain.Command { c.ImportID = id; return c }

func (Create) CommandName() string         { return "import.create" }
func (Start) CommandName() string          { return "import.start" }
func (RecordProgress) CommandName() string { return "import.record_progress" }
func (Complete) CommandName() string       { return "import.complete" }
func (Interrupt) CommandName() string      { return "import.interrupt" }
func (Destroy) CommandName() string        { return "import.destroy" }

func stream(id string) domain.StreamID { return domain.StreamID{Aggregate: Name, ID: id} }

func (c Create) StreamID() domain.StreamID         { return stream(c.ImportID) }
func (c Start) StreamID() domain.StreamID          { return stream(c.ImportID) }
func (c RecordProgress) StreamID() domain.StreamID { return stream(c.ImportID) }
func (c Complete) StreamID() domain.StreamID       { return stream(c.ImportID) }
func (c Interrupt) StreamID() domain.StreamID      { return stream(c.ImportID) }
func (c Destroy) StreamID() domain.StreamID        { return stream(c.ImportID) }

// Commands returns a zero value of every command.
func Commands() []domain.Command {
	return []domain.Command{Create{}, Start{}, RecordProgress{}, Complete{}, Interrupt{}, Destroy{}}
}

// Validate implements [domain.Command]. An empty id is right: the engine then generates one.
func (c Create) Validate() error {
	v := check.Fields{}
	if c.ImportID != "" {
		v.ID("importId", c.ImportID)
	}
	v.Required("resourceType", c.ResourceType, check.MaxText)
	v.Number("inputs", c.Inputs, 1, MaxInputs)
	v.Text("reference", c.Reference, check.MaxText)
	return v.Err(c)
}

func (c RecordProgress) Validate() error {
	v := check.Fields{}
	v.ID("importId", c.ImportID)
	v.Number("processed", c.Processed, 0, MaxInputs)
	v.Number("errors", c.Errors, 0, max(c.Processed, 0))
	return v.Err(c)
}

func (c Interrupt) Validate() error {
	v := check.Fields{}
	v.ID("importId", c.ImportID)
	v.Text("reason", c.Reason, check.MaxText)
	return v.Err(c)
}

func (c Start) Validate() error    { return validate(c, c.ImportID) }
func (c Complete) Validate() error { return validate(c, c.ImportID) }
func (c Destroy) Validate() error  { return validate(c, c.ImportID) }

func validate(c domain.Command, id string) error {
	v := check.Fields{}
	v.ID("importId", id)
	return v.Err(c)
}
