// The SQL of roles that are rights by their names alone: which they are, who holds them, and
// whether anything rests on one.
import Postgres
import Primitives

/// Statements on the names of roles.
enum RoleNameStore {
    /// Those of roles, and of all that they include, that reach no permission: giving one gives its
    /// name and nothing else.
    ///
    /// What every account has is no right of anybody's.
    static let alone = Statement(
        "role_names.alone",
        """
        \(RightsStore.included), filled AS (
            SELECT e.id
              FROM reach e
             WHERE EXISTS (SELECT FROM role_permissions p WHERE p.role_id = e.id)
            UNION
            SELECT i.role_id
              FROM filled f
              JOIN role_includes i ON i.included_id = f.id
              JOIN reach e ON e.id = i.role_id
        )
        SELECT r.id
          FROM reach e
          JOIN roles r ON r.id = e.id
         WHERE r.removed_at IS NULL
           AND r.id <> '\(BuiltInRole.member)'
           AND NOT EXISTS (SELECT FROM filled f WHERE f.id = r.id)
         ORDER BY r.id
        """,
        binds: [RoleID].self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// What an account has been given, wherever and as long as that may count.
    static let given = Statement(
        "role_names.given",
        "SELECT DISTINCT ar.role_id FROM account_roles ar WHERE ar.account_id = $1",
        binds: AccountID.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// Which of roles `$2` an account holds or reaches, by scope and end; in an organisation only
    /// as a member, and in none that is disabled.
    static let held = Statement(
        "role_names.held",
        """
        \(RightsStore.held())
        SELECT e.scope, e.expires_at, array_agg(DISTINCT e.role_id)
          FROM reach e
         WHERE e.role_id = ANY($2)
         GROUP BY e.scope, e.expires_at
        """,
        binds: AccountID.self,
        [RoleID].self,
        decode: { row in
            (
                try row.get(0, as: String.self), try row.get(1, as: Timestamp?.self),
                try row.get(2, as: [RoleID].self)
            )
        }
    )

    /// Whether somebody has a role, gets it by default or by another role, or a rule asks for it.
    static let isInUse = Statement(
        "role_names.is_in_use",
        """
        SELECT r.is_default
               OR EXISTS (SELECT FROM account_roles ar WHERE ar.role_id = r.id)
               OR EXISTS (SELECT FROM role_includes i WHERE i.included_id = r.id)
               OR EXISTS (SELECT FROM route_rules u WHERE r.name = ANY(u.roles))
          FROM roles r
         WHERE r.id = $1
        """,
        binds: RoleID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// Whether a route rule asks for a role of that name.
    static let isAskedFor = Statement(
        "role_names.is_asked_for",
        "SELECT EXISTS (SELECT FROM route_rules u WHERE $1 = ANY(u.roles))",
        binds: String.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    static var statements: [StatementInfo] {
        [alone.info, given.info, held.info, isInUse.info, isAskedFor.info]
    }
}
