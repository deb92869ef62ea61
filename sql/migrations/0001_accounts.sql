-- People and what they sign in with. The canonical columns hold the one form under which an
-- identifier is compared everywhere (checklist row 2); the others keep what the person typed.

CREATE TABLE accounts (
    id                 uuid        NOT NULL,
    email              text        NOT NULL,
    email_canonical    text        NOT NULL,
    username           text,
    username_canonical text,
    state              text        NOT NULL DEFAULT 'active',
    confirmed_at       timestamptz,
    rights_version     bigint      NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    last_login_at      timestamptz,
    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT accounts_email_key UNIQUE (email_canonical),
    CONSTRAINT accounts_username_key UNIQUE (username_canonical),
    CONSTRAINT accounts_state_check CHECK (state IN ('active', 'disabled', 'deleted')),
    CONSTRAINT accounts_email_length CHECK (length(email) <= 254),
    CONSTRAINT accounts_username_length CHECK (length(username) BETWEEN 3 AND 64),
    CONSTRAINT accounts_username_both
        CHECK ((username IS NULL) = (username_canonical IS NULL))
) WITH (fillfactor = 90);

CREATE TABLE account_profiles (
    account_id   uuid        NOT NULL,
    given_name   text,
    family_name  text,
    address      text,
    phone_number text,
    birthdate    text,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT account_profiles_pkey PRIMARY KEY (account_id),
    CONSTRAINT account_profiles_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE
);

-- Apart from accounts, so that nothing that lists people can read a hash by accident.
CREATE TABLE account_passwords (
    account_id uuid        NOT NULL,
    phc        text        NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT account_passwords_pkey PRIMARY KEY (account_id),
    CONSTRAINT account_passwords_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE
);

-- One row an account: the generation every token of the account must carry. Rotating it ends all
-- of them at once, whatever their number. It only grows (W2): greatest(old + 1, microseconds of
-- the database clock), so that it does not repeat even after a restore.
CREATE TABLE account_signatures (
    account_id uuid        NOT NULL,
    generation bigint      NOT NULL,
    rotated_at timestamptz NOT NULL,
    CONSTRAINT account_signatures_pkey PRIMARY KEY (account_id),
    CONSTRAINT account_signatures_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE
) WITH (fillfactor = 70);
