// Who acts for the owner of a token is named in it with what he is judged by; a token that names
// him without that is none of ours.
import ClusterKit
import Crypto
import Primitives
import Sessions
import Testing
import Web

@testable import Tokens

@Suite(.serialized) struct ActorClaimTests {
    @Test func `a token names who acts with his generation and version, or nobody (row 177)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn()
            var claims = try await cluster.claims(pair)
            #expect(claims.actor == nil && claims.actorID == nil)
            let ring = cluster.nodes[0].web.keys.ring
            let key = try #require(ring.current(.accessToken, at: claims.issuedAt))
            let checker = AccessTokenChecker(
                issuer: cluster.nodes[0].web.verifier.issuer,
                audiences: [claims.audience]
            )
            claims.actor = TokenActor(
                accountID: account,
                sessionID: claims.sessionID,
                signatureGeneration: 7,
                rightsVersion: 1_795_241_228_123_456
            )
            let text = try AccessTokenWriter.sign(claims, issuer: checker.issuer, with: key)
            let read = try checker.check(text.utf8, ring: ring, horizon: .days(1))
            #expect(read.actor == claims.actor && read.actorID == account)
            for broken in ["sub", "sid", "sgn", "rlv"] {
                let parts = text.split(separator: ".").map(String.init)
                let payload = String(
                    decoding: try #require(Base64URL.decode(Array(parts[1].utf8))),
                    as: UTF8.self
                )
                // Inside `act` alone.
                let halves = payload.split(separator: "\"act\":", maxSplits: 1)
                let other = halves[1].replacing("\"\(broken)\":", with: "\"x\":")
                var signed = Array(parts[0].utf8) + [UInt8(ascii: ".")]
                Base64URL.append(Array("\(halves[0])\"act\":\(other)".utf8), to: &signed)
                guard case .signing(let signing) = key.material else {
                    throw Unexpected("no signing key")
                }
                let signature = try signing.signature(for: signed).rawRepresentation
                signed.append(UInt8(ascii: "."))
                Base64URL.append(Array(signature), to: &signed)
                let refused = signed
                #expect(throws: AccessTokenFlaw.invalid, "\(broken)") {
                    try checker.check(refused, ring: ring, horizon: .days(1))
                }
            }
        }
    }
}
