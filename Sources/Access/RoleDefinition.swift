// One role as the database has it, and the SQL that reads roles for the snapshot: those that are
// named, or page by page all there are.
import Postgres
package import Primitives

/// A role as it is defined.
package struct RoleDefinition: Sendable {
    /// The role.
    package let id: RoleID
    /// Its name, unique among those that are not removed.
    package let name: String
    /// Grows with each change.
    package let version: Int64
    /// Whether it grants nothing any more.
    package let isRemoved: Bool
    /// What it permits by itself.
    package let permissions: [String]
    /// The roles that it includes.
    package let includes: [RoleID]

    /// A role.
    package init(
        id: RoleID,
        name: String,
        version: Int64,
        isRemoved: Bool,
        permissions: [String],
        includes: [RoleID]
    ) {
        self.id = id
        self.name = name
        self.version = version
        self.isRemoved = isRemoved
        self.permissions = permissions
        self.includes = includes
    }
}

/// Statements that read roles.
enum RoleReadStore {
    /// How many roles a page has.
    static let pageSize = 100

    /// What the role `r` holds by name: its permissions and the roles that it includes.
    static let contents = """
        ARRAY(SELECT p.permission
                       FROM role_permissions p
                      WHERE p.role_id = r.id
                      ORDER BY p.permission),
               ARRAY(SELECT i.included_id
                       FROM role_includes i
                      WHERE i.role_id = r.id
                      ORDER BY i.included_id)
        """

    private static let columns = "r.id, r.name, r.version, r.removed_at IS NOT NULL, \(contents)"

    /// A page of all roles, after one of them.
    static let page = Statement(
        "roles.page",
        """
        SELECT \(columns)
          FROM roles r
         WHERE r.id > $1
         ORDER BY r.id
         LIMIT \(pageSize)
        """,
        kind: .urgent,
        binds: RoleID.self,
        decode: decode
    )

    /// Some roles, and all that they include: a node may have met none of them.
    static let find = Statement(
        "roles.find",
        """
        \(RightsStore.included)
        SELECT \(columns)
          FROM reach e
          JOIN roles r ON r.id = e.id
        """,
        kind: .urgent,
        binds: [RoleID].self,
        decode: decode
    )

    @Sendable private static func decode(_ row: PostgresRow) throws -> RoleDefinition {
        RoleDefinition(
            id: try row.get(0, as: RoleID.self),
            name: try row.get(1, as: String.self),
            version: try row.get(2, as: Int64.self),
            isRemoved: try row.get(3, as: Bool.self),
            permissions: try row.get(4, as: [String].self),
            includes: try row.get(5, as: [RoleID].self)
        )
    }
}
