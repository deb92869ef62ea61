// Where all parts of a campaign write what they saw. The checker wants events in the order of their
// ends, so they wait here for a few seconds, are sorted, and are judged as the campaign goes on;
// nothing has to be kept until its end.
import ChaosKit
import Synchronization

/// The events of a campaign, from any thread.
final class History: Sendable {
    private enum Event: Sendable {
        case acknowledged(Int32, by: UInt8?, ofRights: Bool)
        case checked(CheckRecord)
    }
    private struct State {
        var checker = Checker()
        var waiting: [(end: Int64, event: Event)] = []
        var tokens: Int32 = 0
        var subjects: Int32 = 0
        var notes: [String] = []
        var acknowledgements = 0
        var wrongs = 0
        var failovers: [(from: Int64, gone: Int64, until: Int64)] = []
    }
    private let state = Mutex(State())
    /// Longer than any thread is held up between reading the clock and writing here.
    private static let patience: Int64 = 3_000_000_000
    /// After so long a node has written back what a failover lost (H7).
    static let grace: Int64 = 10_000_000_000
    /// How long an acknowledgement may be under way from the database to whoever asked for it.
    private static let underWay: Int64 = 300_000_000
    let begun = nanoseconds()

    /// A new thing that can be revoked.
    func subject() -> Int32 {
        state.withLock {
            $0.subjects += 1
            return $0.subjects
        }
    }

    /// A token that was issued, or one together with a permission that its account holds.
    func token(coveredBy subjects: [Int32], asksRights: Bool = false) -> Int32 {
        state.withLock {
            $0.tokens += 1
            $0.checker.issued($0.tokens, coveredBy: subjects, asksRights: asksRights)
            return $0.tokens
        }
    }

    /// The acknowledgement of a revocation was read at `end`, from `node`, if from any.
    func acknowledged(_ subject: Int32, end: Int64, by node: UInt8?, ofRights: Bool = false) {
        state.withLock {
            $0.acknowledgements += 1
            $0.waiting.append((end, .acknowledged(subject, by: node, ofRights: ofRights)))
        }
    }

    /// Something that no revocation explains: what was given is refused, a good token is not taken.
    func wrong(_ text: String) {
        note("WRONG: \(text)")
        state.withLock { $0.wrongs += 1 }
    }

    /// How often that was seen.
    var wrongs: Int { state.withLock { $0.wrongs } }

    /// Acknowledgements so far, judged or not.
    var acknowledgements: Int { state.withLock { $0.acknowledgements } }

    /// Checks were answered.
    func checked(_ checks: [CheckRecord]) {
        state.withLock { state in
            for check in checks { state.waiting.append((check.end, .checked(check))) }
        }
    }

    /// Remembers what the nemesis did, for the message of a failure.
    func note(_ text: String) {
        let at = Double(nanoseconds() - begun) / 1e9
        state.withLock { $0.notes.append("\((at * 1000).rounded() / 1000) s: \(text)") }
    }

    /// A failover that began and was over then; what the primary of before had acknowledged when it
    /// was `gone` may be lost.
    func failedOver(from begun: Int64, gone: Int64, until end: Int64) {
        state.withLock { $0.failovers.append((begun, gone, end)) }
    }

    /// How many acceptances of what is promised cannot be put down to a failover: the first one
    /// after the acknowledgement may have lost it, and it is missed then until a node writes it
    /// back.
    func unexcused(_ plan: CampaignPlan) -> Int {
        state.withLock { state in
            state.checker.violations.count { violation in
                let start = violation.check.start
                // What one node knew and nobody had acknowledged is lost at any time.
                if violation.guarantee == .denied {
                    return plan.agrees
                        && !state.failovers.contains {
                            $0.from <= start && start <= $0.until + Self.grace
                        }
                }
                let loss = state.failovers.first { violation.since <= $0.gone + Self.underWay }
                guard let loss else { return true }
                return start < loss.from || loss.until + Self.grace < start
            }
        }
    }

    /// Judges what is old enough, or everything.
    func settle(all: Bool = false) {
        let limit = all ? Int64.max : nanoseconds() - Self.patience
        state.withLock { state in
            let ripe = state.waiting.filter { $0.end < limit }.sorted { $0.end < $1.end }
            state.waiting.removeAll { $0.end < limit }
            for (end, event) in ripe {
                switch event {
                case .acknowledged(let subject, let node, let ofRights):
                    state.checker.acknowledged(subject, end: end, by: node, ofRights: ofRights)
                case .checked(let check): state.checker.checked(check)
                }
            }
        }
    }

    /// What was found so far.
    var checker: Checker { state.withLock { $0.checker } }

    /// What the nemesis did so far.
    var notes: [String] { state.withLock { $0.notes } }
}
