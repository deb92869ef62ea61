// While nothing happens in the database a node asks for its snapshot alone. What that leaves out
// must be nothing: a snapshot that differs in any part is followed by a look into the log.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct GlanceTests {
    private func glances(_ cluster: Cluster) -> Int {
        cluster.nodes[0].value("watchword_revocation_glances_total")
    }

    /// Reads until the node has found two snapshots alike and glances.
    private func settle(_ cluster: Cluster) async throws {
        let before = glances(cluster)
        try await until("the node glances") {
            try await cluster.nodes[0].readIndex.confirm()
            return glances(cluster) > before
        }
    }

    @Test func `A commit that moves neither end of the snapshot is seen (S1)`() async throws {
        try await Cluster.run { cluster in
            let index = cluster.nodes[0].readIndex
            let revoked = RevocationSubject(.session, SessionID(high: 3, low: 4))
            let first = cluster.makePool(applicationName: "first")
            let second = cluster.makePool(applicationName: "second")
            try await first.transaction { oldest in
                try await oldest.script("SELECT pg_current_xact_id()")
                try await second.transaction { revoker in
                    try await revoker.script(
                        """
                        INSERT INTO revocation_log (kind, subject, expires_at)
                        VALUES (2, uuid_send('\(SessionID(high: 3, low: 4))'), revocation_expiry())
                        """
                    )
                    // Ends after both have begun: it is xmax that it moves, and the oldest is xmin.
                    try await cluster.run("CREATE TABLE latest (n int)")
                    try await settle(cluster)
                    #expect(!index.look { $0.contains(revoked) })
                }
                try await index.confirm()
                #expect(index.look { $0.contains(revoked) })
            }
            await first.close()
            await second.close()
        }
    }

    @Test func `Nodes that only glance see every revocation at once (S1)`() async throws {
        try await Cluster.run(2) { cluster in
            for round in 1...20 {
                try await settle(cluster)
                let session = SessionID(high: 5, low: UInt64(round))
                try await cluster.run(
                    """
                    INSERT INTO revocation_log (kind, subject, expires_at)
                    VALUES (2, uuid_send('\(session)'), revocation_expiry())
                    """
                )
                for node in cluster.nodes {
                    try await node.readIndex.confirm()
                    #expect(node.readIndex.look { $0.contains(.init(.session, session)) })
                }
            }
        }
    }

    /// How many reads have looked into the log.
    private func looks(_ cluster: Cluster) -> Int {
        cluster.nodes[0].value("watchword_revocation_reads_total") - glances(cluster)
    }

    @Test func `Two batches on the wire look into the log once for one change`() async throws {
        // Without WAL for standbys a lock takes no transaction number: the snapshot stays as it is.
        let server = try await PostgresServer.start(
            settings: ["wal_level=minimal", "max_wal_senders=0"]
        )
        try await Cluster.run(on: server) { cluster in
            let index = cluster.nodes[0].readIndex
            let session = SessionID(high: 7, low: 8)
            try await settle(cluster)
            let before = looks(cluster)
            let other = cluster.makePool(applicationName: "other")
            try await cluster.run(
                """
                INSERT INTO revocation_log (kind, subject, expires_at)
                VALUES (2, uuid_send('\(session)'), revocation_expiry())
                """
            )
            try await withThrowingTaskGroup { group in
                try await other.transaction { locker in
                    try await locker.script("LOCK TABLE revocation_log IN ACCESS EXCLUSIVE MODE")
                    group.addTask { try await index.confirm() }
                    try await until("the first looks") { looks(cluster) > before }
                    let reads = cluster.nodes[0].value("watchword_revocation_reads_total")
                    group.addTask { try await index.confirm() }
                    try await until("the second reads") {
                        cluster.nodes[0].value("watchword_revocation_reads_total") > reads
                    }
                }
                try await group.waitForAll()
            }
            #expect(index.look { $0.contains(.init(.session, session)) })
            #expect(looks(cluster) == before + 1)
            await other.close()
        }
    }
}
