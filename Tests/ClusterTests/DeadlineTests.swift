// Requests that take longer than `http.request_time`: 503 with a code of its own, and nothing of
// them happens afterwards (W8, W10).
import TestKit
import Testing

@testable import Web

@Suite struct DeadlineTests {
    private func release(_ holder: LockHolder, _ cluster: Cluster) async throws {
        holder.letGo()
        try await eventually("nobody waits for a lock any more") {
            try await cluster.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ) == "0"
        }
    }

    /// What a log-out everywhere would leave behind.
    private func traces(_ person: Person, _ cluster: Cluster) async throws -> String {
        try await cluster.sql(
            """
            SELECT (SELECT generation FROM account_signatures WHERE account_id = '\(person.id)')
                || ' ' || (SELECT count(*) FROM revocation_log)
                || ' ' || (SELECT count(*) FROM audit_events WHERE account_id = '\(person.id)')
                || ' ' || (SELECT count(*) FROM outbox WHERE account_id = '\(person.id)')
            """
        )
    }

    @Test
    func `a request beyond its time is 503 of its own and changes nothing later (W8, W10)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 3
        let short = ["WATCHWORD_HTTP_REQUEST_TIME": "1s"]
        // Hashing takes longer than the whole request may, on any machine.
        let slow = ["WATCHWORD_PASSWORDS_MEMORY": "512MiB", "WATCHWORD_PASSWORDS_PASSES": "10"]
        plan.perNode = [[:], short, short.merging(slow) { $1 }]
        try await Cluster.run(plan) { cluster in
            let (calm, hurried, slow) = (cluster.nodes[0], cluster.nodes[1], cluster.nodes[2])
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            let before = try await traces(person, cluster)

            // In flight when its time ends: waited for, and known not to have happened.
            let holder = try await LockHolder(
                cluster,
                "SELECT FROM account_signatures WHERE account_id = '\(person.id)' FOR UPDATE"
            )
            let late = try await hurried.client.send("POST", "/v1/auth/logout-all", tokens.bearer)
            try await release(holder, cluster)
            #expect(late.status == 503)
            #expect(late.code == "deadline-exceeded")
            #expect(late["Retry-After"] != nil)
            #expect(late["Set-Cookie"] == nil)
            #expect(try await traces(person, cluster) == before)
            let still = try await calm.client.send("GET", "/v1/me", tokens.bearer)
            #expect(still.status == 200)

            // Not begun when its time ends: it never is.
            let accounts = try await cluster.rowCounts()
            let body = #"{"email":"late@example.test","password":"a password that is late"}"#
            let unmade = try await slow.client.send("POST", "/v1/auth/register", json: body)
            #expect(unmade.status == 503)
            #expect(unmade.code == "deadline-exceeded")
            #expect(try await cluster.rowCounts() == accounts)

            // The same calls, in time.
            let made = try await calm.client.send("POST", "/v1/auth/register", json: body)
            #expect(made.status == 201)
            let out = try await calm.client.send("POST", "/v1/auth/logout-all", tokens.bearer)
            #expect(out.status == 204)
            #expect(try await traces(person, cluster) != before)
        }
    }
}
