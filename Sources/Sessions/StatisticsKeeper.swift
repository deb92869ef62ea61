// Counts the hours that are over. Any node does it, one at a time under an advisory lock; the
// others find the work done. The last two hours are counted again each time, because a row may be
// committed late and the clocks of nodes differ; whoever was away catches up a day at a time. Must
// not hold the lock for more than one such step.
import Audit
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle

/// Keeps the statistics.
package final class StatisticsKeeper: Service {
    /// How often the last hours are counted.
    package static let interval: Duration = .minutes(5)
    /// How many hours one step counts, at most.
    package static let hoursAtOnce = 24

    private let database: PostgresPool
    private let longestSession: Duration
    private let clock: WallClock
    private let logger: Logger

    /// A keeper; sessions live for `longestSession` at most.
    package init(
        database: PostgresPool,
        longestSession: Duration,
        clock: WallClock,
        logger: Logger
    ) {
        self.database = database
        self.longestSession = longestSession
        self.clock = clock
        self.logger = logger
    }

    /// What a step has done.
    package enum Step: Sendable, Equatable {
        /// Another node is counting, or has just done so.
        case nothing
        /// So many hours were counted, and there are more.
        case some(Int)
        /// So many hours were counted, the last one among them.
        case all(Int)
    }

    /// Counts until nothing is left, every few minutes, until shutdown.
    package func run() async throws {
        await untilShutdown(every: Self.interval, atOnce: true) {
            try await tend()
        } onFailure: {
            logger.warning("the statistics could not be counted", metadata: ["error": "\($0)"])
        }
    }

    /// Counts step by step until the last hour that is over is counted, by whomever.
    package func tend() async throws {
        while !Task.isShuttingDownGracefully {
            switch try await step() {
            case .nothing: return
            case .some: continue
            case .all:
                try await countSessions()
                return
            }
        }
    }

    /// Counts a day of hours, at most: the last two that were counted, and those after them.
    package func step() async throws -> Step {
        let now = clock.now()
        let current = now.startOfHour
        return try await database.transaction(deadline: .after(.minutes(1))) { transaction in
            guard try await transaction.first(StatisticsStore.lock()) == true else {
                return .nothing
            }
            let latest = try await transaction.first(StatisticsStore.latest())
            if let latest, latest.hour >= current - .hours(1), now - latest.at < Self.interval {
                return .nothing
            }
            var hour = current - .hours(1)
            if let latest {
                hour = min(hour, latest.hour) - .hours(1)
            } else if let oldest = try await transaction.first(StatisticsStore.oldest()) {
                hour = min(hour, oldest.createdAt.startOfHour)
            }
            // What is older than any answer may ask for is not worth the time.
            hour = max(hour, current - Statistics.longest)
            var count = 0
            while hour < current, count < Self.hoursAtOnce {
                let end = hour + .hours(1)
                try await transaction.execute(
                    StatisticsStore.roll(
                        EntryID.first(at: hour),
                        EntryID.first(at: end),
                        hour,
                        now
                    )
                )
                hour = end
                count += 1
            }
            return hour < current ? .some(count) : .all(count)
        }
    }

    /// Counts the sessions that were alive at the end of the last hour, unless that is done.
    ///
    /// A day of keys at a time, without a lock: of two nodes that count, the first is believed.
    private func countSessions() async throws {
        let now = clock.now()
        let end = now.startOfHour
        let hour = end - .hours(1)
        let known = try await database.rows(StatisticsStore.list(hour, end))
        let isCounted = known.contains { $0.measure == StatisticsStore.activeSessions }
        guard !isCounted else { return }
        var total: Int64 = 0
        var start = end - longestSession - .hours(1)
        while start < end {
            let next = min(start + .days(1), end)
            let query = StatisticsStore.alive(
                SessionID.first(at: start),
                SessionID.first(at: next),
                end
            )
            total += try await database.first(query) ?? 0
            start = next
        }
        try await database.execute(StatisticsStore.keepAlive(hour, total, now))
    }
}
