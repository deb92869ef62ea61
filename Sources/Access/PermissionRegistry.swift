// The permissions there are: names with a description, declared before a role can hold them, so
// that a misspelt one is refused and not granted to nobody. Watchword's own stay as they are.
import Audit
package import Postgres
package import Primitives

/// A declared permission.
package struct PermissionView: Sendable {
    /// `namespace:verb`.
    package let name: String
    /// What it allows.
    package let description: String
    /// Whether Watchword itself asks for it.
    package let isBuiltIn: Bool
    /// Since when it is declared.
    package let createdAt: Timestamp

    /// A permission.
    package init(name: String, description: String, isBuiltIn: Bool, createdAt: Timestamp) {
        self.name = name
        self.description = description
        self.isBuiltIn = isBuiltIn
        self.createdAt = createdAt
    }
}

/// Declares permissions.
package struct PermissionRegistry: Sendable {
    /// The most permissions.
    package static let limit = 20_000

    let database: PostgresPool
    let entropy: Entropy

    /// The use cases.
    package init(database: PostgresPool, entropy: Entropy) {
        self.database = database
        self.entropy = entropy
    }

    /// Permissions in the order of their names.
    package func list(_ request: PageRequest) async throws -> Page<PermissionView> {
        let after = request.cursor.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
        let rows = try await database.rows(PermissionStore.list(after, request.rowLimit))
        return Page(rows, of: request) { Array($0.name.utf8) }
    }

    /// Declares one.
    ///
    /// - Throws: `RoleRefusal.nameTaken`, `.limitReached`; or a fault.
    package func create(
        _ name: String,
        _ description: String,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> PermissionView {
        let binds = AuditBinds(trace, entropy: entropy)
        let query = PermissionStore.insert(
            name,
            description,
            grantor.account,
            binds
        )
        do {
            // A transaction, though of one statement: an idempotency key is marked in it, or not
            // where it is refused.
            return try await database.transaction { transaction in
                guard let made = try await transaction.first(query) else {
                    throw RoleRefusal.limitReached
                }
                return made
            }
        } catch let error as PostgresError where error.isUniqueViolation(of: "permissions_pkey") {
            throw RoleRefusal.nameTaken
        }
    }

    /// Describes one anew; not one of Watchword's own, whose descriptions say what its gates ask.
    ///
    /// - Throws: `RoleRefusal.notFound`, `.builtIn`; or a fault.
    package func describe(
        _ name: String,
        as description: String,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> PermissionView {
        let binds = AuditBinds(trace, entropy: entropy)
        let changed = try await database.first(
            PermissionStore.update(
                name,
                description,
                grantor.account,
                binds
            )
        )
        if let changed { return changed }
        // No permission becomes built in or ceases to be, so what is there still is the reason.
        let found = try await database.first(PermissionStore.find(name))
        throw found == nil ? RoleRefusal.notFound : RoleRefusal.builtIn
    }

    /// Takes one away that no role holds by name.
    ///
    /// - Throws: `RoleRefusal.notFound`, `.builtIn`, `.inUse`; or a fault.
    package func remove(
        _ name: String,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        try await database.transaction { transaction in
            // A role that is about to hold it waits, or is seen.
            _ = try await transaction.rows(RoleStore.lockAll())
            guard let found = try await transaction.first(PermissionStore.find(name)) else {
                throw RoleRefusal.notFound
            }
            if found.isBuiltIn { throw RoleRefusal.builtIn }
            let removed = try await transaction.first(
                PermissionStore.remove(
                    name,
                    grantor.account,
                    binds
                )
            )
            guard removed != nil else { throw RoleRefusal.inUse }
        }
    }
}

/// Statements on permissions.
enum PermissionStore {
    private static let columns = "p.name, p.description, p.built_in, p.created_at"

    static let list = Statement(
        "permissions.list",
        """
        SELECT \(columns)
          FROM permissions p
         WHERE p.name > $1
         ORDER BY p.name
         LIMIT $2
        """,
        kind: .list,
        binds: String.self,
        Int32.self,
        decode: view
    )

    static let find = Statement(
        "permissions.find",
        "SELECT \(columns) FROM permissions p WHERE p.name = $1",
        binds: String.self,
        decode: view
    )

    static let insert = writing(
        "permissions.insert",
        """
        INSERT INTO permissions (name, description, created_at)
            SELECT $1, $2, $5
             WHERE (SELECT count(*) FROM permissions) < \(PermissionRegistry.limit)
        """,
        .permissionCreated
    )

    static let update = writing(
        "permissions.update",
        """
        UPDATE permissions
               SET description = $2
             WHERE name = $1
               AND NOT built_in
        """,
        .permissionChanged
    )

    private static func writing(
        _ name: String,
        _ change: String,
        _ action: AuditAction
    ) -> Statement<PermissionView, String, String, AccountID, AuditBinds> {
        Statement(
            name,
            """
            WITH p AS (
                \(change)
                RETURNING name, description, built_in, created_at
            ), \(AuditLog.append(
                as: "audited",
                action,
                account: "NULL",
                actor: "$3::uuid",
                detail: "jsonb_build_object('permission', p.name)",
                from: "p",
                binds: 4
            ))
            SELECT \(columns) FROM p
            """,
            kind: .solo,
            binds: String.self,
            String.self,
            AccountID.self,
            AuditBinds.self,
            decode: view
        )
    }

    static let remove = Statement(
        "permissions.remove",
        """
        WITH p AS (
            DELETE FROM permissions d
             WHERE d.name = $1
               AND NOT d.built_in
               AND NOT EXISTS (SELECT FROM role_permissions h WHERE h.permission = d.name)
            RETURNING name
        ), \(AuditLog.append(
            as: "audited",
            .permissionRemoved,
            account: "NULL",
            actor: "$2::uuid",
            detail: "jsonb_build_object('permission', p.name)",
            from: "p",
            binds: 3
        ))
        SELECT name FROM p
        """,
        kind: .solo,
        binds: String.self,
        AccountID.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: String.self) }
    )

    @Sendable private static func view(_ row: PostgresRow) throws -> PermissionView {
        PermissionView(
            name: try row.get(0, as: String.self),
            description: try row.get(1, as: String.self),
            isBuiltIn: try row.get(2, as: Bool.self),
            createdAt: try row.get(3, as: Timestamp.self)
        )
    }

    static var statements: [StatementInfo] {
        [list.info, find.info, insert.info, update.info, remove.info]
    }
}
