-- The key ring: pairs that sign access tokens, and the secret keys behind refresh tokens and CSRF
-- values, one purpose each (checklist row 268). Private parts are sealed with the master key
-- (AES-256-GCM, bound to the row's id and use), so that a dump of this table signs nothing (W7).
-- A key is published before it is used and stays until the last token it signed is gone.

CREATE TABLE keys (
    id                 uuid        NOT NULL,
    use                text        NOT NULL,
    algorithm          text        NOT NULL,
    public_key         bytea,
    sealed             bytea       NOT NULL,
    master_key_version integer     NOT NULL,
    created_at         timestamptz NOT NULL,
    active_from        timestamptz NOT NULL,
    retired_at         timestamptz,
    CONSTRAINT keys_pkey PRIMARY KEY (id),
    CONSTRAINT keys_use_check CHECK (use IN ('access-token', 'refresh-token', 'csrf')),
    CONSTRAINT keys_algorithm_check CHECK (algorithm IN ('ES256', 'HS256')),
    CONSTRAINT keys_public_check CHECK ((algorithm = 'ES256') = (public_key IS NOT NULL))
);
