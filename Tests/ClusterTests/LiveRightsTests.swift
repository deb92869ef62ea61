// Rights that are live: what is given, taken or changed on one node is so on another one's next
// request, with the tokens that people hold already (W11); and the rules by which it is given.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct LiveRightsTests {
    /// Somebody who administers, and somebody else.
    private struct Scene {
        let cluster: Cluster
        let admin: Tokens
        let person: Person
        let tokens: Tokens

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            admin = try await cluster.signIn(cluster.administrator)
            person = try await cluster.person()
            tokens = try await cluster.signIn(person)
        }

        /// A name that no other test has.
        func name(_ stem: String) -> String { "\(stem)-\(person.id.suffix(12))" }

        /// A permission that is declared.
        func permission(_ stem: String) async throws -> String {
            let name = "\(name(stem)):write"
            let answer = try await call(
                "POST",
                "/permissions",
                "{\"name\":\"\(name)\",\"description\":\"d\"}"
            )
            #expect(answer.status == 201, "\(answer.body)")
            return name
        }

        /// A role that was made.
        func role(
            _ stem: String,
            _ permissions: [String],
            includes: [String] = []
        ) async throws -> String {
            try await cluster.makeRole(name(stem), permissions, includes: includes, by: admin)
        }

        /// An administrator's call, on the first node.
        func call(
            _ method: String,
            _ path: String,
            _ json: String? = nil,
            as tokens: Tokens? = nil
        ) async throws -> HTTPAnswer {
            try await cluster.node.send(
                method,
                "/v1/admin\(path)",
                (tokens ?? admin).bearer,
                json: json
            )
        }

        /// Gives a role to the person; further members in `rest`.
        func assign(_ role: String, _ rest: String = "") async throws -> HTTPAnswer {
            try await call("POST", "/users/\(person.id)/roles", "{\"role\":\"\(role)\"\(rest)}")
        }

        /// What every node says to the person's token.
        func verify(_ query: String) async throws -> [Int] {
            var statuses: [Int] = []
            for node in cluster.nodes {
                let answer = try await node.client.send("GET", "/verify?\(query)", tokens.bearer)
                statuses.append(answer.status)
            }
            return statuses
        }
    }

    @Test
    func `a role is given, changed and taken, and each holds at once everywhere (W11, row 173)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let good = scene.cluster.nodes.map { _ in 200 }
        let bad = scene.cluster.nodes.map { _ in 403 }
        let (orders, bills) = (
            try await scene.permission("orders"), try await scene.permission("bills")
        )
        let clerk = try await scene.role("clerk", [orders])
        let chief = try await scene.role("chief", [], includes: [clerk])
        #expect(try await scene.verify("permission=\(orders)") == bad)

        // Given (S1-17, S4-14).
        let given = try await scene.assign(chief)
        #expect(given.status == 201, "\(given.body)")
        #expect(try await scene.verify("permission=\(orders)") == good)
        #expect(try await scene.verify("role=\(scene.name("clerk"))") == good)
        #expect(try await scene.assign(chief).status == 200)
        // What the included role permits has changed.
        let changed = try await scene.call(
            "PATCH",
            "/roles/\(clerk)",
            "{\"permissions\":[\"\(bills)\"]}"
        )
        #expect(changed.status == 200, "\(changed.body)")
        #expect(try await scene.verify("permission=\(orders)") == bad)
        #expect(try await scene.verify("permission=\(bills)") == good)
        // Includes it no more.
        let parted = try await scene.call("PATCH", "/roles/\(chief)", "{\"includes\":[]}")
        #expect(parted.status == 200)
        #expect(try await scene.verify("permission=\(bills)") == bad)
        #expect(try await scene.verify("role=\(scene.name("chief"))") == good)
        // Taken.
        let path = "/users/\(scene.person.id)/roles/\(chief)"
        #expect(try await scene.call("DELETE", path).status == 204)
        #expect(try await scene.verify("role=\(scene.name("chief"))") == bad)
        #expect(try await scene.call("DELETE", path).status == 404)
        #expect(try await scene.verify("") == good)
        // Removed while it is held; the name is free again (row 172).
        #expect(try await scene.assign(clerk).status == 201)
        #expect(try await scene.verify("permission=\(bills)") == good)
        #expect(try await scene.call("DELETE", "/roles/\(clerk)").status == 204)
        #expect(try await scene.verify("permission=\(bills)") == bad)
        #expect(try await scene.call("GET", "/roles/\(clerk)").status == 404)
        let again = try await scene.role("clerk", [bills])
        #expect(again != clerk)
        #expect(try await scene.verify("permission=\(bills)") == bad)
    }

    @Test
    func `roles and permissions are made, seen, changed, listed and taken away (S0-27, S1-4 to 6)`()
        async throws
    {
        // Cites S1-4, S1-5, S1-6 and S1-7: roles, permissions, and both of their assignments.
        let scene = try await Scene(try await Cluster.shared())
        let orders = try await scene.permission("orders")
        let clerk = try await scene.role("clerk", [orders])
        // Of many who want one name one gets it (S4-T15).
        let wanted = "{\"name\":\"\(scene.name("one"))\"}"
        let made = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { try await scene.call("POST", "/roles", wanted).status }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(made.sorted() == [201, 409, 409, 409, 409, 409, 409, 409])
        // Seen (S4-15).
        let got = try await scene.call("GET", "/roles/\(clerk)")
        #expect(got.text("name") == scene.name("clerk"))
        #expect(got.body.contains("\"permissions\":[\"\(orders)\"]"))
        #expect(try await scene.call("GET", "/roles?limit=2").status == 200)
        #expect(try await scene.call("GET", "/roles?cursor=!").status == 400)
        #expect(try await scene.call("GET", "/permissions?cursor=AA").status == 400)
        #expect(try await scene.assign(clerk).status == 201)
        let holders = try await scene.call("GET", "/roles/\(clerk)/holders")
        #expect(holders.body.contains(scene.person.id))
        let held = try await scene.call("GET", "/users/\(scene.person.id)/roles")
        #expect(held.body.contains(clerk))
        // A scope that only a hand at the table writes covers nothing, and is not shown as all.
        let strange = "org:\(scene.person.id.uppercased())"
        let change = "UPDATE account_roles SET scope = '\(strange)' WHERE role_id = '\(clerk)'"
        try await scene.cluster.sql(change)
        for path in ["/users/\(scene.person.id)/roles", "/roles/\(clerk)/holders"] {
            let shown = try await scene.call("GET", path)
            #expect(shown.body.contains("\"resource\":\"\(strange)\""), "\(shown.body)")
            #expect(!shown.body.contains("\"organisation\":\""), "\(shown.body)")
        }
        // A permission that a role holds stays, and what is not declared is not given.
        let path = "/permissions/\(orders)"
        #expect(try await scene.call("DELETE", path).code == "in-use")
        #expect(try await scene.call("PATCH", path, "{\"description\":\"e\"}").status == 200)
        #expect(try await scene.call("DELETE", "/permissions/users:read").code == "built-in")
        for (name, permission) in [("x", orders), ("Clerk", orders), (scene.name("n"), "no:no")] {
            let json = "{\"name\":\"\(name)\",\"permissions\":[\"\(permission)\"]}"
            #expect(try await scene.call("POST", "/roles", json).code == "validation-failed")
        }
        #expect(try await scene.call("DELETE", "/roles/\(clerk)").status == 204)
        #expect(try await scene.call("DELETE", path).status == 204)
        #expect(try await scene.call("DELETE", path).status == 404)
    }

    @Test
    func `the administrator of the command line signs in and may everything (S4-17, S4-T14)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.administrator)
        let mine = try await cluster.node.send("GET", "/v1/me/permissions", tokens.bearer)
        #expect(mine.body.contains("\"permissions\":[\"*:*\""), "\(mine.body)")
    }

    @Test func `A built-in permission is described by nobody anew (row 172)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let described = "SELECT description FROM permissions WHERE name = 'users:read'"
        let before = try await scene.cluster.sql(described)
        let harmless = "{\"description\":\"Harmless.\"}"
        let refused = try await scene.call("PATCH", "/permissions/users:read", harmless)
        #expect(refused.status == 409 && refused.code == "built-in", "\(refused.body)")
        #expect(try await scene.cluster.sql(described) == before)
        let unknown = try await scene.call("PATCH", "/permissions/nobody:knows", harmless)
        #expect(unknown.status == 404)
    }

    @Test func `a role on a resource counts there alone, and an end ends it`() async throws {
        let scene = try await Scene(try await Cluster.shared())
        let good = scene.cluster.nodes.map { _ in 200 }
        let bad = scene.cluster.nodes.map { _ in 403 }
        let orders = try await scene.permission("orders")
        let clerk = try await scene.role("clerk", [orders])
        #expect(try await scene.assign(clerk, ",\"resource\":\"project:7/*\"").status == 201)
        #expect(try await scene.verify("permission=\(orders)") == bad)
        #expect(try await scene.verify("permission=\(orders)&resource=project:7/a") == good)
        #expect(try await scene.verify("permission=\(orders)&resource=project:7") == bad)
        #expect(try await scene.verify("permission=\(orders)&resource=project:70/a") == bad)
        #expect(try await scene.verify("resource=project:7/a&resource=project:7/b") == bad)
        // Tokens carry what is held everywhere, and nothing of this.
        let fresh = try await scene.cluster.signIn(scene.person)
        let answer = try await scene.cluster.node.send("GET", "/verify", fresh.bearer)
        #expect(answer["X-Auth-Roles"] == "member")

        let end = WallClock.system.now() + .seconds(15)
        #expect(try await scene.assign(clerk, ",\"expires_at\":\"\(end)\"").status == 201)
        #expect(try await scene.verify("permission=\(orders)") == good)
        let dying = try await scene.cluster.signIn(scene.person)
        try await eventually("the assignment is over") {
            let node = scene.cluster.nodes[1].client
            let query = "/verify?permission=\(orders)"
            return try await node.send("GET", query, dying.bearer).status == 403
        }
        #expect(WallClock.system.now() >= end)
        #expect(try await scene.verify("permission=\(orders)") == bad)
        #expect(try await scene.verify("") == good)
        let past = ",\"expires_at\":\"2020-01-01T00:00:00Z\""
        #expect(try await scene.assign(clerk, past).status == 400)
    }

    @Test
    func `nobody gives what he does not hold, to himself, or to who holds more (rows 169, 170)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let orders = try await scene.permission("orders")
        let bills = try await scene.permission("bills")
        let (clerk, other) = (
            try await scene.role("clerk", [orders]), try await scene.role("other", [bills])
        )
        let desk = try await scene.role(
            "desk",
            ["roles:assign", "roles:write", "roles:read", orders],
            includes: [clerk]
        )
        #expect(try await scene.assign(desk).status == 201)
        let friend = try await scene.cluster.person()
        func give(_ role: String, to account: String) async throws -> HTTPAnswer {
            try await scene.call(
                "POST",
                "/users/\(account)/roles",
                "{\"role\":\"\(role)\"}",
                as: scene.tokens
            )
        }
        #expect(try await give(clerk, to: friend.id).status == 201)
        for role in [other, "00000000-0000-7000-8000-000000000001"] {
            #expect(try await give(role, to: friend.id).code == "permission-not-held")
        }
        #expect(try await give(clerk, to: scene.person.id).code == "self-change-refused")
        let chief = try await AdminDesk(scene.cluster)
        #expect(try await give(clerk, to: chief.id).code == "permission-not-held")
        // Not by way of a role either: a new one, a changed one, an included one (S3-T2).
        for (method, path, json) in [
            (
                "POST", "/roles",
                "{\"name\":\"\(scene.name("new"))\",\"permissions\":[\"\(bills)\"]}"
            ),
            ("POST", "/roles", "{\"name\":\"\(scene.name("new"))\",\"permissions\":[\"*:*\"]}"),
            ("POST", "/roles", "{\"name\":\"\(scene.name("new"))\",\"includes\":[\"\(other)\"]}"),
            ("PATCH", "/roles/\(clerk)", "{\"permissions\":[\"\(bills)\"]}"),
            ("PATCH", "/roles/\(clerk)", "{\"includes\":[\"\(other)\"]}"),
            ("PATCH", "/roles/\(other)", "{\"permissions\":[]}"),
            ("DELETE", "/roles/\(other)", nil),
        ] as [(String, String, String?)] {
            let answer = try await scene.call(method, path, json, as: scene.tokens)
            #expect(answer.code == "permission-not-held", "\(method) \(json ?? "") \(answer.body)")
        }
        // The built-in roles stay what they are, by id (row 172).
        for (json, code) in [
            ("{\"name\":\"boss\"}", "built-in"), ("{\"permissions\":[]}", "built-in"),
        ] {
            let path = "/roles/00000000-0000-7000-8000-000000000001"
            #expect(try await scene.call("PATCH", path, json).code == code)
            #expect(try await scene.call("DELETE", path).code == "built-in")
        }
        let circle = "{\"includes\":[\"\(desk)\"]}"
        #expect(try await scene.call("PATCH", "/roles/\(clerk)", circle).code == "role-cycle")
    }

    @Test
    func `of two administrators who take the seat from each other one stays (W12, row 171)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        let cluster = try await Cluster.start(plan)
        let first = try await AdminDesk(cluster)
        let seat = "00000000-0000-7000-8000-000000000001"
        let person = try await cluster.person()
        for _ in 0..<5 {
            let give = "{\"role\":\"\(seat)\"}"
            let made = try await first.send("POST", "/\(person.id)/roles", json: give)
            #expect(made.status == 201 || made.status == 200, "\(made.body)")
            let second = try await AdminDesk(cluster, person, at: cluster.nodes[1].client)
            async let one = first.send("DELETE", "/\(person.id)/roles/\(seat)")
            async let two = second.send("DELETE", "/\(first.id)/roles/\(seat)")
            let answers = try await [one, two]
            // The later one holds nothing any more when its turn comes, or would be the last.
            #expect(answers.filter { $0.status == 204 }.count == 1, "\(answers.map(\.body))")
            let left = try await cluster.sql(
                "SELECT count(*) FROM account_roles WHERE role_id = '\(seat)'"
            )
            #expect(left.contains("1"))
            guard answers[1].status == 204 else { continue }
            #expect(try await second.send("POST", "/\(first.id)/roles", json: give).status == 201)
        }
    }
}
