// A simulated cluster over the real cores: two nodes, each with `ReadIndexCore`, `AuthorityCore`
// and `RevokerCore`, the keeper's moves as random actions, a simulated PostgreSQL and one or three
// simulated members (revocation.md 7.3). Every message takes as long as the dice say, and may be
// lost on either way. One seed is one schedule. It must not take decisions that are the cores'.
import Primitives
import Revocation

/// One node: its cores, its memory and its clock.
struct SimulatedNode {
    var index = ReadIndexCore(slots: 2, waiterLimit: 8)
    var authority = AuthorityCore()
    var revoker = RevokerCore()
    var memory: UInt64 = 0
    var lastSeen: Authority?
    var closing: Authority?
    var clockOffset: Int64 = 0
    var frozenAt: Int64?
    /// What was acknowledged anywhere when each waiting check arrived.
    var owed: [ReadIndexCore.Waiter: UInt64] = [:]
    var leaders: [ReadIndexCore.Batch: ReadIndexCore.Waiter] = [:]
    var stowaways: [ReadIndexCore.Batch: [ReadIndexCore.Waiter]] = [:]
    var bits: [RevokerCore.Ticket: UInt64] = [:]
    var early: [RevokerCore.Ticket: Authority] = [:]
    var connections: [UInt64] = Array(repeating: 1, count: 6)
    /// The last answer of each member, for a connection that is out of step.
    var lastReply: [AuthorityCore.Reply?] = Array(repeating: nil, count: 6)
    var reaches = Array(repeating: true, count: 6)
    /// The members whose name leads to their second process from here, for who connects anew.
    var isLedAway = Array(repeating: false, count: 6)
    /// The members whose second process the connections for asking, and those for writing, are to.
    var asksSecond = Array(repeating: false, count: 6)
    var writesSecond = Array(repeating: false, count: 6)
    var nextWaiter: ReadIndexCore.Waiter = 0
    var nextTicket: RevokerCore.Ticket = 0
    var stale: SimulatedPrimary?
}

/// What is on its way.
enum SimulatedJob {
    case lead(ReadIndexCore.Batch)
    case read(ReadIndexCore.Batch, ReadIndexCore.Scope, begun: MonotonicInstant, SimulatedAnswer?)
    case restore(ReadIndexCore.Batch)
    case poll(ReadIndexCore.Batch, AuthorityCore.Order, AuthorityCore.Reply?, isWhole: Bool)
    case commit(RevokerCore.Ticket, UInt64, isDone: Bool)
    case observe(RevokerCore.Ticket, Authority?, DatabaseTimeline?)
    case publish(RevokerCore.Ticket, AuthorityMember, UInt64, Bool?)
    case fence(RevokerCore.Ticket, AuthorityMember, Bool?)
    case close(RevokerCore.Ticket, Int64, isDone: Bool)
    case drained(Int64)
    case wake(RevokerCore.Ticket, MonotonicInstant)
    case inspect(AuthorityMember, MonotonicInstant, MemberFinding?, MemberToken?)
    case adopt(Int64, from: Int, [AuthorityMember])

    /// The messages of which one kind may be slow.
    enum Kind: CaseIterable { case read, poll, answer, commit, publish, fence, adopt }

    var kind: Kind? {
        switch self {
        case .read: .read
        case .poll(_, _, .some, _): .answer
        case .poll: .poll
        case .commit: .commit
        case .publish: .publish
        case .fence: .fence
        case .adopt: .adopt
        case .lead, .restore, .observe, .close, .drained, .wake, .inspect: nil
        }
    }

    /// Whether it is part of answering a check.
    var isReading: Bool {
        switch self {
        case .lead, .read, .poll: true
        case .restore, .commit, .observe, .publish, .fence, .close, .drained, .wake, .inspect,
            .adopt:
            false
        }
    }
}

/// One schedule.
struct AuthoritySimulation {
    let fault: AuthorityFault?
    let size: Int
    var dice: Dice
    /// How seldom the world is struck, and how seldom a message is lost, in this schedule.
    let calm: Int
    let rarity: Int
    /// Messages of this kind take much longer than others in this schedule.
    var slow: SimulatedJob.Kind?
    /// Whether epochs come and go quickly in this schedule.
    let isRestless: Bool
    /// What this schedule has in mind, if anything.
    var plot: [PlotMove]
    /// While the nodes take their first leases nothing is lost, in some schedules.
    var isOpening = false
    var now: Int64 = 1_000
    var primary = SimulatedPrimary()
    var standby = SimulatedPrimary()
    /// The processes: the first of each member, then the second of each, which nobody has in mind.
    var members: [SimulatedMember]
    var runs: Int
    var nodes = [SimulatedNode(), SimulatedNode()]
    var jobs: [(node: Int, job: SimulatedJob)] = []
    var nextBit: UInt64 = 1
    var nextToken = 0
    var histories = 1
    var acknowledged: UInt64 = 0
    /// How many checks were answered, and how many of them by the members alone.
    var answers = 0
    var confirmations = 0
    var acknowledgements = 0
    var adoptions = 0
    var failovers = 0
    /// How often a stranger with the token was told to take something or to vouch for something.
    var strangers = 0
    /// Why epochs were distrusted.
    var distrusts: [Distrust] = []
    /// The first check that was answered too early.
    var violation: String?

    init(seed: UInt64, size: Int, fault: AuthorityFault? = nil) {
        self.fault = fault
        self.size = size
        dice = Dice(seed: seed)
        runs = 4 * size
        members = (0..<4 * size).map { SimulatedMember(run: $0) }
        nodes[1].clockOffset = 500
        calm = [1, 1, 4][dice.below(3)]
        rarity = [12, 40, 400][dice.below(3)]
        let kinds = SimulatedJob.Kind.allCases
        slow = dice.below(2) == 0 ? nil : kinds[dice.below(kinds.count)]
        isRestless = dice.below(3) == 0
        plot = dice.below(2) == 0 ? [] : Plot.allCases[dice.below(Plot.allCases.count)].moves
        if dice.below(3) > 0 { adoptAtOnce() }
    }

    /// Most schedules begin with members in force; it takes long to come there by chance.
    private mutating func adoptAtOnce() {
        var adopted: [AuthorityMember] = []
        for place in 0..<size {
            let token = MemberToken(text: fault == .tokenIsEpoch ? "e1-\(place)" : "first\(place)")
            members[place].adopt(token)
            adopted.append(
                AuthorityMember(
                    endpoint: "\(place)",
                    token: token,
                    identity: members[place].identity
                )
            )
        }
        primary.authority = Authority(
            epoch: 2,
            state: .redis,
            members: adopted,
            lease: primary.authority.lease
        )
        standby = primary
        // Another was as fast, and is not done with it.
        if dice.below(2) == 0 { jobs.append((1, .adopt(1, from: 0, []))) }
    }

    func clock(_ node: Int) -> MonotonicInstant {
        let time = nodes[node].frozenAt ?? now
        return MonotonicInstant(nanoseconds: (time + nodes[node].clockOffset) * 1_000_000)
    }

    /// Runs so many random steps.
    mutating func run(steps: Int) {
        for node in nodes.indices { renew(node) }
        if dice.below(2) == 0 { open() }
        var left = steps
        while left > 0, violation == nil {
            left -= 1
            if !jobs.isEmpty, dice.below(10) < 7 {
                advanceAny()
            } else if plot.isEmpty || dice.below(4) == 0 {
                act()
            } else if !follow(), !jobs.isEmpty {
                // A plot waits for messages; what else begins would only keep them.
                advanceAny()
            }
        }
    }

    /// Gives every node its lease, and its positions in the members' logs.
    private mutating func open() {
        isOpening = true
        for _ in 0..<2 {
            while let first = jobs.firstIndex(where: \.job.isReading) { advance(first) }
            for node in nodes.indices { arrive(node) }
        }
        while let first = jobs.firstIndex(where: \.job.isReading) { advance(first) }
        isOpening = false
    }

    // MARK: What begins of itself

    private mutating func act() {
        let node = dice.below(nodes.count)
        switch dice.below(30) {
        case 0..<9: arrive(node)
        case 9..<14: revoke(node)
        case 14..<18: now += [5, 40, 200, 1100][dice.below(4)]
        case 18..<21: renew(node)
        case 21: suspect(node)
        case 22: settle(node)
        // A site may move its members to other machines.
        case 23..<26: beginAdoption(node, from: dice.below(2) * size)
        case 26: inspect(node)
        case 27 where isRestless: suspect(node)
        case 28 where isRestless: beginAdoption(node, from: 0)
        default: if dice.below(calm) == 0 { strike(node) }
        }
    }

    mutating func arrive(_ node: Int) {
        let waiter = nodes[node].nextWaiter
        nodes[node].nextWaiter += 1
        nodes[node].owed[waiter] = acknowledged
        if fault == .joinsInFlight, let batch = flying(node) {
            nodes[node].stowaways[batch, default: []].append(waiter)
        } else {
            perform(node, nodes[node].index.step(.arrived(waiter)))
        }
    }

    private func flying(_ node: Int) -> ReadIndexCore.Batch? {
        for (owner, job) in jobs where owner == node {
            if case .read(let batch, _, _, .some) = job { return batch }
        }
        return nil
    }

    mutating func revoke(_ node: Int) {
        guard nextBit != 0 else { return }
        let bit = primary.begin(nextBit)
        nextBit = nextBit &<< 1
        let ticket = newTicket(node)
        nodes[node].bits[ticket] = bit
        if fault == .readsAuthorityBeforeCommit { nodes[node].early[ticket] = primary.authority }
        jobs.append((node, .commit(ticket, bit, isDone: false)))
    }

    mutating func newTicket(_ node: Int) -> RevokerCore.Ticket {
        nodes[node].nextTicket += 1
        return nodes[node].nextTicket
    }

    private mutating func renew(_ node: Int) {
        for case .read(let batch, let scope) in nodes[node].index.step(.renewing) {
            send(node, batch, scope)
        }
    }

    /// Closes what the node holds: for a reason, or on a mere suspicion.
    mutating func suspect(_ node: Int) {
        guard let authority = nodes[node].closing ?? nodes[node].lastSeen,
            authority.state == .redis
        else { return }
        nodes[node].closing = nil
        let ticket = newTicket(node)
        perform(node, nodes[node].revoker.step(.distrusted(ticket, authority)))
    }

    private mutating func settle(_ node: Int) {
        let ticket = newTicket(node)
        perform(node, nodes[node].revoker.step(.committed(ticket, [])))
    }

    /// Nothing keeps two adopters apart here but their tokens and the guard of the last step (H20).
    mutating func beginAdoption(_ node: Int, from first: Int) {
        guard mayAdopt else { return }
        jobs.append((node, .adopt(primary.authority.epoch, from: first, [])))
    }

    /// Whether the row lets an adoption begin, or end.
    var mayAdopt: Bool {
        let state = primary.authority.state
        return state == .pg || fault == .adoptsWithoutDrain && state == .draining
    }

    private mutating func inspect(_ node: Int) {
        guard let held = nodes[node].lastSeen?.members, !held.isEmpty else { return }
        jobs.append((node, .inspect(held[dice.below(held.count)], clock(node), nil, nil)))
    }

    /// What befalls the world.
    private mutating func strike(_ node: Int) {
        let member = dice.below(2 * size)
        switch dice.below(14) {
        case 0: nodes[node].reaches[member].toggle()
        case 1: crash(member)
        case 2: members[member].trim()
        case 3: failOver()
        case 4: standby = primary
        case 5...6 where fault == .frozenClock: nodes[0].frozenAt = nodes[0].frozenAt ?? now
        case 5...6 where fault == .forgetfulMember: members[member].forgetSome()
        case 7: cut(node, from: Array(0..<2 * size))
        case 8: cut(node, from: Array(member / size * size..<(member / size + 1) * size))
        case 9: cut(node, from: (0..<2 * size).filter { $0 != member })
        case 10: copy(member)
        case 11: nodes[node].isLedAway[member].toggle()
        case 12: reconnect(node, member)
        case 13: connectWriter(node, member)
        default: break
        }
    }

    /// A node loses some members at once, or has them back.
    private mutating func cut(_ node: Int, from members: [Int]) {
        let isReached = dice.below(2) == 0
        for index in members { nodes[node].reaches[index] = isReached }
    }

    /// One of the processes of a member crashes, mostly the first.
    private mutating func crash(_ member: Int) {
        let isSecond = dice.below(3) == 0
        runs += 1
        members[process(member, isSecond)].crash(run: runs)
        for node in nodes.indices {
            if nodes[node].asksSecond[member] == isSecond { reconnect(node, member) }
            if nodes[node].writesSecond[member] == isSecond { connectWriter(node, member) }
        }
    }

    /// The second process of a member starts from a snapshot of the first.
    mutating func copy(_ member: Int) {
        runs += 1
        members[process(member, true)].copy(members[process(member, false)], run: runs)
        for node in nodes.indices {
            if nodes[node].asksSecond[member] { reconnect(node, member) }
            if nodes[node].writesSecond[member] { connectWriter(node, member) }
        }
    }

    /// Where the first or the second process of a member is found.
    func process(_ member: Int, _ isSecond: Bool) -> Int { isSecond ? 2 * size + member : member }

    /// The process that a node asks, or writes to.
    func asked(by node: Int, _ member: Int) -> Int {
        process(member, nodes[node].asksSecond[member])
    }

    func written(by node: Int, _ member: Int) -> Int {
        process(member, nodes[node].writesSecond[member])
    }

    private mutating func failOver() {
        failovers += 1
        histories += 1
        if fault == .twoPrimaries { nodes[0].stale = nodes[0].stale ?? primary }
        primary.failOver(
            history: histories,
            isLossy: fault == .lossyFailover,
            &dice
        )
    }

    // MARK: What the read-index wants

    mutating func perform(_ node: Int, _ effects: [ReadIndexCore.Effect]) {
        for effect in effects {
            switch effect {
            case .lead(let waiter, let batch):
                nodes[node].leaders[batch] = waiter
                jobs.append((node, .lead(batch)))
            case .read(let batch, let scope): send(node, batch, scope)
            case .note: break
            case .restore(let batch, _): jobs.append((node, .restore(batch)))
            case .answer(let waiters): answer(node, waiters)
            case .refuse(let waiters): for waiter in waiters { nodes[node].owed[waiter] = nil }
            case .overloaded(let waiter): nodes[node].owed[waiter] = nil
            }
        }
    }

    /// Sends the statement; its lease counts from here.
    mutating func send(_ node: Int, _ batch: ReadIndexCore.Batch, _ scope: ReadIndexCore.Scope) {
        _ = nodes[node].authority.step(.asking(batch))
        jobs.append((node, .read(batch, scope, begun: clock(node), nil)))
    }

    /// The monitor of S1: what was acknowledged when the check arrived is in memory now.
    mutating func answer(_ node: Int, _ waiters: [ReadIndexCore.Waiter]) {
        for waiter in waiters {
            guard let owed = nodes[node].owed.removeValue(forKey: waiter) else {
                violation = violation ?? "check \(waiter) of node \(node) was answered twice"
                return
            }
            answers += 1
            let lacking = owed & ~nodes[node].memory
            if lacking != 0, violation == nil {
                violation =
                    "node \(node) answered without revocation "
                    + "\(lacking.trailingZeroBitCount), epoch \(primary.authority.epoch)"
            }
        }
    }

    // MARK: What the lease wants

    mutating func perform(_ node: Int, _ effects: [AuthorityCore.Effect]) {
        for effect in effects {
            switch effect {
            case .poll(let batch, let orders):
                for order in orders {
                    jobs.append((node, .poll(batch, order, nil, isWhole: false)))
                }
            case .apply(let entries): nodes[node].memory |= SimulatedEntry.bits(entries)
            case .confirmed(let batch):
                confirmations += 1
                perform(node, nodes[node].index.step(.confirmed(batch)))
            case .ask(let batch): perform(node, nodes[node].index.step(.asking(batch)))
            case .drop(let token, _):
                let held = nodes[node].authority.leased?.members.first { $0.token == token }
                if let held { reconnect(node, place(of: held)) }
            case .reload: _ = nodes[node].index.step(.forget)
            case .close(let authority, let reason):
                distrusts.append(reason)
                nodes[node].closing = authority
            }
        }
    }

    func place(of member: AuthorityMember) -> Int { Int(member.endpoint) ?? 0 }

    /// A connection that was given up brings no late answers (H16).
    mutating func reconnect(_ node: Int, _ member: Int) {
        nodes[node].connections[member] += 1
        nodes[node].lastReply[member] = nil
        nodes[node].asksSecond[member] = nodes[node].isLedAway[member] && areNamesFollowed
    }

    /// The connection for publishing, fencing, looking and adopting is another one.
    mutating func connectWriter(_ node: Int, _ member: Int) {
        nodes[node].writesSecond[member] = nodes[node].isLedAway[member] && areNamesFollowed
    }

    /// Copies have the right token: where nobody checks it, what they do would hide what that does.
    private var areNamesFollowed: Bool { fault != .checksNoToken && fault != .tokenIsEpoch }

    // MARK: What the revoker wants

    mutating func perform(_ node: Int, _ effects: [RevokerCore.Effect]) {
        for effect in effects {
            switch effect {
            case .readAuthority(let ticket): jobs.append((node, .observe(ticket, nil, nil)))
            case .publish(let ticket, let member, let entries):
                let bits = SimulatedEntry.bits(entries)
                jobs.append((node, .publish(ticket, member, bits, nil)))
            case .fence(let ticket, let member): jobs.append((node, .fence(ticket, member, nil)))
            case .close(let ticket, let epoch):
                jobs.append((node, .close(ticket, epoch, isDone: false)))
            case .wake(let ticket, let instant):
                if fault == .acknowledgesBeforeLeases { acknowledge(node, ticket) }
                jobs.append((node, .wake(ticket, instant)))
            case .markDrained(let epoch): jobs.append((node, .drained(epoch)))
            case .acknowledge(let ticket): acknowledge(node, ticket)
            case .refuse(let ticket): nodes[node].bits[ticket] = nil
            }
        }
    }

    mutating func acknowledge(_ node: Int, _ ticket: RevokerCore.Ticket) {
        guard let bit = nodes[node].bits.removeValue(forKey: ticket) else { return }
        acknowledgements += 1
        acknowledged |= bit
    }
}
