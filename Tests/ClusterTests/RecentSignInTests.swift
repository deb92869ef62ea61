// What destroys, gives power or reaches every gateway is refused to who has not signed in lately,
// and let through to who has: each operation that the catalogue marks so (row 178).
import HTTPTypes
import Primitives
import Testing

@testable import Web

@Suite struct RecentSignInTests {
    private static let admin = "/v1/admin"
    private static let variable = "WATCHWORD_ADMINISTRATION_RECENT_SIGN_IN"

    /// Somebody who signed in 16 minutes ago and has refreshed since.
    private static func aged(_ cluster: Cluster, _ person: Person) async throws -> Tokens {
        let tokens = try await cluster.signIn(person)
        try await cluster.sql(
            """
            UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'
             WHERE id = '\(tokens.session)'
            """
        )
        return try Tokens(await cluster.refresh(tokens.refresh))
    }

    @Test
    func `what is marked is refused after 16 minutes, without effect, and not before (row 178)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        try await Cluster.run(plan) { cluster in
            // Those of one's own account: `SecondFactorTests`.
            let marked = PublicAPI.catalogue.operations.filter {
                $0.proof != .none && $0.gate.isAdministration
            }
            let calls = try await MarkedCall.all(by: try await AdminDesk(cluster))
            #expect(Set(calls.keys) == Set(marked.map(\.name)))
            let late = try await Self.aged(cluster, cluster.administrator)
            let member = try await Self.aged(cluster, try await cluster.person())
            let before = try await cluster.digest()
            for info in marked {
                let call = try #require(calls[info.name])
                // What a body says does not matter, nor whether it says anything.
                for body in [call.json, call.json.map { _ in "{" }] {
                    let answer = try await call.send(info, late, to: cluster.node, body: body)
                    #expect(answer.status == 403, "\(info.name) \(answer.body)")
                    #expect(answer.code == "recent-sign-in-required", "\(info.name)")
                    let challenge =
                        "Bearer realm=\"watchword\", "
                        + "error=\"insufficient_user_authentication\", max_age=\"900\""
                    #expect(answer.values("WWW-Authenticate") == [challenge], "\(info.name)")
                    #expect(try await cluster.digest() == before, "\(info.name)")
                }
                // Who may not do it at all is not asked to sign in for it.
                let stranger = try await call.send(info, member, to: cluster.node)
                #expect(stranger.code == "permission-denied", "\(info.name)")
            }
            // What takes away never waits.
            let other = try await cluster.person()
            for (method, rest) in [("POST", "disable"), ("DELETE", "sessions")] {
                let path = "\(Self.admin)/users/\(other.id)/\(rest)"
                let answer = try await cluster.node.send(method, path, late.bearer)
                #expect(answer.status == 204, "\(rest) \(answer.body)")
            }
            for info in marked {
                let call = try #require(calls[info.name])
                // The key that signed the last one may be gone.
                let fresh = try await cluster.signIn(cluster.administrator)
                let answer = try await call.send(info, fresh, to: cluster.node)
                #expect(answer.status == call.status, "\(info.name) \(answer.body)")
            }
        }
    }

    @Test
    func `an API key has nothing to show again and passes; zero switches it off (rows 178, 179)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[Self.variable: "1s"], [Self.variable: "0s"]]
        try await Cluster.run(plan) { cluster in
            let off = cluster.nodes[1].client
            let desk = try await AdminDesk(cluster, at: off)
            let id = try await MarkedCall.make(desk, "/service-accounts", "{\"name\":\"sweeper\"}")
            let service = Person(email: "", username: "", password: "", id: id)
            try await cluster.grant("sweeper", ["users:read", "users:write"], to: service)
            let made = try await off.send(
                "POST",
                "\(Self.admin)/service-accounts/\(id)/keys",
                desk.tokens.bearer,
                json: "{\"name\":\"a key\"}"
            )
            let key = [("Authorization", "Bearer \(try #require(made.text("key")))")]
            let (one, two) = (try await cluster.person(), try await cluster.person())
            // From here on the node remembers what the key stands for.
            let list = "\(Self.admin)/users"
            #expect(try await cluster.node.send("GET", list, key).status == 200)
            let late = try await cluster.signIn(cluster.administrator)
            let nobody = "\(list)/019b7713-5400-7000-8000-000000000001"
            try await eventually("a second has passed since the sign-in") {
                let answer = try await cluster.node.send("DELETE", nobody, late.bearer)
                #expect(answer.status == 403 || answer.status == 404)
                return answer.code == "recent-sign-in-required"
            }
            let refused = try await cluster.node.send("DELETE", "\(list)/\(one.id)", late.bearer)
            #expect(refused["WWW-Authenticate"]?.hasSuffix("max_age=\"1\"") == true)
            let swept = try await cluster.node.send("DELETE", "\(list)/\(one.id)", key)
            #expect(swept.status == 204, "\(swept.body)")
            let old = try await Self.aged(cluster, cluster.administrator)
            let passed = try await off.send("DELETE", "\(list)/\(two.id)", old.bearer)
            #expect(passed.status == 204, "\(passed.body)")
        }
    }
}
