// The revocations a node knows: a set that only grows until its members have expired (W2). A
// second revocation of one subject raises its version and its expiry, and never lowers either, so
// nothing is ever un-revoked (S4-T1). A million of them must fit in 64 MB and none of them may
// hold up a check, so the set is cut into many small tables: growing or pruning touches one.
package import Primitives

/// The revocations in memory.
package struct RevocationSet: Sendable {
    private static let tableCount = 256
    private var tables: [RevocationTable]
    /// Only kinds that have versions are here, and there are few of those.
    private var versions: [RevocationSubject: Int64] = [:]
    private var nextToPrune = 0
    private var pruneRoundBegan = Timestamp(microseconds: 0)

    /// A set of none.
    package init() { tables = Array(repeating: RevocationTable(), count: Self.tableCount) }

    /// How many subjects are revoked.
    package private(set) var count = 0

    /// Adds one; of two for a subject the greater version and the later expiry hold.
    ///
    /// - Returns: whether more is revoked than was before.
    @discardableResult
    package mutating func insert(_ entry: RevocationEntry) -> Bool {
        let hash = Self.hash(entry.subject)
        let isNew = tables[Self.table(hash)].insert(entry.subject, hash, entry.expiresAt)
        if isNew { count += 1 }
        guard entry.version != 0 else { return isNew }
        let known = versions[entry.subject]
        versions[entry.subject] = max(known ?? entry.version, entry.version)
        return isNew || entry.version > known ?? 0
    }

    /// Whether `subject` itself is revoked, whatever the version.
    package func contains(_ subject: RevocationSubject) -> Bool {
        guard count > 0 else { return false }
        let hash = Self.hash(subject)
        return tables[Self.table(hash)].contains(subject, hash)
    }

    /// The lowest version of `subject` that is still good; nil where any is.
    package func lowestVersion(of subject: RevocationSubject) -> Int64? {
        contains(subject) ? versions[subject] ?? 0 : nil
    }

    /// Forgets what expired before `now`, which is read from the database's clock, less a margin.
    package mutating func prune(before now: Timestamp) {
        for index in tables.indices { prune(index, before: now) }
    }

    /// Takes one small step of forgetting what expired before `now`; a round of all steps begins at
    /// most every 30 seconds.
    package mutating func pruneStep(before now: Timestamp) {
        if nextToPrune == 0 {
            guard now - pruneRoundBegan > .seconds(30) else { return }
            pruneRoundBegan = now
        }
        prune(nextToPrune, before: now)
        nextToPrune = (nextToPrune + 1) % Self.tableCount
    }

    private mutating func prune(_ index: Int, before now: Timestamp) {
        let forgotten = tables[index].prune(before: now)
        count -= forgotten.count
        for subject in forgotten where !versions.isEmpty { versions[subject] = nil }
    }

    /// All of it, in no order.
    package var entries: [RevocationEntry] {
        var all: [RevocationEntry] = []
        all.reserveCapacity(count)
        for table in tables {
            table.visit { subject, expiresAt in
                let version = versions[subject] ?? 0
                all.append(RevocationEntry(subject, version: version, expiresAt: expiresAt))
            }
        }
        return all
    }

    private static func table(_ hash: UInt64) -> Int { Int(hash >> 56) }

    /// Spreads ids whose first half is a time; nobody outside chooses them, so no key is needed.
    fileprivate static func hash(_ subject: RevocationSubject) -> UInt64 {
        var mixed = subject.low ^ (subject.high &* 0x9E37_79B9_7F4A_7C15)
        mixed = (mixed ^ (mixed >> 30)) &+ UInt64(truncatingIfNeeded: subject.kind.rawValue)
        mixed = mixed &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// One open-addressed table with linear probing, 25 bytes a slot.
///
/// Nothing is ever taken out of it but by building it anew.
struct RevocationTable: Sendable {
    /// `high`, `low` of each slot.
    private var ids: [(high: UInt64, low: UInt64)] = []
    private var expiries: [Int64] = []
    /// Zero where the slot is free.
    private var kinds: [UInt8] = []
    private var used = 0

    /// Adds or prolongs `subject`; returns whether it is new.
    mutating func insert(
        _ subject: RevocationSubject,
        _ hash: UInt64,
        _ expiresAt: Timestamp
    ) -> Bool {
        if used * 5 >= kinds.count * 4 {
            rebuild(capacity: max(8, kinds.count * 3 / 2)) { _ in true }
        }
        let slot = find(subject, hash)
        if kinds[slot] == 0 {
            place(subject, expiresAt.microseconds, at: slot)
            return true
        }
        expiries[slot] = max(expiries[slot], expiresAt.microseconds)
        return false
    }

    func contains(_ subject: RevocationSubject, _ hash: UInt64) -> Bool {
        !kinds.isEmpty && kinds[find(subject, hash)] != 0
    }

    /// Takes out what expired before `now` and returns it.
    mutating func prune(before now: Timestamp) -> [RevocationSubject] {
        var forgotten: [RevocationSubject] = []
        for slot in kinds.indices where kinds[slot] != 0 && expiries[slot] < now.microseconds {
            forgotten.append(subject(at: slot))
        }
        guard !forgotten.isEmpty else { return [] }
        let left = used - forgotten.count
        rebuild(capacity: left == 0 ? 0 : max(8, left * 3 / 2)) { $0 >= now.microseconds }
        return forgotten
    }

    func visit(_ body: (RevocationSubject, Timestamp) -> Void) {
        for slot in kinds.indices where kinds[slot] != 0 {
            body(subject(at: slot), Timestamp(microseconds: expiries[slot]))
        }
    }

    private func subject(at slot: Int) -> RevocationSubject {
        // Only raw values of kinds are ever stored.
        guard let kind = RevocationKind(rawValue: Int16(kinds[slot])) else {
            preconditionFailure("a slot in use has a kind")
        }
        return RevocationSubject(kind, ID<Named.Entry>(high: ids[slot].high, low: ids[slot].low))
    }

    /// The slot of `subject`, or the free one where it would go; there is always a free one.
    private func find(_ subject: RevocationSubject, _ hash: UInt64) -> Int {
        let kind = UInt8(truncatingIfNeeded: subject.kind.rawValue)
        // The set took the first eight bits to choose the table.
        var slot = Int((hash << 8).multipliedFullWidth(by: UInt64(kinds.count)).high)
        while kinds[slot] != 0 {
            let id = ids[slot]
            if id.low == subject.low, id.high == subject.high, kinds[slot] == kind { break }
            slot += 1
            if slot == kinds.count { slot = 0 }
        }
        return slot
    }

    private mutating func place(_ subject: RevocationSubject, _ expiry: Int64, at slot: Int) {
        ids[slot] = (subject.high, subject.low)
        expiries[slot] = expiry
        kinds[slot] = UInt8(truncatingIfNeeded: subject.kind.rawValue)
        used += 1
    }

    private mutating func rebuild(capacity: Int, keep: (Int64) -> Bool) {
        let old = self
        ids = Array(repeating: (0, 0), count: capacity)
        expiries = Array(repeating: 0, count: capacity)
        kinds = Array(repeating: 0, count: capacity)
        used = 0
        for slot in old.kinds.indices where old.kinds[slot] != 0 && keep(old.expiries[slot]) {
            let subject = old.subject(at: slot)
            place(subject, old.expiries[slot], at: find(subject, RevocationSet.hash(subject)))
        }
    }
}
