// Death around COMMIT: a backend that is killed while the commit of a change is in progress, on
// either side of the moment that counts, or whose wait for its standby is cancelled. The client
// cannot know which, so it is told 503; nothing is half-done, nothing was handed out, and doing it
// again is safe (revocation.md 1.9, H8, H19).
import Glibc
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct CommitTests {
    /// What is cut off.
    enum Action: String, CaseIterable, Sendable {
        case signIn, refresh, logOut, logOutEverywhere
    }

    /// When and how the backend ends.
    enum Death: String, CaseIterable, Sendable {
        /// In COMMIT, before the commit is written: a deferred trigger waits for a lock.
        case before
        /// In COMMIT, after it is written: it waits for a standby that is not there.
        case after
        /// The same, by SIGKILL, which restarts the whole server.
        case afterByKill
        /// It goes on; only its wait is cancelled, and it reports a success, with a warning (H8).
        case afterByCancel

        var isCommitted: Bool { self != .before }
    }

    private static func plan() -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 1
        plan.variables["WATCHWORD_SESSIONS_REFRESH_GRACE"] = "60s"
        return plan
    }

    private static let trigger = """
        CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER wait_in_commit AFTER INSERT OR UPDATE ON sessions
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_in_commit();
        CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE ON account_signatures
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_in_commit();
        """

    /// What is stored: sessions, how often refreshed, ended; generation; the logs.
    private static let state = """
        SELECT (SELECT count(*) || ' ' || coalesce(sum(refresh_generation), 0) || ' '
                    || count(revoked_at) FROM sessions) || ' '
            || (SELECT sum(generation) FROM account_signatures) || ' '
            || (SELECT count(*) FROM revocation_log) || ' '
            || (SELECT count(*) FROM audit_events WHERE action <> 'session.refreshed-in-grace')
            || ' ' || (SELECT count(*) FROM outbox)
        """

    /// Sends `action`, and ends its backend in the middle of COMMIT.
    private func cutOff(
        _ death: Death,
        _ cluster: Cluster,
        _ action: @escaping @Sendable () async throws -> HTTPAnswer
    ) async throws -> HTTPAnswer {
        var hold = "SELECT pg_advisory_lock(77)"
        if death.isCommitted {
            try await cluster.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            try await cluster.sql("SELECT pg_reload_conf()")
            try await eventually("every backend knows of the standby") {
                try await cluster.sql("SHOW synchronous_standby_names") == "nobody"
            }
            hold = "SELECT 1"
        }
        let holder = try await LockHolder(cluster, hold)
        defer { holder.letGo() }
        let event = death.isCommitted ? "'SyncRep'" : "'advisory'"
        let waiting =
            "SELECT pid FROM pg_stat_activity"
            + " WHERE wait_event = \(event) AND pid <> pg_backend_pid()"
        async let answer = action()
        try await eventually("a backend waits in its commit") {
            try await !cluster.sql(waiting).isEmpty
        }
        if death == .afterByKill {
            let backend = try #require(Int32(try await cluster.sql(waiting)))
            kill(backend, SIGKILL)
        } else {
            let verb = death == .afterByCancel ? "cancel" : "terminate"
            try await cluster.sql("SELECT pg_\(verb)_backend(pid) FROM (\(waiting)) w")
        }
        let told = try await answer
        holder.letGo()
        if death.isCommitted { try await confirmCommits(cluster) }
        return told
    }

    /// Commits wait for nobody again.
    private func confirmCommits(_ cluster: Cluster) async throws {
        try await eventually("the server is up and has its settings back") {
            do {
                try await cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
                try await cluster.sql("SELECT pg_reload_conf()")
                return try await cluster.sql("SHOW synchronous_standby_names").isEmpty
            } catch is ClusterError {
                return false
            }
        }
    }

    @Test(arguments: Action.allCases, Death.allCases)
    func `whose backend dies in its commit is told 503 and may do it again (W1, W3, W4, S4-T3)`(
        _ action: Action,
        _ death: Death
    ) async throws {
        let cluster = try await Cluster.start(Self.plan())
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let before = try await cluster.sql(Self.state)
        if death == .before { try await cluster.sql(Self.trigger) }
        let attempt: @Sendable () async throws -> HTTPAnswer = {
            switch action {
            case .signIn: try await cluster.login(person.email, person.password)
            case .refresh: try await cluster.refresh(tokens.refresh)
            case .logOut:
                try await cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
            case .logOutEverywhere:
                try await cluster.node.send("POST", "/v1/auth/logout-all", tokens.bearer)
            }
        }
        let told = try await cutOff(death, cluster, attempt)
        #expect(told.status == 503, "\(told.body)")
        #expect(told["Retry-After"] != nil)
        #expect(told.text("access_token") == nil && told.cookies.isEmpty)
        try await eventually("the node is ready again") {
            try await cluster.nodes[0].management.send("GET", "/readyz").status == 200
        }
        let after = try await cluster.sql(Self.state)
        #expect((after == before) != death.isCommitted, "\(before) became \(after)")
        try await expectWhole(cluster)
        // A revocation that was not acknowledged may hold or not; a check never guesses.
        let isRevoked = death.isCommitted && (action == .logOut || action == .logOutEverywhere)
        try await cluster.expectEverywhere(isRevoked ? 401 : 200, tokens.bearer)
        switch action {
        case .signIn: #expect(try await again(attempt).status == 200)
        case .refresh: try await expectOneChild(cluster, tokens, attempt)
        case .logOut: #expect(try await again(attempt).status == 204)
        case .logOutEverywhere:
            #expect(try await again(attempt).status == (isRevoked ? 401 : 204))
        }
        let isOver = action == .logOut || action == .logOutEverywhere
        try await cluster.expectEverywhere(isOver ? 401 : 200, tokens.bearer)
        try await expectWhole(cluster)
    }

    /// Does it again, as a client does: after 503, until the connections are back.
    private func again(
        _ attempt: @Sendable () async throws -> HTTPAnswer
    ) async throws -> HTTPAnswer {
        var answer = try await attempt()
        try await eventually("it is not 503") {
            if answer.status != 503 { return true }
            answer = try await attempt()
            return answer.status != 503
        }
        return answer
    }

    /// The same token gives the same child, however often it is shown (W4).
    private func expectOneChild(
        _ cluster: Cluster,
        _ tokens: Tokens,
        _ attempt: @Sendable () async throws -> HTTPAnswer
    ) async throws {
        let child = try Tokens(await again(attempt))
        let twin = try Tokens(await again(attempt))
        #expect(child.refresh == twin.refresh)
        #expect(try await cluster.sql("SELECT sum(refresh_generation) FROM sessions") == "2")
        _ = try Tokens(await cluster.refresh(child.refresh))
    }

    /// Every session has its sign-in in the history, the audit log and the outbox; every session
    /// that was ended, and every raised generation, is in the revocation log (W3, W9).
    private func expectWhole(_ cluster: Cluster) async throws {
        let counts = try await cluster.sql(
            """
            SELECT (SELECT count(*) FROM sessions)
                || ' ' || (SELECT count(*) FROM login_history WHERE outcome = 'signed-in')
                || ' ' || (SELECT count(*) FROM audit_events WHERE action = 'session.signed-in')
                || ' ' || (SELECT count(*) FROM sessions s WHERE s.revoked_at IS NOT NULL
                              AND NOT EXISTS (SELECT FROM revocation_log r
                                               WHERE r.kind = 2 AND r.subject = uuid_send(s.id)))
                || ' ' || (SELECT count(*) FROM account_signatures g WHERE g.generation > 1
                              AND EXISTS (SELECT FROM audit_events e
                                           WHERE e.account_id = g.account_id
                                             AND e.action = 'session.logged-out-everywhere')
                              AND NOT EXISTS (SELECT FROM revocation_log r
                                               WHERE r.kind = 3 AND r.ver = g.generation
                                                 AND r.subject = uuid_send(g.account_id)))
            """
        )
        let words = counts.split(separator: " ").map(String.init)
        let isWhole =
            words.count == 5 && Set(words[0..<3]).count == 1 && words[3...] == ["0", "0"]
        #expect(isWhole, "\(counts)")
    }
}
