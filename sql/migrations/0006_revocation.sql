-- The revocation log and what verify needs to trust it (revocation.md 1.2, 1.6, 1.9). `id` is for
-- people; no cursor runs over it, because rows become visible in another order than they are
-- numbered (H1). Readers resume from the xmin of their previous snapshot, by `xid`.

CREATE TABLE revocation_log (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    kind       smallint    NOT NULL,
    subject    bytea       NOT NULL,
    ver        bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT revocation_log_pkey PRIMARY KEY (created_at, id),
    CONSTRAINT revocation_log_kind_check CHECK (kind BETWEEN 1 AND 10),
    CONSTRAINT revocation_log_subject_length CHECK (length(subject) = 16)
) PARTITION BY RANGE (created_at);
CREATE INDEX revocation_log_xid_idx ON revocation_log (xid);

CREATE TABLE revocation_authority (
    only_row boolean NOT NULL DEFAULT true,
    epoch    bigint  NOT NULL,
    state    text    NOT NULL,
    members  jsonb   NOT NULL DEFAULT '[]',
    lease_ms integer NOT NULL,
    CONSTRAINT revocation_authority_pkey PRIMARY KEY (only_row),
    CONSTRAINT revocation_authority_one CHECK (only_row),
    CONSTRAINT revocation_authority_state_check CHECK (state IN ('redis', 'draining', 'pg'))
);
INSERT INTO revocation_authority (epoch, state, lease_ms) VALUES (1, 'pg', 5000);

-- The token horizon. Every node keeps asserting the lifetime it mints with; a lifetime counts
-- until the last token minted under its last assertion has expired, and then falls by itself. A
-- node mints only within `slack` of an assertion of its own, so that
--   minted at t  =>  t <= asserted_at + slack  =>  the row counts until t + lifetime at least.
CREATE TABLE token_lifetimes (
    lifetime_s  integer     NOT NULL,
    asserted_at timestamptz NOT NULL,
    CONSTRAINT token_lifetimes_pkey PRIMARY KEY (lifetime_s),
    CONSTRAINT token_lifetimes_range CHECK (lifetime_s BETWEEN 1 AND 86400)
);

-- Seconds an access token may live, at most, among all that are outstanding; the day that is the
-- limit of the setting where no node has ever spoken.
CREATE FUNCTION token_horizon_s() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(max(lifetime_s), 86400)
      FROM token_lifetimes
     WHERE asserted_at + make_interval(secs => lifetime_s + 600) > clock_timestamp()
$$;

-- When a revocation that is stamped now may be forgotten: after the last token it can cover, plus
-- the margin by which clocks may differ. Call it under the locks of the revocation.
CREATE FUNCTION revocation_expiry() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + make_interval(secs => token_horizon_s() + 120)
$$;
