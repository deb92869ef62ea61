// A token that is bound to a key proves nothing about who shows it: it is no bearer token, whoever
// signed it (RFC 7800, RFC 9449, RFC 8705; revocation.md 1.9).
import ClusterKit
import Crypto
import Primitives
import Sessions
import Testing
import Web

@testable import Tokens

@Suite(.serialized) struct BoundTokenTests {
    /// Whether the fast path of `/verify` takes the token for one of ours; its own words if not.
    private func recognised(_ token: Secret, _ cluster: Cluster) -> CredentialFlaw? {
        switch cluster.nodes[0].web.verifier.recogniseHere(token.exposed, from: { nil }) {
        case .genuine, .unknownKey: nil
        case .flawed(let flaw): flaw
        }
    }

    @Test func `a token bound to a key never passes as a bearer, on either path (W10)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let now = cluster.trace().now
            let key = try #require(cluster.nodes[0].keys.ring.current(.accessToken, at: now))
            let parts = pair.accessToken.exposed.split(separator: UInt8(ascii: "."))
            let payload = String(decoding: try #require(Base64URL.decode(parts[1])), as: UTF8.self)
            let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
            for binding in [
                "{\"jkt\":\"\(thumbprint)\"}", "{\"x5t#S256\":\"\(thumbprint)\"}",
                "{\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"a\",\"y\":\"b\"}}",
                "{\"kid\":\"\(key.id)\"}", "{}", "[]", "null", "\"\"", "false",
            ] {
                let first = "{\"cnf\":\(binding),\(payload.dropFirst())"
                let last = "\(payload.dropLast()),\"cnf\":\(binding)}"
                for text in [first, last] {
                    let token = try signed(text, key)
                    #expect(recognised(token, cluster) == .invalid, "\(binding)")
                    #expect(try await cluster.flaws(token) == [.invalid], "\(binding)")
                }
            }
            // Another member may say `cnf`; it is the claim that binds.
            for fine in [",\"x\":\"cnf\"}", ",\"x\":{\"cnf\":{}}}", ",\"Cnf\":{}}"] {
                let token = try signed("\(payload.dropLast())\(fine)", key)
                #expect(recognised(token, cluster) == nil, "\(fine)")
                #expect(try await cluster.isGoodEverywhere(token), "\(fine)")
            }
        }
    }

    private func signed(_ payload: String, _ key: RingKey) throws -> Secret {
        guard case .signing(let signing) = key.material else { throw Unexpected("no signing key") }
        var out = KeyRing.header(of: key.id) + [UInt8(ascii: ".")]
        Base64URL.append(Array(payload.utf8), to: &out)
        let signature = try signing.signature(for: out)
        out.append(UInt8(ascii: "."))
        Base64URL.append(Array(signature.rawRepresentation), to: &out)
        return Secret(out)
    }
}
