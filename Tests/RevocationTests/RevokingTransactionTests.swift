// Several statements that revoke in one transaction: all of it or nothing, and nobody is told
// before all of it is in force (W1, W3).
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct RevokingTransactionTests {
    /// Ends a session: the lock first, then the stamp.
    private static let end = RevokingStatement(
        "test.end_in_transaction",
        """
        ended AS (
            UPDATE sessions SET revoked_at = clock_timestamp(), end_reason = 'test'
             WHERE id = $1
            RETURNING id
        ), \(RevocationLog.append(as: "logged", .session, subject: "ended.id", from: "ended"))
        """,
        answer: "SELECT true FROM ended",
        binds: SessionID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )
    /// Something that has nothing to do with the log.
    private static let touch = Statement(
        "test.touch_in_transaction",
        "UPDATE accounts SET last_login_at = '2001-01-01'",
        kind: .solo
    )
    private static let state = """
        SELECT (SELECT count(*) FROM revocation_log) || ' '
            || (SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL) || ' '
            || (SELECT count(*) FROM accounts WHERE last_login_at = '2001-01-01')
        """

    @Test func `What several statements revoke is in force when the transaction returns (W1, W3)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let (one, two) = (try await cluster.signIn(), try await cluster.signIn(on: 1))
            let kept = try await cluster.signIn()
            let found = try await cluster.nodes[0].revoker.transaction { transaction in
                let first = try await transaction.first(Self.end(one.sessionID))
                _ = try await transaction.execute(Self.touch())
                // Nothing of it is to be seen before the commit.
                for pair in [one, two] {
                    #expect(try await cluster.isGoodEverywhere(pair.accessToken))
                }
                let second = try await transaction.first(Self.end(two.sessionID))
                return [first, second]
            }
            #expect(found == [true, true])
            for pair in [one, two] {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            #expect(try await cluster.text(Self.state) == "2 2 1")
        }
    }

    @Test func `With a member as the authority it is published after the commit (W1)`()
        async throws
    {
        let member = try await RedisServer.start()
        let settings = [
            "authority.members": "unix://\(member.socket)", "authority.lease": "1s",
            "authority.poll_limit": "5s", "authority.publish_limit": "5s",
        ]
        try await Cluster.run(2, set: settings) { cluster in
            _ = try await cluster.signUp()
            try await cluster.adopt()
            let (one, two) = (try await cluster.signIn(), try await cluster.signIn(on: 1))
            for pair in [one, two] {
                #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            }
            try await cluster.nodes[0].revoker.transaction { transaction in
                _ = try await transaction.first(Self.end(one.sessionID))
                _ = try await transaction.first(Self.end(two.sessionID))
            }
            for pair in [one, two] {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            }
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "redis")
        }
    }

    private struct Change: Error {}

    @Test func `A body that throws between two statements has revoked nothing (W3)`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            await #expect(throws: Change.self) {
                try await cluster.nodes[0].revoker.transaction { transaction in
                    _ = try await transaction.first(Self.end(pair.sessionID))
                    _ = try await transaction.execute(Self.touch())
                    throw Change()
                }
            }
            #expect(try await cluster.text(Self.state) == "0 0 0")
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            _ = try await cluster.refresh(pair)
        }
    }

    @Test(arguments: [false, true])
    func `A backend that dies between two statements, or at the commit, has revoked nothing (W3)`(
        _ isAtCommit: Bool
    ) async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            await #expect(throws: (any Error).self) {
                try await cluster.nodes[0].revoker.transaction { transaction in
                    _ = try await transaction.first(Self.end(pair.sessionID))
                    if isAtCommit { _ = try await transaction.execute(Self.touch()) }
                    try await cluster.run(
                        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                            + " WHERE datname = current_database()"
                            + " AND state = 'idle in transaction'"
                    )
                    if !isAtCommit { _ = try await transaction.execute(Self.touch()) }
                }
            }
            #expect(try await cluster.text(Self.state) == "0 0 0")
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            _ = try await cluster.refresh(pair)
        }
    }
}
