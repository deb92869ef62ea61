-- What happened, for people (audit) and for other systems (outbox). Both are written in the
-- transaction of what they record (W9). The audit is partitioned by its UUIDv7 key; nodes make
-- and drop the partitions.

CREATE TABLE audit_events (
    id         uuid        NOT NULL,
    at         timestamptz NOT NULL,
    action     text        NOT NULL,
    actor_id   uuid,
    account_id uuid,
    session_id uuid,
    ip_address text        NOT NULL,
    request_id uuid,
    detail     jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT audit_events_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX audit_events_account_idx ON audit_events (account_id, id);

CREATE TABLE outbox (
    id           uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    topic        text        NOT NULL,
    account_id   uuid,
    payload      jsonb       NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);
