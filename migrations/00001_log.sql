-- The log: every event of every aggregate, and the idempotency keys of the commands that wrote them.

-- +goose Up

-- The clusters that the log has lived in. Transaction ids mean something in one cluster only: after a dump is restored into another, they
-- begin anew. So the log counts eras, and what it calls the id of a transaction has the era's number above its 44 lower bits.
CREATE TABLE eras (
    number            integer     PRIMARY KEY CHECK (number BETWEEN 1 AND 500000),
    system_identifier bigint      NOT NULL, -- of the cluster
    began_at          timestamptz NOT NULL DEFAULT now()
);

INSERT INTO eras (number, system_identifier) SELECT 1, system_identifier FROM pg_control_system();

CREATE TABLE events (
    position       bigint      GENERATED ALWAYS AS IDENTITY,
    transaction_id bigint      NOT NULL, -- era << 44 | pg_current_xact_id()
    workspace      text COLLATE "C" NOT NULL, -- names are bytes: no index depends on the rules of a language, or on their version
    stream         text COLLATE "C" NOT NULL, -- aggregate/id, such as order/ord_1
    version        integer     NOT NULL CHECK (version > 0),
    id             uuid        NOT NULL,
    type           text        NOT NULL,
    schema_version smallint    NOT NULL CHECK (schema_version > 0),
    data           json        NOT NULL, -- json and not jsonb: the hash covers the very bytes
    metadata       json        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    hash           bytea       NOT NULL CHECK (octet_length(hash) = 32),

    -- The optimistic lock, and the order in which a stream is read.
    CONSTRAINT events_stream PRIMARY KEY (workspace, stream, version)
);

-- The order in which consumers read the whole log. Positions are handed out before commit, so position alone would let a late
-- commit slip in behind a reader; below the oldest running transaction this pair cannot change any more.
CREATE UNIQUE INDEX events_log ON events (transaction_id, position);

-- From the id that a subscriber has in hand to the event.
CREATE UNIQUE INDEX events_id ON events (id);

-- History is append-only for everybody, the owner of the table included.
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- +goose StatementEnd

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The id, in the log, of transaction 0 of this cluster: the era in the upper bits. In a cluster that the log has just been restored into,
-- it is that of the era to come, although nobody has begun it yet.
-- +goose StatementBegin
CREATE FUNCTION era_base() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (e.number + (e.system_identifier <> c.system_identifier)::integer)::bigint << 44
    FROM eras e CROSS JOIN pg_control_system() c ORDER BY e.number DESC LIMIT 1
$$;
-- +goose StatementEnd

-- The horizon: every event with a lower transaction_id that will ever be there is there now. Positions are handed out before commit, so
-- only what is older than every running transaction is settled.
-- +goose StatementBegin
CREATE FUNCTION log_horizon() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT era_base() | pg_snapshot_xmin(pg_current_snapshot())::text::bigint
$$;
-- +goose StatementEnd

-- Whoever appends asks for the era first, and so begins a new one where the log has come into another cluster. It may also have come
-- into an earlier self of the same cluster, brought back from a file system's backup; then it has events of transactions yet to come.
-- +goose StatementBegin
CREATE FUNCTION begin_era() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    base bigint := era_base();
    mine CONSTANT bigint := base | coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0);
BEGIN
    -- One statement, and so one snapshot: whatever it sees was appended by transactions before the end of that very snapshot.
    -- (The newest event, not whether there is any: for that, a table that was never analysed may be read whole.)
    IF coalesce((SELECT e.transaction_id FROM events e WHERE e.transaction_id > mine ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1),
                (SELECT e.transaction_id FROM events e WHERE e.transaction_id < mine ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1))
            >= (base | pg_snapshot_xmax(pg_current_snapshot())::text::bigint) THEN
        base := base + (1::bigint << 44);
    END IF;
    IF NOT EXISTS (SELECT FROM eras e WHERE e.number = base >> 44) THEN
        INSERT INTO eras (number, system_identifier) SELECT base >> 44, system_identifier FROM pg_control_system()
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN base;
END $$;
-- +goose StatementEnd

-- The events of the log behind one place, up to and including another. On a table that has grown since it was last analysed the planner
-- would rather fetch and sort the whole backlog, at every read; so this function leaves it no choice but to walk along the index.
-- (It is written in plpgsql, which keeps its plan for the session; a function in sql that cannot be inlined is parsed and planned at each call.)
-- +goose StatementBegin
CREATE FUNCTION next_events(after_transaction bigint, after_position bigint, upto_transaction bigint, upto_position bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, workspace text, stream text, type text)
LANGUAGE plpgsql STABLE ROWS 100 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.transaction_id, e.position, e.workspace, e.stream, e.type FROM events e
    WHERE (e.transaction_id, e.position) > (after_transaction, after_position)
        AND (e.transaction_id, e.position) <= (upto_transaction, upto_position)
    ORDER BY e.transaction_id, e.position LIMIT at_most;
END $$;
-- +goose StatementEnd

-- One row for each command that was issued under a key and had an outcome: the versions that it appended to its stream, or none
-- (last_version = first_version - 1) where it changed nothing.
CREATE TABLE idempotency_keys (
    workspace     text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    command_id    uuid        NOT NULL,
    fingerprint   bytea       NOT NULL, -- SHA-256 of the command: the same key with another command is a mistake
    stream        text        NOT NULL,
    first_version integer     NOT NULL,
    last_version  integer     NOT NULL CHECK (last_version >= first_version - 1),
    recorded_at   timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);

-- append_events appends the events of one or many commands in one statement. Every command is appended whole or not at all, and
-- the verdict on one does not touch the others: nothing here raises an error for a lost race, so a caller's transaction lives on.
--
-- The e_… arrays have one element for each event, in the order of the log; the k_… arrays one for each command with a key.
-- e_head is the id of the first event of the same command. e_previous, read at heads only, is the hash of the event that it was decided
-- upon, which has to be there: it may be lost where a backup was brought back, or a standby was promoted that had not got it yet. Nor may
-- that have been appended by a younger transaction, because the log is ordered by transaction and the stream's order would be broken.
--
-- base, server and log name the era that the caller knows of, and the server and table that it knows it from: elsewhere nothing happens.
--
-- It returns a row for each event appended (id, position), and a row for each key that was already taken (id of the command, NULL).
-- Keys are claimed first and in order, then heads in order: two groups that want the same rows wait for each other, but never in a
-- circle.
-- +goose StatementBegin
CREATE FUNCTION append_events(
    base bigint, server timestamptz, log oid,
    e_head uuid[], e_id uuid[], e_previous bytea[], e_workspace text[], e_stream text[], e_version integer[], e_type text[],
    e_schema_version smallint[], e_data json[], e_metadata json[], e_recorded_at timestamptz[], e_hash bytea[],
    k_command uuid[], k_workspace text[], k_key text[], k_fingerprint bytea[], k_stream text[], k_first integer[], k_last integer[],
    k_recorded_at timestamptz[]
) RETURNS TABLE (id uuid, "position" bigint, transaction_id bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    me       CONSTANT bigint := base | pg_current_xact_id()::text::bigint;
    taken    uuid[] := '{}'; -- commands whose key belongs to another command
    heads    uuid[] := '{}';
    head_at  bigint[] := '{}';
    rest     uuid[] := '{}';
    rest_at  bigint[] := '{}';
BEGIN
    IF pg_postmaster_start_time() <> server OR 'events'::regclass::oid <> log THEN
        RETURN;
    END IF;
    IF cardinality(k_command) > 0 THEN
        WITH claimed AS (
            INSERT INTO idempotency_keys (command_id, workspace, key, fingerprint, stream, first_version, last_version, recorded_at)
            SELECT * FROM unnest(k_command, k_workspace, k_key, k_fingerprint, k_stream, k_first, k_last, k_recorded_at)
                     AS k (command_id, workspace, key, fingerprint, stream, first_version, last_version, recorded_at)
            ORDER BY k.workspace COLLATE "C", k.key COLLATE "C"
            ON CONFLICT DO NOTHING
            RETURNING command_id
        )
        SELECT coalesce(array_agg(k), '{}') INTO taken FROM unnest(k_command) k WHERE k NOT IN (SELECT command_id FROM claimed);
    END IF;

    WITH appended AS (
        INSERT INTO events (transaction_id, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
        SELECT me, e.id, e.workspace, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata, e.recorded_at, e.hash
        FROM unnest(e_head, e_id, e_previous, e_workspace, e_stream, e_version, e_type, e_schema_version, e_data, e_metadata, e_recorded_at, e_hash)
          AS e (head, id, previous, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
        WHERE e.id = e.head AND e.head <> ALL (taken) AND (e.version = 1 OR (
            SELECT p.hash FROM events p
            WHERE p.workspace = e.workspace AND p.stream = e.stream AND p.version = e.version - 1 AND p.transaction_id <= me) = e.previous)
        ORDER BY e.workspace COLLATE "C", e.stream COLLATE "C" -- as callers sort the streams of plain statements
        ON CONFLICT ON CONSTRAINT events_stream DO NOTHING
        RETURNING id, position
    )
    SELECT coalesce(array_agg(a.id), '{}'), coalesce(array_agg(a.position), '{}') INTO heads, head_at FROM appended a;

    -- Whoever has the head of a command has the whole of it: nobody else can hold a version behind one that was free.
    IF cardinality(e_id) > cardinality(heads) THEN
        WITH appended AS (
            INSERT INTO events (transaction_id, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
            SELECT me, e.id, e.workspace, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata, e.recorded_at, e.hash
            FROM unnest(e_head, e_id, e_workspace, e_stream, e_version, e_type, e_schema_version, e_data, e_metadata, e_recorded_at, e_hash)
              AS e (head, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
            WHERE e.id <> e.head AND e.head = ANY (heads)
            ORDER BY e.workspace COLLATE "C", e.stream COLLATE "C", e.version
            RETURNING id, position
        )
        SELECT coalesce(array_agg(a.id), '{}'), coalesce(array_agg(a.position), '{}') INTO rest, rest_at FROM appended a;
    END IF;

    -- A key stands for an outcome: one that was claimed just now goes again where the command had none. (A key that is taken may be
    -- this command's own, from a call whose answer was lost; it stays.)
    IF cardinality(k_command) > 0 THEN
        DELETE FROM idempotency_keys k
        USING unnest(k_command, k_workspace, k_key) AS c (command_id, workspace, key)
        WHERE k.workspace = c.workspace AND k.key = c.key AND k.last_version >= k.first_version
          AND c.command_id <> ALL (heads) AND c.command_id <> ALL (taken);
    END IF;

    RETURN QUERY SELECT r.id, r.position, me FROM unnest(heads || rest, head_at || rest_at) AS r (id, position)
       UNION ALL SELECT t, NULL, me FROM unnest(taken) t;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION append_events, next_events, begin_era, log_horizon, era_base;
DROP TABLE idempotency_keys, events, eras;
DROP FUNCTION refuse_change;
