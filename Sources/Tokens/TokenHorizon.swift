// The longest life an outstanding access token may have, agreed on in the database (revocation.md
// 1.9). Each node asserts the lifetime it mints with, again and again; it mints only within
// `slack` of an assertion, by the database's clock. The migration that makes `token_lifetimes`
// carries the proof that a revocation then always outlives the tokens it covers.
package import Logging
package import Postgres
import Primitives
import ServiceLifecycle

/// Keeps asserting this node's token lifetime.
package final class TokenHorizon: Service {
    /// How long an assertion allows minting.
    package static let slack: Duration = .minutes(10)
    private static let interval: Duration = .minutes(1)

    /// The lifetime of the access tokens this node mints.
    package let lifetime: Duration
    private let database: any PostgresExecutor
    private let logger: Logger

    /// An asserter of `lifetime`.
    package init(lifetime: Duration, database: any PostgresExecutor, logger: Logger) {
        self.lifetime = lifetime
        self.database = database
        self.logger = logger
    }

    /// Asserts it now; called before the first token and after a mint that came too late.
    package func assert() async throws {
        _ = try await database.execute(Self.assertLifetime(Int32(lifetime.wholeSeconds)))
    }

    /// Asserts it every minute until shutdown.
    package func run() async throws {
        await untilShutdown(every: Self.interval) {
            try await assert()
        } onFailure: {
            logger.warning("the token lifetime could not be asserted", metadata: ["error": "\($0)"])
        }
    }

    static let assertLifetime = Statement(
        "tokens.assert_lifetime",
        """
        INSERT INTO token_lifetimes (lifetime_s, asserted_at)
        VALUES ($1, clock_timestamp())
        ON CONFLICT (lifetime_s) DO UPDATE
           SET asserted_at = greatest(token_lifetimes.asserted_at, excluded.asserted_at)
        """,
        kind: .solo,
        binds: Int32.self
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [assertLifetime.info] }
}
