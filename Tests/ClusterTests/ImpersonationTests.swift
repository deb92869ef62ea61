// Acting as somebody else, and unlocking who has mistyped his password too often.
import Primitives
import Testing

@testable import Tokens
@testable import Web

@Suite struct ImpersonationTests {
    @Test
    func `nobody acts as somebody else unless the site wants it (row 177)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let answer = try await desk.send("POST", "/\(person.id)/impersonate")
        #expect(answer.status == 403 && answer.code == "permission-denied")
        let count = try await cluster.sql(
            "SELECT count(*) FROM sessions WHERE account_id = '\(person.id)'"
        )
        #expect(count == "0")
    }

    @Test
    func `whoever acts as somebody is named, for a short time, and changes nothing (row 177)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        let cluster = try await Cluster.start(plan)
        let desk = try await AdminDesk(cluster)
        let (person, clerk) = try await (cluster.person(), cluster.person())
        let mine = try await cluster.signIn(person)
        let opened = try await desk.send("POST", "/\(person.id)/impersonate")
        #expect(opened.status == 201, "\(opened.body)")
        #expect(opened.json.names == ["token_type", "access_token", "expires_in", "session_id"])
        let token = try #require(opened.text("access_token"))
        let bearer = [("Authorization", "Bearer \(token)")]
        try await cluster.expectEverywhere(200, bearer)
        let claims = try await TokenForge(cluster).read(token)
        #expect(claims.accountID.description == person.id)
        #expect(claims.actorID?.description == desk.id)
        #expect(claims.expiresAt - claims.issuedAt <= .minutes(15))
        let row = try await cluster.sql(
            """
            SELECT actor_id = '\(desk.id)', expires_at <= now() + interval '15 minutes',
                   idle_expires_at = expires_at,
                   (SELECT count(*) FROM audit_events e
                     WHERE e.action = 'session.impersonated' AND e.actor_id = '\(desk.id)'
                       AND e.account_id = s.account_id AND e.session_id = s.id)
              FROM sessions s WHERE account_id = '\(person.id)' AND actor_id IS NOT NULL
            """
        )
        #expect(row == "t|t|t|1")
        // What would outlast the session, or hide who acts, is refused.
        for (method, path, body) in [
            (
                "POST", "/v1/me/password",
                "{\"current_password\":\"\(person.password)\","
                    + "\"new_password\":\"quite another one\"}"
            ), ("DELETE", "/v1/me/sessions?except=current", nil),
            ("DELETE", "/v1/me/sessions/\(mine.session)", nil),
            ("POST", "/v1/auth/logout-all", nil),
            ("POST", "/v1/admin/service-accounts", "{\"name\":\"mine\"}"),
        ] as [(String, String, String?)] {
            let answer = try await cluster.node.send(method, path, bearer, json: body)
            #expect(answer.status == 403 && answer.code == "permission-denied", "\(path)")
        }
        try await cluster.expectEverywhere(200, mine.bearer)
        #expect(try await cluster.login(person.email, person.password).status == 200)
        // Nobody becomes somebody who may more, nor himself, nor anybody by way of another.
        try await cluster.grant("agent", ["users:impersonate", "users:read"], to: clerk)
        let agent = try await AdminDesk(cluster, clerk)
        let above = try await agent.send("POST", "/\(desk.id)/impersonate")
        #expect(above.status == 403 && above.code == "permission-not-held")
        let own = try await agent.send("POST", "/\(clerk.id)/impersonate")
        #expect(own.code == "self-change-refused")
        let asClerk = try await desk.send("POST", "/\(clerk.id)/impersonate")
        let second = try #require(asClerk.text("access_token"))
        let nested = try await cluster.node.send(
            "POST",
            "/v1/admin/users/\(person.id)/impersonate",
            [("Authorization", "Bearer \(second)")]
        )
        #expect(nested.status == 403 && nested.code == "permission-denied")
        let direct = try await agent.send("POST", "/\(person.id)/impersonate")
        #expect(direct.status == 201)
        // It ends like any other session.
        #expect(try await desk.send("DELETE", "/\(person.id)/sessions").status == 204)
        try await cluster.expectEverywhere(401, bearer)
        #expect(try await desk.send("POST", "/\(person.id)/disable").status == 204)
        #expect(try await desk.send("POST", "/\(person.id)/impersonate").status == 403)
    }

    @Test
    func `who has mistyped his password too often is let in again (row 36)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.variables["WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT"] = "2"
        let cluster = try await Cluster.start(plan)
        let desk = try await AdminDesk(cluster)
        let (person, other) = try await (cluster.person(), cluster.person())
        for one in [person, other] {
            for _ in 0..<2 {
                let wrong = try await cluster.login(one.email, "not the password")
                #expect(wrong.code == "sign-in-failed")
            }
            #expect(try await cluster.login(one.email, one.password).status == 429)
        }
        #expect(try await desk.send("POST", "/\(person.id)/unlock").status == 204)
        #expect(try await cluster.login(person.email, person.password).status == 200)
        #expect(try await cluster.login(other.email, other.password).status == 429)
        let record = try await cluster.sql(
            """
            SELECT count(*) FROM audit_events
             WHERE action = 'account.unlocked' AND account_id = '\(person.id)'
               AND actor_id = '\(desk.id)'
            """
        )
        #expect(record == "1")
    }
}
