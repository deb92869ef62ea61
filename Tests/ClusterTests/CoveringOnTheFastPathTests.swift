// The rules by which a revocation covers a token, on the fast path of `/verify` and on the general
// one: the rows that no operation of ours writes yet come from the test, as an operator's would.
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Tokens

@Suite(.serialized) struct CoveringOnTheFastPathTests {
    /// Writes a row of the log.
    private func revoke(
        _ cluster: Cluster,
        kind: Int,
        _ subject: String = "00000000-0000-0000-0000-000000000000",
        version: Int64 = 0
    ) async throws {
        try await cluster.sql(
            """
            INSERT INTO revocation_log (kind, subject, ver, expires_at)
            VALUES (\(kind), uuid_send('\(subject)'), \(version), revocation_expiry())
            """
        )
    }

    /// What both nodes say, and that the first of them said it on its fast path.
    private func answers(_ cluster: Cluster, _ tokens: Tokens) async throws -> [Int] {
        let before = try await fastAnswers(cluster.nodes[0])
        var statuses: [Int] = []
        for node in cluster.nodes {
            let answer = try await node.client.send("GET", "/verify", tokens.bearer)
            statuses.append(answer.status)
            if answer.status != 200 { #expect(answer.code == "token-revoked") }
        }
        #expect(try await fastAnswers(cluster.nodes[0]) == before + 1)
        #expect(try await fastAnswers(cluster.nodes[1]) == 0)
        return statuses
    }

    private func fastAnswers(_ node: NodeProcess) async throws -> Int {
        try await number(node, "watchword_verify_fast_total ")
    }

    private func number(_ node: NodeProcess, _ name: String) async throws -> Int {
        let text = try await node.management.send("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
    }

    @Test
    func `Collapsed ends are judged on the fast path and off it, and asked for once (H25, W1)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        let limit = ["WATCHWORD_REVOCATION_COLLAPSE_AFTER": "1"]
        plan.perNode = [limit, limit.merging(["WATCHWORD_VERIFY_FAST_PATH": "false"]) { $1 }]
        let cluster = try await Cluster.start(plan)
        let person = try await cluster.person()
        let kept = try await cluster.signIn(person)
        #expect(try await answers(cluster, kept) == [200, 200])
        for number in 0..<4 {
            let doomed = try await cluster.signIn(person)
            #expect(try await answers(cluster, doomed) == [200, 200])
            let node = cluster.nodes[number % 2]
            let ended = try await node.client.send("POST", "/v1/auth/logout", doomed.bearer)
            #expect(ended.status == 204)
            #expect(try await answers(cluster, doomed) == [401, 401])
            #expect(try await answers(cluster, kept) == [200, 200])
        }
        var asked: [Int] = []
        for node in cluster.nodes { asked.append(try await resolutions(node)) }
        for _ in 0..<10 { #expect(try await answers(cluster, kept) == [200, 200]) }
        for (node, before) in zip(cluster.nodes, asked) {
            #expect(before > 0)
            #expect(try await resolutions(node) == before)
        }
        // A database that lacks what the entry tells of cannot say that anybody is alive (W10).
        let unknown = try await cluster.signIn(person)
        try await cluster.sql("DELETE FROM session_ends")
        for node in cluster.nodes {
            let answer = try await node.client.send("GET", "/verify", unknown.bearer)
            #expect(answer.status == 503)
        }
    }

    @Test
    func `A kind of a newer version is answered 503, and readiness says why (W10)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        #expect(try await answers(cluster, tokens) == [200, 200])
        try await cluster.sql(
            "ALTER TABLE revocation_log DROP CONSTRAINT revocation_log_kind_check"
        )
        try await revoke(cluster, kind: 23)
        for node in cluster.nodes {
            let answer = try await node.client.send("GET", "/verify", tokens.bearer)
            #expect(answer.status == 503)
            #expect(answer.code == "store-unavailable")
            let ready = try await node.management.send("GET", "/readyz")
            #expect(ready.status == 503)
            #expect(ready.body.contains("a kind of revocation that this version does not know"))
        }
    }

    private func resolutions(_ node: NodeProcess) async throws -> Int {
        try await number(node, "watchword_sessions_resolutions_total ")
    }

    @Test
    func `State, global and signing key end tokens on the fast path as well (W1)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        let cluster = try await Cluster.start(plan)
        let forge = try await TokenForge(cluster)
        let bystander = try await cluster.signIn(cluster.person())

        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let generation = try forge.read(tokens.access).signatureGeneration
        try await revoke(cluster, kind: 4, person.id, version: generation)
        #expect(try await answers(cluster, tokens) == [200, 200])
        try await revoke(cluster, kind: 4, person.id, version: generation + 1)
        #expect(try await answers(cluster, tokens) == [401, 401])
        #expect(try await answers(cluster, bystander) == [200, 200])

        let old = try await cluster.signIn(cluster.person())
        let issued = try forge.read(old.access).issuedAt.microseconds / 1000
        try await revoke(cluster, kind: 9, version: issued)
        #expect(try await answers(cluster, old) == [200, 200])
        try await revoke(cluster, kind: 9, version: issued + 1)
        #expect(try await answers(cluster, old) == [401, 401])
        let later = try await cluster.signIn(cluster.person())
        #expect(try await answers(cluster, later) == [200, 200])

        let key = try forge.read(later.access).keyID
        try await revoke(cluster, kind: 8, "\(KeyID(high: key.high, low: 1))")
        #expect(try await answers(cluster, later) == [200, 200])
        try await revoke(cluster, kind: 8, "\(key)")
        #expect(try await answers(cluster, later) == [401, 401])
    }

    @Test
    func `A token's own end, and its client's, hold on the fast path as well (W1)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        let cluster = try await Cluster.start(plan)
        let forge = try await TokenForge(cluster)
        let person = try await cluster.person()
        let kept = try await cluster.signIn(person)
        let tokens = try await cluster.signIn(person)
        let claims = try forge.read(tokens.access)
        // The session's id names no token, nor does an id that differs in one half.
        try await revoke(cluster, kind: 1, tokens.session)
        try await revoke(cluster, kind: 1, "\(TokenID(high: claims.tokenID.high, low: 1))")
        #expect(try await answers(cluster, tokens) == [200, 200])
        try await revoke(cluster, kind: 1, "\(claims.tokenID)")
        #expect(try await answers(cluster, tokens) == [401, 401])
        #expect(try await answers(cluster, kept) == [200, 200])

        let old = try await cluster.signIn(person)
        let issued = try forge.read(old.access).issuedAt.microseconds / 1000
        let client = Self.client(claims.clientID)
        try await revoke(cluster, kind: 6, Self.client("another"), version: issued + 1)
        try await revoke(cluster, kind: 6, client, version: issued)
        #expect(try await answers(cluster, old) == [200, 200])
        try await revoke(cluster, kind: 6, client, version: issued + 1)
        #expect(try await answers(cluster, old) == [401, 401])
        #expect(try await answers(cluster, kept) == [401, 401])
        let later = try await cluster.signIn(person)
        #expect(try await answers(cluster, later) == [200, 200])
    }

    /// The name of a client in the log.
    private static func client(_ name: String) -> String {
        let subject = RevocationSubject.client(named: name)
        return "\(ID<Named.Entry>(high: subject.high, low: subject.low))"
    }
}
