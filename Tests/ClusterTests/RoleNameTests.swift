// A role's name opens doors too, where a gateway or a rule asks for it. So one that permits nothing
// is given, included and changed by who has it alone, and a name that a route rule asks for is
// moved to no other role (rows 169, 172); who holds all that a role permits gives it as ever.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RoleNameTests {
    /// Somebody who administers roles, and a role that permits nothing, which another has.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let boss: Person
        let desk: AdminDesk
        let friend: Person
        let mark: String
        /// The role that is a name alone.
        let name: String
        /// A role that permits what the boss holds.
        let clerk: String

        init(_ cluster: Cluster, _ permissions: [String]) async throws {
            self.cluster = cluster
            root = try await AdminDesk(cluster)
            boss = try await cluster.person()
            friend = try await cluster.person()
            let (holder, other) = try await (cluster.person(), cluster.person())
            mark = String(boss.id.suffix(12))
            try await cluster.grant("boss-\(mark)", permissions + ["users:read"], to: boss)
            try await cluster.grant("finance-\(mark)", [], to: holder)
            try await cluster.grant("clerk-\(mark)", ["users:read"], to: other)
            name = try await cluster.sql("SELECT id FROM roles WHERE name = 'finance-\(mark)'")
            clerk = try await cluster.sql("SELECT id FROM roles WHERE name = 'clerk-\(mark)'")
            desk = try await AdminDesk(cluster, boss)
        }

        /// A call on `/v1/admin`, of the boss's unless somebody else is named.
        func call(
            _ method: String,
            _ path: String,
            _ json: String? = nil,
            by other: AdminDesk? = nil
        ) async throws -> HTTPAnswer {
            try await cluster.node.send(
                method,
                "/v1/admin\(path)",
                (other ?? desk).tokens.bearer,
                json: json
            )
        }

        /// Has the friend given a role; further members in `rest`.
        func give(
            _ role: String,
            _ rest: String = "",
            by other: AdminDesk? = nil
        ) async throws -> HTTPAnswer {
            let json = "{\"role\":\"\(role)\"\(rest)}"
            return try await call("POST", "/users/\(friend.id)/roles", json, by: other)
        }

        /// Gives the boss the name himself; further members in `rest`.
        func giveBoss(_ rest: String = "") async throws {
            let json = "{\"role\":\"\(name)\"\(rest)}"
            let given = try await call("POST", "/users/\(boss.id)/roles", json, by: root)
            guard [200, 201].contains(given.status) else { throw ClusterError("\(given.body)") }
        }

        /// How many have the name, beside the one who had it.
        func holders() async throws -> String {
            try await cluster.sql(
                "SELECT count(*) - 1 FROM account_roles WHERE role_id = '\(name)'"
            )
        }
    }

    /// Expects that something was refused because the caller does not hold it.
    private func expectNotHeld(
        _ answer: HTTPAnswer,
        _ what: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            answer.status == 403 && answer.code == "permission-not-held",
            "\(what) \(answer.status) \(answer.body)",
            sourceLocation: sourceLocation
        )
    }

    @Test
    func `a role that permits nothing is given by who has it, or has everything (row 169)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared(), ["roles:assign"])
        expectNotHeld(try await scene.give(scene.name), "directly")
        expectNotHeld(try await scene.give(scene.name, ",\"resource\":\"project:7\""), "resource")
        let item = "\"account\":\"\(scene.friend.id)\",\"role\":\"\(scene.name)\""
        let many = try await scene.call(
            "POST",
            "/assignments/bulk",
            "{\"items\":[{\"action\":\"assign\",\(item)}]}"
        )
        let code = many.json.at("results")?.items.first?.at("code")?.string
        #expect(many.status == 200 && code == "permission-not-held", "\(many.body)")
        // Nor as a part of what he holds the rest of.
        try await scene.cluster.sql(
            "INSERT INTO role_includes VALUES ('\(scene.clerk)', '\(scene.name)')"
        )
        expectNotHeld(try await scene.give(scene.clerk), "included")
        try await scene.cluster.sql(
            "DELETE FROM role_includes WHERE role_id = '\(scene.clerk)'"
        )
        #expect(try await scene.holders() == "0")
        // What permits something is given by who holds that.
        #expect(try await scene.give(scene.clerk).status == 201)
        // Who has it for some time gives it for no longer.
        let end = Timestamp(seconds: (WallClock.system.now() + .seconds(3600)).seconds)
        try await scene.giveBoss(",\"expires_at\":\"\(end)\"")
        let late = try await scene.give(scene.name)
        #expect(late.status == 400 && late.code == "validation-failed", "\(late.body)")
        let lent = try await scene.give(scene.name, ",\"expires_at\":\"\(end)\"")
        #expect(lent.status == 201, "\(lent.body)")
        try await scene.giveBoss()
        #expect(try await scene.give(scene.name).status == 200)
        #expect(try await scene.holders() == "2")
        let there = ",\"resource\":\"project:7\""
        #expect(try await scene.give(scene.name, there, by: scene.root).status == 201)
    }

    @Test
    func `a delegate gives a name in his organisation as far as he has it there (rows 169, 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared(), [])
        let (own, other) = try await (
            TestOrganisation(scene.root), TestOrganisation(scene.root)
        )
        for org in [own, other] {
            for one in [scene.boss, scene.friend] { try await org.add(one, by: scene.root) }
            try await org.give(["roles:assign"], to: scene.boss, by: scene.root)
        }
        func give(_ org: TestOrganisation) async throws -> HTTPAnswer {
            try await scene.desk.send(
                "POST",
                "/\(scene.friend.id)/roles",
                [org.field],
                json: "{\"role\":\"\(scene.name)\",\"organisation\":\"\(org.id)\"}"
            )
        }
        expectNotHeld(try await give(own), "before")
        try await scene.giveBoss(",\"organisation\":\"\(own.id)\"")
        expectNotHeld(try await give(other), "elsewhere")
        let given = try await give(own)
        #expect(given.status == 201, "\(given.body)")
        #expect(try await scene.holders() == "2")
    }

    @Test
    func `a name is included and changed by who has it, or has everything (rows 169, 172)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared(), ["roles:write"])
        let (name, mark) = (scene.name, scene.mark)
        let including = "\"includes\":[\"\(name)\"]"
        func tryAll(_ when: String) async throws {
            for (method, path, json) in [
                ("PATCH", "/roles/\(scene.clerk)", "{\(including)}"),
                ("POST", "/roles", "{\"name\":\"way-\(mark)\",\(including)}"),
                (
                    "POST", "/roles",
                    "{\"name\":\"way-\(mark)\",\"permissions\":[\"users:read\"],\(including)}"
                ),
            ] as [(String, String, String)] {
                expectNotHeld(try await scene.call(method, path, json), "\(when) \(method) \(json)")
            }
        }
        try await tryAll("never")
        for (method, json) in [
            ("PATCH", "{\"permissions\":[\"users:read\"]}"), ("PATCH", "{\"default\":true}"),
            ("PATCH", "{\"includes\":[\"\(scene.clerk)\"]}"),
            ("PATCH", "{\"name\":\"gone-\(mark)\"}"), ("DELETE", nil),
        ] as [(String, String?)] {
            let answer = try await scene.call(method, "/roles/\(name)", json)
            expectNotHeld(answer, "\(method) \(json ?? "")")
        }
        // A role of his own he fills; nobody has it yet.
        let draft = try await scene.call("POST", "/roles", "{\"name\":\"draft-\(mark)\"}")
        let id = try #require(draft.text("id"), "\(draft.body)")
        let held = "{\"permissions\":[\"users:read\"]}"
        let filled = try await scene.call("PATCH", "/roles/\(id)", held)
        #expect(filled.status == 200, "\(filled.body)")
        // A role lasts longer than what is lent.
        let end = Timestamp(seconds: (WallClock.system.now() + .seconds(3600)).seconds)
        try await scene.giveBoss(",\"expires_at\":\"\(end)\"")
        try await tryAll("lent")
        try await scene.giveBoss()
        let included = try await scene.call("PATCH", "/roles/\(scene.clerk)", "{\(including)}")
        #expect(included.status == 200, "\(included.body)")
        let said = "{\"description\":\"of money\"}"
        let words = try await scene.call("PATCH", "/roles/\(name)", said)
        #expect(words.status == 200, "\(words.body)")
        let byRoot = try await scene.call("PATCH", "/roles/\(name)", held, by: scene.root)
        #expect(byRoot.status == 200, "\(byRoot.body)")
    }

    @Test
    func `a key that shows a name is made by who has it, or has everything (row 169)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared(), ["services:write"])
        let made = try await scene.call(
            "POST",
            "/service-accounts",
            "{\"name\":\"named-\(scene.mark)\"}",
            by: scene.root
        )
        let service = try #require(made.text("id"), "\(made.body)")
        let role = "{\"role\":\"\(scene.name)\"}"
        let given = try await scene.root.send("POST", "/\(service)/roles", json: role)
        #expect(given.status == 201, "\(given.body)")
        func make(_ members: String = "") async throws -> HTTPAnswer {
            let json = "{\"name\":\"k\"\(members)}"
            return try await scene.call("POST", "/service-accounts/\(service)/keys", json)
        }
        expectNotHeld(try await make(), "whole")
        // One that is narrowed shows no roles.
        let narrow = try await make(",\"permissions\":[\"services:write\"]")
        #expect(narrow.status == 201, "\(narrow.body)")
        try await scene.giveBoss()
        let whole = try await make()
        #expect(whole.status == 201, "\(whole.body)")
    }

    @Test
    func `a name that a route rule asks for is moved to no other role (row 172)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        try await Cluster.run(plan) { cluster in
            let root = try await AdminDesk(cluster)
            let (boss, chief) = try await (cluster.person(), cluster.person())
            try await cluster.grant("boss", ["roles:write", "users:read"], to: boss)
            try await cluster.grant("chief", ["roles:write"], to: chief)
            // The boss holds all that it permits, and not the role.
            try await cluster.grant("finance-admin", ["users:read"], to: chief)
            let role = try await cluster.sql("SELECT id FROM roles WHERE name = 'finance-admin'")
            let rule =
                "{\"methods\":[\"*\"],\"path\":\"/f\",\"access\":\"authenticated\","
                + "\"roles\":[\"finance-admin\"]}"
            let put = try await cluster.node.send(
                "PUT",
                RouteRuleAPITests.path,
                root.tokens.bearer + [("If-Match", "*")],
                json: "{\"rules\":[\(rule)]}"
            )
            #expect(put.status == 200, "\(put.body)")
            let (desk, own) = try await (AdminDesk(cluster, boss), AdminDesk(cluster, chief))
            func call(
                _ desk: AdminDesk,
                _ method: String,
                _ path: String,
                _ json: String? = nil
            ) async throws -> HTTPAnswer {
                let bearer = desk.tokens.bearer
                return try await cluster.node.send(
                    method,
                    "/v1/admin/roles\(path)",
                    bearer,
                    json: json
                )
            }
            let held = "\"permissions\":[\"users:read\"]"
            let made = try await call(desk, "POST", "", "{\"name\":\"mine\",\(held)}")
            let mine = try #require(made.text("id"), "\(made.body)")
            let take = "{\"name\":\"finance-admin\"}"
            let make = "{\"name\":\"finance-admin\",\(held)}"
            expectNotHeld(
                try await call(desk, "PATCH", "/\(role)", "{\"name\":\"away\"}"),
                "renamed away"
            )
            expectNotHeld(try await call(desk, "PATCH", "/\(mine)", take), "taken")
            expectNotHeld(try await call(desk, "POST", "", make), "made")
            // Its words he may change, and names that nothing asks for.
            let words = try await call(desk, "PATCH", "/\(role)", "{\"description\":\"of money\"}")
            #expect(words.status == 200, "\(words.body)")
            let free = try await call(desk, "PATCH", "/\(mine)", "{\"name\":\"mine-too\"}")
            #expect(free.status == 200, "\(free.body)")
            // Who has the role renames it; then the name is for who has everything.
            let away = try await call(own, "PATCH", "/\(role)", "{\"name\":\"away\"}")
            #expect(away.status == 200, "\(away.body)")
            expectNotHeld(try await call(desk, "PATCH", "/\(mine)", take), "after it was renamed")
            expectNotHeld(try await call(desk, "POST", "", make), "made after it was renamed")
            expectNotHeld(try await call(own, "PATCH", "/\(role)", take), "back")
            let back = try await call(root, "PATCH", "/\(role)", take)
            #expect(back.status == 200, "\(back.body)")
            // Nor by way of its removal.
            #expect(try await call(desk, "DELETE", "/\(role)").status == 204)
            expectNotHeld(try await call(desk, "POST", "", make), "made after it was removed")
            #expect(try await call(root, "POST", "", make).status == 201)
        }
    }
}
