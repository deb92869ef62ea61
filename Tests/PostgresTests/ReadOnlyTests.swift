// A primary that takes no writes any more, because it was demoted or fenced: nobody stays with it,
// neither to write nor to read, for what its successor commits is not to be seen there (W1).
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct ReadOnlyTests {
    private static let folderToRead = Statement(
        "test.folder_to_read",
        "SELECT current_setting('unix_socket_directories')",
        decode: { try $0.get(0, as: String.self) }
    )
    private static let folderToReadAtOnce = Statement(
        "test.folder_to_read_at_once",
        "SELECT current_setting('unix_socket_directories')",
        kind: .urgent,
        decode: { try $0.get(0, as: String.self) }
    )
    private static let write = Statement(
        "test.folder_to_write",
        """
        INSERT INTO items (id) VALUES ($1)
        RETURNING current_setting('unix_socket_directories')
        """,
        kind: .write,
        binds: Int.self,
        decode: { try $0.get(0, as: String.self) }
    )

    private func set(_ server: PostgresServer, isReadOnly: Bool) async throws {
        try await server.script(
            isReadOnly
                ? "ALTER SYSTEM SET default_transaction_read_only = on"
                : "ALTER SYSTEM RESET default_transaction_read_only"
        )
        try await server.script("SELECT pg_reload_conf()")
    }

    /// Writes until the server refuses because it is read-only; rows from `number` on.
    private func untilRefused(_ pool: PostgresPool, from number: Int) async throws -> Bool {
        var number = number
        return try await eventually {
            number += 1
            let insert = Self.write(number)
            return await failure { _ = try await pool.first(insert) }?.sqlState == "25006"
        }
    }

    @Test func `a primary that became read-only is left for the one that writes (H10)`()
        async throws
    {
        let old = try await PostgresServer.start()
        let new = try await PostgresServer.start()
        for server in [old, new] { try await server.script(SQL.itemsTable) }
        var configuration = PostgresConfiguration(
            "host=\(old.folder),\(new.folder) user=postgres dbname=postgres"
        )
        configuration.minimumBackOff = .milliseconds(5)
        configuration.maximumBackOff = .milliseconds(50)
        let group = MultiThreadedGroup.three
        let metrics = MetricsRegistry()
        let pool = makePool(configuration, group, metrics)
        try await pool.start()
        for number in 0..<6 {
            let writes = try await pool.first(Self.write(number))
            let reads = try await pool.first(Self.folderToRead())
            #expect(writes == old.folder && reads == old.folder)
        }
        try await set(old, isReadOnly: true)
        let isRefused = try await untilRefused(pool, from: 1000)
        #expect(isRefused)
        // One refusal on one loop is enough: the connections of all loops, reading and writing,
        // come to the other server without a statement having failed on each.
        let hasMoved = try await eventually {
            var folders: Set<String> = []
            for _ in 0..<6 {
                folders.insert(try await answer(pool, Self.folderToRead()))
                folders.insert(try await answer(pool, Self.folderToReadAtOnce()))
            }
            return folders == [new.folder]
        }
        #expect(hasMoved)
        let writes = try await eventually {
            await failure { _ = try await pool.first(Self.write(Int.random(in: 5000...1 << 40))) }
                == nil
        }
        #expect(writes)
        let isWhole = try await eventually {
            metrics.value("watchword_postgres_connections") == 12
        }
        #expect(isWhole)
        await pool.close()
        await old.stop()
        await new.stop()
    }

    @Test func `a lone primary that was read-only for a while is written to again`() async throws {
        let server = try await PostgresServer.start()
        try await withPool(SQL.itemsTable, on: server) {
            $0.waitLimit = .seconds(2)
            $0.minimumBackOff = .milliseconds(5)
            $0.maximumBackOff = .milliseconds(50)
        } _: { pool, metrics, _ in
            try await set(server, isReadOnly: true)
            let isRefused = try await untilRefused(pool, from: 0)
            #expect(isRefused)
            let isLeft = try await eventually {
                metrics.value("watchword_postgres_connections") == 0
            }
            #expect(isLeft)
            let error = await failure { _ = try await pool.first(Self.write(1 << 40)) }
            #expect(error?.isTransient == true)
            try await set(server, isReadOnly: false)
            let writes = try await eventually {
                await failure { _ = try await pool.first(Self.write(.random(in: 5000...1 << 40))) }
                    == nil
            }
            #expect(writes)
            let reads = try await eventually {
                await failure { try await pool.rows(SQL.list()) } == nil
            }
            #expect(reads)
        }
        await server.stop()
    }

    private func answer(_ pool: PostgresPool, _ query: Query<String>) async throws -> String {
        do {
            return try await pool.first(query) ?? ""
        } catch let error as PostgresError where error.isTransient {
            return "\(error)"
        }
    }
}
