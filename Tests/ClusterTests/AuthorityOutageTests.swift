// PostgreSQL is gone and the members of the authority are not: a lease is what a node may go by
// until then, and nothing is when it is over (W1, W10).
import Glibc
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct AuthorityOutageTests {
    private static let lease = Duration.seconds(40)

    /// A node with the fast path and one without, which ask these members.
    private static func plan(_ members: [RedisServer]) -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        let urls = members.map { "unix://\($0.socket)" }.joined(separator: ",")
        plan.variables["WATCHWORD_AUTHORITY_MEMBERS"] = urls
        plan.variables["WATCHWORD_AUTHORITY_LEASE"] = "40s"
        plan.variables["WATCHWORD_AUTHORITY_ADOPT_AFTER"] = "100ms"
        // The machine may be slow; what is asked here is who answers, not how fast.
        plan.variables["WATCHWORD_AUTHORITY_POLL_LIMIT"] = "10s"
        plan.variables["WATCHWORD_AUTHORITY_PUBLISH_LIMIT"] = "10s"
        plan.variables["WATCHWORD_VERIFY_READ_LIMIT"] = "3s"
        return plan
    }

    /// `/readyz` of a node.
    private func readiness(_ node: NodeProcess) async throws -> HTTPAnswer {
        try await node.management.send("GET", "/readyz")
    }

    /// Waits until the members answer every node.
    private func expectMembers(_ cluster: Cluster) async throws {
        for node in cluster.nodes {
            try await eventually("the members answer", patience: .seconds(180)) {
                try await readiness(node).text("status") == "ready"
            }
        }
    }

    /// Asks until no lease is left that was begun before `stopped`.
    ///
    /// It has been renewed in time, so a third of it is sure to be left; what hangs meanwhile, the
    /// next renewal, holds up nobody.
    private func outlast(
        _ cluster: Cluster,
        _ tokens: Tokens,
        _ stopped: MonotonicInstant
    ) async throws {
        try await eventually("the lease is over", patience: .seconds(300)) {
            for node in cluster.nodes {
                let asked = MonotonicInstant.now
                let status = try await node.client.send("GET", "/verify", tokens.bearer).status
                let mayPass = asked < stopped + Self.lease
                let mustPass = MonotonicInstant.now < stopped + Self.lease / 3
                #expect(status == 503 || (status == 200 && mayPass))
                #expect(status == 200 || !mustPass)
            }
            return MonotonicInstant.now >= stopped + Self.lease
        }
    }

    @Test
    func `without PostgreSQL members answer until the lease ends, and then nobody (W1, W10)`()
        async throws
    {
        var members: [RedisServer] = []
        for _ in 0..<3 { members.append(try await RedisServer.start()) }
        let cluster = try await Cluster.start(Self.plan(members))
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let dead = try await cluster.signIn(person)
        try await expectMembers(cluster)
        _ = try await cluster.node.send("POST", "/v1/auth/logout", dead.bearer)
        try await cluster.expectEverywhere(200, tokens.bearer)
        try await expectMembers(cluster)
        cluster.postgres.signalAll(SIGSTOP)
        defer { cluster.postgres.signalAll(SIGCONT) }
        try await cluster.expectEverywhere(200, tokens.bearer)
        try await cluster.expectEverywhere(401, dead.bearer)
        let stopped = MonotonicInstant.now
        for node in cluster.nodes { #expect(try await readiness(node).status == 200) }
        try await outlast(cluster, tokens, stopped)
        for node in cluster.nodes {
            for credential in [tokens.bearer, dead.bearer] {
                let answer = try await node.client.send("GET", "/verify", credential)
                #expect(answer.status == 503)
                #expect(answer["Retry-After"] != nil)
                for name in VerifyTests.identity { #expect(answer[name] == nil) }
            }
            let ready = try await readiness(node)
            #expect(ready.status == 503)
            #expect(ready.text("checks.postgres") != "ok")
        }
        let out = try await cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
        #expect(out.status == 503)
        cluster.postgres.signalAll(SIGCONT)
        try await expectMembers(cluster)
        try await cluster.expectEverywhere(200, tokens.bearer)
        try await cluster.expectEverywhere(401, dead.bearer)
        try await cluster.expectNoSecrets()
        // A server ends with the last who knows of it.
        withExtendedLifetime(members) {}
    }
}
