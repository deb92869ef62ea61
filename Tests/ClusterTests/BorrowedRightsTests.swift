// Whoever holds something for some time gives it for no longer, by whatever way: a role, many at
// once, in an organisation, a key of a service, a role that permits it (row 169). What is too long
// is refused and not cut, so that the giver knows what he has given.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct BorrowedRightsTests {
    /// Somebody who has been lent all that it takes to give something on.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let desk: AdminDesk
        let boss: Person
        let clerk: Person
        /// What he holds, and until when.
        let lent: String
        let end: Timestamp
        /// A role that permits a part of it.
        let orders: String
        let permission: String

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            root = try await AdminDesk(cluster)
            boss = try await cluster.person()
            clerk = try await cluster.person()
            let mark = String(boss.id.suffix(12))
            permission = "p\(mark):write"
            end = Timestamp(seconds: (WallClock.system.now() + .seconds(3600)).seconds)
            let declared = try await cluster.node.send(
                "POST",
                "/v1/admin/permissions",
                root.tokens.bearer,
                json: "{\"name\":\"\(permission)\",\"description\":\"d\"}"
            )
            guard declared.status == 201 else { throw ClusterError("\(declared.body)") }
            let base = ["roles:assign", "roles:write", "services:write", "organisations:read"]
            try await cluster.grant("base-\(mark)", base, to: boss)
            lent = try await cluster.makeRole("lent-\(mark)", [permission], by: root.tokens)
            orders = try await cluster.makeRole("orders-\(mark)", [permission], by: root.tokens)
            let given = try await root.send(
                "POST",
                "/\(boss.id)/roles",
                json: "{\"role\":\"\(lent)\",\"expires_at\":\"\(end)\"}"
            )
            guard given.status == 201 else { throw ClusterError("\(given.body)") }
            desk = try await AdminDesk(cluster, boss)
        }

        /// A call of the borrower's on `/v1/admin`.
        func call(_ method: String, _ path: String, _ json: String) async throws -> HTTPAnswer {
            try await cluster.node.send(
                method,
                "/v1/admin\(path)",
                desk.tokens.bearer,
                json: json
            )
        }

        /// Gives the role until then; further members in `rest`.
        func give(_ until: Timestamp?, _ rest: String = "") async throws -> HTTPAnswer {
            let end = until.map { ",\"expires_at\":\"\($0)\"" } ?? ""
            let json = "{\"role\":\"\(orders)\"\(end)\(rest)}"
            return try await call("POST", "/users/\(clerk.id)/roles", json)
        }

        /// Lends it for ever.
        func lendForEver(_ rest: String = "") async throws {
            let json = "{\"role\":\"\(lent)\"\(rest)}"
            let given = try await root.send("POST", "/\(boss.id)/roles", json: json)
            #expect(given.status == 200 || given.status == 201, "\(given.body)")
        }
    }

    /// Expects that something was refused for its end.
    private func expectTooLong(_ answer: HTTPAnswer, _ what: String) {
        #expect(
            answer.status == 400 && answer.code == "validation-failed",
            "\(what) \(answer.body)"
        )
        let error = answer.json.at("errors")?.items.first
        #expect(error?.at("member")?.string == "expires_at", "\(what)")
        #expect(error?.at("code")?.string == "beyond-own", "\(what)")
    }

    @Test
    func `a role that is held for some time is given for no longer (row 169)`() async throws {
        let scene = try await Scene(try await Cluster.shared())
        let (cluster, end) = (scene.cluster, scene.end)
        for until in [nil, end + .microseconds(1), end + .days(400)] {
            expectTooLong(try await scene.give(until), "\(until?.description ?? "for ever")")
        }
        let many = try await scene.call(
            "POST",
            "/assignments/bulk",
            """
            {"items":[{"action":"assign","account":"\(scene.clerk.id)","role":"\(scene.orders)"}]}
            """
        )
        let code = many.json.at("results")?.items.first?.at("code")?.string
        #expect(many.status == 200 && code == "validation-failed", "\(many.body)")
        let none = try await cluster.sql(
            "SELECT count(*) FROM account_roles WHERE role_id = '\(scene.orders)'"
        )
        #expect(none == "0")
        for until in [end, end + .seconds(-60)] {
            let given = try await scene.give(until)
            #expect([200, 201].contains(given.status), "\(given.body)")
        }
        // Not by way of what was given before, either.
        expectTooLong(try await scene.give(nil), "given before")
        // Who holds it for ever gives it for ever.
        try await scene.lendForEver()
        #expect(try await scene.give(nil).status == 200)
    }

    @Test
    func `what is held for ever in one place is given for ever there alone (rows 169, 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let org = try await TestOrganisation(scene.root)
        for person in [scene.boss, scene.clerk] { try await org.add(person, by: scene.root) }
        let here = ",\"organisation\":\"\(org.id)\""
        expectTooLong(try await scene.give(nil, here), "before")
        try await scene.lendForEver(here)
        #expect(try await scene.give(nil, here).status == 201)
        expectTooLong(try await scene.give(nil), "everywhere")
        expectTooLong(try await scene.give(nil, ",\"resource\":\"project:7\""), "on a resource")
    }

    @Test
    func `a key of what is held for some time ends no later (row 169)`() async throws {
        let scene = try await Scene(try await Cluster.shared())
        let name = "service-\(scene.boss.id.suffix(12))"
        let made = try await scene.root.client.send(
            "POST",
            "/v1/admin/service-accounts",
            scene.root.tokens.bearer,
            json: "{\"name\":\"\(name)\"}"
        )
        let service = try #require(made.text("id"))
        let role = "{\"role\":\"\(scene.orders)\"}"
        #expect(try await scene.root.send("POST", "/\(service)/roles", json: role).status == 201)
        func make(_ members: String) async throws -> HTTPAnswer {
            try await scene.call(
                "POST",
                "/service-accounts/\(service)/keys",
                "{\"name\":\"k\"\(members)}"
            )
        }
        let (fit, late) = (
            ",\"expires_at\":\"\(scene.end)\"",
            ",\"expires_at\":\"\(scene.end + .seconds(1))\""
        )
        for narrowing in ["", ",\"permissions\":[\"\(scene.permission)\"]"] {
            expectTooLong(try await make(narrowing), "for ever\(narrowing)")
            expectTooLong(try await make(narrowing + late), "late\(narrowing)")
            let count = try await scene.cluster.sql(
                "SELECT count(*) FROM api_keys WHERE account_id = '\(service)'"
            )
            #expect(count == (narrowing.isEmpty ? "0" : "1"))
            let key = try await make(narrowing + fit)
            #expect(key.status == 201, "\(key.body)")
        }
        // What a key is narrowed to and its maker holds for ever lasts as long.
        #expect(try await make(",\"permissions\":[\"roles:assign\"]").status == 201)
        try await scene.lendForEver()
        #expect(try await make("").status == 201)
    }

    @Test
    func `a role is not made to permit what its maker holds for some time (row 169)`() async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let mark = scene.boss.id.suffix(12)
        let held = "\"permissions\":[\"\(scene.permission)\"]"
        let whole = try await scene.call("POST", "/roles", "{\"name\":\"new-\(mark)\",\(held)}")
        #expect(whole.status == 403 && whole.code == "permission-not-held", "\(whole.body)")
        let empty = try await scene.call("POST", "/roles", "{\"name\":\"new-\(mark)\"}")
        let id = try #require(empty.text("id"))
        for change in [held, "\"includes\":[\"\(scene.orders)\"]"] {
            let answer = try await scene.call("PATCH", "/roles/\(id)", "{\(change)}")
            #expect(answer.status == 403 && answer.code == "permission-not-held", "\(change)")
        }
        let everybody = try await scene.call(
            "PATCH",
            "/roles/\(scene.orders)",
            "{\"default\":true}"
        )
        #expect(everybody.status == 403 && everybody.code == "permission-not-held")
        // What a role permits already he may leave there, and take away.
        let words = try await scene.call(
            "PATCH",
            "/roles/\(scene.orders)",
            "{\"description\":\"of orders\"}"
        )
        #expect(words.status == 200, "\(words.body)")
        let less = try await scene.call("PATCH", "/roles/\(scene.orders)", "{\"permissions\":[]}")
        #expect(less.status == 200, "\(less.body)")
        try await scene.lendForEver()
        #expect(try await scene.call("PATCH", "/roles/\(id)", "{\(held)}").status == 200)
    }

    @Test
    func `who makes keys for some time makes none that lasts longer (row 169)`() async throws {
        let scene = try await Scene(try await Cluster.shared())
        let role = try await scene.cluster.sql(
            "SELECT id FROM roles WHERE name = 'base-\(scene.boss.id.suffix(12))'"
        )
        let json = "{\"role\":\"\(role)\",\"expires_at\":\"\(scene.end)\"}"
        #expect(
            try await scene.root.send("POST", "/\(scene.boss.id)/roles", json: json).status == 200
        )
        let made = try await scene.root.client.send(
            "POST",
            "/v1/admin/service-accounts",
            scene.root.tokens.bearer,
            json: "{\"name\":\"empty-\(scene.boss.id.suffix(12))\"}"
        )
        let keys = "/service-accounts/\(try #require(made.text("id")))/keys"
        // The service holds nothing yet; what it gets one day would be the key's.
        expectTooLong(try await scene.call("POST", keys, "{\"name\":\"k\"}"), "for ever")
        let fit = "{\"name\":\"k\",\"expires_at\":\"\(scene.end)\"}"
        let key = try await scene.call("POST", keys, fit)
        #expect(key.status == 201, "\(key.body)")
    }

    @Test
    func `what is woken with an organisation is held for good by whoever wakes it (row 169)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let cluster = scene.cluster
        try await cluster.grant(
            "org-\(scene.boss.id.suffix(12))",
            ["organisations:write"],
            to: scene.boss
        )
        let boss = try await cluster.signIn(scene.boss)
        let org = try await TestOrganisation(scene.root)
        try await org.add(scene.clerk, by: scene.root)
        try await org.give([scene.permission], to: scene.clerk, by: scene.root)
        func change(_ state: String, _ bearer: [(String, String)]) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "PATCH",
                "/v1/admin/organisations/\(org.id)",
                bearer + [("If-Match", "*")],
                json: "{\"state\":\"\(state)\"}"
            )
        }
        let slept = try await change("disabled", boss.bearer)
        #expect(slept.status == 200, "\(slept.body)")
        let refused = try await change("active", boss.bearer)
        #expect(refused.status == 403 && refused.code == "permission-not-held", "\(refused.body)")
        let state = try await cluster.sql("SELECT state FROM organisations WHERE id = '\(org.id)'")
        #expect(state == "disabled")
        let woken = try await change("active", scene.root.tokens.bearer)
        #expect(woken.status == 200, "\(woken.body)")
    }

    @Test
    func `an account that is enabled holds nothing longer than whoever enables it (row 169)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let (cluster, end) = (scene.cluster, scene.end)
        try await cluster.grant("w\(scene.boss.id.suffix(12))", ["users:write"], to: scene.boss)
        let boss = try await cluster.signIn(scene.boss)
        let made = try await scene.root.client.send(
            "POST",
            "/v1/admin/service-accounts",
            scene.root.tokens.bearer,
            json: "{\"name\":\"asleep-\(scene.boss.id.suffix(12))\"}"
        )
        let service = try #require(made.text("id"))
        for (path, id) in [
            ("/v1/admin/users", scene.clerk.id), ("/v1/admin/service-accounts", service),
        ] {
            func change(_ verb: String) async throws -> HTTPAnswer {
                try await cluster.node.send("POST", "\(path)/\(id)/\(verb)", boss.bearer)
            }
            let given = try await scene.root.send(
                "POST",
                "/\(id)/roles",
                json: "{\"role\":\"\(scene.orders)\"}"
            )
            #expect(given.status == 201, "\(given.body)")
            // Nobody is given a role while he is disabled.
            func hold(_ end: Timestamp?) async throws {
                try await cluster.sql(
                    """
                    UPDATE account_roles SET expires_at = \(end.map { "'\($0)'" } ?? "NULL")
                     WHERE account_id = '\(id)' AND role_id = '\(scene.orders)'
                    """
                )
            }
            for late in [nil, end + .seconds(1)] {
                try await hold(late)
                #expect(try await change("disable").status == 204)
                let refused = try await change("enable")
                #expect(refused.status == 403 && refused.code == "permission-not-held")
                let state = try await cluster.sql("SELECT state FROM accounts WHERE id = '\(id)'")
                #expect(state == "disabled")
            }
            try await hold(end)
            let woken = try await change("enable")
            #expect(woken.status == 204, "\(woken.body)")
        }
    }

    @Test
    func `who makes accounts for some time makes none whose password he knows (row 169)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let cluster = scene.cluster
        let role = "w\(scene.boss.id.suffix(12))"
        try await cluster.grant(role, ["users:write"], to: scene.boss)
        try await cluster.sql(
            """
            UPDATE account_roles SET expires_at = now() + interval '1 hour'
             WHERE role_id = (SELECT id FROM roles WHERE name = '\(role)')
            """
        )
        let boss = try await cluster.signIn(scene.boss)
        func make(_ more: String, _ bearer: [(String, String)]) async throws -> HTTPAnswer {
            let mark = Hex.encode(Entropy.system.bytes(6))
            return try await cluster.node.send(
                "POST",
                "/v1/admin/users",
                bearer,
                json: "{\"email\":\"m\(mark)@example.test\"\(more)}"
            )
        }
        let known = ",\"password\":\"violet harbour kettle 51\""
        let refused = try await make(known, boss.bearer)
        #expect(refused.status == 403 && refused.code == "permission-not-held", "\(refused.body)")
        let unknown = try await make("", boss.bearer)
        #expect(unknown.status == 201, "\(unknown.body)")
        try await cluster.sql(
            """
            UPDATE account_roles SET expires_at = NULL
             WHERE role_id = (SELECT id FROM roles WHERE name = '\(role)')
            """
        )
        let forGood = try await cluster.signIn(scene.boss)
        let made = try await make(known, forGood.bearer)
        #expect(made.status == 201, "\(made.body)")
    }
}
