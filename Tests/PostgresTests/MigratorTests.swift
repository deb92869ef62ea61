// The migrator: each step once, in order, by one node at a time, and never on a schema it does not
// know.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct MigratorTests {
    private static let steps = [
        Migration(version: 1, name: "a", sql: "CREATE TABLE a (id bigint); SELECT pg_sleep(0.2)"),
        Migration(version: 2, name: "b", sql: "CREATE TABLE b (id bigint); CREATE INDEX ON b (id)"),
    ]

    @Test func `missing steps run once and the check then passes`() async throws {
        try await withPool { pool, _, _ in
            let migrator = Migrator(pool: pool, migrations: Self.steps)
            #expect(await error(of: migrator) == .outdated(database: 0, build: 2))
            let planned = try await migrator.plan()
            #expect(planned == Self.steps)
            let ran = try await migrator.migrate()
            #expect(ran == Self.steps)
            #expect(await error(of: migrator) == nil)
            let again = try await migrator.migrate()
            #expect(again.isEmpty)
        }
    }

    @Test func `of two migrators at once one waits and finds the work done`() async throws {
        try await withPool { pool, _, _ in
            let migrator = Migrator(pool: pool, migrations: Self.steps)
            async let one = migrator.migrate()
            async let other = migrator.migrate()
            let counts = try await [one.count, other.count]
            #expect(counts.sorted() == [0, 2])
        }
    }

    @Test func `a step whose text was changed after it was applied is found`() async throws {
        try await withPool { pool, _, _ in
            try await Migrator(pool: pool, migrations: Self.steps).migrate()
            let changed = [
                Self.steps[0], Migration(version: 2, name: "b", sql: "CREATE TABLE b (id int)"),
            ]
            let migrator = Migrator(pool: pool, migrations: changed)
            #expect(await error(of: migrator) == .changed(version: 2, name: "b"))
            await #expect(throws: MigrationError.changed(version: 2, name: "b")) {
                try await migrator.migrate()
            }
        }
    }

    @Test func `a database of a newer build is refused`() async throws {
        try await withPool { pool, _, _ in
            try await Migrator(pool: pool, migrations: Self.steps).migrate()
            let migrator = Migrator(pool: pool, migrations: [Self.steps[0]])
            #expect(await error(of: migrator) == .newer(database: 2, build: 1))
        }
    }

    @Test func `a failing step leaves nothing behind and the steps before it stay`() async throws {
        try await withPool { pool, _, _ in
            let broken = Migration(
                version: 2,
                name: "b",
                sql: "CREATE TABLE b (id bigint); CREATE TABLE a (id bigint)"
            )
            let migrator = Migrator(pool: pool, migrations: [Self.steps[0], broken])
            let thrown = await #expect(throws: MigrationError.self) {
                try await migrator.migrate()
            }
            guard case .failed(version: 2, _, let cause)? = thrown else {
                Issue.record("wrong error: \(String(describing: thrown))")
                return
            }
            #expect(cause.sqlState == "42P07")
            let left = try await Migrator(pool: pool, migrations: Self.steps).migrate()
            #expect(left.map(\.version) == [2])
        }
    }

    @Test func `a step gives up on a table that is in use`() async throws {
        try await withPool("CREATE TABLE a (id bigint)") { pool, _, _ in
            let step = Migration(version: 1, name: "c", sql: "ALTER TABLE a ADD COLUMN n text")
            let migrator = Migrator(
                pool: pool,
                migrations: [step],
                lockTimeout: .milliseconds(50)
            )
            try await pool.transaction { transaction in
                try await transaction.script("LOCK TABLE a IN ACCESS SHARE MODE")
                let thrown = await #expect(throws: MigrationError.self) {
                    try await migrator.migrate()
                }
                guard case .failed(_, _, let cause)? = thrown else { return }
                #expect(cause.sqlState == "55P03")
            }
            let ran = try await migrator.migrate()
            #expect(ran == [step])
        }
    }

    private func error(of migrator: Migrator) async -> MigrationError? {
        do {
            try await migrator.check()
            return nil
        } catch {
            return error as? MigrationError
        }
    }
}
