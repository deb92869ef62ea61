// The SQL of giving and taking roles. The row of the account is changed first: its version grows
// with every change of what it holds, in the same statement that appends it to the revocation log.
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements on assignments.
enum AssignmentStore {
    /// The parts that make the rights of `source.account_id` a new version, and log it.
    static func outdate(from source: String) -> RevokingSQL {
        """
        outdated AS (
            UPDATE accounts a
               SET rights_version = \(GrowingVersion.next("a.rights_version"))
              FROM \(source) t
             WHERE a.id = t.account_id
            RETURNING a.id, a.rights_version
        ), \(RevocationLog.append(
            as: "logged",
            .rights,
            subject: "outdated.id",
            version: "outdated.rights_version",
            from: "outdated"
        ))
        """
    }

    /// How many roles an account has.
    static let count = Statement(
        "assignments.count",
        "SELECT count(*) FROM account_roles ar WHERE ar.account_id = $1",
        binds: AccountID.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Gives role `$2` to account `$1`; no row where one of them is not there.
    static let assign = RevokingStatement(
        "assignments.assign",
        """
        wanted AS MATERIALIZED (
            SELECT a.id AS account_id, r.id AS role_id, r.name
              FROM accounts a
             CROSS JOIN roles r
             WHERE a.id = $1
               AND a.state = 'active'
               AND r.id = $2
               AND r.removed_at IS NULL
               FOR SHARE OF r
        ), assigned AS (
            INSERT INTO account_roles (
                account_id, role_id, scope, expires_at, granted_at, granted_by
            )
            SELECT w.account_id, w.role_id, $3, $4, $7, $5
              FROM wanted w
                ON CONFLICT (account_id, role_id, scope) DO UPDATE
               SET expires_at = excluded.expires_at,
                   granted_at = excluded.granted_at,
                   granted_by = excluded.granted_by
            RETURNING account_id, role_id, scope, expires_at, granted_at, xmax = 0 AS is_new
        ), \(outdate(from: "assigned")), \(AuditLog.append(
            as: "audited",
            .roleAssigned,
            account: "assigned.account_id",
            actor: "$5::uuid",
            detail: """
                jsonb_build_object('role_id', assigned.role_id, 'scope', assigned.scope,
                    'expires_at', assigned.expires_at)
                """,
            from: "assigned",
            binds: 6
        )), \(Outbox.append(
            as: "announced",
            .roleAssigned,
            account: "assigned.account_id",
            payload: "jsonb_build_object('role_id', assigned.role_id, 'scope', assigned.scope)",
            from: "assigned",
            entry: 6,
            at: 7
        ))
        """,
        answer: """
            SELECT g.account_id, g.role_id, w.name, g.scope, g.expires_at, g.granted_at,
                   $5::uuid, g.is_new, o.rights_version
              FROM assigned g
              JOIN wanted w ON w.role_id = g.role_id
              JOIN outdated o ON o.id = g.account_id
            """,
        binds: AccountID.self,
        RoleID.self,
        String.self,
        Timestamp?.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { row in
            RightsChange(
                value: try assignment(row),
                isNew: try row.get(7, as: Bool.self),
                version: try row.get(8, as: Int64.self)
            )
        }
    )

    /// Takes role `$2` from account `$1`; no row where it does not have it.
    static let unassign = RevokingStatement(
        "assignments.unassign",
        """
        taken AS (
            DELETE FROM account_roles ar
             WHERE ar.account_id = $1
               AND ar.role_id = $2
               AND ar.scope = $3
               AND \(OrganisationStore.isOfNoneRemoved("ar"))
            RETURNING ar.account_id, ar.role_id, ar.scope
        ), \(outdate(from: "taken")), \(AuditLog.append(
            as: "audited",
            .roleUnassigned,
            account: "taken.account_id",
            actor: "$4::uuid",
            detail: "jsonb_build_object('role_id', taken.role_id, 'scope', taken.scope)",
            from: "taken",
            binds: 5
        )), \(Outbox.append(
            as: "announced",
            .roleUnassigned,
            account: "taken.account_id",
            payload: "jsonb_build_object('role_id', taken.role_id, 'scope', taken.scope)",
            from: "taken",
            entry: 5,
            at: 6
        ))
        """,
        answer: "SELECT rights_version FROM outdated",
        binds: AccountID.self,
        RoleID.self,
        String.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let columns = """
        ar.account_id, ar.role_id, r.name, ar.scope, ar.expires_at, ar.granted_at, ar.granted_by
        """

    /// The roles of an account: at least one row for one that is there, of NULLs if it has none.
    static let list = Statement(
        "assignments.list",
        """
        SELECT \(columns)
          FROM accounts a
          LEFT JOIN (account_roles ar JOIN roles r ON r.id = ar.role_id AND r.removed_at IS NULL)
            ON ar.account_id = a.id
           AND \(RightsStore.isLive("ar"))
           AND \(OrganisationStore.isOfNoneRemoved("ar"))
         WHERE a.id = $1
           AND a.state <> 'deleted'
         ORDER BY r.name, ar.scope
         LIMIT \(RightsResolver.roleLimit)
        """,
        kind: .list,
        binds: AccountID.self,
        decode: { row -> Assignment? in
            try row.get(0, as: AccountID?.self) == nil ? nil : assignment(row)
        }
    )

    /// Who has a role, in the order of accounts, within scope `$4` where that is given.
    static let holders = Statement(
        "assignments.holders",
        """
        SELECT \(columns)
          FROM account_roles ar
          JOIN roles r ON r.id = ar.role_id
         WHERE ar.role_id = $1
           AND (ar.account_id, ar.scope) > ($2, $3)
           AND ar.scope = COALESCE($4, ar.scope)
           AND \(RightsStore.isLive("ar"))
           AND \(OrganisationStore.isOfNoneRemoved("ar"))
         ORDER BY ar.account_id, ar.scope
         LIMIT $5
        """,
        kind: .list,
        binds: RoleID.self,
        AccountID.self,
        String.self,
        String?.self,
        Int32.self,
        decode: assignment
    )

    @Sendable private static func assignment(_ row: PostgresRow) throws -> Assignment {
        Assignment(
            account: try row.get(0, as: AccountID.self),
            role: try row.get(1, as: RoleID.self),
            roleName: try row.get(2, as: String.self),
            scope: RoleScope(shown: try row.get(3, as: String.self)),
            expiresAt: try row.get(4, as: Timestamp?.self),
            grantedAt: try row.get(5, as: Timestamp.self),
            grantedBy: try row.get(6, as: AccountID?.self)
        )
    }

    static var statements: [StatementInfo] {
        [count.info, assign.info, unassign.info, list.info, holders.info]
    }
}
