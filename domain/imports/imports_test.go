package imports

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/internal/conformance"
)

const id = "imp_1"

var (
	create = Create{ImportID: id, ResourceType: "customers", Inputs: 3}
	all    = RecordProgress{id, 3, 1}
)

var suite = conformance.Suite{
	Aggregate: Aggregate(),
	Commands:  Commands(),
	Describe:  Describe,
	Samples: []domain.Event{
		Created{ImportID: id, ResourceType: "customers", Inputs: 3, Reference: "file-7"}, Started{}, Progressed{Processed: 2, Errors: 1},
		Completed{}, Interrupted{From: StatusStarted, Reason: "disk full"}, Destroyed{From: StatusCompleted},
	},
	Tables: map[string]string{"import": `
		pending: destroy=destroyed interrupt=interrupted start=started
		started: complete=completed interrupt=interrupted
		completed: destroy=destroyed
		interrupted: destroy=destroyed
		destroyed:`},
	Statuses: func(s domain.State) map[string]string { return map[string]string{"import": s.(Import).Status} },
	Reach: map[string][]domain.Command{
		"import.pending":     {create},
		"import.started":     {create, Start{id}, all},
		"import.completed":   {create, Start{id}, all, Complete{id}},
		"import.interrupted": {create, Interrupt{id, "disk full"}},
		"import.destroyed":   {create, Destroy{id}},
	},
	Moves: map[string]domain.Command{
		"import.start": Start{id}, "import.complete": Complete{id}, "import.interrupt": Interrupt{id, ""}, "import.destroy": Destroy{id},
	},
	Silent: []string{"import.record_progress"},
	Draw: func(t *rapid.T, s domain.State) domain.Command {
		if s.(Import).ID == "" {
			return create
		}
		if rapid.IntRange(0, 8).Draw(t, "end") == 0 {
			return rapid.SampledFrom([]domain.Command{Interrupt{id, ""}, Destroy{id}}).Draw(t, "ending")
		}
		processed := rapid.Int64Range(0, 4).Draw(t, "processed")
		return rapid.SampledFrom([]domain.Command{
			create, Start{id}, Complete{id}, RecordProgress{id, processed, min(processed, 1)}, RecordProgress{id, processed, 0},
		}).Draw(t, "command")
	},
}

func TestGoldenEvents(t *testing.T) { suite.GoldenEvents(t) }
func TestContract(t *testing.T)     { suite.Run(t) }
func FuzzCommands(f *testing.F)     { suite.Fuzz(f) }

func TestProgress(t *testing.T) {
	s := suite.Expect(t, Import{}, create, "import.created")
	suite.Refuse(t, s, create, "its id is taken")
	suite.Refuse(t, s, RecordProgress{id, 1, 0}, "only an import that is running")
	s = suite.Expect(t, s, Start{id}, "import.started")
	suite.Expect(t, s, RecordProgress{id, 0, 0})
	s = suite.Expect(t, s, RecordProgress{id, 2, 1}, "import.progressed")
	suite.Expect(t, s, RecordProgress{id, 2, 1})
	suite.Expect(t, s, RecordProgress{id, 2, 2}, "import.progressed")
	suite.Refuse(t, s, RecordProgress{id, 1, 1}, "2 processed with 1 errors are recorded already")
	suite.Refuse(t, s, RecordProgress{id, 3, 0}, "2 processed with 1 errors are recorded already")
	suite.Refuse(t, s, RecordProgress{id, 4, 1}, "it has 3 inputs, less than 4")
	suite.Refuse(t, s, Complete{id}, "2 of its 3 inputs are processed")
	suite.Refuse(t, s, Destroy{id}, "")
	s = suite.Expect(t, suite.Play(t, s, all), Complete{id}, "import.completed")
	suite.Refuse(t, s, all, "only an import that is running")
	if i := s.(Import); i.Processed != 3 || i.Errors != 1 || i.StartedAt.IsZero() || i.CompletedAt.IsZero() {
		t.Errorf("%+v", i)
	}
}

func TestValidate(t *testing.T) {
	suite.Invalid(t, Import{}, Create{ImportID: "a b", Reference: "\xff"}, "importId", "resourceType", "inputs", "reference")
	suite.Invalid(t, Import{}, Create{ResourceType: "\xff", Inputs: MaxInputs + 1}, "resourceType", "inputs")
	suite.Invalid(t, Import{}, RecordProgress{"", -1, 0}, "importId", "processed")
	suite.Invalid(t, Import{}, RecordProgress{id, 1, 2}, "errors")
	suite.Invalid(t, Import{}, RecordProgress{id, 1, -1}, "errors")
	suite.Invalid(t, Import{}, Interrupt{"", "\xff"}, "importId", "reason")
}
