// The revocations a node knows: a set that only grows until its members have expired (W2). A
// second revocation of one subject raises its version and its expiry, and never lowers either, so
// nothing is ever un-revoked (S4-T1). A million of them must fit in 64 MB and none of them may
// hold up a check, so the set is cut into many small tables: growing or pruning touches one.
package import Primitives

/// The revocations in memory.
package struct RevocationSet: Sendable {
    private static let tableCount = 256
    /// The parts that it can be gone through by, each short enough for the lock.
    package static let parts = 0..<2 * tableCount
    /// Subjects that are revoked altogether, then those of kinds with versions, which most nodes
    /// have few of: so most look-ups of those end at an empty table.
    private var tables: [RevocationTable]
    private var nextToPrune = 0
    private var pruneRoundBegan = Timestamp(microseconds: 0)

    /// A set of none.
    package init() {
        tables = Self.parts.map { RevocationTable(hasVersions: $0 >= Self.tableCount) }
    }

    /// How many subjects are revoked.
    package private(set) var count = 0
    /// A bit for each kind that there ever was one of.
    private var kindsSeen: UInt32 = 0
    /// Counts the news of what roles permit; whoever has read the roles since holds them (H27).
    package private(set) var roleChanges = 0
    /// Each role that there was news of, with the number of the last; as many as there are roles.
    private var roleNews: [RoleID: Int] = [:]
    /// Counts all that was news.
    package private(set) var changes = 0
    /// Counts the news of the rules of gateways.
    package private(set) var routeChanges = 0
    /// Counts the news of organisations; whoever has compared with the last need not look again.
    package private(set) var tenantChanges = 0

    /// Adds one; of two for a subject the greater version and the later expiry hold.
    ///
    /// - Returns: whether more is revoked than was before.
    @discardableResult
    package mutating func insert(_ entry: RevocationEntry) -> Bool {
        let hash = Self.hash(entry.subject)
        let change = tables[Self.table(entry.subject, hash)].insert(entry, hash)
        guard change != .known else { return false }
        if change == .added { count += 1 }
        changes += 1
        kindsSeen |= 1 << entry.subject.kind.rawValue
        if entry.subject.kind == .role {
            roleChanges += 1
            roleNews[RoleID(high: entry.subject.high, low: entry.subject.low)] = roleChanges
        }
        if entry.subject.kind == .routeRules { routeChanges += 1 }
        if entry.subject.kind == .tenant { tenantChanges += 1 }
        return true
    }

    /// The roles that the news after number `held` are about, with their numbers.
    package func rolesChanged(after held: Int) -> [RoleID: Int] {
        roleNews.filter { $0.value > held }
    }

    /// Whether there was ever anything of a kind; saves the look-up of kinds that are rare.
    package func hasHeld(_ kind: RevocationKind) -> Bool { kindsSeen >> kind.rawValue & 1 == 1 }

    /// Whether `subject` itself is revoked, whatever the version.
    package func contains(_ subject: RevocationSubject) -> Bool {
        lowestVersion(of: subject) != nil
    }

    /// The lowest version of `subject` that is still good; nil where any is.
    package func lowestVersion(of subject: RevocationSubject) -> Int64? {
        guard count > 0 else { return nil }
        let hash = Self.hash(subject)
        return tables[Self.table(subject, hash)].find(subject, hash)?.version
    }

    /// Whether the set has this revocation, or one of the same subject that does more for longer.
    package func covers(_ entry: RevocationEntry) -> Bool {
        let hash = Self.hash(entry.subject)
        guard let held = tables[Self.table(entry.subject, hash)].find(entry.subject, hash) else {
            return false
        }
        let isEnough = !entry.subject.kind.hasVersions || held.version >= entry.version
        return isEnough && held.expiresAt >= entry.expiresAt
    }

    /// Forgets what expired before `now`, which is read from the database's clock, less a margin.
    package mutating func prune(before now: Timestamp) {
        for index in tables.indices { count -= tables[index].prune(before: now) }
    }

    /// Takes one small step of forgetting what expired before `now`; a round of all steps begins at
    /// most every 30 seconds.
    package mutating func pruneStep(before now: Timestamp) {
        if nextToPrune == 0 {
            guard now - pruneRoundBegan > .seconds(30) else { return }
            pruneRoundBegan = now
        }
        for index in [nextToPrune, nextToPrune + Self.tableCount] {
            count -= tables[index].prune(before: now)
        }
        nextToPrune = (nextToPrune + 1) % Self.tableCount
    }

    /// All of it, in no order.
    package var entries: [RevocationEntry] { Self.parts.flatMap { entries(of: $0) } }

    /// What is in one of the parts, in no order.
    package func entries(of part: Int) -> [RevocationEntry] { tables[part].entries }

    private static func table(_ subject: RevocationSubject, _ hash: UInt64) -> Int {
        Int(hash >> 56) + (subject.kind.hasVersions ? tableCount : 0)
    }

    /// Spreads ids whose first half is a time; nobody outside chooses them, so no key is needed.
    fileprivate static func hash(_ subject: RevocationSubject) -> UInt64 {
        var mixed = subject.low ^ (subject.high &* 0x9E37_79B9_7F4A_7C15)
        mixed = (mixed ^ (mixed >> 30)) &+ UInt64(truncatingIfNeeded: subject.kind.rawValue)
        mixed = mixed &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// One open-addressed table with linear probing: 21 bytes a slot, 29 with versions.
///
/// Nothing is ever taken out of it but by building it anew. It grows by half when four fifths are
/// used, so an entry costs at most 40 bytes, or 55.
struct RevocationTable: Sendable {
    /// What an insertion has changed.
    enum Change {
        case added
        case raised
        case known
    }

    private let hasVersions: Bool
    /// `high`, `low` of each slot.
    private var ids: [(high: UInt64, low: UInt64)] = []
    /// In whole seconds, never earlier than they were; it ends in the year 2106.
    private var expiries: [UInt32] = []
    /// Zero where the slot is free.
    private var kinds: [UInt8] = []
    /// Empty where there are none.
    private var versions: [Int64] = []
    private var used = 0

    init(hasVersions: Bool) { self.hasVersions = hasVersions }

    /// Adds, prolongs or raises a subject.
    mutating func insert(_ entry: RevocationEntry, _ hash: UInt64) -> Change {
        if used * 5 >= kinds.count * 4 {
            rebuild(capacity: max(8, kinds.count * 3 / 2)) { _ in true }
        }
        let slot = slot(of: entry.subject, hash)
        let expiry = Self.seconds(entry.expiresAt)
        guard kinds[slot] != 0 else {
            place(entry.subject, expiry, entry.version, at: slot)
            return .added
        }
        expiries[slot] = max(expiries[slot], expiry)
        guard hasVersions, entry.version > versions[slot] else { return .known }
        versions[slot] = entry.version
        return .raised
    }

    /// The version, zero without versions, and the expiry of a subject that is held.
    func find(
        _ subject: RevocationSubject,
        _ hash: UInt64
    ) -> (version: Int64, expiresAt: Timestamp)? {
        guard !kinds.isEmpty else { return nil }
        let slot = slot(of: subject, hash)
        guard kinds[slot] != 0 else { return nil }
        return (version(at: slot), Timestamp(seconds: Int64(expiries[slot])))
    }

    /// Takes out what expired before `now`; returns how many.
    mutating func prune(before now: Timestamp) -> Int {
        let now = Self.seconds(now)
        var left = 0
        for slot in kinds.indices where kinds[slot] != 0 && expiries[slot] >= now { left += 1 }
        let forgotten = used - left
        guard forgotten > 0 else { return 0 }
        rebuild(capacity: left == 0 ? 0 : max(8, left * 3 / 2)) { $0 >= now }
        return forgotten
    }

    var entries: [RevocationEntry] {
        kinds.indices.filter { kinds[$0] != 0 }.map { slot in
            RevocationEntry(
                subject(at: slot),
                version: version(at: slot),
                expiresAt: Timestamp(seconds: Int64(expiries[slot]))
            )
        }
    }

    /// The first whole second that is not before `time`.
    private static func seconds(_ time: Timestamp) -> UInt32 {
        let (whole, part) = time.microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return UInt32(clamping: part > 0 ? whole + 1 : whole)
    }

    private func version(at slot: Int) -> Int64 { hasVersions ? versions[slot] : 0 }

    private func subject(at slot: Int) -> RevocationSubject {
        // Only raw values of kinds are ever stored.
        guard let kind = RevocationKind(rawValue: Int16(kinds[slot])) else {
            preconditionFailure("a slot in use has a kind")
        }
        return RevocationSubject(kind, ID<Named.Entry>(high: ids[slot].high, low: ids[slot].low))
    }

    /// The slot of `subject`, or the free one where it would go; there is always a free one.
    private func slot(of subject: RevocationSubject, _ hash: UInt64) -> Int {
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

    private mutating func place(
        _ subject: RevocationSubject,
        _ expiry: UInt32,
        _ version: Int64,
        at slot: Int
    ) {
        ids[slot] = (subject.high, subject.low)
        expiries[slot] = expiry
        kinds[slot] = UInt8(truncatingIfNeeded: subject.kind.rawValue)
        if hasVersions { versions[slot] = version }
        used += 1
    }

    private mutating func rebuild(capacity: Int, keep: (UInt32) -> Bool) {
        let old = self
        ids = Array(repeating: (0, 0), count: capacity)
        expiries = Array(repeating: 0, count: capacity)
        kinds = Array(repeating: 0, count: capacity)
        if hasVersions { versions = Array(repeating: 0, count: capacity) }
        used = 0
        for slot in old.kinds.indices where old.kinds[slot] != 0 && keep(old.expiries[slot]) {
            let subject = old.subject(at: slot)
            let place = self.slot(of: subject, RevocationSet.hash(subject))
            self.place(subject, old.expiries[slot], old.version(at: slot), at: place)
        }
    }
}
