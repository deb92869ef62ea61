// What a campaign found, in words, and whether that is as it should be.
import ChaosKit
import Glibc

/// The end of a campaign.
struct Report {
    private let plan: CampaignPlan
    private let history: History
    private let faults: [FaultKind: Int]
    private let rig: Rig
    private let checker: Checker
    private let seconds: Double

    init(_ plan: CampaignPlan, _ history: History, _ faults: [FaultKind: Int], _ rig: Rig) {
        self.plan = plan
        self.history = history
        self.faults = faults
        self.rig = rig
        checker = history.checker
        seconds = Double(nanoseconds() - history.begun) / 1e9
    }

    /// Prints it; whether all is as it should be.
    func give() -> Bool {
        tellFigures()
        if plan.topology != .pg { tellMembers() }
        tellViolations()
        let rights = checker.rights
        let probedRights =
            plan.administrators == 0 || rights.nearMisses > 0 && rights.accepted > 0
        let gateways = checker.gateways
        let probedGateways =
            plan.through == .nodes
            || gateways.nearMisses > 0 && gateways.accepted > 0
                && (plan.administrators == 0 || gateways.rightsElsewhere > 0)
        let probed =
            checker.nearMisses > 0 && checker.acknowledgements > 0 && probedRights
            && probedGateways
        if !probed { Chaos.say("nothing was probed: this run proves nothing") }
        let broken = history.brokenPromises(plan)
        // A1 is broken on purpose: what is lost must be found and written back, no more.
        if plan.mayLose { Chaos.say("lost and not soon written back: \(broken)") }
        let isGood: Bool
        if plan.expectsViolation {
            isGood = broken > 0
        } else if plan.mayLose {
            isGood = probed && broken == 0
        } else {
            isGood = probed && broken == 0 && history.wrongs == 0
        }
        Chaos.say(isGood ? "as it should be" : "NOT as it should be (seed \(plan.seed))")
        return isGood
    }

    private func tellFigures() {
        let made = faults.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.key.rawValue): \($0.value)" }.joined(separator: ", ")
        let rights = checker.rights
        let gateways = checker.gateways
        let slowest = checker.slowest.sorted { $0.key < $1.key }.map { $0.value / 1_000_000 }
        let perMinute = Int(Double(checker.nearMisses) / seconds * 60)
        let counts = checker.counts.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.key.rawValue): \($0.value)" }.joined(separator: ", ")
        Chaos.say(
            """
            seconds          \(Int(seconds))
            revocations      \(checker.acknowledgements) acknowledged
            verdicts         \(checker.verdicts), without one \(checker.unknown)
            of rights        \(rights.acknowledgements) acknowledged, \(rights.verdicts) verdicts, \
            \(rights.accepted) of them accepted; \(rights.nearMisses) near misses, \
            \(plan.brokenPromises(rights.violations)) violations
            through nginx    \(gateways.verdicts) verdicts, \(gateways.accepted) of them \
            accepted; \(gateways.nearMisses) near misses, \(gateways.rightsNearMisses) of them on \
            rights, \(gateways.rightsElsewhere) of these before another node than the one that \
            took the right; \(plan.brokenPromises(gateways.violations)) violations, \
            \(plan.brokenPromises(gateways.rightsViolations)) on rights
            given, refused   \(history.wrongs)
            near misses      \(checker.nearMisses) within 5 ms (\(perMinute) a minute); \
            the slowest took \(slowest) ms
            out of order     \(checker.late)
            written back     \(sum("watchword_revocation_restored_total"))
            faults           \(made)
            violations       \(checker.brokenPromises(plan))\(counts.isEmpty ? "" : " (\(counts))")
            """
        )
        if !plan.agrees { Chaos.say("S2 is not promised with members; S1 is") }
    }

    /// Nodes that were killed have begun to count anew.
    private func tellMembers() {
        Chaos.say(
            """
            asked of members \(sum("watchword_revocation_polls_total")), \
            then of PostgreSQL \(sum("watchword_revocation_fallbacks_total"))
            epochs           \(Int(rig.nodes.map { $0.metric("watchword_authority_epoch") }
                .max() ?? 0)), closed \(sum("watchword_authority_closings_total"))
            """
        )
    }

    private func tellViolations() {
        let broken = checker.violations.filter { plan.agrees || $0.guarantee != .denied }
        for violation in broken.prefix(5) {
            let at = Double(violation.check.start - history.begun) / 1e9
            Chaos.say("  at \(at) s: \(violation)")
        }
        let isBad = !broken.isEmpty || history.wrongs > 0
        if plan.isTalkative || (isBad && !plan.expectsViolation) {
            for node in rig.nodes { Chaos.say(node.lastWords) }
            Chaos.say("what was broken:\n  " + history.notes.suffix(400).joined(separator: "\n  "))
        }
    }

    private func sum(_ metric: String) -> Int {
        Int(rig.nodes.map { $0.metric(metric) }.reduce(0, +))
    }
}
