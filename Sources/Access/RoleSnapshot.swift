// Roles and what they permit, in every node's memory as one immutable value (revocation.md H27).
// A check never reads them from the database; an id this node has not met yet causes one reload
// and then grants nothing.
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle
import Synchronization

/// The roles that cannot be removed.
package enum BuiltInRole {
    /// Administers Watchword itself.
    package static let admin = RoleID(high: 0x7000, low: 0x8000_0000_0000_0001)
    /// What every account gets that signs up.
    package static let member = RoleID(high: 0x7000, low: 0x8000_0000_0000_0002)
}

/// All roles at one moment.
package struct RoleSnapshot: Sendable {
    /// One role.
    package struct Role: Sendable {
        /// Its name, unique, made of letters, digits, `.`, `_` and `-`.
        package let name: String
        /// What it permits.
        package let permissions: Set<String>
    }
    /// The roles by id.
    package let roles: [RoleID: Role]

    /// A snapshot of these roles.
    package init(_ roles: [RoleID: Role]) { self.roles = roles }

    /// The names of `ids`, sorted; an unknown id has none.
    package func names(of ids: [RoleID]) -> [String] {
        ids.compactMap { roles[$0]?.name }.sorted()
    }

    /// Whether any of `ids` permits `permission`.
    package func permits(_ permission: String, _ ids: [RoleID]) -> Bool {
        ids.contains { roles[$0]?.permissions.contains(permission) ?? false }
    }
}

/// Keeps the node's snapshot of the roles.
package final class RoleKeeper: Service {
    private struct State {
        var snapshot = RoleSnapshot([:])
        var askedAt: MonotonicInstant?
    }
    private let database: any PostgresExecutor
    private let logger: Logger
    private let state = Mutex(State())

    /// A keeper that has loaded nothing yet.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// The snapshot as it is now.
    package var snapshot: RoleSnapshot { state.withLock { $0.snapshot } }

    /// Reads the roles.
    package func reload() async throws {
        var roles: [RoleID: RoleSnapshot.Role] = [:]
        for (id, name, permissions) in try await database.rows(Self.list()) {
            roles[id] = RoleSnapshot.Role(name: name, permissions: Set(permissions))
        }
        let snapshot = RoleSnapshot(roles)
        state.withLock { $0.snapshot = snapshot }
    }

    /// The snapshot, read again first if it lacks one of `ids`; at most once a second.
    package func snapshot(knowing ids: [RoleID]) async throws -> RoleSnapshot {
        let now = MonotonicInstant.now
        let isDue = state.withLock { state in
            if ids.allSatisfy({ state.snapshot.roles[$0] != nil }) { return false }
            if let asked = state.askedAt, now - asked < .seconds(1) { return false }
            state.askedAt = now
            return true
        }
        if isDue { try await reload() }
        return snapshot
    }

    /// Reads the roles every minute until shutdown.
    package func run() async throws {
        while !Task.isShuttingDownGracefully {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(60)) }
                try await reload()
            } catch is CancellationError {
                return
            } catch {
                logger.warning("the roles could not be read again", metadata: ["error": "\(error)"])
            }
        }
    }

    static let list = Statement(
        "roles.list_with_permissions",
        """
        SELECT r.id, r.name,
               ARRAY(SELECT p.permission
                       FROM role_permissions p
                      WHERE p.role_id = r.id
                      ORDER BY p.permission)
          FROM roles r
         ORDER BY r.id
        """,
        decode: { row in
            (
                try row.get(0, as: RoleID.self), try row.get(1, as: String.self),
                try row.get(2, as: [String].self)
            )
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [list.info] }
}
