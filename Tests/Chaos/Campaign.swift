// One campaign from start to report: people and load on threads of their own, the nemesis in this
// task, the checker now and then.
import ChaosKit
import Glibc
import Synchronization
import TestKit

/// A campaign.
struct Campaign {
    private let plan: CampaignPlan

    init(_ plan: CampaignPlan) { self.plan = plan }

    /// Runs it; whether what was found is what was wanted.
    func run() async throws -> Bool {
        let mode = plan.bound.map { "bounded by \($0) ms" } ?? "linear"
        Chaos.say("chaos: topology \(plan.topology.rawValue), \(mode), seed \(plan.seed)")
        let rig = try await Rig(plan)
        let history = History()
        let aim = Aim()
        let term = Term(seconds: plan.seconds)
        let ports = (nodes: rig.nodes.map(\.port), gateways: rig.gateways?.ports ?? [])
        let load = Load(aim, history, ports: ports, plan)
        Blocking.detach { load.run() }
        let living = Living(plan.people + plan.administrators)
        let world = World(plan, rig, history, aim, term)
        let endsEarly = plan.expectsViolation
        var nemesis = Nemesis(rig, history, plan)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<plan.people {
                group.addTask {
                    try await Blocking.run { Person(number, world).live() }
                    living.leave()
                }
            }
            for number in 0..<plan.administrators {
                group.addTask {
                    try await Blocking.run { Administrator(number, world).live() }
                    living.leave()
                }
            }
            group.addTask {
                while !living.isEmpty {
                    try await Task.sleep(for: .milliseconds(500))
                    history.settle()
                    if endsEarly, history.brokenPromises(plan) > 0 { term.end() }
                }
            }
            try await nemesis.rage(term)
            try await group.waitForAll()
        }
        load.stop()
        history.settle(all: true)
        return Report(plan, history, nemesis.counts, rig).give()
    }
}

extension Checker {
    /// The violations of what is promised under this plan.
    func brokenPromises(_ plan: CampaignPlan) -> Int { plan.brokenPromises(counts) }
}

extension History {
    /// The violations that nothing excuses: where commits may be lost, those that were not soon
    /// written back.
    func brokenPromises(_ plan: CampaignPlan) -> Int {
        plan.mayLose ? unexcused(plan) : checker.brokenPromises(plan)
    }
}

extension CampaignPlan {
    /// Those of these violations that are of what is promised under this plan.
    func brokenPromises(_ counts: [Guarantee: Int]) -> Int {
        counts.reduce(0) { $0 + (agrees || $1.key != .denied ? $1.value : 0) }
    }
}

/// How many people are left.
private final class Living: Sendable {
    private let count: Atomic<Int>

    init(_ count: Int) { self.count = Atomic(count) }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    func leave() { count.wrappingSubtract(1, ordering: .releasing) }
}
