// When API keys were last shown. Noted in memory by whoever accepts one, and written every other
// second, a key once a minute at most: no request waits for it, and none fails where it is lost.
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle
import Synchronization

/// Keeps `api_keys.last_used_at`.
package final class KeyUses: Service {
    /// The most keys that wait to be written, and that are remembered as written (W8).
    static let limit = 10_000
    private static let pause: Duration = .seconds(2)
    private static let rest: Duration = .minutes(1)

    private struct State {
        var noted: [APIKeyID: Timestamp] = [:]
        var written: [APIKeyID: MonotonicInstant] = [:]
    }
    private let database: any PostgresExecutor
    private let logger: Logger
    private let state = Mutex(State())

    /// Nothing has been noted yet.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Notes that a key was accepted; what finds no room is not noted.
    package func note(_ key: APIKeyID, at now: Timestamp) {
        state.withLock { state in
            guard state.written[key] == nil else { return }
            guard state.noted.count < Self.limit || state.noted[key] != nil else { return }
            state.noted[key] = now
        }
    }

    /// Writes what was noted, until shutdown.
    package func run() async throws {
        await untilShutdown(every: Self.pause) {
            try await write()
        } onFailure: {
            logger.warning("uses of keys were not written", metadata: ["error": "\($0)"])
        }
    }

    private func write() async throws {
        let now = MonotonicInstant.now
        let noted = state.withLock { state in
            let noted = state.noted
            state.noted = [:]
            state.written = state.written.filter { now - $0.value < Self.rest }
            for key in noted.keys where state.written.count < Self.limit {
                state.written[key] = now
            }
            return noted
        }
        guard !noted.isEmpty else { return }
        let keys = Array(noted.keys)
        _ = try await database.execute(
            Self.update(keys, keys.map { (noted[$0] ?? Timestamp(seconds: 0)).microseconds })
        )
    }

    /// A row that somebody holds is left: two nodes write the same keys, each in its own order.
    static let update = Statement(
        "api_keys.note_use",
        """
        UPDATE api_keys k
           SET last_used_at = greatest(k.last_used_at, f.at)
          FROM (SELECT x.id, to_timestamp(u.at_us / 1000000.0) AS at
                  FROM unnest($1::uuid[], $2::bigint[]) AS u (id, at_us)
                  JOIN api_keys x ON x.id = u.id
                   FOR NO KEY UPDATE OF x SKIP LOCKED) f
         WHERE k.id = f.id
        """,
        kind: .write,
        binds: [APIKeyID].self,
        [Int64].self
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [update.info] }
}
