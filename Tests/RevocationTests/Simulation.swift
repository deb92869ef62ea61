// A small world for `ReadIndexCore`: one node, some revokers, some checks, and a model of
// PostgreSQL that does what makes read-indexes hard. Transactions get their xids when they begin
// and become visible when they commit, in any order; a statement sees one snapshot, taken some time
// after it was sent; a failover keeps what was acknowledged and uses lost xids again. One seed is
// one schedule.
import Primitives
import Revocation

/// What is wrong on purpose, so that the monitor can show that it notices.
enum Mutation: CaseIterable, Sendable {
    /// A check joins a batch that is on the wire already (F5).
    case joinsInFlight
    /// The cursor is the highest number seen, not the xmin (F1).
    case cursorByNumber
    /// A failover goes unnoticed (F4).
    case blindToFailover
    /// A reading counts before all that it brought is in the set.
    case countsTooEarly
}

/// The random numbers of one schedule (SplitMix64).
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}

/// The model of PostgreSQL.
struct ModelDatabase {
    struct Row {
        let xid: UInt64
        let subject: UInt64
        var isAcknowledged = false
    }
    private(set) var rows: [Row] = []
    private(set) var running: [Row] = []
    private(set) var history = 1
    private var nextXid: UInt64 = 10
    private var nextSubject: UInt64 = 1

    mutating func begin() {
        running.append(Row(xid: nextXid, subject: nextSubject))
        nextXid += 1
        nextSubject += 1
    }

    mutating func commit(_ index: Int) { rows.append(running.remove(at: index)) }

    mutating func acknowledge(_ index: Int) { rows[index].isAcknowledged = true }

    /// The standby takes over: it has what was acknowledged (A1), and its own next xid.
    mutating func failOver() {
        history += 1
        running = []
        rows.removeAll { !$0.isAcknowledged }
        nextXid = (rows.map(\.xid).max() ?? 9) + 1
    }

    var acknowledged: Set<UInt64> { Set(rows.filter(\.isAcknowledged).map(\.subject)) }

    /// What a statement reads now.
    func read(_ scope: ReadIndexCore.Scope, _ mutation: Mutation?) -> ModelAnswer {
        let low: UInt64
        if case .since(let since, _) = scope { low = since } else { low = 0 }
        let found = rows.filter { $0.xid >= low }
        let xmin = running.map(\.xid).min() ?? nextXid
        let shown = mutation == .blindToFailover ? 1 : history
        let reading = Reading(
            timeline: DatabaseTimeline(
                timeline: "\(shown)",
                born: Timestamp(seconds: Int64(shown))
            ),
            nextLow: mutation == .cursorByNumber ? (rows.map(\.xid).max() ?? 0) + 1 : xmin,
            databaseTime: Timestamp(seconds: 100),
            horizon: .minutes(15)
        )
        return ModelAnswer(
            reading: reading,
            entries: found.map {
                RevocationEntry(
                    RevocationSubject(.session, SessionID(high: 0, low: $0.subject)),
                    version: 0,
                    expiresAt: Timestamp(seconds: 10_000)
                )
            }
        )
    }
}

/// What a statement has answered, and what of it is not in the set yet.
struct ModelAnswer {
    let reading: Reading
    var entries: [RevocationEntry]
}

/// One schedule: a random walk over everything that can happen next.
struct Simulation {
    private enum Flight {
        case sent(ReadIndexCore.Scope)
        case answered(ModelAnswer)
    }
    private var dice: Dice
    private let mutation: Mutation?
    private var core = ReadIndexCore(slots: 2, waiterLimit: 12)
    private var database = ModelDatabase()
    private var set = RevocationSet()
    private var flights: [ReadIndexCore.Batch: Flight] = [:]
    private var led: [ReadIndexCore.Batch] = []
    private var restoring: [ReadIndexCore.Batch] = []
    private var leaders: [ReadIndexCore.Batch: ReadIndexCore.Waiter] = [:]
    private var owed: [ReadIndexCore.Waiter: Set<UInt64>] = [:]
    private var stowaways: [ReadIndexCore.Batch: [ReadIndexCore.Waiter]] = [:]
    private var nextWaiter: ReadIndexCore.Waiter = 0
    /// How many checks were answered.
    private(set) var answers = 0
    /// How many failovers there were.
    private(set) var failovers = 0
    /// The first check that was answered without something acknowledged before it arrived.
    private(set) var violation: String?

    init(seed: UInt64, mutation: Mutation? = nil) {
        dice = Dice(seed: seed)
        self.mutation = mutation
    }

    /// Runs so many random steps, then lets all that waits come to its end.
    mutating func run(steps: Int) {
        for _ in 0..<steps where violation == nil { step() }
        var patience = 4000
        while violation == nil, !owed.isEmpty, patience > 0 {
            advanceReads()
            patience -= 1
        }
        if violation == nil, !owed.isEmpty { violation = "\(owed.count) checks wait for ever" }
    }

    private mutating func step() {
        switch dice.below(20) {
        case 0..<4: database.begin()
        case 4..<7:
            if !database.running.isEmpty { database.commit(dice.below(database.running.count)) }
        case 7..<10: acknowledgeOne()
        case 10..<13: arrive()
        case 13 where dice.below(6) == 0:
            database.failOver()
            failovers += 1
        case 14 where dice.below(4) == 0: breakOne()
        default: advanceReads()
        }
    }

    private mutating func acknowledgeOne() {
        let open = database.rows.indices.filter { !database.rows[$0].isAcknowledged }
        if !open.isEmpty { database.acknowledge(open[dice.below(open.count)]) }
    }

    private mutating func arrive() {
        let waiter = nextWaiter
        nextWaiter += 1
        owed[waiter] = database.acknowledged
        if mutation == .joinsInFlight, let batch = flights.keys.min() {
            stowaways[batch, default: []].append(waiter)
        } else {
            perform(core.step(.arrived(waiter)))
        }
    }

    /// A read fails, or its leader leaves.
    private mutating func breakOne() {
        guard let batch = pick(flights.keys.sorted() + restoring) else { return }
        flights[batch] = nil
        restoring.removeAll { $0 == batch }
        for waiter in stowaways.removeValue(forKey: batch) ?? [] { owed[waiter] = nil }
        if dice.below(2) == 0 {
            perform(core.step(.failed(batch)))
        } else {
            if let leader = leaders[batch] { owed[leader] = nil }
            perform(core.step(.abandoned(batch)))
        }
    }

    private mutating func advanceReads() {
        switch dice.below(4) {
        case 0:
            guard let batch = pick(led) else { return }
            led.removeAll { $0 == batch }
            perform(core.step(.closing(batch)))
        case 1:
            guard let batch = pick(flights.keys.sorted()),
                case .sent(let scope) = flights[batch]
            else { return }
            flights[batch] = .answered(database.read(scope, mutation))
        case 2:
            guard let batch = pick(flights.keys.sorted()),
                case .answered(let answer) = flights[batch]
            else { return }
            take(answer, of: batch)
        default:
            guard let batch = pick(restoring) else { return }
            restoring.removeAll { $0 == batch }
            perform(core.step(.restored(batch)))
        }
    }

    /// Puts the next entry into the set; with the last one the reading counts.
    private mutating func take(_ answer: ModelAnswer, of batch: ReadIndexCore.Batch) {
        var answer = answer
        if mutation != .countsTooEarly, let entry = answer.entries.popLast() {
            set.insert(entry)
            flights[batch] = .answered(answer)
            return
        }
        flights[batch] = nil
        perform(core.step(.completed(batch, answer.reading)))
        if flights[batch] == nil { self.answer(stowaways.removeValue(forKey: batch) ?? []) }
        for entry in answer.entries { set.insert(entry) }
    }

    private mutating func perform(_ effects: [ReadIndexCore.Effect]) {
        for effect in effects {
            switch effect {
            case .lead(let waiter, let batch):
                leaders[batch] = waiter
                led.append(batch)
            case .read(let batch, let scope): flights[batch] = .sent(scope)
            case .note: break
            case .restore(let batch, _): restoring.append(batch)
            case .answer(let waiters): answer(waiters)
            case .refuse(let waiters): for waiter in waiters { owed[waiter] = nil }
            case .overloaded(let waiter): owed[waiter] = nil
            }
        }
    }

    /// The monitor of S1: what was acknowledged when the check arrived is in the set now.
    private mutating func answer(_ waiters: [ReadIndexCore.Waiter]) {
        for waiter in waiters {
            guard let acknowledged = owed.removeValue(forKey: waiter) else {
                violation = "check \(waiter) was answered twice"
                return
            }
            answers += 1
            for subject in acknowledged
            where !set.contains(RevocationSubject(.session, SessionID(high: 0, low: subject))) {
                violation = "check \(waiter) was answered without revocation \(subject)"
                return
            }
        }
    }

    private mutating func pick(_ batches: [ReadIndexCore.Batch]) -> ReadIndexCore.Batch? {
        batches.isEmpty ? nil : batches[dice.below(batches.count)]
    }
}
