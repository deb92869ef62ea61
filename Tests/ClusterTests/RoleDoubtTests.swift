// A role has changed and the node cannot read it: nobody knows what it permits now. Whoever holds
// it, or a role that includes it, is answered 503 on every way of asking, never by what it
// permitted before; everybody else notices nothing, and it is over when the role can be read.
import TestKit
import Testing

@testable import Web

@Suite struct RoleDoubtTests {
    /// The ways in which a node is asked what somebody may.
    private enum Way: CaseIterable { case fast, general, authorize }

    /// A node, and three people who hold a role that changes, one that includes it, and another.
    private struct Scene: Sendable {
        let cluster: Cluster
        let seller: Tokens
        let chief: Tokens
        let other: Tokens
        /// The role that changes.
        let role: String

        init() async throws {
            var plan = Cluster.Plan()
            plan.isPatient = false
            plan.variables = ["WATCHWORD_VERIFY_READ_LIMIT": "2s"]
            plan.nodes = 1
            let cluster = try await Cluster.start(plan)
            let people = try await [cluster.person(), cluster.person(), cluster.person()]
            try await cluster.grant("seller", ["orders:write"], to: people[0])
            try await cluster.grant("chief", [], to: people[1])
            try await cluster.grant("other", ["reports:read"], to: people[2])
            try await cluster.sql(
                """
                INSERT INTO role_includes (role_id, included_id)
                SELECT c.id, s.id FROM roles c, roles s WHERE c.name = 'chief' AND s.name = 'seller'
                """
            )
            role = try await cluster.sql("SELECT id FROM roles WHERE name = 'seller'")
            seller = try await cluster.signIn(people[0])
            chief = try await cluster.signIn(people[1])
            other = try await cluster.signIn(people[2])
            self.cluster = cluster
        }

        /// What somebody is told who needs `permission`: 200, 403, or that nobody knows.
        func ask(_ way: Way, _ tokens: Tokens, _ permission: String) async throws -> Int {
            let path = "/verify?permission=\(permission)"
            switch way {
            case .fast: return try await send("GET", path, tokens, nil).status
            // With a body the general path answers.
            case .general: return try await send("GET", path, tokens, "{}").status
            case .authorize:
                let json = "{\"checks\":[{\"permission\":\"\(permission)\"}]}"
                let answer = try await send("POST", "/v1/authorize", tokens, json)
                guard answer.status == 200 else { return answer.status }
                return answer.body.contains("\"allowed\":true") ? 200 : 403
            }
        }

        /// What somebody is told who needs nothing but a good token.
        func pass(_ tokens: Tokens, json: String? = nil) async throws -> Int {
            try await send("GET", "/verify", tokens, json).status
        }

        private func send(
            _ method: String,
            _ path: String,
            _ tokens: Tokens,
            _ json: String?
        ) async throws -> HTTPAnswer {
            try await cluster.node.send(method, path, tokens.bearer, json: json)
        }

        /// A number that the node tells of itself.
        func number(_ name: String) async throws -> Double {
            let text = try await cluster.nodes[0].management.send("GET", "/metrics").body
            let line = text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
            let value = line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) }
            return try #require(value)
        }

        /// Has every reading of roles fail at once; nothing else reads what is gone.
        func breakReadings() async throws {
            try await cluster.sql("ALTER TABLE role_includes RENAME TO role_includes_away")
        }

        /// Has them succeed again.
        func mendReadings() async throws {
            try await cluster.sql("ALTER TABLE role_includes_away RENAME TO role_includes")
        }

        /// How many roles are in doubt.
        func doubtful() async throws -> Double { try await number("watchword_roles_doubtful") }
    }

    @Test
    func `who holds a role that changed and cannot be read hears 503, and nobody else (W10, W11)`()
        async throws
    {
        let scene = try await Scene()
        for way in Way.allCases {
            for tokens in [scene.seller, scene.chief] {
                #expect(try await scene.ask(way, tokens, "orders:write") == 200)
                #expect(try await scene.ask(way, tokens, "bills:pay") == 403)
            }
            #expect(try await scene.ask(way, scene.other, "reports:read") == 200)
        }
        #expect(try await scene.doubtful() == 0)
        try await scene.breakReadings()
        try await scene.cluster.change(role: scene.role, to: ["bills:pay"])
        for tokens in [scene.chief, scene.seller] {
            let fast = try await scene.number("watchword_verify_fast_total")
            #expect(try await scene.pass(tokens) == 503)
            for way in Way.allCases {
                for permission in ["orders:write", "bills:pay"] {
                    let answer = try await scene.ask(way, tokens, permission)
                    #expect(answer == 503, "\(way) \(permission)")
                }
            }
            #expect(try await scene.pass(tokens, json: "{}") == 503)
            // The plain one, and one for each permission.
            #expect(try await scene.number("watchword_verify_fast_total") == fast + 3)
        }
        // The role and the one that includes it; no other.
        #expect(try await scene.doubtful() == 2)
        for way in Way.allCases {
            #expect(try await scene.ask(way, scene.other, "reports:read") == 200, "\(way)")
            #expect(try await scene.ask(way, scene.other, "orders:write") == 403, "\(way)")
        }
        #expect(try await scene.doubtful() == 2)
        try await scene.mendReadings()
        try await eventually("the role is read") { try await scene.doubtful() == 0 }
        for way in Way.allCases {
            for tokens in [scene.seller, scene.chief] {
                #expect(try await scene.ask(way, tokens, "orders:write") == 403, "\(way)")
                #expect(try await scene.ask(way, tokens, "bills:pay") == 200, "\(way)")
            }
            #expect(try await scene.ask(way, scene.other, "reports:read") == 200, "\(way)")
        }
    }

    /// Somebody else may be told 503 too: the readings that are not answered are in the way of
    /// others on the same connection, until it is given up.
    @Test
    func `while the reading of a role is not answered nobody passes by what was (W8, W10, W11)`()
        async throws
    {
        let scene = try await Scene()
        let holders = [scene.seller, scene.chief]
        for tokens in holders {
            #expect(try await scene.ask(.fast, tokens, "orders:write") == 200)
        }
        #expect(try await scene.ask(.fast, scene.other, "reports:read") == 200)
        // Whoever reads a role waits from now on; whoever changes what one permits does not.
        let holder = try await LockHolder(
            scene.cluster,
            "LOCK TABLE role_includes IN ACCESS EXCLUSIVE MODE"
        )
        defer { holder.letGo() }
        try await scene.cluster.change(role: scene.role, to: ["bills:pay"])
        for way in Way.allCases {
            for tokens in holders {
                #expect(try await scene.ask(way, tokens, "orders:write") == 503, "\(way)")
            }
            let answer = try await scene.ask(way, scene.other, "reports:read")
            #expect([200, 503].contains(answer), "\(way)")
        }
        holder.letGo()
        for way in Way.allCases {
            for tokens in holders {
                var answers: Set<Int> = []
                try await eventually("it is known what the role permits") {
                    let answer = try await scene.ask(way, tokens, "orders:write")
                    answers.insert(answer)
                    return answer == 403
                }
                #expect(answers.isSubset(of: [403, 503]), "\(way)")
            }
        }
        try await eventually("nothing is in doubt") { try await scene.doubtful() == 0 }
        #expect(try await scene.ask(.fast, scene.chief, "bills:pay") == 200)
        #expect(try await scene.ask(.fast, scene.other, "reports:read") == 200)
    }
}
