package vault

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

// Looking for what a key sealed walks along indexes, whatever the planner believes of the tables. The text is the body of
// streams_sealed_with, which is not looked into otherwise.
func TestStreamsSealedWithUsesIndexes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	var body string
	if err := db.QueryRow(`SELECT prosrc FROM pg_proc WHERE proname = 'streams_sealed_with'`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`SET LOCAL enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(`EXPLAIN ` + strings.NewReplacer("ANY (keys)", "ANY (ARRAY['a'])", "&& keys", "&& ARRAY['a']").Replace(body))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	text := plan.String()
	if strings.Contains(text, "Seq Scan") || !strings.Contains(text, "events_personal ") || !strings.Contains(text, "events_personal_of_several") {
		t.Errorf("the plan is\n%s", text)
	}
}

// Streams are found by each of the keys that their events are sealed with.
func TestStreamsOfKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	v := newVault(t, Config{DB: db})
	both := seal(t, v, place1)
	if _, err := db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		VALUES (1, 'default', 'order/ord_1', 1, gen_random_uuid(), 'order.created', 1, $1, '{}', now(), decode(repeat('00', 32), 'hex')),
			(1, 'default', 'order/ord_2', 1, gen_random_uuid(), 'order.created', 1, '{"note":"{\"$personal\":[\""}', '{}', now(), decode(repeat('00', 32), 'hex'))`,
		string(both.Data)); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, key := range both.Keys() {
		streams, err := v.StreamsTx(t.Context(), tx, []uuid.UUID{key})
		if err != nil || len(streams) != 1 || streams[0] != place1.Stream {
			t.Errorf("key %s sealed something in %v, %v", key, streams, err)
		}
	}
}
