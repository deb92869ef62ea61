// What a sign-in leaves behind: one row that says whose session it is, with what and from where it
// was opened and how long it lives, and from which no token can be made.
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Tokens
import Web

@Suite(.serialized) struct SignInTests {
    private static let row = """
        SELECT concat_ws(' ', id, account_id, transport, ip_address, user_agent,
               refresh_generation, idle_expires_at - created_at, expires_at - created_at,
               authenticated_at BETWEEN created_at AND clock_timestamp()
                   AND last_used_at = created_at,
               COALESCE(end_reason, '-'), revoked_at IS NOT NULL)
          FROM sessions
        """

    @Test func `a sign-in leaves one row of its session, without its tokens (S0-4, S1-8, S4-6)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn(from: "203.0.113.9")
            let row = "\(pair.sessionID) \(account) body 203.0.113.9 tests 1 14 days 30 days t"
            #expect(try await cluster.lines(Self.row) == [row + " - f"])
            // All that the row keeps of the refresh token is a digest of its nonce (S1-2, S0-T11).
            let text = String(decoding: pair.refreshToken.exposed, as: UTF8.self)
            let token = try #require(try RefreshToken(text, ring: cluster.nodes[0].keys.ring))
            let digest = try await cluster.text("SELECT encode(nonce_digest, 'hex') FROM sessions")
            #expect(digest == Hex.encode(token.nonceDigest))
            let whole = try await cluster.text("SELECT sessions::text FROM sessions")
            #expect(!whole.contains(Hex.encode(token.nonce)))
            #expect(!whole.contains(text))
            #expect(!whole.contains(String(decoding: pair.accessToken.exposed, as: UTF8.self)))
            try await cluster.logOut(pair)
            #expect(try await cluster.lines(Self.row) == [row + " logged-out t"])
        }
    }

    @Test func `a refresh moves its session on and leaves older access tokens be (S0-11, S1-20)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            cluster.clock.advance(by: .minutes(5))
            let next = try await cluster.refresh(pair, on: 1)
            #expect(next.sessionID == pair.sessionID)
            #expect(
                try await cluster.lines(
                    """
                    SELECT concat_ws(' ', refresh_generation, last_used_at - created_at >= '5 min',
                           idle_expires_at - last_used_at, expires_at - created_at)
                      FROM sessions
                    """
                ) == ["2 t 14 days 30 days"]
            )
            // Another tab may still use it, for its few minutes; ending the session ends it too.
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            try await cluster.logOut(next)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(try await cluster.isRevokedEverywhere(next.accessToken))
        }
    }

    @Test func `what belongs to an account goes with its row, and nothing else (S0-21, S4-20)`()
        async throws
    {
        try await Cluster.run { cluster in
            let ada = try await cluster.signUp("ada")
            let bob = try await cluster.signUp("bob")
            let pair = try await cluster.signIn("ada")
            let other = try await cluster.signIn("bob")
            // An end of each, which is counted (H25).
            try await cluster.logOut(try await cluster.signIn("ada"))
            try await cluster.logOut(try await cluster.signIn("bob"))
            try await cluster.run(
                "INSERT INTO account_profiles (account_id, given_name, updated_at)"
                    + " SELECT id, 'A', now() FROM accounts"
            )
            try await cluster.run(
                """
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES (gen_random_uuid(), 'acme', 'Acme', now(), now());
                INSERT INTO organisation_members
                SELECT o.id, a.id, now() FROM organisations o, accounts a;
                INSERT INTO api_keys (id, account_id, name, digest, created_at)
                SELECT gen_random_uuid(), id, 'key', sha256('x'), now() FROM accounts;
                INSERT INTO approvals (id, account_id, request_digest, operation, method, target,
                                       if_match, body, created_at, expires_at)
                SELECT gen_random_uuid(), id, sha256('x'), 'keys.rotate', 'POST', '/', '', '',
                       now(), now()
                  FROM accounts;
                INSERT INTO second_factors (
                    account_id, seed_sealed, master_key_version, begun_in, created_at
                )
                SELECT id, '', 1, gen_random_uuid(), now() FROM accounts
                """
            )
            let tables = try await cluster.lines(
                """
                SELECT c.conrelid::regclass::text
                  FROM pg_constraint c
                 WHERE c.contype = 'f' AND c.confrelid = 'accounts'::regclass
                   AND c.conparentid = 0
                 ORDER BY 1
                """
            )
            #expect(
                Set(tables).isSuperset(of: [
                    "account_passwords", "account_profiles", "account_roles", "account_signatures",
                    "login_history", "sessions",
                ])
            )
            try await cluster.run("DELETE FROM accounts WHERE id = '\(ada)'")
            for table in tables {
                let owners = try await cluster.lines(
                    "SELECT DISTINCT account_id::text FROM \(table)"
                )
                #expect(owners == ["\(bob)"], "\(table)")
            }
            await #expect(throws: RefreshRefusal.invalid) { try await cluster.refresh(pair) }
            await #expect(throws: SignInRefusal.wrongCredentials) {
                try await cluster.signIn("ada")
            }
            _ = try await cluster.refresh(other)
            // No session without an account, and none that outlives its limit.
            for broken in [
                "UPDATE sessions SET account_id = gen_random_uuid()",
                "UPDATE sessions SET idle_expires_at = expires_at + interval '1 s'",
                "INSERT INTO sessions SELECT * FROM sessions",
            ] {
                await #expect(throws: PostgresError.self, "\(broken)") {
                    try await cluster.run(broken)
                }
            }
        }
    }

    @Test func `a sign-in whose time is up is stopped in the server and opens nothing (S0-T10)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { group in
                try await blocker.transaction { transaction in
                    try await transaction.script("SELECT FROM account_signatures FOR UPDATE")
                    group.addTask {
                        await #expect(throws: PostgresError.self) { try await cluster.signIn() }
                    }
                    // That one: keepers of the node wait for locks of their own meanwhile.
                    let waiting = """
                        SELECT count(*) FROM pg_stat_activity
                         WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO sessions%'
                        """
                    try await until("it waits") { try await cluster.number(waiting) == 1 }
                    // The lock is still held: what waits for it must end by itself.
                    try await until("it waits no more") { try await cluster.number(waiting) == 0 }
                }
                try await group.waitForAll()
            }
            await blocker.close()
            try await until("nothing is in flight") {
                cluster.nodes[0].value("watchword_postgres_in_flight") == 0
            }
            #expect(try await cluster.number("SELECT count(*) FROM sessions") == 0)
            _ = try await cluster.signIn()
        }
    }
}
