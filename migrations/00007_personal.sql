-- The keys under which the log keeps what is personal: to destroy a key is to erase what it sealed, and no event changes.

-- +goose Up

-- Whoever personal data is about is a subject: a customer (customer/cus_1), or else a stream that names none (order/ord_1).
CREATE TABLE personal_keys (
    id           uuid        PRIMARY KEY, -- events name it
    workspace    text        NOT NULL,
    subject      text        NOT NULL,
    key          bytea,                   -- as vault/wrap.go says; NULL once it is destroyed
    current      boolean     NOT NULL,    -- new events of the subject are sealed with it
    adopted_from text,                    -- the stream whose key it was before that turned out to be this customer's
    created_at   timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    CONSTRAINT personal_keys_destroyed CHECK ((key IS NULL) = (destroyed_at IS NOT NULL)),
    CONSTRAINT personal_keys_current_lives CHECK (key IS NOT NULL OR NOT current)
);

-- Of two that want the first key of a subject one makes it, and both use it.
CREATE UNIQUE INDEX personal_keys_current ON personal_keys (workspace, subject) WHERE current;

-- What there is of a subject.
CREATE INDEX personal_keys_subject ON personal_keys (workspace, subject, created_at);

-- +goose Down
DROP TABLE personal_keys;
