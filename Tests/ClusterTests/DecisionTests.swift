// Decisions for applications: many at once in order, about oneself and others, by AuthZEN, and why.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct DecisionTests {
    private func post(
        _ cluster: Cluster,
        _ path: String,
        _ tokens: Tokens,
        _ json: String
    ) async throws -> HTTPAnswer {
        try await cluster.node.send("POST", path, tokens.bearer, json: json)
    }

    /// Whether each result is allowed.
    private func allowed(_ answer: HTTPAnswer) -> [Bool] {
        answer.body.split(separator: "\"allowed\":").dropFirst().map { $0.hasPrefix("true") }
    }

    /// Whether each decision is yes.
    private func decisions(_ answer: HTTPAnswer) -> [Bool] {
        answer.body.split(separator: "\"decision\":").dropFirst().map { $0.hasPrefix("true") }
    }

    @Test func `many checks are answered in their order, others' with access:check (S1-18)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let other = try await cluster.person()
        try await cluster.grant("reader-\(person.id.suffix(12))", ["orders:read"], to: person)
        let tokens = try await cluster.signIn(person)
        let mine = try await post(
            cluster,
            "/v1/authorize",
            tokens,
            """
            {"checks":[{"permission":"orders:read"},{"permission":"orders:write"},
             {"permission":"orders:read","resource":"project:7"},
             {"permission":"orders:read","subject":"\(person.id)"}]}
            """
        )
        #expect(mine.status == 200, "\(mine.body)")
        #expect(allowed(mine) == [true, false, true, true])
        let about = """
            {"checks":[{"permission":"orders:read","subject":"\(person.id)"},
             {"permission":"orders:read","subject":"\(other.id)"},
             {"permission":"orders:read","subject":"00000000-0000-7000-8000-0000000000ff"}],
             "at_least":1}
            """
        #expect(try await post(cluster, "/v1/authorize", tokens, about).code == "permission-denied")
        let admin = try await cluster.signIn(cluster.administrator)
        let told = try await post(cluster, "/v1/authorize", admin, about)
        #expect(allowed(told) == [true, false, false], "\(told.body)")
        // What is told is as new as what was acknowledged, also of who holds no token (W11).
        let path = "/v1/admin/users/\(person.id)/disable"
        #expect(try await post(cluster, path, admin, "{}").status == 204)
        for node in cluster.nodes {
            let later = try await node.client.send(
                "POST",
                "/v1/authorize",
                admin.bearer,
                json: about
            )
            #expect(allowed(later) == [false, false, false], "\(later.body)")
        }
        let many = (0..<101).map { _ in "{\"permission\":\"a:b\"}" }.joined(separator: ",")
        for wrong in [
            "{\"checks\":[]}", "{\"checks\":[\(many)]}", "{\"checks\":[{\"permission\":\"*:*\"}]}",
            "{\"checks\":[{\"permission\":\"a:b\",\"resource\":\"no\"}]}",
        ] {
            #expect(try await post(cluster, "/v1/authorize", admin, wrong).status == 400)
        }
    }

    @Test func `decisions have the form of AuthZEN 1.0`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        try await cluster.grant("writer-\(person.id.suffix(12))", ["orders:write"], to: person)
        let admin = try await cluster.signIn(cluster.administrator)
        let subject = "{\"type\":\"user\",\"id\":\"\(person.id)\",\"properties\":{\"a\":1}}"
        func body(_ action: String) -> String {
            """
            {"subject":\(subject),"action":{"name":"\(action)"},
             "resource":{"type":"orders","id":"7"},"context":{"time":"now"}}
            """
        }
        let path = "/access/v1/evaluation"
        #expect(decisions(try await post(cluster, path, admin, body("write"))) == [true])
        #expect(decisions(try await post(cluster, path, admin, body("orders:write"))) == [true])
        #expect(decisions(try await post(cluster, path, admin, body("read"))) == [false])
        #expect(try await post(cluster, path, admin, "{\"subject\":\(subject)}").status == 400)
        let several = """
            {"subject":\(subject),"resource":{"type":"orders","id":"7"},"evaluations":[
             {"action":{"name":"write"}},{"action":{"name":"read"}},{"action":{"name":"write"},
             "subject":{"type":"robot","id":"1"}},{"action":{"name":"write"}}]
            """
        let all = try await post(cluster, "\(path)s", admin, several + "}")
        #expect(decisions(all) == [true, false, false, true], "\(all.body)")
        for (semantic, wanted) in [
            ("deny_on_first_deny", [true, false]), ("permit_on_first_permit", [true]),
        ] {
            let options = ",\"options\":{\"evaluations_semantic\":\"\(semantic)\"}}"
            #expect(
                decisions(try await post(cluster, "\(path)s", admin, several + options)) == wanted
            )
        }
        #expect(decisions(try await post(cluster, "\(path)s", admin, body("write"))) == [true])
        // A caller's own name for the request comes back (AuthZEN 1.0, request identification).
        for (name, isKept) in [("bfe9eb29-ab87-4ca3-be83-a1d5d8305716", true), ("a b", false)] {
            for end in ["", "s"] {
                let named = try await cluster.node.send(
                    "POST",
                    path + end,
                    admin.bearer + [("X-Request-ID", name)],
                    json: body("write")
                )
                #expect(named.status == 200 && (named["X-Request-Id"] == name) == isKept)
            }
        }
        let known = try await cluster.node.send("GET", "/.well-known/authzen-configuration")
        #expect(known.status == 200)
        #expect(
            known.text("access_evaluation_endpoint")
                == "https://auth.example.test/access/v1/evaluation"
        )
    }

    @Test func `one sees what one may, and administrators see why`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let role = "seller-\(person.id.suffix(12))"
        try await cluster.grant(role, ["orders:sell"], to: person)
        let tokens = try await cluster.signIn(person)
        let mine = try await cluster.node.send("GET", "/v1/me/permissions", tokens.bearer)
        #expect(mine.status == 200, "\(mine.body)")
        #expect(mine.body.contains("\"permissions\":[\"orders:sell\"]"))
        #expect(mine.body.contains("\"roles\":[\"member\",\"\(role)\"]"))
        let admin = try await cluster.signIn(cluster.administrator)
        let path = "/v1/admin/users/\(person.id)/permissions?permission=orders"
        let why = try await cluster.node.send("GET", "\(path):sell", admin.bearer)
        #expect(why.body.contains("\"allowed\":true"), "\(why.body)")
        #expect(why.body.contains("\"role_name\":\"\(role)\""))
        let not = try await cluster.node.send("GET", "\(path):buy", admin.bearer)
        #expect(not.body.contains("\"allowed\":false"))
        let nobody = "/v1/admin/users/00000000-0000-7000-8000-0000000000ff/permissions"
        let none = try await cluster.node.send("GET", "\(nobody)?permission=a:b", admin.bearer)
        #expect(none.status == 404)
    }

    /// Declares a permission that nobody else uses.
    private func permission(_ root: AdminDesk, _ mark: String) async throws -> String {
        let name = "p\(mark):sell"
        let declared = try await root.client.send(
            "POST",
            "/v1/admin/permissions",
            root.tokens.bearer,
            json: "{\"name\":\"\(name)\",\"description\":\"d\"}"
        )
        guard declared.status == 201 else { throw ClusterError("\(declared.body)") }
        return name
    }

    /// Gives a role; `rest` says where and until when.
    private func give(
        _ root: AdminDesk,
        _ role: String,
        to person: Person,
        _ rest: String = ""
    ) async throws {
        let json = "{\"role\":\"\(role)\"\(rest)}"
        let given = try await root.send("POST", "/\(person.id)/roles", json: json)
        #expect(given.status == 201, "\(given.body)")
    }

    @Test
    func `why tells the role that includes it, where it is held and until when (S1-18)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let mark = String(person.id.suffix(12))
        let wanted = try await permission(root, mark)
        let (innerName, outerName) = ("inner-\(mark)", "outer-\(mark)")
        let inner = try await cluster.makeRole(innerName, [wanted], by: root.tokens)
        let outer = try await cluster.makeRole(outerName, includes: [inner], by: root.tokens)
        let organisation = try await TestOrganisation(root)
        try await organisation.add(person, by: root)
        let end = Timestamp(seconds: (WallClock.system.now() + .seconds(3600)).seconds)
        let there = "\"organisation\":\"\(organisation.id)\",\"expires_at\":\"\(end)\""
        try await give(root, outer, to: person, ",\(there)")
        try await give(root, outer, to: person, ",\"resource\":\"project:\(mark)\"")
        let inOrganisation = [
            "role": outer, "role_name": outerName, "scope": "org:\(organisation.id)",
            "expires_at": "\(end)", "through": inner, "through_name": innerName,
        ]
        let onResource = [
            "role": outer, "role_name": outerName, "scope": "project:\(mark)", "through": inner,
            "through_name": innerName,
        ]
        let acting = "&organisation=\(organisation.id)"
        let about = "&resource=project:\(mark)"
        for (query, reasons) in [
            ("", []), (acting, [inOrganisation]), (about, [onResource]),
            ("\(acting)\(about)", [inOrganisation, onResource]), ("\(about)x", []),
        ] as [(String, [[String: String]])] {
            try await expectReasons(root, person, "\(wanted)\(query)", reasons)
        }
        // Of its own accord, everywhere and for ever.
        try await give(root, inner, to: person)
        let own = [
            "role": inner, "role_name": innerName, "scope": "", "through": inner,
            "through_name": innerName,
        ]
        try await expectReasons(root, person, wanted, [own])
        try await expectReasons(root, person, "\(wanted)\(acting)", [inOrganisation, own])
    }

    /// Expects every node to tell these reasons, in whatever order; a member that is null is left
    /// out of them.
    private func expectReasons(
        _ root: AdminDesk,
        _ person: Person,
        _ query: String,
        _ reasons: [[String: String]]
    ) async throws {
        let target = "/v1/admin/users/\(person.id)/permissions?permission=\(query)"
        let all: Set = ["role", "role_name", "scope", "expires_at", "through", "through_name"]
        for node in root.cluster.nodes {
            let why = try await node.client.send("GET", target, root.tokens.bearer)
            #expect(why.status == 200, "\(why.body)")
            #expect(why.body.contains("\"allowed\":\(!reasons.isEmpty)"), "\(query) \(why.body)")
            let items = why.json.at("reasons")?.items ?? []
            let told = items.map { item in
                var members: [String: String] = [:]
                for name in all { members[name] = item.at(name)?.string }
                return members
            }
            let areNamed = items.allSatisfy { $0.names == all }
            #expect(areNamed, "\(why.body)")
            #expect(told.count == reasons.count, "\(query) \(why.body)")
            #expect(Set(told) == Set(reasons), "\(query)")
        }
    }

    @Test
    func `a hundred mixed questions are answered in their order, by every node (S1-18)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let (even, odd) = (try await cluster.person(), try await cluster.person())
        let indices = 0..<100
        // What is asked of the one is held by the other as well, or by nobody.
        func name(_ index: Int) -> String { "orders:n\(index)" }
        let ofEven = indices.filter { $0 % 3 == 0 }
        let ofOdd = indices.filter { $0 % 5 != 0 }
        try await cluster.grant("even-\(even.id.suffix(12))", ofEven.map(name), to: even)
        try await cluster.grant("odd-\(odd.id.suffix(12))", ofOdd.map(name), to: odd)
        let names = indices.map(name)
        let checks = indices.map { index in
            let subject = index % 2 == 0 ? even.id : odd.id
            // Where it is asked about does not matter to who may everywhere.
            let place = index % 7 == 0 ? ",\"resource\":\"project:\(index)\"" : ""
            return "{\"permission\":\"\(names[index])\",\"subject\":\"\(subject)\"\(place)}"
        }
        let wanted: [Bool] = indices.map { $0 % 2 == 0 ? $0 % 3 == 0 : $0 % 5 != 0 }
        let admin = try await cluster.signIn(cluster.administrator)
        for node in cluster.nodes {
            // Twice: what accounts hold is read for the first, and remembered for the second.
            for _ in 0..<2 {
                let answer = try await node.client.send(
                    "POST",
                    "/v1/authorize",
                    admin.bearer,
                    json: "{\"checks\":[\(checks.joined(separator: ","))]}"
                )
                #expect(answer.status == 200, "\(answer.body)")
                #expect(allowed(answer) == wanted)
                let items = answer.json.at("results")?.items ?? []
                let named = items.map { $0.at("permission")?.string ?? "" }
                #expect(named == names)
            }
        }
    }

    @Test
    func `one sees what one may on a resource, besides everywhere (S1-18)`() async throws {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let mark = String(person.id.suffix(12))
        let wanted = try await permission(root, mark)
        let name = "seller-\(mark)"
        let id = try await cluster.makeRole(name, [wanted], by: root.tokens)
        try await give(root, id, to: person, ",\"resource\":\"project:\(mark)/*\"")
        for (query, isHeld) in [
            ("", false), ("?resource=project:\(mark)/a", true),
            ("?resource=project:\(mark)/a/b", true), ("?resource=project:\(mark)", false),
            ("?resource=project:\(mark)x/a", false), ("?resource=file:\(mark)/a", false),
        ] {
            for node in cluster.nodes {
                let mine = try await node.client.send(
                    "GET",
                    "/v1/me/permissions\(query)",
                    tokens.bearer
                )
                #expect(mine.status == 200, "\(mine.body)")
                let permissions = mine.json.at("permissions")?.items.compactMap(\.string)
                #expect(permissions == (isHeld ? [wanted] : []), "\(query) \(mine.body)")
                let roles = mine.json.at("roles")?.items.compactMap(\.string)
                #expect(roles == (isHeld ? ["member", name] : ["member"]), "\(query)")
            }
        }
        let wrong = try await cluster.node.send(
            "GET",
            "/v1/me/permissions?resource=no",
            tokens.bearer
        )
        #expect(wrong.status == 400 && wrong.code == "validation-failed")
    }
}
