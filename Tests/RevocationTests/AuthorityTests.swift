// The Redis authority against real servers: one member or three, and everything that can happen to
// them. What is asked each time is the same: is a token good where it must be, and is it refused on
// every node as soon as its revocation has been acknowledged (W1, S1)?
import ClusterKit
import Logging
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct AuthorityTests {
    static let adopted = "SELECT count(*) FROM revocation_authority WHERE state = 'redis'"

    /// Runs a cluster whose members are adopted.
    func withMembers(
        _ count: Int,
        nodes: Int = 2,
        on server: PostgresServer? = nil,
        set: [String: String] = [:],
        only: [Int: [String: String]] = [:],
        _ body: (Cluster, [RedisServer]) async throws -> Void
    ) async throws {
        var members: [RedisServer] = []
        for _ in 0..<count { members.append(try await RedisServer.start()) }
        let standard = [
            "authority.members": Self.urls(members), "authority.lease": "1s",
            // The machine may be slow; what is asked here is who answers, not how fast.
            "authority.poll_limit": "5s", "authority.publish_limit": "5s",
            "authority.adopt_after": "100ms",
        ]
        try await Cluster.run(
            nodes,
            on: server,
            set: standard.merging(set) { $1 },
            only: only
        ) { cluster in
            _ = try await cluster.signUp()
            try await cluster.adopt(on: nodes - 1)
            try await body(cluster, members)
        }
    }

    static func urls(_ members: [RedisServer]) -> String {
        members.map { "unix://\($0.socket)" }.joined(separator: ",")
    }

    /// Says one thing to a Redis, as its operator.
    func tell(_ server: RedisServer, _ words: String...) async throws {
        let log = "\(server.folder)/cli.log"
        try await Blocking.run {
            let child = try ChildProcess.launch(
                ["redis-cli", "-e", "-s", server.socket] + words,
                log: log
            )
            guard child.wait() == 0 else { throw Unexpected(PrivateFolder.read(log)) }
        }
    }

    /// Asks until the members answer, which needs a lease and a read of their positions first.
    func settle(_ node: TestNode) async throws {
        try await until("the members answer") {
            let before = node.value("watchword_revocation_reads_total")
            try await node.readIndex.renew()
            try await node.readIndex.confirm()
            return node.value("watchword_revocation_reads_total") == before + 1
        }
    }

    /// Whether some checks on the node are answered without a statement.
    func answersFromMembers(_ node: TestNode) async throws -> Bool {
        try await settle(node)
        let before = node.value("watchword_revocation_reads_total")
        let answered = node.histogramCount("watchword_revocation_poll_seconds")
        // One after the other within a lease of a second, or the lease is renewed and it is tried
        // again.
        for _ in 0..<5 { try await node.readIndex.confirm() }
        return node.value("watchword_revocation_reads_total") == before
            && node.histogramCount("watchword_revocation_poll_seconds") == answered + 5
    }

    /// A session is opened, used and ended, and refused everywhere at once.
    func revokeOne(_ cluster: Cluster, on index: Int = 0) async throws {
        let pair = try await cluster.signIn(on: index)
        #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        try await cluster.logOut(pair, on: index)
        #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
    }

    @Test(arguments: [1, 3])
    func `Members answer checks, and a log-out reaches every node through them`(
        _ count: Int
    )
        async throws
    {
        try await withMembers(count) { cluster, _ in
            for node in cluster.nodes {
                try await until("checks cost no statement") {
                    try await answersFromMembers(node)
                }
            }
            for index in cluster.nodes.indices { try await revokeOne(cluster, on: index) }
            let pair = try await cluster.signIn()
            try await cluster.logOutEverywhere(pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(try await cluster.number(Self.adopted) == 1)
        }
    }

    @Test func `One of three members may die, and nothing changes`() async throws {
        try await withMembers(3) { cluster, members in
            try await members[0].kill()
            try await revokeOne(cluster)
            for node in cluster.nodes {
                try await until("two members answer") { try await answersFromMembers(node) }
            }
            #expect(try await cluster.number(Self.adopted) == 1)
        }
    }

    @Test func `When the only member dies PostgreSQL answers, and revocations go on`()
        async throws
    {
        try await withMembers(1) { cluster, members in
            for node in cluster.nodes { try await settle(node) }
            try await members[0].kill()
            for node in cluster.nodes { try await node.readIndex.confirm() }
            try await revokeOne(cluster)
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "pg")
            try await revokeOne(cluster, on: 1)
        }
    }

    @Test(arguments: [1, 3])
    func `Members that come back empty are not believed, and are adopted anew (H3)`(
        _ count: Int
    )
        async throws
    {
        try await withMembers(count) { cluster, members in
            let pair = try await cluster.signIn()
            try await cluster.logOut(pair)
            for node in cluster.nodes { try await settle(node) }
            for member in members {
                try await member.kill()
                try await member.restart()
            }
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            try await whileTended(cluster) {
                try await until("a later epoch") {
                    try await cluster.number(Self.adopted + " AND epoch > 2") == 1
                }
                try await revokeOne(cluster)
            }
        }
    }

    @Test func `FLUSHALL takes the token away, and nothing is believed (H3, A4)`() async throws {
        try await withMembers(1) { cluster, members in
            for node in cluster.nodes { try await settle(node) }
            try await tell(members[0], "FLUSHALL")
            try await revokeOne(cluster)
            #expect(try await cluster.number(Self.adopted) == 0)
        }
    }

    @Test func `A head that went back is noticed and the epoch closed (H4, A4)`() async throws {
        try await withMembers(1) { cluster, members in
            for node in cluster.nodes { try await settle(node) }
            try await revokeOne(cluster)
            let token = try await cluster.text(
                "SELECT members->0->>'tok' FROM revocation_authority"
            )
            try await tell(members[0], "SET", "rv:head", "\(token):0")
            try await whileTended(cluster) {
                try await until("the epoch is closed") {
                    for node in cluster.nodes { try await node.readIndex.confirm() }
                    return try await cluster.number("SELECT epoch FROM revocation_authority") > 2
                }
            }
            try await revokeOne(cluster)
        }
    }

    @Test func `A member that is demoted closes the epoch (H4, H5)`() async throws {
        try await withMembers(1) { cluster, members in
            for node in cluster.nodes { try await settle(node) }
            try await tell(members[0], "REPLICAOF", "127.0.0.1", "1")
            try await whileTended(cluster) {
                try await until("PostgreSQL is the authority") {
                    try await cluster.text("SELECT state FROM revocation_authority") == "pg"
                }
            }
            try await revokeOne(cluster)
            let report = try await cluster.authority(.show)
            #expect(report.complaints.joined().contains("replica"))
        }
    }

    @Test func `A member without memory fails the publication, and the epoch is closed (H6)`()
        async throws
    {
        try await withMembers(1) { cluster, members in
            for node in cluster.nodes { try await settle(node) }
            try await tell(members[0], "CONFIG", "SET", "maxmemory", "1")
            try await revokeOne(cluster)
            #expect(try await cluster.number(Self.adopted) == 0)
        }
    }

    @Test func `A member that hangs is passed over, and its late answers count for nothing (H16)`()
        async throws
    {
        let limits = ["authority.poll_limit": "200ms", "authority.publish_limit": "200ms"]
        try await withMembers(1, set: limits) { cluster, members in
            let pair = try await cluster.signIn()
            for node in cluster.nodes { try await node.readIndex.confirm() }
            members[0].freeze()
            for node in cluster.nodes { try await node.readIndex.confirm() }
            try await cluster.logOut(pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            members[0].thaw()
            for _ in 0..<20 {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            #expect(try await cluster.number(Self.adopted) == 0)
        }
    }

    @Test func `A revoker cut off from Redis waits until no lease is left (F2, H2)`() async throws {
        let cut = ["authority.members": "unix:///nowhere/redis.sock"]
        try await withMembers(1, only: [0: cut]) { cluster, _ in
            try await settle(cluster.nodes[1])
            let pair = try await cluster.signIn()
            try await cluster.nodes[1].readIndex.renew()
            let begun = MonotonicInstant.now
            try await cluster.logOut(pair)
            #expect(MonotonicInstant.now - begun >= .seconds(1))
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "pg")
        }
    }

    @Test func `A node that boots into a running epoch misses nothing (H15, W1)`() async throws {
        try await withMembers(3, nodes: 1) { cluster, _ in
            let node = cluster.nodes[0]
            for round in 0..<3 {
                let before = try await cluster.signIn()
                try await cluster.logOut(before)
                let metrics = MetricsRegistry()
                let booting = ReadIndex(
                    database: node.pool,
                    members: node.members,
                    revoker: node.revoker,
                    readLimit: .seconds(10),
                    clock: .system,
                    entropy: .system,
                    logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
                    metrics: metrics
                )
                try await booting.load()
                // Between its first statement and its first look at the members' positions.
                var ended = [before.sessionID]
                var polls = 0
                for _ in 0..<5 {
                    let pair = try await cluster.signIn()
                    try await cluster.logOut(pair)
                    ended.append(pair.sessionID)
                    try await booting.confirm()
                    let missing = booting.look { set in
                        ended.count { !set.contains(RevocationSubject(.session, $0)) }
                    }
                    #expect(missing == 0, "round \(round)")
                    polls =
                        metrics.exposition().split(separator: "\n")
                        .first { $0.hasPrefix("watchword_revocation_poll_seconds_count ") }
                        .flatMap { $0.split(separator: " ").last.flatMap { Int($0) } } ?? 0
                }
                #expect(polls > 0, "the members have answered nothing, round \(round)")
            }
        }
    }

    /// Its revoker died between the commit and the publication.
    @Test func `A renewal tells what was never published (H18)`() async throws {
        try await withMembers(1) { cluster, _ in
            let pair = try await cluster.signIn()
            for node in cluster.nodes { try await settle(node) }
            try await cluster.run(
                """
                INSERT INTO revocation_log (kind, subject, expires_at)
                VALUES (2, uuid_send('\(pair.sessionID)'), revocation_expiry())
                """
            )
            for node in cluster.nodes { try await node.readIndex.renew() }
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(try await cluster.number(Self.adopted) == 1)
        }
    }

    @Test func `Of two that adopt at once one does, and the members work (H20)`() async throws {
        try await withMembers(3) { cluster, _ in
            for _ in 0..<5 {
                #expect(try await cluster.authority(.close).state == "pg")
                await withTaskGroup(of: Void.self) { group in
                    for node in cluster.nodes {
                        group.addTask {
                            do {
                                _ = try await node.keeper.adopt()
                            } catch {
                                // The other one was first.
                            }
                        }
                    }
                }
                #expect(try await cluster.number(Self.adopted) == 1)
                try await revokeOne(cluster)
                #expect(try await cluster.authority(.show).members == 3)
            }
        }
    }

    /// What keeps two adopters apart is a lock, and there may be a day without it.
    @Test func `Each member gets a random token of its own in every epoch (H20, H31)`()
        async throws
    {
        try await withMembers(3, nodes: 1) { cluster, _ in
            var tokens: [String] = []
            for round in 1...4 {
                let fresh = try await cluster.lines(
                    """
                    SELECT m ->> 'tok'
                      FROM revocation_authority, jsonb_array_elements(members) AS m
                    """
                )
                #expect(fresh.count == 3, "round \(round)")
                tokens += fresh
                #expect(try await cluster.authority(.close).state == "pg")
                #expect(try await cluster.authority(.adopt).state == "redis")
            }
            for token in tokens {
                let isRandom = token.wholeMatch(of: #/[0-9a-f]{32}/#) != nil
                #expect(isRandom, "\(token)")
            }
            #expect(Set(tokens).count == 12)
            // Nor do they share a part: a counter in the last digits would be no randomness.
            for half in [Set(tokens.map { $0.prefix(16) }), Set(tokens.map { $0.suffix(16) })] {
                #expect(half.count == 12)
            }
        }
    }

    @Test func `The operator shows, closes and adopts`() async throws {
        try await withMembers(3) { cluster, _ in
            let before = try await cluster.authority(.show)
            #expect(before.state == "redis")
            #expect(before.members == 3)
            #expect(before.complaints == [])
            let closed = try await cluster.authority(.close)
            #expect(closed.state == "pg")
            #expect(closed.members == 0)
            #expect(closed.epoch == before.epoch + 1)
            try await revokeOne(cluster)
            #expect(try await cluster.authority(.adopt).epoch == closed.epoch + 1)
            try await revokeOne(cluster)
            await #expect(throws: (any Error).self) { try await cluster.authority(.adopt) }
        }
    }

    /// The lease would be good for a minute more, and the member answers all the time.
    @Test func `Another history of the database ends the leases (F4, H34)`() async throws {
        let server = try await PostgresServer.start()
        let lease = ["authority.lease": "60s"]
        try await withMembers(1, nodes: 1, on: server, set: lease) { cluster, _ in
            let node = cluster.nodes[0]
            // Something is published: the positions of the old history are not zero.
            try await revokeOne(cluster)
            try await settle(node)
            let pair = try await cluster.signIn()
            try await server.crash()
            try await server.restart()
            try await until("the node reads again") {
                do {
                    try await node.readIndex.renew()
                    return true
                } catch {
                    return false
                }
            }
            let reads = node.value("watchword_revocation_reads_total")
            let answered = node.histogramCount("watchword_revocation_poll_seconds")
            let fallbacks = node.value("watchword_revocation_fallbacks_total")
            try await node.readIndex.confirm()
            // What the member had told in the old history vouches for nothing in this one.
            #expect(node.value("watchword_revocation_reads_total") == reads + 1)
            #expect(node.value("watchword_revocation_fallbacks_total") == fallbacks + 1)
            #expect(node.histogramCount("watchword_revocation_poll_seconds") == answered)
            try await until("the members answer again") { try await answersFromMembers(node) }
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            try await revokeOne(cluster)
        }
        await server.stop()
    }

    /// Runs the keepers of all nodes meanwhile.
    func whileTended(_ cluster: Cluster, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in cluster.nodes { group.addTask { try await node.keeper.run() } }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}

/// A Redis that may not be a member is refused, and the reason is said.
@Suite struct AdoptionTests {
    @Test(arguments: [
        ("save 3600 1", "save"), ("appendonly yes", "appendonly"),
        ("maxmemory-policy allkeys-lru", "maxmemory-policy"),
        ("maxmemory-policy volatile-ttl", "maxmemory-policy"),
        ("replicaof 127.0.0.1 1", "replica"), ("rename-command CONFIG \"\"", "CONFIG"),
    ])
    func `A Redis set up to forget or to remember is refused with the reason (A4)`(
        _ line: String,
        _ word: String
    ) async throws {
        var options = RedisServer.Options()
        options.lines = [line]
        let stock = try await RedisServer.start(options)
        try await Cluster.run(set: ["authority.members": "unix://\(stock.socket)"]) { cluster in
            do {
                _ = try await cluster.nodes[0].keeper.adopt()
                Issue.record("it was adopted")
            } catch AdoptionRefusal.unfit(let reasons) {
                #expect(reasons.joined().contains(word))
            }
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "pg")
        }
    }

    @Test func `Nobody is adopted who is not named; the default is PostgreSQL`() async throws {
        try await Cluster.run { cluster in
            await #expect(throws: AdoptionRefusal.self) {
                try await cluster.nodes[0].keeper.adopt()
            }
            let state = try await cluster.text("SELECT state FROM revocation_authority")
            #expect(state == "pg")
        }
    }

    @Test func `Two of three are adopted, and the third has no voice`() async throws {
        let first = try await RedisServer.start()
        let second = try await RedisServer.start()
        let urls = "unix://\(first.socket),unix://\(second.socket),unix:///nowhere/redis.sock"
        try await Cluster.run(
            set: ["authority.members": urls, "authority.publish_limit": "10s"]
        ) { cluster in
            _ = try await cluster.nodes[0].keeper.adopt()
            #expect(try await cluster.authority(.show).members == 2)
        }
    }
}
