// What a delegate of an organisation is shown of its members: nothing that they are or hold in
// another one, by no filter and in no log (row 175).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct DelegateViewTests {
    /// A member of two organisations, and the delegate of one of them.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let desk: AdminDesk
        let person: Person
        let own: TestOrganisation
        let other: TestOrganisation

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            root = try await AdminDesk(cluster)
            own = try await TestOrganisation(root)
            other = try await TestOrganisation(root)
            person = try await cluster.person()
            let boss = try await cluster.person()
            for member in [person, boss] { try await own.add(member, by: root) }
            try await own.give(["users:read", "audit:read"], to: boss, by: root)
            desk = try await AdminDesk(cluster, boss)
        }

        /// The id of a role that a test organisation has given.
        func role(_ name: String) async throws -> String {
            try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
        }

        /// Whom the delegate is shown by a filter.
        func holders(of role: String) async throws -> [String] {
            let answer = try await desk.send("GET", "?role=\(role)", [own.field])
            #expect(answer.status == 200, "\(answer.body)")
            return answer.json.at("items")?.items.compactMap { $0.at("id")?.string } ?? []
        }
    }

    @Test
    func `a filter by role takes what is held in the organisation and no more (row 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let (person, root) = (scene.person, scene.root)
        try await scene.other.add(person, by: root)
        let here = try await scene.role(
            await scene.own.give(["orders:write"], to: person, by: root)
        )
        let there = try await scene.role(
            await scene.other.give(["orders:write"], to: person, by: root)
        )
        #expect(try await scene.holders(of: here) == [person.id])
        #expect(try await scene.holders(of: there).isEmpty)
        // Everywhere, on a resource, or over: not what he holds in the organisation either.
        for rest in ["", ",\"resource\":\"project:7\""] {
            let given = try await root.send(
                "POST",
                "/\(person.id)/roles",
                json: "{\"role\":\"\(there)\"\(rest)}"
            )
            #expect(given.status == 201)
        }
        #expect(try await scene.holders(of: there).isEmpty)
        try await scene.cluster.sql(
            "UPDATE account_roles SET expires_at = now() WHERE role_id = '\(here)'"
        )
        #expect(try await scene.holders(of: here).isEmpty)
        let all = try await root.send("GET", "?role=\(there)")
        let found = all.json.at("items")?.items.compactMap { $0.at("id")?.string }
        #expect(found == [person.id])
        let over = try await root.send("GET", "?role=\(here)")
        #expect(over.json.at("items")?.items.isEmpty == true)
    }

    @Test
    func `the log tells a delegate nothing of other organisations (row 175, S4-16)`() async throws {
        let scene = try await Scene(try await Cluster.shared())
        let (person, root) = (scene.person, scene.root)
        // Another's doings: a membership, a role there, one on a resource; all of it taken again.
        try await scene.other.add(person, by: root)
        let there = try await scene.role(
            await scene.other.give(["orders:write"], to: person, by: root)
        )
        let resource = "project:of-\(scene.other.name)"
        let given = try await root.send(
            "POST",
            "/\(person.id)/roles",
            json: "{\"role\":\"\(there)\",\"resource\":\"\(resource)\"}"
        )
        #expect(given.status == 201)
        for place in ["organisation=\(scene.other.id)", "resource=\(resource)"] {
            let taken = try await root.send("DELETE", "/\(person.id)/roles/\(there)?\(place)")
            #expect(taken.status == 204, "\(taken.body)")
        }
        #expect(try await scene.other.send(root, "DELETE", "/members/\(person.id)").status == 204)
        // His own: the same.
        let here = try await scene.role(
            await scene.own.give(["orders:write"], to: person, by: root)
        )
        func log(
            _ desk: AdminDesk,
            _ query: String,
            _ fields: [(String, String)]
        ) async throws
            -> HTTPAnswer
        {
            let answer = try await scene.cluster.node.send(
                "GET",
                "/v1/admin/audit?limit=200\(query)",
                desk.tokens.bearer + fields
            )
            #expect(answer.status == 200, "\(answer.body)")
            return answer
        }
        let queries = ["", "&account=\(person.id)", "&action=role.assigned", "&actor=\(root.id)"]
        for query in queries {
            let shown = try await log(scene.desk, query, [scene.own.field])
            for text in [scene.other.id, resource, there] {
                #expect(!shown.body.contains(text), "\(query)")
            }
            #expect(shown.body.contains(here), "\(query)")
        }
        let joined = try await log(scene.desk, "&account=\(person.id)", [scene.own.field])
        let actions = joined.json.at("items")?.items.compactMap { $0.at("action")?.string }
        #expect(
            actions == ["role.assigned", "organisation.member-added", "account.registered"]
        )
        let whole = try await log(root, "&account=\(person.id)", [])
        for text in [scene.other.id, resource, there] { #expect(whole.body.contains(text)) }
    }

    @Test
    func `a delegate ends no session that he is not shown, unless he ends them all (row 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let person = scene.person
        try await scene.other.add(person, by: scene.root)
        let boss = try await scene.cluster.person()
        try await scene.own.add(boss, by: scene.root)
        try await scene.own.give(["users:write"], to: boss, by: scene.root)
        let desk = try await AdminDesk(scene.cluster, boss)
        func open(_ organisation: String) async throws -> Tokens {
            let answer = try await scene.cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(person.email)","password":"\(person.password)",
                     "organisation_id":"\(organisation)"}
                    """
            )
            return try Tokens(answer)
        }
        let hidden = try await open(scene.other.id)
        let shown = [try await open(scene.own.id), try await scene.cluster.signIn(person)]
        func end(_ session: String) async throws -> HTTPAnswer {
            try await desk.send("DELETE", "/\(person.id)/sessions/\(session)", [scene.own.field])
        }
        // As of what is not there, to the letter.
        let missing = try await end(person.id)
        let refused = try await end(hidden.session)
        #expect(missing.status == 404 && refused.status == 404)
        #expect(refused.code == missing.code)
        try await scene.cluster.expectEverywhere(200, hidden.bearer)
        for tokens in shown {
            #expect(try await end(tokens.session).status == 204)
            try await scene.cluster.expectEverywhere(401, tokens.bearer)
        }
        // Who may everywhere ends it by its id; a delegate ends all of them, seen or not.
        let other = try await open(scene.other.id)
        let path = "/\(person.id)/sessions"
        #expect(try await scene.root.send("DELETE", "\(path)/\(hidden.session)").status == 204)
        try await scene.cluster.expectEverywhere(401, hidden.bearer)
        try await scene.cluster.expectEverywhere(200, other.bearer)
        #expect(try await desk.send("DELETE", path, [scene.own.field]).status == 204)
        try await scene.cluster.expectEverywhere(401, other.bearer)
    }

    @Test
    func `a delegate is shown no session that is for another organisation (row 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let person = scene.person
        try await scene.other.add(person, by: scene.root)
        var sessions: [String] = []
        for organisation in [scene.own.id, scene.other.id] {
            let answer = try await scene.cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(person.email)","password":"\(person.password)",
                     "organisation_id":"\(organisation)"}
                    """
            )
            sessions.append(try Tokens(answer).session)
        }
        sessions.append(try await scene.cluster.signIn(person).session)
        func list(_ desk: AdminDesk, _ fields: [(String, String)]) async throws -> HTTPAnswer {
            let answer = try await desk.send("GET", "/\(person.id)/sessions", fields)
            #expect(answer.status == 200, "\(answer.body)")
            return answer
        }
        let shown = try await list(scene.desk, [scene.own.field])
        let seen = shown.json.at("items")?.items.compactMap { $0.at("id")?.string }
        #expect(seen == [sessions[2], sessions[0]])
        #expect(!shown.body.contains(scene.other.id) && shown.body.contains(scene.own.id))
        let all = try await list(scene.root, [])
        let known = all.json.at("items")?.items.compactMap { $0.at("id")?.string }
        #expect(known == Array(sessions.reversed()))
        #expect(all.body.contains(scene.other.id))
        // His own list leaves out nothing.
        let tokens = try await scene.cluster.signIn(person)
        let own = try await scene.cluster.node.send("GET", "/v1/me/sessions", tokens.bearer)
        #expect(own.body.contains(scene.other.id))
    }

    @Test
    func `a delegate learns of no sign-in for another organisation, nor of its end (row 175)`()
        async throws
    {
        let scene = try await Scene(try await Cluster.shared())
        let person = scene.person
        try await scene.other.add(person, by: scene.root)
        func open(_ organisation: String, _ agent: String) async throws -> Tokens {
            let answer = try await scene.cluster.node.send(
                "POST",
                "/v1/auth/login",
                [("User-Agent", agent)],
                json: """
                    {"login":"\(person.email)","password":"\(person.password)",
                     "organisation_id":"\(organisation)"}
                    """
            )
            return try Tokens(answer)
        }
        let here = try await open(scene.own.id, "here")
        let there = try await open(scene.other.id, "there")
        for tokens in [here, there] {
            let out = try await scene.cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
            #expect(out.status == 204)
        }
        func agents(_ desk: AdminDesk, _ fields: [(String, String)]) async throws -> [String] {
            let answer = try await desk.send("GET", "/\(person.id)/login-history", fields)
            #expect(answer.status == 200, "\(answer.body)")
            return answer.json.at("items")?.items.compactMap { $0.at("user_agent")?.string } ?? []
        }
        #expect(try await agents(scene.desk, [scene.own.field]) == ["here"])
        #expect(try await agents(scene.root, []) == ["there", "here"])
        func log(_ desk: AdminDesk, _ fields: [(String, String)]) async throws -> [String] {
            let answer = try await scene.cluster.node.send(
                "GET",
                "/v1/admin/audit?limit=200&account=\(person.id)",
                desk.tokens.bearer + fields
            )
            #expect(answer.status == 200, "\(answer.body)")
            return answer.json.at("items")?.items.compactMap { $0.at("session_id")?.string } ?? []
        }
        #expect(try await log(scene.desk, [scene.own.field]) == [here.session, here.session])
        #expect(try await Set(log(scene.root, [])) == [here.session, there.session])
    }
}
