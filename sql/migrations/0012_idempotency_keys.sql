-- Creating calls that may be sent again: what became of the first one. `done_at` is set by the
-- transaction that does the work, so a row without it has done nothing and may be taken over.
-- Request and answer are sealed with the master key: a body can hold a password, an answer a key
-- (W7). Kept for a day and then swept; rows are few, one for each thing that is made.
--
-- No foreign key on the account: a row must lock none before those of `account_signatures`.
CREATE TABLE idempotency_keys (
    account_id         uuid        NOT NULL,
    key_digest         bytea       NOT NULL,
    attempt_id         uuid        NOT NULL,
    master_key_version integer     NOT NULL,
    request            bytea       NOT NULL,
    answer             bytea,
    created_at         timestamptz NOT NULL,
    done_at            timestamptz,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key_digest),
    CONSTRAINT idempotency_keys_digest_length CHECK (length(key_digest) = 32),
    CONSTRAINT idempotency_keys_answer_done CHECK (answer IS NULL OR done_at IS NOT NULL)
);
CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);
