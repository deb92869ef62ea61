// The stores of the simulated cluster: PostgreSQL as a list of transactions that get their numbers
// when they begin and are seen when they commit, with failover to a standby, and the members as a
// token and a dense log. They keep A1, A2 and A4 of revocation.md 4.1 unless a fault says
// otherwise. A revocation is one bit, so a set of them is one word and a schedule costs little.
import Primitives
import Revocation

/// What is wrong on purpose: a rule that the shell breaks, or an assumption the world breaks.
enum AuthorityFault: String, CaseIterable, Sendable {
    // The rules of the protocol.
    case acknowledgesBeforeLeases
    case adoptsWithoutDrain
    case checksNoToken
    case readsAuthorityBeforeCommit
    case joinsInFlight
    case readQuorumOne
    case writeQuorumOne
    case tokenIsEpoch
    case fencesOneOfThree
    case publishesToStrangers
    case fencesStrangers
    case asksStrangers
    case readsStaleReplica
    case skipsXmin
    case ignoresEcho
    case splitsThePoll
    case splitsTheSnapshot
    // The assumptions.
    case lossyFailover
    case twoPrimaries
    case frozenClock
    case forgetfulMember
}

/// One server of PostgreSQL.
struct SimulatedPrimary {
    struct Transaction {
        let xid: UInt64
        let bit: UInt64
    }
    private(set) var rows: [Transaction] = []
    private(set) var running: [Transaction] = []
    private(set) var history = 1
    private var nextXid: UInt64 = 10
    var authority = Authority(epoch: 1, state: .pg, lease: .seconds(1))

    mutating func begin(_ bit: UInt64) -> UInt64 {
        running.append(Transaction(xid: nextXid, bit: bit))
        nextXid += 1
        return bit
    }

    /// Whether it was still running; after a failover it is not.
    mutating func commit(_ bit: UInt64) -> Bool {
        guard let index = running.firstIndex(where: { $0.bit == bit }) else { return false }
        rows.append(running.remove(at: index))
        return true
    }

    /// The standby takes over: it has what was seen, and of what was running what was replicated.
    mutating func failOver(history: Int, isLossy: Bool, _ dice: inout Dice) {
        self.history = history
        for transaction in running where dice.below(2) == 0 { rows.append(transaction) }
        running = []
        if isLossy { rows.removeLast(min(rows.count, 1 + dice.below(3))) }
        nextXid = (rows.map(\.xid).max() ?? 9) + 1
    }

    var timeline: DatabaseTimeline {
        DatabaseTimeline(
            timeline: history == 1 ? "1" : "2",
            born: Timestamp(seconds: Int64(history))
        )
    }

    /// What a statement reads now: one snapshot of the log and of the row.
    func read(_ scope: ReadIndexCore.Scope, skipsXmin: Bool) -> SimulatedAnswer {
        var low: UInt64 = 0
        if case .since(let since, _) = scope { low = since }
        let bits = rows.filter { $0.xid >= low }.map(\.bit)
        let oldest = running.first.map(\.xid) ?? nextXid
        let reading = Reading(
            timeline: timeline,
            nextLow: skipsXmin ? nextXid : running.reduce(oldest) { min($0, $1.xid) },
            databaseTime: Timestamp(seconds: 100),
            horizon: .minutes(15),
            authority: authority
        )
        return SimulatedAnswer(reading: reading, bits: bits)
    }
}

/// What a statement has answered, and what of it is not in memory yet.
struct SimulatedAnswer {
    let reading: Reading
    var bits: [UInt64]
}

/// Revocations as bits.
enum SimulatedEntry {
    static func entry(_ bit: UInt64) -> RevocationEntry {
        RevocationEntry(
            RevocationSubject(.session, SessionID(high: 0, low: bit)),
            version: 0,
            expiresAt: Timestamp(seconds: 10_000)
        )
    }

    static func bits(_ entries: [RevocationEntry]) -> UInt64 {
        var bits: UInt64 = 0
        for entry in entries { bits |= entry.subject.low }
        return bits
    }
}

/// One process that is a member, or could be.
struct SimulatedMember {
    private(set) var token: MemberToken?
    private(set) var position: UInt64 = 0
    private(set) var log: [(position: UInt64, bit: UInt64)] = []
    /// No two processes have the same, nor one before and after a crash.
    private(set) var run: Int
    /// Which history it holds; a copy goes on with that of the original.
    private(set) var past: Int

    init(run: Int) { (self.run, past) = (run, run) }

    var identity: MemberIdentity { MemberIdentity(runID: "\(run)", replicationID: "\(past)") }

    mutating func publish(_ token: MemberToken, _ bits: UInt64, checksToken: Bool) -> Bool {
        guard !checksToken || self.token == token else { return false }
        position += 1
        log.append((position, bits))
        return true
    }

    mutating func fence(_ token: MemberToken) {
        if self.token == token { (self.token, position) = (nil, 0) }
    }

    mutating func adopt(_ token: MemberToken) { (self.token, position, log) = (token, 0, []) }

    mutating func crash(run: Int) { self = SimulatedMember(run: run) }

    /// Another process starts from a snapshot of `original`, token included.
    mutating func copy(_ original: SimulatedMember, run: Int) {
        self = original
        self.run = run
    }

    mutating func trim() { log.removeFirst(min(log.count, 2)) }

    /// A4 broken: the last entries are gone, and the token is still there.
    mutating func forgetSome() {
        guard token != nil, position > 0 else { return }
        log.removeAll { $0.position >= position }
        position -= 1
    }

    /// The log behind a position, at most `limit` entries of it.
    func entries(
        after: UInt64,
        limit: Int
    ) -> [(position: UInt64, entry: RevocationEntry?)] {
        var found: [(position: UInt64, entry: RevocationEntry?)] = []
        for item in log where item.position > after && found.count < limit {
            found.append((item.position, SimulatedEntry.entry(item.bit)))
        }
        return found
    }
}
