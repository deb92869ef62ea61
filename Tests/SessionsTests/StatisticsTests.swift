// Numbers by the hour: what is kept is what happened, however late it was counted and by however
// many nodes; what was away is caught up with in steps; and an hour is counted from its own keys.
import Audit
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Web

@Suite(.serialized) struct StatisticsTests {
    /// Sign-ins of one account at an instant, as rows whose keys were made then.
    private func signIns(
        _ cluster: Cluster,
        _ count: Int,
        of account: AccountID,
        at instant: Timestamp,
        outcome: String = "signed-in"
    ) async throws {
        for _ in 0..<count {
            let id = EntryID(at: instant, entropy: .system)
            try await cluster.run(
                """
                INSERT INTO login_history (id, account_id, at, ip_address, user_agent, outcome)
                VALUES ('\(id)', '\(account)', '\(instant)', '::1', 'tests', '\(outcome)')
                """
            )
        }
    }

    /// What a node shows of all hours of the last days.
    private func hours(_ cluster: Cluster, on index: Int = 0) async throws -> [HourStatistics] {
        let now = cluster.clock.wall.now()
        return try await cluster.nodes[index].web.insight.statistics.hours(
            from: (now - .days(4)).startOfHour,
            to: now,
            now: now
        )
    }

    @Test func `Hours that are over are counted once and shown from what was kept`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            _ = try await cluster.signIn()
            let begin = cluster.clock.wall.now().startOfHour
            let live = try await hours(cluster)
            #expect(live.last?.hour == begin && live.last?.isOver == false)
            #expect(live.last?.signUps == 1 && live.last?.signIns == 1)
            // The session is alive at the end of its hour and counted when that is over.
            cluster.clock.advance(by: .hours(1))
            try await cluster.nodes[0].statistics.tend()
            let kept = try await hours(cluster).first { $0.hour == begin }
            #expect(kept?.isOver == true && kept?.signUps == 1 && kept?.signIns == 1)
            #expect(kept?.activeSessions == 1)
            // A row that comes late is counted the next time.
            try await signIns(cluster, 2, of: account, at: begin + .seconds(1))
            try await signIns(
                cluster,
                3,
                of: account,
                at: begin + .seconds(2),
                outcome: "wrong-password"
            )
            cluster.clock.advance(by: StatisticsKeeper.interval + .seconds(1))
            try await cluster.nodes[0].statistics.tend()
            let late = try await hours(cluster).first { $0.hour == begin }
            #expect(late?.signIns == 3)
            #expect(late?.failures.map(\.outcome) == ["wrong-password"])
            #expect(late?.failures.map(\.count) == [3])
            #expect(late?.activeSessions == 1)
        }
    }

    @Test func `A session counts at the end of an hour if it was alive then`() async throws {
        try await Cluster.run { cluster in
            for name in ["ada", "bob"] { _ = try await cluster.signUp(name) }
            var pairs: [TokenPair] = []
            for _ in 0..<7 { pairs.append(try await cluster.signIn()) }
            let begin = cluster.clock.wall.now().startOfHour
            let end = begin + .hours(1)
            let (before, after) = (end - .seconds(1), end + .seconds(1))
            // The first goes on. Signed out, alone or with all others of the account.
            try await cluster.logOut(pairs[1])
            let bob = try await cluster.signIn("bob")
            try await cluster.logOutEverywhere(bob)
            // What ended, or will be over, after the hour was alive then.
            for (index, change) in [
                (2, "revoked_at = '\(after)'"), (3, "revoked_at = '\(before)'"),
                (4, "idle_expires_at = '\(end)'"), (5, "idle_expires_at = '\(after)'"),
                (6, "idle_expires_at = '\(end)', expires_at = '\(end)'"),
            ] {
                let id = pairs[index].sessionID
                try await cluster.run("UPDATE sessions SET \(change) WHERE id = '\(id)'")
            }
            let live = try await hours(cluster).last
            #expect(live?.signIns == 8 && live?.activeSessions == nil)
            cluster.clock.advance(by: .hours(1))
            try await cluster.nodes[0].statistics.tend()
            let kept = try await hours(cluster).first { $0.hour == begin }
            #expect(kept?.signIns == 8 && kept?.activeSessions == 3)
        }
    }

    @Test func `Of two nodes one counts, and the other finds the work done`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            cluster.clock.advance(by: .hours(1))
            let first = try await cluster.nodes[0].statistics.step()
            let second = try await cluster.nodes[1].statistics.step()
            #expect(first != .nothing)
            #expect(second == .nothing)
            // While a transaction holds the lock nobody else counts.
            cluster.clock.advance(by: .hours(1))
            let step = try await cluster.sql.transaction { transaction in
                try await transaction.script(
                    "SELECT pg_advisory_xact_lock(hashtext('watchword.statistics'))"
                )
                return try await cluster.nodes[1].statistics.step()
            }
            #expect(step == .nothing)
            #expect(try await cluster.nodes[1].statistics.step() != .nothing)
        }
    }

    @Test func `Whoever was away for days catches up in steps of a day (W8)`() async throws {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let begin = cluster.clock.wall.now().startOfHour
            try await signIns(cluster, 4, of: account, at: begin + .hours(1))
            cluster.clock.advance(by: .hours(50))
            let keeper = cluster.nodes[0].statistics
            #expect(try await keeper.step() == .some(StatisticsKeeper.hoursAtOnce))
            try await keeper.tend()
            let kept = try await cluster.number(
                "SELECT count(*) FROM statistics_hours WHERE measure = 'sign-ups'"
            )
            #expect(kept == 50)
            let all = try await hours(cluster)
            #expect(all.map(\.signUps).reduce(0, +) == 1)
            #expect(all.first { $0.hour == begin + .hours(1) }?.signIns == 4)
            #expect(try await keeper.step() == .nothing)
        }
    }
}
