// The first reading of the log, before a node serves anybody: it waits for a database that is away
// for a moment, where a check would have been refused.
import ClusterKit
import Glibc
import Logging
import Postgres
import Primitives
import Revocation
import TestKit
import Testing

@Suite(.serialized) struct StartTests {
    private func index(_ cluster: Cluster, _ metrics: MetricsRegistry) -> ReadIndex {
        ReadIndex(
            database: cluster.nodes[0].pool,
            members: cluster.nodes[0].members,
            revoker: cluster.nodes[0].revoker,
            readLimit: .milliseconds(10),
            clock: .system,
            entropy: .system,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
            metrics: metrics
        )
    }

    private func reads(_ metrics: MetricsRegistry) -> Int {
        let name = "watchword_revocation_reads_total "
        let lines = metrics.exposition().split(separator: "\n")
        return lines.first { $0.hasPrefix(name) }.flatMap { Int($0.dropFirst(name.count)) } ?? 0
    }

    @Test func `The first reading is tried again until a paused database answers (W10)`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            let metrics = MetricsRegistry()
            let fresh = index(cluster, metrics)
            server.signalAll(SIGSTOP)
            defer { server.signalAll(SIGCONT) }
            await #expect(throws: PostgresError.self) {
                try await fresh.load(within: .milliseconds(100), patience: .zero)
            }
            #expect(fresh.known.readAt == nil)
            try await withThrowingTaskGroup { group in
                group.addTask { try await fresh.load(within: .milliseconds(100)) }
                try await until("it has been tried several times") { reads(metrics) >= 4 }
                server.signalAll(SIGCONT)
                try await group.waitForAll()
            }
            #expect(fresh.known.readAt != nil)
        }
        await server.stop()
    }

    @Test func `The first reading may take longer than a check waits`() async throws {
        try await Cluster.run { cluster in
            let metrics = MetricsRegistry()
            let fresh = index(cluster, metrics)
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { group in
                try await blocker.transaction { transaction in
                    try await transaction.script("LOCK TABLE revocation_authority")
                    group.addTask { try await fresh.load() }
                    try await cluster.untilBlocked()
                    // Longer than the 10 ms that a check of this index waits.
                    try await Task.sleep(for: .milliseconds(100))
                }
                try await group.waitForAll()
            }
            await blocker.close()
            #expect(reads(metrics) == 1)
        }
    }
}
