// What people do, in one line each: sign up, sign in, be judged. And the questions tests ask of the
// database behind the use cases' back.
import Accounts
import Postgres
package import Primitives
package import Sessions
import Synchronization
package import Tokens
import Web

/// The password of everybody in the tests.
package let goodPassword = Secret("violet harbour kettle 51")

extension Cluster {
    /// A request that arrives now, by the cluster's clock.
    package func trace(from address: String = "192.0.2.7") -> RequestTrace {
        let now = clock.wall.now()
        return RequestTrace(
            requestID: RequestID(at: now, entropy: .system),
            now: now,
            address: address,
            userAgent: "tests"
        )
    }

    /// Makes an account on the first node; its user name is `name`.
    package func signUp(
        _ name: String = "ada",
        password: Secret = goodPassword,
        on index: Int = 0
    ) async throws -> AccountID {
        let made = try await nodes[index].web.register(
            Registration(
                email: "\(name)@example.org",
                username: name,
                password: password,
                profile: AccountProfile()
            ),
            trace()
        )
        guard case .account(let view) = made else { throw Unexpected("no account was shown") }
        return view.id
    }

    /// Signs somebody in.
    package func signIn(
        _ name: String = "ada",
        password: Secret = goodPassword,
        on index: Int = 0,
        from address: String = "192.0.2.7"
    ) async throws -> TokenPair {
        try await nodes[index].web.signIn(
            login: name,
            password: password,
            transport: .body,
            trace(from: address)
        )
    }

    /// What a node says of an access token.
    package func judge(_ token: Secret, on index: Int = 0) async throws -> Verdict {
        try await nodes[index].web.verifier.judge(token.exposed)
    }

    /// What every node says of an access token: nil for good.
    package func flaws(_ token: Secret) async throws -> [CredentialFlaw?] {
        var flaws: [CredentialFlaw?] = []
        for index in nodes.indices {
            switch try await judge(token, on: index) {
            case .accepted: flaws.append(nil)
            case .refused(let flaw, _): flaws.append(flaw)
            }
        }
        return flaws
    }

    /// Whether all nodes refuse the token as revoked.
    package func isRevokedEverywhere(_ token: Secret) async throws -> Bool {
        try await flaws(token).allSatisfy { $0 == .revoked }
    }

    /// Whether all nodes accept the token.
    package func isGoodEverywhere(_ token: Secret) async throws -> Bool {
        try await flaws(token).allSatisfy { $0 == nil }
    }

    /// The claims of a token that must be good.
    package func claims(_ pair: TokenPair, on index: Int = 0) async throws -> AccessClaims {
        guard case .accepted(let claims) = try await judge(pair.accessToken, on: index) else {
            throw Unexpected("the token is refused")
        }
        return claims
    }

    /// Refreshes on a node.
    package func refresh(_ pair: TokenPair, on index: Int = 0) async throws -> TokenPair {
        try await nodes[index].web.refresh(pair.refreshToken, trace())
    }

    /// Ends the session of a pair with its own access token, which must be good.
    package func logOut(_ pair: TokenPair, on index: Int = 0) async throws {
        try await nodes[index].web.logOut.thisSession(try await claims(pair, on: index), trace())
    }

    /// Ends every session of the owner of a pair.
    package func logOutEverywhere(_ pair: TokenPair, on index: Int = 0) async throws {
        try await nodes[index].web.logOut.everywhere(try await claims(pair, on: index), trace())
    }

    /// Runs one SQL statement, as the superuser.
    package func run(_ sql: String) async throws { try await self.sql.script(sql) }

    /// The only number that an SQL query brings; zero for none.
    package func number(_ query: String) async throws -> Int64 {
        let statement = Statement(
            Adhoc.name(),
            "SELECT (\(query))::bigint",
            decode: { try $0.get(0, as: Int64?.self) }
        )
        return try await sql.first(statement()).flatMap { $0 } ?? 0
    }

    /// The only text that an SQL query brings; empty for none.
    package func text(_ query: String) async throws -> String {
        let statement = Statement(
            Adhoc.name(),
            "SELECT (\(query))::text",
            decode: { try $0.get(0, as: String?.self) }
        )
        return try await sql.first(statement()).flatMap { $0 } ?? ""
    }

    /// The lines of text that an SQL query brings.
    package func lines(_ query: String) async throws -> [String] {
        let statement = Statement(
            Adhoc.name(),
            query,
            decode: { try $0.get(0, as: String.self) }
        )
        return try await sql.rows(statement())
    }

    /// Waits until so many backends of this database wait for a lock.
    package func untilBlocked(_ count: Int64 = 1) async throws {
        try await until("\(count) backends wait for a lock") { try await blockedCount() >= count }
    }

    /// How many backends of this database wait for a lock.
    package func blockedCount() async throws -> Int64 {
        try await number(
            """
            SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        )
    }
}

/// Waits until a condition holds, looking every few milliseconds, for a minute at most.
package func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = Deadline.after(.seconds(60))
    while !(try await condition()) {
        guard !deadline.hasPassed else { throw Unexpected("never came true: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Something that a fixture did not expect.
package struct Unexpected: Error, CustomStringConvertible {
    package let description: String
    /// An error with this text.
    package init(_ description: String) { self.description = description }
}

/// Names for statements that are used once.
enum Adhoc {
    private static let count = Atomic<Int>(0)
    static func name() -> String {
        "test.adhoc_\(count.wrappingAdd(1, ordering: .relaxed).newValue)"
    }
}
