// A check puts together whether a token is good, what its account holds, what its roles permit,
// where it may act, and what rules ask for. All of that must be true of one moment: an old role and
// a newer membership would permit together what was permitted at no time (W11, decision 17). Each
// test holds a check up in the middle, with a lock, and lets two things change meanwhile.
import Revocation
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OneMomentTests {
    /// Somebody who holds a permission in an organisation, checked at the second node.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk
        let organisation: TestOrganisation
        let person: Person
        let tokens: Tokens
        let role: String
        let path = "/verify?permission=orders:write"
        /// With a body the general path answers.
        let body: String?

        init(
            _ cluster: Cluster,
            _ body: String?,
            holds permissions: [String] = ["orders:write"]
        ) async throws {
            self.cluster = cluster
            self.body = body
            desk = try await AdminDesk(cluster)
            organisation = try await TestOrganisation(desk)
            person = try await cluster.person()
            try await organisation.add(person, by: desk)
            let name = try await organisation.give(permissions, to: person, by: desk)
            role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
            tokens = try await cluster.signIn(person)
        }

        /// Asks another node than the one that is changed on.
        func ask(
            _ bearer: [(String, String)]? = nil,
            _ more: [(String, String)]? = nil
        ) async throws -> Int {
            try await cluster.nodes[1].client.send(
                "GET",
                path,
                (bearer ?? tokens.bearer) + (more ?? [organisation.field]),
                json: body
            ).status
        }

        func close() async throws {
            let json = "{\"state\":\"disabled\"}"
            #expect(try await organisation.send(desk, "PATCH", json: json).status == 200)
        }

        /// What enabling it does, for whom nothing is held up.
        func open() async throws {
            try await cluster.sql(
                """
                WITH o AS (
                    UPDATE organisations
                       SET state = 'active', generation = \(GrowingVersion.next("generation"))
                     WHERE id = '\(organisation.id)' RETURNING id, generation
                )
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                SELECT \(RevocationKind.tenant.rawValue), uuid_send(id), generation,
                       revocation_expiry() FROM o
                """
            )
        }

        /// Whether the log names the session itself.
        func isNamed() async throws -> Bool {
            try await cluster.sql(
                """
                SELECT count(*) FROM revocation_log
                 WHERE kind = \(RevocationKind.session.rawValue)
                   AND subject = uuid_send('\(tokens.session)')
                """
            ) != "0"
        }

        func signOut() async throws {
            let path = "/v1/auth/logout"
            #expect(try await cluster.node.send("POST", path, tokens.bearer).status == 204)
        }
    }

    /// What is locked, and words of the statement that waits for it.
    private static let memberships = "organisation_members"
    private static let rights = "o.generations"
    private static let claims = "k.digest"

    private static func plan(_ variables: [String: String] = [:]) -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables = variables
        return plan
    }

    @Test(arguments: [nil, "{}"])
    func `an old role and a newer membership permit nothing together (W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.start(Self.plan())
        let answer = try await cluster.holdingUp(Self.memberships, by: Self.rights) {
            let scene = try await Scene(cluster, body)
            #expect(try await scene.ask() == 200)
            try await scene.close()
            return (
                { try await scene.ask() },
                {
                    try await cluster.change(role: scene.role, to: [])
                    try await scene.open()
                }
            )
        }
        // The role permits nothing any more, and nothing did while the organisation was closed.
        #expect(answer == 403)
    }

    @Test(arguments: [nil, "{}"])
    func `a token that ends while what its holder may is read passes nobody (W1, W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.start(Self.plan())
        let answer = try await cluster.holdingUp(Self.memberships, by: Self.rights) {
            let scene = try await Scene(cluster, body)
            return ({ try await scene.ask() }, { try await scene.signOut() })
        }
        #expect(answer == 401)
    }

    /// The log does not name each end: PostgreSQL is asked for it, before what is held is read.
    @Test(arguments: [nil, "{}"])
    func `a session that has ended and a newer role permit nothing together (H25, W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.start(
            Self.plan(["WATCHWORD_REVOCATION_COLLAPSE_AFTER": "1"])
        )
        let answer = try await cluster.holdingUp(Self.memberships, by: Self.rights) {
            let scene = try await Scene(cluster, body, holds: [])
            for _ in 0..<3 {
                let other = try await cluster.signIn(scene.person)
                let out = try await cluster.node.send("POST", "/v1/auth/logout", other.bearer)
                #expect(out.status == 204)
            }
            return (
                {
                    let answer = try await scene.ask()
                    // Each minute begins with names again: then it was no such case.
                    return try await scene.isNamed() ? 503 : answer
                },
                {
                    try await scene.signOut()
                    try await cluster.change(role: scene.role, to: ["orders:write"])
                }
            )
        }
        #expect(answer == 401)
    }

    @Test(arguments: [nil, "{}"])
    func `an old rule and a newer role let nothing pass together (W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.start(Self.plan(["WATCHWORD_VERIFY_ROUTE_RULES": "on"]))
        let original = [("X-Original-Method", "GET"), ("X-Original-URI", "/a")]
        let answer = try await cluster.holdingUp(Self.memberships, by: Self.rights) {
            let scene = try await Scene(cluster, body, holds: [])
            func demand(_ permission: String) async throws {
                let rule = """
                    {"methods":["GET"],"path":"/a","access":"authenticated",
                     "permissions":["\(permission)"]}
                    """
                let put = try await cluster.node.send(
                    "PUT",
                    RouteRuleAPITests.path,
                    scene.desk.tokens.bearer + [("If-Match", "*")],
                    json: "{\"rules\":[\(rule)]}"
                )
                #expect(put.status == 200, "\(put.body)")
            }
            try await demand("orders:write")
            #expect(try await scene.ask(nil, original) == 403)
            // Its holder has it everywhere now, which every node has to read.
            let given = try await scene.desk.send(
                "POST",
                "/\(scene.person.id)/roles",
                json: "{\"role\":\"\(scene.role)\"}"
            )
            #expect(given.status == 201)
            return (
                { try await scene.ask(nil, original) },
                {
                    try await demand("bills:pay")
                    try await cluster.change(role: scene.role, to: ["orders:write"])
                }
            )
        }
        #expect(answer == 403)
    }

    /// What ends that somebody acts while what the other holds is read.
    enum ActorEvent: CaseIterable, Sendable {
        /// He may act for nobody any more, and the other may more.
        case demoted
        /// The other is given a role, which nobody has compared with his.
        case ownerRaised
    }

    @Test(arguments: ActorEvent.allCases)
    func `who may not act for another any more has no newer role of his (row 177, W11)`(
        _ event: ActorEvent
    ) async throws {
        let cluster = try await Cluster.start(Self.plan(["WATCHWORD_ADMIN_IMPERSONATION": "true"]))
        let answer = try await cluster.holdingUp(Self.memberships, by: Self.rights) {
            let scene = try await Scene(cluster, nil, holds: [])
            let clerk = try await cluster.person()
            let name = "agent-\(clerk.id.suffix(12))"
            try await cluster.grant(name, ["users:impersonate", "users:read"], to: clerk)
            let grant = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
            // A role without permissions is a name, which he must hold himself to act.
            try await cluster.sql(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(clerk.id)', '\(scene.role)', now())
                """
            )
            let agent = try await AdminDesk(cluster, clerk)
            let begun = try await agent.send("POST", "/\(scene.person.id)/impersonate")
            let token = try #require(begun.text("access_token"))
            let bearer = [("Authorization", "Bearer \(token)")]
            // The node knows by now what lets the clerk act.
            #expect(try await scene.ask(bearer, []) == 403)
            return (
                { try await scene.ask(bearer) },
                {
                    switch event {
                    case .demoted:
                        try await cluster.change(role: grant, to: [])
                        try await cluster.change(role: scene.role, to: ["orders:write"])
                    case .ownerRaised:
                        try await cluster.raise(scene.person, by: ["orders:write"])
                    }
                }
            )
        }
        #expect(answer == 401)
    }

    @Test(arguments: [nil, "{}"])
    func `an old role and a service that is enabled again permit nothing together (row 179, W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.start(Self.plan())
        let answer = try await cluster.holdingUp("api_keys", by: Self.claims) {
            let scene = try await Scene(cluster, body, holds: [])
            let service = try await TestService(scene.desk, ["orders:write"])
            let key = try await service.key()
            for _ in 0..<2 { #expect(try await scene.ask(key.bearer, []) == 200) }
            #expect(try await service.send("POST", "/disable").status == 204)
            return (
                { try await scene.ask(key.bearer, []) },
                {
                    try await cluster.change(role: service.role, to: [])
                    try await cluster.sql(
                        "UPDATE accounts SET state = 'active' WHERE id = '\(service.id)'"
                    )
                }
            )
        }
        #expect(answer == 403)
    }
}
