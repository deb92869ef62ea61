// The roles of accounts that hold more than a token carries: read once for all who ask at the same
// time, remembered by account and version of its rights, and never guessed.
import Access
import ClusterKit
import Postgres
import Primitives
import Synchronization
import Testing
import Web

@Suite(.serialized) struct HeldRolesTests {
    /// How many ask.
    private final class Askers: Sendable {
        let count = Atomic<Int>(0)
    }

    /// What fifty get who ask at once; nil for a fault.
    private static func ask(
        _ rights: RightsResolver,
        _ account: AccountID,
        _ askers: Askers
    ) async throws -> [[RoleID]?] {
        try await withThrowingTaskGroup(of: [RoleID]?.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    askers.count.wrappingAdd(1, ordering: .relaxed)
                    do {
                        let question = RightsQuestion(account, version: 0)
                        return try await rights.rights(of: question, at: Timestamp(seconds: 0))
                            .unscoped
                    } catch is any Fault {
                        return nil
                    }
                }
            }
            var found: [[RoleID]?] = []
            for try await one in group { found.append(one) }
            return found
        }
    }

    @Test func `Those who ask at once share one statement, and its failure (W8, W10)`() async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let node = cluster.nodes[0]
            let roles = node.web.rights
            let askers = Askers()
            let found = try await cluster.sql.session(deadline: .after(.seconds(120))) { session in
                try await session.script(
                    "BEGIN; LOCK TABLE account_roles IN ACCESS EXCLUSIVE MODE"
                )
                async let answers = Self.ask(roles, account, askers)
                try await until("all ask") { askers.count.load(ordering: .relaxed) == 50 }
                // Not fifty: the others wait for it. The server gives it up after `lock_timeout`.
                var most = 0
                try await until("the wait is over") {
                    let inFlight = node.value("watchword_postgres_in_flight")
                    most = max(most, inFlight)
                    return most > 0 && inFlight == 0
                }
                #expect(most == 1)
                try await session.script("ROLLBACK")
                return try await answers
            }
            let none = [[RoleID]?](repeating: nil, count: 50)
            #expect(found == none)
            // Nothing of the failure is remembered, and all get what one has read.
            let all = try await Self.ask(roles, account, askers)
            #expect(all == Array(repeating: [BuiltInRole.member], count: 50))
        }
    }

    @Test func `A reading counts for its version of the rights and no newer one`() async throws {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let rights = cluster.nodes[0].web.rights
            func roles(of account: AccountID, version: Int64) async throws -> [RoleID] {
                let question = RightsQuestion(account, version: version)
                return try await rights.rights(of: question, at: Timestamp(seconds: 0)).unscoped
            }
            #expect(try await roles(of: account, version: 0) == [BuiltInRole.member])
            try await cluster.run(
                """
                INSERT INTO account_roles SELECT id, '\(BuiltInRole.admin)', now() FROM accounts;
                UPDATE accounts SET rights_version = 7
                """
            )
            // Remembered: nothing is read for what is known.
            #expect(try await roles(of: account, version: 0) == [BuiltInRole.member])
            let both = [BuiltInRole.admin, BuiltInRole.member]
            #expect(try await roles(of: account, version: 7) == both)
            #expect(try await roles(of: account, version: 0) == both)
            // A token of a version that the database does not have yet, or no longer, has none.
            #expect(try await roles(of: account, version: 8).isEmpty)
            let nobody = AccountID(at: cluster.trace().now, entropy: .system)
            #expect(try await roles(of: nobody, version: 0).isEmpty)
        }
    }
}
