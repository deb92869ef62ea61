// Administration of people through HTTP: making, changing, unlocking, sessions, many at once, and
// how far a delegate of an organisation reaches.
import Primitives
import Revocation
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct UserChangeTests {
    /// Text that nobody else uses.
    private func mark() -> String { Hex.encode(Entropy.system.bytes(6)) }

    @Test
    func `an account that is made can be used, after its password is replaced (S4-12, S4-T10)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let mark = mark()
        let (first, second) = ("first of \(mark) words", "second of \(mark) words")
        for secret in [first, second] { cluster.secrets.add(secret, "password") }
        let made = try await desk.send(
            "POST",
            "",
            json: """
                {"email":"Made\(mark)@Example.TEST","username":"made_\(mark)",\
                "password":"\(first)",\
                "profile":{"given_name":"Ada","birthdate":"1815-12-10"}}
                """
        )
        #expect(made.status == 201, "\(made.body)")
        let id = try #require(made.text("id"))
        #expect(made["Location"] == "/v1/admin/users/\(id)")
        #expect(made.text("email") == "Made\(mark)@Example.TEST")
        #expect(made.json.at("confirmed") == .boolean(true))
        #expect(made.json.at("must_change_password") == .boolean(true))
        #expect(made.text("profile.given_name") == "Ada")
        #expect(made.json.at("roles")?.items.compactMap(\.string) == ["member"])
        func login(_ password: String, _ new: String?) async throws -> HTTPAnswer {
            let extra = new.map { ",\"new_password\":\"\($0)\"" } ?? ""
            return try await cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: "{\"login\":\"made_\(mark)\",\"password\":\"\(password)\"\(extra)}"
            )
        }
        #expect(try await login(second, first).code == "sign-in-failed")
        let told = try await login(first, nil)
        #expect(told.status == 403 && told.code == "password-change-required")
        for bad in ["short", "watchwordwatchword", first] {
            let answer = try await login(first, bad)
            #expect(answer.status == 400 && answer.code == "validation-failed")
            let member = answer.json.at("errors")?.items.first?.at("member")?.string
            #expect(member == "new_password")
        }
        let tokens = try Tokens(await login(first, second))
        try await cluster.expectEverywhere(200, tokens.bearer)
        #expect(try await login(first, nil).code == "sign-in-failed")
        #expect(try await login(second, first).status == 400)
        let usual = try Tokens(await login(second, nil))
        // Wanted again: the open sessions stay until the password is replaced, and end with that.
        #expect(try await desk.send("POST", "/\(id)/require-password-change").status == 204)
        try await cluster.expectEverywhere(200, usual.bearer)
        #expect(try await login(second, nil).code == "password-change-required")
        let third = "third of \(mark) words"
        cluster.secrets.add(third, "password")
        let newest = try Tokens(await login(second, third))
        try await cluster.expectEverywhere(401, usual.bearer)
        try await cluster.expectEverywhere(200, newest.bearer)
        let outcomes = try await desk.send("GET", "/\(id)/login-history").json.at("items")?.items
        #expect(
            outcomes?.compactMap { $0.at("outcome")?.string } == [
                "signed-in", "password-change-required", "signed-in", "wrong-password",
                "signed-in", "password-change-required", "wrong-password",
            ]
        )
        let record = try await cluster.sql(
            """
            SELECT string_agg(action, ' ' ORDER BY id) FROM audit_events
             WHERE account_id = '\(id)' AND actor_id = '\(desk.id)'
            """
        )
        #expect(record == "account.created password.change-required")
    }

    @Test
    func `what cannot be an account is refused, whole, and leaves nothing (row 180)`() async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let mark = mark()
        for (body, code, member) in [
            ("{}", "validation-failed", "email"),
            ("{\"email\":\"no address\"}", "validation-failed", "email"),
            (
                "{\"email\":\"x\(mark)@e.test\",\"username\":\"a b\"}", "validation-failed",
                "username"
            ),
            (
                "{\"email\":\"x\(mark)@e.test\",\"password\":\"short\"}", "validation-failed",
                "password"
            ),
            ("{\"email\":\"x\(mark)@e.test\",\"roles\":[]}", "validation-failed", "roles"),
            (
                "{\"email\":\"x\(mark)@e.test\",\"profile\":{\"birthdate\":\"2001-02-30\"}}",
                "validation-failed", "profile.birthdate"
            ), ("{\"email\":\"\(person.email)\"}", "email-taken", nil),
            (
                "{\"email\":\"x\(mark)@e.test\",\"username\":\"\(person.username)\"}",
                "username-taken", nil
            ),
        ] as [(String, String, String?)] {
            let answer = try await desk.send("POST", "", json: body)
            #expect(answer.code == code, "\(body) \(answer.body)")
            let named = answer.json.at("errors")?.items.first?.at("member")?.string
            #expect(named == member, "\(body)")
        }
        let left = try await cluster.sql(
            "SELECT count(*) FROM accounts WHERE email_canonical LIKE 'x\(mark)@%'"
        )
        #expect(left == "0")
    }

    @Test
    func `an account that is made twice with one key is one account`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let mark = mark()
        let key = [("Idempotency-Key", "make-\(mark)")]
        let body = "{\"email\":\"once\(mark)@example.test\"}"
        let first = try await desk.send("POST", "", key, json: body)
        let second = try await desk.send("POST", "", key, json: body)
        #expect(first.status == 201 && second.status == 201, "\(second.body)")
        #expect(first.text("id") == second.text("id"))
        #expect(second["Idempotent-Replayed"] == "true")
        #expect(try await desk.send("POST", "", json: body).code == "email-taken")
    }

    @Test
    func `a change needs the version it is made to, and another address ends sessions (S4-12)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let (person, other) = try await (cluster.person(), cluster.person())
        let tokens = try await cluster.signIn(person)
        let path = "/\(person.id)"
        let change = "{\"profile\":{\"given_name\":\"Grace\",\"address\":\"1 Street\\n2 Town\"}}"
        #expect(try await desk.send("PATCH", path, json: change).code == "version-required")
        let wrong = [("If-Match", "\"v7\"")]
        #expect(try await desk.send("PATCH", path, wrong, json: change).code == "version-mismatch")
        let named = try await desk.send("PATCH", path, [("If-Match", "\"v1\"")], json: change)
        #expect(named.status == 200 && named["ETag"] == "\"v2\"", "\(named.body)")
        #expect(named.text("profile.given_name") == "Grace")
        try await cluster.expectEverywhere(200, tokens.bearer)
        // Of two who change the same version one does.
        async let one = desk.send(
            "PATCH",
            path,
            [("If-Match", "\"v2\"")],
            json: "{\"profile\":{\"given_name\":null}}"
        )
        async let two = desk.send(
            "PATCH",
            path,
            [("If-Match", "\"v2\"")],
            json: "{\"confirmed\":true}"
        )
        let statuses = try await [one.status, two.status].sorted()
        #expect(statuses == [200, 412])
        let any = [("If-Match", "*")]
        let mark = mark()
        for (body, code) in [
            ("{\"email\":\"\(other.email)\"}", "email-taken"),
            ("{\"username\":\"\(other.username)\"}", "username-taken"),
            ("{\"email\":\"nobody\"}", "validation-failed"),
            ("{\"username\":\"-\"}", "validation-failed"),
            ("{\"state\":\"deleted\"}", "validation-failed"),
            ("{\"email\":null}", "validation-failed"),
        ] {
            #expect(try await desk.send("PATCH", path, any, json: body).code == code, "\(body)")
        }
        let confirmed = "{\"confirmed\":true}"
        #expect(try await desk.send("PATCH", path, any, json: confirmed).status == 200)
        try await cluster.expectEverywhere(200, tokens.bearer)
        let moved = try await desk.send(
            "PATCH",
            path,
            any,
            json: "{\"email\":\"moved\(mark)@example.test\",\"username\":null}"
        )
        #expect(moved.status == 200 && moved.text("email") == "moved\(mark)@example.test")
        #expect(moved.json.at("username") == .null && moved.json.at("confirmed") == .boolean(false))
        #expect(moved.text("profile.address") == "1 Street\n2 Town")
        try await cluster.expectEverywhere(401, tokens.bearer)
        let again = try await cluster.login("moved\(mark)@example.test", person.password)
        try await cluster.expectEverywhere(200, Tokens(again).bearer)
    }

    @Test func `an address that was given before is told of again, and ends nothing more (H19)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let address = "again\(mark())@example.test"
        let entries = """
            SELECT count(*) || ' of ' || count(DISTINCT l.ver)
              FROM revocation_log l
             WHERE l.kind = \(RevocationKind.signature.rawValue)
               AND l.subject = uuid_send('\(person.id)')
            """
        for found in ["1 of 1", "2 of 1"] {
            let json = "{\"email\":\"\(address)\",\"confirmed\":true}"
            let any = [("If-Match", "*")]
            let answer = try await desk.send("PATCH", "/\(person.id)", any, json: json)
            #expect(answer.status == 200)
            #expect(try await cluster.sql(entries) == found)
        }
        let tokens = try Tokens(try await cluster.login(address, person.password))
        // As if the first had died after its commit: with members nobody else has heard of it.
        let json = "{\"email\":\"\(address)\"}"
        let again = try await desk.send("PATCH", "/\(person.id)", [("If-Match", "*")], json: json)
        #expect(again.status == 200 && again.json.at("confirmed") == .boolean(true))
        #expect(try await cluster.sql(entries) == "3 of 1")
        try await cluster.expectEverywhere(200, tokens.bearer)
    }

    @Test
    func `sessions of others are listed and ended, one or all (W1, row 167)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let (person, other) = try await (cluster.person(), cluster.person())
        var mine: [Tokens] = []
        for _ in 0..<3 { mine.append(try await cluster.signIn(person)) }
        let foreign = try await cluster.signIn(other)
        let first = try await desk.send("GET", "/\(person.id)/sessions?limit=2")
        let ids = first.json.at("items")?.items.compactMap { $0.at("id")?.string }
        #expect(ids == [mine[2].session, mine[1].session])
        let cursor = try #require(first.text("next_cursor"))
        let rest = try await desk.send("GET", "/\(person.id)/sessions?limit=2&cursor=\(cursor)")
        let last = rest.json.at("items")?.items.compactMap { $0.at("id")?.string }
        #expect(last == [mine[0].session])
        let end = "/\(person.id)/sessions/"
        for missing in [foreign.session, person.id, "x"] {
            #expect(try await desk.send("DELETE", end + missing).status == 404)
        }
        try await cluster.expectEverywhere(200, foreign.bearer)
        for _ in 0..<2 {
            #expect(try await desk.send("DELETE", end + mine[1].session).status == 204)
        }
        try await cluster.expectEverywhere(401, mine[1].bearer)
        try await cluster.expectEverywhere(200, mine[0].bearer)
        #expect(try await desk.send("DELETE", "/\(person.id)/sessions").status == 204)
        for tokens in mine { try await cluster.expectEverywhere(401, tokens.bearer) }
        #expect(try await cluster.refresh(mine[0].refresh).status == 401)
        let left = try await desk.send("GET", "/\(person.id)/sessions").json.at("items")
        #expect(left?.items.isEmpty == true)
        try await cluster.expectEverywhere(200, foreign.bearer)
        let own = try await desk.send("DELETE", "/\(desk.id)/sessions")
        #expect(own.code == "self-change-refused")
    }

    @Test
    func `many are done one by one, and told in order (row 180)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let (one, two) = try await (cluster.person(), cluster.person())
        let tokens = try await cluster.signIn(two)
        let nobody = RequestID(at: WallClock.system.now(), entropy: .system).description
        func bulk(_ action: String, _ ids: [String]) async throws -> [String] {
            let list = ids.map { "\"\($0)\"" }.joined(separator: ",")
            let answer = try await desk.send(
                "POST",
                "/bulk",
                json: "{\"action\":\"\(action)\",\"ids\":[\(list)]}"
            )
            let results = answer.json.at("results")?.items ?? []
            #expect(results.compactMap { $0.at("id")?.string } == (answer.status == 200 ? ids : []))
            return answer.status == 200
                ? results.map { $0.at("code")?.string ?? "done" } : [answer.code ?? ""]
        }
        let order = [one.id, desk.id, nobody, two.id]
        let ended = try await bulk("end-sessions", order)
        #expect(ended == ["done", "self-change-refused", "not-found", "done"])
        try await cluster.expectEverywhere(401, tokens.bearer)
        #expect(try await bulk("disable", [one.id, two.id]) == ["done", "done"])
        #expect(try await cluster.login(one.email, one.password).code == "sign-in-failed")
        #expect(try await bulk("enable", [one.id, one.id]) == ["done", "done"])
        #expect(try await cluster.login(one.email, one.password).status == 200)
        #expect(try await bulk("delete", [one.id, one.id]) == ["done", "not-found"])
        for (action, ids) in [
            ("explode", [one.id]), ("enable", []), ("enable", ["x"]),
            ("enable", Array(repeating: two.id, count: 101)),
        ] {
            #expect(try await bulk(action, ids) == ["validation-failed"], "\(action)")
        }
    }

    @Test
    func `a delegate reaches the members of his organisation and nobody else (rows 167, 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let (delegate, inside) = try await (cluster.person(), cluster.person())
        let (both, outside) = try await (cluster.person(), cluster.person())
        let mark = mark()
        try await cluster.grant("keeper-\(mark)", ["users:read", "users:write"], to: delegate)
        let names = ["a", "b"].map { "org-\(mark)-\($0)" }
        for name in names {
            try await cluster.sql(
                """
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES (gen_random_uuid(), '\(name)', 'Acme', now(), now())
                """
            )
        }
        let org = try await cluster.sql("SELECT id FROM organisations WHERE name = '\(names[0])'")
        try await cluster.sql(
            """
            INSERT INTO organisation_members
            SELECT o.id, a.id, now() FROM organisations o, accounts a
             WHERE (o.name = '\(names[0])'
                    AND a.id IN ('\(delegate.id)', '\(inside.id)', '\(both.id)'))
                OR (o.name = '\(names[1])' AND a.id IN ('\(both.id)', '\(outside.id)'));
            UPDATE account_roles SET scope = 'org:\(org)'
             WHERE account_id = '\(delegate.id)'
               AND role_id = (SELECT id FROM roles WHERE name = 'keeper-\(mark)')
            """
        )
        let desk = try await AdminDesk(cluster, delegate)
        let here = [("X-Org", org)]
        #expect(try await desk.send("GET", "").code == "permission-denied")
        let listed = try await desk.send("GET", "", here)
        let ids = listed.json.at("items")?.items.compactMap { $0.at("id")?.string } ?? []
        #expect(Set(ids) == [delegate.id, inside.id, both.id])
        let found = try await desk.send("GET", "?email_prefix=p&state=active", here)
        #expect(found.json.at("items")?.items.count == 3)
        for (method, rest) in [
            ("GET", ""), ("GET", "/sessions"), ("GET", "/login-history"), ("DELETE", ""),
            ("POST", "/disable"), ("POST", "/enable"), ("POST", "/unlock"),
            ("POST", "/require-password-change"), ("DELETE", "/sessions"),
        ] {
            let answer = try await desk.send(method, "/\(outside.id)\(rest)", here)
            #expect(answer.status == 404 && answer.code == "not-found", "\(method) \(rest)")
        }
        // What another organisation would feel, it has a say in.
        for (method, rest) in [("POST", "/disable"), ("DELETE", "")] {
            let answer = try await desk.send(method, "/\(both.id)\(rest)", here)
            #expect(answer.status == 403 && answer.code == "permission-denied", "\(method)")
        }
        #expect(try await desk.send("DELETE", "/\(both.id)/sessions", here).status == 204)
        #expect(try await desk.send("POST", "/\(inside.id)/disable", here).status == 204)
        #expect(try await desk.send("POST", "/\(inside.id)/enable", here).status == 204)
        let made = try await desk.send(
            "POST",
            "",
            here,
            json: "{\"email\":\"made\(mark)@example.test\"}"
        )
        #expect(made.status == 201, "\(made.body)")
        let member = try #require(made.text("id"))
        #expect(try await desk.send("GET", "/\(member)", here).status == 200)
        #expect(try await desk.send("DELETE", "/\(member)", here).status == 204)
        // An administrator of everything, in an organisation, stays in it as well.
        let root = try await AdminDesk(cluster)
        #expect(try await root.send("GET", "/\(outside.id)", here).status == 404)
        #expect(try await root.send("GET", "/\(outside.id)").status == 200)
    }
}
