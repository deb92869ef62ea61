-- Second factors: for an account at most one authenticator of time-based codes (RFC 6238), and the
-- recovery codes that stand in for it. Its seed is sealed with the master key, bound to the
-- account; of a recovery code there is a digest. A row without `confirmed_at` is an enrolment that
-- was begun: it counts for nothing. A session knows whether a second factor opened it.

CREATE TABLE second_factors (
    account_id         uuid        NOT NULL,
    seed_sealed        bytea       NOT NULL,
    master_key_version integer     NOT NULL,
    last_step          bigint      NOT NULL DEFAULT 0,
    failed_codes       integer     NOT NULL DEFAULT 0,
    recovery_digests   bytea[]     NOT NULL DEFAULT '{}',
    begun_in           uuid        NOT NULL,
    created_at         timestamptz NOT NULL,
    confirmed_at       timestamptz,
    last_used_at       timestamptz,
    CONSTRAINT second_factors_pkey PRIMARY KEY (account_id),
    CONSTRAINT second_factors_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT second_factors_begun_check
        CHECK (confirmed_at IS NOT NULL OR recovery_digests = '{}')
);

ALTER TABLE sessions ADD COLUMN second_factor boolean NOT NULL DEFAULT false;

ALTER TABLE login_history
    DROP CONSTRAINT login_history_outcome_check,
    ADD CONSTRAINT login_history_outcome_check CHECK (outcome IN (
        'signed-in', 'wrong-password', 'unconfirmed', 'disabled', 'password-change-required',
        'organisation-refused', 'second-factor-required', 'wrong-second-factor'
    )) NOT VALID;
