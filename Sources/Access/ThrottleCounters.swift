// The throttle of one node, for the time Redis cannot be asked (row 316): the same fixed windows in
// memory. The number of entries is bounded; beyond it the oldest window is forgotten, so a flood of
// new keys costs an attacker many attempts and the node no memory. A value, without clock or I/O.
internal import DequeModule
internal import Primitives

/// Counters in memory.
struct ThrottleCounters {
    private struct Entry {
        var count: Int
        let ends: MonotonicInstant
        let id: UInt64
    }

    private let entriesLimit: Int
    private var entries: [ThrottleSubject: Entry] = [:]
    /// Every window in the order of its beginning; those that have gone are skipped.
    private var ages = Deque<(subject: ThrottleSubject, id: UInt64)>()
    private var lastID: UInt64 = 0

    init(entriesLimit: Int) { self.entriesLimit = max(1, entriesLimit) }

    /// How many subjects are remembered.
    var count: Int { entries.count }

    /// Counts one attempt against every subject, or against none if one is at its limit.
    mutating func reserve(
        _ subjects: [ThrottleSubject],
        at now: MonotonicInstant
    ) -> ThrottleDecision {
        var refusal: (until: MonotonicInstant, rule: String)?
        for subject in subjects {
            guard let entry = current(subject, at: now), entry.count >= subject.rule.limit,
                refusal.map({ entry.ends > $0.until }) ?? true
            else { continue }
            refusal = (entry.ends, subject.rule.name)
        }
        if let refusal { return .refused(retryAfter: refusal.until - now, rule: refusal.rule) }
        let windows = subjects.map { subject in
            var entry = current(subject, at: now) ?? begin(subject, at: now)
            entry.count += 1
            entries[subject] = entry
            return (subject: subject, id: String(entry.id))
        }
        forgetOldest()
        return .allowed(ThrottleReservation(place: .node, windows: windows))
    }

    /// Takes back attempts, each only in the window it was counted in and never below zero.
    mutating func giveBack(_ windows: [(subject: ThrottleSubject, id: String)]) {
        for (subject, id) in windows {
            guard let entry = entries[subject], String(entry.id) == id, entry.count > 0 else {
                continue
            }
            entries[subject]?.count -= 1
        }
    }

    /// Forgets a subject; its place among the ages is skipped when its turn comes.
    mutating func forget(_ subject: ThrottleSubject) { entries[subject] = nil }

    private func current(_ subject: ThrottleSubject, at now: MonotonicInstant) -> Entry? {
        entries[subject].flatMap { $0.ends > now ? $0 : nil }
    }

    private mutating func begin(_ subject: ThrottleSubject, at now: MonotonicInstant) -> Entry {
        lastID += 1
        ages.append((subject, lastID))
        return Entry(count: 0, ends: now + subject.rule.window, id: lastID)
    }

    /// Keeps both the table and the list of ages within bounds.
    private mutating func forgetOldest() {
        while let oldest = ages.first {
            let isStale = entries[oldest.subject]?.id != oldest.id
            guard isStale || entries.count > entriesLimit || ages.count > 2 * entriesLimit else {
                return
            }
            ages.removeFirst()
            if !isStale { entries[oldest.subject] = nil }
        }
    }
}
