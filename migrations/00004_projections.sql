-- Projections: views of the log. The rows of a view follow from the events of one stream each, and are there in generations: one is live,
-- and read; another may be built beside it, and takes its place; the one before is kept, in case it has to come back.

-- +goose Up

CREATE TABLE projection_generations (
    projection     text        NOT NULL,
    generation     integer     NOT NULL CHECK (generation > 0),
    state          text        NOT NULL CHECK (state IN ('building', 'live', 'kept', 'discarded')),
    -- The checkpoint: everything up to and including the event at this place is in the rows.
    transaction_id bigint      NOT NULL,
    position       bigint      NOT NULL,
    events         bigint      NOT NULL DEFAULT 0, -- in the log when it was begun, of the streams that it is about
    began_at       timestamptz NOT NULL DEFAULT now(),
    swapped_at     timestamptz, -- when it became live last
    PRIMARY KEY (projection, generation)
);

CREATE UNIQUE INDEX projection_generations_state ON projection_generations (projection, state) WHERE state <> 'discarded';

-- The generation that is read; NULL where the view was never built.
-- +goose StatementBegin
CREATE FUNCTION live_generation(of_projection text) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT g.generation FROM projection_generations g WHERE g.projection = of_projection AND g.state = 'live'
$$;
-- +goose StatementEnd

-- The parts of a generation that is being built: ranges of streams, each worked through in the order of (workspace, stream). What was done
-- of a range, and the rows that came of it, are committed together; so whoever is killed goes on from there.
CREATE TABLE projection_shards (
    projection      text    NOT NULL,
    generation      integer NOT NULL,
    shard           integer NOT NULL,
    after_workspace text    NOT NULL, -- everything up to and including this stream is done
    after_stream    text    NOT NULL,
    upto_workspace  text,             -- the last stream of the range; NULL for that at the end
    upto_stream     text,
    events          bigint  NOT NULL DEFAULT 0, -- that were folded
    streams         bigint  NOT NULL DEFAULT 0,
    done            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (projection, generation, shard),
    FOREIGN KEY (projection, generation) REFERENCES projection_generations ON DELETE CASCADE
);

-- Streams whose rows could not be brought up to date: because of an event that cannot be read, or rows that the table refuses. They stay as
-- they were until somebody retries; all others go on.
CREATE TABLE projection_parked (
    projection text        NOT NULL,
    generation integer     NOT NULL,
    workspace  text        NOT NULL,
    id         text        NOT NULL, -- of the stream's aggregate
    version    integer     NOT NULL, -- of the event that is the matter, or the last one that the rows were to show
    error      text        NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, generation, workspace, id),
    FOREIGN KEY (projection, generation) REFERENCES projection_generations ON DELETE CASCADE
);

-- The views. Each begins with generation, workspace and the id of the stream's aggregate, which the runner fills in; the rest are the
-- fields of its package's row. Autovacuum does not wait for a fifth of a table, because a rebuild adds and removes as many rows as there are.
--
-- Lists have indexes in which workspace and id are in the order of "C". Who looks a row up by its key cannot be led into these, as happens on
-- tables that were never analysed, where the planner takes every index with the columns in it for as good as the key.

CREATE TABLE view_orders (
    generation         integer     NOT NULL,
    workspace          text        NOT NULL,
    id                 text        NOT NULL,
    version            integer     NOT NULL,
    number             text        NOT NULL,
    status             text        NOT NULL,
    payment_status     text        NOT NULL,
    fulfillment_status text        NOT NULL,
    customer_id        text        NOT NULL,
    email              text        NOT NULL,
    currency           text        NOT NULL,
    item_count         bigint      NOT NULL,
    total              bigint      NOT NULL,
    captured           bigint      NOT NULL,
    refunded           bigint      NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    placed_at          timestamptz,
    cancelled_at       timestamptz,
    PRIMARY KEY (generation, workspace, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- One index for each way into the list, each in the order of the list.
CREATE INDEX view_orders_created ON view_orders (generation, workspace COLLATE "C", created_at, id COLLATE "C");
CREATE INDEX view_orders_number ON view_orders (generation, workspace COLLATE "C", number, created_at, id COLLATE "C");
CREATE INDEX view_orders_email ON view_orders (generation, workspace COLLATE "C", lower(email), created_at, id COLLATE "C");
CREATE INDEX view_orders_customer ON view_orders (generation, workspace COLLATE "C", customer_id, created_at, id COLLATE "C");
CREATE INDEX view_orders_status ON view_orders (generation, workspace COLLATE "C", status, created_at, id COLLATE "C");
CREATE INDEX view_orders_payment ON view_orders (generation, workspace COLLATE "C", payment_status, created_at, id COLLATE "C");
CREATE INDEX view_orders_fulfillment ON view_orders (generation, workspace COLLATE "C", fulfillment_status, created_at, id COLLATE "C");

CREATE TABLE view_shipments (
    generation       integer     NOT NULL,
    workspace        text        NOT NULL,
    id               text        NOT NULL, -- of the order
    shipment         text        NOT NULL,
    number           text        NOT NULL,
    order_number     text        NOT NULL,
    status           text        NOT NULL,
    delivery_status  text        NOT NULL,
    carrier          text        NOT NULL, -- of its first parcel that has one
    tracking_numbers text[]      NOT NULL, -- of all its parcels
    parcels          integer     NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    shipped_at       timestamptz,
    delivered_at     timestamptz,
    PRIMARY KEY (generation, workspace, id, shipment)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX view_shipments_created ON view_shipments (generation, workspace COLLATE "C", created_at, id COLLATE "C", shipment COLLATE "C");
CREATE INDEX view_shipments_status ON view_shipments (generation, workspace COLLATE "C", status, created_at, id COLLATE "C", shipment COLLATE "C");
CREATE INDEX view_shipments_carrier ON view_shipments (generation, workspace COLLATE "C", carrier, created_at, id COLLATE "C", shipment COLLATE "C");
CREATE INDEX view_shipments_tracking ON view_shipments USING gin (tracking_numbers);

-- What an order adds to a day: one row for each kind of fact and day. Sums are made when they are asked for, along the index.
CREATE TABLE view_daily (
    generation integer NOT NULL,
    workspace  text    NOT NULL,
    id         text    NOT NULL,
    day        date    NOT NULL, -- UTC
    kind       text    NOT NULL CHECK (kind IN ('placed', 'paid', 'refunded', 'shipped', 'delivered')),
    currency   text    NOT NULL,
    count      bigint  NOT NULL,
    amount     bigint  NOT NULL, -- minor units
    PRIMARY KEY (generation, workspace, id, day, kind)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX view_daily_day ON view_daily (generation, workspace COLLATE "C", day, currency, kind) INCLUDE (count, amount);

-- How long an order that was placed took to get further.
CREATE TABLE view_lifecycle (
    generation integer NOT NULL,
    workspace  text    NOT NULL,
    id         text    NOT NULL,
    day        date    NOT NULL, -- on which it was placed, UTC
    approved   bigint,           -- milliseconds from placed; NULL where that has not happened
    paid       bigint,
    shipped    bigint,
    delivered  bigint,
    PRIMARY KEY (generation, workspace, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX view_lifecycle_day ON view_lifecycle (generation, workspace COLLATE "C", day) INCLUDE (approved, paid, shipped, delivered);

-- +goose Down
DROP TABLE view_lifecycle, view_daily, view_shipments, view_orders, projection_parked, projection_shards;
DROP FUNCTION live_generation;
DROP TABLE projection_generations;
