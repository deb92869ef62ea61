// Keys that a node cannot open, because its master key lacks a version that others have been given:
// the rest of the ring works on, nothing is signed with another key in their stead, and what hangs
// by them is neither good nor bad (W10). And how often the ring is read.
import ClusterKit
import Postgres
import Primitives
import Sessions
import Synchronization
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct ClosedKeyTests {
    private static let first = MasterKey.generate(version: 1, entropy: .system)
    private static let second = MasterKey.generate(version: 2, entropy: .system)

    /// Two nodes, of which the second alone has been given the new master key; the first makes the
    /// keys.
    private static func halfWay(_ body: (Cluster) async throws -> Void) async throws {
        try await Cluster.run(
            2,
            set: ["keys.master": first, "sessions.refresh_grace": "60s"],
            only: [1: ["keys.master": "\(first),\(second)"]],
            body
        )
    }

    /// Expects a fault that passes, as against a refusal.
    private func expectFault(_ body: () async throws -> Void) async {
        let error = await #expect(throws: (any Error).self) { try await body() }
        #expect((error as? any Fault)?.isTransient == true, "\(String(describing: error))")
    }

    @Test func `A key that does not open is left out, and no other signs in its stead (W10)`()
        async throws
    {
        try await Self.halfWay { cluster in
            let (new, old) = (cluster.nodes[1], cluster.nodes[0])
            _ = try await cluster.signUp()
            let before = try await cluster.signIn(on: 0)
            let id = try await new.keys.makeSigningKey(atOnce: true, by: nil, cluster.trace()).id
            let fresh = try await cluster.signIn(on: 1)
            #expect(try await cluster.claims(fresh, on: 1).keyID == id)

            try await old.keys.reload()
            #expect(old.keys.ring.closed.map(\.id) == [id])
            #expect(old.keys.ring.keys.count == KeyUse.allCases.count)
            #expect(old.keys.flaw as? MasterKeyError == .unknownVersion(2))
            #expect(old.value("watchword_keys_unopened") == 1)
            #expect(new.keys.flaw == nil && new.keys.canSign && !old.keys.canSign)
            #expect(try await cluster.isGoodEverywhere(before.accessToken))
            // It is a good token, and this node cannot tell: nobody is signed out by that.
            await expectFault { _ = try await cluster.judge(fresh.accessToken, on: 0) }
            await expectFault { _ = try await cluster.signIn(on: 0) }
            await expectFault { _ = try await cluster.refresh(before, on: 0) }
            // Nor does it make a key that others might not open.
            let me = try await cluster.claims(fresh, on: 1).accountID
            await expectFault {
                _ = try await old.keys.makeSigningKey(atOnce: true, by: me, cluster.trace())
            }
            // What names no key of ours is refused as ever.
            let text = String(decoding: fresh.accessToken.exposed, as: UTF8.self)
            let stranger = KeyID(at: cluster.trace().now, entropy: .system)
            let header = "{\"alg\":\"ES256\",\"kid\":\"\(stranger)\",\"typ\":\"at+jwt\"}"
            let forged = Base64URL.encode(Array(header.utf8)) + text.drop { $0 != "." }
            #expect(try await cluster.flaws(Secret(forged)) == [.invalid, .invalid])
            #expect(try await cluster.isGoodEverywhere(before.accessToken))
        }
    }

    @Test func `A refresh token of a key that does not open is not called forged (W10)`()
        async throws
    {
        try await Self.halfWay { cluster in
            _ = try await cluster.signUp()
            let before = try await cluster.signIn(on: 0)
            try await cluster.renewRefreshKey(on: 1)
            let pair = try await cluster.signIn(on: 1)
            try await cluster.nodes[0].keys.reload()
            await expectFault { _ = try await cluster.refresh(pair, on: 0) }
            // Read with the old key, and no child is written with it: all nodes give the same.
            await expectFault { _ = try await cluster.refresh(before, on: 0) }
            let child = try await cluster.refresh(before, on: 1)
            #expect(try await cluster.isGoodEverywhere(child.accessToken))
            _ = try await cluster.refresh(pair, on: 1)
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        }
    }

    @Test func `Keys that were sealed anew stay open in a node that knew them`() async throws {
        try await Self.halfWay { cluster in
            let (new, old) = (cluster.nodes[1], cluster.nodes[0])
            _ = try await cluster.signUp()
            let before = try await cluster.signIn(on: 0)
            #expect(try await new.keys.rewrap() == KeyUse.allCases.count)
            try await old.keys.reload()
            #expect(old.value("watchword_keys_unopened") == KeyUse.allCases.count)
            #expect(old.keys.flaw as? MasterKeyError == .unknownVersion(2))
            #expect(old.keys.ring.closed.isEmpty && old.keys.ring.jwks == new.keys.ring.jwks)
            #expect(try await cluster.isGoodEverywhere(before.accessToken))
            let fresh = try await cluster.refresh(before, on: 0)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
        }
    }

    @Test func `Fifty who look for a new key at once read the ring once`() async throws {
        try await Cluster.run(2) { cluster in
            let id = try await cluster.rotateAtTerminal().id
            let node = cluster.nodes[1]
            let before = node.value("watchword_key_ring_reads_total")
            let seen = Seen()
            async let held: Void = cluster.sql.transaction { transaction in
                try await transaction.script("LOCK TABLE keys")
                seen.isLocked.store(true, ordering: .releasing)
                try await until("fifty ask") { seen.asking.load(ordering: .acquiring) == 50 }
                try await cluster.untilBlocked()
            }
            try await until("the keys are locked") { seen.isLocked.load(ordering: .acquiring) }
            let found = try await withThrowingTaskGroup { group in
                for _ in 0..<50 {
                    group.addTask {
                        seen.asking.wrappingAdd(1, ordering: .acquiringAndReleasing)
                        return try await node.keys.key(id)?.id
                    }
                }
                return try await group.reduce(into: [KeyID?]()) { $0.append($1) }
            }
            try await held
            #expect(found.count == 50 && found.allSatisfy { $0 == id })
            // One more for those who came when it was over, if any did.
            let reads = node.value("watchword_key_ring_reads_total") - before
            #expect((1...2).contains(reads), "\(reads) readings")
        }
    }
}

/// What two tasks tell each other.
private final class Seen: Sendable {
    let isLocked = Atomic(false)
    let asking = Atomic(0)
}
