// The copies of revocations for readers outside: there where they are wanted, with an end, and
// never in anybody's way. And the numbers that tell how revocations travel.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct MirrorTests {
    /// What a Redis answers.
    private func ask(_ server: RedisServer, _ words: String...) async throws -> String {
        let log = "\(server.folder)/cli-\(Hex.encode(Entropy.system.bytes(4))).log"
        return try await Blocking.run {
            let child = try ChildProcess.launch(
                ["redis-cli", "-s", server.socket] + words,
                log: log
            )
            let status = child.wait()
            let text = PrivateFolder.read(log)
            guard status == 0 else { throw Unexpected(text) }
            return text.split(separator: "\n").joined(separator: "\n")
        }
    }

    @Test func `Revocations become keys with an end on the node that is told so, and on no other`()
        async throws
    {
        try await Cluster.run(2, only: [1: ["revocation.mirror": "true"]]) { cluster in
            let account = try await cluster.signUp()
            let silent = try await cluster.signIn()
            let told = try await cluster.signIn()
            let last = try await cluster.signIn()
            try await cluster.logOut(silent, on: 0)
            try await cluster.logOut(told, on: 1)
            let key = "revoked:session:\(told.sessionID)"
            try await until("the key is there") {
                try await ask(cluster.redis, "EXISTS", key) == "1"
            }
            #expect(try await ask(cluster.redis, "GET", key) == "0")
            let left = Int(try await ask(cluster.redis, "TTL", key)) ?? -1
            #expect((1...90_000).contains(left), "\(left)")
            #expect(try await ask(cluster.redis, "KEYS", "revoked:*") == key)
            try await cluster.logOutEverywhere(last, on: 1)
            let whole = "revoked:signature:\(account)"
            try await until("the account's key is there") {
                try await ask(cluster.redis, "EXISTS", whole) == "1"
            }
            let generation = try await cluster.number("SELECT generation FROM account_signatures")
            #expect(try await ask(cluster.redis, "GET", whole) == "\(generation)")
            #expect(cluster.nodes[1].value("watchword_revocation_mirrored_total") == 2)
        }
    }

    /// The kinds and their words in docs/operations/revocation.md, which never change.
    private static let words: [(kind: RevocationKind, word: String)] = [
        (.token, "token"), (.session, "session"), (.signature, "signature"),
        (.accountState, "account-state"), (.role, "role"), (.client, "client"),
        (.tenant, "tenant"), (.signingKey, "signing-key"), (.global, "global"),
        (.rights, "rights"), (.sessions, "sessions"), (.routeRules, "route-rules"),
    ]

    /// Revokes through the one door there is, as an operation would.
    private static func statement(
        _ kind: RevocationKind
    ) -> RevokingStatement<Bool, ID<Named.Entry>, Int64> {
        RevokingStatement(
            "test.mirror_\(kind)",
            """
            source AS (SELECT $1::uuid AS id, $2::bigint AS ver),
            \(RevocationLog.append(
                as: "logged", kind, subject: "source.id", version: "source.ver", from: "source"
            ))
            """,
            answer: "SELECT true FROM source",
            binds: ID<Named.Entry>.self,
            Int64.self,
            decode: { try $0.get(0, as: Bool.self) }
        )
    }

    @Test func `Each kind has a key of its own, which lasts as long as what it covers`()
        async throws
    {
        let named = Set(Self.words.map { $0.kind })
        #expect(named == Set(RevocationKind.allCases))
        let page = Repository.text("docs/operations/revocation.md")
        try await Cluster.run(set: ["revocation.mirror": "true"]) { cluster in
            let life = try await cluster.number(
                "extract(epoch FROM revocation_expiry() - clock_timestamp())"
            )
            for (kind, word) in Self.words {
                #expect(page.contains("`revoked:\(word):"), "\(word) is not in the manual")
                let version: Int64 = kind.hasVersions ? 5 : 0
                let id = ID<Named.Entry>(high: 0, low: UInt64(kind.rawValue))
                let statement = Self.statement(kind)
                let done = try await cluster.nodes[0].revoker.first(statement(id, version))
                #expect(done == true)
                let key = "revoked:\(word):\(id)"
                try await until("\(key) is there") {
                    try await ask(cluster.redis, "EXISTS", key) == "1"
                }
                #expect(try await ask(cluster.redis, "GET", key) == "\(version)")
                // A reader outside may forget it when no token is left, and not before.
                let left = Int64(try await ask(cluster.redis, "TTL", key)) ?? -1
                #expect((life - 60...life + 1).contains(left), "\(key): \(left) of \(life)")
            }
        }
    }

    /// What somebody else writes there, or takes away, is nothing to us.
    @Test func `No check goes by the keys, there or not (W1)`() async throws {
        try await Cluster.run(2, set: ["revocation.mirror": "true"]) { cluster in
            let account = try await cluster.signUp()
            let kept = try await cluster.signIn()
            let ended = try await cluster.signIn()
            for name in [
                "session:\(kept.sessionID)", "signature:\(account)", "account-state:\(account)",
                "global:00000000-0000-0000-0000-000000000000",
            ] {
                let said = try await ask(cluster.redis, "SET", "revoked:\(name)", "\(Int64.max)")
                #expect(said == "OK")
            }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            try await cluster.logOut(ended)
            let key = "revoked:session:\(ended.sessionID)"
            try await until("the key is there") {
                try await ask(cluster.redis, "EXISTS", key) == "1"
            }
            #expect(try await ask(cluster.redis, "FLUSHALL") == "OK")
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
    }

    @Test func `A Redis that is away holds up no revocation (W1)`() async throws {
        try await Cluster.run(2, set: ["revocation.mirror": "true"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            try await cluster.redis.kill()
            try await cluster.logOut(pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            try await until("the failure is counted") {
                cluster.nodes[0].value("watchword_revocation_mirror_failures_total") == 1
            }
        }
    }

    /// What a histogram of durations has summed up, in seconds.
    private func sum(_ node: TestNode, _ name: String) throws -> Double {
        let lines = node.metrics.exposition().split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("\(name)_sum ") }, "\(name)")
        return try #require(line.split(separator: " ").last.flatMap { Double($0) }, "\(line)")
    }

    @Test func `Batches and the age of what is learned are measured`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let node = cluster.nodes[1]
            let before = node.histogramCount("watchword_revocation_lag_seconds")
            let batches = node.histogramCount("watchword_revocation_batch_checks")
            let reads = node.histogramCount("watchword_revocation_read_seconds")
            let known = try sum(node, "watchword_revocation_lag_seconds")
            let begun = MonotonicInstant.now
            try await cluster.logOut(pair, on: 0)
            let ended = MonotonicInstant.now
            // The age itself: nobody asks the second node meanwhile.
            try await Task.sleep(for: .milliseconds(1500))
            let least = (MonotonicInstant.now - ended).inSeconds
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            let most = (MonotonicInstant.now - begun).inSeconds
            #expect(node.histogramCount("watchword_revocation_lag_seconds") == before + 1)
            let lag = try sum(node, "watchword_revocation_lag_seconds") - known
            // By the database's clock, which may be set meanwhile.
            #expect(lag > least - 0.2 && lag < most + 0.2, "\(lag), not \(least) to \(most)")
            // Held already: no second time, though the row may be read again.
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(node.histogramCount("watchword_revocation_lag_seconds") == before + 1)
            #expect(node.histogramCount("watchword_revocation_batch_checks") == batches + 2)
            #expect(node.histogramCount("watchword_revocation_read_seconds") >= reads + 2)
        }
    }
}
