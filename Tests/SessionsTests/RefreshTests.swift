// Refreshing: one child for each token, whoever asks and how often; anything older ends the chain.
import ClusterKit
import Postgres
import Primitives
import Sessions
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct RefreshTests {
    @Test func `A repeat within the grace window gets the same child (W4)`() async throws {
        try await Cluster.run(3, set: ["sessions.refresh_grace": "60s"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let child = try await cluster.refresh(pair, on: 1)
            let again = try await cluster.refresh(pair, on: 2)
            #expect(again.refreshToken.exposed == child.refreshToken.exposed)
            #expect(child.refreshToken.exposed != pair.refreshToken.exposed)
            #expect(try await cluster.isGoodEverywhere(again.accessToken))
            #expect(try await cluster.number("SELECT refresh_generation FROM sessions") == 2)
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM audit_events"
                        + " WHERE action = 'session.refreshed-in-grace'"
                ) == 1
            )
        }
    }

    @Test func `A hit within the grace window does not extend it (W4)`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            _ = try await cluster.refresh(pair)
            let at = try await cluster.text("SELECT previous_exchanged_at FROM sessions")
            _ = try await cluster.refresh(pair)
            #expect(try await cluster.text("SELECT previous_exchanged_at FROM sessions") == at)
        }
    }

    @Test func `A replaced token after the window ends session and access token (W4, W1)`()
        async throws
    {
        try await Cluster.run(3) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let child = try await cluster.refresh(pair, on: 1)
            try await cluster.run(
                "UPDATE sessions SET previous_exchanged_at = now() - interval '11 seconds'"
            )
            await #expect(throws: RefreshRefusal.reused) {
                try await cluster.refresh(pair, on: 2)
            }
            #expect(try await cluster.isRevokedEverywhere(child.accessToken))
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(child) }
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM outbox WHERE topic = 'session.refresh-reused'"
                ) == 1
            )
        }
    }

    @Test func `A grandparent is reuse even within the window (W4)`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            _ = try await cluster.refresh(try await cluster.refresh(pair))
            await #expect(throws: RefreshRefusal.reused) { try await cluster.refresh(pair) }
        }
    }

    @Test func `Without a window a repeat is reuse`() async throws {
        try await Cluster.run(set: ["sessions.refresh_grace": "0s"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let child = try await cluster.refresh(pair)
            await #expect(throws: RefreshRefusal.reused) { try await cluster.refresh(pair) }
            #expect(try await cluster.isRevokedEverywhere(child.accessToken))
        }
    }

    @Test func `Fifty uses at once on three nodes have one child (W4)`() async throws {
        try await Cluster.run(3, set: ["sessions.refresh_grace": "60s"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let children = try await withThrowingTaskGroup { group in
                for number in 0..<50 {
                    group.addTask {
                        try await cluster.refresh(pair, on: number % 3).refreshToken.exposed
                    }
                }
                return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(children.count == 1)
            #expect(try await cluster.number("SELECT refresh_generation FROM sessions") == 2)
        }
    }

    @Test func `What we did not write is refused without a query`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let one = try await cluster.signIn()
            let other = try await cluster.signIn()
            let text = String(decoding: one.refreshToken.exposed, as: UTF8.self)
            let second = String(decoding: other.refreshToken.exposed, as: UTF8.self)
            let forged = [
                "", "wwr_", "x", String(text.dropLast()), text + "A", text + "=", " " + text,
                text.replacing("wwr_", with: "wwx_"),
                String(text.prefix(60) + second.dropFirst(60)),
                "wwr_" + String(repeating: "A", count: 102), String(repeating: "A", count: 100_000),
            ]
            // A database that refuses every statement would show a query as another error.
            await cluster.nodes[0].pool.close()
            for text in forged {
                await #expect(throws: RefreshRefusal.invalid, "\(text.prefix(20))") {
                    try await cluster.nodes[0].web.refresh(Secret(text), cluster.trace())
                }
            }
            await #expect(throws: PostgresError.self) { try await cluster.refresh(one) }
        }
    }

    @Test func `A session ends when it is idle, and at its limit in any case (S1-20)`() async throws
    {
        let limits = ["sessions.idle_limit": "1h", "sessions.absolute_limit": "2h"]
        try await Cluster.run(set: limits) { cluster in
            _ = try await cluster.signUp()
            let idle = try await cluster.signIn()
            var busy = try await cluster.signIn()
            for _ in 0..<2 {
                cluster.clock.advance(by: .minutes(50))
                busy = try await cluster.refresh(busy)
            }
            await #expect(throws: RefreshRefusal.expired) { try await cluster.refresh(idle) }
            cluster.clock.advance(by: .minutes(30))
            await #expect(throws: RefreshRefusal.expired) { try await cluster.refresh(busy) }
        }
    }

    /// A state of a session or its account in which nothing is refreshed.
    struct Obstacle: Sendable, CustomTestStringConvertible {
        let sql: String
        let refusal: RefreshRefusal
        var testDescription: String { sql }
    }

    @Test(arguments: [
        Obstacle(sql: "DELETE FROM sessions", refusal: .invalid),
        Obstacle(sql: "UPDATE sessions SET nonce_digest = sha256('another')", refusal: .invalid),
        Obstacle(sql: "UPDATE sessions SET revoked_at = now()", refusal: .revoked),
        Obstacle(
            sql: "UPDATE account_signatures SET generation = generation + 1",
            refusal: .revoked
        ),
        Obstacle(sql: "UPDATE accounts SET state = 'disabled'", refusal: .revoked),
        Obstacle(
            sql: "UPDATE sessions SET idle_expires_at = now() - interval '1 s'",
            refusal: .expired
        ),
        Obstacle(
            sql: "UPDATE sessions SET idle_expires_at = now() - interval '1 s', expires_at = now()",
            refusal: .expired
        ),
    ])
    func `A refresh wants its session there, alive, and of the same nonce (S0-10, W10)`(
        obstacle: Obstacle
    ) async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            try await cluster.run(obstacle.sql)
            await #expect(throws: obstacle.refusal) { try await cluster.refresh(pair) }
            // It mints nothing, and a mere mismatch takes nothing from anybody.
            #expect(try await cluster.number("SELECT max(refresh_generation) FROM sessions") < 2)
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 0)
        }
    }
}
