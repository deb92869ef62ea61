// The batching of read-indexes, as a pure state machine (revocation.md 1.6, 1.7): no clock, no
// I/O, no randomness. A check that arrives joins the *open* batch; a batch is closed before its
// statement is written, so nobody is answered from a read older than his own arrival (H17). At
// most `slots` batches are on the wire. The first waiter of a batch leads it: it runs the read on
// its own event loop and answers the others.
package import Primitives

/// Which history of the database a read came from: the timeline and the start of the server.
///
/// Both change with a failover or a restore, and with them xids mean something else (F4, H34).
package struct DatabaseTimeline: Hashable, Sendable {
    /// The write-ahead log's timeline, in hexadecimal.
    package let timeline: String
    /// When the server was started.
    package let born: Timestamp

    /// A history.
    package init(timeline: String, born: Timestamp) {
        self.timeline = timeline
        self.born = born
    }
}

/// What one read-index said; the revocations that it brought are in the set already.
package struct Reading: Sendable {
    /// The history it came from.
    package let timeline: DatabaseTimeline
    /// Where the next read starts: the xmin of this read's snapshot.
    package let nextLow: UInt64
    /// All of this read's snapshot, as PostgreSQL writes it; nil in tests that are not about that.
    package let snapshot: String?
    /// The database's clock.
    package let databaseTime: Timestamp
    /// The longest life an outstanding access token may have.
    package let horizon: Duration
    /// Who may be asked, as of the same snapshot; nil in tests that are not about that.
    package let authority: Authority?

    /// The result of one read.
    package init(
        timeline: DatabaseTimeline,
        nextLow: UInt64,
        snapshot: String? = nil,
        databaseTime: Timestamp,
        horizon: Duration,
        authority: Authority? = nil
    ) {
        self.timeline = timeline
        self.nextLow = nextLow
        self.snapshot = snapshot
        self.databaseTime = databaseTime
        self.horizon = horizon
        self.authority = authority
    }
}

#if DEBUG
extension Reading {
    /// The same revocations under an authority of another snapshot: a mutant.
    func leased(from authority: Authority) -> Reading {
        Reading(
            timeline: timeline,
            nextLow: nextLow,
            snapshot: snapshot,
            databaseTime: databaseTime,
            horizon: horizon,
            authority: authority
        )
    }
}
#endif

/// The state machine of the batches.
package struct ReadIndexCore: Sendable {
    /// Names a waiting check.
    package typealias Waiter = UInt64
    /// Names a batch.
    package typealias Batch = UInt64

    /// What a batch reads: everything that is not expired, or what came since `low`.
    package enum Scope: Hashable, Sendable {
        case everything
        case since(low: UInt64, on: DatabaseTimeline)
    }

    /// What happens to the machine.
    package enum Event: Sendable {
        /// A check asks to be covered.
        case arrived(Waiter)
        /// The leader of `batch` is about to write its statement.
        case closing(Batch)
        /// The statement answered, and *everything* that it brought is in the set.
        ///
        /// Not before: from here on the cursor is behind it, and another batch may be answered by
        /// what came since (S1). Entries may go into the set one by one and at any time before
        /// that, because each of them is committed, and a set that knows more refuses more.
        case completed(Batch, Reading)
        /// What `restore` asked for has been written.
        case restored(Batch)
        /// It did not.
        case failed(Batch)
        /// The leader of the batch went away; the others are owed a read still.
        case abandoned(Batch)
        /// The members of the authority covered the batch: it needs no statement.
        case confirmed(Batch)
        /// They did not, and the statement follows after all.
        case asking(Batch)
        /// A read for nobody, to renew the lease.
        case renewing
        /// The set may lack something: the next read is of everything.
        case forget
    }

    /// What the shell must do, in this order.
    package enum Effect: Sendable {
        /// Wake this waiter to lead `batch`.
        case lead(Waiter, Batch)
        /// The leader reads this.
        case read(Batch, Scope)
        /// What this reading says counts from now on: how fresh the set is, who may be asked.
        case note(Reading)
        /// The database has another history than before: write back what the set holds and
        /// this reading lacks (H7), then say `restored`; the batch is answered after that.
        case restore(Batch, Reading)
        /// These checks may look into the set now.
        case answer([Waiter])
        /// These checks cannot be answered.
        case refuse([Waiter])
        /// Too many wait; this one is turned away.
        case overloaded(Waiter)
    }

    /// How many batches may be on the wire at once.
    package let slots: Int
    /// How many checks may wait.
    package let waiterLimit: Int
    private var open: (batch: Batch, waiters: [Waiter], isLed: Bool)?
    private var flying: [Batch: (waiters: [Waiter], scope: Scope)] = [:]
    private var nextBatch: Batch = 0
    private var position: (low: UInt64, timeline: DatabaseTimeline)?
    /// The history of the last reading; outlives the cursor, or a failover that comes while the
    /// cursor is forgotten would be taken for none (H7).
    private var history: DatabaseTimeline?
    /// Batches whose reading is being written back.
    private var restoring: Set<Batch> = []
    /// A restore has failed, or did not know all; the next reading of everything restores again.
    private var owesRestore = false
    private var waiting = 0

    /// A machine that has read nothing yet.
    package init(slots: Int = 2, waiterLimit: Int = 10_000) {
        self.slots = slots
        self.waiterLimit = waiterLimit
    }

    /// Takes one step.
    package mutating func step(_ event: Event) -> [Effect] {
        switch event {
        case .arrived(let waiter): arrive(waiter)
        case .closing(let batch): close(batch)
        case .completed(let batch, let reading): complete(batch, reading)
        case .restored(let batch): finishRestore(batch)
        case .failed(let batch): fail(batch)
        case .abandoned(let batch): abandon(batch)
        case .confirmed(let batch): confirm(batch)
        case .asking(let batch): ask(batch)
        case .renewing: renew()
        case .forget: forget()
        }
    }

    private mutating func arrive(_ waiter: Waiter) -> [Effect] {
        guard waiting < waiterLimit else { return [.overloaded(waiter)] }
        waiting += 1
        #if DEBUG
        if Mutant.active == .joinInflight, let batch = flying.keys.min() {
            flying[batch]?.waiters.append(waiter)
            return []
        }
        #endif
        if open == nil {
            open = (nextBatch, [], false)
            nextBatch += 1
        }
        open?.waiters.append(waiter)
        return promote()
    }

    /// Whether a reading of everything from this history will have to be written back (H7).
    package func owesRestore(to timeline: DatabaseTimeline) -> Bool {
        owesRestore || history.map { $0 != timeline } ?? false
    }

    /// Gives the open batch a leader if there is a slot for it.
    private mutating func promote() -> [Effect] {
        guard let batch = open, !batch.isLed, flying.count < slots, let first = batch.waiters.first
        else { return [] }
        open?.isLed = true
        return [.lead(first, batch.batch)]
    }

    private mutating func close(_ batch: Batch) -> [Effect] {
        guard let closing = open, closing.batch == batch else { return [] }
        flying[batch] = (closing.waiters, scope)
        open = nil
        return [.read(batch, scope)]
    }

    /// What a read that starts now must read.
    private var scope: Scope {
        position.map { .since(low: $0.low, on: $0.timeline) } ?? .everything
    }

    private mutating func confirm(_ batch: Batch) -> [Effect] {
        guard let (waiters, _) = flying.removeValue(forKey: batch) else { return [] }
        waiting -= waiters.count
        return [.answer(waiters)] + promote()
    }

    /// The cursor may have moved, or been lost, since the batch was closed.
    private mutating func ask(_ batch: Batch) -> [Effect] {
        guard let (waiters, _) = flying[batch] else { return [] }
        flying[batch] = (waiters, scope)
        return [.read(batch, scope)]
    }

    private mutating func renew() -> [Effect] {
        let batch = nextBatch
        nextBatch += 1
        flying[batch] = ([], scope)
        return [.read(batch, scope)]
    }

    /// A read of a part that is on the wire turns into one of everything when it answers.
    private mutating func forget() -> [Effect] {
        position = nil
        return []
    }

    private mutating func complete(_ batch: Batch, _ reading: Reading) -> [Effect] {
        guard let (waiters, scope) = flying[batch] else { return [] }
        if isForeign(reading, to: scope) {
            if isLate(reading, to: scope) { owesRestore = true }
            // A cursor of one history says nothing in another: read everything, answer later.
            flying[batch] = (waiters, .everything)
            return [.read(batch, .everything)]
        }
        let changed = history.map { $0 != reading.timeline } ?? false
        let isFull = scope == .everything
        advance(to: reading)
        history = reading.timeline
        if isFull, changed || owesRestore {
            owesRestore = false
            restoring.insert(batch)
            return [.note(reading), .restore(batch, reading)]
        }
        flying[batch] = nil
        waiting -= waiters.count
        return [.note(reading), .answer(waiters)] + promote()
    }

    /// Whether the cursor that was read from belongs to another history than what was read.
    private func isForeign(_ reading: Reading, to scope: Scope) -> Bool {
        #if DEBUG
        if Mutant.active == .noTimeline { return false }
        #endif
        guard case .since(_, let expected) = scope else { return false }
        return expected != reading.timeline || position?.timeline != reading.timeline
    }

    /// Whether a history that is over has told this, now that another one is known.
    ///
    /// What it brought is in the set, and may not have been when that was compared: it would be
    /// known here alone, and nowhere once this node has ended (H7).
    private func isLate(_ reading: Reading, to scope: Scope) -> Bool {
        guard let history, case .since(_, let expected) = scope else { return false }
        return expected == reading.timeline && history != expected
    }

    private mutating func finishRestore(_ batch: Batch) -> [Effect] {
        guard restoring.remove(batch) != nil, let (waiters, _) = flying.removeValue(forKey: batch)
        else { return [] }
        waiting -= waiters.count
        return [.answer(waiters)] + promote()
    }

    /// Forgets the cursor where `batch` was writing back, so that the next batch reads everything
    /// and does it again.
    private mutating func giveUpRestore(_ batch: Batch) {
        guard restoring.remove(batch) != nil else { return }
        owesRestore = true
        position = nil
    }

    /// Of two reads of one history the later snapshot has the greater xmin, and everything below
    /// it is in the set already: what its own read began after was applied before it was sent.
    private mutating func advance(to reading: Reading) {
        #if DEBUG
        if Mutant.active == .noTimeline, let position, position.low >= reading.nextLow { return }
        #endif
        if let position, position.timeline == reading.timeline, position.low >= reading.nextLow {
            return
        }
        position = (reading.nextLow, reading.timeline)
    }

    private mutating func fail(_ batch: Batch) -> [Effect] {
        giveUpRestore(batch)
        guard let (waiters, _) = flying.removeValue(forKey: batch) else { return abandon(batch) }
        waiting -= waiters.count
        return [.refuse(waiters)] + promote()
    }

    /// The leader is the first of its batch.
    ///
    /// Those behind him join the open batch, which is later than the one they were in, and so
    /// covers them too.
    private mutating func abandon(_ batch: Batch) -> [Effect] {
        giveUpRestore(batch)
        let waiters: [Waiter]
        if let led = open, led.batch == batch {
            waiters = led.waiters
            open = nil
        } else if let flight = flying.removeValue(forKey: batch) {
            waiters = flight.waiters
        } else {
            return []
        }
        waiting -= 1
        let rest = Array(waiters.dropFirst())
        if let later = open {
            // A leader that is on its way must stay the first of its batch.
            open = (later.batch, later.waiters + rest, later.isLed)
        } else if !rest.isEmpty {
            open = (nextBatch, rest, false)
            nextBatch += 1
        }
        return promote()
    }
}
