// Every kind of revocation from its acknowledgement on one node to a check on another: refused at
// once where checks are linear, and after the bound where they are bounded (S1, S3). And what a
// node does with a kind that it cannot judge: it answers nobody (W10).
import Access
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct KindTests {
    /// Kinds that end tokens by an entry alone; `sessions` has tests of its own.
    private static let kinds: [RevocationKind] = [
        .token, .session, .signature, .accountState, .client, .signingKey, .global,
    ]

    /// Revokes through the one door there is, as an operation would.
    private static func statement(
        _ kind: RevocationKind
    ) -> RevokingStatement<Bool, ID<Named.Entry>, Int64> {
        RevokingStatement(
            "test.revoke_\(kind)",
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

    /// The entry that covers a token, and the nearest one that does not.
    private static func subjects(
        _ kind: RevocationKind,
        _ claims: AccessClaims
    ) -> (RevocationSubject, version: Int64) {
        let issued = claims.issuedAt.microseconds / 1000
        return switch kind {
        case .token: (RevocationSubject(.token, claims.tokenID), 0)
        case .session: (RevocationSubject(.session, claims.sessionID), 0)
        case .signingKey: (RevocationSubject(.signingKey, claims.keyID), 0)
        case .client: (RevocationSubject.client(named: claims.clientID), issued + 1)
        case .global: (RevocationSubject(only: .global), issued + 1)
        case .rights: (RevocationSubject(kind, claims.accountID), claims.rightsVersion + 1)
        case .signature, .accountState, .role, .tenant, .sessions, .routeRules:
            (RevocationSubject(kind, claims.accountID), claims.signatureGeneration + 1)
        }
    }

    private func revoke(
        _ cluster: Cluster,
        _ statement: RevokingStatement<Bool, ID<Named.Entry>, Int64>,
        _ subject: RevocationSubject,
        _ version: Int64
    ) async throws {
        let id = ID<Named.Entry>(high: subject.high, low: subject.low)
        let done = try await cluster.nodes[0].revoker.first(statement(id, version))
        #expect(done == true)
    }

    private func isGood(
        _ cluster: Cluster,
        _ pair: TokenPair,
        staleness: Duration?
    ) async throws -> Bool {
        let verifier = cluster.nodes[1].web.verifier
        let verdict = try await verifier.judge(pair.accessToken.exposed, staleness: staleness)
        if case .accepted = verdict { return true }
        guard case .refused(.revoked, _) = verdict else { throw Unexpected("\(verdict)") }
        return false
    }

    @Test(arguments: kinds)
    func
        `What one node acknowledges another refuses, at once or after the bound (S1, S3)`(
            _ kind: RevocationKind
        ) async throws
    {
        try await Cluster.run(2) { cluster in
            let statement = Self.statement(kind)
            _ = try await cluster.signUp()
            let first = try await cluster.signIn()
            let (subject, version) = Self.subjects(kind, try await cluster.claims(first, on: 1))
            try await revoke(cluster, statement, subject, version)
            #expect(try await isGood(cluster, first, staleness: nil) == false)

            // The kinds that cover everybody must be set up anew for a second token.
            _ = try await cluster.signUp("bob")
            if kind == .signingKey {
                try await cluster.run("DELETE FROM revocation_log")
                return
            }
            let second = try await cluster.signIn("bob")
            let (other, higher) = Self.subjects(kind, try await cluster.claims(second, on: 1))
            let bound = Duration.milliseconds(300)
            #expect(try await isGood(cluster, second, staleness: bound))
            try await revoke(cluster, statement, other, higher)
            let acknowledged = MonotonicInstant.now
            // From memory, which is older than the revocation: what a bounded listener may say.
            #expect(try await isGood(cluster, second, staleness: .hours(1)))
            // Not waiting for luck: the bound itself has to pass.
            try await Task.sleep(for: bound)
            #expect(MonotonicInstant.now - acknowledged >= bound)
            #expect(try await isGood(cluster, second, staleness: bound) == false)
        }
    }

    @Test func `What a role permits is known on every node when it is acknowledged (H27, W11)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            let role = BuiltInRole.member
            let permission = "tests:see"
            let node = cluster.nodes[1]
            #expect(!node.web.roles.snapshot.permits(permission, [role]))
            let statement = Self.statement(.role)
            let id = ID<Named.Entry>(high: role.high, low: role.low)
            for version in [Int64(1), 2] {
                let isGiven = version == 1
                try await cluster.nodes[0].revoker.transaction { transaction in
                    let change =
                        isGiven
                        ? "INSERT INTO role_permissions VALUES ('\(role)', '\(permission)')"
                        : "DELETE FROM role_permissions WHERE permission = '\(permission)'"
                    _ = try await transaction.execute(
                        Statement("test.change_role_\(version)", change, kind: .solo)()
                    )
                    _ = try await transaction.first(statement(id, version))
                }
                // Ten at once share the reading.
                try await withThrowingTaskGroup { group in
                    for _ in 0..<10 { group.addTask { try await node.web.verifier.confirm() } }
                    try await group.waitForAll()
                }
                #expect(node.web.roles.snapshot.permits(permission, [role]) == isGiven)
            }
        }
    }

    @Test(arguments: [23])
    func `A node answers nobody while the log holds a kind that it cannot judge (W10)`(
        _ kind: Int
    ) async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            // As a newer version's migration would. It is over for almost a minute, which is the
            // margin by which clocks may differ.
            try await cluster.run(
                """
                ALTER TABLE revocation_log DROP CONSTRAINT revocation_log_kind_check;
                INSERT INTO revocation_log (kind, subject, expires_at)
                VALUES (\(kind), uuid_send(gen_random_uuid()),
                        clock_timestamp() - interval '40 seconds');
                """
            )
            for index in cluster.nodes.indices {
                await #expect(throws: ReadIndexFault.unknownKind) {
                    try await cluster.judge(pair.accessToken, on: index)
                }
                // Nor from memory: nothing is fresh any more.
                let verifier = cluster.nodes[index].web.verifier
                #expect(!verifier.isFresh(within: .hours(1)))
            }
            try await until("the entry is over") {
                do {
                    return try await cluster.isGoodEverywhere(pair.accessToken)
                } catch ReadIndexFault.unknownKind {
                    return false
                }
            }
        }
    }
}
