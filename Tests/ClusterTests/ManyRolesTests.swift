// An account with more roles than its token carries: the node resolves them, and all checks hold.
import Testing

@testable import Tokens
@testable import Web

@Suite(.leavesNoSecrets) struct ManyRolesTests {
    @Test
    func `forty roles are all there, in the header and in checks (S1-18, S4-16, W10)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let mark = "many\(person.id.suffix(12))"
        try await cluster.sql(
            """
            WITH made AS (
                INSERT INTO roles (id, name, description, built_in, created_at)
                SELECT gen_random_uuid(), '\(mark).r' || n, '', false, now()
                  FROM generate_series(10, 49) n
                RETURNING id, name
            ), held AS (
                INSERT INTO account_roles SELECT '\(person.id)', id, now() FROM made
            )
            INSERT INTO role_permissions (role_id, permission)
            SELECT id, '\(mark):' || substr(name, \(mark.utf8.count + 2)) FROM made
            """
        )
        let tokens = try await cluster.signIn(person)
        let claims = try await TokenForge(cluster).read(tokens.access)
        #expect(claims.roles == nil)
        #expect(tokens.access.utf8.count < 4096)
        let wanted = Set(["member"] + (10..<50).map { "\(mark).r\($0)" })
        for node in cluster.nodes {
            // Many at once: those that find nobody reading read, the others wait for them.
            let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for _ in 0..<20 {
                    group.addTask { try await node.client.send("GET", "/verify", tokens.bearer) }
                }
                var found: [HTTPAnswer] = []
                for try await answer in group { found.append(answer) }
                return found
            }
            for answer in answers {
                #expect(answer.status == 200)
                let names = (answer["X-Auth-Roles"] ?? "").split(separator: ",").map(String.init)
                #expect(names == names.sorted())
                #expect(Set(names) == wanted)
            }
            for (query, status) in [
                ("permission=\(mark):r10", 200), ("permission=\(mark):r49", 200),
                ("permission=\(mark):r49&permission=\(mark):r10", 200),
                ("permission=\(mark):r50", 403), ("permission=access:check", 403),
                ("role=\(mark).r33", 200), ("role=\(mark).r33&role=member", 200),
                ("role=admin", 403),
            ] {
                let target = "/verify?\(query)"
                let answer = try await node.client.send("GET", target, tokens.bearer)
                #expect(answer.status == status, "\(query)")
            }
        }
        try await cluster.expectEverywhere(200, tokens.bearer)
        // Roles are no way around a revocation.
        let out = try await cluster.node.send("POST", "/v1/auth/logout-all", tokens.bearer)
        #expect(out.status == 204)
        try await cluster.expectEverywhere(401, tokens.bearer)
    }

    /// With a body the general path answers, one by one.
    @Test(arguments: [nil, "{}"])
    func `of many who hold new roles at once nobody waits for all the others (W8, W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.shared()
        var holders: [(tokens: Tokens, permission: String)] = []
        for number in 0..<20 {
            let person = try await cluster.person()
            let name = "new\(number)-\(person.id.suffix(12))"
            try await cluster.sql(
                """
                WITH made AS (
                    INSERT INTO roles (id, name, description, built_in, created_at)
                    VALUES (gen_random_uuid(), '\(name)', '', false, now()) RETURNING id
                ), held AS (
                    INSERT INTO account_roles SELECT '\(person.id)', id, now() FROM made
                )
                INSERT INTO role_permissions (role_id, permission)
                SELECT id, '\(name):read' FROM made
                """
            )
            holders.append((try await cluster.signIn(person), "\(name):read"))
        }
        // A node that has not met any of these roles.
        let client = cluster.nodes[2].client
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for (tokens, permission) in holders {
                group.addTask {
                    try await client.send(
                        "GET",
                        "/verify?permission=\(permission)",
                        tokens.bearer,
                        json: body
                    ).status
                }
            }
            var found: [Int] = []
            for try await status in group { found.append(status) }
            return found
        }
        #expect(statuses == Array(repeating: 200, count: holders.count))
    }
}
