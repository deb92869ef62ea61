// Organisations, their members and what is held in them, through HTTP on all nodes.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OrganisationTests {
    private static let path = "/v1/admin/organisations"

    /// What `/verify` says on each node of a request that is about an organisation.
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
    func `an organisation is made, shown, listed, changed and removed (W9)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let shown = try await org.send(desk, "GET")
        #expect(shown.status == 200)
        #expect(shown.text("name") == org.name && shown.text("state") == "active")
        let names: Set = [
            "id", "name", "display_name", "state", "version", "created_at", "updated_at",
        ]
        #expect(shown.json.names == names)
        let json = "{\"name\":\"\(org.name)\",\"display_name\":\"Again\"}"
        let twice = try await cluster.node.send("POST", Self.path, desk.tokens.bearer, json: json)
        #expect(twice.status == 409 && twice.code == "name-taken")
        var found: [String] = []
        var cursor = ""
        repeat {
            let page = try await cluster.node.send(
                "GET",
                "\(Self.path)?limit=2\(cursor)",
                desk.tokens.bearer
            )
            #expect(page.status == 200)
            found += page.json.at("items")?.items.compactMap { $0.at("id")?.string } ?? []
            cursor = page.text("next_cursor").map { "&cursor=\($0)" } ?? ""
        } while !cursor.isEmpty
        #expect(found.contains(org.id) && Set(found).count == found.count)
        let renamed = try await org.send(desk, "PATCH", json: "{\"display_name\":\"Ännders\"}")
        #expect(renamed.status == 200 && renamed.text("display_name") == "Ännders")
        #expect(try await org.send(desk, "DELETE").status == 204)
        for (method, json) in [("GET", nil), ("PATCH", "{}"), ("DELETE", nil)] {
            #expect(try await org.send(desk, method, json: json).status == 404, "\(method)")
        }
        #expect(try await org.send(desk, "GET", "/members").status == 404)
        let recorded = try await cluster.sql(
            """
            SELECT string_agg(action || ' ' || (actor_id = '\(desk.id)') || ' '
                       || (SELECT count(*) FROM outbox o WHERE o.id = e.id), ', ' ORDER BY id)
              FROM audit_events e WHERE detail ->> 'organisation_id' = '\(org.id)'
            """
        )
        #expect(
            recorded == "organisation.created true 1, organisation.changed true 1, "
                + "organisation.removed true 1"
        )
    }

    @Test(arguments: [
        ("{}", "name"), ("{\"name\":\"x\",\"display_name\":\"X\"}", "name"),
        ("{\"name\":\"Acme\",\"display_name\":\"X\"}", "name"),
        ("{\"name\":\"acme\",\"display_name\":\"\"}", "display_name"),
        ("{\"name\":\"acme\",\"display_name\":\"a\\u0007b\"}", "display_name"),
        ("{\"name\":\"acme\",\"display_name\":\"X\",\"state\":\"active\"}", "state"),
        ("{\"name\":7,\"display_name\":\"X\"}", "name"),
    ])
    func `an organisation with bad members is not made (row 252)`(
        _ json: String,
        _ member: String
    ) async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let answer = try await cluster.node.send("POST", Self.path, desk.tokens.bearer, json: json)
        #expect(answer.status == 400 && answer.code == "validation-failed", "\(answer.body)")
        let named = answer.json.at("errors")?.items.compactMap { $0.at("member")?.string } ?? []
        #expect(named.contains(member), "\(answer.body)")
        #expect(
            try await cluster.sql("SELECT count(*) FROM organisations WHERE name = 'acme'") == "0"
        )
    }

    @Test
    func `roles of an organisation count there and nowhere else, on every node (W11, row 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let (org, other) = try await (TestOrganisation(desk), TestOrganisation(desk))
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        // Not a member: refused, also where the node has looked before.
        #expect(try await verdicts(cluster, tokens.bearer + [org.field]) == [403, 403, 403])
        try await org.add(person, by: desk)
        try await other.add(person, by: desk)
        let role = try await org.give(["orders:write"], to: person, by: desk)
        for node in cluster.nodes {
            let here = try await node.client.send("GET", "/verify", tokens.bearer + [org.field])
            #expect(here.status == 200)
            #expect(here["X-Auth-Org"] == org.id)
            #expect(here["X-Auth-Roles"] == "\(role),member")
            let there = try await node.client.send("GET", "/verify", tokens.bearer + [other.field])
            #expect(there["X-Auth-Org"] == other.id && there["X-Auth-Roles"] == "member")
            let bare = try await node.client.send("GET", "/verify", tokens.bearer)
            #expect(bare["X-Auth-Org"] == "" && bare["X-Auth-Roles"] == "member")
        }
        let wanted = "?permission=orders:write"
        #expect(
            try await verdicts(cluster, tokens.bearer + [org.field], wanted) == [200, 200, 200]
        )
        #expect(
            try await verdicts(cluster, tokens.bearer + [other.field], wanted) == [403, 403, 403]
        )
        #expect(try await verdicts(cluster, tokens.bearer, wanted) == [403, 403, 403])
        // One organisation, by its id, that is there.
        for fields in [
            [org.field, org.field], [org.field, other.field], [("X-Org", org.name)],
            [("X-Org", "")],
            [("X-Org", "00000000-0000-0000-0000-000000000000")], [("X-Org", org.id + ",")],
        ] {
            let found = try await verdicts(cluster, tokens.bearer + fields)
            #expect(found == [403, 403, 403], "\(fields)")
        }
        let mine = try await cluster.node.send("GET", "/v1/me/organisations", tokens.bearer)
        let items = mine.json.at("items")?.items ?? []
        #expect(Set(items.compactMap { $0.at("id")?.string }) == [org.id, other.id])
        let here = items.first { $0.at("id")?.string == org.id }
        #expect(here?.at("roles")?.items.compactMap(\.string) == [role])
        #expect(here?.at("name")?.string == org.name)
    }

    @Test
    func
        `a member who is removed on one node is refused on the next request of any (W11, row 173)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        for round in 0..<5 {
            try await org.add(person, by: desk)
            let role = try await org.give(["orders:write"], to: person, by: desk)
            let asked = tokens.bearer + [org.field]
            let wanted = "?permission=orders:write"
            #expect(try await verdicts(cluster, asked, wanted) == [200, 200, 200], "\(round)")
            let members = try await org.send(desk, "GET", "/members")
            let roles = members.json.at("items")?.items.first?.at("roles")?.items
            #expect(roles?.compactMap(\.string) == [role])
            let again = "{\"account\":\"\(person.id)\"}"
            #expect(try await org.send(desk, "POST", "/members", json: again).status == 200)
            #expect(try await org.send(desk, "DELETE", "/members/\(person.id)").status == 204)
            #expect(try await verdicts(cluster, asked) == [403, 403, 403], "\(round)")
            #expect(try await verdicts(cluster, tokens.bearer) == [200, 200, 200])
            let missing = try await org.send(desk, "DELETE", "/members/\(person.id)")
            #expect(missing.status == 404)
            let left = try await cluster.sql(
                "SELECT count(*) FROM account_roles WHERE scope = 'org:\(org.id)'"
            )
            #expect(left == "0")
        }
        // Who comes back has what he is given anew, and not what he had.
        try await org.add(person, by: desk)
        let back = try await cluster.node.send("GET", "/verify", tokens.bearer + [org.field])
        #expect(back["X-Auth-Roles"] == "member")
    }

    @Test
    func `a disabled organisation opens nothing, an enabled one what it did; so all members (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        var members: [Tokens] = []
        for _ in 0..<3 {
            let person = try await cluster.person()
            try await org.add(person, by: desk)
            try await org.give(["orders:write"], to: person, by: desk)
            members.append(try await cluster.signIn(person))
        }
        func expectAll(_ status: Int, _ what: String) async throws {
            for tokens in members {
                let found = try await verdicts(
                    cluster,
                    tokens.bearer + [org.field],
                    "?permission=orders:write"
                )
                #expect(found == [status, status, status], "\(what)")
                #expect(try await verdicts(cluster, tokens.bearer) == [200, 200, 200])
            }
        }
        try await expectAll(200, "new")
        for state in ["disabled", "disabled", "active"] {
            let changed = try await org.send(desk, "PATCH", json: "{\"state\":\"\(state)\"}")
            #expect(changed.status == 200 && changed.text("state") == state)
            try await expectAll(state == "active" ? 200 : 403, state)
        }
        #expect(try await org.send(desk, "DELETE").status == 204)
        try await expectAll(403, "removed")
        let mine = try await cluster.node.send("GET", "/v1/me/organisations", members[0].bearer)
        #expect(mine.json.at("items")?.items.isEmpty == true)
        let owner = try await cluster.node.send("GET", "/v1/me", members[0].bearer)
        let held = try await desk.send("GET", "/\(try #require(owner.text("id")))/roles")
        #expect(held.status == 200 && !held.body.contains(org.id))
    }

    @Test
    func `a delegate sees and changes his own organisation alone (rows 169, 170, 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let (org, other) = try await (TestOrganisation(root), TestOrganisation(root))
        let (boss, clerk, rich, stranger) = try await (
            cluster.person(), cluster.person(), cluster.person(), cluster.person()
        )
        for person in [boss, clerk, rich] { try await org.add(person, by: root) }
        let rights = ["organisations:read", "organisations:write"]
        try await org.give(rights, to: boss, by: root)
        try await org.give(["orders:write"], to: rich, by: root)
        let desk = try await AdminDesk(cluster, boss)
        // Without naming the organisation he may nothing, nor by naming another.
        #expect(try await org.send(desk, "GET").status == 403)
        #expect(try await org.send(desk, "GET", "", [other.field]).status == 403)
        #expect(try await org.send(desk, "GET", "", [org.field]).status == 200)
        #expect(try await other.send(desk, "GET", "", [org.field]).status == 404)
        #expect(try await other.send(desk, "GET", "/members", [org.field]).status == 404)
        let list = try await cluster.node.send("GET", Self.path, desk.tokens.bearer + [org.field])
        #expect(list.json.at("items")?.items.compactMap { $0.at("id")?.string } == [org.id])
        let members = try await org.send(desk, "GET", "/members", [org.field])
        #expect(members.json.at("items")?.items.count == 3)
        #expect(!members.body.contains("@"))
        // Changing the organisation itself takes the permission everywhere.
        let renamed = try await org.send(
            desk,
            "PATCH",
            "",
            [org.field],
            json: "{\"display_name\":\"Mine\"}"
        )
        #expect(renamed.status == 403 && renamed.code == "permission-denied")
        #expect(try await org.send(desk, "DELETE", "", [org.field]).status == 403)
        // Members: not himself, not who holds more, not somebody he may not see.
        func drop(_ id: String) async throws -> HTTPAnswer {
            try await org.send(desk, "DELETE", "/members/\(id)", [org.field])
        }
        #expect(try await drop(boss.id).code == "self-change-refused")
        #expect(try await drop(rich.id).code == "permission-not-held")
        #expect(try await drop(stranger.id).status == 404)
        #expect(try await drop(clerk.id).status == 204)
        func add(_ id: String) async throws -> HTTPAnswer {
            try await org.send(
                desk,
                "POST",
                "/members",
                [org.field],
                json: "{\"account\":\"\(id)\"}"
            )
        }
        let pulled = try await add(stranger.id)
        #expect(pulled.status == 404 && pulled.code == "not-found")
        try await cluster.grant("reader-\(org.name)", ["users:read"], to: boss)
        try await cluster.sql(
            "UPDATE accounts SET rights_version = rights_version + 1 WHERE id = '\(boss.id)'"
        )
        // Whom he may read he may not change yet, and so not make a member whom he could change.
        let seen = try await add(stranger.id)
        #expect(seen.status == 403 && seen.code == "permission-not-held", "\(seen.body)")
        #expect(try await add(rich.id).code == "permission-not-held")
        try await cluster.grant("writer-\(org.name)", ["users:write"], to: boss)
        try await cluster.sql(
            "UPDATE accounts SET rights_version = rights_version + 1 WHERE id = '\(boss.id)'"
        )
        let added = try await add(stranger.id)
        #expect(added.status == 201, "\(added.body)")
        #expect(added.text("account") == stranger.id)
        #expect(try await add(boss.id).code == "self-change-refused")
        let nobody = RequestID(at: WallClock.system.now(), entropy: .system).description
        #expect(try await add(nobody).status == 404)
        let bad = try await org.send(desk, "POST", "/members", [org.field], json: "{}")
        #expect(bad.status == 400)
    }

    @Test
    func `whoever disables an organisation holds all that is held there (row 169)`() async throws {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let org = try await TestOrganisation(root)
        let (clerk, rich) = try await (cluster.person(), cluster.person())
        try await cluster.grant("keeper-\(org.name)", ["organisations:write"], to: clerk)
        let desk = try await AdminDesk(cluster, clerk)
        try await org.add(rich, by: root)
        try await org.give(["orders:write"], to: rich, by: root)
        let tokens = try await cluster.signIn(rich)
        for (method, json) in [
            ("PATCH", "{\"state\":\"disabled\"}"), ("PATCH", "{\"state\":\"active\"}"),
            ("DELETE", nil),
        ] {
            let answer = try await org.send(desk, method, json: json)
            #expect(answer.status == 403 && answer.code == "permission-not-held", "\(method)")
        }
        #expect(try await org.send(desk, "PATCH", json: "{\"display_name\":\"X\"}").status == 200)
        #expect(try await verdicts(cluster, tokens.bearer + [org.field]) == [200, 200, 200])
        #expect(try await org.send(root, "DELETE").status == 204)
    }

    @Test
    func `a member who comes while the organisation goes is in no organisation (row 171)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        for _ in 0..<4 {
            let org = try await TestOrganisation(desk)
            async let added = org.send(
                desk,
                "POST",
                "/members",
                json: "{\"account\":\"\(person.id)\"}"
            )
            async let removed = org.send(desk, "DELETE")
            let answers = try await (added, removed)
            #expect([201, 404].contains(answers.0.status), "\(answers.0.body)")
            #expect(answers.1.status == 204)
            #expect(try await verdicts(cluster, tokens.bearer + [org.field]) == [403, 403, 403])
            let left = try await cluster.sql(
                """
                SELECT count(*)
                  FROM organisation_members m
                  JOIN organisations o ON o.id = m.organisation_id
                 WHERE o.id = '\(org.id)' AND o.removed_at IS NULL
                """
            )
            #expect(left == "0")
        }
    }
}
