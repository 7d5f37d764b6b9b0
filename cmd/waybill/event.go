package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain"
)

func (p *program) eventCommand() *cobra.Command {
	return family("event", "Look at one event", &cobra.Command{
		Use:   "show ID",
		Short: "Show the event that a webhook told of, by its webhook-id",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseEventID(args[0])
			if err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				r, err := s.workspace.Event(c.Context(), id)
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(jsonOf(r))
				}
				return p.printEvent(r)
			})
		},
	})
}

func parseEventID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return id, usagef("it is a UUID, such as 01981f5c-7d2e-7b3c-9a4b-e1f2a3b4c5d6, and the webhook-id of every attempt to deliver it",
			"%.80q is not the id of an event", text)
	}
	return id, nil
}

// recordedJSON is an event of the log as programs get to see it.
type recordedJSON struct {
	ID            uuid.UUID       `json:"id"`
	Type          string          `json:"type"`
	SchemaVersion int             `json:"schemaVersion"`
	Workspace     string          `json:"workspace"`
	Stream        string          `json:"stream"`
	Version       int             `json:"version"`
	RecordedAt    time.Time       `json:"recordedAt"`
	Metadata      json.RawMessage `json:"metadata"`
	Data          json.RawMessage `json:"data"`
	Hash          string          `json:"hash"`
}

func jsonOf(r domain.Recorded) recordedJSON {
	return recordedJSON{r.ID, r.Type, r.SchemaVersion, r.Workspace, r.Stream.String(), r.Version, r.RecordedAt, r.Metadata, r.Data, hex.EncodeToString(r.Hash)}
}

func (p *program) printEvent(r domain.Recorded) error {
	var metadata domain.Metadata
	if err := json.Unmarshal(r.Metadata, &metadata); err != nil {
		return err
	}
	p.printf("%s   version %d of %s\n", p.style.bold(clean(r.Type)), r.Version, clean(r.Stream.String()))
	var t table
	fact := func(name, value string) {
		if value != "" {
			t.add(p.style.dim(name), clean(value))
		}
	}
	fact("id", r.ID.String())
	fact("recorded", when(r.RecordedAt)+" UTC")
	fact("command", metadata.Command)
	fact("actor", metadata.Actor)
	fact("correlation", metadata.CorrelationID)
	fact("causation", metadata.CausationID)
	fact("key", metadata.IdempotencyKey)
	fact("hash", hex.EncodeToString(r.Hash))
	t.write(p.stdout, "  ")
	var data bytes.Buffer
	if err := json.Indent(&data, r.Data, "  ", "  "); err != nil {
		return err
	}
	p.printf("\n  %s\n", data.Bytes())
	return nil
}
