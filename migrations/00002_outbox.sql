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
    include    text[]      NOT NULL DEFAULT '{}', -- what the profile shall add to its bodies
    filter     text        NOT NULL DEFAULT '',   -- a CEL expression over the body; empty lets everything through
    rate_limit integer     NOT NULL DEFAULT 0 CHECK (rate_limit >= 0), -- attempts a second; 0 is no limit
    retries    bigint[],   -- the longest pause before each retry, in microseconds; NULL is the profile's schedule
    ordered    boolean     NOT NULL DEFAULT true,
    active     boolean     NOT NULL DEFAULT true, -- as its owner wants it; see circuits for what its receiver does to it
    revision   integer     NOT NULL DEFAULT 1, -- grows with every change, so that whoever delivers notices
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Sealed with the master key; empty where there is none, and once the webhook is deleted. The one before signs too, up to a time.
    secret              bytea NOT NULL,
    secret_before       bytea,
    secret_before_until timestamptz,
    -- A webhook is told of what was committed after it was made: by these transactions, which were running then, and by all from
    -- since on, which had not begun.
    since_running bigint[] NOT NULL,
    since         bigint   NOT NULL,
    -- A deleted webhook stays as a row, because its attempts are kept and name it. Its open deliveries are removed bit by bit;
    -- purged says that none is left and none can come.
    deleted_at timestamptz,
    purged     boolean     NOT NULL DEFAULT false,
    CONSTRAINT webhooks_purge_deleted CHECK (deleted_at IS NOT NULL OR NOT purged),
    CONSTRAINT webhooks_rotation CHECK ((secret_before IS NULL) = (secret_before_until IS NULL))
);

CREATE UNIQUE INDEX webhooks_name ON webhooks (workspace, name) WHERE deleted_at IS NULL;
-- Pages of a workspace's list.
CREATE INDEX webhooks_workspace ON webhooks (workspace, number) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_to_purge ON webhooks (number) WHERE deleted_at IS NOT NULL AND NOT purged;

-- How the receivers of webhooks fare: a row for each whose last attempt failed. One that succeeds removes it, and so does a reset.
--   failing   there have been so many failures in a row
--   open      there have been too many: nothing is sent until a reset, and what there is to send waits
--   disabled  the webhook is as good as inactive: its receiver is gone for good, or has failed for too long
-- Only what records attempts makes and changes rows, under the lease.
CREATE TABLE circuits (
    webhook       bigint      PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE,
    state         text        NOT NULL CHECK (state IN ('failing', 'open', 'disabled')),
    failures      integer     NOT NULL CHECK (failures > 0), -- in a row, as long as it was failing
    failing_since timestamptz NOT NULL,
    stopped_at    timestamptz CHECK ((state <> 'failing') = (stopped_at IS NOT NULL)),
    reason        text        NOT NULL DEFAULT '' -- for people, where it was disabled
);

-- What the owners of webhooks are still to be told. A notice is written together with what it is about, and moved into the log as an
-- event of the webhook's own stream: both in one transaction.
CREATE TABLE notices (
    number        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook       bigint      NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    kind          text        NOT NULL CHECK (kind IN ('failing', 'recovered', 'circuit_opened', 'disabled', 'reset')),
    failures      integer     NOT NULL,
    failing_since timestamptz,
    reason        text        NOT NULL,
    at            timestamptz NOT NULL
);

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
-- What is sent again, after it had ended, is resent: it keeps an order of its own, and holds nothing else up.
CREATE TABLE deliveries (
    webhook        bigint      NOT NULL,
    transaction_id bigint      NOT NULL,
    position       bigint      NOT NULL,
    stream         text        NOT NULL,
    state          text        NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'retry', 'blocked')),
    resent         boolean     NOT NULL DEFAULT false CHECK (NOT resent OR state <> 'ready'),
    attempts       integer     NOT NULL DEFAULT 0,
    earlier        integer     NOT NULL DEFAULT 0, -- of these, before it was sent again: the schedule begins anew
    due_at         timestamptz CHECK ((state = 'retry') = (due_at IS NOT NULL)),
    PRIMARY KEY (webhook, transaction_id, position)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2);

-- Which retries are due, and which streams are held back and by what.
CREATE INDEX deliveries_due ON deliveries (webhook, due_at) WHERE state = 'retry';
CREATE INDEX deliveries_held ON deliveries (webhook, stream, transaction_id, position) WHERE state <> 'ready';

-- Every attempt that was made, for ever. The last one tells how a delivery ended. A test has no delivery and no event in the log: it takes
-- a place of its own there, with the transaction that recorded it, and a position below zero.
CREATE TABLE attempts (
    webhook          bigint      NOT NULL,
    transaction_id   bigint      NOT NULL,
    position         bigint      NOT NULL,
    number           integer     NOT NULL CHECK (number > 0),
    started_at       timestamptz NOT NULL,
    duration_ms      integer     NOT NULL,
    outcome          text        NOT NULL CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    status_code      integer,    -- none where no response came
    error_class      text,       -- one word, none where delivered
    error            text,       -- likewise
    response_headers json,
    response_excerpt text,
    test_id          uuid,       -- the id that the message had
    test_event       text        CHECK ((test_id IS NULL) = (test_event IS NULL) AND (test_id IS NULL) = (position > 0)),
    PRIMARY KEY (webhook, transaction_id, position, number)
);

-- What can be sent again because it failed, and tests by their id.
CREATE INDEX attempts_given_up ON attempts (webhook, transaction_id, position, number) WHERE outcome = 'given_up';
CREATE UNIQUE INDEX attempts_test ON attempts (webhook, test_id) WHERE test_id IS NOT NULL;
CREATE SEQUENCE tests;

-- Ranges of the log that are to be sent to a webhook again. The relay goes through them bit by bit; a row tells how far it has come.
CREATE TABLE replays (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook     bigint      NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    types       text[]      NOT NULL, -- the log's event types; empty means all
    failed_only boolean     NOT NULL, -- only what was given up
    -- Behind this event, up to and including that one.
    after_transaction bigint NOT NULL,
    after_position    bigint NOT NULL,
    upto_transaction  bigint NOT NULL,
    upto_position     bigint NOT NULL,
    found       integer     NOT NULL,           -- when it was asked for
    sent        integer     NOT NULL DEFAULT 0, -- laid out for delivery so far
    asked_at    timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE INDEX replays_unfinished ON replays (number) WHERE finished_at IS NULL;
CREATE INDEX replays_webhook ON replays (webhook, number);

-- The place in the log before which no event was recorded at a time or later, as far as clocks and long transactions can be trusted: an
-- event can lie before the place of its time if the transaction that appended it had begun earlier. So callers ask for some time before.
-- +goose StatementBegin
CREATE FUNCTION log_place(at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low  bigint := 0; -- every event with this transaction or a lower one was recorded before
    high bigint;      -- not so from here on
    mid  bigint;
    probe record;
BEGIN
    SELECT e.transaction_id + 1 INTO high FROM events e ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1;
    WHILE low + 1 < high LOOP
        mid := low + (high - low) / 2;
        SELECT e.transaction_id, e.recorded_at INTO probe FROM events e
        WHERE (e.transaction_id, e.position) > (mid - 1, 9223372036854775807) ORDER BY e.transaction_id, e.position LIMIT 1;
        IF NOT FOUND OR probe.recorded_at >= at THEN
            high := mid;
        ELSE
            low := probe.transaction_id;
        END IF;
    END LOOP;
    RETURN low;
END $$;
-- +goose StatementEnd

-- The relay's reads that walk along an index and stop after a few rows. On a table that has grown since it was last analysed the planner
-- would rather fetch and sort the whole backlog, at every read; so these functions leave it no choice.

-- A webhook's deliveries behind one place in the log, whatever their state.
-- +goose StatementBegin
CREATE FUNCTION next_deliveries(of_webhook bigint, after_transaction bigint, after_position bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, stream text, state text, resent boolean)
LANGUAGE plpgsql STABLE ROWS 10 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT d.transaction_id, d.position, d.stream, d.state, d.resent FROM deliveries d
    WHERE d.webhook = of_webhook AND (d.transaction_id, d.position) > (after_transaction, after_position)
    ORDER BY d.webhook, d.transaction_id, d.position LIMIT at_most;
END $$;
-- +goose StatementEnd

-- Deletes deliveries, each found by its key. The table is nearly empty wherever deliveries go well, and the planner, which may have seen it
-- just then, would rather go through all of its index, with what is dead in it, than look for each row: a thousand times as slow.
-- +goose StatementBegin
CREATE FUNCTION end_deliveries(webhooks bigint[], transaction_ids bigint[], positions bigint[]) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    ended bigint;
BEGIN
    DELETE FROM deliveries WHERE ctid = ANY (ARRAY(
        SELECT found.ctid FROM unnest(webhooks, transaction_ids, positions) AS e (webhook, transaction_id, position) CROSS JOIN LATERAL (
            SELECT d.ctid FROM deliveries d
            WHERE d.webhook = e.webhook AND d.transaction_id = e.transaction_id AND d.position = e.position LIMIT 1) found));
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END $$;
-- +goose StatementEnd

-- A webhook's retries in the order in which they are due.
-- +goose StatementBegin
CREATE FUNCTION next_retries(of_webhook bigint, at_most integer)
RETURNS TABLE (transaction_id bigint, "position" bigint, stream text, resent boolean, attempts integer, earlier integer, due_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 10 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT d.transaction_id, d.position, d.stream, d.resent, d.attempts, d.earlier, d.due_at FROM deliveries d
    WHERE d.webhook = of_webhook AND d.state = 'retry'
    ORDER BY d.webhook, d.due_at LIMIT at_most;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION next_retries, end_deliveries, next_deliveries, log_place;
DROP SEQUENCE tests;
DROP TABLE replays, attempts, deliveries, leases, relays, notices, circuits, webhooks, checkpoints;
