// Keeps the node's rules of gateways as new as what the revocation log has told of them. A check
// never rests on rules that are older: the batch that reveals a change reads them anew before it is
// answered, and where that fails, every request that needs rules is answered 503 (W10, W11).
package import Logging
package import Postgres
import Primitives
package import Revocation
import ServiceLifecycle
import Synchronization

/// Keeps the node's table of rules.
package final class RouteKeeper: Service {
    /// The rules are read all at once.
    private enum Everything { case everything }
    private struct State {
        var table = RouteTable.empty
        /// Which news of the revocation log the table holds.
        var holds = 0
    }
    /// Whether this node judges requests by rules.
    package let isOn: Bool
    private let database: any PostgresExecutor
    private let readIndex: ReadIndex
    private let logger: Logger
    private let state = Mutex(State())
    private let reads = SharedRead<Everything>()

    /// How long one reading may take.
    private let readLimit: Duration

    /// A keeper that has loaded nothing yet, and never does where it is off.
    package init(
        isOn: Bool,
        database: any PostgresExecutor,
        readIndex: ReadIndex,
        readLimit: Duration,
        logger: Logger
    ) {
        self.isOn = isOn
        self.database = database
        self.readIndex = readIndex
        self.readLimit = readLimit
        self.logger = logger
    }

    /// The table as it is now; `catchUp` first.
    package var table: RouteTable { state.withLock { $0.table } }

    /// The table, and how many of the news of the revocation log it has taken in.
    package var current: (table: RouteTable, holds: Int) {
        state.withLock { ($0.table, $0.holds) }
    }

    /// Whether the table holds so many of the news of the revocation log.
    package func holds(_ changes: Int) -> Bool {
        !isOn || state.withLock { $0.holds } >= changes
    }

    /// Reads the rules, unless a reading that began after so many news has done so.
    ///
    /// One statement for all who wait.
    ///
    /// - Parameter version: of what the news tell. A database that has older rules has lost some,
    ///   as a new primary may have: they are not used (W2, W10), until somebody changes them or the
    ///   news are over.
    package func catchUp(to changes: Int, version: Int64) async throws {
        #if DEBUG
        if Mutant.active == .staleRoutes {
            // It takes itself for one that has read.
            state.withLock { $0.holds = max($0.holds, changes) }
            return
        }
        #endif
        // Who has waited twice for a reading that was begun too early has waited enough.
        for _ in 0..<3 where !holds(changes) {
            _ = try await reads.run(.everything) {
                // No table may be newer than what the node has read of the log (decision 17).
                try await read(atLeast: version, covering: changes) {
                    try await readIndex.confirm()
                }
            }
        }
        guard holds(changes) else { throw SharedReadFault.unread }
    }

    /// Reads the rules, where they are on; before the node has read anything of the log.
    package func load() async throws { try await reload {} }

    private func reload(_ confirm: () async throws -> Void) async throws {
        guard isOn else { return }
        _ = try await reads.run(.everything) {
            try await read(atLeast: 0, covering: 0, confirm)
        }
    }

    private func read(
        atLeast version: Int64,
        covering changes: Int,
        _ confirm: () async throws -> Void
    ) async throws {
        let rows = try await database.rows(
            RouteRuleStore.list(),
            deadline: .after(readLimit)
        )
        let table = try RouteTable(rows.compactMap(\.rule), version: rows.first?.version ?? 0)
        try await confirm()
        try state.withLock { state in
            guard table.version >= max(version, state.table.version) else {
                throw RoutesOutdated()
            }
            state.table = table
            state.holds = max(state.holds, changes)
        }
    }

    /// Reads the rules every minute until shutdown.
    package func run() async throws {
        await untilShutdown(every: .seconds(60)) {
            try await reload { try await readIndex.confirm() }
        } onFailure: {
            logger.warning("the rules could not be read again", metadata: ["error": "\($0)"])
        }
    }
}

/// The database has older rules than the revocation log tells of.
package struct RoutesOutdated: Fault {
    package var isTransient: Bool { true }
    package var description: String { "the route rules are older than the revocation log tells" }
}
