// Holes of revocation.md section 2 that no other suite is about: clocks that differ, and writers
// that hold the snapshot back. The whole list is docs/operations/holes.md.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import Testing

@Suite(.serialized) struct HoleTests {
    @Test func `A node whose clock goes wrong forgets no revocation too early (H13, A5, W2)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            let ended = try await cluster.signIn()
            try await cluster.logOut(ended)
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            // By the node's clock token and entry are long over; then it is put right.
            cluster.clock.advance(by: .hours(2))
            for _ in 0..<600 { try await cluster.nodes[0].readIndex.confirm() }
            #expect(try await cluster.flaws(kept.accessToken) == [.expired, .expired])
            cluster.clock.advance(by: .hours(-2))
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            // Behind the database's clock it accepts nobody who is revoked either.
            cluster.clock.advance(by: .hours(-1))
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
        }
    }

    @Test func `A node that is a day ahead drops no revocation of a living token (H13, W2)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let ended = try await cluster.signIn()
            try await cluster.logOut(ended)
            cluster.clock.advance(by: .days(1))
            try await cluster.nodes[0].partitions.tend()
            cluster.clock.advance(by: .days(-1))
            // A node that starts now has nothing but the log.
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 1)
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
        }
    }

    @Test func `While a long writer is open every revocation is seen at once (H22, H1, W1)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            let blocker = cluster.makePool(applicationName: "blocker")
            let low = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            var ended: [TokenPair] = []
            try await blocker.transaction { transaction in
                try await transaction.script("SELECT pg_current_xact_id()")
                // Numbers are the server's: what else runs on it may be older than the blocker.
                let held = try await cluster.number(
                    """
                    SELECT min(backend_xid::text::bigint) FROM pg_stat_activity
                     WHERE datname = current_database() AND state = 'idle in transaction'
                    """
                )
                try #require(held > 0)
                for number in 0..<10 {
                    let pair = try await cluster.signIn(on: number % 2)
                    try await cluster.logOut(pair, on: number % 2)
                    ended.append(pair)
                    for old in ended {
                        #expect(try await cluster.isRevokedEverywhere(old.accessToken))
                    }
                }
                #expect(try await cluster.number(low) <= held)
            }
            await blocker.close()
            #expect(try await cluster.number(low) > 0)
            for old in ended { #expect(try await cluster.isRevokedEverywhere(old.accessToken)) }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
    }
}
