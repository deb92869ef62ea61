// The rules by which a revocation covers a token, for the kinds that no operation of ours writes
// yet or that operators write by hand: the rows come from the test, the checks from real nodes.
import ClusterKit
import Primitives
import Revocation
import Sessions
import Testing
import Tokens

@Suite(.serialized) struct CoveringTests {
    /// A row of the log.
    private struct Entry {
        let kind: RevocationKind
        var subject = "00000000-0000-0000-0000-000000000000"
        var version: Int64 = 0

        var sql: String {
            """
            INSERT INTO revocation_log (kind, subject, ver, expires_at)
            VALUES (\(kind.rawValue), uuid_send('\(subject)'), \(version), revocation_expiry());
            """
        }
    }

    /// The row that covers a token, and the nearest ones that do not.
    private static func entries(
        _ kind: RevocationKind,
        _ claims: AccessClaims,
        other: AccessClaims
    ) -> (covering: Entry, harmless: [Entry]) {
        let version: Int64
        switch kind {
        case .signingKey:
            return (
                Entry(kind: kind, subject: "\(claims.keyID)"),
                [Entry(kind: kind, subject: "\(KeyID(high: claims.keyID.high, low: 1))")]
            )
        case .global:
            version = claims.issuedAt.microseconds / 1000
            return (
                Entry(kind: kind, version: version + 1), [Entry(kind: kind, version: version)]
            )
        case .rights: version = claims.rightsVersion
        default: version = claims.signatureGeneration
        }
        let name = "\(claims.accountID)"
        return (
            Entry(kind: kind, subject: name, version: version + 1),
            [
                Entry(kind: kind, subject: name, version: version),
                Entry(kind: kind, subject: "\(other.sessionID)", version: version + 1),
            ]
        )
    }

    @Test(arguments: [RevocationKind.accountState, .signingKey, .global])
    func `Each kind covers the tokens below its version, for good, and no others (W1, W2)`(
        _ kind: RevocationKind
    ) async throws {
        try await Cluster.run(2) { cluster in
            let account = try await cluster.signUp("ada")
            _ = try await cluster.signUp("bob")
            let bob = try await cluster.signIn("bob")
            let ada = try await cluster.signIn("ada")
            let (covering, harmless) = Self.entries(
                kind,
                try await cluster.claims(ada),
                other: try await cluster.claims(bob)
            )
            for entry in harmless { try await cluster.run(entry.sql) }
            #expect(try await cluster.isGoodEverywhere(ada.accessToken))
            try await cluster.run(covering.sql)
            #expect(try await cluster.isRevokedEverywhere(ada.accessToken))
            let coversAll = kind == .signingKey || kind == .global
            #expect(try await cluster.isRevokedEverywhere(bob.accessToken) == coversAll)
            // A lower version that comes later takes nothing back.
            for entry in harmless { try await cluster.run(entry.sql) }
            #expect(try await cluster.isRevokedEverywhere(ada.accessToken))
            guard kind != .signingKey else { return }
            // What is minted at the new version is good at once.
            try await cluster.run(
                """
                UPDATE account_signatures SET generation = generation + 1
                 WHERE account_id = '\(account)';
                """
            )
            let fresh = try await cluster.signIn("ada")
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            #expect(try await cluster.isRevokedEverywhere(ada.accessToken))
        }
    }
}
