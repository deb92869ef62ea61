// The one who breaks things, by a seeded dice: one fault or two at a time for a while, healed, then
// the next. What is broken on purpose is always named in the history's notes, so that a failure can
// be read.
import ChaosKit
import Glibc
import TestKit

/// Breaks things until its time is over.
struct Nemesis {
    private let rig: Rig
    private let history: History
    private let plan: CampaignPlan
    private let kinds: [(FaultKind, weight: Int)]
    private var dice: Dice
    /// How often each fault was made.
    private(set) var counts: [FaultKind: Int] = [:]

    init(_ rig: Rig, _ history: History, _ plan: CampaignPlan) {
        self.rig = rig
        self.history = history
        self.plan = plan
        kinds = (plan.faults ?? FaultKind.allCases).filter { $0.isPossible(plan) }
            .map { ($0, weight: $0.weight) }
        dice = Dice(seed: plan.seed)
    }

    /// Breaks and heals until the term is over.
    mutating func rage(_ term: Term) async throws {
        while !term.isOver {
            try await Task.sleep(for: .milliseconds(dice.milliseconds(200...900)))
            var strikes = [next()]
            if plan.comesInPairs || Int.random(in: 0..<4, using: &dice) == 0 {
                let others = (0..<4).map { _ in next() }
                let first = strikes[0].kind.victim
                if let second = others.first(where: { $0.kind.victim != first }) {
                    strikes.append(second)
                }
            }
            if strikes[0].kind.concernsMembers { try await waitForAdoption(term) }
            for strike in strikes { counts[strike.kind, default: 0] += 1 }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for strike in strikes { group.addTask { try await strike.run() } }
                try await group.waitForAll()
            }
            try await recover(term)
            if plan.mayLose, strikes.contains(where: { $0.kind == .failOver }) {
                try await outliveGrace(term)
            }
        }
    }

    /// Waits until what a failover has lost must be written back, and a while longer: who fails
    /// over again and again would find an excuse for everything.
    private func outliveGrace(_ term: Term) async throws {
        let limit = nanoseconds() + History.grace + 5_000_000_000
        while nanoseconds() < limit, !term.isOver { try await Task.sleep(for: .milliseconds(50)) }
    }

    private mutating func next() -> Strike {
        Strike(
            kind: dice.choose(kinds),
            node: Int.random(in: 0..<Rig.nodeCount, using: &dice),
            rig: rig,
            history: history,
            plan: plan,
            dice: Dice(seed: dice.next())
        )
    }

    /// A fault of members that nobody asks tests nothing.
    private func waitForAdoption(_ term: Term) async throws {
        let limit = nanoseconds() + 10_000_000_000
        let rig = rig
        while !term.isOver, nanoseconds() < limit {
            if try await Blocking.run({ rig.isAdopted }) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        history.note("nobody has adopted the members")
    }

    /// Waits until people are acknowledged again: a fault on top of a dead cluster tests nothing.
    private func recover(_ term: Term) async throws {
        let wanted = history.acknowledgements + 6
        let limit = nanoseconds() + 15_000_000_000
        while history.acknowledgements < wanted, nanoseconds() < limit, !term.isOver {
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
