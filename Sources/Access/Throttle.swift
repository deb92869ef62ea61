// Limits how often something may be tried, across all nodes. An attempt is reserved before the
// expensive or telling work and given back on success, so parallel attempts cannot outrun the
// limit (row 37). A success gives back its own attempt and nothing else: an owner who signs in does
// not wipe out the count of whoever is guessing (rows 36, 39).
//
// Without Redis each node counts for itself: N nodes then allow N times the limit, never more.
package import Logging
package import Primitives
package import Redis
internal import Synchronization

/// The limits of sign-in, registration and every other place that checks a secret.
///
/// Fixed windows that begin with the first attempt, not GCRA or a sliding log: the promise is
/// "at most 10 guesses per window", and giving back one attempt is exact (GCRA can only guess
/// which slot it returns). The cost is at most twice the limit around a window's end, which does
/// not change what 20 guesses in half an hour are worth.
package final class Throttle: Sendable {
    /// How many subjects a node remembers while Redis is away; about 200 bytes each.
    package static let entriesLimit = 100_000

    private let redis: RedisPool?
    private let logger: Logger
    private let counters: Mutex<ThrottleCounters>
    private let isAlone = Atomic<Bool>(false)
    private let allowed: Counter
    private let refused: Counter
    private let fallback: Counter

    /// A throttle; without `redis` it counts on this node alone.
    ///
    /// The pool must have been given `ThrottleScripts.all`.
    package init(
        redis: RedisPool?,
        logger: Logger,
        metrics: MetricsRegistry,
        entriesLimit: Int = Throttle.entriesLimit
    ) {
        self.redis = redis
        self.logger = logger
        counters = Mutex(ThrottleCounters(entriesLimit: entriesLimit))
        allowed = metrics.counter(
            "watchword_throttle_allowed_total",
            help: "Attempts that were counted and allowed."
        )
        refused = metrics.counter(
            "watchword_throttle_refused_total",
            help: "Attempts refused by a limit."
        )
        fallback = metrics.counter(
            "watchword_throttle_fallback_total",
            help: "Attempts counted on this node alone because Redis did not answer."
        )
    }

    /// Counts one attempt against every subject, or against none if one is at its limit.
    ///
    /// Always answers: when Redis cannot be asked, this node's own counters decide.
    package func reserve(
        _ subjects: [ThrottleSubject],
        deadline: Deadline? = nil
    ) async -> ThrottleDecision {
        let decision = await decide(subjects, deadline)
        switch decision {
        case .allowed: allowed.increment()
        case .refused: refused.increment()
        }
        return decision
    }

    /// Gives one attempt back, after it succeeded; to be called once at most.
    ///
    /// A late call takes nothing from a later window, and no counter goes below zero. If Redis
    /// cannot be asked, the attempt stays counted until its window ends.
    package func giveBack(_ reservation: ThrottleReservation) async {
        switch (reservation.place, redis) {
        case (.node, _), (_, nil): counters.withLock { $0.giveBack(reservation.windows) }
        case (.redis, let redis?):
            do {
                _ = try await redis.run(
                    ThrottleScripts.giveBack,
                    keys: reservation.windows.map(\.subject.redisKey),
                    arguments: reservation.windows.map { .text($0.id) },
                    deadline: nil
                )
            } catch {
                noteLoss(error)
            }
        }
    }

    /// Forgets all attempts of a subject, in Redis and on this node.
    ///
    /// Where Redis is lost other nodes may still count; their windows end by themselves.
    ///
    /// - Throws: the fault of Redis: then it may count on.
    package func forget(_ subject: ThrottleSubject) async throws {
        counters.withLock { $0.forget(subject) }
        guard let redis else { return }
        _ = try await redis.run(
            ThrottleScripts.forget,
            keys: [subject.redisKey],
            arguments: [],
            deadline: nil
        )
    }

    private func decide(
        _ subjects: [ThrottleSubject],
        _ deadline: Deadline?
    ) async -> ThrottleDecision {
        guard !subjects.isEmpty, let redis else { return countHere(subjects) }
        do {
            let reply = try await redis.run(
                ThrottleScripts.reserve,
                keys: subjects.map(\.redisKey),
                arguments: subjects.flatMap {
                    [
                        .number($0.rule.limit),
                        .number(Int($0.rule.window.wholeMicroseconds / 1000)),
                    ]
                },
                deadline: deadline
            )
            let decision = try Self.decision(of: reply, for: subjects)
            noteRecovery()
            return decision
        } catch {
            noteLoss(error)
            fallback.increment()
            return countHere(subjects)
        }
    }

    private func countHere(_ subjects: [ThrottleSubject]) -> ThrottleDecision {
        let now = MonotonicInstant.now
        return counters.withLock { $0.reserve(subjects, at: now) }
    }

    private static func decision(
        of reply: RedisValue,
        for subjects: [ThrottleSubject]
    ) throws(RedisError) -> ThrottleDecision {
        let words = reply.array ?? []
        if words.first == .integer(1), words.count == subjects.count + 1 {
            let windows = zip(subjects, words.dropFirst()).map { (subject: $0, id: $1.text ?? "") }
            return .allowed(ThrottleReservation(place: .redis, windows: windows))
        }
        guard words.first == .integer(0), words.count == 3, let index = words[1].integer,
            subjects.indices.contains(Int(index) - 1), let wait = words[2].integer
        else { throw RedisError(.protocolViolation("an unknown answer of the throttle script")) }
        let rule = subjects[Int(index) - 1].rule
        return .refused(retryAfter: .milliseconds(max(1, wait)), rule: rule.name)
    }

    /// Losing Redis and finding it again are each said once.
    private func noteLoss(_ error: any Error) {
        guard !isAlone.exchange(true, ordering: .relaxed) else { return }
        logger.warning(
            "throttle: counting on this node alone",
            metadata: ["reason": "\(error)"]
        )
    }

    private func noteRecovery() {
        guard isAlone.load(ordering: .relaxed), isAlone.exchange(false, ordering: .relaxed) else {
            return
        }
        logger.info("throttle: counting in Redis again")
    }
}
