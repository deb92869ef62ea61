// The shell around `ReadIndexCore`: runs its reads against PostgreSQL and keeps the set. A check
// calls `confirm`; when that returns, every revocation acknowledged before the call is in the set
// (S1). The leader of a batch runs the statement in its own task, so a check that leads never
// leaves its event loop, and no task is started for it.
package import Logging
package import Postgres
package import Primitives
import Synchronization

/// Why a check could not be confirmed.
package enum ReadIndexFault: Fault {
    /// The read that would have covered it failed.
    case unconfirmed
    /// Too many checks wait.
    case overloaded
    /// The log holds a revocation of a kind that this version cannot judge.
    case unknownKind

    package var isTransient: Bool { true }
    package var description: String {
        switch self {
        case .unconfirmed: "the revocation log could not be read"
        case .overloaded: "too many checks wait for the revocation log"
        case .unknownKind:
            "the revocation log holds a kind of revocation that this version does not know"
        }
    }
}

/// What a node knows of the database, as of its last read.
package struct ReadIndexState: Sendable {
    /// The database's clock at the last read.
    package var databaseTime = Timestamp(microseconds: 0)
    /// When the last successful read was begun.
    package var readAt: MonotonicInstant?
    /// The longest life an outstanding access token may have.
    package var horizon: Duration = .days(1)
    /// How far this node's wall clock is from the database's, either way.
    package var skew: Duration = .zero
    /// The snapshot of a read that has answered, for the sampler.
    package var mark: RevocationMark?
    /// Until when there are revocations that this version cannot judge; nil for none.
    package var blindUntil: Timestamp?

    /// Whether there are revocations that this version cannot judge: then it judges nothing (W10).
    package var isBlind: Bool { blindUntil.map { $0 > databaseTime - .seconds(60) } ?? false }
}

/// The read-index of one node.
package final class ReadIndex: Sendable {
    enum Signal {
        case answered
        case refused
        case overloaded
        case lead(ReadIndexCore.Batch)
    }
    struct State {
        var core: ReadIndexCore
        var set = RevocationSet()
        var continuations: [ReadIndexCore.Waiter: CheckedContinuation<Signal, Never>] = [:]
        var nextWaiter: ReadIndexCore.Waiter = 0
        var known = ReadIndexState()
        var authority = AuthorityCore()
        /// Leaders whose batch asks the members, and when it was closed.
        var polling: [ReadIndexCore.Batch: Polling] = [:]
        /// An authority that must be closed, and why.
        var closing: (Authority, Distrust)?
        /// The authority of the last read.
        var lastSeen: Authority?
        /// Whether the members have answered the batch that was decided last.
        var isAnsweredByMembers = false
        /// The last snapshot all of whose revocations are in the set.
        var covered = CoveredSnapshot()
        /// How many reads look into the log, and who waits for what they bring.
        var looking = 0
        var bystanders: [CheckedContinuation<Void, Never>] = []
        /// Before this no further batch is closed.
        var nextStart = MonotonicInstant(nanoseconds: 0)
        /// Whether the last read was not answered in time.
        ///
        /// Were the next one given no more, what is too much for one read would be so for ever.
        var wasLate = false
    }
    struct Polling {
        let leader: CheckedContinuation<Bool, Never>
        let begun: MonotonicInstant
    }

    /// How long one read may take before the checks it covers are answered 503.
    let readLimit: Duration
    private let pace: Duration
    let database: PostgresPool
    let members: AuthorityMembers
    let revoker: Revoker
    let clock: WallClock
    let entropy: Entropy
    let logger: Logger
    let state: Mutex<State>
    let reads: Counter
    let glances: Counter
    private let covered: Counter
    let restored: Counter
    let readTime: Histogram
    private let batches: Histogram
    let lag: Histogram
    let instruments: AuthorityMetrics

    /// A read-index over `database`, which must be the primary.
    ///
    /// - Parameter pace: the least time from one batch to the next.
    package init(
        database: PostgresPool,
        members: AuthorityMembers,
        revoker: Revoker,
        readLimit: Duration,
        pace: Duration = .zero,
        clock: WallClock,
        entropy: Entropy,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.database = database
        self.entropy = entropy
        self.members = members
        self.revoker = revoker
        instruments = AuthorityMetrics(metrics)
        self.readLimit = readLimit
        self.pace = pace
        self.clock = clock
        self.logger = logger
        state = Mutex(State(core: ReadIndexCore()))
        reads = metrics.counter(
            "watchword_revocation_reads_total",
            help: "Read-indexes sent to the authority."
        )
        glances = metrics.counter(
            "watchword_revocation_glances_total",
            help:
                "Read-indexes that found the database's snapshot as it was, and looked no further."
        )
        covered = metrics.counter(
            "watchword_revocation_checks_total",
            help: "Checks covered by read-indexes."
        )
        restored = metrics.counter(
            "watchword_revocation_restored_total",
            help: "Revocations written back after the database changed its history."
        )
        readTime = metrics.histogram(
            "watchword_revocation_read_seconds",
            help: "Time of one read-index."
        )
        batches = metrics.sizes(
            "watchword_revocation_batch_checks",
            help: "Checks that one read-index has covered; a desk brings many requests as one."
        )
        lag = metrics.histogram(
            "watchword_revocation_lag_seconds",
            help:
                "Age of the newest revocation of a read of PostgreSQL that this node did not hold."
        )
        metrics.computed(
            "watchword_revocation_set_size",
            help: "Revocations held in memory."
        ) { [weak self] in Double(self?.count ?? 0) }
        instruments.publish(of: self, metrics)
        metrics.computed(
            "watchword_clock_skew_seconds",
            help: "Distance of the node's clock from the database's."
        ) { [weak self] in self?.known.skew.inSeconds ?? 0 }
    }

    /// How many revocations are held.
    package var count: Int { state.withLock { $0.set.count } }

    /// What is known of the database.
    package var known: ReadIndexState { state.withLock { $0.known } }

    /// Whether checks may rest on what is in memory, and how new that is.
    package var freshness: (readAt: MonotonicInstant?, isBlind: Bool, roleChanges: Int) {
        state.withLock { ($0.known.readAt, $0.known.isBlind, $0.set.roleChanges) }
    }

    /// Counts the news of the rules of gateways.
    package var routeChanges: Int { state.withLock { $0.set.routeChanges } }

    /// The same, and the version of the rules that the latest news tells of; zero where it is over.
    package var routeNews: (count: Int, version: Int64) {
        let subject = RevocationSubject(only: .routeRules)
        return state.withLock { ($0.set.routeChanges, $0.set.lowestVersion(of: subject) ?? 0) }
    }

    /// The database's clock at the last read.
    package var databaseTime: Timestamp { state.withLock { $0.known.databaseTime } }

    /// When the last successful read was begun; nil before the first.
    package var readAt: MonotonicInstant? { state.withLock { $0.known.readAt } }

    /// Looks into the set.
    ///
    /// Call `confirm` first, or the answer may be older than the question.
    package func look<R: Sendable>(_ body: (borrowing RevocationSet) -> R) -> R {
        state.withLock { body($0.set) }
    }

    /// Returns when every revocation acknowledged before this call is in the set.
    ///
    /// About one statement for all checks that wait at the same time, whatever their number.
    ///
    /// - Throws: the fault of the database, or `ReadIndexFault`; never answers from an old read.
    package func confirm() async throws { try await confirm(within: nil) }

    private func confirm(within limit: Duration?) async throws {
        let signal = await withCheckedContinuation { continuation in
            let effects = state.withLock { state in
                let waiter = state.nextWaiter
                state.nextWaiter += 1
                state.continuations[waiter] = continuation
                return state.core.step(.arrived(waiter))
            }
            perform(effects)
        }
        switch signal {
        case .answered: break
        case .refused: throw ReadIndexFault.unconfirmed
        case .overloaded: throw ReadIndexFault.overloaded
        case .lead(let batch): try await lead(batch, limit)
        }
        if freshness.isBlind { throw ReadIndexFault.unknownKind }
    }

    /// Reads the whole log for the first time, which no check waits for yet.
    ///
    /// So it may take longer than `readLimit`, and is tried again, with growing pauses, while the
    /// database is away.
    ///
    /// - Parameters:
    ///   - limit: how long one attempt may take.
    ///   - patience: after how long no further attempt is made.
    /// - Throws: what the last attempt threw, or at once what waiting does not mend.
    package func load(
        within limit: Duration = .seconds(30),
        patience: Duration = .minutes(1)
    ) async throws {
        let end = Deadline.after(patience)
        var pause = Duration.milliseconds(50)
        while true {
            do {
                return try await confirm(within: limit)
            } catch let fault as any Fault where fault.isTransient && !end.hasPassed {
                logger.warning(
                    "the revocation log could not be read yet",
                    metadata: ["error": "\(fault)"]
                )
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    /// Lets the checks of this turn of the event loop join, closes the batch, reads, answers.
    private func lead(_ batch: ReadIndexCore.Batch, _ limit: Duration?) async throws {
        await Task.yield()
        do {
            try await keepPace()
            var scope = perform(step(.closing(batch)))
            if scope != nil {
                // Closed first, and only then is anything written (H17).
                if await consult(batch) { return }
                scope = perform(step(.asking(batch)))
            }
            try await finish(batch, scope, limit)
        } catch is CancellationError {
            perform(step(.abandoned(batch)))
            throw CancellationError()
        } catch {
            perform(step(.failed(batch)))
            throw error
        }
    }

    /// Waits until the next batch may be closed; who comes meanwhile is in it.
    private func keepPace() async throws {
        guard pace > .zero else { return }
        let wait = state.withLock { state in
            let now = MonotonicInstant.now
            let start = max(now, state.nextStart)
            state.nextStart = start + pace
            return start - now
        }
        if wait > .zero { try await Task.sleep(for: wait) }
    }

    /// Reads for nobody, to renew the lease and to learn what the members did not tell.
    package func renew() async throws {
        let effects = step(.renewing)
        guard case .read(let batch, _) = effects.first else { return }
        do {
            try await finish(batch, perform(effects))
        } catch {
            perform(step(.failed(batch)))
            throw error
        }
    }

    /// Reads `first` and what follows from it, and answers the batch.
    private func finish(
        _ batch: ReadIndexCore.Batch,
        _ first: ReadIndexCore.Scope?,
        _ limit: Duration? = nil
    ) async throws {
        var scope = first
        while let wanted = scope {
            let (effects, present) = try await read(wanted, for: batch, limit)
            scope = perform(effects)
            for case .restore(_, let reading) in effects {
                try await restore(reading, whatIsNotIn: present)
                perform(step(.restored(batch)))
            }
        }
    }

    /// Reads, and what that means.
    private func read(
        _ scope: ReadIndexCore.Scope,
        for batch: ReadIndexCore.Batch,
        _ limit: Duration?
    ) async throws -> (effects: [ReadIndexCore.Effect], present: RevocationSet?) {
        state.withLock { _ = $0.authority.step(.asking(batch)) }
        let begun = MonotonicInstant.now
        do {
            let (reading, present) = try await read(scope, begun: begun, limit)
            // Only now, with all that it brought in the set, may anybody rest on it (S1).
            return (state.withLock { complete(batch, reading, begun: begun, &$0) }, present)
        } catch {
            let isLate = (error as? PostgresError)?.kind == .deadline
            state.withLock {
                _ = $0.authority.step(.unread(batch))
                if isLate { $0.wasLate = true }
            }
            throw error
        }
    }

    func step(_ event: ReadIndexCore.Event) -> [ReadIndexCore.Effect] {
        state.withLock { $0.core.step(event) }
    }

    /// Takes the step of a read whose entries are in the set.
    private func complete(
        _ batch: ReadIndexCore.Batch,
        _ reading: Reading,
        begun: MonotonicInstant,
        _ state: inout State
    ) -> [ReadIndexCore.Effect] {
        let effects = state.core.step(.completed(batch, reading))
        for effect in effects {
            switch effect {
            case .note(let reading):
                // Not before: whoever sees how fresh the set is must find it so (S3).
                state.known.readAt = max(state.known.readAt ?? begun, begun)
                state.set.pruneStep(before: reading.databaseTime - .seconds(60))
                guard let authority = reading.authority else { continue }
                state.lastSeen = authority
                _ = state.authority.step(
                    .learned(batch, authority, reading.timeline, begun: begun)
                )
            case .read: _ = state.authority.step(.historyChanged)
            case .lead, .restore, .answer, .refuse, .overloaded: break
            }
        }
        return effects
    }

    /// Wakes whom the effects name; returns what is to be read next, if anything is.
    @discardableResult
    func perform(_ effects: [ReadIndexCore.Effect]) -> ReadIndexCore.Scope? {
        var scope: ReadIndexCore.Scope?
        for effect in effects {
            switch effect {
            case .read(_, let wanted): scope = wanted
            case .lead(let waiter, let batch): resume([waiter], .lead(batch))
            case .answer(let waiters):
                covered.increment(by: waiters.count)
                if !waiters.isEmpty { batches.record(size: waiters.count) }
                resume(waiters, .answered)
            case .refuse(let waiters): resume(waiters, .refused)
            case .overloaded(let waiter): resume([waiter], .overloaded)
            case .note, .restore: break
            }
        }
        return scope
    }

    /// The leader has no continuation any more: it is the one who runs this.
    private func resume(_ waiters: [ReadIndexCore.Waiter], _ signal: Signal) {
        let woken = state.withLock { state in
            waiters.compactMap { state.continuations.removeValue(forKey: $0) }
        }
        for continuation in woken { continuation.resume(returning: signal) }
    }
}
