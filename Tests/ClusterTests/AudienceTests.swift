// Nodes whose tokens are for different applications (`sessions.audience`): what was made for the
// one opens nothing at the other, on no path, as bearer or as cookie (row 239).
import Primitives
import Testing

@testable import Web

@Suite struct AudienceTests {
    /// What a node says, asked twice: the general path first, then the fast one.
    private func answers(
        _ client: HTTPClient,
        _ target: String,
        _ fields: [(String, String)]
    ) async throws -> [HTTPAnswer] {
        [
            try await client.send("GET", target, fields),
            try await client.send("GET", target, fields),
        ]
    }

    @Test
    func `a token for one application opens nothing at another's node (row 239)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = ["shop", "bank"].map {
            ["WATCHWORD_SESSIONS_AUDIENCE": "https://\($0).example.test"]
        }
        try await Cluster.run(plan) { cluster in
            let person = try await cluster.person()
            let targets = ["/verify", "/verify/x", "/v1/me", "/v1/me/permissions"]
            for index in cluster.nodes.indices {
                let own = cluster.nodes[index].client
                let other = cluster.nodes[1 - index].client
                let tokens = try await cluster.signIn(person, at: own)
                let browser = try Browser(
                    await cluster.login(person.email, person.password, transport: "cookie", at: own)
                )
                let cookie = [browser.cookieField, ("X-Original-Method", "GET")]
                for fields in [tokens.bearer, cookie] {
                    for target in targets {
                        for answer in try await answers(other, target, fields) {
                            #expect(answer.status == 401, "\(index) \(target)")
                            #expect(answer.code == "token-invalid", "\(index) \(target)")
                            #expect(answer["X-Auth-User"] == nil)
                        }
                        for answer in try await answers(own, target, fields) {
                            #expect(answer.status == 200, "\(index) \(target) \(answer.body)")
                        }
                    }
                }
                // It ends nothing there either.
                let end = try await other.send("POST", "/v1/auth/logout", tokens.bearer)
                #expect(end.status == 401 && end.code == "token-invalid")
                #expect(try await own.send("GET", "/v1/me", tokens.bearer).status == 200)
            }
        }
    }
}
