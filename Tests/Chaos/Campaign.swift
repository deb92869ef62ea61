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
        Chaos.say("chaos: authority \(plan.topology.rawValue), seed \(plan.seed)")
        let rig = try await Rig(plan)
        let history = History()
        let aim = Aim()
        let deadline = nanoseconds() + Int64(plan.seconds * 1e9)
        let load = Load(
            aim,
            history,
            ports: rig.nodes.map(\.port),
            connections: plan.connections,
            burst: plan.burst
        )
        Blocking.detach { load.run() }
        let living = Living(plan.people)
        let (seed, ports) = (plan.seed, rig.nodes.map(\.port))
        var nemesis = Nemesis(rig, history, plan)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<plan.people {
                group.addTask {
                    try await Blocking.run {
                        Person(number, ports: ports, history: history, aim: aim, seed: seed)
                            .live(until: deadline)
                    }
                    living.leave()
                }
            }
            group.addTask {
                while !living.isEmpty {
                    try await Task.sleep(for: .seconds(1))
                    history.settle()
                }
            }
            try await nemesis.rage(until: deadline)
            try await group.waitForAll()
        }
        load.stop()
        history.settle(all: true)
        return report(history, nemesis, rig)
    }

    private func report(_ history: History, _ nemesis: Nemesis, _ rig: Rig) -> Bool {
        let checker = history.checker
        let rate = Int(Double(checker.verdicts) / plan.seconds)
        let faults = nemesis.counts.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.key.rawValue): \($0.value)" }.joined(separator: ", ")
        let restored = rig.nodes.map { $0.metric("watchword_revocation_restored_total") }
        let slowest = checker.slowest.sorted { $0.key < $1.key }.map { $0.value / 1_000_000 }
        Chaos.say(
            """
            seconds          \(plan.seconds)
            revocations      \(checker.acknowledgements) acknowledged
            verdicts         \(checker.verdicts) (\(rate)/s), without one \(checker.unknown)
            near misses      \(checker.nearMisses) within 5 ms; the slowest took \(slowest) ms
            out of order     \(checker.late)
            written back     \(restored.reduce(0, +))
            faults           \(faults)
            violations       \(checker.violationCount)
            """
        )
        for violation in checker.violations.prefix(5) {
            let at = Double(violation.check.start - history.begun) / 1e9
            Chaos.say("  at \(at) s: \(violation)")
        }
        if checker.violationCount > 0, !plan.expectsViolation {
            Chaos.say("what was broken:\n  " + history.notes.suffix(400).joined(separator: "\n  "))
        }
        let probed = checker.nearMisses > 0 && checker.acknowledgements > 0
        if !probed { Chaos.say("nothing was probed: this run proves nothing") }
        let isGood: Bool
        if plan.expectsViolation {
            isGood = checker.violationCount > 0
        } else if plan.mayLose {
            // A1 is broken on purpose: what is lost must be found and written back, no more.
            isGood = probed
        } else {
            isGood = probed && checker.violationCount == 0
        }
        Chaos.say(isGood ? "as it should be" : "NOT as it should be (seed \(plan.seed))")
        return isGood
    }
}

/// How many people are left.
private final class Living: Sendable {
    private let count: Atomic<Int>

    init(_ count: Int) { self.count = Atomic(count) }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    func leave() { count.wrappingSubtract(1, ordering: .releasing) }
}
