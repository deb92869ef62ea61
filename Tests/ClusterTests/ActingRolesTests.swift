// Whoever acts for somebody may no more than he may himself, whatever becomes of the roles of
// either in the meantime: on the next request, on every node, by `/verify` and by the API; and goes
// on where he still holds all that the other holds (row 177, W1, W11).
import Primitives
import Testing

@testable import Web

@Suite(.serialized) struct ActingRolesTests {
    /// Somebody who acts for somebody, who holds no more than he does.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let agent: Person
        let desk: AdminDesk
        let person: Person
        let own: Tokens
        let mark: String
        /// By what the agent holds the permission.
        let agents: String
        /// By what the person does.
        let persons: String

        /// Both may read statistics.
        init(_ cluster: Cluster, _ root: AdminDesk) async throws {
            self.cluster = cluster
            self.root = root
            agent = try await cluster.person()
            person = try await cluster.person()
            mark = String(agent.id.suffix(12))
            try await cluster.grant("acts-\(mark)", ["users:impersonate"], to: agent)
            try await cluster.grant("agents-\(mark)", ["statistics:read"], to: agent)
            try await cluster.grant("persons-\(mark)", ["statistics:read"], to: person)
            // These are given without a word to anybody: tokens of before do not carry them.
            own = try await cluster.signIn(person)
            agents = try await cluster.sql("SELECT id FROM roles WHERE name = 'agents-\(mark)'")
            persons = try await cluster.sql("SELECT id FROM roles WHERE name = 'persons-\(mark)'")
            desk = try await AdminDesk(cluster, agent)
        }

        /// Begins to act, at the desk of the agent or of who may everything.
        func begin(_ desk: AdminDesk? = nil) async throws -> [(String, String)] {
            let opened = try await (desk ?? self.desk).send("POST", "/\(person.id)/impersonate")
            guard opened.status == 201, let token = opened.text("access_token") else {
                throw ClusterError("not opened: \(opened.status) \(opened.body)")
            }
            return [("Authorization", "Bearer \(token)")]
        }

        /// A change of roles, made at the first node.
        func change(_ method: String, _ rest: String, _ json: String? = nil) async throws {
            let answer = try await cluster.node.send(
                method,
                "/v1/admin/roles\(rest)",
                root.tokens.bearer,
                json: json
            )
            guard (200..<300).contains(answer.status) else {
                throw ClusterError("\(method) \(rest): \(answer.status) \(answer.body)")
            }
        }

        /// What `/verify` and the API say on each node, each answer once.
        func answers(
            _ fields: [(String, String)],
            _ paths: [String] = ["/verify", "/verify?permission=statistics:read", "/v1/me"]
        ) async throws -> [Int] {
            var found: Set<Int> = []
            for node in cluster.nodes {
                for path in paths {
                    let answer = try await node.client.send("GET", path, fields)
                    found.insert(answer.status)
                    if answer.status == 401 { #expect(answer.code == "token-revoked", "\(path)") }
                }
            }
            return found.sorted()
        }
    }

    /// Two nodes where one may act as others, and who administers there.
    private static func start() async throws -> (Cluster, AdminDesk) {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        let cluster = try await Cluster.start(plan)
        return (cluster, try await AdminDesk(cluster))
    }

    /// By what somebody who acts comes to hold less than whom he acts for.
    enum Change: CaseIterable, Sendable {
        case agentsRoleEmptied, agentsRoleRemoved, personsRoleFilled, personsRoleIncludes
        case personsRoleHoldsAll
    }

    @Test
    func `who acts for somebody may no more than himself, whatever roles become (row 177, W11)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        for change in Change.allCases {
            let scene = try await Scene(cluster, root)
            let (agents, persons) = ("/\(scene.agents)", "/\(scene.persons)")
            let bearer = try await scene.begin()
            #expect(try await scene.answers(bearer) == [200], "\(change)")
            switch change {
            case .agentsRoleEmptied:
                try await scene.change("PATCH", agents, "{\"permissions\":[]}")
            case .agentsRoleRemoved: try await scene.change("DELETE", agents)
            case .personsRoleFilled:
                let more = "{\"permissions\":[\"statistics:read\",\"audit:read\"]}"
                try await scene.change("PATCH", persons, more)
            case .personsRoleIncludes:
                let name = "more-\(scene.mark)"
                let more = "{\"name\":\"\(name)\",\"permissions\":[\"audit:read\"]}"
                try await scene.change("POST", "", more)
                let id = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
                try await scene.change("PATCH", persons, "{\"includes\":[\"\(id)\"]}")
            case .personsRoleHoldsAll:
                try await scene.change("PATCH", persons, "{\"permissions\":[\"*:*\"]}")
            }
            #expect(try await scene.answers(bearer) == [401], "\(change)")
            // The person's own session has nothing to do with it.
            let own = try await scene.answers(scene.own.bearer)
            #expect(own == [200], "\(change): \(own)")
        }
    }

    @Test
    func `who acts for somebody goes on while he holds all that the other holds (row 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let bearer = try await scene.begin()
        let byRoot = try await scene.begin(scene.root)
        #expect(try await scene.answers(bearer) == [200])
        let both = "{\"permissions\":[\"statistics:read\",\"audit:read\"]}"
        for (role, json) in [
            (scene.agents, both), (scene.persons, both),
            (scene.agents, "{\"permissions\":[\"statistics:*\",\"audit:*\"]}"),
        ] {
            try await scene.change("PATCH", "/\(role)", json)
            #expect(try await scene.answers(bearer) == [200], "\(json)")
            #expect(try await scene.answers(byRoot) == [200], "\(json)")
        }
        // The other holds less: what he may not, nobody may for him, and the rest goes on.
        let less = "{\"permissions\":[\"statistics:read\"]}"
        try await scene.change("PATCH", "/\(scene.persons)", less)
        let need = ["/verify?permission=audit:read"]
        for fields in [bearer, byRoot] {
            #expect(try await scene.answers(fields, need) == [403])
            #expect(try await scene.answers(fields) == [200])
        }
        // Who holds everything holds whatever the other gets.
        try await scene.change("PATCH", "/\(scene.persons)", "{\"permissions\":[\"keys:read\"]}")
        #expect(try await scene.answers(byRoot, ["/verify?permission=keys:read"]) == [200])
        #expect(try await scene.answers(bearer, ["/verify", "/v1/me"]) == [401])
    }

    @Test
    func `nor has who acts for somebody a role by its name that he does not hold (rows 169, 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let bearer = try await scene.begin()
        let byRoot = try await scene.begin(scene.root)
        let need = ["/verify?role=persons-\(scene.mark)"]
        #expect(try await scene.answers(bearer, need) == [200])
        // Without permissions it is a right by its name alone.
        try await scene.change("PATCH", "/\(scene.persons)", "{\"permissions\":[]}")
        #expect(try await scene.answers(bearer, need + ["/verify", "/v1/me"]) == [401])
        #expect(try await scene.answers(byRoot, need + ["/verify", "/v1/me"]) == [200])
        let path = "/\(scene.person.id)/impersonate"
        let refused = try await scene.desk.send("POST", path)
        #expect(refused.status == 403 && refused.code == "permission-not-held", "\(refused.body)")
        #expect(try await scene.root.send("POST", path).status == 201)
        // Who holds the name may.
        let own = "{\"role\":\"\(scene.persons)\"}"
        let given = try await scene.root.send("POST", "/\(scene.agent.id)/roles", json: own)
        #expect(given.status == 201, "\(given.body)")
        #expect(try await scene.answers(try await scene.begin(), need) == [200])
    }

    @Test
    func `nor where a token has no room for the roles of whom he acts for (row 177, W11)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        try await cluster.sql(
            """
            WITH made AS (
                INSERT INTO roles (id, name, description, built_in, created_at)
                SELECT gen_random_uuid(), 'many-\(scene.mark)-' || n, '', false, now()
                  FROM generate_series(1, 40) n
                RETURNING id
            ), filled AS (
                INSERT INTO role_permissions (role_id, permission)
                SELECT id, 'statistics:read' FROM made
            )
            INSERT INTO account_roles (account_id, role_id, granted_at)
            SELECT '\(scene.person.id)', id, now() FROM made
            """
        )
        let bearer = try await scene.begin()
        #expect(try await scene.answers(bearer) == [200])
        let more = "{\"permissions\":[\"statistics:read\",\"audit:read\"]}"
        try await scene.change("PATCH", "/\(scene.persons)", more)
        #expect(try await scene.answers(bearer) == [401])
    }

    @Test
    func `in an organisation who acts may no more than he may himself there (rows 175, 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let org = try await TestOrganisation(scene.root)
        for one in [scene.agent, scene.person] { try await org.add(one, by: scene.root) }
        let theirs = try await org.give(["keys:read"], to: scene.person, by: scene.root)
        try await org.give(["keys:read"], to: scene.agent, by: scene.root)
        let bearer = try await scene.begin()
        let there = bearer + [org.field]
        let need = ["/verify", "/verify?permission=keys:read"]
        #expect(try await scene.answers(there, need) == [200])
        let role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(theirs)'")
        let more = "{\"permissions\":[\"keys:read\",\"audit:read\"]}"
        try await scene.change("PATCH", "/\(role)", more)
        #expect(try await scene.answers(there, need + ["/verify?permission=audit:read"]) == [401])
        // Elsewhere neither of them has what he lacks.
        #expect(try await scene.answers(bearer) == [200])
    }

    /// What decisions tell a token of one permission, at each node and in either way of asking.
    private static func decisions(
        _ scene: Scene,
        _ fields: [(String, String)],
        _ permission: String,
        in org: TestOrganisation,
        on project: String
    ) async throws -> Set<Bool> {
        let check = "{\"permission\":\"\(permission)\""
        let there = "\(check),\"organisation\":\"\(org.id)\"}"
        let onIt = "\(check),\"resource\":\"project:\(project)\"}"
        let evaluation = """
            {"subject":{"type":"user","id":"\(scene.person.id)"},\
            "action":{"name":"\(permission)"},"resource":{"type":"project","id":"\(project)"}}
            """
        let yes = JSONValue.boolean(true)
        var found: Set<Bool> = []
        for node in scene.cluster.nodes {
            let checks = try await node.client.send(
                "POST",
                "/v1/authorize",
                fields,
                json: "{\"checks\":[\(there),\(onIt)]}"
            )
            let results = checks.json.at("results")?.items ?? []
            #expect(results.count == 2, "\(checks.status) \(checks.body)")
            for result in results { found.insert(result.at("allowed") == yes) }
            let one = try await node.client.send(
                "POST",
                "/access/v1/evaluation",
                fields,
                json: evaluation
            )
            #expect(one.status == 200, "\(one.body)")
            found.insert(one.json.at("decision") == yes)
        }
        return found
    }

    @Test
    func `nor does a decision say that he may, there or on a resource (rows 175, 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let org = try await TestOrganisation(scene.root)
        for one in [scene.agent, scene.person] { try await org.add(one, by: scene.root) }
        let there = try await org.give(["statistics:read"], to: scene.person, by: scene.root)
        let role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(there)'")
        let project = scene.mark
        let given = try await scene.root.send(
            "POST",
            "/\(scene.person.id)/roles",
            json: "{\"role\":\"\(role)\",\"resource\":\"project:\(project)\"}"
        )
        #expect(given.status == 201, "\(given.body)")
        let bearer = try await scene.begin()
        let byRoot = try await scene.begin(scene.root)
        func told(
            _ fields: [(String, String)],
            _ permission: String
        ) async throws -> Set<Bool> {
            try await Self.decisions(scene, fields, permission, in: org, on: project)
        }
        #expect(try await told(bearer, "statistics:read") == [true])
        let more = "{\"permissions\":[\"statistics:read\",\"audit:read\"]}"
        try await scene.change("PATCH", "/\(role)", more)
        #expect(try await told(bearer, "audit:read") == [false])
        // What both may, and what the account itself or who may everything is told, stays.
        #expect(try await told(bearer, "statistics:read") == [true])
        #expect(try await told(scene.own.bearer, "audit:read") == [true])
        #expect(try await told(byRoot, "audit:read") == [true])
    }
}
