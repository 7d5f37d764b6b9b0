-- Seals: signed statements of what the log was, range by range, so that it shows where streams were removed, cut off or made anew as a
-- whole, which their own hash chains cannot show.

-- +goose Up

-- A seal covers every event behind the place where the seal before it ends, up to and including its own last place. Everything but the
-- signature is signed; package eventstore/audit says how.
CREATE TABLE seals (
    number               bigint      PRIMARY KEY CHECK (number > 0),
    first_transaction_id bigint      NOT NULL,
    first_position       bigint      NOT NULL,
    last_transaction_id  bigint      NOT NULL,
    last_position        bigint      NOT NULL,
    events               integer     NOT NULL CHECK (events BETWEEN 1 AND 65536),
    recorded_from        timestamptz NOT NULL, -- the earliest and the latest recorded_at of its events
    recorded_to          timestamptz NOT NULL,
    root                 bytea       NOT NULL CHECK (octet_length(root) = 32),           -- of the Merkle tree over its events
    marks                bytea       NOT NULL CHECK (octet_length(marks) = 4 * events),  -- the first bytes of each leaf, to name what was altered
    previous             bytea       NOT NULL CHECK (octet_length(previous) = 32),       -- hash of the seal before it; zeros for the first
    public_key           bytea       NOT NULL CHECK (octet_length(public_key) = 32),
    signature            bytea       NOT NULL CHECK (octet_length(signature) = 64),
    sealed_at            timestamptz NOT NULL
);

-- Hashes are random bytes, so compressing them is wasted time.
ALTER TABLE seals ALTER COLUMN marks SET STORAGE EXTERNAL;

CREATE TRIGGER seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The walks of an audit follow an index and stop after a page. As with next_events, the planner is left no other choice.

-- What the leaves of a seal are made of, in the order of the log.
-- +goose StatementBegin
CREATE FUNCTION next_leaves(after_transaction bigint, after_position bigint, upto_transaction bigint, upto_position bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, recorded_at timestamptz, hash bytea)
LANGUAGE sql STABLE ROWS 1000 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT e.transaction_id, e.position, e.recorded_at, e.hash FROM events e
    WHERE (e.transaction_id, e.position) > (after_transaction, after_position)
        AND (e.transaction_id, e.position) <= (upto_transaction, upto_position)
    ORDER BY e.transaction_id, e.position LIMIT at_most
$$;
-- +goose StatementEnd

-- The events of the streams behind one place in their order, up to and including the stream named last.
-- +goose StatementBegin
CREATE FUNCTION next_of_streams(
    after_workspace text, after_stream text, after_version integer, upto_workspace text, upto_stream text, at_most integer
) RETURNS SETOF events
LANGUAGE sql STABLE ROWS 1000 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT e.* FROM events e
    WHERE (e.workspace, e.stream, e.version) > (after_workspace, after_stream, after_version)
        AND (e.workspace, e.stream) <= (upto_workspace, upto_stream)
    ORDER BY e.workspace, e.stream, e.version LIMIT at_most
$$;
-- +goose StatementEnd

-- The stream so many events behind another one, which divides the streams among those who read them side by side. Nothing where fewer
-- are left.
-- +goose StatementBegin
CREATE FUNCTION stream_ahead(after_workspace text, after_stream text, upto_workspace text, upto_stream text, events_ahead integer)
RETURNS TABLE (workspace text, stream text)
LANGUAGE sql STABLE ROWS 1 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT e.workspace, e.stream FROM events e
    WHERE (e.workspace, e.stream) > (after_workspace, after_stream) AND (e.workspace, e.stream) <= (upto_workspace, upto_stream)
    ORDER BY e.workspace, e.stream, e.version OFFSET events_ahead - 1 LIMIT 1
$$;
-- +goose StatementEnd

-- The last stream of a workspace, or of the whole log where none is named.
-- +goose StatementBegin
CREATE FUNCTION last_stream(of_workspace text) RETURNS TABLE (workspace text, stream text)
LANGUAGE sql STABLE ROWS 1 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    (SELECT e.workspace, e.stream FROM events e WHERE of_workspace <> '' AND e.workspace = of_workspace
     ORDER BY e.workspace DESC, e.stream DESC, e.version DESC LIMIT 1)
    UNION ALL
    (SELECT e.workspace, e.stream FROM events e WHERE of_workspace = ''
     ORDER BY e.workspace DESC, e.stream DESC, e.version DESC LIMIT 1)
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION last_stream, stream_ahead, next_of_streams, next_leaves;
DROP TABLE seals;
