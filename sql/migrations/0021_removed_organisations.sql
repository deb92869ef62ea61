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
