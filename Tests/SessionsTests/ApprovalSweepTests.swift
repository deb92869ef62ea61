// Approvals are forgotten a day after their time is over, and not before.
import Access
import ClusterKit
import Logging
import Testing

@Suite struct ApprovalSweepTests {
    @Test func `what is over for a day is forgotten, in pieces, and nothing else`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            try await cluster.run(
                """
                INSERT INTO approvals (id, account_id, request_digest, operation, method, target,
                                       if_match, body, created_at, expires_at)
                SELECT gen_random_uuid(), a.id, sha256(n::text::bytea), 'keys.rotate', 'POST', '/',
                       '', '', now() - age, now() - age + interval '1 hour'
                  FROM (SELECT id FROM accounts LIMIT 1) a,
                       (VALUES (interval '0'), ('2 hours'), ('24 hours'), ('26 hours')) v (age),
                       generate_series(1, 2500) g
                       CROSS JOIN LATERAL (SELECT g || age::text AS n) t
                """
            )
            let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
            try await ApprovalSweeper(database: cluster.nodes[0].pool, logger: logger).sweep()
            #expect(try await cluster.number("SELECT count(*) FROM approvals") == 7500)
            let old = "created_at < now() - interval '25 hours'"
            #expect(try await cluster.number("SELECT count(*) FROM approvals WHERE \(old)") == 0)
        }
    }
}
