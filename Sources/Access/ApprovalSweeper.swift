// Forgets requests that needed a second person, a day after their time is over; the audit log keeps
// what was done with them. Several nodes can sweep at once.
package import Logging
package import Postgres
internal import Primitives
import ServiceLifecycle

/// Sweeps approvals that are over.
package struct ApprovalSweeper: Service {
    private let database: any PostgresExecutor
    private let logger: Logger

    /// A sweeper.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Sweeps every ten minutes until shutdown.
    package func run() async throws {
        await untilShutdown(every: .minutes(10)) {
            try await sweep()
        } onFailure: {
            logger.warning("approvals could not be swept", metadata: ["error": "\($0)"])
        }
    }

    /// Sweeps all that is over for a day now.
    package func sweep() async throws {
        while try await database.execute(ApprovalStore.sweep()) > 0 {}
    }
}
