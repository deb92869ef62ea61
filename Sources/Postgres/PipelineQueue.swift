// The bookkeeping of one pipelined connection, without any I/O: what was sent, in order, and what
// its answers mean. A sync ends one implicit transaction, so a failure before it undoes everything
// since the last one, even what had already answered well: answers of writes are held back until
// the sync, and nothing is reported done that a later failure could still undo.
import DequeModule

/// What was sent on a pipeline and not yet answered, and what to do with each answer.
struct PipelineQueue<Job, Answer, Failure> {
    /// How answers are handed out.
    enum Mode {
        /// At once: the statement has no effect that could be undone.
        case read
        /// After the sync; a failed group is repeated one by one.
        case write
        /// After the sync, and never repeated: part of an explicit transaction.
        case transaction
    }

    /// One answer as it comes off the wire.
    enum Reply {
        case success(Answer)
        case failure(Failure)
        /// Not run, because something before it in the same transaction failed.
        case skipped
    }

    /// What the owner of the queue has to do.
    enum Action {
        case deliver(Job, Answer)
        case fail(Job, Failure)
        /// Not to blame and without effect: send it again with a sync of its own.
        case retryAlone(Job)
        /// The statement of this job is, or is not, prepared on the connection now.
        case prepared(Job, Bool)
    }

    private enum Entry {
        case prepare(Job)
        case execute(Job, Mode)
        case sync
    }

    private var entries: Deque<Entry> = []
    private var reply: Reply?
    /// The failure of a prepare, which its own execution, skipped, is to report.
    private var prepareFailure: Failure?
    private var held: [(job: Job, mode: Mode, reply: Reply)] = []
    private var innocents: [Job] = []
    /// Statements since the last sync that was appended.
    private(set) var openCount = 0
    /// Statements sent and not fully answered, without prepares.
    private(set) var statements = 0

    /// Whether nothing is in flight.
    var isEmpty: Bool { entries.isEmpty }

    /// Whether the next answer is that of a sync.
    var expectsSync: Bool {
        if case .sync? = entries.first { true } else { false }
    }

    /// Notes that `job`'s statement was sent for preparation; its execution must follow at once.
    mutating func appendPrepare(_ job: Job) {
        entries.append(.prepare(job))
        openCount += 1
    }

    /// Notes that `job` was sent.
    mutating func appendExecute(_ job: Job, _ mode: Mode) {
        entries.append(.execute(job, mode))
        openCount += 1
        statements += 1
    }

    /// Notes that a sync was sent.
    mutating func appendSync() {
        entries.append(.sync)
        openCount = 0
    }

    /// Takes the answer to the oldest entry; its end is told by `ended`.
    mutating func received(_ reply: Reply) { self.reply = reply }

    /// Takes the end of the answer to the oldest entry.
    mutating func ended() -> Action? {
        guard let entry = entries.first else { return nil }
        let answer = reply ?? .skipped
        reply = nil
        switch entry {
        case .sync: return nil
        case .prepare(let job):
            entries.removeFirst()
            switch answer {
            case .success: return .prepared(job, true)
            case .failure(let failure): prepareFailure = failure
            case .skipped: break
            }
            return .prepared(job, false)
        case .execute(let job, let mode):
            entries.removeFirst()
            statements -= 1
            return execute(job, mode, answer)
        }
    }

    private mutating func execute(_ job: Job, _ mode: Mode, _ answer: Reply) -> Action? {
        var answer = answer
        if let failure = prepareFailure {
            prepareFailure = nil
            answer = .failure(failure)
        }
        guard mode == .read else {
            held.append((job, mode, answer))
            return nil
        }
        switch answer {
        case .success(let result): return .deliver(job, result)
        case .failure(let failure): return .fail(job, failure)
        case .skipped:
            innocents.append(job)
            return nil
        }
    }

    /// Takes the answer to a sync: the transaction is over.
    ///
    /// `verdict` is a failure that concerns
    /// everything in it, such as a commit that was not confirmed (revocation.md H8); its writes
    /// then count as failed and are not repeated, for they may have happened.
    mutating func synced(verdict: Failure?) -> [Action] {
        guard case .sync? = entries.first else { return [] }
        entries.removeFirst()
        // An error in front of the answer to a sync is that of the commit itself: a deferred
        // trigger, a lock waited for in it. Statements that had succeeded before are rolled back.
        var verdict = verdict
        if case .failure(let failure)? = reply { verdict = failure }
        reply = nil
        var actions = innocents.map { Action.retryAlone($0) }
        innocents.removeAll(keepingCapacity: true)
        let isBroken = held.contains { if case .success = $0.reply { false } else { true } }
        var culprit: Failure?
        for (job, mode, reply) in held {
            if case .failure(let failure) = reply, culprit == nil { culprit = failure }
            if let verdict {
                actions.append(.fail(job, verdict))
                continue
            }
            let isFinal = mode == .transaction || held.count == 1
            switch reply {
            case .success(let answer):
                actions.append(isFinal || !isBroken ? .deliver(job, answer) : .retryAlone(job))
            case .failure(let failure):
                actions.append(isFinal ? .fail(job, failure) : .retryAlone(job))
            case .skipped:
                if mode == .transaction, let culprit {
                    actions.append(.fail(job, culprit))
                } else {
                    actions.append(.retryAlone(job))
                }
            }
        }
        held.removeAll(keepingCapacity: true)
        return actions
    }

    /// Shows every job that waits for a final answer.
    func forEachJob(_ body: (Job) -> Void) {
        for (job, _, _) in held { body(job) }
        for job in innocents { body(job) }
        for case .execute(let job, _) in entries { body(job) }
    }

    /// Empties the queue when the connection is gone; all jobs that had no final answer.
    mutating func drain() -> [Job] {
        var jobs = held.map(\.job) + innocents
        for case .execute(let job, _) in entries { jobs.append(job) }
        self = Self()
        return jobs
    }
}
