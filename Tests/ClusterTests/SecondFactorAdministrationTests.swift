// Where the operator wants it, administration is for sessions that a second factor has opened (rows
// 47 and 176); and an administrator takes away one that is lost (row 61).
import HTTPTypes
import Primitives
import Testing

@testable import Web

@Suite struct SecondFactorAdministrationTests {
    private static let variable = "WATCHWORD_ADMINISTRATION_SECOND_FACTOR"
    private static let users = "/v1/admin/users"

    @Test func `administration without a second factor is 403, each operation of it (row 176)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        // Those who call from here are in the right network, and that is not enough.
        plan.variables["WATCHWORD_ADMINISTRATION_NETWORKS"] = "127.0.0.0/8"
        plan.variables["WATCHWORD_HTTP_TRUSTED_PROXIES"] = "192.0.2.1"
        plan.perNode = [[Self.variable: "required"], [:]]
        try await Cluster.run(plan) { cluster in
            let strict = cluster.node
            let lax = cluster.nodes[1].client
            let desk = try await AdminDesk(cluster, at: lax)
            let member = try await cluster.signIn(try await cluster.person())
            let nobody = Subjects.nobody()
            var tried = 0
            let before = try await cluster.digest()
            for info in PublicAPI.catalogue.operations where info.gate.isAdministration {
                guard case .only(let methods) = info.methods, let method = methods.first else {
                    Issue.record("\(info.name) has no method")
                    continue
                }
                let segments = info.pattern.text.split(separator: "/").map {
                    $0.hasPrefix("{") ? nobody : String($0)
                }
                let path = "/" + segments.joined(separator: "/")
                let json = info.carrier == .body ? "{}" : nil
                func send(_ tokens: Tokens, to node: HTTPClient) async throws -> HTTPAnswer {
                    try await node.send(method.rawValue, path, tokens.bearer, json: json)
                }
                let refused = try await send(desk.tokens, to: strict)
                #expect(refused.status == 403, "\(info.name) \(refused.body)")
                #expect(refused.code == "second-factor-required", "\(info.name)")
                // Who may not do it at all is not asked for one.
                let stranger = try await send(member, to: strict)
                #expect(stranger.code == "permission-denied", "\(info.name)")
                tried += 1
            }
            #expect(tried >= 60)
            #expect(try await cluster.digest() == before)
            // It is his account all the same, and his to enrol.
            let me = try await strict.send("GET", "/v1/me", desk.tokens.bearer)
            #expect(me.status == 200)
            let root = try await EnrolledPerson(
                Person(
                    email: cluster.administrator.email,
                    username: "",
                    password: cluster.administrator.password,
                    id: desk.id
                ),
                in: cluster
            )
            // Having one is not enough either: it must have opened the session.
            let old = try await strict.send("GET", Self.users, root.before.bearer)
            #expect(old.code == "second-factor-required")
            let tokens = try await root.signIn()
            #expect(try await strict.send("GET", Self.users, tokens.bearer).status == 200)
            let recovered = try Tokens(await root.login(root.recoveryCodes[0]))
            let made = try await strict.send(
                "POST",
                "/v1/admin/service-accounts",
                recovered.bearer,
                json: "{\"name\":\"a-sweeper\"}"
            )
            let service = try #require(made.text("id"))
            // A machine has none to show, and needed somebody who had.
            let holder = Person(email: "", username: "", password: "", id: service)
            try await cluster.grant("sweeper", ["users:read"], to: holder)
            let key = try await strict.send(
                "POST",
                "/v1/admin/service-accounts/\(service)/keys",
                tokens.bearer,
                json: "{\"name\":\"a key\"}"
            )
            let shown = [("Authorization", "Bearer \(try #require(key.text("key")))")]
            #expect(try await strict.send("GET", Self.users, shown).status == 200)
            // Nor is the terminal asked.
            #expect(try await cluster.terminal("users", "list").status == 0)
        }
    }

    @Test func `one that is lost is taken away, and every session ends with it (row 61, W1)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let person = enrolled.person
        let shown = try await desk.send("GET", "/\(person.id)")
        #expect(shown.body.contains("\"second_factor\":true"))
        let tokens = try await enrolled.signIn()
        try await cluster.expectEverywhere(200, tokens.bearer)
        async let one = cluster.nodes[1].client.send(
            "DELETE",
            "\(Self.users)/\(person.id)/second-factor",
            desk.tokens.bearer
        )
        async let two = cluster.nodes[2].client.send(
            "DELETE",
            "\(Self.users)/\(person.id)/second-factor",
            desk.tokens.bearer
        )
        let reset = try await [one, two]
        #expect(reset.map(\.status) == [204, 204], "\(reset.map(\.body))")
        try await cluster.expectEverywhere(401, tokens.bearer)
        try await cluster.expectEverywhere(401, enrolled.before.bearer)
        let fresh = try await cluster.signIn(person)
        // Nothing happens where there is none.
        let again = try await desk.send("DELETE", "/\(person.id)/second-factor")
        #expect(again.status == 204)
        try await cluster.expectEverywhere(200, fresh.bearer)
        let after = try await desk.send("GET", "/\(person.id)")
        #expect(after.body.contains("\"second_factor\":false"))
        #expect(after["ETag"] != shown["ETag"])
        let journal = """
            SELECT action || ' ' || (actor_id = '\(desk.id)') FROM audit_events
             WHERE account_id = '\(person.id)'
               AND action IN ('second-factor.removed', 'session.all-ended')
             ORDER BY action
            """
        let wanted = "second-factor.removed true\nsession.all-ended true"
        #expect(try await cluster.sql(journal) == wanted)
        // Not one's own: that would be a way round showing it.
        let own = try await desk.send("DELETE", "/\(desk.id)/second-factor")
        #expect(own.status == 403 && own.code == "self-change-refused")
    }

    @Test func `the last resort is the terminal`() async throws {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let tokens = try await enrolled.signIn()
        let email = enrolled.person.email
        let shown = try await cluster.terminal("users", "show", email)
        #expect(shown.output.contains("second factor  yes\n"), "\(shown.output)")
        let reset = try await cluster.terminal("users", "reset-second-factor", email)
        #expect(reset.status == 0, "\(reset.errors)")
        try await cluster.expectEverywhere(401, tokens.bearer)
        _ = try await cluster.signIn(enrolled.person)
        let nobody = try await cluster.terminal("users", "reset-second-factor", "nobody@x.test")
        #expect(nobody.status != 0)
    }
}
