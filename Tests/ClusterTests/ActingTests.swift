// A session that was begun in somebody's name ends with whoever acts in it: when he is disabled or
// deleted, logs out everywhere or may not do this any more, on every node, by `/verify` and by the
// API; and what is done in it is recorded as his doing (row 177, W1, W11, W9).
import Primitives
import TestKit
import Testing

@testable import Tokens
@testable import Web

@Suite(.serialized) struct ActingTests {
    /// Two nodes where one may act as others, and who administers there.
    private static func start() async throws -> (Cluster, AdminDesk) {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        // Every accepted check is held against the log afterwards.
        plan.variables["WATCHWORD_REVOCATION_SAMPLER"] = "1"
        let cluster = try await Cluster.start(plan)
        return (cluster, try await AdminDesk(cluster))
    }

    /// Somebody who acts for somebody.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let agent: Person
        let desk: AdminDesk
        let person: Person
        let own: Tokens
        /// The role by which he may.
        let role: String
        let token: String

        init(_ cluster: Cluster, _ root: AdminDesk) async throws {
            self.cluster = cluster
            self.root = root
            agent = try await cluster.person()
            person = try await cluster.person()
            own = try await cluster.signIn(person)
            let name = "agent-\(agent.id.suffix(12))"
            try await cluster.grant(name, ["users:impersonate"], to: agent)
            role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
            desk = try await AdminDesk(cluster, agent)
            let opened = try await desk.send("POST", "/\(person.id)/impersonate")
            guard opened.status == 201, let token = opened.text("access_token") else {
                throw ClusterError("not opened: \(opened.status) \(opened.body)")
            }
            self.token = token
        }

        var bearer: [(String, String)] { [("Authorization", "Bearer \(token)")] }

        /// What `/verify` and the API say on each node.
        func answers(_ other: String? = nil) async throws -> [Int] {
            let fields = other.map { [("Authorization", "Bearer \($0)")] } ?? bearer
            var found: [Int] = []
            for node in cluster.nodes {
                for path in ["/verify", "/verify", "/v1/me"] {
                    let answer = try await node.client.send("GET", path, fields)
                    found.append(answer.status)
                    if answer.status != 200 { #expect(answer.code == "token-revoked") }
                }
            }
            return found
        }
    }

    /// What ends that somebody acts.
    enum End: String, CaseIterable, Sendable {
        case disabled, deleted, loggedOutEverywhere, sessionsEnded, roleTaken, roleEmptied
        case roleRemoved, otherRoleTaken, personGivenMore, loggedOut
    }

    @Test
    func `who acts as somebody does so no longer than he may himself (row 177, W1, W11)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let good = Array(repeating: 200, count: 6)
        let bad = Array(repeating: 401, count: 6)
        for end in End.allCases {
            let scene = try await Scene(cluster, root)
            #expect(try await scene.answers() == good, "\(end)")
            let member = "00000000-0000-7000-8000-000000000002"
            let done: HTTPAnswer
            switch end {
            case .disabled: done = try await root.send("POST", "/\(scene.agent.id)/disable")
            case .deleted: done = try await root.send("DELETE", "/\(scene.agent.id)")
            case .loggedOutEverywhere:
                done = try await cluster.node.send(
                    "POST",
                    "/v1/auth/logout-all",
                    scene.desk.tokens.bearer
                )
            case .sessionsEnded:
                done = try await root.send("DELETE", "/\(scene.agent.id)/sessions")
            case .roleTaken:
                done = try await root.send("DELETE", "/\(scene.agent.id)/roles/\(scene.role)")
            case .otherRoleTaken:
                done = try await root.send("DELETE", "/\(scene.agent.id)/roles/\(member)")
            case .personGivenMore:
                done = try await root.send(
                    "POST",
                    "/\(scene.person.id)/roles",
                    json: "{\"role\":\"\(scene.role)\"}"
                )
            case .loggedOut:
                done = try await cluster.node.send(
                    "POST",
                    "/v1/auth/logout",
                    scene.desk.tokens.bearer
                )
            case .roleEmptied:
                done = try await cluster.node.send(
                    "PATCH",
                    "/v1/admin/roles/\(scene.role)",
                    root.tokens.bearer,
                    json: "{\"permissions\":[\"users:read\"]}"
                )
            case .roleRemoved:
                done = try await cluster.node.send(
                    "DELETE",
                    "/v1/admin/roles/\(scene.role)",
                    root.tokens.bearer
                )
            }
            #expect((200..<300).contains(done.status), "\(end) \(done.body)")
            #expect(try await scene.answers() == bad, "\(end)")
            try await cluster.expectEverywhere(200, scene.own.bearer)
        }
        // And no check that was accepted should not have been.
        for node in cluster.nodes {
            let text = try await node.management.send("GET", "/metrics").body
            #expect(text.contains("watchword_revocation_sampler_violations_total 0"))
        }
    }

    @Test
    func `a right to act that is over ends what was begun by it (row 177)`() async throws {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let end = WallClock.system.now() + .seconds(40)
        let given = try await root.send(
            "POST",
            "/\(scene.agent.id)/roles",
            json: "{\"role\":\"\(scene.role)\",\"expires_at\":\"\(end)\"}"
        )
        #expect(given.status == 200, "\(given.body)")
        let bad = Array(repeating: 401, count: 6)
        #expect(try await scene.answers() == bad)
        let opened = try await scene.desk.send("POST", "/\(scene.person.id)/impersonate")
        let token = try #require(opened.text("access_token"), "\(opened.body)")
        #expect(try await scene.answers(token) == Array(repeating: 200, count: 6))
        try await eventually("what was begun is over", patience: .seconds(120)) {
            try await scene.answers(token) == bad
        }
        #expect(WallClock.system.now() >= end)
    }

    @Test
    func `nobody begins to act with a token that is outdated, or with a key (row 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        // As if he had logged out everywhere between the gate and the transaction.
        let forged = try await TokenForge(cluster).change(scene.desk.tokens.access) { claims in
            claims.signatureGeneration += 1
        }
        let late = try await cluster.node.send(
            "POST",
            "/v1/admin/users/\(scene.person.id)/impersonate",
            [("Authorization", "Bearer \(forged)")]
        )
        #expect(late.status == 401 && late.code == "token-revoked", "\(late.body)")
        let service = try await cluster.node.send(
            "POST",
            "/v1/admin/service-accounts",
            root.tokens.bearer,
            json: "{\"name\":\"acts-\(scene.agent.id.suffix(12))\"}"
        )
        let id = try #require(service.text("id"))
        let role = "{\"role\":\"\(scene.role)\"}"
        #expect(try await root.send("POST", "/\(id)/roles", json: role).status == 201)
        let made = try await cluster.node.send(
            "POST",
            "/v1/admin/service-accounts/\(id)/keys",
            root.tokens.bearer,
            json: "{\"name\":\"k\"}"
        )
        let key = try #require(made.text("key"))
        let byKey = try await cluster.node.send(
            "POST",
            "/v1/admin/users/\(scene.person.id)/impersonate",
            [("Authorization", "Bearer \(key)")]
        )
        #expect(byKey.status == 403 && byKey.code == "permission-denied", "\(byKey.body)")
        let count = try await cluster.sql(
            "SELECT count(*) FROM sessions WHERE actor_id IS NOT NULL"
        )
        #expect(count == "1")
    }

    @Test
    func `a session in which somebody acts is never refreshed (row 177, W4)`() async throws {
        let (cluster, root) = try await Self.start()
        let person = try await cluster.person()
        let (mine, other) = try await (cluster.signIn(person), cluster.signIn(person))
        // Nobody has the refresh token of such a session, so one is made of another.
        try await cluster.sql(
            "UPDATE sessions SET actor_id = '\(root.id)' WHERE id = '\(mine.session)'"
        )
        let answer = try await cluster.refresh(mine.refresh)
        #expect(answer.status == 401 && answer.code == "refresh-token-revoked", "\(answer.body)")
        #expect(try await cluster.refresh(other.refresh).status == 200)
    }

    @Test
    func `what is done in somebody's name is recorded as the doing of who did it (W9, row 177)`()
        async throws
    {
        let (cluster, root) = try await Self.start()
        let scene = try await Scene(cluster, root)
        let out = try await cluster.node.send("POST", "/v1/auth/logout", scene.bearer)
        #expect(out.status == 204)
        #expect(try await scene.answers() == Array(repeating: 401, count: 6))
        try await cluster.expectEverywhere(200, scene.own.bearer)
        let recorded = try await cluster.sql(
            """
            SELECT string_agg(action || ' ' || (actor_id = '\(scene.agent.id)'), ', ' ORDER BY id)
              FROM audit_events e
             WHERE account_id = '\(scene.person.id)'
               AND session_id = (SELECT s.id FROM sessions s WHERE s.actor_id IS NOT NULL)
            """
        )
        #expect(recorded == "session.impersonated true, session.ended true")
        let mine = try await cluster.node.send("POST", "/v1/auth/logout", scene.own.bearer)
        #expect(mine.status == 204)
        let last = try await cluster.sql(
            """
            SELECT actor_id = account_id FROM audit_events
             WHERE action = 'session.ended' AND session_id = '\(scene.own.session)'
            """
        )
        #expect(last == "t")
    }
}
