// Many ends of sessions of one account in a minute (revocation.md H25): one entry stands for them,
// nodes ask PostgreSQL which sessions are alive, nobody is ended whom nobody ended, and nobody who
// was ended is let in. Real nodes, on one database.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Web

@Suite(.serialized) struct CollapseTests {
    private static let log = "SELECT count(*) FROM revocation_log"
    private static let collapsed = "SELECT count(*) FROM revocation_log WHERE kind = 11"

    private func settings(_ limit: Int) -> [String: String] {
        ["revocation.collapse_after": "\(limit)"]
    }

    /// Signs in and out so many times on a node; every token is dead on all nodes at once.
    private func signInAndOut(_ cluster: Cluster, _ times: Int, on index: Int = 0) async throws {
        for _ in 0..<times {
            let pair = try await cluster.signIn(on: index)
            try await cluster.logOut(pair, on: index)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
        }
    }

    private func statements(_ node: TestNode) -> Int {
        node.value("watchword_sessions_resolutions_total")
    }

    @Test
    func `Whoever signs in and out for ever makes the log grow by a bounded number (H25, W1)`()
        async throws
    {
        try await Cluster.run(2, set: settings(5)) { cluster in
            _ = try await cluster.signUp()
            _ = try await cluster.signUp("bob")
            let kept = try await cluster.signIn()
            let bob = try await cluster.signIn("bob")
            let begun = MonotonicInstant.now
            try await signInAndOut(cluster, 60)
            // Each minute begins with entries of their own again.
            let minutes = Int64((MonotonicInstant.now - begun).wholeSeconds / 60) + 1
            let rows = try await cluster.number(Self.log)
            #expect(rows <= 6 * minutes, "\(rows) rows in \(minutes) minutes for 60 ends")
            #expect(try await cluster.number(Self.collapsed) <= minutes)
            #expect(try await cluster.number(Self.collapsed) >= 1)
            for node in cluster.nodes {
                let held = node.value("watchword_revocation_set_size")
                #expect(held <= 6 * Int(minutes), "\(held)")
            }
            // Nobody has ended these.
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            #expect(try await cluster.isGoodEverywhere(bob.accessToken))
            let child = try await cluster.refresh(kept, on: 1)
            #expect(try await cluster.isGoodEverywhere(child.accessToken))
            let later = try await cluster.signIn(on: 1)
            #expect(try await cluster.isGoodEverywhere(later.accessToken))
            try await cluster.logOutEverywhere(later)
            for pair in [kept, child, later] {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            #expect(try await cluster.isGoodEverywhere(bob.accessToken))
        }
    }

    @Test func `Without a limit each end has an entry, and nobody is asked (H25)`() async throws {
        try await Cluster.run(2, set: settings(0)) { cluster in
            _ = try await cluster.signUp()
            try await signInAndOut(cluster, 12)
            #expect(try await cluster.number(Self.log) == 12)
            for node in cluster.nodes { #expect(statements(node) == 0) }
        }
    }

    @Test func `A session that nobody ended is asked for once, however often it is checked (H25)`()
        async throws
    {
        try await Cluster.run(2, set: settings(2)) { cluster in
            _ = try await cluster.signUp()
            var kept: [Secret] = []
            for _ in 0..<3 { kept.append(try await cluster.signIn().accessToken) }
            try await signInAndOut(cluster, 3)
            for (number, node) in cluster.nodes.enumerated() {
                // The ended ones have been asked for before.
                let before = statements(node)
                for token in kept {
                    for _ in 0..<20 {
                        guard case .accepted = try await cluster.judge(token, on: number) else {
                            Issue.record("refused")
                            continue
                        }
                    }
                }
                #expect(statements(node) == before + kept.count)
            }
            // Another end, and each is asked for once more; those who come together share it.
            try await signInAndOut(cluster, 1)
            let node = cluster.nodes[1]
            let before = statements(node)
            let token = kept[0]
            try await withThrowingTaskGroup { group in
                for _ in 0..<50 {
                    group.addTask { _ = try await cluster.judge(token, on: 1) }
                }
                try await group.waitForAll()
            }
            let asked = statements(node) - before
            #expect((1...3).contains(asked), "\(asked)")
        }
    }

    @Test func `Two nodes that end sessions of one account at once miss none (H25, W1, W3)`()
        async throws
    {
        try await Cluster.run(3, set: settings(3)) { cluster in
            _ = try await cluster.signUp()
            var doomed: [TokenPair] = []
            var kept: [TokenPair] = []
            for number in 0..<30 {
                let pair = try await cluster.signIn(on: number % 3)
                if number % 5 == 0 { kept.append(pair) } else { doomed.append(pair) }
            }
            try await withThrowingTaskGroup { group in
                for (number, pair) in doomed.enumerated() {
                    group.addTask {
                        try await cluster.logOut(pair, on: number % 2)
                        // At once, while the others are at it.
                        let isDead = try await cluster.isRevokedEverywhere(pair.accessToken)
                        #expect(isDead)
                    }
                }
                for pair in kept {
                    group.addTask {
                        let isAlive = try await cluster.isGoodEverywhere(pair.accessToken)
                        #expect(isAlive)
                    }
                }
                try await group.waitForAll()
            }
            for pair in doomed {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            for pair in kept { #expect(try await cluster.isGoodEverywhere(pair.accessToken)) }
            // Those that were under way when the first entry was made do not see it and make one of
            // their own; there is no further one after that.
            let rows = try await cluster.number(Self.log)
            #expect(rows <= doomed.count, "\(rows) rows for \(doomed.count) ends")
            let begun = MonotonicInstant.now
            for _ in 0..<12 {
                let pair = try await cluster.signIn()
                try await cluster.logOut(pair)
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            let minutes = Int64((MonotonicInstant.now - begun).wholeSeconds / 60) + 1
            #expect(try await cluster.number(Self.log) < rows + 4 * minutes)
            #expect(
                try await cluster.number("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
                    == Int64(kept.count)
            )
        }
    }

    @Test func `A node that begins later judges by what is in the log (H25)`() async throws {
        try await Cluster.run(2, set: settings(1)) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            var dead: [TokenPair] = []
            for _ in 0..<4 { dead.append(try await cluster.signIn()) }
            for pair in dead { try await cluster.logOut(pair) }
            // The second node has read nothing of it yet.
            try await cluster.nodes[1].readIndex.load()
            for pair in dead { #expect(try await cluster.isRevokedEverywhere(pair.accessToken)) }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
    }

    @Test func `A backend that dies while it counts has ended and told nothing (H25, W3)`()
        async throws
    {
        try await Cluster.run(2, set: settings(1)) { cluster in
            _ = try await cluster.signUp()
            try await signInAndOut(cluster, 3)
            let pair = try await cluster.signIn()
            let state = """
                SELECT (SELECT string_agg(s::text, ',' ORDER BY s.id) FROM sessions s) || ' '
                    || (SELECT string_agg(e::text, ',') FROM session_ends e) || ' '
                    || (SELECT string_agg(r::text, ',' ORDER BY r.id) FROM revocation_log r)
                """
            let before = try await cluster.text(state)
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { group in
                try await blocker.transaction { transaction in
                    try await transaction.script("SELECT FROM session_ends FOR UPDATE")
                    group.addTask {
                        await #expect(throws: (any Error).self) {
                            try await cluster.logOut(pair)
                        }
                    }
                    // It has ended the session, and waits with that.
                    try await cluster.untilBlocked()
                    try await cluster.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            + " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    )
                    try await group.waitForAll()
                }
            }
            await blocker.close()
            #expect(try await cluster.text(state) == before)
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            try await cluster.logOut(pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
        }
    }

    @Test func `The next minute counts anew, and what was collapsed stays so (H25, W2)`()
        async throws
    {
        try await Cluster.run(2, set: settings(1)) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            try await signInAndOut(cluster, 3)
            let before = try await cluster.number(Self.log)
            try await cluster.run(
                "UPDATE session_ends SET began_at = began_at - interval '2 minutes'"
            )
            try await signInAndOut(cluster, 1)
            #expect(try await cluster.number(Self.log) == before + 1)
            #expect(try await cluster.number(Self.collapsed) == 1)
            try await signInAndOut(cluster, 2)
            #expect(try await cluster.number(Self.collapsed) == 2)
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
    }

    @Test func `An old refresh token ends its session all the same when it is collapsed (H25, W4)`()
        async throws
    {
        let all = settings(1).merging(["sessions.refresh_grace": "0s"]) { $1 }
        try await Cluster.run(2, set: all) { cluster in
            _ = try await cluster.signUp()
            try await signInAndOut(cluster, 2)
            let kept = try await cluster.signIn()
            let stolen = try await cluster.signIn()
            let fresh = try await cluster.refresh(stolen)
            await #expect(throws: RefreshRefusal.reused) {
                try await cluster.refresh(stolen, on: 1)
            }
            #expect(try await cluster.isRevokedEverywhere(fresh.accessToken))
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            #expect(try await cluster.number(Self.collapsed) == 1)
        }
    }

    @Test func `A database that lacks the version of the entry answers for nobody (H25, H7, W10)`()
        async throws
    {
        try await Cluster.run(2, set: settings(1)) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            try await signInAndOut(cluster, 3)
            try await cluster.run("DELETE FROM session_ends")
            for index in cluster.nodes.indices {
                await #expect(throws: ReadIndexFault.unconfirmed) {
                    try await cluster.judge(kept.accessToken, on: index)
                }
            }
        }
    }

    @Test func `With a member as the authority it is the same (H25, W1)`() async throws {
        let member = try await RedisServer.start()
        let authority = [
            "authority.members": "unix://\(member.socket)", "authority.poll_limit": "5s",
            "authority.publish_limit": "5s",
        ]
        try await Cluster.run(2, set: settings(2).merging(authority) { $1 }) { cluster in
            _ = try await cluster.signUp()
            try await cluster.adopt()
            let kept = try await cluster.signIn()
            try await signInAndOut(cluster, 10)
            try await signInAndOut(cluster, 10, on: 1)
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            #expect(try await cluster.number(Self.log) < 10)
            let state = try await cluster.text("SELECT state FROM revocation_authority")
            #expect(state == "redis")
        }
    }
}
