-- Rights: what can be permitted, roles that hold it and other roles, and who has which role, where
-- and until when. Organisations, service accounts with their keys, and the rules of gateways that
-- cannot say what a request needs. `rights_version` of an account and `version` of a role are
-- greatest(old + 1, microseconds of the database clock): they grow, also after a restore (W2), and
-- whoever changes rights appends the new version to the revocation log in the same transaction.
--
-- A node of the version before takes every row of `account_roles` for a role that is held
-- everywhere and for ever: give no role with a scope or an end until the last of them is gone.

-- People have an address; services have a name of their own, and keys instead of a password.
ALTER TABLE accounts
    ADD COLUMN kind text NOT NULL DEFAULT 'person',
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ALTER COLUMN email DROP NOT NULL,
    ALTER COLUMN email_canonical DROP NOT NULL,
    ADD CONSTRAINT accounts_kind_check CHECK (kind IN ('person', 'service')),
    ADD CONSTRAINT accounts_email_both CHECK ((email IS NULL) = (email_canonical IS NULL)),
    ADD CONSTRAINT accounts_names_check
        CHECK (
            state = 'deleted' OR email IS NOT NULL OR (kind = 'service' AND username IS NOT NULL)
        );

-- A password that an administrator wants replaced opens no session until it is.
ALTER TABLE account_passwords ADD COLUMN must_change boolean NOT NULL DEFAULT false;

-- Somebody else who acts in this session, and the organisation it is for.
ALTER TABLE sessions
    ADD COLUMN actor_id uuid,
    ADD COLUMN organisation_id uuid;

CREATE TABLE permissions (
    name        text        NOT NULL,
    description text        NOT NULL,
    built_in    boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    CONSTRAINT permissions_pkey PRIMARY KEY (name),
    CONSTRAINT permissions_form CHECK (name ~ '^[a-z][a-z0-9._-]{0,62}:[a-z][a-z0-9._-]{0,62}$')
);

-- `orders:*` stands for all permissions of its namespace, `*:*` for all there are.
ALTER TABLE role_permissions
    DROP CONSTRAINT role_permissions_form,
    ADD CONSTRAINT role_permissions_form CHECK (
        permission ~ '^([a-z][a-z0-9._-]{0,62}:([a-z][a-z0-9._-]{0,62}|\*)|\*:\*)$'
    );

-- A role that was removed stays until nobody is assigned to it, under a name that others may take.
ALTER TABLE roles
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN is_default boolean NOT NULL DEFAULT false,
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN removed_at timestamptz,
    DROP CONSTRAINT roles_name_key;
CREATE UNIQUE INDEX roles_name_key ON roles (name) WHERE removed_at IS NULL;

CREATE TABLE role_includes (
    role_id     uuid NOT NULL,
    included_id uuid NOT NULL,
    CONSTRAINT role_includes_pkey PRIMARY KEY (role_id, included_id),
    CONSTRAINT role_includes_role_fkey FOREIGN KEY (role_id)
        REFERENCES roles (id) ON DELETE CASCADE,
    CONSTRAINT role_includes_included_fkey FOREIGN KEY (included_id)
        REFERENCES roles (id) ON DELETE CASCADE,
    CONSTRAINT role_includes_other CHECK (role_id <> included_id)
);
CREATE INDEX role_includes_included_idx ON role_includes (included_id);

-- The scope is empty where a role is held everywhere; `org:<id>` in one organisation; else a
-- resource, or with `/*` at its end all that is below one.
ALTER TABLE account_roles
    ADD COLUMN scope text NOT NULL DEFAULT '',
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN granted_by uuid,
    ADD CONSTRAINT account_roles_scope_form
        CHECK (scope = '' OR scope ~ '^[a-z][a-z0-9._-]{0,62}:[A-Za-z0-9._~@/-]{1,190}(/\*)?$'),
    DROP CONSTRAINT account_roles_pkey,
    ADD CONSTRAINT account_roles_pkey PRIMARY KEY (account_id, role_id, scope);
DROP INDEX account_roles_role_idx;
CREATE INDEX account_roles_role_idx ON account_roles (role_id, account_id);
CREATE INDEX account_roles_scope_idx ON account_roles (scope, account_id) WHERE scope <> '';
CREATE INDEX account_roles_expiry_idx ON account_roles (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE organisations (
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    display_name text        NOT NULL,
    state        text        NOT NULL DEFAULT 'active',
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT organisations_pkey PRIMARY KEY (id),
    CONSTRAINT organisations_name_key UNIQUE (name),
    CONSTRAINT organisations_name_form CHECK (name ~ '^[a-z][a-z0-9._-]{1,62}$'),
    CONSTRAINT organisations_display_name_length CHECK (length(display_name) BETWEEN 1 AND 200),
    CONSTRAINT organisations_state_check CHECK (state IN ('active', 'disabled'))
);

CREATE TABLE organisation_members (
    organisation_id uuid        NOT NULL,
    account_id      uuid        NOT NULL,
    joined_at       timestamptz NOT NULL,
    CONSTRAINT organisation_members_pkey PRIMARY KEY (organisation_id, account_id),
    CONSTRAINT organisation_members_organisation_fkey FOREIGN KEY (organisation_id)
        REFERENCES organisations (id) ON DELETE CASCADE,
    CONSTRAINT organisation_members_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX organisation_members_account_idx ON organisation_members (account_id);

-- The digest alone is kept of a key (W7). `permissions` narrows it; NULL leaves it all that its
-- account may.
CREATE TABLE api_keys (
    id           uuid        NOT NULL,
    account_id   uuid        NOT NULL,
    name         text        NOT NULL,
    digest       bytea       NOT NULL,
    permissions  text[],
    created_at   timestamptz NOT NULL,
    created_by   uuid,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT api_keys_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT api_keys_digest_length CHECK (length(digest) = 32)
);
CREATE INDEX api_keys_account_idx ON api_keys (account_id, id);

-- The first rule that matches a request says what it needs; where none does it is refused.
CREATE TABLE route_rules (
    id          uuid        NOT NULL,
    position    integer     NOT NULL,
    methods     text[]      NOT NULL,
    host        text,
    path        text        NOT NULL,
    access      text        NOT NULL,
    permissions text[]      NOT NULL DEFAULT '{}',
    roles       text[]      NOT NULL DEFAULT '{}',
    scopes      text[]      NOT NULL DEFAULT '{}',
    resource    text,
    description text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT route_rules_pkey PRIMARY KEY (id),
    CONSTRAINT route_rules_position_key UNIQUE (position) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT route_rules_position_range CHECK (position BETWEEN 1 AND 10000),
    CONSTRAINT route_rules_access_check CHECK (access IN ('public', 'authenticated')),
    CONSTRAINT route_rules_public_check CHECK (
        access = 'authenticated'
        OR (permissions = '{}' AND roles = '{}' AND scopes = '{}' AND resource IS NULL)
    )
);

-- How often the rules have changed; the log names it as the one subject of kind 12.
CREATE TABLE route_rule_set (
    only_row boolean NOT NULL DEFAULT true,
    version  bigint  NOT NULL,
    CONSTRAINT route_rule_set_pkey PRIMARY KEY (only_row),
    CONSTRAINT route_rule_set_one CHECK (only_row)
);
INSERT INTO route_rule_set (version) VALUES (1);

ALTER TABLE revocation_log DROP CONSTRAINT revocation_log_kind_check;
ALTER TABLE revocation_log ADD CONSTRAINT revocation_log_kind_check CHECK (kind BETWEEN 1 AND 12);

INSERT INTO permissions (name, description, built_in, created_at) VALUES
    ('access:check', 'Ask what other accounts may do.', true, '2026-01-01T00:00:00Z'),
    ('users:read', 'See accounts, their sessions and their history.', true,
     '2026-01-01T00:00:00Z'),
    ('users:write', 'Make, change, disable and delete accounts.', true, '2026-01-01T00:00:00Z'),
    ('users:impersonate', 'Act as somebody else for a short time.', true, '2026-01-01T00:00:00Z'),
    ('roles:read', 'See permissions, roles and who holds them.', true, '2026-01-01T00:00:00Z'),
    ('roles:write', 'Make and change permissions and roles.', true, '2026-01-01T00:00:00Z'),
    ('roles:assign', 'Give and take roles.', true, '2026-01-01T00:00:00Z'),
    ('organisations:read', 'See organisations and their members.', true, '2026-01-01T00:00:00Z'),
    ('organisations:write', 'Make and change organisations and their members.', true,
     '2026-01-01T00:00:00Z'),
    ('services:read', 'See service accounts and their keys.', true, '2026-01-01T00:00:00Z'),
    ('services:write', 'Make and change service accounts and their keys.', true,
     '2026-01-01T00:00:00Z'),
    ('routes:read', 'See the rules of gateways.', true, '2026-01-01T00:00:00Z'),
    ('routes:write', 'Change the rules of gateways.', true, '2026-01-01T00:00:00Z'),
    ('keys:read', 'See signing keys.', true, '2026-01-01T00:00:00Z'),
    ('keys:write', 'Replace and remove signing keys.', true, '2026-01-01T00:00:00Z'),
    ('audit:read', 'Read the audit log.', true, '2026-01-01T00:00:00Z'),
    ('settings:read', 'See the settings of nodes.', true, '2026-01-01T00:00:00Z'),
    ('statistics:read', 'See numbers of sign-ups, sign-ins and sessions.', true,
     '2026-01-01T00:00:00Z');

-- The administrator may do everything, so that he can give everything.
INSERT INTO role_permissions (role_id, permission) VALUES
    ('00000000-0000-7000-8000-000000000001', '*:*');
UPDATE roles SET is_default = true WHERE id = '00000000-0000-7000-8000-000000000002';
