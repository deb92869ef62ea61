// Taking a key back while it is in use on every node: what begins after the answer is refused, on
// the fast path and off it (W1). And that this is noticed where it is not so: nodes that are broken
// on purpose let the key pass.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct RevokedKeyTests {
    /// What became of keys that were shown without a pause while they were taken back.
    private struct Tally {
        /// Requests that were answered 200 though they began after the key was taken back.
        var late = 0
        /// Requests that were answered 200 before.
        var good = 0
        /// Other answers than 200 and 401.
        var odd = 0
    }

    /// Whether a key has been taken back; looked at before each request.
    private actor Taken {
        private(set) var isAcknowledged = false
        private(set) var isOver = false
        func acknowledge() { isAcknowledged = true }
        func end() { isOver = true }
    }

    /// Two nodes, the second without its fast path, and a service.
    private static func start(
        _ variables: [String: String] = [:]
    ) async throws -> (cluster: Cluster, desk: AdminDesk, service: String) {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables = variables
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        let cluster = try await Cluster.start(plan)
        let desk = try await AdminDesk(cluster)
        let made = try await cluster.node.send(
            "POST",
            "/v1/admin/service-accounts",
            desk.tokens.bearer,
            json: "{\"name\":\"busy\"}"
        )
        return (cluster, desk, try #require(made.text("id")))
    }

    /// Makes a key, shows it on both nodes without a pause, takes it back meanwhile.
    private static func run(
        _ cluster: Cluster,
        _ desk: AdminDesk,
        _ service: String,
        round: Int
    ) async throws -> Tally {
        let keys = "/v1/admin/service-accounts/\(service)/keys"
        let bearer = desk.tokens.bearer
        let made = try await cluster.node.send("POST", keys, bearer, json: "{\"name\":\"k\"}")
        let id = try #require(made.text("id"))
        let fields = [("Authorization", "Bearer \(try #require(made.text("key")))")]
        let taken = Taken()
        return try await withThrowingTaskGroup(of: Tally.self) { group in
            for node in cluster.nodes {
                for _ in 0..<2 {
                    group.addTask {
                        var tally = Tally()
                        while await !taken.isOver {
                            let isLate = await taken.isAcknowledged
                            switch try await node.client.send("GET", "/verify", fields).status {
                            case 200: if isLate { tally.late += 1 } else { tally.good += 1 }
                            case 401: break
                            default: tally.odd += 1
                            }
                        }
                        return tally
                    }
                }
            }
            for node in cluster.nodes {
                try await eventually("the key is known", patience: .seconds(60)) {
                    try await node.client.send("GET", "/verify", fields).status == 200
                }
            }
            let answer = try await cluster.nodes[round % 2].client.send(
                "DELETE",
                "\(keys)/\(id)",
                bearer
            )
            #expect(answer.status == 204)
            await taken.acknowledge()
            // So many more on each node, after the answer.
            var last: [Int] = []
            for node in cluster.nodes {
                for _ in 0..<5 {
                    last.append(try await node.client.send("GET", "/verify", fields).status)
                }
            }
            await taken.end()
            var sum = Tally(late: last.count { $0 == 200 })
            for try await tally in group {
                sum.late += tally.late
                sum.good += tally.good
                sum.odd += tally.odd
            }
            return sum
        }
    }

    @Test
    func `a key that is in use everywhere opens nothing once it is taken back (W1, row 179)`()
        async throws
    {
        let (cluster, desk, service) = try await Self.start()
        var good = 0
        for round in 0..<8 {
            let tally = try await Self.run(cluster, desk, service, round: round)
            #expect(tally.late == 0 && tally.odd == 0, "\(round) \(tally)")
            good += tally.good
        }
        #expect(good > 0)
    }

    @Test
    func `nodes that let such a key pass are found out by the same watch (W1)`() async throws {
        let broken = ["WATCHWORD_MUTANT": "revoked-keys"]
        let (cluster, desk, service) = try await Self.start(broken)
        let tally = try await Self.run(cluster, desk, service, round: 0)
        #expect(tally.late > 0, "\(tally)")
    }

    @Test
    func `a key that nothing narrows opens nothing for a service without roles (row 179)`()
        async throws
    {
        let (cluster, desk, service) = try await Self.start()
        let made = try await cluster.node.send(
            "POST",
            "/v1/admin/service-accounts/\(service)/keys",
            desk.tokens.bearer,
            json: "{\"name\":\"bare\"}"
        )
        #expect(made.json.at("permissions") == .list([]))
        let fields = [("Authorization", "Bearer \(try #require(made.text("key")))")]
        for node in cluster.nodes {
            for _ in 0..<2 {
                let answer = try await node.client.send("GET", "/verify", fields)
                #expect(answer.status == 200 && answer["X-Auth-User"] == service)
                #expect(answer["X-Auth-Roles"] == "" && answer["X-Auth-Scopes"] == "")
                for query in [
                    "permission=orders:read", "permission=access:check", "role=member",
                    "role=admin", "scope=orders:read", "permission=orders:read&resource=project:7",
                ] {
                    let asked = try await node.client.send("GET", "/verify?\(query)", fields)
                    #expect(asked.status == 403, "\(query)")
                }
            }
            for (method, path) in [
                ("GET", "/v1/admin/users"), ("GET", "/v1/admin/roles"), ("GET", "/v1/admin/audit"),
                ("POST", "/v1/admin/service-accounts/\(service)/keys"),
            ] {
                let json = method == "POST" ? "{\"name\":\"x\"}" : nil
                let answer = try await node.client.send(method, path, fields, json: json)
                #expect(answer.status == 403 && answer.code == "permission-denied", "\(path)")
            }
            let mine = try await node.client.send("GET", "/v1/me/permissions", fields)
            #expect(mine.status == 200, "\(mine.body)")
            #expect(mine.json.at("permissions")?.items.isEmpty == true)
            #expect(mine.json.at("roles")?.items.isEmpty == true)
        }
    }
}
