// Stores that are gone while `/verify` may be as old as a limit: what is in memory is answered for
// so long, on both ways of `/verify`, and after that nothing is (S3, W10).
import Glibc
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct BoundedOutageTests {
    private static let bound = Duration.seconds(15)

    /// A node with the fast path and one without.
    private static func plan() -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        plan.variables["WATCHWORD_VERIFY_MODE"] = "bounded"
        plan.variables["WATCHWORD_VERIFY_STALENESS_LIMIT"] = "15s"
        plan.variables["WATCHWORD_VERIFY_READ_LIMIT"] = "3s"
        return plan
    }

    /// What a node says, and when it was asked and had answered.
    private func ask(
        _ node: NodeProcess,
        _ target: String,
        _ tokens: Tokens
    ) async throws -> (answer: HTTPAnswer, asked: MonotonicInstant, told: MonotonicInstant) {
        let asked = MonotonicInstant.now
        let answer = try await node.client.send("GET", target, tokens.bearer)
        return (answer, asked, .now)
    }

    @Test(arguments: [false, true])
    func `without its stores a bounded node answers for its limit, and no longer (S3, W10)`(
        _ isRedisGone: Bool
    ) async throws {
        let cluster = try await Cluster.start(Self.plan())
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let dead = try await cluster.signIn(person)
        _ = try await cluster.node.send("POST", "/v1/auth/logout", dead.bearer)
        if isRedisGone { try await cluster.redis.kill() }
        // Nothing that is known from here on is older than this.
        let begun = MonotonicInstant.now
        for node in cluster.nodes {
            #expect(try await ask(node, "/verify?max_age=0", tokens).answer.status == 200)
            #expect(try await ask(node, "/verify?max_age=0", dead).answer.status == 401)
        }
        cluster.postgres.signalAll(SIGSTOP)
        defer { cluster.postgres.signalAll(SIGCONT) }
        for node in cluster.nodes {
            let good = try await ask(node, "/verify", tokens)
            #expect(good.answer.status == 200 || good.told >= begun + Self.bound)
            #expect(good.answer.status != 200 || good.answer["Watchword-Mode"] == "bounded")
            let bad = try await ask(node, "/verify", dead)
            #expect(bad.answer.status == 401 || bad.told >= begun + Self.bound)
        }
        // Nothing that is known is newer than this.
        let stopped = MonotonicInstant.now
        for node in cluster.nodes {
            let strict = try await ask(node, "/verify?max_age=0", tokens).answer
            #expect(strict.status == 503)
            #expect(strict["Retry-After"] != nil)
        }
        try await eventually("the limit is over", patience: .seconds(300)) {
            for node in cluster.nodes {
                let (answer, asked, told) = try await ask(node, "/verify", tokens)
                let mayPass = asked < stopped + Self.bound
                #expect(answer.status == 503 || (answer.status == 200 && mayPass))
                #expect(answer.status == 200 || told >= begun + Self.bound)
            }
            return MonotonicInstant.now >= stopped + Self.bound
        }
        for node in cluster.nodes {
            for credential in [tokens, dead] {
                let answer = try await ask(node, "/verify", credential).answer
                #expect(answer.status == 503)
                for name in VerifyTests.identity { #expect(answer[name] == nil) }
            }
        }
        cluster.postgres.signalAll(SIGCONT)
        for node in cluster.nodes {
            try await eventually("recovery") {
                try await ask(node, "/verify", tokens).answer.status == 200
            }
        }
        try await cluster.expectEverywhere(401, dead.bearer)
        if isRedisGone { try await cluster.redis.restart() }
        try await cluster.expectNoSecrets()
    }
}
