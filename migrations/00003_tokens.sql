-- The HTTP API: who may call it, and what was answered under an idempotency key.

-- +goose Up

CREATE TABLE tokens (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order in which they were made; never shown
    id         text        NOT NULL UNIQUE,                          -- tok_…, which is a part of the token itself
    workspace  text        NOT NULL,
    name       text        NOT NULL,
    scope      text        NOT NULL CHECK (scope IN ('read', 'write')),
    hash       bytea       NOT NULL CHECK (octet_length(hash) = 32), -- SHA-256 of the token
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Pages of a workspace's list.
CREATE INDEX tokens_workspace ON tokens (workspace, number);

-- What a request under an Idempotency-Key was, and what it was answered: both sealed with the master key, because the answer to the
-- creation of a webhook has its secret in it. The row is made in the transaction that makes what was asked for; it is empty no longer than that.
CREATE TABLE request_keys (
    workspace  text        NOT NULL,
    key        text        NOT NULL,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);

-- Keys are forgotten after a while, the oldest first.
CREATE INDEX request_keys_age ON request_keys (created_at);

-- +goose Down
DROP TABLE request_keys, tokens;
