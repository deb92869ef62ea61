// Numbers by the hour, for administrators: from what was kept of the hours that are over; the
// current hour, and the one before while nobody has counted it, from the range of its own keys. An
// answer covers a month at most, and never reads more than two hours of the live tables.
import Audit
package import Postgres
package import Primitives

/// The numbers of one hour.
package struct HourStatistics: Sendable, Equatable {
    /// When it began; a whole hour of UTC.
    package let hour: Timestamp
    /// Whether it is over.
    package let isOver: Bool
    /// People who registered.
    package let signUps: Int64
    /// Sessions that were opened.
    package let signIns: Int64
    /// Sign-ins that were refused, by outcome; only those there were, by name.
    package let failures: [(outcome: String, count: Int64)]
    /// Sessions alive at its end; nil until they are counted, and where nobody was there to count.
    package let activeSessions: Int64?

    /// The numbers of one hour.
    package init(
        hour: Timestamp,
        isOver: Bool,
        signUps: Int64,
        signIns: Int64,
        failures: [(outcome: String, count: Int64)],
        activeSessions: Int64?
    ) {
        self.hour = hour
        self.isOver = isOver
        self.signUps = signUps
        self.signIns = signIns
        self.failures = failures
        self.activeSessions = activeSessions
    }

    init(_ hour: Timestamp, isOver: Bool, _ values: [String: Int64]) {
        let prefix = "failed:"
        let failures = values.filter { $0.key.hasPrefix(prefix) && $0.value > 0 }
            .map { (outcome: String($0.key.dropFirst(prefix.count)), count: $0.value) }
        self.init(
            hour: hour,
            isOver: isOver,
            signUps: values["sign-ups"] ?? 0,
            signIns: values["sign-ins"] ?? 0,
            failures: failures.sorted { $0.outcome < $1.outcome },
            activeSessions: values[StatisticsStore.activeSessions]
        )
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.hour == right.hour && left.isOver == right.isOver && left.signUps == right.signUps
            && left.signIns == right.signIns && left.activeSessions == right.activeSessions
            && left.failures.elementsEqual(right.failures, by: ==)
    }
}

/// Answers for the statistics.
package struct Statistics: Sendable {
    /// The longest time an answer covers.
    package static let longest: Duration = .days(31)

    let database: any PostgresExecutor

    /// The use case.
    package init(database: any PostgresExecutor) { self.database = database }

    /// The hours that begin in `from ..< to`, oldest first, as far as they were counted.
    ///
    /// `to - from` is `longest` at most. One statement, and one for each of the last two hours that
    /// nobody has counted.
    package func hours(
        from: Timestamp,
        to: Timestamp,
        now: Timestamp
    ) async throws -> [HourStatistics] {
        precondition(to - from <= Self.longest + .hours(1), "an answer covers a month at most")
        var kept: [Timestamp: [String: Int64]] = [:]
        for one in try await database.rows(StatisticsStore.list(from, to)) {
            kept[one.hour, default: [:]][one.measure] = one.value
        }
        let current = now.startOfHour
        for hour in [current - .hours(1), current]
        where hour >= from && hour < to && kept[hour]?["sign-ups"] == nil {
            let range = EntryID.first(at: hour)..<EntryID.first(at: hour + .hours(1))
            let rows = try await database.rows(
                StatisticsStore.count(range.lowerBound, range.upperBound)
            )
            for (measure, value) in rows { kept[hour, default: [:]][measure] = value }
        }
        return kept.sorted { $0.key < $1.key }
            .map { HourStatistics($0.key, isOver: $0.key < current, $0.value) }
    }
}

extension Timestamp {
    /// The whole hour of UTC that the instant lies in.
    package var startOfHour: Timestamp {
        let hour: Int64 = 3_600_000_000
        return Timestamp(microseconds: microseconds - ((microseconds % hour) + hour) % hour)
    }
}
