// What a revocation costs: nothing any more, in the log or in memory, once no token that it covers
// can be alive.
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Web

@Suite(.serialized) struct SpentRevocationTests {
    private static let aDayLater = Statement(
        "tests.a_day_later",
        "SELECT clock_timestamp() + interval '1 day'",
        decode: { try $0.get(0, as: Timestamp.self) }
    )

    @Test func `the log lets go of what covers no living token, and of nothing else (S4-T4, W2)`()
        async throws
    {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            _ = try await cluster.signUp()
            try await node.partitions.tend()
            let pair = try await cluster.signIn()
            try await cluster.logOutEverywhere(pair)
            let rest = "SELECT extract(epoch FROM max(expires_at) - now()) FROM revocation_log"
            let seconds = try await cluster.number(rest)
            #expect((700...1020).contains(seconds), "\(seconds)")
            try await node.partitions.tend()
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 1)
            try await node.partitions.tend(by: Self.aDayLater)
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 0)
        }
    }

    @Test func `memory lets go of it too (S4-T4, W8)`() async throws {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let dead = try await cluster.signIn()
            try await cluster.logOut(dead)
            try await until("the set holds what is spent") {
                try await cluster.run(
                    """
                    INSERT INTO revocation_log (kind, subject, expires_at)
                    SELECT 2, uuid_send(gen_random_uuid()), clock_timestamp() - interval '2 minutes'
                      FROM generate_series(1, 500)
                    """
                )
                _ = try await cluster.judge(pair.accessToken)
                return node.value("watchword_revocation_set_size") > 400
            }
            // Each read sweeps a part of the set; a round begins half a minute after the last one.
            let deadline = Deadline.after(.seconds(240))
            while node.value("watchword_revocation_set_size") != 1 {
                try #require(!deadline.hasPassed, "the set has never been swept")
                for _ in 0..<256 { _ = try await cluster.judge(pair.accessToken) }
                try await Task.sleep(for: .milliseconds(250))
            }
            #expect(try await cluster.isRevokedEverywhere(dead.accessToken))
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        }
    }
}
