// `auth_time`: what sets it, what keeps it, and how its age is told (row 178).
import ClusterKit
import Primitives
import Sessions
import Testing
import Tokens
import Web

@Suite(.serialized) struct RecentProofTests {
    private static let now = Timestamp(seconds: 1_800_000_000)

    /// Claims of a token that was minted `age` ago, of somebody who had signed in `before` that.
    private static func claims(age: Int64, before: Int64, isKey: Bool = false) -> AccessClaims {
        let issued = now - .seconds(age)
        var claims = AccessClaims(
            tokenID: ID(high: 1, low: 1),
            accountID: ID(high: 1, low: 2),
            sessionID: ID(high: 1, low: 3),
            clientID: "watchword",
            audience: "tests",
            signatureGeneration: 1,
            rightsVersion: 1,
            roles: [],
            scope: "",
            authenticatedAt: issued - .seconds(before),
            issuedAt: issued,
            expiresAt: issued + .minutes(15),
            keyID: ID(high: 1, low: 4)
        )
        claims.isKey = isKey
        return claims
    }

    @Test func `No clock makes a proof younger than it is (row 178)`() {
        let proof = RecentProof(within: .seconds(900))
        func isGiven(age: Int64, before: Int64, isKey: Bool = false) -> Bool {
            proof.isGiven(
                by: Self.claims(age: age, before: before, isKey: isKey),
                at: Self.now
            )
        }
        #expect(isGiven(age: 0, before: 0))
        #expect(isGiven(age: 900, before: 0))
        #expect(!isGiven(age: 901, before: 0))
        #expect(isGiven(age: 0, before: 900))
        #expect(!isGiven(age: 0, before: 901))
        #expect(!isGiven(age: 450, before: 451))
        // The clock was set back an hour since: as old as when the token was minted, at least.
        #expect(isGiven(age: -3600, before: 900))
        #expect(!isGiven(age: -3600, before: 901))
        // Later than its own token: of a clock that was ahead.
        #expect(!isGiven(age: 0, before: -1))
        #expect(!isGiven(age: -3600, before: -3600))
        // There is nothing that a machine could show again.
        #expect(isGiven(age: 5000, before: 0, isKey: true))
        let old = Self.claims(age: 0, before: 1_000_000)
        #expect(RecentProof(within: .zero).isGiven(by: old, at: Self.now))
        #expect(RecentProof(within: .zero).limit == nil)
    }

    /// Makes the only session one whose owner proved an hour ago who he is; when that was, in
    /// seconds.
    private static func age(_ cluster: Cluster) async throws -> Int64 {
        try await cluster.run(
            "UPDATE sessions SET authenticated_at = authenticated_at - interval '1 hour'"
        )
        return try await cluster.number(
            "SELECT floor(extract(epoch FROM authenticated_at)) FROM sessions"
        )
    }

    @Test func `A refresh keeps when its owner proved who he is; the password is a proof anew`()
        async throws
    {
        try await Cluster.run(set: ["sessions.refresh_grace": "60s"]) { cluster in
            _ = try await cluster.signUp()
            var pair = try await cluster.signIn()
            let then = try await Self.age(cluster)
            for _ in 0..<3 {
                let last = pair
                pair = try await cluster.refresh(last)
                #expect(try await cluster.claims(pair).authenticatedAt.seconds == then)
                // Nor does the same child once more.
                let again = try await cluster.refresh(last)
                #expect(try await cluster.claims(again).authenticatedAt.seconds == then)
            }
            let web = cluster.nodes[0].web
            pair = try await web.logOut.others(try await cluster.claims(pair), cluster.trace())
            #expect(try await cluster.claims(pair).authenticatedAt.seconds == then)
            let changed = try await web.changePassword(
                current: goodPassword,
                new: Secret("quite another harbour 77"),
                try await cluster.claims(pair),
                cluster.trace()
            )
            let claims = try await cluster.claims(changed)
            #expect(claims.authenticatedAt.seconds >= then + 3600)
            #expect(claims.authenticatedAt <= claims.issuedAt)
            #expect(
                try await cluster.claims(try await cluster.refresh(changed)).authenticatedAt
                    == claims.authenticatedAt
            )
        }
    }

    @Test func `A node whose clock is ahead makes no sign-in that stays recent (row 178)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            cluster.clock.advance(by: .hours(1))
            _ = try await cluster.signIn()
            let ahead = try await cluster.number(
                "SELECT count(*) FROM sessions WHERE authenticated_at > clock_timestamp()"
            )
            #expect(ahead == 0)
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM sessions WHERE created_at > clock_timestamp()"
                ) == 1
            )
        }
    }
}
