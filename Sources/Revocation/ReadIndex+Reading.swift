// How the read-index reads: what came since a cursor in one statement, everything page by page in
// one transaction. Entries go into the set in small sections of the lock, and many of them on
// threads of no event loop, so that a million hold nobody up. What a reading says must not count
// before all of it is in the set (S1): the caller takes that step when these functions return.
import Logging
import Postgres
import Primitives
import Synchronization

extension ReadIndex {
    /// The least that a reading in pages is given: it may be long, and while it fails no check is
    /// answered.
    private static let wholeLimit: Duration = .seconds(15)
    /// How many entries go into the set at a time.
    ///
    /// Any of them may be the one for which a table of the set grows, and still the lock is not
    /// held for a third of a millisecond.
    static let sectionSize = 128
    /// With more rows than this an answer is taken in away from the event loop: there, a yield lets
    /// other tasks run, but no socket is read before there are no more.
    private static let rowsOnLoop = 2

    /// Reads `scope` and puts what it brings into the set.
    ///
    /// - Returns: what was read; and, where the node may have to write back what the database
    ///   lacks, what it does have.
    func read(
        _ scope: ReadIndexCore.Scope,
        begun: MonotonicInstant,
        _ limit: Duration?
    ) async throws -> (Reading, present: RevocationSet?) {
        reads.increment()
        let wasLate = state.withLock { $0.wasLate }
        let short = Deadline(begun + (limit ?? readLimit))
        let long = Deadline(begun + (limit ?? max(readLimit, Self.wholeLimit)))
        var present: RevocationSet?
        var reading: Reading?
        if case .since = scope { reading = try await glance(short) }
        // Ends when what has been read counts as covered.
        let looks = reading == nil
        if looks { state.withLock { $0.looking += 1 } }
        defer { if looks { endLook() } }
        switch scope {
        case _ where reading != nil: break
        case .since(let low, _):
            // Counted from now: it may have waited for another's look.
            let own = wasLate ? long : Deadline(.now + (limit ?? readLimit))
            reading = try await readAtOnce(since: low, deadline: own)
            if reading == nil { (reading, _) = try await readPages(since: low, deadline: long) }
        case .everything: (reading, present) = try await readPages(since: nil, deadline: long)
        }
        guard let reading else { throw ReadIndexFault.unconfirmed }
        state.withLock {
            let isWhole = $0.covered.note(reading, of: scope)
            $0.known.databaseTime = max($0.known.databaseTime, reading.databaseTime)
            $0.known.horizon = reading.horizon
            $0.wasLate = false
            guard isWhole else { return }
            $0.known.mark = RevocationMark(
                timeline: reading.timeline,
                low: reading.nextLow,
                heldAt: .now
            )
        }
        readTime.record(.now - begun)
        #if DEBUG
        if Mutant.active == .twoSnapshots {
            return (reading.leased(from: try await revoker.authority().authority), present)
        }
        #endif
        return (reading, present)
    }

    /// How far this node's clock is from the database's, as of a head that has just arrived.
    private func compareClocks(_ reading: Reading) {
        let ahead = clock.now() - reading.databaseTime
        state.withLock { $0.known.skew = ahead < .zero ? .zero - ahead : ahead }
    }

    // MARK: In one statement

    /// Asks for the head alone while nothing happens; nil where something has, or may have.
    ///
    /// Costs a second statement when it was in vain, so it is not tried again before two readings
    /// in a row were of one snapshot. After a read that was late it tells a database that does not
    /// answer, of which checks are told soon, from one that had much to say, which gets more time.
    private func glance(_ deadline: Deadline) async throws -> Reading? {
        guard state.withLock({ $0.covered.isQuiet || $0.wasLate }) else { return nil }
        guard let reading = try await database.first(RevocationLog.glance(), deadline: deadline)
        else { throw ReadIndexFault.unconfirmed }
        compareClocks(reading)
        if !isCovered(reading) {
            // What this one lacks another may be bringing: a hundred thousand are read once.
            await othersLook()
            guard isCovered(reading) else { return nil }
        }
        glances.increment()
        return reading
    }

    private func isCovered(_ reading: Reading) -> Bool {
        state.withLock { $0.covered.isOf(reading) }
    }

    /// Returns when a look into the log that is under way has ended; at once where there is none.
    private func othersLook() async {
        await withCheckedContinuation { continuation in
            let isAlone = state.withLock { state in
                if state.looking > 0 { state.bystanders.append(continuation) }
                return state.looking == 0
            }
            if isAlone { continuation.resume() }
        }
    }

    private func endLook() {
        let woken = state.withLock { state in
            state.looking -= 1
            defer { state.bystanders = [] }
            return state.bystanders
        }
        for continuation in woken { continuation.resume() }
    }

    /// What came since a cursor; nil where that is too much for one answer.
    private func readAtOnce(since low: UInt64, deadline: Deadline) async throws -> Reading? {
        let query = RevocationLog.readSince(String(low))
        let answer = try await database.answer(query, deadline: deadline)
        guard answer.count > 0 else { throw ReadIndexFault.unconfirmed }
        let reading = try Reading(head: answer[0])
        compareClocks(reading)
        let entries = PackedEntries(answer, column: RevocationLog.packedColumn)
        let count =
            answer.count <= Self.rowsOnLoop
            ? try takeIn(entries, noting: reading)
            : try await withTaskExecutorPreference(globalConcurrentExecutor) { @concurrent in
                try takeIn(entries, noting: reading)
            }
        return count < RevocationLog.answerLimit ? reading : nil
    }

    // MARK: Page by page

    /// Everything, or what came since `low`, from one snapshot; nil without an authority row.
    private func readPages(
        since low: UInt64?,
        deadline: Deadline
    ) async throws -> (Reading?, present: RevocationSet?) {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { @concurrent in
            try await database.transaction(deadline: deadline) { transaction in
                try await transaction.execute(RevocationLog.pin())
                guard let reading = try await transaction.first(RevocationLog.readHead()) else {
                    return (nil, nil)
                }
                compareClocks(reading)
                if let low {
                    try await transaction.execute(RevocationLog.openSince(String(low)))
                } else {
                    try await transaction.execute(RevocationLog.openEverything())
                }
                let mayRestore = state.withLock { $0.core.owesRestore(to: reading.timeline) }
                var present = mayRestore ? RevocationSet() : nil
                let news = low == nil ? nil : reading
                var page = try await transaction.answer(RevocationLog.nextPage())
                while page.count == RevocationLog.pageSize {
                    // The server makes the next one while this one is taken in.
                    async let following = transaction.answer(RevocationLog.nextPage())
                    try takeIn(page, noting: news, as: &present)
                    page = try await following
                }
                try takeIn(page, noting: news, as: &present)
                return (reading, present)
            }
        }
    }

    /// Takes in one page; and what the database has goes into a set of its own, if there is one.
    private func takeIn(
        _ page: PostgresResult,
        noting news: Reading?,
        as present: inout RevocationSet?
    ) throws {
        let entries = PackedEntries(page, column: 0)
        if present != nil {
            var copy = entries
            while copy.take(Self.sectionSize, { entry, _ in present?.insert(entry) }) {}
        }
        _ = try takeIn(entries, noting: news)
    }

    // MARK: Into the set

    /// Puts entries into the set, a few each time the lock is held; returns how many there were.
    ///
    /// - Parameter reading: where they are what came since the last reading: the age of the newest
    ///   that is news is noted.
    private func takeIn(_ entries: PackedEntries, noting reading: Reading?) throws -> Int {
        var entries = entries
        var newest: Timestamp?
        var isMore = true
        while isMore {
            isMore = state.withLock { state in
                entries.take(Self.sectionSize) { entry, stamp in
                    guard state.set.insert(entry) else { return }
                    newest = max(newest ?? stamp, stamp)
                }
            }
        }
        guard !entries.isMalformed else { throw ReadIndexFault.unconfirmed }
        if let blind = entries.blindUntil {
            state.withLock { $0.known.blindUntil = max($0.known.blindUntil ?? blind, blind) }
        }
        if let newest, let reading { lag.record(max(.zero, reading.databaseTime - newest)) }
        return entries.taken
    }

    // MARK: After a failover

    /// Writes back what this node knows to be revoked and the new primary does not (H7).
    ///
    /// A failure refuses the checks that wait for it, and the next check tries again. So does a
    /// reading that could not know, when it began, that it would be compared.
    func restore(_ reading: Reading, whatIsNotIn present: RevocationSet?) async throws {
        guard let present else { throw ReadIndexFault.unconfirmed }
        logger.warning("the database has another history than before; its revocations were read")
        var missing: [RevocationEntry] = []
        var count = 0
        for part in RevocationSet.parts {
            missing += look { $0.entries(of: part) }
                .filter { !present.covers($0) && $0.expiresAt > reading.databaseTime }
            let isLast = part == RevocationSet.parts.last
            while missing.count >= 1000 || (isLast && !missing.isEmpty) {
                try await writeBack(missing.prefix(1000))
                count += min(1000, missing.count)
                missing.removeFirst(min(1000, missing.count))
            }
        }
        logger.warning("revocations were written back", metadata: ["missing": "\(count)"])
    }

    private func writeBack(_ entries: ArraySlice<RevocationEntry>) async throws {
        let now = clock.now()
        _ = try await revoker.first(
            RevocationLog.restore(
                entries.map { Int64($0.subject.kind.rawValue) },
                entries.map { ID<Named.Entry>(high: $0.subject.high, low: $0.subject.low) },
                entries.map(\.version),
                entries.map(\.expiresAt.microseconds),
                entries.map { _ in EntryID(at: now, entropy: entropy) },
                now
            ),
            deadline: .after(readLimit)
        )
        restored.increment(by: entries.count)
    }
}
