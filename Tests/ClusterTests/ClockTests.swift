// Times are UTC on one clock, whatever zone a node believes it lives in.
import Primitives
import Testing

@testable import Tokens
@testable import Web

@Suite struct ClockTests {
    @Test
    func
        `nodes east and west accept each other's tokens, and expired ones not (S4-T9)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [["TZ": "UTC-14"], ["TZ": "UTC+12"]]
        let cluster = try await Cluster.start(plan)
        let forge = try await TokenForge(cluster)
        let person = try await cluster.person()
        for node in cluster.nodes {
            let tokens = try await cluster.signIn(person, at: node.client)
            let claims = try forge.read(tokens.access)
            let now = WallClock.system.now()
            #expect(claims.expiresAt - claims.issuedAt <= .seconds(900))
            #expect(claims.expiresAt - now > .seconds(800))
            #expect(claims.expiresAt - now <= .seconds(900))
            try await cluster.expectEverywhere(200, tokens.bearer)
            let expired = try forge.expired(tokens.access)
            try await cluster.expectEverywhere(401, [("Authorization", "Bearer \(expired)")])
            for other in cluster.nodes {
                let answer = try await other.client.send(
                    "GET",
                    "/v1/me",
                    [("Authorization", "Bearer \(expired)")]
                )
                #expect(answer.code == "token-expired")
                let list = try await other.client.send("GET", "/v1/me/sessions", tokens.bearer)
                let item = list.json.at("items")?.items.first
                let created = item?.at("created_at")?.string ?? ""
                #expect(created.hasSuffix("Z"))
                #expect(created.utf8.count == "2026-01-01T00:00:00.000000Z".utf8.count)
                #expect(created.hasPrefix(String(now.description.prefix(10))))
            }
            let next = try await cluster.refresh(tokens.refresh, at: cluster.nodes[1].client)
            try await cluster.expectEverywhere(200, Tokens(next).bearer)
        }
        try await cluster.expectNoSecrets()
    }
}
