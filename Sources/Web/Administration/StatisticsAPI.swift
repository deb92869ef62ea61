// The operation that shows numbers by the hour.
import Access
import HTTPTypes
import Primitives
import Sessions

/// Reading the statistics.
package enum StatisticsAPI {
    static let list = Operation<StatisticsQuery, StatisticsReply>(
        "statistics.list",
        .get,
        "/v1/admin/statistics",
        summary: "Sign-ups, sign-ins, failures and sessions by the hour, oldest first.",
        tag: "Administration",
        gate: .permission(.statisticsRead)
    )

    /// All of them.
    static let operations: [OperationInfo] = [list.info]
}

/// `?from&to`.
package struct StatisticsQuery: QueryParameters {
    let from: Timestamp?
    let to: Timestamp?

    /// What is shown where `from` is left out.
    static let usual: Duration = .days(1)

    package init(_ members: inout MemberReader) throws {
        from = members.optional(
            "from",
            .timestamp,
            help: "The hour of this instant and those after; a day before `to` if left out."
        )
        to = members.optional(
            "to",
            .timestamp,
            help: "Hours that begin before this instant; now if left out. 31 days at most."
        )
        guard let from, let to else { return }
        if from > to {
            members.complain("to", "wrong-order", "must not be before `from`")
        } else if to - from > Statistics.longest {
            members.complain("from", "too-long", "must be within 31 days of `to`")
        }
    }

    /// The hours that are meant at `now`.
    ///
    /// - Throws: `validation-failed` where `from` alone reaches back too far.
    func range(_ now: Timestamp) throws -> Range<Timestamp> {
        let to = to ?? max(now, from ?? now)
        let from = (from ?? to - Self.usual).startOfHour
        guard to - from <= Statistics.longest + .hours(1) else {
            let detail = "must be within 31 days of `to`"
            throw ValidationRefusal([MemberError("from", "too-long", detail)])
        }
        return from..<max(from, to)
    }
}

/// How often sign-ins were refused for one reason.
package struct FailureCountReply: ReplyBody {
    let outcome: String
    let count: Int64

    package func write(_ members: inout MemberWriter) {
        members.text(
            "outcome",
            outcome,
            help: "`wrong-password`, `unconfirmed`, `disabled`, `unknown-login` or another."
        )
        members.integer("count", count, help: "How often.")
    }

    package static var example: Self { Self(outcome: "wrong-password", count: 3) }
}

/// The numbers of one hour.
package struct HourReply: ReplyBody {
    let numbers: HourStatistics

    package func write(_ members: inout MemberWriter) {
        members.timestamp("hour", numbers.hour, help: "When it began; a whole hour of UTC.")
        members.boolean("is_over", numbers.isOver, help: "Whether it is over.")
        members.integer(
            "sign_ups",
            numbers.signUps,
            help: "People who registered, or for whom an administrator made an account."
        )
        members.integer("sign_ins", numbers.signIns, help: "Sessions that were opened.")
        members.objects(
            "failures",
            numbers.failures.map { FailureCountReply(outcome: $0.outcome, count: $0.count) },
            help: "Sign-ins that were refused, by outcome; only those there were."
        )
        members.integer(
            "active_sessions",
            numbers.activeSessions,
            help: "Sessions alive at its end; null until they are counted."
        )
    }

    package static var example: Self {
        Self(
            numbers: HourStatistics(
                hour: Timestamp.sample.startOfHour,
                isOver: true,
                signUps: 2,
                signIns: 40,
                failures: [(outcome: "wrong-password", count: 3)],
                activeSessions: 1200
            )
        )
    }
}

/// Numbers by the hour, of a month at most; hours that nobody has counted are left out.
package struct StatisticsReply: ReplyBody {
    let hours: [HourReply]

    package func write(_ members: inout MemberWriter) {
        members.objects("hours", hours, help: "The hours, oldest first.")
    }

    package static var example: Self { Self(hours: [.example]) }
}

extension WebServices {
    func bindStatistics(_ bindings: inout Bindings) {
        bindings.bind(StatisticsAPI.list) { query, context in
            let range = try query.range(context.now)
            let hours = try await insight.statistics.hours(
                from: range.lowerBound,
                to: range.upperBound,
                now: context.now
            )
            return Answer(StatisticsReply(hours: hours.map { HourReply(numbers: $0) }))
        }
    }
}
