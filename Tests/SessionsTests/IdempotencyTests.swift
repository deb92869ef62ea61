// Idempotency keys on real nodes: of the attempts at one request one commits, whichever node it
// reaches, whatever ends in the middle.
import ClusterKit
import Postgres
import Primitives
import Testing
import Tokens
import Web

@Suite struct IdempotencyTests {
    private static let answer = Array("the answer".utf8)

    /// Makes the table that the work of these tests goes to.
    private func prepare(_ cluster: Cluster) async throws {
        try await cluster.run("CREATE TABLE made (n int)")
    }

    private func madeCount(_ cluster: Cluster) async throws -> Int64 {
        try await cluster.number("SELECT count(*) FROM made")
    }

    /// A request that arrives now.
    private func request(
        _ cluster: Cluster,
        _ key: UInt8 = 1,
        account: AccountID = AccountID(high: 1, low: 1),
        content: UInt8 = 1
    ) -> IdempotentRequest {
        let now = cluster.clock.wall.now()
        return IdempotentRequest(
            account: account,
            keyDigest: Array(repeating: key, count: 32),
            requestDigest: Array(repeating: content, count: 32),
            attempt: RequestID(at: now, entropy: .system),
            now: now
        )
    }

    /// Carries a request out on a node, with one row as its work.
    private func make(
        _ cluster: Cluster,
        _ request: IdempotentRequest,
        on index: Int = 0
    ) async throws -> (answer: [UInt8], isReplay: Bool) {
        let node = cluster.nodes[index]
        return try await node.web.answers.once(request) {
            try await node.pool.transaction { try await $0.script("INSERT INTO made VALUES (1)") }
            return Self.answer
        }
    }

    @Test func `of many at once on two nodes one runs, and its answer comes again`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            try await prepare(cluster)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        do {
                            let request = request(cluster)
                            let out = try await make(cluster, request, on: index % 2)
                            #expect(out.answer == Self.answer)
                        } catch let refusal as IdempotencyRefusal {
                            #expect(refusal == .underWay)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await madeCount(cluster) == 1)
            for index in 0...1 {
                let again = try await make(cluster, request(cluster), on: index)
                #expect(again.isReplay)
                #expect(again.answer == Self.answer)
            }
            // Somebody else's key of the same name is another key.
            let other = AccountID(high: 1, low: 2)
            #expect(try await !make(cluster, request(cluster, account: other)).isReplay)
            #expect(try await madeCount(cluster) == 2)
            await #expect(throws: IdempotencyRefusal.otherRequest) {
                try await make(cluster, request(cluster, content: 2))
            }
        }
    }

    @Test func `a refusal or a fault before any commit frees the key`() async throws {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            let node = cluster.nodes[0]
            await #expect(throws: WebRefusal.self) {
                _ = try await node.web.answers.once(request(cluster)) {
                    try await node.pool.transaction { transaction in
                        try await transaction.script("INSERT INTO made VALUES (1)")
                        throw WebRefusal(.nameTaken)
                    }
                }
            }
            await #expect(throws: Unexpected.self) {
                _ = try await node.web.answers.once(request(cluster)) {
                    try await node.pool.transaction { transaction in
                        try await transaction.script("INSERT INTO made VALUES (1)")
                        throw Unexpected("in the middle")
                    }
                }
            }
            #expect(try await madeCount(cluster) == 0)
            #expect(try await !make(cluster, request(cluster)).isReplay)
            #expect(try await madeCount(cluster) == 1)
        }
    }

    @Test func `a refusal after the commit, of what reads the result, does not free the key`()
        async throws
    {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            let node = cluster.nodes[0]
            await #expect(throws: WebRefusal.self) {
                _ = try await node.web.answers.once(request(cluster)) {
                    try await node.pool.transaction {
                        try await $0.script("INSERT INTO made VALUES (1)")
                    }
                    // What was made is gone again before it could be shown.
                    throw WebRefusal(.notFound)
                }
            }
            await #expect(throws: IdempotencyRefusal.underWay) {
                try await make(cluster, request(cluster))
            }
            cluster.clock.advance(by: .minutes(2))
            await #expect(throws: IdempotencyRefusal.answerLost) {
                try await make(cluster, request(cluster))
            }
            #expect(try await madeCount(cluster) == 1)
        }
    }

    @Test func `a key is free after the refusal of one more than there may be`() async throws {
        try await Cluster.run { cluster in
            let actor = try await cluster.signUp()
            let node = cluster.nodes[0]
            func rotate() async throws -> Bool {
                try await node.web.answers.once(request(cluster, account: actor)) {
                    _ = try await node.keys.makeSigningKey(
                        atOnce: false,
                        by: actor,
                        cluster.trace()
                    )
                    return Self.answer
                }.isReplay
            }
            while try await cluster.number(Self.liveKeys) < 16 {
                _ = try await node.keys.makeSigningKey(atOnce: false, by: actor, cluster.trace())
            }
            await #expect(throws: KeyRefusal.tooMany) { try await rotate() }
            #expect(try await cluster.number(Self.keptKeys(actor)) == 0)
            try await cluster.run(
                """
                UPDATE keys SET retired_at = now()
                 WHERE id = (SELECT id FROM keys
                              WHERE use = 'access-token' AND active_from > now() LIMIT 1)
                """
            )
            #expect(try await !rotate())
            #expect(try await rotate())
            #expect(try await cluster.number(Self.liveKeys) == 16)
        }
    }

    private static let liveKeys = """
        SELECT count(*) FROM keys WHERE use = 'access-token' AND retired_at IS NULL
        """

    private static func keptKeys(_ account: AccountID) -> String {
        "SELECT count(*) FROM idempotency_keys WHERE account_id = '\(account)'"
    }

    @Test func `what was committed is not done again when its answer was lost`() async throws {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            let node = cluster.nodes[0]
            await #expect(throws: Unexpected.self) {
                _ = try await node.web.answers.once(request(cluster)) {
                    try await node.pool.transaction {
                        try await $0.script("INSERT INTO made VALUES (1)")
                    }
                    throw Unexpected("after the commit")
                }
            }
            await #expect(throws: IdempotencyRefusal.underWay) {
                try await make(cluster, request(cluster))
            }
            cluster.clock.advance(by: .minutes(2))
            await #expect(throws: IdempotencyRefusal.answerLost) {
                try await make(cluster, request(cluster))
            }
            #expect(try await madeCount(cluster) == 1)
            // A day later the key is free, swept or not.
            try await age(cluster, by: "1 day")
            #expect(try await !make(cluster, request(cluster)).isReplay)
            #expect(try await madeCount(cluster) == 2)
        }
    }

    @Test func `an attempt that stands still is taken over, and then comes to nothing`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            try await prepare(cluster)
            let (go, release) = AsyncStream.makeStream(of: Void.self)
            let (begun, announce) = AsyncStream.makeStream(of: Void.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                let slow = request(cluster)
                let node = cluster.nodes[0]
                group.addTask {
                    _ = try await node.web.answers.once(slow) {
                        announce.yield()
                        for await _ in go { break }
                        try await node.pool.transaction {
                            try await $0.script("INSERT INTO made VALUES (1)")
                        }
                        return Self.answer
                    }
                }
                for await _ in begun { break }
                await #expect(throws: IdempotencyRefusal.underWay) {
                    try await make(cluster, request(cluster), on: 1)
                }
                cluster.clock.advance(by: .seconds(61))
                let taken = try await make(cluster, request(cluster), on: 1)
                #expect(!taken.isReplay)
                release.yield()
                release.finish()
                await #expect(throws: IdempotencyRefusal.underWay) { try await group.next() }
            }
            #expect(try await madeCount(cluster) == 1)
            // The loser has not freed the winner's key.
            #expect(try await make(cluster, request(cluster)).isReplay)
        }
    }

    @Test func `neither request nor answer can be read in the database (W7)`() async throws {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            _ = try await make(cluster, request(cluster))
            for (column, bytes) in [
                ("answer", Self.answer), ("request", Array(repeating: UInt8(1), count: 32)),
            ] {
                let found = try await cluster.number(
                    """
                    SELECT count(*) FROM idempotency_keys
                     WHERE position('\\x\(Hex.encode(bytes))'::bytea IN \(column)) > 0
                    """
                )
                #expect(found == 0, "\(column)")
            }
            #expect(try await cluster.number("SELECT count(answer) FROM idempotency_keys") == 1)
            // Moved to another account, it does not open.
            let other = AccountID(high: 1, low: 2)
            try await cluster.run("UPDATE idempotency_keys SET account_id = '\(other)'")
            await #expect(throws: (any Error).self) {
                try await make(cluster, request(cluster, account: other))
            }
            #expect(try await madeCount(cluster) == 1)
        }
    }

    @Test func `answers are forgotten after a day and not before`() async throws {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            _ = try await make(cluster, request(cluster, 1))
            try await age(cluster, by: "23 hours")
            _ = try await make(cluster, request(cluster, 2))
            try await cluster.nodes[0].sweepAnswers()
            #expect(try await cluster.number("SELECT count(*) FROM idempotency_keys") == 2)
            try await age(cluster, by: "2 hours")
            try await cluster.nodes[0].sweepAnswers()
            #expect(try await cluster.number("SELECT count(*) FROM idempotency_keys") == 1)
            #expect(try await make(cluster, request(cluster, 2)).isReplay)
        }
    }

    @Test(arguments: [-2, 2] as [Int64])
    func `a node that is days off does nothing twice (H13)`(_ days: Int64) async throws {
        try await Cluster.run { cluster in
            try await prepare(cluster)
            cluster.clock.advance(by: .days(min(days, 0)))
            _ = try await make(cluster, request(cluster))
            cluster.clock.advance(by: .days(abs(days)))
            try await cluster.nodes[0].sweepAnswers()
            #expect(try await make(cluster, request(cluster)).isReplay)
            #expect(try await madeCount(cluster) == 1)
        }
    }

    /// Makes what is kept older, as the server sees it.
    private func age(_ cluster: Cluster, by time: String) async throws {
        try await cluster.run(
            "UPDATE idempotency_keys SET created_at = created_at - interval '\(time)'"
        )
    }
}
