// The one who breaks things, by a seeded dice: one fault at a time for a while, healed, then the
// next. What is broken on purpose is always named in the history's notes, so that a failure can be
// read.
import ChaosKit
import Glibc
import TestKit

/// The faults.
enum FaultKind: String, CaseIterable, Sendable {
    case freezeNode = "freeze a node"
    case killNode = "kill a node"
    case freezeBackends = "freeze backends"
    case freezeHelper = "freeze a process of PostgreSQL"
    case killBackend = "kill a backend"
    case crashPrimary = "kill PostgreSQL"
    case failOver = "fail over"
    case freezeStandby = "freeze the standby"
    case longWriter = "a writer that stays open"
    case holdRequests = "hold requests to PostgreSQL"
    case holdReplies = "hold replies of PostgreSQL"
    case delay = "delay PostgreSQL"
    case reset = "reset connections to PostgreSQL"
    case halfClose = "half-close connections to PostgreSQL"
    case refuse = "refuse connections to PostgreSQL"
    case freezeRedis = "freeze Redis"
    case killRedis = "kill Redis"

    /// How often it comes, compared with the others.
    var weight: Int {
        switch self {
        case .failOver: 1
        case .crashPrimary, .killBackend: 2
        case .longWriter, .freezeStandby, .killNode, .freezeHelper: 2
        case .freezeRedis, .killRedis, .refuse, .halfClose: 1
        case .freezeNode, .freezeBackends, .holdRequests, .holdReplies, .delay, .reset: 3
        }
    }
}

/// Breaks things until its time is over.
struct Nemesis {
    let rig: Rig
    let history: History
    let mayLose: Bool
    let only: [FaultKind]?
    var dice: Dice
    /// How often each fault was made.
    private(set) var counts: [FaultKind: Int] = [:]

    init(_ rig: Rig, _ history: History, _ plan: CampaignPlan) {
        self.rig = rig
        self.history = history
        mayLose = plan.mayLose
        only = plan.faults
        dice = Dice(seed: plan.seed)
    }

    /// Breaks and heals until `deadline`, in nanoseconds.
    mutating func rage(until deadline: Int64) async throws {
        let kinds = only ?? FaultKind.allCases
        while nanoseconds() < deadline {
            try await pause(200...900)
            let kind = dice.choose(kinds.map { ($0, weight: $0.weight) })
            let node = Int.random(in: 0..<Rig.nodeCount, using: &dice)
            history.note("\(kind.rawValue) (node \(node))")
            counts[kind, default: 0] += 1
            try await make(kind, node)
            history.note("healed")
            try await recover(until: deadline)
        }
    }

    /// Waits until people are acknowledged again: a fault on top of a dead cluster tests nothing.
    private func recover(until deadline: Int64) async throws {
        let wanted = history.acknowledgements + 6
        let limit = min(deadline, nanoseconds() + 15_000_000_000)
        while history.acknowledgements < wanted, nanoseconds() < limit {
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private mutating func make(_ kind: FaultKind, _ node: Int) async throws {
        switch kind {
        case .freezeNode:
            rig.nodes[node].signal(SIGSTOP)
            try await pause(50...2000)
            rig.nodes[node].signal(SIGCONT)
        case .killNode: try await killNode(node)
        case .freezeBackends, .freezeHelper, .killBackend, .crashPrimary, .failOver,
            .freezeStandby, .longWriter:
            try await breakDatabase(kind)
        case .holdRequests: try await proxied(node) { $0.holds = [.requests] }
        case .holdReplies: try await proxied(node) { $0.holds = [.replies] }
        case .delay:
            let both = [dice.milliseconds(0...60), dice.milliseconds(0...60)]
            try await proxied(node) { $0.delay = [.requests: both[0], .replies: both[1]] }
        case .refuse:
            for route in Rig.routes(of: node).prefix(2) { rig.proxy.reset(route) }
            try await proxied(node) { $0.refuses = true }
        case .reset: for route in Rig.routes(of: node).prefix(2) { rig.proxy.reset(route) }
        case .halfClose: for route in Rig.routes(of: node).prefix(2) { rig.proxy.halfClose(route) }
        case .freezeRedis:
            rig.redis.freeze()
            try await pause(100...1500)
            rig.redis.thaw()
        case .killRedis:
            try await rig.redis.kill()
            try await pause(0...500)
            try await rig.redis.restart()
        }
    }

    private mutating func killNode(_ index: Int) async throws {
        let node = rig.nodes[index]
        try await Blocking.run { node.kill() }
        try await pause(0...500)
        try node.start()
        let limit = nanoseconds() + 20_000_000_000
        while try await Blocking.run({ !node.isReady }), nanoseconds() < limit {
            if !node.isRunning { try node.start() }
            try await pause(50...50)
        }
    }

    private mutating func breakDatabase(_ kind: FaultKind) async throws {
        let database = rig.database
        var spender: ChildProcess?
        if [.killBackend, .crashPrimary, .failOver].contains(kind) {
            spender = try spend()
            try await pause(100...300)
        }
        defer { spender?.kill() }
        switch kind {
        case .freezeBackends:
            let share = Int.random(in: 1...4, using: &dice)
            try await freeze(
                database.backends.shuffled(using: &dice).filter { _ in
                    Int.random(in: 0..<4, using: &dice) < share
                }
            )
        case .freezeHelper:
            let helpers = database.processes().filter { !$0.title.contains("127.0.0.1(") }
            try await freeze(helpers.map(\.id).shuffled(using: &dice).prefix(1) + [])
        case .killBackend:
            // The whole server begins anew from its log then, without a new postmaster.
            if let victim = database.backends.randomElement(using: &dice) { kill(victim, SIGKILL) }
            try await pause(500...1000)
        case .crashPrimary: try await Blocking.run { try database.crash() }
        case .failOver:
            let isSynchronous = !mayLose
            try await Blocking.run { try database.failOver(isSynchronous: isSynchronous) }
        case .freezeStandby:
            let standby = 1 - database.primary
            try await freeze(database.processes(of: standby).map(\.id))
        case .longWriter:
            let seconds = Double(dice.milliseconds(300...2000)) / 1000
            await attempt("SELECT pg_current_xact_id(), pg_sleep(\(seconds))")
        default: preconditionFailure("\(kind) is no fault of the database")
        }
    }

    /// Takes transaction numbers as fast as it can, for whatever comes next.
    ///
    /// What was rolled back and not yet flushed leaves nothing in the log, so a crash or a failover
    /// gives those numbers out again, for other revocations (F4).
    private func spend() throws -> ChildProcess {
        let loop = """
            DO $$ BEGIN FOR i IN 1..200000 LOOP
                PERFORM pg_current_xact_id(); ROLLBACK;
            END LOOP; END $$
            """
        return try ChildProcess.launch(rig.database.words(loop), log: "/dev/null")
    }

    private func attempt(_ sql: String) async {
        let database = rig.database
        do {
            try await Blocking.run { try database.sql(sql) }
        } catch {
            history.note("not done: \(error)")
        }
    }

    private mutating func freeze(_ processes: [Int32]) async throws {
        for process in processes { kill(process, SIGSTOP) }
        try await pause(50...1500)
        for process in processes { kill(process, SIGCONT) }
    }

    private mutating func proxied(
        _ node: Int,
        _ change: (inout FaultProxy.Fault) -> Void
    ) async throws {
        var fault = FaultProxy.Fault()
        change(&fault)
        for route in Rig.routes(of: node).prefix(2) { rig.proxy.set(fault, on: route) }
        try await pause(50...2500)
        for route in Rig.routes(of: node).prefix(2) { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    private mutating func pause(_ range: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(dice.milliseconds(range)))
    }
}
