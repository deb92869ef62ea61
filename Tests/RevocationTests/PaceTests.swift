// `revocation.pace`: reads of the log are so far apart, whatever the number of checks, and each
// check is still covered by a read that began after it.
import ClusterKit
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite struct PaceTests {
    @Test func `Checks in a loop read no more often than the pace allows, and miss nothing (S1)`()
        async throws
    {
        try await Cluster.run(set: ["revocation.pace": "50ms"]) { cluster in
            let index = cluster.nodes[0].readIndex
            try await index.confirm()
            let before = cluster.nodes[0].value("watchword_revocation_reads_total")
            let begun = MonotonicInstant.now
            try await withThrowingTaskGroup { group in
                for _ in 0..<20 {
                    group.addTask { for _ in 0..<5 { try await index.confirm() } }
                }
                try await group.waitForAll()
            }
            let elapsed = MonotonicInstant.now - begun
            let reads = cluster.nodes[0].value("watchword_revocation_reads_total") - before
            let most = elapsed.inSeconds / 0.05 + 2
            #expect(Double(reads) <= most, "\(reads) reads in \(elapsed)")
            #expect(reads >= 5)

            for number in 1...5 {
                let session = SessionID(high: 9, low: UInt64(number))
                try await cluster.run(
                    """
                    INSERT INTO revocation_log (kind, subject, expires_at)
                    VALUES (2, uuid_send('\(session)'), revocation_expiry());
                    """
                )
                try await index.confirm()
                #expect(index.look { $0.contains(RevocationSubject(.session, session)) })
            }
        }
    }
}
