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
        /// What it permits; `orders:*` is all of a namespace, `*:*` everything.
        package let permissions: Set<String>

        func permits(_ permission: String) -> Bool {
            if permissions.contains(permission) || permissions.contains("*:*") { return true }
            guard let colon = permission.firstIndex(of: ":") else { return false }
            return permissions.contains(permission[...colon] + "*")
        }
    }
    /// The roles by id.
    package let roles: [RoleID: Role]

    /// A snapshot of these roles.
    package init(_ roles: [RoleID: Role]) { self.roles = roles }

    /// The names of `ids`, sorted; an unknown id has none.
    package func names(of ids: [RoleID]) -> [String] {
        ids.compactMap { roles[$0]?.name }.sorted()
    }

    /// Whether any of `ids` permits `permission`, which is a whole name: `*` has no meaning in it.
    package func permits(_ permission: String, _ ids: [RoleID]) -> Bool {
        ids.contains { roles[$0]?.permits(permission) ?? false }
    }
}

/// Keeps the node's snapshot of the roles.
package final class RoleKeeper: Service {
    /// The roles are read all at once.
    private enum Everything { case everything }
    private struct State {
        var snapshot = RoleSnapshot([:])
        /// Ids that were looked for and are not there, with when; they were deleted.
        var absent: [RoleID: MonotonicInstant] = [:]
        /// Counts the readings; what was made from an older one is made anew.
        var generation = 0
        /// Which news of the revocation log the snapshot holds.
        var holds = 0
    }
    private let database: any PostgresExecutor
    private let logger: Logger
    private let state = Mutex(State())
    private let held: HeldRoles
    private let reads = SharedRead<Everything>()

    /// A keeper that has loaded nothing yet.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
        held = HeldRoles(database: database)
    }

    /// The snapshot as it is now.
    package var snapshot: RoleSnapshot { state.withLock { $0.snapshot } }

    /// The snapshot, and a number that is another one for each that was read.
    package var current: (snapshot: RoleSnapshot, generation: Int) {
        state.withLock { ($0.snapshot, $0.generation) }
    }

    /// Which of the news of the revocation log about roles the snapshot holds.
    package var heldChanges: Int { state.withLock { $0.holds } }

    /// Reads the roles, unless a reading that began after so many of these news has done so.
    ///
    /// One statement for all who wait.
    package func catchUp(to changes: Int) async throws {
        // Who has waited twice for a reading that was begun too early has waited enough.
        for _ in 0..<3 where heldChanges < changes {
            _ = try await reads.run(.everything) {
                try await reload()
                state.withLock { $0.holds = max($0.holds, changes) }
            }
        }
        guard heldChanges >= changes else { throw SharedReadFault.unread }
    }

    /// Reads the roles.
    package func reload() async throws {
        var roles: [RoleID: RoleSnapshot.Role] = [:]
        for (id, name, permissions) in try await database.rows(Self.list()) {
            roles[id] = RoleSnapshot.Role(name: name, permissions: Set(permissions))
        }
        let snapshot = RoleSnapshot(roles)
        state.withLock {
            $0.snapshot = snapshot
            $0.generation += 1
        }
    }

    /// The snapshot, read again first if it lacks one of `ids`.
    ///
    /// Those who lack something at the same time share one read; an id that was not found is looked
    /// for again a second later at the earliest, and until then grants nothing.
    package func snapshot(knowing ids: [RoleID]) async throws -> RoleSnapshot {
        // More rounds would only be for ids that others' reads did not look for.
        for _ in 0..<3 {
            let (snapshot, missing) = lacking(ids)
            guard !missing.isEmpty else { return snapshot }
            let isRead = try await reads.run(.everything) { try await reload() }
            if isRead { noteAbsent(missing) }
        }
        return snapshot
    }

    private func lacking(_ ids: [RoleID]) -> (RoleSnapshot, [RoleID]) {
        state.withLock { state in
            let missing = ids.filter { state.snapshot.roles[$0] == nil }
            guard !missing.isEmpty else { return (state.snapshot, []) }
            let now = MonotonicInstant.now
            return (
                state.snapshot,
                missing.filter { id in
                    state.absent[id].map { now - $0 >= Self.absence } ?? true
                }
            )
        }
    }

    private func noteAbsent(_ ids: [RoleID]) {
        let now = MonotonicInstant.now
        state.withLock { state in
            if state.absent.count >= Self.absentLimit { state.absent = [:] }
            for id in ids where state.snapshot.roles[id] == nil { state.absent[id] = now }
        }
    }

    /// How long an id that is not there is not looked for.
    private static let absence: Duration = .seconds(1)
    /// The most such ids that are remembered.
    private static let absentLimit = 10_000

    /// What `account` holds, for a token that could not carry all of it.
    ///
    /// One statement a minute for each such account, however many ask; never older than `version`
    /// of its rights.
    package func roles(of account: AccountID, version: Int64) async throws -> [RoleID] {
        try await held.roles(of: account, version: version)
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
    package static var statements: [StatementInfo] { [list.info, HeldRoles.find.info] }
}
