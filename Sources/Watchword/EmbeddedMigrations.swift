// Generated from sql/migrations by `make regenerate`; a test compares. The executable carries its
// schema, so that it needs no files beside it.
import Postgres

/// The steps of the schema, in order.
let embeddedMigrations: [Migration] = [
    Migration(
        version: 1,
        name: "accounts",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 2,
        name: "sessions",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 3,
        name: "roles",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 4,
        name: "keys",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 5,
        name: "journals",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 6,
        name: "revocation",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 7,
        name: "session_pages",
        sql: ##"""
            -- More room on the pages of sessions. Sessions that were opened together lie on one page and are
            -- refreshed together, a token's life later; while a snapshot that began before is still open none
            -- of the replaced versions can be pruned. With 80 such a page had room for about seven versions of
            -- its thirty rows, so the rest of a wave moved to other pages and was not heap-only. With less than
            -- half of a page filled, every row of it can be replaced once without any pruning.

            COMMENT ON TABLE sessions IS
                'fillfactor = 45, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000';

            DO $$
            DECLARE
                piece regclass;
            BEGIN
                FOR piece IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'sessions'::regclass LOOP
                    EXECUTE format('ALTER TABLE %s SET (fillfactor = 45)', piece);
                END LOOP;
            END $$;

            """##
    ),
    Migration(
        version: 8,
        name: "horizon_view",
        sql: ##"""
            -- The token horizon as a view, which the planner merges into the statement that asks. As a function
            -- it was a query of its own: two thirds of what a read of the revocation log cost the server.

            CREATE VIEW token_horizon AS
                SELECT COALESCE(max(lifetime_s), 86400) AS seconds
                  FROM token_lifetimes
                 WHERE asserted_at + make_interval(secs => lifetime_s + 600) > clock_timestamp();

            CREATE OR REPLACE FUNCTION revocation_expiry() RETURNS timestamptz
            LANGUAGE sql VOLATILE AS $$
                SELECT clock_timestamp() + make_interval(secs => (SELECT seconds FROM token_horizon) + 120)
            $$;

            -- Nodes of the version before, during an upgrade, still ask the function.
            CREATE OR REPLACE FUNCTION token_horizon_s() RETURNS integer
            LANGUAGE sql VOLATILE AS $$
                SELECT seconds FROM token_horizon
            $$;

            """##
    ),
    Migration(
        version: 9,
        name: "revocation_subjects",
        sql: ##"""
            -- The sampler asks once a second, while checks happen, which revocations cover a few tokens. With a
            -- million rows in the log that question read all of them: 276 ms of the server, against 0.1 ms with
            -- this index. A hash, because it is only ever asked for equality: a row of the log writes 378 bytes
            -- of WAL instead of 305; a tree over these ids, which come in no order, makes it 500 to 600.

            CREATE INDEX revocation_log_subject_idx ON revocation_log USING hash (subject);

            """##
    ),
    Migration(
        version: 10,
        name: "session_ends",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 11,
        name: "access",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 12,
        name: "idempotency_keys",
        sql: ##"""
            -- Creating calls that may be sent again: what became of the first one. `done_at` is set by the
            -- transaction that does the work, so a row without it has done nothing and may be taken over.
            -- Request and answer are sealed with the master key: a body can hold a password, an answer a key
            -- (W7). Kept for a day and then swept; rows are few, one for each thing that is made.
            --
            -- No foreign key on the account: a row must lock none before those of `account_signatures`.
            CREATE TABLE idempotency_keys (
                account_id         uuid        NOT NULL,
                key_digest         bytea       NOT NULL,
                attempt_id         uuid        NOT NULL,
                master_key_version integer     NOT NULL,
                request            bytea       NOT NULL,
                answer             bytea,
                created_at         timestamptz NOT NULL,
                done_at            timestamptz,
                CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key_digest),
                CONSTRAINT idempotency_keys_digest_length CHECK (length(key_digest) = 32),
                CONSTRAINT idempotency_keys_answer_done CHECK (answer IS NULL OR done_at IS NOT NULL)
            );
            CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);

            """##
    ),
    Migration(
        version: 13,
        name: "user_lists",
        sql: ##"""
            -- Lists of accounts for administrators. They run by id, newest first, which the primary key serves;
            -- a state that few accounts are in, and services among a million people, need indexes of their own.
            -- Who searches by the beginning of an address gets a list by address: in the order of its bytes,
            -- because no other order lets a beginning be a range.

            CREATE INDEX accounts_state_idx ON accounts (state, id);
            CREATE INDEX accounts_kind_idx ON accounts (kind, id) WHERE kind <> 'person';
            CREATE INDEX accounts_email_prefix_idx ON accounts (email_canonical COLLATE "C");

            """##
    ),
    Migration(
        version: 14,
        name: "audit_lists",
        sql: ##"""
            -- What administrators ask of the audit log: all that one person did, all of one kind.
            -- Each list ends with the id, which starts with the time, so that a page is read from
            -- an index and nothing else.
            CREATE INDEX audit_events_actor_idx ON audit_events (actor_id, id);
            CREATE INDEX audit_events_action_idx ON audit_events (action, id);

            """##
    ),
    Migration(
        version: 15,
        name: "statistics",
        sql: ##"""
            -- Numbers by the hour, counted when the hour is over, so that nobody who asks for a month reads a
            -- month of sign-ins. `sign-ups`, `sign-ins`, `failed:<outcome>`, and `active-sessions` for those
            -- alive at the end of the hour. Counted again while rows of an hour may still come late.

            CREATE TABLE statistics_hours (
                hour       timestamptz NOT NULL,
                measure    text        NOT NULL,
                value      bigint      NOT NULL,
                counted_at timestamptz NOT NULL,
                CONSTRAINT statistics_hours_pkey PRIMARY KEY (hour, measure),
                CONSTRAINT statistics_hours_whole CHECK (date_trunc('hour', hour, 'UTC') = hour),
                CONSTRAINT statistics_hours_value_check CHECK (value >= 0)
            );

            """##
    ),
    Migration(
        version: 16,
        name: "password_change",
        sql: ##"""
            -- Whoever must replace his password and does not is told so, and it is in his history.

            ALTER TABLE login_history
                DROP CONSTRAINT login_history_outcome_check,
                ADD CONSTRAINT login_history_outcome_check CHECK (outcome IN (
                    'signed-in', 'wrong-password', 'unconfirmed', 'disabled', 'password-change-required'
                ));

            """##
    ),
    Migration(
        version: 17,
        name: "packed_entries",
        sql: ##"""
            -- What a node reads of a revocation, once for each node, is put together once, when it is written.
            -- Of a read that brings a hundred thousand it was more than half of the server's time.

            ALTER TABLE revocation_log ADD COLUMN packed bytea GENERATED ALWAYS AS (
                int2send(kind) || subject || int8send(ver)
                    || timestamptz_send(expires_at) || timestamptz_send(created_at)
            ) STORED;

            """##
    ),
    Migration(
        version: 18,
        name: "organisation_generation",
        sql: ##"""
            -- An organisation that is disabled, enabled or removed is one entry of the revocation log
            -- (kind 7), however many members it has. `generation` grows with each such change, as
            -- greatest(old + 1, microseconds of the database clock), and nodes compare it with that of
            -- the entry: what they remember of an account tells as of which generation of each of its
            -- organisations.
            --
            -- A node of the version before answers nobody while the log holds an entry of kind 7:
            -- change the state of no organisation until the last of them is gone.

            ALTER TABLE organisations ADD COLUMN generation bigint NOT NULL DEFAULT 0;

            """##
    ),
    Migration(
        version: 19,
        name: "session_organisation",
        sql: ##"""
            -- Whoever signs in for an organisation that he may not act in is told so after his password
            -- was found right, and it is in his history. The rows that are there are looked at in the
            -- next step, without keeping anybody from signing in meanwhile.

            ALTER TABLE login_history
                DROP CONSTRAINT login_history_outcome_check,
                ADD CONSTRAINT login_history_outcome_check CHECK (outcome IN (
                    'signed-in', 'wrong-password', 'unconfirmed', 'disabled', 'password-change-required',
                    'organisation-refused'
                )) NOT VALID;

            """##
    ),
    Migration(
        version: 20,
        name: "history_checked",
        sql: ##"""
            -- The rows of the history that were there before the step before.

            ALTER TABLE login_history VALIDATE CONSTRAINT login_history_outcome_check;

            """##
    ),
    Migration(
        version: 21,
        name: "removed_organisations",
        sql: ##"""
            -- An organisation that was removed stays as a row until its memberships, and the roles that are
            -- held in it, are swept away in bites: the removal itself changes this one row, whatever the number
            -- of members. It is disabled, so that nobody acts in it, and its name is free for another at once.
            --
            -- Whoever removes one must hold all that is held there. With an index by role it costs the same
            -- for any number of members to see which roles that is.
            --
            -- A node of the version before shows one that is being swept as disabled, and cannot enable it.

            ALTER TABLE organisations
                ADD COLUMN removed_at timestamptz,
                ADD CONSTRAINT organisations_removed_state
                    CHECK (removed_at IS NULL OR state = 'disabled'),
                DROP CONSTRAINT organisations_name_key;
            CREATE UNIQUE INDEX organisations_name_key ON organisations (name) WHERE removed_at IS NULL;
            CREATE INDEX organisations_removed_idx ON organisations (id) WHERE removed_at IS NOT NULL;
            CREATE INDEX account_roles_scope_role_idx ON account_roles (scope, role_id) WHERE scope <> '';

            """##
    ),
    Migration(
        version: 22,
        name: "approvals",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 23,
        name: "second_factors",
        sql: ##"""
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

            """##
    ),
    Migration(
        version: 24,
        name: "history_checked_again",
        sql: ##"""
            -- The rows of the history that were there before the step before.

            ALTER TABLE login_history VALIDATE CONSTRAINT login_history_outcome_check;

            """##
    ),
]
