-- Sessions and the history of sign-ins. Sessions are partitioned by their own UUIDv7 key, which
-- starts with the time, so that the primary key prunes and an old week is dropped as a table.
-- No index holds a column that a refresh changes, and a fifth of each page is free, so that every
-- rotation is a heap-only update (revocation.md 8.4). Nodes make and drop the partitions.

CREATE TABLE sessions (
    id                    uuid        NOT NULL,
    account_id            uuid        NOT NULL,
    signature_generation  bigint      NOT NULL,
    refresh_generation    bigint      NOT NULL DEFAULT 1,
    nonce_digest          bytea       NOT NULL,
    previous_exchanged_at timestamptz,
    previous_ip_address   text,
    transport             text        NOT NULL,
    ip_address            text        NOT NULL,
    user_agent            text        NOT NULL,
    created_at            timestamptz NOT NULL,
    authenticated_at      timestamptz NOT NULL,
    last_used_at          timestamptz NOT NULL,
    idle_expires_at       timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    revoked_at            timestamptz,
    end_reason            text,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT sessions_transport_check CHECK (transport IN ('body', 'cookie')),
    CONSTRAINT sessions_nonce_length CHECK (length(nonce_digest) = 32),
    CONSTRAINT sessions_order_check CHECK (idle_expires_at <= expires_at)
) PARTITION BY RANGE (id);
CREATE INDEX sessions_account_idx ON sessions (account_id, id);

CREATE TABLE login_history (
    id         uuid        NOT NULL,
    account_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    ip_address text        NOT NULL,
    user_agent text        NOT NULL,
    outcome    text        NOT NULL,
    session_id uuid,
    CONSTRAINT login_history_pkey PRIMARY KEY (id),
    CONSTRAINT login_history_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT login_history_outcome_check CHECK (outcome IN (
        'signed-in', 'wrong-password', 'unconfirmed', 'disabled'
    ))
) PARTITION BY RANGE (id);
CREATE INDEX login_history_account_idx ON login_history (account_id, id);

-- A partitioned table has no storage parameters of its own: its partitions are made with these.
COMMENT ON TABLE sessions IS
    'fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000';
