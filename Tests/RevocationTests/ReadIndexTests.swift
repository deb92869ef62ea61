// The read-index against a real PostgreSQL: late commits, failures, restarts, load.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct ReadIndexTests {
    private func subject(_ number: UInt64) -> RevocationSubject {
        RevocationSubject(.session, SessionID(high: 7, low: number))
    }

    private func insertion(_ number: Int) -> String {
        """
        INSERT INTO revocation_log (kind, subject, expires_at)
        VALUES (2, uuid_send('00000000-0000-0007-0000-\(Hex12.text(number))'), revocation_expiry());
        """
    }

    @Test func `A revocation that commits late with the lower number is seen (F1, H1)`()
        async throws
    {
        try await Cluster.run { cluster in
            let index = cluster.nodes[0].readIndex
            let early = cluster.makePool(applicationName: "early")
            try await early.transaction { transaction in
                try await transaction.script(insertion(1))
                try await cluster.run(insertion(2))
                try await index.confirm()
                #expect(index.look { $0.contains(subject(2)) })
                #expect(!index.look { $0.contains(subject(1)) })
                // A second reading moves a cursor that were the highest number seen beyond it.
                try await index.confirm()
            }
            await early.close()
            let order = try await cluster.number(
                "SELECT count(*) FROM revocation_log a, revocation_log b"
                    + " WHERE a.id < b.id AND a.subject < b.subject AND a.xid < b.xid"
            )
            #expect(order == 1)
            try await index.confirm()
            #expect(index.look { $0.contains(subject(1)) })
        }
    }

    @Test func `A read that raises an error refuses the check (H10, W10)`() async throws {
        try await Cluster.run { cluster in
            let index = cluster.nodes[0].readIndex
            // What a standby answers: this function raises an error there.
            try await cluster.run(
                """
                CREATE SCHEMA standby;
                CREATE FUNCTION standby.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'recovery is in progress' USING ERRCODE = '55000'; END $$;
                ALTER DATABASE \(cluster.database.name)
                    SET search_path = standby, pg_catalog, public;
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid();
                """
            )
            await #expect(throws: PostgresError.self) {
                for _ in 0..<3 { try await index.confirm() }
            }
            try await until("the error of a standby arrives") {
                do {
                    try await index.confirm()
                    return false
                } catch let error as PostgresError {
                    return error.sqlState == "55000"
                }
            }
        }
    }

    @Test func `A database without its authority row refuses the check (W10)`() async throws {
        try await Cluster.run { cluster in
            try await cluster.run("DELETE FROM revocation_authority")
            await #expect(throws: ReadIndexFault.unconfirmed) {
                try await cluster.nodes[0].readIndex.confirm()
            }
        }
    }

    @Test func `Five hundred checks at once cost far fewer statements`() async throws {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            let before = node.value("watchword_revocation_reads_total")
            try await withThrowingTaskGroup { group in
                for _ in 0..<500 { group.addTask { try await node.readIndex.confirm() } }
                try await group.waitForAll()
            }
            let reads = node.value("watchword_revocation_reads_total") - before
            #expect((1...100).contains(reads), "\(reads) statements")
            #expect(node.value("watchword_revocation_checks_total") >= 500)
        }
    }

    @Test func `Those who come after a leader that hangs up are answered`() async throws {
        try await Cluster.run { cluster in
            let index = cluster.nodes[0].readIndex
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { others in
                try await blocker.transaction { transaction in
                    try await transaction.script("LOCK TABLE revocation_authority")
                    try await withThrowingTaskGroup { leader in
                        leader.addTask { try await index.confirm() }
                        try await cluster.untilBlocked()
                        for _ in 0..<20 { others.addTask { try await index.confirm() } }
                        leader.cancelAll()
                        await #expect(throws: CancellationError.self) {
                            try await leader.waitForAll()
                        }
                    }
                }
                try await others.waitForAll()
            }
            await blocker.close()
            try await index.confirm()
        }
    }

    /// What a failover to a standby that lacked the last commits looks like to a node.
    @Test func `A server that comes back without a revocation gets it back (H7, F4, W2)`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            _ = try await cluster.signUp()
            let one = try await cluster.signIn()
            let other = try await cluster.signIn()
            try await cluster.logOut(one)
            #expect(try await cluster.isRevokedEverywhere(one.accessToken))
            try await cluster.run(
                """
                DELETE FROM revocation_log;
                UPDATE sessions SET revoked_at = NULL, end_reason = NULL;
                """
            )
            try await server.crash()
            await #expect(throws: (any Error).self) {
                try await cluster.nodes[0].readIndex.confirm()
            }
            try await server.restart()
            try await until("the node reads again") {
                do {
                    try await cluster.nodes[0].readIndex.confirm()
                    return true
                } catch let error as PostgresError where error.isTransient {
                    return false
                } catch ReadIndexFault.unconfirmed {
                    return false
                }
            }
            #expect(try await cluster.isRevokedEverywhere(one.accessToken))
            #expect(try await cluster.isGoodEverywhere(other.accessToken))
            #expect(
                try await cluster.number("SELECT count(*) FROM revocation_log WHERE kind = 2") == 1
            )
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(one) }
            #expect(cluster.nodes[0].value("watchword_revocation_restored_total") == 1)
        }
        await server.stop()
    }

    @Test func `A generation that was lost in a failover is raised again (H7, W2)`() async throws {
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            let account = try await cluster.signUp()
            let old = try await cluster.signIn()
            let before = try await cluster.number("SELECT generation FROM account_signatures")
            try await cluster.logOutEverywhere(old)
            #expect(try await cluster.isRevokedEverywhere(old.accessToken))
            let after = try await cluster.number("SELECT generation FROM account_signatures")
            try await cluster.run(
                "DELETE FROM revocation_log; UPDATE account_signatures SET generation = \(before)"
                    + " WHERE account_id = '\(account)'"
            )
            try await server.crash()
            try await server.restart()
            try await until("the generation is back") {
                do {
                    try await cluster.nodes[0].readIndex.confirm()
                    return try await cluster.number("SELECT generation FROM account_signatures")
                        == after
                } catch let error as PostgresError where error.isTransient {
                    return false
                } catch ReadIndexFault.unconfirmed {
                    return false
                }
            }
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(old) }
        }
        await server.stop()
    }
}

/// Twelve hexadecimal digits.
enum Hex12 {
    static func text(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 12 - digits.count) + digits
    }
}
