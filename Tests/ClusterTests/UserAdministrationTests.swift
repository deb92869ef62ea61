// Administration of people through HTTP: lists, single accounts, disabling and enabling, deleting.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct UserAdministrationTests {
    private static let path = "/v1/admin/users"

    /// The ids of all items of a list, page by page.
    private func ids(_ desk: AdminDesk, _ query: String, limit: Int = 200) async throws -> [String]
    {
        var found: [String] = []
        var cursor: String?
        for _ in 0..<10_000 {
            let next = cursor.map { "&cursor=\($0)" } ?? ""
            let answer = try await desk.send("GET", "?limit=\(limit)&\(query)\(next)")
            #expect(answer.status == 200, "\(answer.body)")
            let items = answer.json.at("items")?.items ?? []
            found += items.compactMap { $0.at("id")?.string }
            guard let more = answer.text("next_cursor") else { return found }
            #expect(items.count == limit)
            cursor = more
        }
        throw ClusterError("a list without an end")
    }

    @Test
    func `accounts are listed newest first, page by page, by each filter (S3-11, rows 168, 180)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let start = WallClock.system.now().description
        var people: [Person] = []
        for _ in 0..<5 { people.append(try await cluster.person()) }
        let mark = Hex.encode(Entropy.system.bytes(6))
        try await cluster.grant("lists-\(mark)", [], to: people[1])
        try await cluster.grant("lists-\(mark)2", [], to: people[2])
        let role = try await cluster.sql("SELECT id FROM roles WHERE name = 'lists-\(mark)'")
        let since = try await ids(desk, "created_from=\(start)", limit: 2)
        let newest = people.map(\.id).reversed()
        #expect(since.filter { newest.contains($0) } == Array(newest))
        #expect(Set(since).count == since.count)
        let byRole = try await ids(desk, "role=\(role)")
        #expect(byRole == [people[1].id])
        // The beginning of an address is found in its canonical form, however it is typed.
        let prefix = people[3].email.prefix { $0 != "@" }
        let byEmail = try await ids(desk, "email_prefix=\(prefix)@")
        #expect(byEmail == [people[3].id])
        #expect(try await ids(desk, "email_prefix=%25").isEmpty)
        #expect(try await ids(desk, "email_prefix=_").isEmpty)
        let disabled = try await desk.send("POST", "/\(people[4].id)/disable")
        #expect(disabled.status == 204)
        let stopped = try await ids(desk, "state=disabled&created_from=\(start)", limit: 1)
        #expect(stopped.contains(people[4].id) && !stopped.contains(people[0].id))
        let active = try await ids(desk, "state=active&created_from=\(start)&kind=person")
        #expect(!active.contains(people[4].id) && active.contains(people[0].id))
        // Others may make services meanwhile.
        let services = try await ids(desk, "kind=service&created_from=\(start)")
        #expect(Set(services).isDisjoint(with: people.map(\.id)))
        #expect(try await !ids(desk, "created_to=\(start)").contains(people[0].id))
        // By address: all of them, in their order, in pages of one.
        let inOrder = try await ids(desk, "email_prefix=p&created_from=\(start)", limit: 1)
        let emails = people.sorted { $0.email.lowercased() < $1.email.lowercased() }.map(\.id)
        #expect(inOrder.filter { emails.contains($0) } == emails)
    }

    @Test
    func `an account is shown whole but for its secrets (rows 167, 168)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let answer = try await desk.send("GET", "/\(person.id)")
        #expect(answer.status == 200)
        #expect(answer["ETag"] == "\"v1\"")
        #expect(answer.text("email") == person.email)
        #expect(answer.text("username") == person.username)
        #expect(answer.text("state") == "active")
        #expect(answer.json.at("roles")?.items.compactMap(\.string) == ["member"])
        #expect(
            answer.json.names == [
                "id", "kind", "email", "username", "state", "confirmed", "created_at",
                "last_login_at", "updated_at", "roles", "has_password", "must_change_password",
                "second_factor", "profile",
            ]
        )
        let hash = try await cluster.sql(
            "SELECT phc FROM account_passwords WHERE account_id = '\(person.id)'"
        )
        #expect(hash.hasPrefix("$argon2id$") && !answer.body.contains("argon2"))
        for id in [RequestID(at: WallClock.system.now(), entropy: .system).description, "x"] {
            for (method, rest) in [
                ("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/enable"),
            ] {
                let missing = try await desk.send(method, "/\(id)\(rest)")
                #expect(missing.status == 404 && missing.code == "not-found", "\(method) \(rest)")
            }
        }
    }

    @Test(arguments: [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=1000000000", "limit"),
        ("cursor=abc", "cursor"), ("cursor=AAAA", "cursor"), ("cursor=!", "cursor"),
        ("email_prefix=p&cursor=AAAAAAAAAAAAAAAAAAAAAA", "cursor"), ("state=gone", "state"),
        ("role=admin", "role"), ("email_prefix=", "email_prefix"), ("kind=robot", "kind"),
        ("created_from=yesterday", "created_from"),
        ("created_to=2026-02-30T00:00:00Z", "created_to"),
        ("state=active&state=active", "state"), ("order=id", "order"),
    ])
    func `a list refuses what it does not know (row 180)`(
        _ query: String,
        _ member: String
    )
        async throws
    {
        let desk = try await AdminDesk(Cluster.shared())
        let answer = try await desk.send("GET", "?\(query)")
        #expect(answer.status == 400 && answer.code == "validation-failed", "\(answer.body)")
        let named = answer.json.at("errors")?.items.compactMap { $0.at("member")?.string } ?? []
        #expect(named.contains(member), "\(answer.body)")
    }

    @Test func `a cursor that no page of this list has given out is refused (row 180)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        for _ in 0..<3 { _ = try await cluster.person() }
        let page = try await desk.send("GET", "?limit=1")
        let cursor = try #require(page.text("next_cursor"))
        // Any node takes it.
        let next = try await cluster.nodes[1].client.send(
            "GET",
            "\(Self.path)?limit=1&cursor=\(cursor)",
            desk.tokens.bearer
        )
        #expect(next.status == 200)
        let bytes = try #require(Base64URL.decode(Array(cursor.utf8)))
        for index in bytes.indices {
            var edited = bytes
            edited[index] ^= 1
            let answer = try await desk.send("GET", "?cursor=\(Base64URL.encode(edited))")
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(index)")
        }
        for path in ["/v1/admin/audit", "/v1/admin/organisations", "/v1/me/sessions"] {
            let answer = try await cluster.node.send(
                "GET",
                "\(path)?cursor=\(cursor)",
                desk.tokens.bearer
            )
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(path)")
        }
    }

    @Test
    func `whoever is disabled has no token left, and gets none back (W1, W2, row 173)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        try await cluster.expectEverywhere(200, tokens.bearer)
        #expect(try await desk.send("POST", "/\(person.id)/disable").status == 204)
        try await cluster.expectEverywhere(401, tokens.bearer)
        #expect(try await cluster.refresh(tokens.refresh).code == "refresh-token-revoked")
        #expect(try await cluster.login(person.email, person.password).code == "sign-in-failed")
        // Once more is no mistake, and revokes anew (H19).
        #expect(try await desk.send("POST", "/\(person.id)/disable").status == 204)
        #expect(try await desk.send("GET", "/\(person.id)").text("state") == "disabled")
        for _ in 0..<2 {
            #expect(try await desk.send("POST", "/\(person.id)/enable").status == 204)
        }
        try await cluster.expectEverywhere(401, tokens.bearer)
        #expect(try await cluster.refresh(tokens.refresh).code == "refresh-token-revoked")
        try await cluster.expectEverywhere(200, cluster.signIn(person).bearer)
        let recorded = try await cluster.sql(
            """
            SELECT string_agg(action || ' ' || (actor_id = '\(desk.id)') || ' '
                       || (SELECT count(*) FROM outbox o WHERE o.id = e.id), ', ' ORDER BY id)
              FROM audit_events e
             WHERE account_id = '\(person.id)' AND action LIKE 'account.%abled'
            """
        )
        #expect(
            recorded == "account.disabled true 1, account.disabled true 1, "
                + "account.enabled true 1"
        )
        let kinds = try await cluster.sql(
            """
            SELECT count(*) FROM revocation_log
             WHERE kind = 4 AND subject = uuid_send('\(person.id)')
            """
        )
        #expect(kinds == "2")
    }

    @Test
    func `whoever is deleted leaves nothing but his id and the record (W1, W9)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        #expect(try await desk.send("DELETE", "/\(person.id)").status == 204)
        try await cluster.expectEverywhere(401, tokens.bearer)
        #expect(try await cluster.refresh(tokens.refresh).status == 401)
        #expect(try await cluster.login(person.email, person.password).code == "sign-in-failed")
        let detail = try await desk.send("GET", "/\(person.id)")
        #expect(detail.text("state") == "deleted")
        #expect(detail.json.at("email") == .null && detail.json.at("username") == .null)
        #expect(try await desk.send("DELETE", "/\(person.id)").status == 404)
        #expect(try await desk.send("POST", "/\(person.id)/enable").status == 404)
        let left = try await cluster.sql(
            """
            SELECT (SELECT count(*) FROM account_passwords WHERE account_id = '\(person.id)')
                 + (SELECT count(*) FROM account_roles WHERE account_id = '\(person.id)')
                 + (SELECT count(*) FROM login_history WHERE account_id = '\(person.id)')
                 + (SELECT count(*) FROM sessions
                     WHERE account_id = '\(person.id)' AND ip_address <> '')
            """
        )
        #expect(left == "0")
        let dump = try await cluster.dump()
        #expect(!dump.lowercased().contains(person.email.lowercased()))
        let record = try await cluster.sql(
            "SELECT count(*) FROM audit_events WHERE account_id = '\(person.id)'"
        )
        #expect(record == "3")
        // The names are free, and whoever takes them is somebody else.
        let again = try await cluster.node.send(
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"\(person.email)","username":"\(person.username)",\
                "password":"\(person.password)"}
                """
        )
        #expect(again.status == 201)
        #expect(again.text("account.id") != person.id)
    }

    @Test
    func `nobody changes himself, nor somebody who may more (rows 169, 170)`() async throws {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let mark = Hex.encode(Entropy.system.bytes(6))
        let (clerk, equal, above) = try await (cluster.person(), cluster.person(), cluster.person())
        try await cluster.grant("clerk-\(mark)", ["users:read", "users:write"], to: clerk)
        try await cluster.grant("equal-\(mark)", ["users:read"], to: equal)
        try await cluster.grant("above-\(mark)", ["users:read", "orders:*"], to: above)
        let desk = try await AdminDesk(cluster, clerk)
        let mine = try await cluster.signIn(above)
        for (method, rest) in [("POST", "/disable"), ("POST", "/enable"), ("DELETE", "")] {
            let own = try await desk.send(method, "/\(clerk.id)\(rest)")
            #expect(own.status == 403 && own.code == "self-change-refused", "\(own.body)")
            for other in [above.id, root.id] {
                let more = try await desk.send(method, "/\(other)\(rest)")
                #expect(more.status == 403 && more.code == "permission-not-held", "\(more.body)")
            }
        }
        try await cluster.expectEverywhere(200, mine.bearer)
        #expect(try await desk.send("POST", "/\(equal.id)/disable").status == 204)
        #expect(try await root.send("POST", "/\(above.id)/disable").status == 204)
    }

    @Test
    func `of two administrators who end each other one remains (W12, row 171)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 2
        let cluster = try await Cluster.start(plan)
        let root = try await AdminDesk(cluster)
        let other = try await cluster.person()
        for round in 0..<6 {
            try await cluster.sql(
                """
                UPDATE accounts SET state = 'active' WHERE state = 'disabled';
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(other.id)', '00000000-0000-7000-8000-000000000001', now())
                ON CONFLICT DO NOTHING
                """
            )
            let first = try await AdminDesk(cluster)
            let second = try await AdminDesk(cluster, other, at: cluster.nodes[1].client)
            async let one = first.send("POST", "/\(other.id)/disable")
            async let two = second.send("POST", "/\(root.id)/disable")
            let answers = try await [one, two]
            let statuses = answers.map(\.status).sorted()
            // The slower one may have been ended before he was heard.
            #expect(statuses[0] == 204 && [401, 409].contains(statuses[1]), "\(round) \(statuses)")
            if statuses[1] == 409 {
                #expect(answers.contains { $0.code == "last-administrator" })
            }
            let left = try await cluster.sql(
                """
                SELECT count(*) FROM account_roles r JOIN accounts a ON a.id = r.account_id
                 WHERE r.role_id = '00000000-0000-7000-8000-000000000001' AND a.state = 'active'
                """
            )
            #expect(left == "1")
        }
        try await cluster.sql("UPDATE accounts SET state = 'active' WHERE state = 'disabled'")
        let first = try await AdminDesk(cluster)
        // An administrator for some time is none to rely on.
        try await cluster.sql(
            "UPDATE account_roles SET expires_at = now() + interval '1 hour' "
                + "WHERE account_id = '\(root.id)'"
        )
        for (method, rest) in [("POST", "/disable"), ("DELETE", "")] {
            let answer = try await first.send(method, "/\(other.id)\(rest)")
            #expect(answer.status == 409 && answer.code == "last-administrator", "\(answer.body)")
        }
    }
}
