// All roles are read page by page, and each page is of a moment of its own: a role that is made
// between two of them may be included by one that is read. It must not be missing then, or who
// holds the other is refused what he was given (W11).
import Access
import ClusterKit
import Logging
import Postgres
import Primitives
import Synchronization
import Testing

@Suite(.serialized) struct RolePagesTests {
    /// A pool where something happens before the second page of roles is read.
    private final class BetweenPages: PostgresExecutor {
        private let pool: PostgresPool
        private let event: @Sendable () async throws -> Void
        private let pages = Atomic<Int>(0)

        init(_ pool: PostgresPool, _ event: @escaping @Sendable () async throws -> Void) {
            self.pool = pool
            self.event = event
        }

        func result(
            of info: StatementInfo,
            parameters: [UInt8],
            deadline: Deadline?
        ) async throws -> PostgresResult {
            if info.name == "roles.page", pages.wrappingAdd(1, ordering: .relaxed).oldValue == 1 {
                try await event()
            }
            return try await pool.result(of: info, parameters: parameters, deadline: deadline)
        }
    }

    private static let source = "00000000-0000-7000-8000-0000000000f0"
    private static let chief = "00000000-0000-7000-a000-000000000001"

    @Test func `A role that is made between two pages is not missing in what includes it (W11)`()
        async throws
    {
        let chief = try #require(RoleID(Self.chief))
        try await Cluster.run { cluster in
            // More than a page of roles, with ids between the two that are made.
            try await cluster.run(
                """
                INSERT INTO roles (id, name, description, created_at)
                SELECT ('00000000-0000-7000-9000-' || lpad(n::text, 12, '0'))::uuid,
                       'filler-' || n, '', now()
                  FROM generate_series(1, 150) n
                """
            )
            let database = BetweenPages(cluster.nodes[0].pool) {
                try await cluster.run(
                    """
                    INSERT INTO roles (id, name, description, created_at)
                    VALUES ('\(Self.source)', 'source', '', now()),
                           ('\(Self.chief)', 'chief', '', now());
                    INSERT INTO role_permissions (role_id, permission)
                    VALUES ('\(Self.source)', 'orders:write');
                    INSERT INTO role_includes (role_id, included_id)
                    VALUES ('\(Self.chief)', '\(Self.source)')
                    """
                )
            }
            let keeper = RoleKeeper(
                database: database,
                readIndex: cluster.nodes[0].readIndex,
                readLimit: .seconds(30),
                logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
                metrics: MetricsRegistry()
            )
            try await keeper.load()
            let snapshot = try await keeper.snapshot(knowing: [chief])
            #expect(snapshot.roles[chief]?.name == "chief")
            #expect(snapshot.permits("orders:write", [chief]))
        }
    }
}
