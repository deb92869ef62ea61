// What an administrator takes on one node is refused at nginx, whose every question goes to another
// node, on the next request (W11, S4-14).
import Primitives
import TestKit
import Testing

@Suite(.leavesNoSecrets) struct GatewayRightsTests {
    /// Two nodes, of which nginx knows the second alone and asks it for `permission`.
    private static func plan(_ permission: String) -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.hasGateway = true
        plan.gatewaySample = Gateway.sample
            .replacing("server 127.0.0.1:8080;", with: "")
            .replacing("watchword/verify;", with: "watchword/verify?permission=\(permission);")
        return plan
    }

    @Test
    func `a role taken on node A is refused by nginx, which asks node B, at once (W11, row 173)`()
        async throws
    {
        let permission = "orders:write"
        try await Cluster.run(Self.plan(permission)) { cluster in
            let desk = try await AdminDesk(cluster, at: cluster.nodes[0].client)
            let person = try await cluster.person()
            let early = try await cluster.signIn(person).bearer
            func call(_ method: String, _ path: String, _ json: String) async throws -> HTTPAnswer {
                let fields = desk.tokens.bearer
                return try await desk.client.send(method, "/v1/admin\(path)", fields, json: json)
            }
            func pass(_ bearer: [(String, String)]) async throws -> Int {
                try await cluster.gateway.send("GET", "/app/order", bearer).status
            }
            let declared = "{\"name\":\"\(permission)\",\"description\":\"d\"}"
            #expect(try await call("POST", "/permissions", declared).status == 201)
            let made = try await call("POST", "/roles", "{\"name\":\"clerk\",\"permissions\":[]}")
            let role = try #require(made.text("id"))
            let give = "{\"role\":\"\(role)\"}"
            let (full, empty) = ("{\"permissions\":[\"\(permission)\"]}", "{\"permissions\":[]}")
            #expect(try await call("PATCH", "/roles/\(role)", full).status == 200)
            for round in 0..<10 {
                #expect(try await pass(early) == 403, "\(round)")
                let given = try await desk.send("POST", "/\(person.id)/roles", json: give)
                #expect(given.status == 201, "\(given.body)")
                #expect(try await pass(early) == 200, "\(round) \(cluster.complaints)")
                // This one names the role.
                let late = try await cluster.signIn(person).bearer
                #expect(try await pass(late) == 200, "\(round)")
                // What the role permits changes, and changes back.
                #expect(try await call("PATCH", "/roles/\(role)", empty).status == 200)
                #expect(try await pass(late) == 403, "\(round)")
                #expect(try await call("PATCH", "/roles/\(role)", full).status == 200)
                #expect(try await pass(late) == 200, "\(round)")
                let taken = try await desk.send("DELETE", "/\(person.id)/roles/\(role)")
                #expect(taken.status == 204, "\(taken.body)")
                #expect(try await pass(late) == 403, "\(round)")
            }
            #expect(try await pass(early) == 403)
            let bare = try await cluster.nodes[1].client.send("GET", "/verify", early)
            #expect(bare.status == 200)
        }
    }
}
