// The SQL of making and changing roles. What changes a role appends its new version to the
// revocation log in the same statement.
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements on roles.
enum RoleStore {
    /// Held by whoever changes roles, until the end of his transaction.
    static let lockAll = Statement(
        "roles.lock_all",
        "SELECT pg_advisory_xact_lock(hashtextextended('watchword.roles', 0)) IS NULL",
        decode: { try $0.get(0, as: Bool.self) }
    )

    static let count = Statement(
        "roles.count",
        "SELECT count(*) FROM roles r WHERE r.removed_at IS NULL",
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let columns = """
        r.id, r.name, r.version, \(RoleReadStore.contents),
               r.description, r.built_in, r.is_default, r.created_at
        """

    static let find = Statement(
        "roles.find_view",
        """
        SELECT \(columns)
          FROM roles r
         WHERE r.id = $1
           AND r.removed_at IS NULL
        """,
        binds: RoleID.self,
        decode: view
    )

    static let findNamed = Statement(
        "roles.find_named",
        "SELECT r.id FROM roles r WHERE r.name = $1 AND r.removed_at IS NULL",
        binds: String.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    static let list = Statement(
        "roles.list",
        """
        SELECT \(columns)
          FROM roles r
         WHERE r.id > $1
           AND r.removed_at IS NULL
         ORDER BY r.id
         LIMIT $2
        """,
        kind: .list,
        binds: RoleID.self,
        Int32.self,
        decode: view
    )

    @Sendable private static func view(_ row: PostgresRow) throws -> RoleView {
        RoleView(
            definition: RoleDefinition(
                id: try row.get(0, as: RoleID.self),
                name: try row.get(1, as: String.self),
                version: try row.get(2, as: Int64.self),
                isRemoved: false,
                permissions: try row.get(3, as: [String].self),
                includes: try row.get(4, as: [RoleID].self)
            ),
            description: try row.get(5, as: String.self),
            isBuiltIn: try row.get(6, as: Bool.self),
            isDefault: try row.get(7, as: Bool.self),
            createdAt: try row.get(8, as: Timestamp.self)
        )
    }

    /// Makes a role; no node has met it, so there is nothing to tell.
    static let insert = Statement(
        "roles.insert",
        """
        WITH made AS (
            INSERT INTO roles (id, name, description, is_default, version, created_at, updated_at)
            VALUES ($1, $2, $3, $4, \(GrowingVersion.now), $7, $7)
            RETURNING id, name
        ), \(AuditLog.append(
            as: "audited",
            .roleCreated,
            account: "NULL",
            actor: "$5::uuid",
            detail: RoleRecord.detail(of: "made", first: 10),
            from: "made",
            binds: 6
        ))
        SELECT id FROM made
        """,
        kind: .solo,
        binds: RoleID.self,
        String.self,
        String.self,
        Bool.self,
        AccountID?.self,
        AuditBinds.self,
        RoleRecord.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    private static let told = RevocationLog.append(
        as: "logged",
        .role,
        subject: "changed.id",
        version: "changed.version",
        from: "changed"
    )

    static let update = RevokingStatement(
        "roles.update",
        """
        changed AS (
            UPDATE roles r
               SET name = COALESCE($2, r.name),
                   description = COALESCE($3, r.description),
                   is_default = COALESCE($4, r.is_default),
                   version = \(GrowingVersion.next("r.version")),
                   updated_at = $7
             WHERE r.id = $1
               AND r.removed_at IS NULL
            RETURNING r.id, r.name, r.version
        ), \(told), \(AuditLog.append(
            as: "audited",
            .roleChanged,
            account: "NULL",
            actor: "$5::uuid",
            detail: RoleRecord.detail(of: "changed", first: 10),
            from: "changed",
            binds: 6
        )), \(Outbox.append(
            as: "announced",
            .roleChanged,
            account: "NULL::uuid",
            payload: "jsonb_build_object('role_id', changed.id)",
            from: "changed",
            entry: 6,
            at: 7
        ))
        """,
        answer: "SELECT version FROM changed",
        binds: RoleID.self,
        String?.self,
        String?.self,
        Bool?.self,
        AccountID?.self,
        AuditBinds.self,
        RoleRecord.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Tells of the version that a role has already; whoever knows it does nothing.
    static let retell = RevokingStatement(
        "roles.retell",
        """
        changed AS (
            SELECT r.id, r.version FROM roles r WHERE r.id = $1 AND r.removed_at IS NULL
        ), \(told)
        """,
        answer: "SELECT version FROM changed",
        binds: RoleID.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Removes a role: it stays as a row without anything until nobody has it.
    static let remove = RevokingStatement(
        "roles.remove",
        """
        changed AS (
            UPDATE roles r
               SET removed_at = $4,
                   is_default = false,
                   version = \(GrowingVersion.next("r.version"))
             WHERE r.id = $1
               AND r.removed_at IS NULL
               AND NOT r.built_in
            RETURNING r.id, r.name, r.version
        ), emptied AS (
            DELETE FROM role_permissions p USING changed c WHERE p.role_id = c.id
        ), parted AS (
            DELETE FROM role_includes i
             USING changed c
             WHERE i.role_id = c.id OR i.included_id = c.id
        ), \(told), \(AuditLog.append(
            as: "audited",
            .roleRemoved,
            account: "NULL",
            actor: "$2::uuid",
            detail: "jsonb_build_object('role_id', changed.id, 'name', changed.name)",
            from: "changed",
            binds: 3
        )), \(Outbox.append(
            as: "announced",
            .roleChanged,
            account: "NULL::uuid",
            payload: "jsonb_build_object('role_id', changed.id)",
            from: "changed",
            entry: 3,
            at: 4
        ))
        """,
        answer: "SELECT version FROM changed",
        binds: RoleID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Which of these are declared, or are a whole namespace of which something is.
    static let known = Statement(
        "roles.known_permissions",
        """
        SELECT w.name
          FROM unnest($1::text[]) AS w (name)
         WHERE w.name = '*:*'
            OR EXISTS (SELECT FROM permissions p WHERE p.name = w.name)
            OR w.name LIKE '%:*'
               AND EXISTS (SELECT FROM permissions p
                            WHERE starts_with(p.name, left(w.name, -1)))
        """,
        binds: [String].self,
        decode: { try $0.get(0, as: String.self) }
    )

    static let dropPermissions = Statement(
        "roles.drop_permissions",
        """
        DELETE FROM role_permissions p WHERE p.role_id = $1 AND NOT p.permission = ANY($2)
        """,
        binds: RoleID.self,
        [String].self
    )

    static let addPermissions = Statement(
        "roles.add_permissions",
        """
        INSERT INTO role_permissions (role_id, permission)
        SELECT $1, w.name FROM unnest($2::text[]) AS w (name)
            ON CONFLICT DO NOTHING
        """,
        binds: RoleID.self,
        [String].self
    )

    static let living = Statement(
        "roles.living",
        "SELECT r.id FROM roles r WHERE r.id = ANY($1) AND r.removed_at IS NULL",
        binds: [RoleID].self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    static let dropInclusions = Statement(
        "roles.drop_inclusions",
        "DELETE FROM role_includes i WHERE i.role_id = $1 AND NOT i.included_id = ANY($2)",
        binds: RoleID.self,
        [RoleID].self
    )

    static let addInclusions = Statement(
        "roles.add_inclusions",
        """
        INSERT INTO role_includes (role_id, included_id)
        SELECT $1, w.id FROM unnest($2::uuid[]) AS w (id)
            ON CONFLICT DO NOTHING
        """,
        binds: RoleID.self,
        [RoleID].self
    )

    /// A way from what a role includes back to it.
    static let findCircle = Statement(
        "roles.find_circle",
        """
        WITH RECURSIVE reach AS (
            SELECT i.included_id AS id FROM role_includes i WHERE i.role_id = $1
            UNION
            SELECT i.included_id FROM reach e JOIN role_includes i ON i.role_id = e.id
        )
        SELECT e.id FROM reach e WHERE e.id = $1
        """,
        binds: RoleID.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// A role that stands for more than one may: `$1`, or one that includes it, however deep.
    ///
    /// All are followed at once, and no further than `pairLimit` in all.
    static let findOverreach = Statement(
        "roles.find_overreach",
        """
        WITH RECURSIVE above AS (
            SELECT $1::uuid AS id
            UNION
            SELECT i.role_id FROM above a JOIN role_includes i ON i.included_id = a.id
        ), reach AS (
            SELECT a.id AS top, a.id FROM above a
            UNION
            SELECT r.top, i.included_id FROM reach r JOIN role_includes i ON i.role_id = r.id
        ), seen AS MATERIALIZED (
            SELECT r.top, r.id FROM reach r LIMIT \(pairLimit)
        ), ways AS (
            SELECT i.role_id, count(*) AS number
              FROM role_includes i
             WHERE i.role_id IN (SELECT s.id FROM seen s)
             GROUP BY i.role_id
        )
        SELECT s.top
          FROM seen s
          LEFT JOIN ways w ON w.role_id = s.id
         GROUP BY s.top
        HAVING count(*) > \(RoleAdministration.reachLimit)
            OR sum(w.number) > \(RoleAdministration.wayLimit)
            OR (SELECT count(*) FROM seen) = \(pairLimit)
         LIMIT 1
        """,
        binds: RoleID.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// How many pairs of a role and one it stands for are looked at: a second's work.
    private static let pairLimit = 500_000

    static var statements: [StatementInfo] {
        [
            lockAll.info, count.info, find.info, findNamed.info, list.info, insert.info,
            update.info, retell.info, remove.info, known.info, dropPermissions.info,
            addPermissions.info, living.info, dropInclusions.info, addInclusions.info,
            findCircle.info, findOverreach.info,
        ]
    }
}
