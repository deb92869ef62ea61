// Codes that many show at the same time, without the hashing of passwords in between (W5).
import Audit
import ClusterKit
import Postgres
import Primitives
import Testing
import Tokens

@testable import Sessions

@Suite(.serialized) struct SecondFactorUseTests {
    @Test func `of fifty who show one code at once, one is let in (W5, rows 50 and 57)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let claims = try await cluster.claims(try await cluster.signIn())
            let master = MasterKey.generate(version: 1, entropy: .system)
            let factors = try SealedSeedTests.factors(cluster, master)
            _ = try await factors.begin(claims)
            let first = try await SealedSeedTests.code(cluster, master, 1)
            let recovery = try await factors.confirm(first, claims, cluster.trace())
            for round in 0..<3 {
                let code = try await SealedSeedTests.code(cluster, master, 1)
                for shown in [code, recovery[round]] {
                    let used = try await withThrowingTaskGroup(of: Bool.self) { group in
                        for _ in 0..<50 {
                            group.addTask {
                                try await factors.use(shown, of: account, cluster.trace()) != nil
                            }
                        }
                        return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                    }
                    #expect(used == 1)
                }
            }
            // Each of the three rounds has used one of each.
            let left = "SELECT cardinality(recovery_digests) FROM second_factors"
            #expect(try await cluster.number(left) == 7)
        }
    }

    @Test func `a session is opened with what the account wants then, not before (row 47)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let claims = try await cluster.claims(try await cluster.signIn())
            let master = MasterKey.generate(version: 1, entropy: .system)
            let factors = try SealedSeedTests.factors(cluster, master)
            _ = try await factors.begin(claims)
            let phc = try await cluster.text("SELECT phc FROM account_passwords")
            func opens(with factors: SignInFactors) async throws -> Bool {
                let trace = cluster.trace()
                let query = SignInStore.open(
                    SessionID(at: trace.now, entropy: .system),
                    account,
                    phc,
                    Array(repeating: 7, count: 32),
                    "body",
                    "tests",
                    trace.now + .hours(1),
                    trace.now + .hours(2),
                    EntryID(at: trace.now, entropy: .system),
                    factors.rawValue,
                    900,
                    "watchword",
                    AuditBinds(trace, entropy: .system),
                    nil
                )
                return try await cluster.sql.first(query) != nil
            }
            // One that was only begun counts for nothing.
            #expect(try await opens(with: .password))
            #expect(try await !opens(with: .passwordAndTimeCode))
            // Confirmed while the password was being hashed.
            let code = try await SealedSeedTests.code(cluster, master, 1)
            _ = try await factors.confirm(code, claims, cluster.trace())
            #expect(try await !opens(with: .password))
            #expect(try await opens(with: .passwordAndTimeCode))
            #expect(try await opens(with: .passwordAndRecoveryCode))
            let sessions = "SELECT count(*) FROM sessions WHERE second_factor"
            #expect(try await cluster.number(sessions) == 2)
        }
    }
}
