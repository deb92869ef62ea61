// What is no access token of ours, and is told so without a crash (checklist rows 126 to 133).
import ClusterKit
import Crypto
import Primitives
import Sessions
import TestKit
import Testing
import Web

@testable import Tokens

@Suite(.serialized) struct CheckerTests {
    /// The text with another letter at `place`.
    private static func other(_ text: String, at place: Int) -> String {
        var bytes = Array(text.utf8)
        bytes[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `Forged and misshapen tokens have the right flaw (W10)`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let good = String(decoding: pair.accessToken.exposed, as: UTF8.self)
            let parts = good.split(separator: ".").map(String.init)
            let (payload, signature) = (parts[1], parts[2])
            func header(_ json: String) -> String { Base64URL.encode(Array(json.utf8)) }
            let kid = cluster.nodes[0].keys.ring.current(.accessToken, at: cluster.trace().now)?.id
            let id = try #require(kid).description
            let malformed = [
                "", ".", "..", "a.b", good + ".x", good + "=", good + " ", " " + good, good + "\n",
                "\(parts[0]).\(payload).", "\(parts[0])=.\(payload).\(signature)",
                String(repeating: "a", count: 9000),
                "\(good)\(String(repeating: "A", count: 8192))",
            ]
            let invalid =
                [
                    #"{"alg":"none"}"#, #"{"alg":"None","typ":"at+jwt"}"#,
                    #"{"alg":"HS256","kid":"\#(id)","typ":"at+jwt"}"#,
                    #"{"alg":"ES256","kid":"\#(id)","typ":"JWT"}"#,
                    #"{"alg":"ES256","kid":"../../dev/null","typ":"at+jwt"}"#,
                    #"{"alg":"ES256","kid":"\#(id)","typ":"at+jwt","jku":"http://x.example"}"#,
                    #"{"alg":"ES256","kid":"\#(id)","typ":"at+jwt","crit":["x"]}"#,
                    #"{"alg":"ES256","kid":"\#(id)","typ":"at+jwt","b64":false}"#,
                ].map { "\(header($0)).\(payload).\(signature)" }
                + [
                    "\(parts[0]).\(header("{}")).\(signature)",
                    // Ours in all but the signature, in its first half and in its second.
                    "\(parts[0]).\(payload).\(Self.other(signature, at: 0))",
                    "\(parts[0]).\(payload).\(Self.other(signature, at: 80))",
                ]
            // Each twice: what is wrong is not remembered as if it had been good (1.9).
            for round in 1...2 {
                for text in malformed {
                    let flaws = try await cluster.flaws(Secret(text))
                    #expect(flaws == [.malformed], "\(round): \(text.prefix(80))")
                }
                for text in invalid {
                    let flaws = try await cluster.flaws(Secret(text))
                    #expect(flaws == [.invalid], "\(round): \(text.prefix(80))")
                }
            }
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        }
    }

    @Test func `Claims that we would not write are refused under our own key`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let now = cluster.trace().now
            let key = try #require(cluster.nodes[0].keys.ring.current(.accessToken, at: now))
            let parts = pair.accessToken.exposed.split(separator: UInt8(ascii: "."))
            let payload = String(decoding: try #require(Base64URL.decode(parts[1])), as: UTF8.self)
            let claims = try await cluster.claims(pair)
            let exp = "\"exp\":\(claims.expiresAt.seconds)"
            #expect(payload.contains(exp))
            let changes: [(String, String)] = [
                (exp, "\"exp\":\"\(claims.expiresAt.seconds)\""), (exp, "\"exp\":null"),
                (exp, "\"exp\":1e400"), (exp, "\"exp\":-1"),
                (exp, "\"exp\":\(claims.expiresAt.seconds + 90_000)"), (exp + ",", ""),
                (":8000\",\"aud\"", ":8000/\",\"aud\""), ("\"aud\":\"", "\"aud\":\"another-"),
                // Row 130: a member named twice, which readers take differently.
                (exp, exp + "," + exp), (exp, "\"exp\":1," + exp), (exp, exp + ",\"exp\":1"),
                (exp, exp + ",\"\\u0065xp\":1"), (exp, exp + ",\"x\":{\"a\":1,\"a\":2}"),
                (exp, exp + ",\"x\":[{\"a\":1},{\"a\":1,\"a\":1}]"),
                (exp, exp + ",\"x\":[[[[[[[[1]]]]]]]]"),
            ]
            for (old, new) in changes {
                let token = try signed(payload.replacing(old, with: new), key)
                #expect(try await cluster.flaws(token) == [.invalid], "\(old) as \(new)")
            }
            // What is not the same member of the same object is no repetition.
            let fine = ",\"x\":[{\"exp\":\"a\",\"b\":[1,2]},{\"exp\":\"\\\"exp\\\":\"}]"
            let wordy = try signed(payload.replacing(exp, with: exp + fine), key)
            #expect(try await cluster.isGoodEverywhere(wordy))
            // The same hand writes a good one, so it is the change that is refused.
            #expect(try await cluster.isGoodEverywhere(try signed(payload, key)))
            cluster.clock.advance(by: .minutes(16))
            #expect(try await cluster.flaws(pair.accessToken) == [.expired])
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
