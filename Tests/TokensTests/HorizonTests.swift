// The longest life that any token may have, when it falls: what outlives it is refused, because the
// revocations that cover it may be gone (revocation.md 1.9).
import ClusterKit
import Primitives
import Sessions
import Testing
import Web

@testable import Tokens

@Suite(.serialized) struct HorizonTests {
    @Test func `A token that outlives a lowered horizon is refused, remembered or not (W2, W10)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            var claims = try await cluster.claims(pair)
            let now = cluster.trace().now
            let key = try #require(cluster.nodes[0].keys.ring.current(.accessToken, at: now))
            claims.expiresAt = Timestamp(seconds: claims.issuedAt.seconds) + .seconds(3600)
            let issuer = "http://127.0.0.1:8000"
            let text = try AccessTokenWriter.sign(claims, issuer: issuer, with: key)
            let long = Secret(text)
            // As long as nobody mints such tokens it is nobody's.
            #expect(try await cluster.flaws(long) == [.invalid, .invalid])
            // A node with longer tokens joins: by the next read all know.
            try await cluster.run(
                "INSERT INTO token_lifetimes VALUES (3600, clock_timestamp())"
            )
            #expect(try await cluster.flaws(long) == [nil, nil])
            // It left long ago. Both nodes remember the token, and refuse it.
            try await cluster.run(
                """
                UPDATE token_lifetimes SET asserted_at = clock_timestamp() - interval '4201 seconds'
                 WHERE lifetime_s = 3600
                """
            )
            #expect(try await cluster.flaws(long) == [.invalid, .invalid])
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            try await cluster.run("DELETE FROM token_lifetimes WHERE lifetime_s = 3600")
            #expect(try await cluster.flaws(long) == [.invalid, .invalid])
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        }
    }
}
