// Seeds of authenticators under another master key: sealed anew without anybody noticing, and of no
// use to whoever has the database without it, or has moved them (W7, rows 54 and 271).
import ClusterKit
import Postgres
import Primitives
import Testing
import Tokens

@testable import Sessions

@Suite(.serialized) struct SealedSeedTests {
    static func factors(_ cluster: Cluster, _ master: String) throws -> SecondFactors {
        SecondFactors(
            database: cluster.sql,
            revoker: cluster.nodes[0].revoker,
            masterKey: try MasterKey(Secret(master)),
            publicURL: "https://auth.example.test:8443/a",
            entropy: .system
        )
    }

    private static func bytes(ofHex text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { Hex.value(of: $0) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// The code of now, from the seed in the database.
    static func code(
        _ cluster: Cluster,
        _ master: String,
        _ version: Int
    ) async throws
        -> Secret
    {
        let account = try await cluster.text("SELECT account_id FROM second_factors")
        let sealed = try await cluster.text("SELECT encode(seed_sealed, 'hex') FROM second_factors")
        let seed = try MasterKey(Secret(master)).open(
            bytes(ofHex: sealed),
            version: version,
            context: "second factor \(account)"
        )
        let step = TimeCode.step(at: WallClock.system.now())
        try await cluster.run("UPDATE second_factors SET last_step = 0")
        return Secret(TimeCode.code(of: seed, step: step))
    }

    @Test func `seeds move to another master key (W7)`() async throws {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let claims = try await cluster.claims(pair)
            let first = MasterKey.generate(version: 1, entropy: .system)
            let second = MasterKey.generate(version: 2, entropy: .system)
            let before = try Self.factors(cluster, first)
            let enrolment = try await before.begin(claims)
            let link = String(decoding: enrolment.link.exposed, as: UTF8.self)
            #expect(link.hasPrefix("otpauth://totp/auth.example.test:"))
            let shown = try await Self.code(cluster, first, 1)
            #expect(try await before.confirm(shown, claims, cluster.trace()).count == 10)
            let both = try Self.factors(cluster, "\(first),\(second)")
            async let one = both.rewrap()
            async let two = both.rewrap()
            let (mine, other) = try await (one, two)
            #expect(mine.sealed + other.sealed == 1)
            #expect(try await both.rewrap() == (0, 0))
            let after = try Self.factors(cluster, second)
            let code = try await Self.code(cluster, second, 2)
            // Who has the former key alone can open it no more, and says so.
            await #expect(throws: SealedSeedFault.self) {
                _ = try await before.use(code, of: account, cluster.trace())
            }
            // It was nobody's guess.
            #expect(try await cluster.number("SELECT failed_codes FROM second_factors") == 0)
            #expect(try await before.rewrap() == (0, 1))
            let use = try await after.use(code, of: account, cluster.trace())
            #expect(use == .passwordAndTimeCode)
            #expect(try await after.use(code, of: account, cluster.trace()) == nil)
            // An enrolment that was given up stands in nobody's way.
            try await cluster.run(
                """
                UPDATE second_factors SET confirmed_at = NULL, recovery_digests = '{}',
                       created_at = created_at - interval '11 minutes'
                """
            )
            #expect(try await before.rewrap() == (0, 0))
        }
    }

    @Test func `a seed that is moved to another account opens nothing (row 271)`() async throws {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let claims = try await cluster.claims(try await cluster.signIn())
            let master = MasterKey.generate(version: 1, entropy: .system)
            let factors = try Self.factors(cluster, master)
            _ = try await factors.begin(claims)
            let code = try await Self.code(cluster, master, 1)
            _ = try await factors.confirm(code, claims, cluster.trace())
            let other = AccountID(at: WallClock.system.now(), entropy: .system)
            try await cluster.run(
                """
                INSERT INTO accounts (
                    id, kind, username, username_canonical, created_at, updated_at
                )
                SELECT '\(other)', 'service', 'thief', 'thief', now(), now();
                UPDATE second_factors SET account_id = '\(other)', last_step = 0
                """
            )
            await #expect(throws: SealedSeedFault.self) {
                _ = try await factors.use(code, of: other, cluster.trace())
            }
            #expect(try await factors.use(code, of: account, cluster.trace()) == nil)
        }
    }
}
