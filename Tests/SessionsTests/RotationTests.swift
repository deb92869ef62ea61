// What a rotation costs the database: one heap-only update of some three hundred bytes of log,
// wherever the session lies and however many of its page are refreshed at the same time.
import ClusterKit
import Postgres
import Primitives
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct RotationTests {
    /// Updates of sessions so far, by kind, and rows by partition.
    private struct Count: Equatable {
        var updated: Int64
        var heapOnly: Int64

        static func now(_ cluster: Cluster) async throws -> Count {
            func sum(_ what: String) -> String {
                """
                SELECT sum(pg_stat_get_tuples_\(what)(c.oid)) FROM pg_class c
                 WHERE c.relname LIKE 'sessions_p%' AND c.relkind = 'r'
                """
            }
            return Count(
                updated: try await cluster.number(sum("updated")),
                heapOnly: try await cluster.number(sum("hot_updated"))
            )
        }
    }

    /// Refreshes each of `pairs` `times` times, one after the other in turn.
    private func rotate(
        _ cluster: Cluster,
        _ pairs: [TokenPair],
        times: Int
    ) async throws -> Count {
        var pairs = pairs
        for _ in 0..<times {
            for index in pairs.indices { pairs[index] = try await cluster.refresh(pairs[index]) }
        }
        try await until("the statistics have arrived") {
            try await Count.now(cluster).updated >= Int64(pairs.count * times)
        }
        return try await Count.now(cluster)
    }

    /// How many sessions lie on each page, in the order of the pages.
    private func pages(_ cluster: Cluster) async throws -> [Int] {
        try await cluster.lines(
            """
            SELECT count(*)::text FROM sessions
             GROUP BY tableoid, (ctid::text::point)[0]
             ORDER BY tableoid, (ctid::text::point)[0]
            """
        ).compactMap { Int($0) }
    }

    @Test func `Every rotation is a heap-only update of less than 450 bytes, in every partition`()
        async throws
    {
        // On a server of its own, because the log is everybody's.
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            _ = try await cluster.signUp()
            var pairs: [TokenPair] = []
            for _ in 0..<3 {
                for _ in 0..<5 { pairs.append(try await cluster.signIn()) }
                // The next ones lie in the next week's partition.
                cluster.clock.advance(by: .days(7))
            }
            cluster.clock.advance(by: .days(-21))
            #expect(
                try await cluster.number("SELECT count(DISTINCT tableoid) FROM sessions") == 3
            )
            let log = "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
            let before = try await cluster.number("SELECT \(log)")
            let count = try await rotate(cluster, pairs, times: 15)
            let bytes = (try await cluster.number("SELECT \(log)") - before) / 225
            #expect(count == Count(updated: 225, heapOnly: 225))
            #expect(bytes <= 450, "\(bytes) bytes of WAL for each rotation")
        }
        await server.stop()
    }

    /// Nothing can be pruned while a snapshot from before is open, so what does not fit beside the
    /// rows moves to another page: this is what made some rotations cold under load.
    @Test func `A page whose sessions are all refreshed under one old snapshot has room for it`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            _ = try await cluster.signUp()
            var pairs: [TokenPair] = []
            for _ in 0..<60 { pairs.append(try await cluster.signIn()) }
            let before = try await pages(cluster)
            #expect(before.count >= 3 && before[0] >= 10, "sessions on each page: \(before)")
            let observer = cluster.makePool(applicationName: "observer")
            try await observer.transaction { transaction in
                try await transaction.script(
                    """
                    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
                    SELECT count(*) FROM sessions;
                    """
                )
                let count = try await rotate(cluster, pairs, times: 1)
                #expect(count == Count(updated: 60, heapOnly: 60), "pages: \(before)")
                #expect(try await pages(cluster) == before)
            }
            await observer.close()
        }
        await server.stop()
    }
}
