// One fault from its beginning until it is healed: nodes, Redis, and the ways to PostgreSQL.
import ChaosKit
import Glibc
import TestKit

/// A fault that is to happen.
struct Strike: Sendable {
    let kind: FaultKind
    let node: Int
    let rig: Rig
    let history: History
    let plan: CampaignPlan
    var dice: Dice

    /// Makes it happen and heals it.
    func run() async throws {
        history.note("\(kind.rawValue) (node \(node))")
        var strike = self
        try await strike.make()
        history.note("healed: \(kind.rawValue)")
    }

    private mutating func make() async throws {
        switch kind.victim {
        case .node: try await strikeNode()
        case .database: try await strikeDatabase()
        case .link: try await strikeLink()
        case .cache: try await strikeCache()
        case .members: try await strikeMembers()
        case .memberLink: try await strikeMemberLink()
        }
    }

    private mutating func strikeNode() async throws {
        if kind == .stepClock {
            // Less than the margin (A5), forwards or back.
            rig.clocks.step(node, to: Int.random(in: -50...50, using: &dice))
            try await pause(200...4000)
            let skew = rig.nodes[node].metric("watchword_clock_skew_seconds", limit: 1)
            history.note("skew \(skew) s")
            return rig.clocks.step(node, to: 0)
        }
        let node = rig.nodes[node]
        if kind == .freezeNode {
            node.signal(SIGSTOP)
            // Mostly short; sometimes longer than any lease.
            let isLong = plan.topology != .pg && Int.random(in: 0..<4, using: &dice) == 0
            try await pause(isLong ? plan.lease...plan.lease + 1500 : 50...2000)
            return node.signal(SIGCONT)
        }
        try await Blocking.run { node.kill() }
        try await pause(0...500)
        try node.start()
        let limit = nanoseconds() + 20_000_000_000
        while try await Blocking.run({ !node.isReady }), nanoseconds() < limit {
            if !node.isRunning { try node.start() }
            try await pause(50...50)
        }
    }

    private mutating func strikeLink() async throws {
        let routes = Array(Rig.routes(of: node).prefix(2))
        var fault = FaultProxy.Fault()
        var time = 50...2500
        switch kind {
        case .holdRequests: fault.holds = [.requests]
        case .holdReplies: fault.holds = [.replies]
        case .delay:
            fault.delay = [
                .requests: dice.milliseconds(0...120), .replies: dice.milliseconds(0...120),
            ]
        case .lapseLease:
            fault.holds = [.requests, .replies]
            time = plan.lease...plan.lease * 2
        case .refuse:
            for route in routes { rig.proxy.reset(route) }
            fault.refuses = true
        case .reset:
            for route in routes { rig.proxy.reset(route) }
            return
        default:
            for route in routes { rig.proxy.halfClose(route) }
            return
        }
        try await proxied(routes, fault, time)
    }

    private mutating func strikeCache() async throws {
        if kind == .freezeRedis {
            rig.redis.freeze()
            try await pause(100...1500)
            rig.redis.thaw()
        } else {
            try await rig.redis.kill()
            try await pause(0...500)
            try await rig.redis.restart()
        }
    }

    /// Lets `routes` misbehave for a while.
    mutating func proxied(
        _ routes: [Int],
        _ fault: FaultProxy.Fault,
        _ time: ClosedRange<Int>
    ) async throws {
        for route in routes { rig.proxy.set(fault, on: route) }
        try await pause(time)
        for route in routes { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    /// Freezes processes for a while.
    mutating func freeze(_ processes: [Int32], _ time: ClosedRange<Int> = 50...1500) async throws {
        for process in processes { kill(process, SIGSTOP) }
        try await pause(time)
        for process in processes { kill(process, SIGCONT) }
    }

    /// Does something that a fault beside this one may make impossible.
    func attempt(_ work: @escaping @Sendable () throws -> Void) async {
        do {
            try await Blocking.run(work)
        } catch {
            history.note("not done: \(error)")
        }
    }

    mutating func pause(_ range: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(dice.milliseconds(range)))
    }
}
