// The operations on route rules over HTTP: done right, by the wrong people, with bad input, and by
// two at once. Nodes of their own, because the rules are everybody's.
import Primitives
import Testing

@testable import Web

@Suite struct RouteRuleAPITests {
    static let path = "/v1/admin/route-rules"

    /// One node, and the headers of somebody who may do everything there.
    private static func run(
        _ body: @Sendable (Cluster, [(String, String)]) async throws -> Void
    ) async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        try await Cluster.run(plan) { cluster in
            let root = try await cluster.signIn(cluster.administrator)
            try await body(cluster, root.bearer)
        }
    }

    private static func rule(_ path: String, _ more: String = "") -> String {
        "{\"methods\":[\"GET\"],\"path\":\"\(path)\",\"access\":\"authenticated\"\(more)}"
    }

    /// The paths in the order of the rules.
    private static func paths(
        _ cluster: Cluster,
        _ root: [(String, String)]
    ) async throws -> [String] {
        try await cluster.items(path, root).map { item in
            if case .text(let text)? = item.at("path") { text } else { "?" }
        }
    }

    private static func version(
        _ cluster: Cluster,
        _ root: [(String, String)]
    ) async throws -> (String, String) {
        let answer = try await cluster.node.send("GET", path, root)
        return ("If-Match", try #require(answer["ETag"]))
    }

    @Test
    func `rules are made, read, changed, moved and taken away, each in the audit log (W9)`()
        async throws
    {
        try await Self.run { cluster, root in
            let first = try await cluster.node.send(
                "POST",
                Self.path,
                root,
                json: Self.rule("/a", ",\"permissions\":[\"a:b\"]")
            )
            #expect(first.status == 201, "\(first.body)")
            #expect(first["Location"]?.hasSuffix(first.text("id") ?? "?") == true)
            #expect(first.text("path") == "/a" && first.text("access") == "authenticated")
            let id = try #require(first.text("id"))
            _ = try await cluster.node.send("POST", Self.path, root, json: Self.rule("/c"))
            let between = try await cluster.node.send(
                "POST",
                Self.path,
                root,
                json: Self.rule("/b", ",\"position\":2")
            )
            #expect(between.status == 201)
            #expect(try await Self.paths(cluster, root) == ["/a", "/b", "/c"])
            let got = try await cluster.node.send("GET", "\(Self.path)/\(id)", root)
            #expect(got.status == 200 && got.text("id") == id)
            let seen = ("If-Match", try #require(got["ETag"]))
            let moved = try await cluster.node.send(
                "PATCH",
                "\(Self.path)/\(id)",
                root + [seen],
                json: #"{"position":3,"path":"/z/{x}","resource":"a:{x}","host":"a.example"}"#
            )
            #expect(moved.status == 200, "\(moved.body)")
            #expect(moved.text("host") == "a.example" && moved.text("resource") == "a:{x}")
            #expect(try await Self.paths(cluster, root) == ["/b", "/c", "/z/{x}"])
            let cleared = try await cluster.node.send(
                "PATCH",
                "\(Self.path)/\(id)",
                root + [try await Self.version(cluster, root)],
                json: #"{"host":null,"resource":null}"#
            )
            #expect(cleared.status == 200 && cleared.text("host") == nil, "\(cleared.body)")
            let unseen = try await cluster.node.send("DELETE", "\(Self.path)/\(id)", root)
            #expect(unseen.code == "version-required")
            let any = root + [("If-Match", "*")]
            let gone = try await cluster.node.send("DELETE", "\(Self.path)/\(id)", any)
            #expect(gone.status == 204)
            #expect(try await cluster.node.send("GET", "\(Self.path)/\(id)", root).status == 404)
            #expect(try await cluster.node.send("DELETE", "\(Self.path)/\(id)", any).status == 404)
            #expect(try await Self.paths(cluster, root) == ["/b", "/c"])
            let audited = try await cluster.sql(
                """
                SELECT string_agg(detail->>'change', ' ' ORDER BY id) FROM audit_events
                 WHERE action = 'route-rules.changed'
                   AND actor_id = (SELECT id FROM accounts WHERE email = 'root@example.test')
                """
            )
            #expect(audited == "inserted inserted inserted updated updated deleted")
            let announced = try await cluster.sql(
                "SELECT count(*) FROM outbox WHERE topic = 'route-rules.changed'"
            )
            let logged = try await cluster.sql(
                "SELECT count(DISTINCT ver) FROM revocation_log WHERE kind = 12"
            )
            #expect(announced == "6" && logged == "6")
        }
    }

    @Test
    func `all rules are replaced at once, and those that stay keep their ids`() async throws {
        try await Self.run { cluster, root in
            let before = try await Self.version(cluster, root)
            func put(
                _ rules: [String],
                _ seen: [(String, String)]
            ) async throws -> HTTPAnswer {
                try await cluster.node.send(
                    "PUT",
                    Self.path,
                    root + seen,
                    json: "{\"rules\":[\(rules.joined(separator: ","))]}"
                )
            }
            #expect(try await put([Self.rule("/a")], []).code == "version-required")
            let old = try await put([Self.rule("/a"), Self.rule("/b"), Self.rule("/c")], [before])
            #expect(old.status == 200, "\(old.body)")
            #expect(try await put([Self.rule("/a")], [before]).code == "version-mismatch")
            #expect(try await put([Self.rule("/a")], [("If-Match", "x")]).status == 400)
            let ids = old.json.at("rules")?.items.compactMap { $0.at("id") } ?? []
            let new = try await put(
                [Self.rule("/c"), Self.rule("/a"), Self.rule("/d")],
                [
                    ("If-Match", try #require(old["ETag"]))
                ]
            )
            let kept = new.json.at("rules")?.items.compactMap { $0.at("id") } ?? []
            #expect(kept.count == 3 && kept[0] == ids[2] && kept[1] == ids[0])
            #expect(try await Self.paths(cluster, root) == ["/c", "/a", "/d"])
            // The same once more is no change.
            let same = try await put(
                [Self.rule("/c"), Self.rule("/a"), Self.rule("/d")],
                [
                    ("If-Match", "*")
                ]
            )
            #expect(same.status == 200 && same["ETag"] == new["ETag"])
            // One that is wrong, and nothing has happened.
            let bad = try await put([Self.rule("/e"), Self.rule("/e/../f")], [("If-Match", "*")])
            #expect(bad.status == 400)
            #expect(bad.body.contains("rules.1.path"))
            #expect(try await Self.paths(cluster, root) == ["/c", "/a", "/d"])
            #expect(try await put([], [("If-Match", "*")]).status == 200)
            #expect(try await Self.paths(cluster, root) == [])
        }
    }

    @Test
    func `a change of the rules that was made before is told again (H19, W11)`() async throws {
        try await Self.run { cluster, root in
            let any = root + [("If-Match", "*")]
            let json = "{\"rules\":[\(Self.rule("/a"))]}"
            // How many entries there are of the rules, and of how many versions.
            let entries = """
                SELECT count(*) || ' of ' || count(DISTINCT ver)
                  FROM revocation_log WHERE kind = 12
                """
            let first = try await cluster.node.send("PUT", Self.path, any, json: json)
            #expect(first.status == 200, "\(first.body)")
            #expect(try await cluster.sql(entries) == "1 of 1")
            // As if the first had died after its commit: with members nobody else has heard of it.
            let again = try await cluster.node.send("PUT", Self.path, any, json: json)
            #expect(again.body == first.body && again["ETag"] == first["ETag"])
            #expect(try await cluster.sql(entries) == "2 of 1")
            let id = try #require(first.json.at("rules")?.items.first?.at("id")?.string)
            let same = "{\"path\":\"/a\"}"
            let one = try await cluster.node.send("PATCH", "\(Self.path)/\(id)", any, json: same)
            #expect(one.status == 200 && one["ETag"] == first["ETag"], "\(one.body)")
            #expect(try await cluster.sql(entries) == "3 of 1")
            let audited = """
                SELECT count(*) FROM audit_events WHERE action = 'route-rules.changed'
                """
            #expect(try await cluster.sql(audited) == "1")
        }
    }

    @Test
    func `bad rules are refused by their member and write nothing (S3-T1)`() async throws {
        try await Self.run { cluster, root in
            let made = try await cluster.node.send(
                "POST",
                Self.path,
                root,
                json: Self.rule("/a/{id}")
            )
            let id = try #require(made.text("id"))
            let rows = "SELECT string_agg(r::text, ';') FROM route_rules r"
            let before = try await cluster.sql(rows)
            let cases: [(json: String, member: String)] = [
                ("{\"path\":\"/a\",\"access\":\"public\"}", "methods"),
                ("{\"methods\":[],\"path\":\"/a\",\"access\":\"public\"}", "methods"),
                ("{\"methods\":[\"get\"],\"path\":\"/a\",\"access\":\"public\"}", "methods"),
                (Self.rule("a"), "path"), (Self.rule("/a/**/b"), "path"),
                (Self.rule("/a", ",\"host\":\"A\""), "host"),
                (Self.rule("/a", ",\"permissions\":[\"a:*\"]"), "permissions"),
                (Self.rule("/a", ",\"roles\":[\"x y\"]"), "roles"),
                (Self.rule("/a", ",\"resource\":\"a:{id}\",\"roles\":[\"x1\"]"), "resource"),
                (Self.rule("/a", ",\"position\":0"), "position"),
                (Self.rule("/a", ",\"position\":1001"), "position"),
                (Self.rule("/a", ",\"id\":\"\(id)\""), "id"),
                ("{\"methods\":[\"GET\"],\"path\":\"/a\",\"access\":\"all\"}", "access"),
                (
                    "{\"methods\":[\"*\"],\"path\":\"/\",\"access\":\"public\",\"roles\":[\"x\"]}",
                    "access"
                ),
            ]
            for (json, member) in cases {
                let answer = try await cluster.node.send("POST", Self.path, root, json: json)
                #expect(answer.status == 400 && answer.code == "validation-failed", "\(json)")
                let errors = answer.json.at("errors")?.items ?? []
                #expect(errors.contains { $0.at("member") == .text(member) }, "\(answer.body)")
            }
            let any = [("If-Match", "*")]
            for json in [
                "{\"path\":\"/b\",\"resource\":\"a:{id}\",\"roles\":[\"x1\"]}",
                "{\"access\":\"public\",\"scopes\":[\"x\"]}", "{\"path\":null}",
            ] {
                let answer = try await cluster.node.send(
                    "PATCH",
                    "\(Self.path)/\(id)",
                    root + any,
                    json: json
                )
                #expect(answer.status == 400, "\(json) \(answer.body)")
            }
            let unseen = try await cluster.node.send(
                "PATCH",
                "\(Self.path)/\(id)",
                root,
                json: "{}"
            )
            #expect(unseen.status == 428)
            let foreign = "019b7713-5400-7000-8000-000000000001"
            for (method, json) in [("GET", nil), ("PATCH", "{}"), ("DELETE", nil)] {
                for name in [foreign, "x"] {
                    let answer = try await cluster.node.send(
                        method,
                        "\(Self.path)/\(name)",
                        root + any,
                        json: json
                    )
                    #expect(answer.status == 404, "\(method) \(name)")
                }
            }
            #expect(try await cluster.sql(rows) == before)
        }
    }

    @Test
    func `reading needs routes read and writing routes write, nothing less (rows 165, 166)`()
        async throws
    {
        try await Self.run { cluster, root in
            let reader = try await cluster.person()
            try await cluster.grant("route.reader", ["routes:read"], to: reader)
            let reads = try await cluster.signIn(reader).bearer
            let member = try await cluster.signIn(cluster.person()).bearer
            let rule = Self.rule("/a")
            let ask = #"{"method":"GET","path":"/a"}"#
            for (method, target, json, status) in [
                ("GET", Self.path, nil, 200), ("POST", Self.path, rule, 403),
                ("PUT", Self.path, #"{"rules":[]}"#, 403),
                ("POST", Self.path + "/explain", ask, 200),
            ] {
                let read = try await cluster.node.send(method, target, reads, json: json)
                #expect(read.status == status, "\(method) \(target)")
                let none = try await cluster.node.send(method, target, member, json: json)
                #expect(none.status == 403 && none.code == "permission-denied")
                #expect(try await cluster.node.send(method, target, json: json).status == 401)
            }
            // About somebody else: more is needed.
            let other = try await cluster.person()
            let about = "{\"method\":\"GET\",\"path\":\"/a\",\"account\":\"\(other.id)\"}"
            let mine = "{\"method\":\"GET\",\"path\":\"/a\",\"account\":\"\(reader.id)\"}"
            let explain = Self.path + "/explain"
            #expect(try await cluster.node.send("POST", explain, reads, json: about).status == 403)
            #expect(try await cluster.node.send("POST", explain, reads, json: mine).status == 200)
            #expect(try await cluster.node.send("POST", explain, root, json: about).status == 200)
        }
    }

    @Test
    func `the order is explained: which rule counts, why not those before, and who passes`()
        async throws
    {
        try await Self.run { cluster, root in
            let person = try await cluster.person()
            try await cluster.grant("explained", ["a:read"], to: person)
            let rules = [
                Self.rule("/a", ",\"host\":\"b.example\""), Self.rule("/b"),
                "{\"methods\":[\"PUT\"],\"path\":\"/a\",\"access\":\"public\"}",
                Self.rule("/{x}", ",\"permissions\":[\"a:read\"],\"resource\":\"a:{x}\""),
                Self.rule("/a"),
            ]
            let put = try await cluster.node.send(
                "PUT",
                Self.path,
                root + [("If-Match", "*")],
                json: "{\"rules\":[\(rules.joined(separator: ","))]}"
            )
            #expect(put.status == 200, "\(put.body)")
            // The last can never count, and both sides say so.
            let all = put.json.at("rules")?.items ?? []
            #expect(all[4].at("shadowed_by")?.items == all[3].at("id").map { [$0] })
            #expect(all[3].at("shadows")?.items == all[4].at("id").map { [$0] })
            func explain(_ members: String) async throws -> HTTPAnswer {
                let answer = try await cluster.node.send(
                    "POST",
                    Self.path + "/explain",
                    root,
                    json: "{\(members)}"
                )
                #expect(answer.status == 200, "\(answer.body)")
                return answer
            }
            let ask = #""method":"GET","path":"/a?x""#
            let open = try await explain(ask)
            #expect(open.text("verdict") == "depends" && open.text("resource") == "a:a")
            #expect(open.json.at("rule")?.at("position") == .integer(4))
            let reasons = (open.json.at("earlier")?.items ?? []).compactMap { $0.at("reason") }
            #expect(reasons == [.text("host"), .text("path"), .text("method")])
            let good = try await explain(ask + ",\"account\":\"\(person.id)\"")
            #expect(good.text("verdict") == "passes")
            let stranger = try await cluster.person()
            let bad = try await explain(ask + ",\"account\":\"\(stranger.id)\"")
            #expect(bad.text("verdict") == "refused")
            let put2 = try await explain(#""method":"PUT","path":"/a""#)
            #expect(put2.text("verdict") == "passes")
            #expect(
                try await explain(#""method":"PUT","path":"/c/d""#).text("verdict") == "refused"
            )
            let odd = try await explain(#""method":"GET","path":"/a/../b""#)
            #expect(odd.json.at("ambiguous") == .boolean(true) && odd.text("verdict") == "refused")
            let nobody = try await cluster.node.send(
                "POST",
                Self.path + "/explain",
                root,
                json: "{\(ask),\"account\":\"019b7713-5400-7000-8000-000000000001\"}"
            )
            #expect(nobody.status == 404)
        }
    }

    @Test
    func `what is held in an organisation is explained as gateways judge it (row 175)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.variables["WATCHWORD_VERIFY_ROUTE_RULES"] = "on"
        try await Cluster.run(plan) { cluster in
            let root = try await AdminDesk(cluster)
            let (org, other) = try await (TestOrganisation(root), TestOrganisation(root))
            let (member, stranger) = try await (cluster.person(), cluster.person())
            for one in [org, other] { try await one.add(member, by: root) }
            try await org.give(["a:read"], to: member, by: root)
            try await cluster.sql(
                "UPDATE account_roles SET expires_at = now() + interval '1 day'"
                    + " WHERE scope = 'org:\(org.id)'"
            )
            let rules = [
                Self.rule("/a", ",\"permissions\":[\"a:read\"]"), Self.rule("/b"),
                Self.rule("/c/{x}", ",\"permissions\":[\"a:read\"],\"resource\":\"c:{x}\""),
                "{\"methods\":[\"GET\"],\"path\":\"/open\",\"access\":\"public\"}",
            ]
            let put = try await cluster.node.send(
                "PUT",
                Self.path,
                root.tokens.bearer + [("If-Match", "*")],
                json: "{\"rules\":[\(rules.joined(separator: ","))]}"
            )
            #expect(put.status == 200, "\(put.body)")
            var seen: Set<String> = []
            for person in [member, stranger] {
                let tokens = try await cluster.signIn(person)
                for path in ["/a", "/b", "/c/7", "/open", "/none"] {
                    for place in [nil, org.id, other.id] {
                        let named = place.map { ",\"organisation\":\"\($0)\"" } ?? ""
                        let told = try await cluster.node.send(
                            "POST",
                            Self.path + "/explain",
                            root.tokens.bearer,
                            json: "{\"method\":\"GET\",\"path\":\"\(path)\","
                                + "\"account\":\"\(person.id)\"\(named)}"
                        )
                        let fields = [("X-Original-Method", "GET"), ("X-Original-URI", path)]
                        let asked = try await cluster.node.send(
                            "GET",
                            "/verify",
                            tokens.bearer + fields + (place.map { [("X-Org", $0)] } ?? [])
                        )
                        let wanted = asked.status == 200 ? "passes" : "refused"
                        #expect(
                            told.text("verdict") == wanted,
                            "\(path) \(place ?? "-") \(asked.status) \(told.body)"
                        )
                        seen.insert("\(path) \(wanted)")
                    }
                }
            }
            #expect(seen.isSuperset(of: ["/a passes", "/a refused", "/b passes", "/b refused"]))
        }
    }

    @Test
    func `many at once each get a place of their own, up to a thousand (W8)`() async throws {
        try await Self.run { cluster, root in
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        let json = Self.rule("/n\(number)", ",\"position\":1")
                        return try await cluster.node.send("POST", Self.path, root, json: json)
                            .status
                    }
                }
                var found: [Int] = []
                for try await status in group { found.append(status) }
                return found
            }
            #expect(answers == Array(repeating: 201, count: 12))
            let places = try await cluster.sql(
                "SELECT string_agg(position::text, ' ' ORDER BY position) FROM route_rules"
            )
            #expect(places == (1...12).map(String.init).joined(separator: " "))
            // Of two that have seen the same version one is told that it is old.
            let seen = try await Self.version(cluster, root)
            let put = { @Sendable (_ name: String) in
                try await cluster.node.send(
                    "PUT",
                    Self.path,
                    root + [seen],
                    json: "{\"rules\":[\(Self.rule(name))]}"
                ).status
            }
            async let one = put("/one")
            async let two = put("/two")
            let both = try await [one, two].sorted()
            #expect(both == [200, 412])
            try await cluster.sql(
                """
                INSERT INTO route_rules (
                    id, position, methods, path, access, created_at, updated_at
                )
                SELECT gen_random_uuid(), n, '{GET}', '/n' || n, 'public', now(), now()
                  FROM generate_series(2, 1000) n
                """
            )
            let full = try await cluster.node.send(
                "POST",
                Self.path,
                root,
                json: Self.rule("/more")
            )
            #expect(full.status == 409 && full.code == "limit-reached")
            // Page by page, each rule once.
            let found = try await cluster.items(Self.path, root)
            #expect(Set(found.compactMap { $0.at("id")?.string }).count == 1000)
        }
    }
}
