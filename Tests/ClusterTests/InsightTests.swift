// What administrators look at, through HTTP: the audit log, the settings, the signing keys, the
// numbers of the current hour; and that bad input is refused with the member that is wrong.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct InsightTests {
    /// Somebody with these permissions, signed in.
    private func reader(_ cluster: Cluster, _ permissions: [String]) async throws -> Tokens {
        let person = try await cluster.person()
        try await cluster.grant("r\(person.id.suffix(12))", permissions, to: person)
        return try await cluster.signIn(person)
    }

    private func actions(_ answer: HTTPAnswer) -> [String] {
        (answer.json.at("items")?.items ?? []).compactMap { $0.at("action")?.string }
    }

    @Test
    func `the audit log is shown newest first, filtered and page by page`() async throws {
        let cluster = try await Cluster.shared()
        let tokens = try await reader(cluster, ["audit:read"])
        let person = try await cluster.person()
        _ = try await cluster.login(person.email, "not the password at all")
        _ = try await cluster.signIn(person)
        let path = "/v1/admin/audit?account=\(person.id)"
        let all = try await cluster.node.send("GET", path, tokens.bearer)
        #expect(all.status == 200, "\(all.body)")
        let wanted = ["session.signed-in", "session.sign-in-failed", "account.registered"]
        #expect(actions(all) == wanted)
        #expect(all.json.at("next_cursor") == .null)
        // Page by page the same entries, each once.
        var seen: [String] = []
        var cursor = ""
        for _ in 0..<3 {
            let page = try await cluster.node.send("GET", path + "&limit=1" + cursor, tokens.bearer)
            seen += actions(page)
            cursor = page.text("next_cursor").map { "&cursor=\($0)" } ?? ""
        }
        #expect(seen == wanted && cursor.isEmpty)
        for (filter, found) in [
            ("account=\(person.id)&action=session.sign-in-failed", [wanted[1]]),
            ("actor=\(person.id)", wanted),
            ("actor=\(person.id)&action=session.signed-in", [wanted[0]]),
            ("account=\(person.id)&from=2099-01-01T00:00:00Z", []),
            ("account=\(person.id)&to=2020-01-01T00:00:00Z", []),
            ("account=\(person.id)&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z", wanted),
        ] {
            let answer = try await cluster.node.send(
                "GET",
                "/v1/admin/audit?\(filter)",
                tokens.bearer
            )
            #expect(actions(answer) == found, "\(filter)")
        }
        let byAction = try await cluster.node.send(
            "GET",
            "/v1/admin/audit?action=account.registered&limit=5",
            tokens.bearer
        )
        let kinds = Set(actions(byAction))
        #expect(kinds == ["account.registered"])
    }

    @Test
    func `bad questions name the member that is wrong (S4-T10)`() async throws {
        let cluster = try await Cluster.shared()
        let tokens = try await reader(cluster, ["audit:read", "statistics:read"])
        for (target, member) in [
            ("audit?account=me", "account"), ("audit?action=everything", "action"),
            ("audit?from=yesterday", "from"), ("audit?cursor=AAAA", "cursor"),
            ("audit?limit=0", "limit"), ("audit?surprise=1", "surprise"),
            ("audit?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", "to"),
            ("statistics?from=2026-01-01T00:00:00Z&to=2026-02-02T00:00:00Z", "from"),
            ("statistics?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", "to"),
            ("statistics?from=2020-01-01T00:00:00Z", "from"),
        ] {
            let answer = try await cluster.node.send("GET", "/v1/admin/\(target)", tokens.bearer)
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(target)")
            let members = (answer.json.at("errors")?.items ?? []).compactMap {
                $0.at("member")?.string
            }
            #expect(members == [member], "\(target)")
        }
    }

    @Test
    func `who may read the log of one organisation sees its members and nobody else (S4-16)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let delegate = try await cluster.person()
        let member = try await cluster.person()
        let stranger = try await cluster.person()
        let name = "o\(delegate.id.suffix(12))"
        let organisation = try await cluster.sql(
            """
            WITH made AS (
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES (gen_random_uuid(), '\(name)', '\(name)', now(), now()) RETURNING id
            ), joined AS (
                INSERT INTO organisation_members
                SELECT id, unnest(ARRAY['\(delegate.id)', '\(member.id)']::uuid[]), now() FROM made
            ), role AS (
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES (gen_random_uuid(), '\(name)', '', false, now()) RETURNING id
            ), holds AS (
                INSERT INTO role_permissions SELECT id, 'audit:read' FROM role
            ), held AS (
                INSERT INTO account_roles (account_id, role_id, granted_at, scope)
                SELECT '\(delegate.id)', role.id, now(), 'org:' || made.id FROM role, made
            )
            SELECT id FROM made
            """
        )
        let tokens = try await cluster.signIn(delegate)
        let fields = tokens.bearer + [("X-Org", organisation)]
        let everywhere = try await cluster.node.send("GET", "/v1/admin/audit", tokens.bearer)
        #expect(everywhere.status == 403)
        let all = try await cluster.node.send("GET", "/v1/admin/audit", fields)
        #expect(all.status == 200, "\(all.body)")
        let accounts = (all.json.at("items")?.items ?? []).map { $0.at("account_id")?.string }
        #expect(Set(accounts) == [delegate.id, member.id])
        for (person, count) in [(member, 1), (stranger, 0)] {
            let path = "/v1/admin/audit?account=\(person.id)"
            let answer = try await cluster.node.send("GET", path, fields)
            #expect(answer.json.at("items")?.items.count == count)
            let byActor = try await cluster.node.send(
                "GET",
                "/v1/admin/audit?actor=\(person.id)",
                fields
            )
            #expect(byActor.json.at("items")?.items.count == count)
        }
    }

    @Test
    func `settings are shown with their origin and without secrets (S4-17, W7)`() async throws {
        let cluster = try await Cluster.shared()
        let tokens = try await reader(cluster, ["settings:read"])
        let answer = try await cluster.node.send("GET", "/v1/admin/settings", tokens.bearer)
        #expect(answer.status == 200)
        var values: [String: (String?, String?)] = [:]
        for item in answer.json.at("settings")?.items ?? [] {
            let name = item.at("name")?.string ?? ""
            values[name] = (item.at("value")?.string, item.at("origin")?.string)
        }
        #expect(values["passwords.passes"]?.0 == "1")
        #expect(values["passwords.passes"]?.1 == "environment")
        #expect(values["keys.publish_ahead"]?.1 == "default")
        #expect(values["keys.master"]?.0 != nil)
        #expect(!answer.body.contains(cluster.masterKey))
        #expect(values.count > 30)
    }

    @Test
    func `the current hour is counted from its own keys`() async throws {
        let cluster = try await Cluster.shared()
        let tokens = try await reader(cluster, ["statistics:read"])
        let person = try await cluster.person()
        _ = try await cluster.login(person.email, "not the password at all")
        _ = try await cluster.login("nobody@example.test", "not the password at all")
        let answer = try await cluster.node.send("GET", "/v1/admin/statistics", tokens.bearer)
        #expect(answer.status == 200, "\(answer.body)")
        var sums: [String: Int64] = [:]
        for hour in answer.json.at("hours")?.items ?? [] {
            for name in ["sign_ups", "sign_ins"] {
                if case .integer(let value)? = hour.at(name) { sums[name, default: 0] += value }
            }
            for failure in hour.at("failures")?.items ?? [] {
                guard case .integer(let value)? = failure.at("count") else { continue }
                sums[failure.at("outcome")?.string ?? "", default: 0] += value
            }
        }
        for name in ["sign_ups", "sign_ins", "wrong-password", "unknown-login"] {
            #expect((sums[name] ?? 0) >= 1, "\(name) in \(answer.body)")
        }
    }

    /// All numbers of the last day, by name; each hour is looked at for its form.
    private func totals(_ cluster: Cluster, _ tokens: Tokens) async throws -> [String: Int64] {
        let answer = try await cluster.node.send("GET", "/v1/admin/statistics", tokens.bearer)
        #expect(answer.status == 200, "\(answer.body)")
        let hours = answer.json.at("hours")?.items ?? []
        let begins = hours.compactMap { $0.at("hour")?.string }
        #expect(begins.count == hours.count && begins == Set(begins).sorted())
        // The hour that goes on is the last, and nobody has counted who is there at its end.
        #expect(hours.last?.at("is_over") == .boolean(false))
        #expect(hours.last?.at("active_sessions") == .null)
        var sums: [String: Int64] = [:]
        func add(_ name: String, _ value: JSONValue?) throws {
            guard case .integer(let number)? = value else {
                throw ClusterError("no number: \(name) in \(answer.body)")
            }
            sums[name, default: 0] += number
        }
        for hour in hours {
            for name in ["sign_ups", "sign_ins"] { try add(name, hour.at(name)) }
            for failure in hour.at("failures")?.items ?? [] {
                try add(failure.at("outcome")?.string ?? "no outcome", failure.at("count"))
            }
        }
        return sums
    }

    @Test
    func `each sign-up, sign-in and failure is counted once, by what it was`() async throws {
        var plan = Cluster.Plan()
        // Of its own: elsewhere others are counted too.
        plan.nodes = 1
        try await Cluster.run(plan) { cluster in
            let tokens = try await reader(cluster, ["statistics:read"])
            let before = try await totals(cluster, tokens)
            let (one, two) = (try await cluster.person(), try await cluster.person())
            for person in [one, one, two] { _ = try await cluster.signIn(person) }
            let pair = try await cluster.signIn(two)
            // A refresh is no sign-in.
            #expect(try await cluster.refresh(pair.refresh).status == 200)
            for login in [one.email, two.username] {
                _ = try await cluster.login(login, "not the password at all")
            }
            for number in 1...3 {
                let login = "nobody\(number)@example.test"
                _ = try await cluster.login(login, "not the password at all")
            }
            // A service is nobody who signs up.
            let desk = try await AdminDesk(cluster)
            _ = try await TestService(desk)
            var wanted = before
            for (name, count) in [
                ("sign_ups", 2), ("sign_ins", 5), ("wrong-password", 2), ("unknown-login", 3),
            ] as [(String, Int64)] { wanted[name, default: 0] += count }
            #expect(try await totals(cluster, tokens) == wanted)
        }
    }

    @Test
    func `a signing key that is removed is trusted nowhere, and one is always left (W1, S4-17)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        let cluster = try await Cluster.start(plan)
        let admin = try await reader(cluster, ["keys:read", "keys:write"])
        func keys(_ fields: [(String, String)]) async throws -> [(id: String, state: String)] {
            let answer = try await cluster.node.send("GET", "/v1/admin/keys", fields)
            #expect(answer.status == 200, "\(answer.body)")
            #expect(!answer.body.contains("sealed"))
            return (answer.json.at("items")?.items ?? []).map {
                ($0.at("id")?.string ?? "", $0.at("state")?.string ?? "")
            }
        }
        let first = try await keys(admin.bearer)
        #expect(first.map(\.state) == ["active"])
        let old = try #require(first.first).id
        let only = try await cluster.node.send("DELETE", "/v1/admin/keys/\(old)", admin.bearer)
        #expect(only.status == 409 && only.code == "in-use")
        try await cluster.expectEverywhere(200, admin.bearer)
        let next = try await cluster.node.send("POST", "/v1/admin/keys/rotate", admin.bearer)
        #expect(next.status == 201 && next.text("state") == "next", "\(next.body)")
        let stillOnly = try await cluster.node.send("DELETE", "/v1/admin/keys/\(old)", admin.bearer)
        #expect(stillOnly.code == "in-use")
        let made = try await cluster.node.send(
            "POST",
            "/v1/admin/keys/rotate",
            admin.bearer,
            json: #"{"at_once":true}"#
        )
        #expect(made.status == 201 && made.text("state") == "active")
        let states = try await keys(admin.bearer).map(\.state)
        #expect(states == ["next", "active", "replaced"])
        // The tokens of the old key are good until it is removed, and nowhere after.
        try await cluster.expectEverywhere(200, admin.bearer)
        let removed = try await cluster.node.send("DELETE", "/v1/admin/keys/\(old)", admin.bearer)
        #expect(removed.status == 204, "\(removed.body)")
        try await cluster.expectEverywhere(401, admin.bearer)
        // The other node has not read the ring since, and yet signs with the key that is left.
        let person = try await cluster.person()
        let late = try await cluster.signIn(person, at: cluster.nodes[1].client)
        try await cluster.expectEverywhere(200, late.bearer)
        let again = try await reader(cluster, ["keys:read", "keys:write"])
        try await cluster.expectEverywhere(200, again.bearer)
        let gone = try await cluster.node.send("DELETE", "/v1/admin/keys/\(old)", again.bearer)
        #expect(gone.status == 404)
        let kinds = try await cluster.sql(
            """
            SELECT string_agg(action, ' ' ORDER BY id) FROM audit_events
             WHERE action LIKE 'signing-key%' AND actor_id IS NOT NULL
            """
        )
        #expect(kinds == "signing-key.made signing-key.made signing-key.removed")
        let refreshKey = try await cluster.sql(
            "SELECT id FROM keys WHERE use = 'refresh-token' LIMIT 1"
        )
        let other = try await cluster.node.send(
            "DELETE",
            "/v1/admin/keys/\(refreshKey)",
            again.bearer
        )
        #expect(other.status == 404)
    }
}
