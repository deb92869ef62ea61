// What an access token says and for what it is good: names of things and times, nothing of the
// person, and no two tokens with one name.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import Testing
import Tokens
import Web

@Suite(.serialized) struct ClaimsTests {
    /// The members of one of the parts of a compact token.
    private func members(_ token: Secret, part: Int) throws -> [String: JSONValue] {
        let parts = token.exposed.split(separator: UInt8(ascii: "."))
        let bytes = try #require(Base64URL.decode(parts[part]))
        guard case .object(let members) = try JSONReader.read(bytes) else {
            throw Unexpected("a part of a token is no object")
        }
        return members
    }

    @Test
    func
        `an access token names account, session, roles and times only (S0-16, S1-23, S3-7, S4-11)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let key = try await cluster.claims(pair).keyID
            #expect(
                try members(pair.accessToken, part: 0) == [
                    "alg": .text("ES256"), "kid": .text("\(key)"), "typ": .text("at+jwt"),
                ]
            )
            let claims = try members(pair.accessToken, part: 1)
            let names: Set<String> = [
                "iss", "aud", "sub", "client_id", "exp", "iat", "iat_ms", "auth_time", "jti", "sid",
                "sgn", "rlv", "roles", "scope",
            ]
            #expect(Set(claims.keys) == names)
            #expect(claims["sub"] == .text("\(account)"))
            #expect(claims["sid"] == .text("\(pair.sessionID)"))
            let role = try await cluster.text("SELECT id FROM roles WHERE name = 'member'")
            #expect(claims["roles"] == .list([.text(role)]))
            guard case .integer(let issued) = claims["iat"], case .integer(let end) = claims["exp"]
            else { throw Unexpected("a time is no integer") }
            #expect(end - issued == 900)
            // Nothing of the person travels: no name, no address, no device (S0-18).
            let text = String(
                decoding: try #require(
                    Base64URL.decode(pair.accessToken.exposed.split(separator: 46)[1])
                ),
                as: UTF8.self
            )
            for personal in ["ada", "example.org", "192.0.2.7", "tests"] {
                #expect(!text.contains(personal), "\(personal) is in the token")
            }
        }
    }

    @Test func `the signature's generation is in every token of an account (S4-3, S3-12, W2)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp("ada")
            _ = try await cluster.signUp("bob")
            let one = try await cluster.claims(try await cluster.signIn())
            let pair = try await cluster.signIn(on: 1)
            let two = try await cluster.claims(pair, on: 1)
            let other = try await cluster.signIn("bob")
            let bob = try await cluster.claims(other)
            #expect(one.signatureGeneration == two.signatureGeneration)
            #expect(one.signatureGeneration != bob.signatureGeneration)
            try await cluster.logOutEverywhere(pair)
            let next = try await cluster.claims(try await cluster.signIn())
            #expect(next.signatureGeneration > one.signatureGeneration)
            let stored = "SELECT generation FROM account_signatures WHERE account_id = "
            #expect(
                try await cluster.number(stored + "'\(next.accountID)'") == next.signatureGeneration
            )
            // Refresh tokens hang by it too, and nobody else's do.
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(pair) }
            _ = try await cluster.refresh(other)
        }
    }

    @Test func `each token has a name of its own by which it alone is revoked (S4-T7, W1)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let first = try await cluster.signIn()
            let second = try await cluster.refresh(first)
            let third = try await cluster.signIn()
            var names: Set<TokenID> = []
            for pair in [first, second, third] {
                names.insert(try await cluster.claims(pair).tokenID)
            }
            #expect(names.count == 3)
            let subject = try await cluster.claims(first).tokenID
            try await cluster.run(
                """
                INSERT INTO revocation_log (kind, subject, expires_at)
                VALUES (\(RevocationKind.token.rawValue), uuid_send('\(subject)'),
                        revocation_expiry())
                """
            )
            #expect(try await cluster.isRevokedEverywhere(first.accessToken))
            #expect(try await cluster.isGoodEverywhere(second.accessToken))
            #expect(try await cluster.isGoodEverywhere(third.accessToken))
        }
    }

    @Test func `neither kind of token does for the other, and each has its key (S3-13, row 139)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            #expect(try await cluster.flaws(pair.refreshToken) == [.malformed])
            await #expect(throws: RefreshRefusal.invalid) {
                try await cluster.nodes[0].web.refresh(pair.accessToken, cluster.trace())
            }
            let ring = cluster.nodes[0].keys.ring
            let now = cluster.trace().now
            let access = try #require(ring.current(.accessToken, at: now))
            let refresh = try #require(ring.current(.refreshToken, at: now))
            let csrf = try #require(ring.current(.csrf, at: now))
            #expect(Set([access.id, refresh.id, csrf.id]).count == 3)
            #expect(try await cluster.number("SELECT count(DISTINCT sealed) FROM keys") == 3)
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            _ = try await cluster.refresh(pair)
        }
    }
}
