// Tokens that name keys which are not in the node's ring: one that another node has just made is
// found, also where made-up ones came before it, and these cost the database next to nothing.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import Testing
import Tokens

@Suite(.serialized) struct StrangerKeyTests {
    private static let reads = "watchword_key_ring_reads_total"

    /// The token with another header, of our form where nothing else is said.
    private static func rename(_ token: Secret, header: String? = nil) -> Secret {
        let text = String(decoding: token.exposed, as: UTF8.self)
        let stranger = KeyID(at: WallClock.system.now(), entropy: .system)
        let header = header ?? "{\"alg\":\"ES256\",\"kid\":\"\(stranger)\",\"typ\":\"at+jwt\"}"
        let renamed = Base64URL.encode(Array(header.utf8)) + text.drop { $0 != "." }
        return Secret(renamed)
    }

    /// Why the second node refuses a token; nil for not at all.
    private static func flaw(_ token: Secret, _ cluster: Cluster) async throws -> CredentialFlaw? {
        switch try await cluster.judge(token, on: 1) {
        case .accepted: nil
        case .refused(let flaw, _): flaw
        }
    }

    @Test func `A new key counts at once, also after a made-up one was looked for`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            var pair = try await cluster.signIn()
            // The next reading of the second node is a second away each time.
            for _ in 0..<3 {
                #expect(try await Self.flaw(Self.rename(pair.accessToken), cluster) == .invalid)
                let keys = cluster.nodes[0].keys
                let id = try await keys.makeSigningKey(atOnce: true, by: nil, cluster.trace()).id
                pair = try await cluster.signIn()
                #expect(try await Self.flaw(pair.accessToken, cluster) == nil)
                #expect(try await cluster.claims(pair, on: 1).keyID == id)
            }
        }
    }

    @Test func `Made-up keys are looked for once a second, and so many wait for it (W8, W10)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let node = cluster.nodes[1]
            #expect(try await Self.flaw(Self.rename(pair.accessToken), cluster) == .invalid)
            let before = node.value(Self.reads)
            let begun = MonotonicInstant.now
            let flaws = try await withThrowingTaskGroup(of: CredentialFlaw?.self) { group in
                for _ in 0..<1000 {
                    group.addTask { try await Self.flaw(Self.rename(pair.accessToken), cluster) }
                }
                return try await group.reduce(into: [CredentialFlaw?]()) { $0.append($1) }
            }
            let seconds = Int((MonotonicInstant.now - begun).wholeSeconds)
            let turnedAway = flaws.count { $0 == .unchecked(retryAfter: KeyKeeper.strangerPause) }
            let refused = flaws.count { $0 == .invalid }
            #expect(refused + turnedAway == 1000)
            #expect(turnedAway > 0)
            let count = node.value(Self.reads) - before
            #expect((1...seconds + 2).contains(count), "\(count) readings in \(seconds) seconds")
            #expect(try await Self.flaw(pair.accessToken, cluster) == nil)
        }
    }

    @Test
    func `Nobody waits for a key that is retired or was looked for, nor for another issuer's`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let now = cluster.trace().now
            let old = try #require(cluster.nodes[1].keys.ring.current(.accessToken, at: now))
            let keys = cluster.nodes[0].keys
            _ = try await keys.makeSigningKey(atOnce: true, by: nil, cluster.trace())
            _ = try await cluster.nodes[0].revoker.first(KeyStore.retire(old.id, now))
            try await cluster.nodes[1].keys.reload()
            let madeUp = Self.rename(pair.accessToken)
            #expect(try await Self.flaw(madeUp, cluster) == .invalid)
            let before = cluster.nodes[1].value(Self.reads)
            let foreign = Self.rename(pair.accessToken, header: "{\"alg\":\"RS256\",\"kid\":\"1\"}")
            for token in [pair.accessToken, foreign, madeUp, madeUp] {
                #expect(try await Self.flaw(token, cluster) == .invalid)
            }
            #expect(cluster.nodes[1].value(Self.reads) == before)
        }
    }
}
