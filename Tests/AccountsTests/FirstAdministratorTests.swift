// The first administrator, whom the command line makes: one, however many make him at once, and
// recorded as what he is.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Testing
import Web

@Suite(.serialized) struct FirstAdministratorTests {
    private static func registration(_ name: String) -> Registration {
        Registration(
            email: "\(name)@example.org",
            username: nil,
            password: goodPassword,
            profile: AccountProfile()
        )
    }

    @Test func `of two who make the first administrator at once one does (W12)`() async throws {
        try await Cluster.run(2) { cluster in
            let blocker = cluster.makePool(applicationName: "blocker")
            let made = try await withThrowingTaskGroup(of: AccountID?.self) { group in
                try await blocker.transaction { transaction in
                    try await transaction.script(
                        """
                        SELECT pg_advisory_xact_lock(
                            hashtextextended('watchword.first-administrator', 0)
                        )
                        """
                    )
                    for index in 0..<2 {
                        let node = cluster.nodes[index]
                        let trace = cluster.trace(from: "terminal")
                        group.addTask {
                            try await node.web.register.administrator(
                                Self.registration("root\(index)"),
                                in: node.pool,
                                trace
                            )?.id
                        }
                    }
                    // Neither has seen the other.
                    try await cluster.untilBlocked(2)
                }
                var all: [AccountID?] = []
                for try await account in group { all.append(account) }
                return all
            }
            await blocker.close()
            let ids = made.compactMap(\.self)
            #expect(made.count == 2 && ids.count == 1)
            #expect(try await cluster.number("SELECT count(*) FROM accounts") == 1)
            // Nobody with an account has done it, and nobody has registered (W9).
            let recorded = try await cluster.lines(
                """
                SELECT action || ' ' || account_id || ' ' || (actor_id IS NULL) || ' ' || ip_address
                  FROM audit_events
                """
            )
            let id = try #require(ids.first)
            #expect(recorded == ["account.administrator-created \(id) true terminal"])
            let third = try await cluster.nodes[0].web.register.administrator(
                Self.registration("root3"),
                in: cluster.nodes[0].pool,
                cluster.trace(from: "terminal")
            )
            #expect(third == nil)
        }
    }
}
