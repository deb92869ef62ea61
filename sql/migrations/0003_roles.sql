-- Roles, what they permit and who holds them. The seed roles cannot be removed: `member` is what
-- every new account gets, `admin` administers Watchword itself.

CREATE TABLE roles (
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL,
    built_in    boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    CONSTRAINT roles_pkey PRIMARY KEY (id),
    CONSTRAINT roles_name_key UNIQUE (name),
    CONSTRAINT roles_name_form CHECK (name ~ '^[a-z][a-z0-9._-]{1,62}$')
);

CREATE TABLE role_permissions (
    role_id    uuid NOT NULL,
    permission text NOT NULL,
    CONSTRAINT role_permissions_pkey PRIMARY KEY (role_id, permission),
    CONSTRAINT role_permissions_role_fkey FOREIGN KEY (role_id)
        REFERENCES roles (id) ON DELETE CASCADE,
    CONSTRAINT role_permissions_form
        CHECK (permission ~ '^[a-z][a-z0-9._-]{0,62}:[a-z*][a-z0-9._-]{0,62}$')
);

CREATE TABLE account_roles (
    account_id uuid        NOT NULL,
    role_id    uuid        NOT NULL,
    granted_at timestamptz NOT NULL,
    CONSTRAINT account_roles_pkey PRIMARY KEY (account_id, role_id),
    CONSTRAINT account_roles_account_fkey FOREIGN KEY (account_id)
        REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT account_roles_role_fkey FOREIGN KEY (role_id) REFERENCES roles (id)
);
CREATE INDEX account_roles_role_idx ON account_roles (role_id);

INSERT INTO roles (id, name, description, built_in, created_at) VALUES
    ('00000000-0000-7000-8000-000000000001', 'admin', 'Administers Watchword itself.', true,
     '2026-01-01T00:00:00Z'),
    ('00000000-0000-7000-8000-000000000002', 'member', 'Every account that signs up.', true,
     '2026-01-01T00:00:00Z');
INSERT INTO role_permissions (role_id, permission) VALUES
    ('00000000-0000-7000-8000-000000000001', 'access:check');
