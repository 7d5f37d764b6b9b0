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

-- From keys to the streams with something that they sealed; domain.Sealed says what it looks like. Events without anything personal are in
-- none of these indexes, and those that are about several people, which are few, in the second one only: it costs more.
CREATE INDEX events_personal ON events (substr(data::text, 16, 36))
    WHERE starts_with(data::text, '{"$personal":["') AND split_part(data::text, ']', 1) NOT LIKE '%","%';

-- +goose StatementBegin
CREATE FUNCTION personal_keys_of(data json) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT array_agg(split_part(part, '.', 1)) FROM json_array_elements_text(data -> '$personal') part
$$;
-- +goose StatementEnd

CREATE INDEX events_personal_of_several ON events USING gin (personal_keys_of(data))
    WHERE starts_with(data::text, '{"$personal":["') AND split_part(data::text, ']', 1) LIKE '%","%';

-- On a table that has grown since it was last analysed the planner would rather read all of it, so this function leaves it no choice.
-- +goose StatementBegin
CREATE FUNCTION streams_sealed_with(keys text[]) RETURNS TABLE (stream text)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT e.stream FROM events e WHERE substr(e.data::text, 16, 36) = ANY (keys)
        AND starts_with(e.data::text, '{"$personal":["') AND split_part(e.data::text, ']', 1) NOT LIKE '%","%'
    UNION
    SELECT e.stream FROM events e WHERE personal_keys_of(e.data) && keys
        AND starts_with(e.data::text, '{"$personal":["') AND split_part(e.data::text, ']', 1) LIKE '%","%'
    ORDER BY 1
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION streams_sealed_with;
DROP INDEX events_personal, events_personal_of_several;
DROP FUNCTION personal_keys_of;
DROP TABLE personal_keys;
