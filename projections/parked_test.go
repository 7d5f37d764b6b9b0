package projections_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/projections"
)

const notesTable = `CREATE TABLE notes (
	generation integer, workspace text, id text, note text NOT NULL CHECK (note <> 'refused'), length smallint,
	PRIMARY KEY (generation, workspace, id))`

type note struct {
	Note   string `json:"note"`
	Length int    `json:"length"`
}

// notes shows the note of each order. Where it is not robust, some notes are poison to it.
func notes(robust bool) *projections.Projection {
	evolve := func(n note, e projections.Event) note {
		switch e := e.Event.(type) {
		case order.Created:
			n = note{e.Note, len(e.Note)}
		case order.Updated:
			if e.Note != nil {
				n = note{*e.Note, len(*e.Note)}
			}
		}
		if n.Note == "panic" && !robust {
			panic("boom")
		}
		return n
	}
	rows := func(n note) []note {
		if n.Note == "panic in rows" && !robust {
			panic("boom")
		}
		if n.Note == "refused" && robust {
			n.Note = "not refused"
		}
		if n.Note == "too long" && !robust {
			n.Length = 1 << 20
		}
		return []note{n}
	}
	return projections.Define("notes", "notes", order.Aggregate(), evolve, rows)
}

// What cannot be shown of one order is parked with its error, and everything else goes on: whether the view follows, is rebuilt, or is written by
// the appends.
func TestPoisonParksItsStreamOnly(t *testing.T) {
	t.Parallel()
	poison := []string{"panic", "panic in rows", "refused", "too long"}
	for mode, view := range map[string]*projections.Projection{"following": notes(false), "inline": projections.Inline(notes(false)), "rebuilt": notes(false)} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := pgtest.New(t)
			execute(t, d.DB, notesTable)
			engine := newEngine(t, d.DB, view)
			build := func() {
				t.Helper()
				if err := engine.Rebuild(t.Context(), "notes", nil); err != nil {
					t.Fatal(err)
				}
			}
			if mode != "rebuilt" {
				build()
			}
			if mode == "following" {
				follow(t, engine)
			}
			update := func(id, text string) {
				t.Helper()
				run(t, engine, order.Update{OrderID: id, Note: &text})
			}
			for _, id := range append([]string{"fine"}, poison...) {
				id = strings.ReplaceAll(id, " ", "_")
				run(t, engine, draft(id))
				update(id, "before")
				if mode == "following" {
					settled(t, engine) // so that the poison is a batch of its own
				}
			}
			for _, text := range append([]string{"fine"}, poison...) {
				update(strings.ReplaceAll(text, " ", "_"), text)
			}
			update("panic", "after")
			update("fine", "finer")
			switch mode {
			case "rebuilt":
				build()
			case "following":
				settled(t, engine)
			}

			shown := func(id string) string {
				text := sql.NullString{}
				_ = d.QueryRow(`SELECT note FROM notes WHERE generation = live_generation('notes') AND id = $1`, id).Scan(&text)
				return text.String
			}
			if got := shown("fine"); got != "finer" {
				t.Errorf("the order that is fine shows %q", got)
			}
			if got := shown("panic"); got != "before" {
				t.Errorf("what was before the poison is not shown, but %q", got)
			}
			parked, err := engine.Projections().Parked(t.Context(), "notes", projections.Parked{})
			if err != nil || len(parked) != len(poison) {
				t.Fatalf("parked are %+v, %v", parked, err)
			}
			for _, p := range parked {
				if p.Version != 3 || p.Error == "" || time.Since(p.ParkedAt) > time.Hour {
					t.Errorf("parked is %+v", p)
				}
			}
			if v, err := engine.Projections().Verify(t.Context(), "notes", 0, nil); err != nil || v.Different != 0 {
				t.Errorf("%+v, %v", v, err)
			}

			mended, left, err := engine.Projections().Retry(t.Context(), "notes")
			if err != nil || mended != 0 || left != 4 {
				t.Errorf("retried in vain: %d mended, %d parked, %v", mended, left, err)
			}
			better := newEngine(t, d.DB, notes(true))
			mended, left, err = better.Projections().Retry(t.Context(), "notes")
			if err != nil || mended != 4 || left != 0 {
				t.Errorf("retried by a program that can: %d mended, %d parked, %v", mended, left, err)
			}
			if got := shown("panic"); got != "after" {
				t.Errorf("after the retry the order shows %q", got)
			}
			verified(t, better, "notes")
		})
	}
}

// An event of a newer program is parked, too.
func TestUnknownEventIsParked(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB, waybill.Projections()...)
	run(t, engine, append(life("ord_1"), life("ord_2")...)...)
	execute(t, d.DB, `INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT transaction_id, workspace, stream, 99, gen_random_uuid(), 'order.exploded', 1, '{}', '{}', recorded_at, hash FROM events
		WHERE stream = 'order/ord_1' ORDER BY version DESC LIMIT 1`)
	follow(t, engine)
	settled(t, engine)
	for _, name := range allViews {
		parked, err := engine.Projections().Parked(t.Context(), name, projections.Parked{})
		if err != nil || len(parked) != 1 || parked[0].ID != "ord_1" || parked[0].Version != 99 {
			t.Errorf("%s: parked are %+v, %v", name, parked, err)
		}
	}
}

// Projections that cannot work are refused before they are tried.
func TestMistakesInProjections(t *testing.T) {
	t.Parallel()
	type untagged struct{ Note string }
	type nested struct {
		Note struct{ Text string } `json:"note"`
	}
	type filledIn struct {
		ID string `json:"id"`
	}
	type fine struct {
		Text  string     `json:"text"`
		Time  *time.Time `json:"time"`
		Texts []string   `json:"texts"`
	}
	for name, p := range map[string]*projections.Projection{
		"untagged":     define[untagged]("notes", "notes"),
		"nested":       define[nested]("notes", "notes"),
		"filled in":    define[filledIn]("notes", "notes"),
		"no struct":    define[string]("notes", "notes"),
		"name":         define[fine]("my notes", "notes"),
		"table":        define[fine]("notes", `notes"; DROP TABLE events`),
		"no aggregate": projections.Define("notes", "notes", nil, func(n int, _ projections.Event) int { return n }, func(int) []fine { return nil }),
	} {
		if _, err := waybill.New(&sql.DB{}, waybill.Config{Projections: []*projections.Projection{p}}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	p := define[fine]("notes", "notes")
	if _, err := waybill.New(&sql.DB{}, waybill.Config{Projections: []*projections.Projection{p}}); err != nil {
		t.Error(err)
	}
	if _, err := waybill.New(&sql.DB{}, waybill.Config{Projections: []*projections.Projection{p, p}}); err == nil {
		t.Error("the same one twice is accepted")
	}
}

func define[R any](name, table string) *projections.Projection {
	return projections.Define(name, table, order.Aggregate(), func(n int, _ projections.Event) int { return n }, func(int) []R { return nil })
}

// Where no view was built, or there is none, errors say so.
func TestNothingToLookAt(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	engine := newEngine(t, d.DB)
	_, err := engine.Projections().Verify(t.Context(), "orders", 0, nil)
	as[*projections.NotBuiltError](t, err)
	_, _, err = engine.Projections().Retry(t.Context(), "orders")
	as[*projections.NotBuiltError](t, err)
	_, err = engine.Projections().Rollback(t.Context(), "orders")
	as[*domain.NotFoundError](t, err)
	as[*domain.NotFoundError](t, engine.Rebuild(context.Background(), "ordrs", nil))
}
