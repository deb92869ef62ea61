-- Requests that need a second person (`administration.two_people`): what is asked for, byte for
-- byte, and what another administrator said of it. One row for each account and request; a new
-- one takes the place of one that was used or whose time is over.

CREATE TABLE approvals (
    id              uuid        NOT NULL,
    account_id      uuid        NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    request_digest  bytea       NOT NULL,
    organisation_id uuid,
    operation       text        NOT NULL,
    method          text        NOT NULL,
    target          text        NOT NULL,
    if_match        text        NOT NULL,
    body            text        NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    decision        text,
    decided_by      uuid REFERENCES accounts (id) ON DELETE CASCADE,
    decided_at      timestamptz,
    used_at         timestamptz,
    CONSTRAINT approvals_pkey PRIMARY KEY (id),
    CONSTRAINT approvals_request_key UNIQUE (account_id, request_digest),
    CONSTRAINT approvals_digest_length CHECK (length(request_digest) = 32),
    CONSTRAINT approvals_decision_check CHECK (decision IN ('given', 'refused')),
    CONSTRAINT approvals_decided_check
        CHECK ((decision IS NULL) = (decided_by IS NULL)
           AND (decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT approvals_two_people_check
        CHECK (decision IS DISTINCT FROM 'given' OR decided_by <> account_id),
    CONSTRAINT approvals_used_check CHECK (used_at IS NULL OR decision = 'given')
);
CREATE INDEX approvals_decided_by_idx ON approvals (decided_by);
CREATE INDEX approvals_expires_at_idx ON approvals (expires_at);

INSERT INTO permissions (name, description, built_in, created_at) VALUES
    ('administration:approve', 'Be the second person where a request needs two.', true,
     '2026-01-01T00:00:00Z')
ON CONFLICT (name) DO UPDATE SET built_in = true;
