// A token that names a role of which the database knows nothing: it grants nothing, it harms nobody
// who asks, and the database is asked for it once by many, not by each of them.
import Primitives
import TestKit
import Testing

@testable import Tokens
@testable import Web

@Suite struct UnknownRoleTests {
    private static let permission = "orders:write"

    /// How often the node has read roles.
    private func readings(_ cluster: Cluster) async throws -> Int {
        let text = try await cluster.nodes[0].management.send("GET", "/metrics").body
        let name = "watchword_roles_read_seconds_count "
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        let value = line.flatMap { Int($0.dropFirst(name.utf8.count)) }
        return try #require(value)
    }

    /// What twenty hear who ask at once.
    private func many(
        _ cluster: Cluster,
        _ target: String,
        _ bearer: [(String, String)],
        _ body: String?
    ) async throws -> [HTTPAnswer] {
        try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
            for _ in 0..<20 {
                group.addTask { try await cluster.node.send("GET", target, bearer, json: body) }
            }
            var found: [HTTPAnswer] = []
            for try await answer in group { found.append(answer) }
            return found
        }
    }

    /// Asks again and again with the unknown role; how often roles were read, and how often they
    /// may have been.
    private func askOften(
        _ cluster: Cluster,
        _ bearer: [(String, String)],
        _ body: String?
    ) async throws -> (readings: Int, limit: Int) {
        let before = try await readings(cluster)
        let begun = ContinuousClock.now
        for answer in try await many(cluster, "/verify", bearer, body) {
            #expect(answer.status == 200)
            #expect(answer["X-Auth-Roles"] == "")
        }
        let wanted = "/verify?permission=\(Self.permission)"
        for answer in try await many(cluster, wanted, bearer, body) {
            #expect(answer.status == 403)
        }
        for number in 0..<20 {
            let (target, status) = number % 2 == 0 ? ("/verify?role=member", 403) : ("/verify", 200)
            let answer = try await cluster.node.send("GET", target, bearer, json: body)
            #expect(answer.status == status)
        }
        let seconds = Int((ContinuousClock.now - begun).components.seconds)
        let found = try await readings(cluster) - before
        // One for each second that has begun; and who has seen that it is lacking just before a
        // reading ended, and comes to read after it, reads once more.
        return (found, 2 * (seconds + 1))
    }

    @Test func `a role that is not there is looked for once by many, and grants nothing (W8, W10)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 1
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        let forge = try await TokenForge(cluster)
        let target = "/verify?permission=\(Self.permission)"
        // Fast; and with a body in general.
        for body in [nil, "{}"] as [String?] {
            let role = RoleID(at: WallClock.system.now(), entropy: .system)
            let forged = try forge.change(tokens.access) { $0.roles = [role] }
            let bearer = [("Authorization", "Bearer \(forged)")]
            let (readings, limit) = try await askOften(cluster, bearer, body)
            #expect((1...limit).contains(readings), "\(readings) readings, at most \(limit)")
            // It is not taken for absent for ever.
            try await cluster.sql(
                """
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES ('\(role)', 'late-\(role)', '', false, now());
                INSERT INTO role_permissions (role_id, permission)
                VALUES ('\(role)', '\(Self.permission)')
                """
            )
            try await eventually("the role is found") {
                try await cluster.node.send("GET", target, bearer, json: "{}").status == 200
            }
            let answer = try await cluster.node.send("GET", target, bearer)
            #expect(answer.status == 200)
            #expect(answer["X-Auth-Roles"] == "late-\(role)")
        }
    }
}
