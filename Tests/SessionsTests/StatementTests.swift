// Every statement of every store against the schema: it prepares with the parameter types it is
// sent with, and the ones that run for each request read no table from end to end.
import Access
import Accounts
import Audit
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import Testing
import Tokens

@Suite(.serialized) struct StatementTests {
    static let all: [StatementInfo] =
        RevocationLog.statements + KeyStore.statements + TokenHorizon.statements
        + AccountStore.statements + AccessStatements.all + SignInStore.statements
        + RefreshStore.statements + SessionStore.statements + PartitionKeeper.statements
        + Migrator.statements + AuthorityStore.statements + AdministrationStore.statements
        + RouteRuleStore.statements
        + TestNode.answerStatements
        + AuditStore.statements
        + StatisticsStore.statements
        + UnlockStore.statements + ImpersonateStore.statements
        + SessionOrganisationStore.statements + SecondFactorStore.statements
        + ServiceAccountStore.statements + KeyClaimsStore.statements

    @Test func `Every statement prepares on the migrated schema with its own types`() async throws {
        try await Cluster.run { cluster in
            for info in Self.all {
                let types = info.bindTypes.map { "\($0.oid)::regtype" }
                let list =
                    try await types.isEmpty
                    ? "" : cluster.text("concat_ws(', ', \(types.joined(separator: ", ")))")
                do {
                    try await cluster.run(
                        "PREPARE probe\(list.isEmpty ? "" : "(\(list))") AS \(info.sql);"
                            + " DEALLOCATE probe"
                    )
                } catch {
                    Issue.record("\(info.name) does not prepare: \(error)")
                }
            }
        }
    }

    @Test func `No two statements share a name`() {
        let names = Self.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.count >= 30)
    }

    @Test func `lists are read where nothing waits behind them, save short ones of one's own`() {
        let own: Set = ["sessions.list", "memberships.list_own"]
        let lists = Self.all.filter { info in
            let verb = info.name.split(separator: ".").last ?? ""
            return verb.hasPrefix("list") && !info.name.hasPrefix("partitions.")
                && info.kind != .urgent && !own.contains(info.name)
        }
        #expect(lists.filter { $0.kind != .list }.map(\.name) == [])
        #expect(lists.count >= 12)
    }

    /// With full reads switched off, one shows only where no index would serve; without that the
    /// empty partitions and tables would be read whole, for nothing is cheaper.
    @Test(arguments: [
        "sessions.rotate", "sessions.judge_refresh", "sessions.end", "sessions.end_all",
        "sessions.open", "sessions.list", "sessions.login_history", "accounts.find_for_sign_in",
        "accounts.find_view", "revocation.read_since", "audit.list", "audit.list_by_account",
        "audit.list_by_actor", "audit.list_by_action", "audit.list_by_members",
        "statistics.count", "statistics.roll", "statistics.alive", "roles.sweep_removed",
    ])
    func `A statement of the hot path reads no large table from end to end`(
        _ name: String
    ) async throws {
        let info = try #require(Self.all.first { $0.name == name })
        try await Cluster.run { cluster in
            try await cluster.run(Self.generated)
            let types = try await cluster.text(
                "concat_ws(', ', "
                    + info.bindTypes.map { "\($0.oid)::regtype" }.joined(separator: ", ") + ")"
            )
            let arguments = info.bindTypes.map(Self.sample).joined(separator: ", ")
            try await cluster.run(
                """
                CREATE TABLE plan (line text);
                PREPARE probe(\(types)) AS \(info.sql);
                SET plan_cache_mode = force_generic_plan;
                SET enable_seqscan = off;
                DO $do$ DECLARE r text; BEGIN
                    FOR r IN EXECUTE $e$EXPLAIN EXECUTE probe(\(arguments))$e$ LOOP
                        INSERT INTO plan VALUES (r);
                    END LOOP;
                END $do$;
                """
            )
            let plan = try await cluster.lines("SELECT line FROM plan")
            let usesIndex = plan.contains { $0.contains("Index") }
            #expect(usesIndex, "\(name) uses no index: \(plan)")
            let scans = plan.filter { line in
                line.contains("Seq Scan on ") && Self.large.contains { line.contains(" on \($0)") }
            }
            #expect(scans.isEmpty, "\(name) reads a whole table: \(scans)")
        }
    }

    private static let large = [
        "sessions", "accounts", "account_", "revocation_log", "login_history",
    ]

    /// Any value of a type, as SQL.
    private static func sample(_ type: PostgresType) -> String {
        switch type.oid {
        case 16: "true"
        case 17: "'\\x00'::bytea"
        case 20, 21, 23, 701: "1"
        case 1184: "now()"
        case 2950: "'\(SessionID(at: WallClock.system.now(), entropy: .system))'"
        default: type.oid == 25 ? "'1'" : "NULL"
        }
    }

    private static let generated = """
        INSERT INTO accounts (id, email, email_canonical, username, username_canonical,
                created_at, updated_at)
        SELECT gen_random_uuid(), n || '@x.example', n || '@x.example', 'name' || n, 'name' || n,
               now(), now()
          FROM generate_series(1, 5000) n;
        INSERT INTO account_signatures SELECT id, 1, now() FROM accounts;
        INSERT INTO account_passwords SELECT id, 'phc', now() FROM accounts;
        INSERT INTO sessions (id, account_id, signature_generation, nonce_digest, transport,
                ip_address, user_agent, created_at, authenticated_at, last_used_at,
                idle_expires_at, expires_at)
        SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
                || '7' || substr(md5(a.id::text), 1, 19))::uuid,
               a.id, 1, sha256('n'), 'body', '::1', 'tests', now(), now(), now(),
               now() + interval '1 day', now() + interval '2 days'
          FROM accounts a;
        INSERT INTO login_history SELECT id, account_id, now(), '::1', 'tests', 'signed-in', id
          FROM sessions;
        INSERT INTO revocation_log (kind, subject, expires_at)
        SELECT 2, uuid_send(gen_random_uuid()), now() + interval '1 hour'
          FROM generate_series(1, 5000);
        ANALYZE;
        """
}
