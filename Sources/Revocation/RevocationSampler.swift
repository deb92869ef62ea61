// Looks again, a second later, at a small share of the checks that were accepted: had a revocation
// that covers the token been in force before? That must never be (W1); this is the alarm, and no
// answer depends on it (revocation.md 7.4). It goes by marks, each the xmin of a snapshot: what is
// below was committed before this node held the mark, so a read begun later sees it; one lease
// later where members are asked, and older by the staleness in bounded mode. It must not go by
// stamps, which a commit may follow long after. What came after the last mark is not judged.
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle
import Synchronization

/// Decides which checks are looked at; one on each event loop, without a lock.
package struct SampleDraw: Sendable {
    private let entropy: Entropy
    /// One check in so many; 0 for none.
    private let period: UInt64
    private var left: UInt64 = 0

    /// Draws a share of checks, on average.
    package init(share: Double, entropy: Entropy) {
        self.entropy = entropy
        period = share <= 0 ? 0 : UInt64((1 / max(share, 1e-12)).rounded())
        left = gap()
    }

    /// Whether the next check is one.
    package mutating func next() -> Bool {
        guard period > 0 else { return false }
        left -= 1
        guard left == 0 else { return false }
        left = gap()
        return true
    }

    /// From one to the next: `period` on average, and nobody can tell when.
    private func gap() -> UInt64 { period == 0 ? 0 : 1 + entropy.next() % (2 * period - 1) }
}

/// A check that was chosen before it began.
package struct SampleStart: Sendable {
    /// Before the check asked for a confirmation.
    let begunAt: MonotonicInstant
    /// How much older than itself its answer may be.
    let staleness: Duration
    /// The last read that had answered by then.
    let mark: RevocationMark?
}

/// What covers a token: any entry for the subject above this version.
package struct CoveredBy: Sendable {
    let subject: RevocationSubject
    let version: Int64

    /// An entry for `subject`, of whatever version.
    package init(_ subject: RevocationSubject) {
        self.subject = subject
        version = -1
    }

    /// An entry for `subject` that wants more than `version`.
    package init(_ subject: RevocationSubject, above version: Int64) {
        self.subject = subject
        self.version = version
    }
}

/// The sampler of one node.
package final class RevocationSampler: Service {
    private struct Sample {
        let start: SampleStart
        let acceptedAt: MonotonicInstant
        let covers: [CoveredBy]
    }
    private struct State {
        var draw: SampleDraw
        var queue: [Sample] = []
        /// Taken from the queue and not yet judged.
        var asked = 0
    }

    private let share: Double
    private let database: any PostgresExecutor
    private let readIndex: ReadIndex
    private let settings: AuthoritySettings
    private let entropy: Entropy
    private let logger: Logger
    private let state: Mutex<State>
    private let checks: Counter
    private let violations: Counter
    private let dropped: Counter
    private let rounds: Counter

    /// How often a mark is taken, and how long after its acceptance a check is looked at.
    private static let pause: Duration = .seconds(1)
    /// The most that wait to be looked at; more are dropped and counted.
    package static let queueLimit = 1000
    /// The most marks that are remembered, one a second: longer than any lease and any staleness.
    private static let markLimit = 300

    /// A sampler of a `share` of the accepted checks.
    package init(
        share: Double,
        database: any PostgresExecutor,
        readIndex: ReadIndex,
        authority settings: AuthoritySettings,
        entropy: Entropy,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.share = share
        self.database = database
        self.readIndex = readIndex
        self.settings = settings
        self.entropy = entropy
        self.logger = logger
        state = Mutex(State(draw: SampleDraw(share: share, entropy: entropy)))
        checks = metrics.counter(
            "watchword_revocation_sampler_checks_total",
            help: "Accepted checks that were compared with the revocation log afterwards."
        )
        violations = metrics.counter(
            "watchword_revocation_sampler_violations_total",
            help: "Accepted checks of tokens that had been revoked before; must stay 0."
        )
        dropped = metrics.counter(
            "watchword_revocation_sampler_dropped_total",
            help: "Accepted checks that were chosen and could not be compared."
        )
        rounds = metrics.counter(
            "watchword_revocation_sampler_rounds_total",
            help: "Times the sampler has asked PostgreSQL; it stands still where it cannot."
        )
    }

    // MARK: The checks' side

    /// A draw of one's own.
    package func makeDraw() -> SampleDraw { SampleDraw(share: share, entropy: entropy) }

    /// Begins a sample where the draw that all share says so; before the check is confirmed.
    package func draw(staleness: Duration?) -> SampleStart? {
        guard share > 0, state.withLock({ $0.draw.next() }) else { return nil }
        return begin(staleness: staleness)
    }

    /// Begins a sample; before the check is confirmed.
    package func begin(staleness: Duration?) -> SampleStart {
        SampleStart(begunAt: .now, staleness: staleness ?? .zero, mark: readIndex.known.mark)
    }

    /// The check was accepted.
    package func accept(_ start: SampleStart, coveredBy covers: [CoveredBy]) {
        let sample = Sample(start: start, acceptedAt: .now, covers: covers)
        let isTaken = state.withLock { state in
            guard state.queue.count < Self.queueLimit else { return false }
            state.queue.append(sample)
            return true
        }
        if !isTaken { dropped.increment() }
    }

    /// How many have not been looked at yet.
    package var waiting: Int { state.withLock { $0.queue.count + $0.asked } }

    // MARK: The task

    /// Looks at what was accepted until shutdown.
    package func run() async throws {
        var marks: [RevocationMark] = []
        var lastReadAt: MonotonicInstant?
        while !Task.isShuttingDownGracefully {
            do {
                try await cancelWhenGracefulShutdown {
                    // Without a share there is nothing to do but to wait for the end.
                    try await Task.sleep(for: self.share > 0 ? Self.pause : .days(1))
                }
                // Where nothing is checked nothing is asked: an idle node is silent.
                let readAt = readIndex.readAt
                guard share > 0, readAt != lastReadAt || waiting > 0 else { continue }
                lastReadAt = readAt
                try await round(&marks)
            } catch is CancellationError {
                return
            } catch {
                logger.info("the sampler could not ask", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Asks about all that are due, and takes a mark with the same statement.
    private func round(_ marks: inout [RevocationMark]) async throws {
        let due = takeDue(before: .now)
        defer { state.withLock { $0.asked = 0 } }
        var lows: [UInt64?] = []
        let newest = marks.last?.timeline
        for sample in due { lows.append(low(for: sample.start, marks, on: newest)) }
        let row: AuditRow
        do {
            row = try await ask(due, lows)
        } catch {
            dropped.increment(by: due.count)
            throw error
        }
        defer { rounds.increment() }
        let isSameHistory = row.timeline == newest
        if !isSameHistory { marks = [] }
        marks.append(RevocationMark(timeline: row.timeline, low: row.low, heldAt: .now))
        if marks.count > Self.markLimit { marks.removeFirst() }
        // In another history an xid names another transaction (F4, H34).
        let judged = isSameHistory ? lows.count { $0 != nil } : 0
        checks.increment(by: judged)
        dropped.increment(by: due.count - judged)
        guard isSameHistory else { return }
        for (_, kind) in row.violations {
            violations.increment()
            logger.critical(
                "a check has accepted a token that had been revoked",
                metadata: ["kind": "\(kind)"]
            )
        }
    }

    private func takeDue(before now: MonotonicInstant) -> [Sample] {
        state.withLock { state in
            let due = state.queue.filter { now - $0.acceptedAt >= Self.pause }
            state.queue.removeAll { now - $0.acceptedAt >= Self.pause }
            state.asked = due.count
            return due
        }
    }

    /// Below what the check must have seen everything; nil where there is no mark old enough.
    private func low(
        for start: SampleStart,
        _ marks: [RevocationMark],
        on timeline: DatabaseTimeline?
    ) -> UInt64? {
        let delay = start.staleness + allowance
        var low: UInt64?
        for mark in marks + [start.mark].compactMap(\.self) {
            guard mark.heldAt + delay <= start.begunAt, mark.timeline == timeline else { continue }
            low = max(low ?? 0, mark.low)
        }
        return low
    }

    /// How long after its commit a revocation may stay unseen: not at all where PostgreSQL is
    /// asked, a lease where members may be: what was never acknowledged is not on them (H18).
    private var allowance: Duration {
        let authority = readIndex.authority
        if settings.members.isEmpty, authority?.state == .pg { return .zero }
        return LeaseRule.drainTime(max(settings.lease, authority?.lease ?? .zero))
    }

    private func ask(_ due: [Sample], _ lows: [UInt64?]) async throws -> AuditRow {
        var numbers: [Int64] = []
        var below: [Int64] = []
        var covers: [CoveredBy] = []
        for (number, (sample, low)) in zip(due, lows).enumerated() {
            guard let low else { continue }
            for cover in sample.covers {
                numbers.append(Int64(number))
                below.append(Int64(low))
                covers.append(cover)
            }
        }
        let row = try await database.first(
            SamplerStore.audit(
                numbers,
                below,
                covers.map { Int64($0.subject.kind.rawValue) },
                covers.map { ID<Named.Entry>(high: $0.subject.high, low: $0.subject.low) },
                covers.map(\.version)
            ),
            deadline: .after(.seconds(5))
        )
        guard let row else { throw ReadIndexFault.unconfirmed }
        return row
    }
}
