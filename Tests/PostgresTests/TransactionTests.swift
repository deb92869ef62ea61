// Transactions: all or nothing, on a connection of their own, and no commit that was not confirmed.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct TransactionTests {
    private struct Stop: Error {}

    @Test func `a transaction commits when its body returns`() async throws {
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let count = try await pool.transaction { transaction in
                try await transaction.execute(SQL.insert(1))
                try await transaction.execute(SQL.insert(2))
                return try await transaction.rows(SQL.list()).count
            }
            #expect(count == 2)
            let stored = try await pool.rows(SQL.list())
            #expect(stored == [1, 2])
        }
    }

    @Test func `a transaction whose body throws leaves nothing`() async throws {
        try await withPool(SQL.itemsTable) { pool, metrics, _ in
            await #expect(throws: Stop.self) {
                try await pool.transaction { transaction in
                    try await transaction.execute(SQL.insert(1))
                    throw Stop()
                }
            }
            let stored = try await pool.rows(SQL.list())
            #expect(stored.isEmpty)
            #expect(metrics.value("watchword_postgres_transactions") == 0)
        }
    }

    @Test func `a failure that the body hides still fails the commit`() async throws {
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let error = await failure {
                try await pool.transaction { transaction in
                    try await transaction.execute(SQL.insert(1))
                    let hidden = await failure { try await transaction.execute(SQL.insert(1)) }
                    #expect(hidden?.isUniqueViolation(of: "items_key") == true)
                }
            }
            #expect(error?.sqlState == "25P02")
            let stored = try await pool.rows(SQL.list())
            #expect(stored.isEmpty)
        }
    }

    private static let warnAtCommit =
        SQL.itemsTable + """
            ;
            CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE WARNING 'not confirmed'; RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER late AFTER INSERT ON items
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()
            """

    @Test func `a warning at the commit is a failure (H8)`() async throws {
        try await withPool(Self.warnAtCommit) { pool, _, _ in
            let inTransaction = await failure {
                try await pool.transaction { transaction in
                    try await transaction.execute(SQL.insert(1))
                }
            }
            #expect(inTransaction?.sqlState == "01000")
            // Whoever asked may ask again: 503, and not 500.
            #expect(inTransaction?.isTransient == true)
            let alone = await failure { try await pool.execute(SQL.insertSolo(2)) }
            #expect(alone?.sqlState == "01000")
            let grouped = await withTaskGroup(of: PostgresError?.self) { group in
                for number in 3..<8 {
                    group.addTask { await failure { try await pool.execute(SQL.insert(number)) } }
                }
                return await group.reduce(into: [PostgresError?]()) { $0.append($1) }
            }
            let states = grouped.map { $0?.sqlState }
            #expect(states == Array(repeating: "01000", count: 5))
            // They did happen, as a commit does that its standby has not confirmed, and only once.
            let stored = try await pool.rows(SQL.list())
            #expect(stored == Array(1..<8))
        }
    }

    @Test func `a commit whose wait for the standby was cancelled is a failure (H8)`()
        async throws
    {
        try await withPool(SQL.itemsTable, on: .start(fsync: true)) { pool, metrics, _ in
            let pid = try await pool.first(SQL.backendOfWriter())
            try await pool.script("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            try await pool.script("SELECT pg_reload_conf()")
            // The server applies it in its own time: writes pass until one waits for the standby.
            async let unconfirmed = firstFailure(of: pool)
            let waits = try await eventually {
                try await pool.first(Self.waitEvent(pid ?? 0)) == "SyncRep"
            }
            #expect(waits)
            try await pool.script("SELECT pg_cancel_backend(\(pid ?? 0))")
            let error = await unconfirmed
            #expect(error?.sqlState == "01000")
        }
    }

    private func firstFailure(of pool: PostgresPool) async -> PostgresError? {
        let end = Deadline.after(.seconds(60))
        var number = 0
        while !end.hasPassed {
            number += 1
            let insert = SQL.insert(number)
            if let error = await failure({ try await pool.execute(insert) }) { return error }
        }
        return nil
    }

    private static let waitEvent = Statement(
        "test.wait_event",
        "SELECT coalesce(wait_event, '') FROM pg_stat_activity WHERE pid = $1",
        binds: Int32.self,
        decode: { try $0.get(0, as: String.self) }
    )

    @Test func `transactions beyond the limit wait for their turn`() async throws {
        try await withPool(SQL.itemsTable) {
            $0.transactionConnections = 2
            $0.waitLimit = .seconds(60)
            $0.statementDeadline = .seconds(60)
        } _: { pool, metrics, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try await pool.transaction { transaction in
                            try await transaction.execute(SQL.insert(number))
                            let held = metrics.value("watchword_postgres_transactions") ?? 99
                            #expect(held <= 2)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let stored = try await pool.rows(SQL.list())
            #expect(stored == Array(0..<20))
        }
    }

    @Test func `a cancelled transaction is rolled back and its connection is not used again`()
        async throws
    {
        try await withPool(SQL.itemsTable) { pool, metrics, _ in
            await withTaskGroup { group in
                group.addTask {
                    _ = try? await pool.transaction { transaction in
                        try await transaction.execute(SQL.insert(1))
                        _ = try await transaction.first(SQL.sleep(1, 20))
                    }
                }
                _ = try? await eventually { metrics.value("watchword_postgres_in_flight") == 1 }
                group.cancelAll()
            }
            let gone = try await eventually {
                metrics.value("watchword_postgres_transactions") == 0
            }
            #expect(gone)
            #expect(metrics.value("watchword_postgres_connections") == 4)
            let stored = try await pool.rows(SQL.list())
            #expect(stored.isEmpty)
        }
    }

    @Test func `a transaction that passes its deadline is rolled back`() async throws {
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let error = await failure {
                try await pool.transaction(deadline: .after(.milliseconds(100))) { transaction in
                    try await transaction.execute(SQL.insert(1))
                    _ = try await transaction.first(SQL.sleep(1, 20))
                }
            }
            #expect(error?.kind == .deadline)
            try await pool.execute(SQL.insert(1))
        }
    }
}
