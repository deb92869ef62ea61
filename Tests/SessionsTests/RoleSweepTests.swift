// What takes away assignments that are over: it finds them along indexes, however many there are of
// the others, and takes no more than it may.
import Access
import ClusterKit
import Logging
import Postgres
import Primitives
import Testing

@Suite(.serialized) struct RoleSweepTests {
    private static let gone = "00000000-0000-7000-8000-0000000000aa"
    private static let old = "00000000-0000-7000-8000-0000000000ab"

    /// Accounts that all hold `member`; one role that was removed just now, and one long ago.
    private static func generated(_ count: Int) -> String {
        """
        INSERT INTO accounts (id, email, email_canonical, username, username_canonical,
                created_at, updated_at)
        SELECT gen_random_uuid(), n || '@x.example', n || '@x.example', 'name' || n, 'name' || n,
               now(), now()
          FROM generate_series(1, \(count)) n;
        INSERT INTO roles (id, name, description, built_in, created_at, removed_at)
        VALUES ('\(gone)', 'gone', '', false, now(), now()),
               ('\(old)', 'old', '', false, now(), now() - interval '25 hours');
        INSERT INTO account_roles (account_id, role_id, granted_at)
        SELECT id, '\(BuiltInRole.member)', now() FROM accounts;
        """
    }

    private func sweep(_ cluster: Cluster) async throws {
        let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        try await RoleSweeper(database: cluster.nodes[0].pool, logger: logger).sweep()
    }

    @Test(arguments: [
        ("roles.sweep_overdue", "account_roles_expiry_idx"),
        ("roles.sweep_removed", "account_roles_role_idx"),
    ])
    func `what is over is found along an index among many that are not (row 180)`(
        _ name: String,
        _ index: String
    ) async throws {
        let info = try #require(RoleSweeper.statements.first { $0.name == name })
        try await Cluster.run { cluster in
            try await cluster.run(Self.generated(20_000))
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, scope, granted_at, expires_at)
                SELECT id, '\(BuiltInRole.admin)', 'project:7', now(), now() + interval '1 day'
                  FROM accounts;
                INSERT INTO account_roles (account_id, role_id, granted_at)
                SELECT id, '\(Self.gone)', now() FROM accounts LIMIT 100;
                ANALYZE accounts, account_roles, roles;
                CREATE TABLE plan (line text)
                """
            )
            // Any values do: the plan is one for all of them.
            let types = Array(repeating: "uuid", count: info.bindTypes.count)
            let values = Array(repeating: "'\(Self.gone)'", count: info.bindTypes.count)
            let declared = types.isEmpty ? "" : "(\(types.joined(separator: ", ")))"
            let given = types.isEmpty ? "" : "(\(values.joined(separator: ", ")))"
            // With full reads switched off one shows only where no index serves.
            try await cluster.run(
                """
                PREPARE probe\(declared) AS \(info.sql);
                SET plan_cache_mode = force_generic_plan;
                SET enable_seqscan = off;
                DO $do$ DECLARE r text; BEGIN
                    FOR r IN EXECUTE $e$EXPLAIN EXECUTE probe\(given)$e$ LOOP
                        INSERT INTO plan VALUES (r);
                    END LOOP;
                END $do$;
                """
            )
            let plan = try await cluster.lines("SELECT line FROM plan")
            let isAlong = plan.contains { $0.contains(index) }
            #expect(isAlong, "\(plan)")
            let whole = plan.filter { $0.contains("Seq Scan on account_roles") }
            #expect(whole.isEmpty, "\(plan)")
        }
    }

    @Test func `all that is over goes, bite after bite, and nothing else`() async throws {
        try await Cluster.run { cluster in
            try await cluster.run(Self.generated(2500))
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, scope, granted_at, expires_at)
                SELECT a.id, '\(BuiltInRole.member)', s.scope, now(), now() - s.ago
                  FROM accounts a
                 CROSS JOIN (VALUES ('project:over', interval '25 hours'),
                                    ('project:just-over', interval '23 hours'),
                                    ('project:open', interval '-1 hour')) s (scope, ago);
                INSERT INTO account_roles (account_id, role_id, scope, granted_at)
                SELECT a.id, r.id::uuid, s.scope, now()
                  FROM accounts a
                 CROSS JOIN (VALUES ('\(Self.gone)'), ('\(Self.old)')) r (id)
                 CROSS JOIN (VALUES (''), ('project:7')) s (scope)
                """
            )
            try await sweep(cluster)
            let left = try await cluster.lines(
                """
                SELECT r.name || ' ' || ar.scope || ' ' || count(*)
                  FROM account_roles ar
                  JOIN roles r ON r.id = ar.role_id
                 GROUP BY r.name, ar.scope
                 ORDER BY r.name, ar.scope
                """
            )
            #expect(
                left == [
                    "member  2500", "member project:just-over 2500", "member project:open 2500",
                ]
            )
            // A role is there for a day after its removal, for the tokens that carry it.
            let roles = try await cluster.lines(
                "SELECT name FROM roles WHERE removed_at IS NOT NULL"
            )
            #expect(roles == ["gone"])
        }
    }
}
