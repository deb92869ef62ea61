// `roles_exp`: a token says when the first of its account's roles is over, so that no node answers
// by the roles in it after that; not when another one is, and not of one that is over already.
import Primitives
import Testing

@testable import Tokens
@testable import Web

@Suite(.leavesNoSecrets) struct EndingRolesTests {
    /// Somebody who is given roles that end.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk
        let person: Person
        let forge: TokenForge
        /// The times count from here.
        let now = WallClock.system.now()

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
            person = try await cluster.person()
            forge = try await TokenForge(cluster)
        }

        /// Gives the person a new role until `hours` from now, or for ever; which role it is.
        ///
        /// - Parameter rest: further members of the request.
        @discardableResult
        func give(_ hours: Int64?, _ rest: String = "") async throws -> String {
            let role = try await cluster.makeRole(by: desk.tokens)
            let end = hours.map { ",\"expires_at\":\"\(now + .hours($0))\"" } ?? ""
            let given = try await desk.send(
                "POST",
                "/\(person.id)/roles",
                json: "{\"role\":\"\(role)\"\(end)\(rest)}"
            )
            #expect(given.status == 201, "\(given.body)")
            return role
        }

        /// When the roles in a token end.
        func end(_ tokens: Tokens) throws -> Timestamp? {
            try forge.read(tokens.access).rightsExpireAt
        }

        /// The same of a new session.
        func end() async throws -> Timestamp? { try end(await cluster.signIn(person)) }

        /// `hours` from now, in whole seconds as claims are.
        func after(hours: Int64) -> Timestamp {
            Timestamp(seconds: (now + .hours(hours)).seconds)
        }
    }

    @Test func `a token tells when the first of several roles is over (S0-16, W11)`() async throws {
        let scene = try await Scene()
        #expect(try await scene.end() == nil)
        try await scene.give(nil)
        #expect(try await scene.end() == nil)
        try await scene.give(3)
        #expect(try await scene.end() == scene.after(hours: 3))
        let first = try await scene.give(1)
        #expect(try await scene.end() == scene.after(hours: 1))
        try await scene.give(2)
        let tokens = try await scene.cluster.signIn(scene.person)
        #expect(try scene.end(tokens) == scene.after(hours: 1))
        let claims = try scene.forge.read(tokens.access)
        // All of them are in the token: `member` and the four.
        #expect(claims.roles?.count == 5)
        // A refresh tells it as it is then.
        let path = "/\(scene.person.id)/roles/\(first)"
        #expect(try await scene.desk.send("DELETE", path).status == 204)
        let next = try Tokens(await scene.cluster.refresh(tokens.refresh))
        #expect(try scene.end(next) == scene.after(hours: 2))
        #expect(try scene.forge.read(next.access).roles?.count == 4)
    }

    @Test func `a role that is over already ends nothing, one on a resource does (W11)`()
        async throws
    {
        let scene = try await Scene()
        try await scene.give(2)
        let over = try await scene.give(nil)
        // The API takes no end that is past.
        try await scene.cluster.sql(
            """
            UPDATE account_roles SET expires_at = now() - interval '1 hour'
             WHERE account_id = '\(scene.person.id)' AND role_id = '\(over)'
            """
        )
        let tokens = try await scene.cluster.signIn(scene.person)
        #expect(try scene.end(tokens) == scene.after(hours: 2))
        let roles = try #require(try scene.forge.read(tokens.access).roles)
        let held = roles.map(\.description)
        #expect(held.count == 2 && !held.contains(over))
        // What is held on a resource is not in the token, and yet the sooner end counts: whatever
        // the node remembers of the account is over then.
        try await scene.give(1, ",\"resource\":\"project:7/*\"")
        #expect(try await scene.end() == scene.after(hours: 1))
    }

    @Test func `a token names the roles that are held everywhere, and no others (W11)`()
        async throws
    {
        let scene = try await Scene()
        let everywhere = try await scene.give(nil)
        try await scene.give(nil, ",\"resource\":\"project:7/*\"")
        let organisation = try await TestOrganisation(scene.desk)
        try await organisation.add(scene.person, by: scene.desk)
        let there = try await scene.give(nil, ",\"organisation\":\"\(organisation.id)\"")
        // Also of a session that is for the organisation.
        let json = """
            {"login":"\(scene.person.email)","password":"\(scene.person.password)",
             "organisation_id":"\(organisation.id)"}
            """
        let inside = try await scene.cluster.node.send("POST", "/v1/auth/login", json: json)
        let member = "00000000-0000-7000-8000-000000000002"
        for tokens in [try await scene.cluster.signIn(scene.person), try Tokens(inside)] {
            for pair in [tokens, try Tokens(await scene.cluster.refresh(tokens.refresh))] {
                let roles = try #require(try scene.forge.read(pair.access).roles)
                #expect(roles.map(\.description).sorted() == [member, everywhere].sorted())
            }
        }
        // What it does not name is held all the same, where it is.
        let path = "/\(scene.person.id)/roles"
        let held = try await scene.desk.send("GET", path).json.at("items")?.items ?? []
        let roles = held.compactMap { $0.at("role")?.string }
        #expect(roles.count == 4 && roles.contains(there))
    }
}
