// Roles that every new account gets, whoever makes it, for as long as an administrator says so. The
// cluster is one of its own: elsewhere they would be given to the accounts of other tests.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct DefaultRoleTests {
    /// An administrator, and the accounts that come.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk

        init() async throws {
            var plan = Cluster.Plan()
            plan.nodes = 2
            cluster = try await Cluster.start(plan)
            desk = try await AdminDesk(cluster)
        }

        /// An administrator's call.
        func call(
            _ method: String,
            _ path: String,
            _ json: String? = nil
        ) async throws
            -> HTTPAnswer
        {
            try await desk.client.send(
                method,
                "/v1/admin\(path)",
                desk.tokens.bearer,
                json: json
            )
        }

        /// The id of an account that an administrator makes, at the other node.
        func made() async throws -> String {
            let mark = Hex.encode(Entropy.system.bytes(6))
            let answer = try await cluster.nodes[1].client.send(
                "POST",
                "/v1/admin/users",
                desk.tokens.bearer,
                json: "{\"email\":\"made\(mark)@example.test\",\"username\":\"made_\(mark)\"}"
            )
            #expect(answer.status == 201, "\(answer.body)")
            return try #require(answer.text("id"))
        }

        /// The names of the roles that an account holds, sorted.
        func roles(_ account: String) async throws -> [String] {
            let answer = try await call("GET", "/users/\(account)")
            #expect(answer.status == 200)
            let list = try #require(answer.json.at("roles"))
            return list.items.compactMap(\.string).sorted()
        }

        /// Expects that accounts which are made from now on hold these roles; returns them: one
        /// that registers, one that is made.
        func expectNew(
            _ roles: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> (registered: Person, made: String) {
            let registered = try await cluster.person()
            let made = try await self.made()
            for account in [registered.id, made] {
                let found = try await self.roles(account)
                #expect(found == roles, sourceLocation: sourceLocation)
            }
            return (registered, made)
        }
    }

    @Test
    func `new accounts hold the default roles, those that are there get and lose none (S1-6)`()
        async throws
    {
        let scene = try await Scene()
        let (permission, path) = ("orders:write", "/verify?permission=orders:write")
        let declared = "{\"name\":\"\(permission)\",\"description\":\"d\"}"
        #expect(try await scene.call("POST", "/permissions", declared).status == 201)
        let before = try await scene.expectNew(["member"])
        let json = "{\"name\":\"early\",\"permissions\":[\"\(permission)\"],\"default\":true}"
        let role = try await scene.call("POST", "/roles", json)
        #expect(role.status == 201, "\(role.body)")
        let id = try #require(role.text("id"))
        #expect(role.json.at("default") == .boolean(true))
        let during = try await scene.expectNew(["early", "member"])
        let tokens = try await scene.cluster.signIn(during.registered)
        for node in scene.cluster.nodes {
            #expect(try await node.client.send("GET", path, tokens.bearer).status == 200)
        }
        // Switched off.
        let off = try await scene.call("PATCH", "/roles/\(id)", "{\"default\":false}")
        #expect(off.status == 200, "\(off.body)")
        #expect(off.json.at("default") == .boolean(false))
        let after = try await scene.expectNew(["member"])
        let others = try await scene.cluster.signIn(after.registered)
        for node in scene.cluster.nodes {
            #expect(try await node.client.send("GET", path, others.bearer).status == 403)
            #expect(try await node.client.send("GET", path, tokens.bearer).status == 200)
        }
        // On again, by a change; and removed, which leaves nothing to be given.
        let on = try await scene.call("PATCH", "/roles/\(id)", "{\"default\":true}")
        #expect(on.status == 200, "\(on.body)")
        _ = try await scene.expectNew(["early", "member"])
        for account in [before.registered.id, before.made, after.registered.id, after.made] {
            #expect(try await scene.roles(account) == ["member"])
        }
        for account in [during.registered.id, during.made] {
            #expect(try await scene.roles(account) == ["early", "member"])
        }
        #expect(try await scene.call("DELETE", "/roles/\(id)").status == 204)
        _ = try await scene.expectNew(["member"])
    }
}
