package vault

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/migrations"
)

// statement prepares a query once for all. Should two goroutines come first together, one's is dropped unused. Within tx nothing new is
// prepared, because a second connection might not be had: then there is none.
func (v *Vault) statement(ctx context.Context, tx *sql.Tx, slot *atomic.Pointer[sql.Stmt], query string) (*sql.Stmt, error) {
	prepared := slot.Load()
	if prepared == nil {
		if tx != nil {
			return nil, nil
		}
		var err error
		if prepared, err = v.config.DB.PrepareContext(ctx, query); err != nil {
			if pq.As(err, pqerror.UndefinedTable) != nil { // this may be the first that anybody does with the database
				if err := migrations.Check(ctx, v.config.DB); err != nil {
					return nil, err
				}
			}
			return nil, pgerr.Wrap("prepare a statement", err)
		}
		if !slot.CompareAndSwap(nil, prepared) {
			prepared.Close()
			prepared = slot.Load()
		}
	}
	if tx != nil {
		return tx.StmtContext(ctx, prepared), nil
	}
	return prepared, nil
}

const keysByID = `SELECT id, workspace, key FROM personal_keys WHERE id = ANY ($1::uuid[])`

// byID returns keys by their ids; those that are not there any more have no AEAD. Without tx, those read no longer than age ago are taken
// from memory. With hold nobody destroys them before tx ends.
func (v *Vault) byID(ctx context.Context, tx *sql.Tx, ids []uuid.UUID, age time.Duration, hold bool) (map[uuid.UUID]*key, error) {
	if tx != nil {
		age = 0
	}
	keys, missing := v.memory.known(ids, age)
	if len(missing) == 0 {
		return keys, nil
	}
	slot, query := &v.byIDStmt, keysByID
	if hold {
		slot, query = &v.holdStmt, keysByID+` ORDER BY id FOR SHARE`
	}
	names := make(pq.StringArray, len(missing))
	for i, id := range missing {
		names[i] = id.String()
		keys[id] = &key{id: id} // destroyed, unless it is found
	}
	found := make([]uuid.UUID, 0, len(missing))
	read := v.config.Watch()
	var rows *sql.Rows
	var err error
	if statement, failure := v.statement(ctx, tx, slot, query); failure != nil {
		return nil, failure
	} else if statement != nil {
		rows, err = statement.QueryContext(ctx, names)
	} else {
		rows, err = tx.QueryContext(ctx, query, names)
	}
	if err != nil {
		return nil, pgerr.Wrap("read personal keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var workspace string
		var stored []byte
		if err := rows.Scan(&id, &workspace, &stored); err != nil {
			return nil, pgerr.Wrap("read personal keys", err)
		}
		keys[id] = v.keyOf(workspace, id, stored, read)
		found = append(found, id)
	}
	if err := rows.Err(); err != nil {
		return nil, pgerr.Wrap("read personal keys", err)
	}
	if tx == nil {
		for _, id := range found {
			keys[id] = v.memory.keep(keys[id])
		}
	}
	return keys, nil
}

// keyOf is the key that was stored so, or not any more.
func (v *Vault) keyOf(workspace string, id uuid.UUID, stored []byte, read time.Time) *key {
	k := &key{id: id, fetched: read}
	if stored != nil {
		var plain []byte
		if plain, k.err = v.wrapper.unwrap(workspace, id, stored); k.err == nil {
			k.aead = newAEAD(plain)
		}
	}
	return k
}

// current returns the keys with which new events of some subjects are sealed, and makes those that are missing.
func (v *Vault) current(ctx context.Context, tx *sql.Tx, workspace string, subjects []Subject) ([]*key, error) {
	keys := make([]*key, len(subjects))
	for i, s := range subjects {
		o := owner{workspace, s}
		var err error
		if tx != nil {
			keys[i], err = v.currentTx(ctx, tx, o)
		} else if keys[i] = v.memory.currentOf(o); keys[i] == nil {
			keys[i], err = v.makers.get(ctx, o)
		}
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// currentTx finds or makes a key within tx. It does not become the subject's current one, for which it would have to wait for others who are
// making that; and it is not kept in memory, because tx may never be committed.
func (v *Vault) currentTx(ctx context.Context, tx *sql.Tx, o owner) (*key, error) {
	var id uuid.UUID
	var stored []byte
	err := tx.QueryRowContext(ctx, `SELECT id, key FROM personal_keys
		WHERE workspace = $1 AND subject = $2 AND destroyed_at IS NULL AND adopted_from IS NULL ORDER BY current DESC, created_at, id LIMIT 1`,
		o.workspace, string(o.subject)).Scan(&id, &stored)
	if err == nil {
		return v.keyOf(o.workspace, id, stored, v.config.Watch()), nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, pgerr.Wrap("read personal keys", err)
	}
	id, plain := uuid.New(), newKey()
	_, err = tx.ExecContext(ctx, `INSERT INTO personal_keys (id, workspace, subject, key, current) VALUES ($1, $2, $3, $4, false)`,
		id.String(), o.workspace, string(o.subject), v.wrapper.wrap(o.workspace, id, plain))
	if err != nil {
		return nil, pgerr.Wrap("make a personal key", err)
	}
	return &key{id: id, aead: newAEAD(plain)}, nil
}

// currentKeys makes keys for subjects that have none, and returns those of all. A subject for which somebody else makes one at the same
// moment may be missing: then it is there the next time. Keys are claimed in order, so that two such statements do not wait in a circle. The
// LIMIT makes the planner look each subject up, whatever it believes of a table that has just grown.
const currentKeys = `
WITH wanted AS (
	SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS w (id, workspace, subject, key)
), made AS (
	INSERT INTO personal_keys (id, workspace, subject, key, current)
	SELECT w.id, w.workspace, w.subject, w.key, true FROM wanted w
	ORDER BY w.workspace, w.subject
	ON CONFLICT (workspace, subject) WHERE current DO NOTHING
	RETURNING id, workspace, subject, key
)
SELECT id, workspace, subject, key FROM made
UNION ALL
SELECT k.id, w.workspace, w.subject, k.key FROM wanted w CROSS JOIN LATERAL (
	SELECT k.id, k.key FROM personal_keys k WHERE k.workspace = w.workspace AND k.subject = w.subject AND k.current LIMIT 1) k`

// makeKeys returns the current keys of all owners, of which no two are the same.
func (v *Vault) makeKeys(ctx context.Context, owners []owner) (map[owner]*key, error) {
	keys := make(map[owner]*key, len(owners))
	for len(keys) < len(owners) {
		read := v.config.Watch()
		var ids, workspaces, subjects pq.StringArray
		var stored pq.ByteaArray
		for _, o := range owners {
			if keys[o] == nil {
				id := uuid.New()
				ids, workspaces, subjects = append(ids, id.String()), append(workspaces, o.workspace), append(subjects, string(o.subject))
				stored = append(stored, v.wrapper.wrap(o.workspace, id, newKey()))
			}
		}
		statement, err := v.statement(ctx, nil, &v.currentStmt, currentKeys)
		if err != nil {
			return nil, err
		}
		rows, err := statement.QueryContext(ctx, ids, workspaces, subjects, stored)
		if err != nil {
			return nil, pgerr.Wrap("make personal keys", err)
		}
		for rows.Next() {
			var o owner
			var id uuid.UUID
			var stored []byte
			if err := rows.Scan(&id, &o.workspace, &o.subject, &stored); err != nil {
				return nil, errors.Join(pgerr.Wrap("make personal keys", err), rows.Close())
			}
			k := v.memory.keep(v.keyOf(o.workspace, id, stored, read))
			if k.aead != nil {
				v.memory.keepCurrent(o, k)
			}
			if k.aead != nil || k.err != nil {
				keys[o] = k // else it was destroyed in this very moment, and the next look finds another
			}
		}
		if err := rows.Err(); err != nil {
			return nil, pgerr.Wrap("make personal keys", err)
		}
	}
	return keys, nil
}
