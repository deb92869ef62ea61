// Brings a database to the schema of this build. Under an advisory lock, so that of two nodes one
// waits; each step in a transaction of its own together with its row in `schema_migrations`, so
// that a step is either applied and recorded or neither. It never goes back.
package import Primitives

/// Runs migrations.
package struct Migrator: Sendable {
    /// The key of the advisory lock: "watchwrd".
    private static let lockKey: Int64 = 0x7761_7463_6877_7264

    private let pool: PostgresPool
    private let migrations: [Migration]
    private let lockTimeout: Duration

    /// A migrator for the steps of this build.
    ///
    /// - Parameters:
    ///   - pool: where to run them; one of its transaction connections is used.
    ///   - migrations: all steps; sorted here; versions 1, 2, 3 and so on, a gap is a bug.
    ///   - lockTimeout: how long a step may wait for a table that others use, before it gives up.
    package init(
        pool: PostgresPool,
        migrations: [Migration],
        lockTimeout: Duration = .seconds(5)
    ) {
        self.pool = pool
        self.migrations = migrations.sorted { $0.version < $1.version }
        self.lockTimeout = lockTimeout
        for (index, migration) in self.migrations.enumerated() {
            precondition(migration.version == index + 1, "migration \(index + 1) is missing")
        }
    }

    /// The version this build needs.
    package var version: Int { migrations.last?.version ?? 0 }

    /// The steps that `migrate` would run.
    ///
    /// - Throws: `MigrationError.newer`, `.changed`, `.gap`; or a fault.
    package func plan() async throws -> [Migration] {
        try await pool.session { try await plan(on: $0) }
    }

    /// Runs the steps that are missing.
    ///
    /// - Parameter deadline: for all of it, including the wait for another migrator.
    /// - Returns: the steps that were run.
    /// - Throws: `MigrationError`; or a fault.
    @discardableResult
    package func migrate(deadline: Deadline = .after(.hours(1))) async throws -> [Migration] {
        try await pool.session(deadline: deadline) { session in
            do {
                try await lock(session)
                try await session.script(Self.table)
                let pending = try await plan(on: session)
                for migration in pending { try await apply(migration, on: session) }
                _ = try await session.first(Self.unlock(Self.lockKey))
                return pending
            } catch {
                // The lock belongs to the connection and must not go back to the pool with it.
                session.discard()
                throw error
            }
        }
    }

    /// Makes sure that the database is exactly at the version this build needs.
    ///
    /// - Throws: `MigrationError`, whose text names the command that mends it; or a fault.
    package func check() async throws {
        let pending = try await plan()
        if let first = pending.first {
            throw MigrationError.outdated(database: first.version - 1, build: version)
        }
    }

    /// Waits for the lock in short tries, so that the wait holds neither a snapshot, which would
    /// stop a `CREATE INDEX CONCURRENTLY` of the other, nor runs into `lock_timeout`.
    private func lock(_ session: PostgresSession) async throws {
        while try await session.first(Self.tryLock(Self.lockKey)) != true {
            try await Task.sleep(for: .milliseconds(50))
            guard !session.deadline.hasPassed else {
                throw PostgresError(.deadline, "another migrator is still at work")
            }
        }
    }

    private func plan(on session: PostgresSession) async throws -> [Migration] {
        let exists = try await session.first(Self.tableExists()) == true
        let applied = exists ? try await session.rows(Self.applied()) : []
        return try MigrationPlan(known: migrations, applied: applied).pending
    }

    private func apply(_ migration: Migration, on session: PostgresSession) async throws {
        do {
            let milliseconds = lockTimeout.wholeMicroseconds / 1000
            try await session.script("BEGIN; SET LOCAL lock_timeout = \(milliseconds)")
            try await session.script(migration.sql)
            try await session.execute(
                Self.record(migration.version, migration.name, migration.checksum)
            )
            try await session.commit()
        } catch let error as PostgresError {
            await session.rollBack()
            throw MigrationError.failed(
                version: migration.version,
                name: migration.name,
                cause: error
            )
        }
    }

    private static let table = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version bigint NOT NULL CONSTRAINT schema_migrations_key PRIMARY KEY,
            name text NOT NULL,
            checksum text NOT NULL,
            applied_at timestamptz NOT NULL
        )
        """
    private static let tryLock = Statement(
        "migrations.try_lock",
        "SELECT pg_try_advisory_lock($1)",
        kind: .solo,
        binds: Int64.self,
        decode: { try $0.get(0, as: Bool.self) }
    )
    private static let unlock = Statement(
        "migrations.unlock",
        "SELECT pg_advisory_unlock($1)",
        kind: .solo,
        binds: Int64.self,
        decode: { try $0.get(0, as: Bool.self) }
    )
    private static let tableExists = Statement(
        "migrations.table_exists",
        "SELECT to_regclass('schema_migrations') IS NOT NULL",
        decode: { try $0.get(0, as: Bool.self) }
    )
    private static let applied = Statement(
        "migrations.applied",
        "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
        decode: { row in
            MigrationPlan.Applied(
                version: try row.get(0),
                name: try row.get(1),
                checksum: try row.get(2)
            )
        }
    )
    private static let record = Statement(
        "migrations.record",
        """
        INSERT INTO schema_migrations (version, name, checksum, applied_at)
        VALUES ($1, $2, $3, clock_timestamp())
        """,
        kind: .solo,
        binds: Int.self,
        String.self,
        String.self
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [tryLock.info, unlock.info, tableExists.info, applied.info, record.info]
    }
}
