// A real failover: a streaming standby that missed the last commits of its primary is promoted when
// the primary dies. The nodes find it by themselves, see that history changed, and write back what
// they know to be revoked before they answer another check.
import Access
import Accounts
import ClusterKit
import Glibc
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Web

@Suite(.serialized) struct FailoverTests {
    @Test
    func `A promoted standby that missed a revocation gets it back from the nodes (H7, F4, W2)`()
        async throws
    {
        let primary = try await PostgresServer.start()
        let standby = try await primary.standby()
        try await Cluster.run(2, on: primary, standby: standby) { cluster in
            let account = try await cluster.signUp()
            let kept = try await cluster.signIn()
            let ended = try await cluster.signIn()
            let bob = try await cluster.signUp("bob")
            let outdated = try await cluster.signIn("bob")
            #expect(try await Self.timeline(cluster) == "00000001")
            try await Self.cutOff(standby, from: cluster)
            try await cluster.logOut(ended)
            try await cluster.logOutEverywhere(outdated)
            let generation = try await cluster.number(Self.generation(except: account))
            for token in [ended.accessToken, outdated.accessToken] {
                #expect(try await cluster.isRevokedEverywhere(token))
            }

            try await primary.crash()
            for index in cluster.nodes.indices {
                await #expect(throws: (any Error).self) {
                    try await cluster.nodes[index].readIndex.confirm()
                }
            }
            try await standby.promote()
            try await Self.untilAnswered(cluster)

            #expect(try await Self.timeline(cluster) == "00000002")
            for token in [ended.accessToken, outdated.accessToken] {
                #expect(try await cluster.isRevokedEverywhere(token))
            }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            #expect(
                try await cluster.number("SELECT count(*) FROM revocation_log WHERE kind = 2") >= 1
            )
            #expect(
                try await cluster.text(
                    "SELECT end_reason FROM sessions WHERE id = '\(ended.sessionID)'"
                ) == "restored"
            )
            #expect(
                try await Self.recorded(cluster) == [
                    "session.all-ended \(bob) -", "session.ended \(account) \(ended.sessionID)",
                ]
            )
            #expect(try await cluster.number(Self.generation(except: account)) == generation)
            for pair in [ended, outdated] {
                await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(pair) }
            }
            // And it is a primary like any other, once each connection of a node has found it.
            try await until("people sign in") {
                do {
                    _ = try await cluster.signIn("bob", on: 1)
                    return true
                } catch let fault as any Fault where fault.isTransient {
                    return false
                }
            }
            _ = try await cluster.refresh(kept, on: 1)
            let fresh = try await cluster.signIn("bob", on: 1)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            try await cluster.logOut(fresh)
            #expect(try await cluster.isRevokedEverywhere(fresh.accessToken))
        }
        await standby.stop()
        await primary.stop()
    }

    /// The entries alone would be over within the hour, and then everything good again.
    @Test func `An account and a key whose end was lost in a failover are ended anew (H7, W10)`()
        async throws
    {
        let primary = try await PostgresServer.start()
        let standby = try await primary.standby()
        try await Cluster.run(2, on: primary, standby: standby) { cluster in
            let ada = try await cluster.signUp()
            let kept = try await cluster.signIn()
            let bob = try await cluster.signUp("bob")
            let ended = try await cluster.signIn("bob")
            let key = try #require(APIKeyID("00000000-0000-7000-8000-00000000c001"))
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(ada)', '\(BuiltInRole.admin)', now());
                INSERT INTO accounts (
                    id, kind, username, username_canonical, created_at, updated_at
                )
                VALUES ('\(Self.service)', 'service', 'robot', 'robot', now(), now());
                INSERT INTO account_signatures (account_id, generation, rotated_at)
                VALUES ('\(Self.service)', 1, now());
                INSERT INTO api_keys (id, account_id, name, digest, created_at)
                VALUES ('\(key)', '\(Self.service)', 'k', sha256('k'), now());
                """
            )
            try await Self.cutOff(standby, from: cluster)
            let administration = cluster.nodes[0].web.administration
            try await administration.changeState.disable(bob, by: .terminal, cluster.trace())
            let service = try #require(AccountID(Self.service))
            try await administration.keys.revoke(key, of: service, by: .terminal, cluster.trace())
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))

            try await primary.crash()
            try await standby.promote()
            try await Self.untilAnswered(cluster)

            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            #expect(
                try await cluster.text("SELECT state FROM accounts WHERE id = '\(bob)'")
                    == "disabled"
            )
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(ended) }
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL"
                ) == 1
            )
            #expect(
                try await Self.recorded(cluster) == [
                    "account.disabled \(bob) -", "api-key.revoked \(service) -",
                ]
            )
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            try await administration.changeState.enable(bob, by: .terminal, cluster.trace())
            let fresh = try await cluster.signIn("bob", on: 1)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
        }
        await standby.stop()
        await primary.stop()
    }

    /// What is recorded of all that was ended anew: once, though two nodes wrote it back (W9).
    private static func recorded(_ cluster: Cluster) async throws -> [String] {
        try await cluster.lines(
            """
            SELECT concat_ws(' ', e.action, e.account_id, COALESCE(e.session_id::text, '-'))
              FROM audit_events e
             WHERE e.detail ->> 'reason' = 'restored'
               AND e.actor_id IS NULL
               AND e.ip_address = 'system'
             ORDER BY 1
            """
        )
    }

    private static let service = "00000000-0000-7000-8000-00000000c002"

    /// Which sessions were ended is lost with the primary; that some were is not.
    @Test func `A standby that missed collapsed ends outdates the whole account (H25, H7, W10)`()
        async throws
    {
        let primary = try await PostgresServer.start()
        let standby = try await primary.standby()
        let settings = ["revocation.collapse_after": "1"]
        try await Cluster.run(2, on: primary, standby: standby, set: settings) { cluster in
            _ = try await cluster.signUp()
            var ended: [TokenPair] = []
            for _ in 0..<3 { ended.append(try await cluster.signIn()) }
            let kept = try await cluster.signIn()
            _ = try await cluster.signUp("bob")
            let bob = try await cluster.signIn("bob")
            try await Self.cutOff(standby, from: cluster)
            for pair in ended { try await cluster.logOut(pair) }
            for pair in ended { #expect(try await cluster.isRevokedEverywhere(pair.accessToken)) }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))

            try await primary.crash()
            try await standby.promote()
            try await Self.untilAnswered(cluster)

            for pair in ended + [kept] {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
                await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(pair) }
            }
            #expect(try await cluster.isGoodEverywhere(bob.accessToken))
            let fresh = try await cluster.signIn(on: 1)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            try await cluster.logOut(fresh)
            #expect(try await cluster.isRevokedEverywhere(fresh.accessToken))
        }
        await standby.stop()
        await primary.stop()
    }

    /// A restart that lost nothing is no reason to end anybody.
    @Test func `A server that kept its collapsed ends outdates nobody (H25, H7)`() async throws {
        let server = try await PostgresServer.start()
        let settings = ["revocation.collapse_after": "1"]
        try await Cluster.run(on: server, set: settings) { cluster in
            _ = try await cluster.signUp()
            let kept = try await cluster.signIn()
            var ended: [TokenPair] = []
            for _ in 0..<3 { ended.append(try await cluster.signIn()) }
            for pair in ended { try await cluster.logOut(pair) }
            try await server.crash()
            try await server.restart()
            try await Self.untilAnswered(cluster)
            for pair in ended { #expect(try await cluster.isRevokedEverywhere(pair.accessToken)) }
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
        await server.stop()
    }

    /// The server recovers by itself: the same process, the same timeline, and transaction numbers
    /// that were given out but not yet written down are given out again.
    @Test func `The death of one backend begins another history (F4, W1)`() async throws {
        let server = try await PostgresServer.start()
        try await Cluster.run(on: server) { cluster in
            _ = try await cluster.signUp()
            let ended = try await cluster.signIn()
            let kept = try await cluster.signIn()
            try await cluster.logOut(ended)
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            // What is written back shows that the node has noticed.
            try await cluster.run("DELETE FROM revocation_log")
            let born = "SELECT pg_postmaster_start_time()::text"
            let before = try await cluster.text(born)
            let victim = Int32(try await cluster.number("SELECT pg_backend_pid()"))
            let statistics = "SELECT pg_stat_get_bgwriter_stat_reset_time()::text"
            let counted = try await cluster.text(statistics)
            #expect(kill(victim, SIGKILL) == 0)
            try await until("the server has recovered") {
                do {
                    return try await cluster.text(statistics) != counted
                } catch let error as PostgresError where error.isTransient {
                    return false
                }
            }
            try await Self.untilAnswered(cluster)
            #expect(try await cluster.text(born) == before)
            #expect(try await Self.timeline(cluster) == "00000001")
            let restored = cluster.nodes[0].value("watchword_revocation_restored_total")
            #expect(restored == 1)
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 1)
            #expect(try await cluster.isRevokedEverywhere(ended.accessToken))
            #expect(try await cluster.isGoodEverywhere(kept.accessToken))
        }
        await server.stop()
    }

    private static func generation(except account: AccountID) -> String {
        "SELECT generation FROM account_signatures WHERE account_id <> '\(account)'"
    }

    private static func timeline(_ cluster: Cluster) async throws -> String {
        try await cluster.text("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
    }

    /// Lets the standby catch up, and then ends its connection to the primary.
    private static func cutOff(_ standby: PostgresServer, from cluster: Cluster) async throws {
        try await until("the standby has all there is") {
            try await cluster.number(
                """
                SELECT count(*) FROM pg_stat_replication
                 WHERE state = 'streaming' AND replay_lsn >= pg_current_wal_lsn()
                """
            ) == 1
        }
        try await standby.script("ALTER SYSTEM SET primary_conninfo = ''")
        try await standby.script("SELECT pg_reload_conf()")
        try await until("the standby is cut off") {
            try await cluster.number("SELECT count(*) FROM pg_stat_replication") == 0
        }
    }

    private static func untilAnswered(_ cluster: Cluster) async throws {
        for index in cluster.nodes.indices {
            try await until("node \(index) reads again") {
                do {
                    try await cluster.nodes[index].readIndex.confirm()
                    return true
                } catch let fault as any Fault where fault.isTransient {
                    return false
                }
            }
        }
        try await until("the test's own connection is back") {
            do {
                return try await cluster.number("SELECT 1") == 1
            } catch let error as PostgresError where error.isTransient {
                return false
            }
        }
    }
}
