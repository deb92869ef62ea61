// Accounts of services and their API keys: made, narrowed, shown once, refused everywhere when they
// are taken back, on every node and behind nginx.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct ServiceAccountTests {
    private static let path = "/v1/admin/service-accounts"

    /// What each node says of a request with a key.
    private func verdicts(
        _ cluster: Cluster,
        _ fields: [(String, String)],
        _ query: String = ""
    ) async throws -> [Int] {
        var found: [Int] = []
        for node in cluster.nodes {
            found.append(try await node.client.send("GET", "/verify\(query)", fields).status)
        }
        return found
    }

    @Test
    func `a service has a name and a state, and nobody signs in to it (row 179)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let shown = try await service.send("GET", "")
        #expect(shown.status == 200 && shown.text("state") == "active")
        let name = try #require(shown.text("name"))
        let json = "{\"name\":\"\(name.uppercased())\"}"
        let twice = try await cluster.node.send("POST", Self.path, desk.tokens.bearer, json: json)
        #expect(twice.status == 409 && twice.code == "username-taken")
        for bad in ["{}", "{\"name\":\"a@b\"}", "{\"name\":\"xy\"}", "{\"name\":\"abc\",\"x\":1}"] {
            let answer = try await cluster.node.send(
                "POST",
                Self.path,
                desk.tokens.bearer,
                json: bad
            )
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(bad)")
        }
        #expect(try await cluster.login(name, "anything at all 17").code == "sign-in-failed")
        let list = try await cluster.items(Self.path, desk.tokens.bearer)
        let ids = list.compactMap { $0.at("id")?.string }
        #expect(ids.contains(service.id) && !ids.contains(desk.id))
        // A person is no service.
        let person = try await cluster.person()
        for (method, rest) in [
            ("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/enable"),
            ("GET", "/keys"),
        ] {
            let target = "\(Self.path)/\(person.id)\(rest)"
            let answer = try await cluster.node.send(method, target, desk.tokens.bearer)
            #expect(answer.status == 404, "\(method) \(rest)")
        }
        let foreign = try await cluster.node.send(
            "POST",
            "\(Self.path)/\(person.id)/keys",
            desk.tokens.bearer,
            json: "{\"name\":\"x\"}"
        )
        #expect(foreign.status == 404)
    }

    @Test
    func `a key is shown once, listed without itself, and opens what its account may (row 179)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let key = try await service.key()
        try await cluster.expectEverywhere(200, key.bearer)
        for node in cluster.nodes {
            // Twice: the first is the general path's, the second the fast one's.
            for _ in 0..<2 {
                let answer = try await node.client.send("GET", "/verify", key.bearer)
                #expect(answer.status == 200)
                #expect(answer["X-Auth-User"] == service.id)
                #expect(answer["X-Auth-Session"] == "")
                #expect(answer["X-Auth-Client"] == "api-key")
                #expect(answer["X-Auth-Roles"]?.hasPrefix("does-") == true)
            }
        }
        #expect(
            try await verdicts(cluster, key.bearer, "?permission=orders:read") == [200, 200, 200]
        )
        #expect(
            try await verdicts(cluster, key.bearer, "?permission=bills:pay") == [403, 403, 403]
        )
        var listed = try await service.send("GET", "/keys")
        let text = try #require(key.bearer[0].1.split(separator: " ").last)
        #expect(!listed.body.contains(text))
        let item = try #require(listed.json.at("items")?.items.first)
        let prefix = try #require(item.at("prefix")?.string)
        #expect(prefix.utf8.count == 20 && text.hasPrefix(prefix))
        #expect(
            item.names == [
                "id", "prefix", "name", "permissions", "created_at", "created_by", "expires_at",
                "last_used_at", "revoked_at",
            ]
        )
        // When it was last used is written after a moment.
        let deadline = Deadline.after(.seconds(60))
        while listed.json.at("items")?.items.first?.at("last_used_at")?.string == nil {
            guard !deadline.hasPassed else { throw ClusterError("no use was noted") }
            try await Task.sleep(for: .milliseconds(100))
            listed = try await service.send("GET", "/keys")
        }
        let recorded = try await cluster.sql(
            """
            SELECT string_agg(action || ' ' || (actor_id = '\(desk.id)'), ', ' ORDER BY id)
              FROM audit_events e WHERE account_id = '\(service.id)'
            """
        )
        #expect(
            recorded == "account.created true, role.assigned true, api-key.created true"
        )
    }

    @Test
    func `what a service says of somebody in headers gives it none of his rights (row 174, W1)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let key = try await service.key()
        // All that a gateway would tell an application of the administrator.
        let forged = [
            ("X-Auth-User", desk.id), ("X-Auth-Session", desk.tokens.session),
            ("X-Auth-Roles", "admin"), ("X-Auth-Scopes", "users:read *:*"),
            ("X-Auth-Client", "watchword"),
        ]
        let wanted = "/verify?permission=users:read"
        for node in cluster.nodes {
            // Twice: the first is the general path's, the second the fast one's.
            for _ in 0..<2 {
                let fields = key.bearer + forged
                let judged = try await node.client.send("GET", wanted, fields)
                #expect(judged.status == 403 && judged.code == "permission-denied")
                let role = try await node.client.send("GET", "/verify?role=admin", fields)
                #expect(role.status == 403 && role.code == "permission-denied")
                let people = try await node.client.send("GET", "/v1/admin/users", fields)
                #expect(people.status == 403 && people.code == "permission-denied")
                // It passes as what it is, for what it may.
                let own = try await node.client.send(
                    "GET",
                    "/verify?permission=orders:read",
                    fields
                )
                #expect(own.status == 200 && own["X-Auth-User"] == service.id)
                #expect(own["X-Auth-Roles"]?.hasPrefix("does-") == true)
            }
            // He himself may.
            let he = try await node.client.send("GET", wanted, desk.tokens.bearer)
            #expect(he.status == 200 && he["X-Auth-User"] == desk.id)
            let list = try await node.client.send("GET", "/v1/admin/users", desk.tokens.bearer)
            #expect(list.status == 200)
        }
    }

    @Test
    func `a narrowed key may what it names and its account may, and has no roles (row 169)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let key = try await service.key(",\"permissions\":[\"orders:read\",\"bills:*\"]")
        for _ in 0..<2 {
            for (query, status) in [
                ("", 200), ("?permission=orders:read", 200), ("?permission=orders:write", 403),
                ("?permission=bills:pay", 403), ("?scope=orders:read", 200),
                ("?scope=bills:*", 403),
            ] {
                let found = try await verdicts(cluster, key.bearer, query)
                #expect(found == [status, status, status], "\(query)")
            }
        }
        let answer = try await cluster.node.send("GET", "/verify", key.bearer)
        #expect(answer["X-Auth-Roles"] == "" && answer["X-Auth-Scopes"] == "orders:read")
    }

    @Test
    func `a narrowed key shows as scopes what its account holds, and what it loses no more (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let keys = try await (
            service.key(",\"permissions\":[\"orders:*\",\"bills:pay\"]"),
            service.key(",\"permissions\":[\"*:*\"]")
        )
        for scopes in ["orders:read orders:write", ""] {
            for bearer in [keys.0.bearer, keys.1.bearer] {
                for node in cluster.nodes {
                    // Twice: the first is the general path's, the second the fast one's.
                    for _ in 0..<2 {
                        let answer = try await node.client.send("GET", "/verify", bearer)
                        #expect(answer.status == 200 && answer["X-Auth-Scopes"] == scopes)
                        let wanted = scopes.isEmpty ? 403 : 200
                        let asked = try await node.client.send(
                            "GET",
                            "/verify?scope=orders:write",
                            bearer
                        )
                        #expect(asked.status == wanted)
                    }
                }
            }
            _ = try await desk.send("DELETE", "/\(service.id)/roles/\(service.role)")
        }
    }

    @Test
    func `a key that is taken back is refused on every node at once, also where it is known (W1)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let kept = try await service.key()
        for _ in 0..<4 {
            let key = try await service.key()
            for _ in 0..<2 { try await cluster.expectEverywhere(200, key.bearer) }
            #expect(try await service.send("DELETE", "/keys/\(key.id)").status == 204)
            for _ in 0..<2 { try await cluster.expectEverywhere(401, key.bearer) }
            #expect(try await service.send("DELETE", "/keys/\(key.id)").status == 204)
            try await cluster.expectEverywhere(200, kept.bearer)
        }
        let other = try await TestService(desk)
        #expect(try await other.send("DELETE", "/keys/\(kept.id)").status == 404)
        #expect(try await service.send("DELETE", "/keys/\(service.id)").status == 404)
        try await cluster.expectEverywhere(200, kept.bearer)
    }

    @Test
    func `a disabled service has no key that opens, an enabled one has those it had (row 179, W1)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let key = try await service.key()
        for _ in 0..<3 {
            for _ in 0..<2 { try await cluster.expectEverywhere(200, key.bearer) }
            #expect(try await service.send("POST", "/disable").status == 204)
            for _ in 0..<2 { try await cluster.expectEverywhere(401, key.bearer) }
            #expect(try await service.send("POST", "/enable").status == 204)
        }
        try await cluster.expectEverywhere(200, key.bearer)
        #expect(try await service.send("DELETE", "").status == 204)
        try await cluster.expectEverywhere(401, key.bearer)
        #expect(try await service.send("GET", "/keys").status == 404)
        let left = try await cluster.sql(
            "SELECT count(*) FROM api_keys WHERE account_id = '\(service.id)'"
        )
        #expect(left == "0")
    }

    @Test
    func `a role that a service loses opens nothing to its keys any more (W11)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let (whole, narrow) = try await (
            service.key(), service.key(",\"permissions\":[\"orders:read\"]")
        )
        let wanted = "?permission=orders:read"
        for round in 0..<3 {
            for key in [whole, narrow] {
                #expect(try await verdicts(cluster, key.bearer, wanted) == [200, 200, 200])
            }
            let taken = try await desk.send("DELETE", "/\(service.id)/roles/\(service.role)")
            #expect(taken.status == 204)
            for key in [whole, narrow] {
                let found = try await verdicts(cluster, key.bearer, wanted)
                #expect(found == [403, 403, 403], "\(round)")
                #expect(try await verdicts(cluster, key.bearer) == [200, 200, 200])
            }
            let again = "{\"role\":\"\(service.role)\"}"
            let given = try await desk.send("POST", "/\(service.id)/roles", json: again)
            #expect(given.status == 201)
        }
    }

    @Test
    func `a key ends when it was said to, and is not made for the past`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let past = try await service.send(
            "POST",
            "/keys",
            json: "{\"name\":\"x\",\"expires_at\":\"2020-01-01T00:00:00Z\"}"
        )
        #expect(past.status == 400 && past.code == "validation-failed")
        let end = WallClock.system.now() + .seconds(3600)
        let key = try await service.key(",\"expires_at\":\"\(end)\"")
        try await cluster.expectEverywhere(200, key.bearer)
        // Its end comes for whoever has not met it; whoever has waits for that end by the clock.
        let short = WallClock.system.now() + .seconds(10)
        let brief = try await service.key(",\"expires_at\":\"\(short)\"")
        let deadline = Deadline.after(.seconds(60))
        while try await verdicts(cluster, brief.bearer) != [401, 401, 401] {
            guard !deadline.hasPassed else { throw ClusterError("it never ended") }
            try await Task.sleep(for: .milliseconds(200))
        }
        let over = try await cluster.node.send("GET", "/verify", brief.bearer)
        #expect(over.code == "token-expired")
        #expect(WallClock.system.now() >= short - .seconds(1))
    }

    @Test
    func `what is no key of ours is refused as such (row 179, W10)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let key = try await service.key()
        let text = String(try #require(key.bearer[0].1.split(separator: " ").last))
        let swapped = text.hasSuffix("A") ? "B" : "A"
        // One that nobody has made; one with the id of a real key and another secret.
        var strangers: [String] = []
        for change in [
            "DELETE FROM api_keys WHERE id =",
            "UPDATE api_keys SET digest = sha256('x') WHERE id =",
        ] {
            let made = try await service.key()
            try await cluster.sql("\(change) '\(made.id)'")
            strangers.append(String(made.bearer[0].1.dropFirst(7)))
        }
        for (wrong, code) in [
            ("wwk_", "token-malformed"), (String(text.dropLast()), "token-malformed"),
            (String(text.dropLast()) + swapped, "token-malformed"), (text + "A", "token-malformed"),
            (text.replacing("wwk_", with: "wwr_"), "token-malformed"),
            (strangers[0], "token-invalid"), (strangers[1], "token-invalid"),
        ] {
            for node in cluster.nodes {
                let fields = [("Authorization", "Bearer \(wrong)")]
                for target in ["/verify", "/v1/me", "/v1/admin/roles"] {
                    let answer = try await node.client.send("GET", target, fields)
                    #expect(answer.status == 401 && answer.code == code, "\(target) \(code)")
                }
            }
        }
        // Not as a cookie.
        let cookie = [("Cookie", "__Host-ww_access=\(text)"), ("X-Original-Method", "GET")]
        #expect(try await verdicts(cluster, cookie) == [401, 401, 401])
        try await cluster.expectEverywhere(200, key.bearer)
        let stranger = strangers[0]
        // Many strangers at once are each refused, and cost nobody else anything.
        let answers = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<30 {
                group.addTask {
                    let fields = [("Authorization", "Bearer \(stranger)")]
                    return try await cluster.node.send("GET", "/verify", fields).status
                }
            }
            var found: [Int] = []
            for try await status in group { found.append(status) }
            return found
        }
        #expect(answers == Array(repeating: 401, count: 30))
    }

    @Test
    func `a key opens administration as far as it may, and nothing of a session (row 169)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk, ["roles:read", "services:write"])
        let key = try await service.key()
        let narrow = try await service.key(",\"permissions\":[\"services:write\"]")
        #expect(try await cluster.node.send("GET", "/v1/admin/roles", key.bearer).status == 200)
        let less = try await cluster.node.send("GET", "/v1/admin/roles", narrow.bearer)
        #expect(less.status == 403 && less.code == "permission-denied")
        for (method, target) in [
            ("GET", "/v1/me"), ("GET", "/v1/me/sessions"), ("GET", "/v1/me/organisations"),
            ("POST", "/v1/auth/logout"), ("POST", "/v1/auth/logout-all"),
            ("DELETE", "/v1/me/sessions?except=current"), ("POST", "/v1/me/password"),
        ] {
            let json = method == "POST" ? "{}" : nil
            let answer = try await cluster.node.send(method, target, key.bearer, json: json)
            #expect(answer.status == 403 && answer.code == "permission-denied", "\(target)")
        }
        let old = try await cluster.node.send(
            "POST",
            "/v1/auth/refresh",
            json: "{\"refresh_token\":\"\(key.bearer[0].1.dropFirst(7))\"}"
        )
        #expect(old.status == 401)
        // Not for itself, and not for a service that may more.
        let rich = try await TestService(desk, ["roles:read", "bills:pay"])
        func make(_ id: String, _ members: String) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "POST",
                "\(Self.path)/\(id)/keys",
                key.bearer,
                json: "{\"name\":\"x\"\(members)}"
            )
        }
        #expect(try await make(service.id, "").code == "self-change-refused")
        #expect(try await make(rich.id, "").code == "permission-not-held")
        let more = try await make(rich.id, ",\"permissions\":[\"bills:pay\"]")
        #expect(more.status == 403 && more.code == "permission-not-held")
        let vain = try await make(rich.id, ",\"permissions\":[\"*:*\"]")
        #expect(vain.status == 403 && vain.code == "permission-not-held")
        #expect(try await make(rich.id, ",\"permissions\":[\"roles:read\"]").status == 201)
    }

    @Test
    func `a key is not told again what another key of its account was told (rows 169, 179, W7)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let maker = try await TestService(desk, ["services:write", "orders:read", "orders:write"])
        let target = try await TestService(desk)
        let whole = try await maker.key()
        let narrow = try await maker.key(",\"permissions\":[\"services:write\"]")
        let mark = ("Idempotency-Key", "of-\(maker.id)")
        func ask(_ fields: [(String, String)]) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "POST",
                "\(Self.path)/\(target.id)/keys",
                fields,
                json: "{\"name\":\"a key\"}"
            )
        }
        let made = try await ask(whole.bearer + [mark])
        #expect(made.status == 201, "\(made.body)")
        let secret = try #require(made.text("key"))
        // What it may not make itself it is not shown either.
        let other = try await ask(narrow.bearer + [mark])
        #expect(other.status == 409 && other.code == "idempotency-key-reused", "\(other.status)")
        #expect(!other.body.contains(secret))
        let refused = try await ask(narrow.bearer)
        #expect(refused.status == 403 && refused.code == "permission-not-held", "\(refused.body)")
        let again = try await ask(whole.bearer + [mark])
        #expect(again.status == 201 && again["Idempotent-Replayed"] == "true")
        #expect(again.text("key") == secret)
    }
}
