package eventstore

import (
	"testing"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

// A workspace's part of the log is complete and in order, page by page, however little of the log it is; a call that finds little ends
// nevertheless, and says where to go on.
func TestWorkspaceLog(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).DB
	// Every 40,000th event is mine, beginning with the first.
	if _, err := db.Exec(`INSERT INTO events (transaction_id, workspace, stream, version, id, type, schema_version, data, metadata, recorded_at, hash)
		SELECT era_base() | pg_current_xact_id()::text::bigint, CASE n % 40000 WHEN 1 THEN 'mine' ELSE 'theirs' END, 'order/' || n, 1,
			gen_random_uuid(), CASE WHEN n > 40001 THEN 'late' ELSE 'early' END, 1, '{}', '{}', now(), sha256('') FROM generate_series(1, 130000) n`); err != nil {
		t.Fatal(err)
	}
	s := New(db)
	eventually(t, func() bool {
		var settled bool
		err := db.QueryRow(`SELECT log_horizon() > max(transaction_id) FROM events`).Scan(&settled)
		return err == nil && settled
	})
	for _, c := range []struct {
		workspace, eventType string
		limit, events, calls int
	}{
		{"mine", "", 2, 4, 3},
		{"mine", "", 10, 4, 3},
		{"mine", "late", 10, 2, 3},
		{"nobody", "", 10, 0, 3},
	} {
		var streams []string
		var after Cursor
		calls := 0
		for more := true; more; calls++ {
			page, next, further, err := s.WorkspaceLog(t.Context(), c.workspace, c.eventType, after, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > c.limit {
				t.Errorf("%+v: a page of %d", c, len(page))
			}
			for _, r := range page {
				if r.Workspace != c.workspace {
					t.Fatalf("%+v: an event of %s", c, r.Workspace)
				}
				streams = append(streams, r.Stream.ID)
			}
			if further && next == after {
				t.Fatalf("%+v: it does not get on", c)
			}
			after, more = next, further
		}
		if len(streams) != c.events || calls != c.calls {
			t.Errorf("%+v: %v in %d calls", c, streams, calls)
		}
		for i, id := range streams[:max(0, len(streams)-1)] {
			if len(id) > len(streams[i+1]) || len(id) == len(streams[i+1]) && id > streams[i+1] {
				t.Errorf("%+v: out of order: %v", c, streams)
			}
		}
	}
}
