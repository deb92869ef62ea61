// Sessions that the database has lost, by a failover without a synchronous standby or a backup that
// was restored: their tokens are good until they end, so a log-out that is acknowledged must end
// them all the same, on every node (W1). Nodes do not look for the row when they check a token.
import Testing

@testable import Web

@Suite struct LostSessionTests {
    @Test(arguments: [false, true])
    func `a session that the database has lost is ended by logging out (W1, H9)`(
        isNamed: Bool
    )
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let (lost, other) = try await (cluster.signIn(person), cluster.signIn(person))
        try await cluster.sql("DELETE FROM sessions WHERE id = '\(lost.session)'")
        try await cluster.expectEverywhere(200, lost.bearer)
        // Somebody else's is not his to end, be it there or not.
        let stranger = try await cluster.signIn(cluster.person())
        let path = "/v1/me/sessions/\(lost.session)"
        let foreign = try await cluster.node.send("DELETE", path, stranger.bearer)
        #expect(foreign.status == 404)
        try await cluster.expectEverywhere(200, lost.bearer)
        for turn in 0..<2 {
            let out =
                isNamed
                ? try await cluster.node.send("DELETE", path, lost.bearer)
                : try await cluster.node.send("POST", "/v1/auth/logout", lost.bearer)
            // Whoever is out already can log out once more, and name nothing.
            let isSecond = isNamed && turn == 1 && out.status == 401
            #expect(out.status == 204 || isSecond, "\(out.body)")
            try await cluster.expectEverywhere(401, lost.bearer)
        }
        try await cluster.expectEverywhere(200, other.bearer)
        let journal = try await cluster.sql(
            """
            SELECT DISTINCT detail ->> 'reason' FROM audit_events
             WHERE session_id = '\(lost.session)' AND action = 'session.ended'
            """
        )
        #expect(journal == "lost")
    }

    @Test func `with the account lost too, what cannot be revoked is not acknowledged`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let lost = try await cluster.signIn(person)
        try await cluster.sql("DELETE FROM accounts WHERE id = '\(person.id)'")
        let all = try await cluster.node.send("POST", "/v1/auth/logout-all", lost.bearer)
        #expect(all.code == "token-revoked", "\(all.body)")
        let out = try await cluster.node.send("POST", "/v1/auth/logout", lost.bearer)
        #expect(out.status == 204, "\(out.body)")
        try await cluster.expectEverywhere(401, lost.bearer)
    }
}
