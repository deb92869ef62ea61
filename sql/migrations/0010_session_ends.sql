-- Many ends of sessions of one account become one entry of the revocation log (revocation.md H25).
-- Each account whose sessions were ended has a row here: how many in the minute that began at
-- `began_at`, a version that grows with each of them, and when the entry of that minute was made,
-- if there is one. Whoever ends a session updates it last of all locks, in the transaction that
-- ends the session, so a snapshot that sees a version sees every end that it counts.
--
-- Nodes of the version before ignore the new kind. Let no such node run beside one that collapses:
-- keep `revocation.collapse_after` at 0 until the last of them is gone.

CREATE TABLE session_ends (
    account_id uuid        NOT NULL,
    began_at   timestamptz NOT NULL,
    ends       integer     NOT NULL,
    version    bigint      NOT NULL,
    entry_at   timestamptz NOT NULL,
    CONSTRAINT session_ends_pkey PRIMARY KEY (account_id),
    CONSTRAINT session_ends_account_fkey
        FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT session_ends_ends_positive CHECK (ends >= 0)
) WITH (fillfactor = 70);

ALTER TABLE revocation_log DROP CONSTRAINT revocation_log_kind_check;
ALTER TABLE revocation_log ADD CONSTRAINT revocation_log_kind_check CHECK (kind BETWEEN 1 AND 11);
