// Lists of accounts in a database that has many: whatever the filter, PostgreSQL reads along an
// index, and no more than a page needs (row 180).
import Access
import ClusterKit
import Postgres
import Primitives
import Testing

@testable import Accounts

@Suite(.serialized) struct UserListPlanTests {
    private static let count = 120_000

    /// People of the last months, a few of them disabled or deleted, a few services, a role that
    /// few hold, an organisation with few members.
    private static let generated = """
        INSERT INTO accounts (id, email, email_canonical, username, username_canonical, state, kind,
                created_at, updated_at)
        SELECT (lpad(to_hex(1760000000000 + n * 60000::bigint), 12, '0')
                || '7000' || '8' || substr(md5(n::text), 1, 15))::uuid,
               CASE WHEN n % 1000 = 7 THEN NULL ELSE substr(md5(n::text), 1, 9) || '@x.example' END,
               CASE WHEN n % 1000 = 7 THEN NULL ELSE substr(md5(n::text), 1, 9) || '@x.example' END,
               'name' || n, 'name' || n,
               CASE WHEN n % 2000 = 3 THEN 'disabled' WHEN n % 1000 = 7 THEN 'deleted'
                    ELSE 'active' END,
               CASE WHEN n % 3000 = 5 THEN 'service' ELSE 'person' END,
               to_timestamp(1760000000 + n * 60), now()
          FROM generate_series(1, \(count)) n
        ON CONFLICT DO NOTHING;
        INSERT INTO account_roles (account_id, role_id, granted_at)
        SELECT id, '00000000-0000-7000-8000-000000000002', now() FROM accounts;
        INSERT INTO account_roles (account_id, role_id, granted_at)
        SELECT id, '00000000-0000-7000-8000-000000000001', now() FROM accounts
         WHERE username LIKE '%999';
        INSERT INTO organisations (id, name, display_name, created_at, updated_at)
        VALUES ('00000000-0000-7000-8000-00000000000a', 'acme', 'Acme', now(), now());
        INSERT INTO organisation_members
        SELECT '00000000-0000-7000-8000-00000000000a', id, now() FROM accounts
         WHERE username LIKE '%77';
        ANALYZE accounts, account_roles, organisation_members, organisations, roles;
        """

    private static let filters: [(String, AccountFilter, Realm)] = {
        let early = Timestamp(seconds: 1_760_000_000)
        let organisation = OrganisationID(high: 0x7000, low: 0x8000_0000_0000_000A)
        let admin = RoleID(high: 0x7000, low: 0x8000_0000_0000_0001)
        let member = RoleID(high: 0x7000, low: 0x8000_0000_0000_0002)
        let here = Realm.organisation(organisation)
        return [
            ("nothing", AccountFilter(), .everywhere),
            ("active", AccountFilter(state: .active), .everywhere),
            ("disabled", AccountFilter(state: .disabled), .everywhere),
            ("deleted", AccountFilter(state: .deleted), .everywhere),
            ("a rare role", AccountFilter(role: admin), .everywhere),
            ("a common role", AccountFilter(role: member), .everywhere),
            ("an address", AccountFilter(emailPrefix: "abc"), .everywhere),
            ("a letter", AccountFilter(emailPrefix: "a"), .everywhere),
            ("no address", AccountFilter(emailPrefix: "zzz"), .everywhere),
            ("made since", AccountFilter(createdFrom: early + .days(80)), .everywhere),
            ("made before", AccountFilter(createdTo: early + .days(1)), .everywhere),
            ("people", AccountFilter(kind: .person), .everywhere),
            ("services", AccountFilter(kind: .service), .everywhere),
            ("an organisation", AccountFilter(), here),
            ("a letter in it", AccountFilter(emailPrefix: "a"), here),
            ("disabled with a role", AccountFilter(state: .disabled, role: member), .everywhere),
            ("a letter and a state", AccountFilter(state: .active, emailPrefix: "a"), .everywhere),
        ]
    }()

    @Test func `no filter leads to reading the table, and each finds what it means`() async throws {
        try await Cluster.run { cluster in
            try await cluster.run(Self.generated)
            try await cluster.run("CREATE TABLE plan (line text)")
            let lists = AccountLists(database: cluster.nodes[0].pool)
            for (name, filter, realm) in Self.filters {
                let page = try await lists.list(filter, in: realm, PageRequest(limit: 50))
                #expect(page.items.isEmpty == (name == "no address"), "\(name)")
                // The statement as the node sends it, with the plan for whatever the values are,
                // and for these values once more.
                let info = AccountListStore.list(filter, realm).info
                let types = try await cluster.text(
                    "concat_ws(', ', "
                        + info.bindTypes.map { "\($0.oid)::regtype" }.joined(separator: ", ") + ")"
                )
                for mode in ["force_generic_plan", "force_custom_plan"] {
                    try await cluster.run(
                        """
                        TRUNCATE plan;
                        PREPARE probe(\(types)) AS \(info.sql);
                        SET plan_cache_mode = \(mode);
                        DO $do$ DECLARE r text; BEGIN
                            FOR r IN EXECUTE $e$EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF)
                                EXECUTE probe(\(Self.values(filter, realm)))$e$ LOOP
                                INSERT INTO plan VALUES (r);
                            END LOOP;
                        END $do$;
                        RESET plan_cache_mode;
                        DEALLOCATE probe
                        """
                    )
                    let plan = try await cluster.lines("SELECT line FROM plan")
                    let whole = plan.filter { line in
                        ["accounts", "account_roles"].contains {
                            line.contains("Seq Scan on \($0)")
                        }
                    }
                    #expect(plan.count > 1 && whole.isEmpty, "\(name), \(mode): \(plan)")
                }
            }
        }
    }

    /// The values as the node binds them, as SQL.
    private static func values(_ filter: AccountFilter, _ realm: Realm) -> String {
        func uuid<K>(_ id: ID<K>?) -> String { id.map { "'\($0)'" } ?? "NULL" }
        func bound(_ at: Timestamp) -> AccountID {
            AccountID(high: UInt64(at.microseconds / 1000) << 16, low: 0)
        }
        let first = filter.createdFrom ?? Timestamp(seconds: 0)
        let end = filter.createdTo ?? Timestamp(seconds: 253_402_300_799)
        let prefix = filter.emailPrefix ?? ""
        return [
            "'\(bound(first))'", "'\(bound(end))'", "'\(first)'", "'\(end)'",
            "51", filter.state.map { "'\($0.rawValue)'" } ?? "NULL", uuid(filter.role),
            uuid(realm.organisationID), "'\(prefix)'", "'\(prefix)\u{10FFFF}'", "false",
        ].joined(separator: ", ")
    }

    @Test func `pages run through everybody once, in the order of the list`() async throws {
        try await Cluster.run { cluster in
            try await cluster.run(Self.generated)
            let lists = AccountLists(database: cluster.nodes[0].pool)
            let admin = RoleID(high: 0x7000, low: 0x8000_0000_0000_0001)
            for filter in [
                AccountFilter(role: admin), AccountFilter(emailPrefix: "ab"),
                AccountFilter(state: .deleted), AccountFilter(kind: .service),
            ] {
                var found: [AccountSummary] = []
                var cursor: Cursor?
                repeat {
                    let page = try await lists.list(
                        filter,
                        in: .everywhere,
                        PageRequest(limit: 7, cursor: cursor)
                    )
                    found += page.items
                    cursor = page.nextCursor
                } while cursor != nil
                #expect(found.count > 20)
                #expect(Set(found.map(\.id)).count == found.count)
                let isOrdered = zip(found, found.dropFirst()).allSatisfy { one, next in
                    filter.emailPrefix == nil
                        ? one.id > next.id : (one.email ?? "") < (next.email ?? "")
                }
                #expect(isOrdered)
            }
        }
    }
}
