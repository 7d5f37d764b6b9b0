-- The outbox: who has read the log how far, who wants to be told, what is still to be delivered, and every attempt that was made.

-- +goose Up

-- How far a consumer of the log has come: everything up to and including this event is done.
CREATE TABLE checkpoints (
    consumer       text   PRIMARY KEY,
    transaction_id bigint NOT NULL DEFAULT 0,
    position       bigint NOT NULL DEFAULT 0
);

CREATE TABLE webhooks (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- short key for the tables below; never shown
    id         text        NOT NULL UNIQUE,                          -- wh_…
    workspace  text        NOT NULL,
    name       text        NOT NULL,
    url        text        NOT NULL,
    profile    text        NOT NULL,
    events     text[]      NOT NULL, -- as the subscriber named them; empty means all
    types      text[]      NOT NULL, -- the log's event types that these stand for; empty means all
    ordered    boolean     NOT NULL DEFAULT true,
    active     boolean     NOT NULL DEFAULT true,
    secret     bytea       NOT NULL, -- sealed with the master key; empty once the webhook is deleted
    revision   integer     NOT NULL DEFAULT 1, -- grows with every change, so that whoever delivers notices
    created_at timestamptz NOT NULL,
    -- A webhook is told of what was committed after it was made: by these transactions, which were running then, and by all from
    -- since on, which had not begun.
    since_running bigint[] NOT NULL,
    since         bigint   NOT NULL,
    -- A deleted webhook stays as a row, because its attempts are kept and name it. Its open deliveries are removed bit by bit;
    -- purged says that none is left and none can come.
    deleted_at timestamptz,
    purged     boolean     NOT NULL DEFAULT false,
    CONSTRAINT webhooks_purge_deleted CHECK (deleted_at IS NOT NULL OR NOT purged)
);

CREATE UNIQUE INDEX webhooks_name ON webhooks (workspace, name) WHERE deleted_at IS NULL;
-- Pages of a workspace's list.
CREATE INDEX webhooks_workspace ON webhooks (workspace, number) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_to_purge ON webhooks (number) WHERE deleted_at IS NOT NULL AND NOT purged;

-- Which processes deliver at all, so that each can tell what its fair share is.
CREATE TABLE relays (
    id         uuid        PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- Which process delivers for a webhook. The fence grows with every change of owner, and whoever writes on the owner's behalf
-- locks this row and names the fence: a stale owner can record nothing.
CREATE TABLE leases (
    webhook    bigint      PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE,
    owner      uuid        NOT NULL,
    fence      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What is still to be delivered: one row for an event and a webhook, from the fan-out until it was delivered or given up.
--   ready    never tried
--   retry    tried in vain, or next in a stream that was held back; to be tried at due_at
--   blocked  behind a delivery of the same stream that is to be retried
CREATE TABLE deliveries (
    webhook        bigint      NOT NULL,
    transaction_id bigint      NOT NULL,
    position       bigint      NOT NULL,
    stream         text        NOT NULL,
    state          text        NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'retry', 'blocked')),
    attempts       integer     NOT NULL DEFAULT 0,
    due_at         timestamptz CHECK ((state = 'retry') = (due_at IS NOT NULL)),
    PRIMARY KEY (webhook, transaction_id, position)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2);

-- Which retries are due, and which streams are held back and by what.
CREATE INDEX deliveries_due ON deliveries (webhook, due_at) WHERE state = 'retry';
CREATE INDEX deliveries_held ON deliveries (webhook, stream, transaction_id, position) WHERE state <> 'ready';

-- Every attempt that was made, for ever. The last one tells how a delivery ended.
CREATE TABLE attempts (
    webhook          bigint      NOT NULL,
    transaction_id   bigint      NOT NULL,
    position         bigint      NOT NULL,
    number           integer     NOT NULL CHECK (number > 0),
    started_at       timestamptz NOT NULL,
    duration_ms      integer     NOT NULL,
    outcome          text        NOT NULL CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    status_code      integer,    -- none where no response came
    error            text,       -- none where delivered
    response_excerpt text,
    PRIMARY KEY (webhook, transaction_id, position, number)
);

-- The relay's reads that walk along an index and stop after a few rows. On a table that has grown since it was last analysed the planner
-- would rather fetch and sort the whole backlog, at every read; so these functions leave it no choice.

-- A webhook's deliveries behind one place in the log, whatever their state.
-- +goose StatementBegin
CREATE FUNCTION next_deliveries(of_webhook bigint, after_transaction bigint, after_position bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, stream text, state text)
LANGUAGE sql STABLE ROWS 10 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT d.transaction_id, d.position, d.stream, d.state FROM deliveries d
    WHERE d.webhook = of_webhook AND (d.transaction_id, d.position) > (after_transaction, after_position)
    ORDER BY d.webhook, d.transaction_id, d.position LIMIT at_most
$$;
-- +goose StatementEnd

-- A webhook's retries in the order in which they are due.
-- +goose StatementBegin
CREATE FUNCTION next_retries(of_webhook bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, stream text, attempts integer, due_at timestamptz)
LANGUAGE sql STABLE ROWS 10 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT d.transaction_id, d.position, d.stream, d.attempts, d.due_at FROM deliveries d
    WHERE d.webhook = of_webhook AND d.state = 'retry'
    ORDER BY d.webhook, d.due_at LIMIT at_most
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION next_retries, next_deliveries;
DROP TABLE attempts, deliveries, leases, relays, webhooks, checkpoints;
