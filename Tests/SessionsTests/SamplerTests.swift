// The sampler against real nodes: it notices a token that was accepted although its revocation was
// committed before, and it never cries over a node that does what it should.
import ClusterKit
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct SamplerTests {
    private static let all = [
        "revocation.sampler": "1", "throttle.sign_in_per_address": "1000000",
        "throttle.sign_in_per_account": "100",
        "throttle.registrations_per_address": "1000",
    ]

    /// Runs the samplers of all nodes meanwhile.
    private func whileSampled(_ cluster: Cluster, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in cluster.nodes { group.addTask { try await node.sampler.run() } }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func checks(_ node: TestNode) -> Int {
        node.value("watchword_revocation_sampler_checks_total")
    }

    private func violations(_ node: TestNode) -> Int {
        node.value("watchword_revocation_sampler_violations_total")
    }

    /// What is written to the log so that no reader finds it: an xid below every cursor.
    private static func hidden(
        _ kind: RevocationKind,
        _ claims: AccessClaims
    ) -> String {
        let (subject, version): (String, Int64) =
            switch kind {
            case .token: ("\(claims.tokenID)", 0)
            case .session: ("\(claims.sessionID)", 0)
            case .signingKey: ("\(claims.keyID)", 0)
            case .rights: ("\(claims.accountID)", claims.rightsVersion + 1)
            case .client:
                ("\(client(claims.clientID))", claims.issuedAt.microseconds / 1000 + 1)
            case .global:
                (
                    "00000000-0000-0000-0000-000000000000",
                    claims.issuedAt.microseconds / 1000 + 1
                )
            default: ("\(claims.accountID)", claims.signatureGeneration + 1)
            }
        return """
            INSERT INTO revocation_log (xid, kind, subject, ver, expires_at)
            VALUES ('3', \(kind.rawValue), uuid_send('\(subject)'), \(version), revocation_expiry())
            """
    }

    /// The name of a client in the log.
    private static func client(_ name: String) -> ID<Named.Entry> {
        let subject = RevocationSubject.client(named: name)
        return ID<Named.Entry>(high: subject.high, low: subject.low)
    }

    @Test func `An entry of each kind that a node has missed is noticed (W1)`() async throws {
        let kinds: [RevocationKind] = [
            .token, .session, .signature, .accountState, .rights, .client, .global, .signingKey,
        ]
        try await Cluster.run(set: Self.all) { cluster in
            let node = cluster.nodes[0]
            try await whileSampled(cluster) {
                for (number, kind) in kinds.enumerated() {
                    _ = try await cluster.signUp("person\(number)")
                    let pair = try await cluster.signIn("person\(number)")
                    let before = checks(node)
                    let known = violations(node)
                    try await until("good checks are looked at") {
                        let isGood = try await cluster.isGoodEverywhere(pair.accessToken)
                        #expect(isGood)
                        return checks(node) > before
                    }
                    #expect(violations(node) == known, "before \(kind)")
                    try await cluster.run(Self.hidden(kind, try await cluster.claims(pair)))
                    try await until("\(kind) is noticed") {
                        // Accepted although it is revoked: what this is all about.
                        let isGood = try await cluster.isGoodEverywhere(pair.accessToken)
                        #expect(isGood)
                        return violations(node) > known
                    }
                    // What was accepted in this round must not count in the next.
                    try await untilQuiet(node)
                }
            }
        }
    }

    /// Waits until everything that was accepted has been looked at.
    private func untilQuiet(_ node: TestNode) async throws {
        try await until("all is looked at") { node.sampler.waiting == 0 }
    }

    @Test(arguments: [0, 1])
    func `Logging out under load is no violation, with PostgreSQL or with a member (W1)`(
        _ memberCount: Int
    ) async throws {
        var settings = Self.all
        var members: [RedisServer] = []
        for _ in 0..<memberCount { members.append(try await RedisServer.start()) }
        if memberCount > 0 {
            settings["authority.members"] = members.map { "unix://\($0.socket)" }
                .joined(separator: ",")
            settings["authority.lease"] = "500ms"
            settings["authority.poll_limit"] = "5s"
            settings["authority.publish_limit"] = "5s"
        }
        try await Cluster.run(2, set: settings) { cluster in
            for person in 0..<4 { _ = try await cluster.signUp("person\(person)") }
            if memberCount > 0 { try await cluster.adopt() }
            try await whileSampled(cluster) {
                var rounds = 0
                try await until("many are looked at on both nodes") {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for person in 0..<4 {
                            group.addTask { try await churn(cluster, "person\(person)") }
                        }
                        try await group.waitForAll()
                    }
                    if memberCount > 0 { try await cluster.nodes[1].readIndex.renew() }
                    rounds += 1
                    let looked = cluster.nodes.map(checks)
                    return rounds >= 3 && (looked.min() ?? 0) > 20
                }
                for node in cluster.nodes { try await untilQuiet(node) }
            }
            #expect(cluster.nodes.map(violations) == [0, 0])
            withExtendedLifetime(members) {}
        }
    }

    /// Signs in, and logs out on the other node while both check the token.
    private func churn(_ cluster: Cluster, _ name: String) async throws {
        for index in 0..<2 {
            let pair = try await cluster.signIn(name, on: index)
            let claims = try await cluster.claims(pair, on: index)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for node in 0..<2 {
                    group.addTask {
                        for _ in 0..<8 { _ = try await cluster.judge(pair.accessToken, on: node) }
                    }
                }
                group.addTask {
                    try await cluster.nodes[1 - index].web.logOut.thisSession(
                        claims,
                        cluster.trace()
                    )
                }
                try await group.waitForAll()
            }
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
        }
    }

    @Test func `What does not fit is dropped and counted, and each other one is looked at (W8)`()
        async throws
    {
        try await Cluster.run(set: Self.all) { cluster in
            let node = cluster.nodes[0]
            func dropped() -> Int { node.value("watchword_revocation_sampler_dropped_total") }
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            // Nobody looks yet.
            let limit = RevocationSampler.queueLimit
            let waiting = node.sampler.waiting
            for _ in waiting..<limit + 25 {
                let isGood = try await cluster.isGoodEverywhere(pair.accessToken)
                try #require(isGood)
            }
            #expect(node.sampler.waiting == limit)
            #expect(dropped() == 25)
            #expect(node.value("watchword_revocation_sampler_rounds_total") == 0)
            try await whileSampled(cluster) { try await untilQuiet(node) }
            // Those of which there was no mark before could not be compared.
            #expect(checks(node) + dropped() == limit + 25)
            #expect(node.value("watchword_revocation_sampler_rounds_total") > 0)
            #expect(violations(node) == 0)
        }
    }

    @Test func `A draw takes its share, and none of nothing`() {
        var none = SampleDraw(share: 0, entropy: .system)
        var all = SampleDraw(share: 1, entropy: .system)
        var some = SampleDraw(share: 0.01, entropy: .system)
        var counts = [0, 0, 0]
        for _ in 0..<100_000 {
            counts[0] += none.next() ? 1 : 0
            counts[1] += all.next() ? 1 : 0
            counts[2] += some.next() ? 1 : 0
        }
        #expect(counts[0] == 0)
        #expect(counts[1] == 100_000)
        // A thousand on average; the deviation is under twenty.
        #expect((700...1300).contains(counts[2]), "\(counts[2])")
    }
}
