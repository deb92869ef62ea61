// The checker of the revocation guarantee (revocation.md 7.1). A revocation is a one-way register,
// so checking a history for linearizability collapses to comparing times: an accepted check that
// began after the acknowledgement of a covering revocation ended is a violation. One pass, constant
// work for each event, no search. Must not be clever: what it cannot see, the campaign cannot find.

/// What a check was answered.
package enum CheckAnswer: UInt8, Sendable {
    /// The token is good.
    case accepted
    /// The token is revoked, or the permission that was asked for is not held.
    case revoked
    /// Neither was said: a store was away, a node died.
    case unknown
}

/// One check of a token at a node.
///
/// Times are nanoseconds of one monotonic clock.
package struct CheckRecord: Sendable {
    /// The token that was checked.
    package var token: Int32
    /// The node that answered.
    package var node: UInt8
    /// The answer.
    package var answer: CheckAnswer
    /// Just before the request was written.
    package var start: Int64
    /// Just after the answer was read.
    package var end: Int64
    /// The staleness that the node was allowed, in nanoseconds; nil for the linear mode.
    package var bound: Int64?
    /// Whether a gateway asked the node, and the answer is the gateway's.
    package var isThroughGateway: Bool

    /// A record of the linear mode, unless `bound` is given.
    package init(
        token: Int32,
        node: UInt8,
        answer: CheckAnswer,
        start: Int64,
        end: Int64,
        bound: Int64? = nil,
        isThroughGateway: Bool = false
    ) {
        self.token = token
        self.node = node
        self.answer = answer
        self.start = start
        self.end = end
        self.bound = bound
        self.isThroughGateway = isThroughGateway
    }
}

/// A guarantee of revocation.md 4.2.
package enum Guarantee: String, Sendable {
    /// Nothing is accepted after the acknowledgement of a revocation that covers it.
    case acknowledged = "S1"
    /// Nothing is accepted after it was once denied.
    case denied = "S2"
    /// Nothing is accepted later than the bound after the acknowledgement.
    case bounded = "S3"
}

/// An accepted check that should have been denied.
package struct Violation: Sendable, CustomStringConvertible {
    /// Which guarantee was broken.
    package let guarantee: Guarantee
    /// The check.
    package let check: CheckRecord
    /// When the revocation was acknowledged, or the denial was read.
    package let since: Int64

    package var description: String {
        let late = Double(check.start - since) / 1e6
        let gateway = check.isThroughGateway ? "the gateway before " : ""
        return "\(guarantee.rawValue): token \(check.token) was accepted by \(gateway)node "
            + "\(check.node) in a check that began \(late) ms after it could not be any more"
    }
}

/// What was seen of the checks that ask for a permission; the figures of all include it.
package struct RightsTally: Sendable, Equatable {
    /// Acknowledged changes that take a right from somebody.
    package var acknowledgements = 0
    /// Checks with a verdict.
    package var verdicts = 0
    /// Those of them that were accepted: without such nobody ever held what was taken.
    package var accepted = 0
    /// Near misses.
    package var nearMisses = 0
    /// Violations of each guarantee.
    package var violations: [Guarantee: Int] = [:]

    /// Nothing yet.
    package init() {}
}

/// What was seen of the checks that went through a gateway; the figures of all include it.
package struct GatewayTally: Sendable, Equatable {
    /// Checks with a verdict.
    package var verdicts = 0
    /// Those of them that were accepted: without such the gateway lets nobody pass.
    package var accepted = 0
    /// Near misses.
    package var nearMisses = 0
    /// Those of them that ask for a permission.
    package var rightsNearMisses = 0
    /// Those that ask for a permission before another node than the one that acknowledged.
    package var rightsElsewhere = 0
    /// Violations of each guarantee.
    package var violations: [Guarantee: Int] = [:]
    /// Those of them that ask for a permission.
    package var rightsViolations: [Guarantee: Int] = [:]

    /// Nothing yet.
    package init() {}
}

/// Judges a history, event by event.
///
/// Events must come in the order of their ends; then everything that ended before a check began has
/// been taken before that check. `late` counts the events that broke this.
package struct Checker: Sendable {
    /// The first violations, all of the least guarantee number first come.
    package private(set) var violations: [Violation] = []
    /// How many there were.
    package private(set) var violationCount = 0
    /// How many there were of each guarantee.
    package private(set) var counts: [Guarantee: Int] = [:]
    /// Checks that were answered with a verdict.
    package private(set) var verdicts = 0
    /// Checks without one.
    package private(set) var unknown = 0
    /// Verdicts on covered tokens whose check began within `nearness` after the first moment at
    /// which they had to be denied: the acknowledgement, in the bounded mode the bound later.
    package private(set) var nearMisses = 0
    /// The longest that a near miss took to be answered, by node, in nanoseconds.
    package private(set) var slowest: [UInt8: Int64] = [:]
    /// Acknowledged revocations.
    package private(set) var acknowledgements = 0
    /// Events that came out of order.
    package private(set) var late = 0
    /// What of all this was about rights (W11).
    package private(set) var rights = RightsTally()
    /// What of all this went through gateways.
    package private(set) var gateways = GatewayTally()

    /// How soon after an acknowledgement a check counts as a near miss, in nanoseconds.
    package let nearness: Int64
    /// What the bound is exceeded by at most, in nanoseconds.
    ///
    /// None is needed: what is accepted was accepted after the check began, on a read begun no
    /// longer than the bound before that.
    package let handling: Int64

    private var subjects: [Int32: [Int32]] = [:]
    private var acknowledged: [Int32: (end: Int64, node: UInt8?)] = [:]
    private var denied: [Int32: Int64] = [:]
    private var askingRights: Set<Int32> = []
    private var clock = Int64.min

    /// A checker that has seen nothing.
    package init(nearness: Int64 = 5_000_000, handling: Int64 = 0) {
        self.nearness = nearness
        self.handling = handling
    }

    /// A token was issued; `subjects` are all that would cover it if revoked.
    ///
    /// With `asksRights` it stands for a token and a permission that its account was given once and
    /// is never given again; a right that was taken is a revocation as any other.
    package mutating func issued(
        _ token: Int32,
        coveredBy subjects: [Int32],
        asksRights: Bool = false
    ) {
        self.subjects[token] = subjects
        if asksRights { askingRights.insert(token) }
    }

    /// The acknowledgement of a revocation of `subject` was read at `end`, from `node`; nil where
    /// that was none.
    package mutating func acknowledged(
        _ subject: Int32,
        end: Int64,
        by node: UInt8? = nil,
        ofRights: Bool = false
    ) {
        pass(end)
        acknowledgements += 1
        if ofRights { rights.acknowledgements += 1 }
        if end < acknowledged[subject]?.end ?? .max { acknowledged[subject] = (end, node) }
    }

    /// A check was answered.
    package mutating func checked(_ check: CheckRecord) {
        pass(check.end)
        guard check.answer != .unknown else {
            unknown += 1
            return
        }
        count(check)
        var since = Int64.max
        var by: UInt8?
        for subject in subjects[check.token] ?? [] {
            guard let found = acknowledged[subject], found.end < since else { continue }
            (since, by) = found
        }
        // Subtracted from the later time: what was never acknowledged must not overflow.
        let distance = check.start - (check.bound ?? 0)
        if since < distance, distance - since <= nearness { countNearMiss(check, by) }
        if check.answer == .revoked {
            denied[check.token] = min(denied[check.token] ?? .max, check.end)
            return
        }
        if let bound = check.bound {
            if since < check.start - bound - handling { report(.bounded, check, since) }
            return
        }
        if since < check.start { return report(.acknowledged, check, since) }
        if let first = denied[check.token], first < check.start { report(.denied, check, first) }
    }

    private mutating func count(_ check: CheckRecord) {
        let accepted = check.answer == .accepted ? 1 : 0
        verdicts += 1
        if askingRights.contains(check.token) {
            rights.verdicts += 1
            rights.accepted += accepted
        }
        guard check.isThroughGateway else { return }
        gateways.verdicts += 1
        gateways.accepted += accepted
    }

    /// - Parameter node: who acknowledged; nil where that was none.
    private mutating func countNearMiss(_ check: CheckRecord, _ node: UInt8?) {
        nearMisses += 1
        slowest[check.node] = max(slowest[check.node] ?? 0, check.end - check.start)
        let asksRights = askingRights.contains(check.token)
        if asksRights { rights.nearMisses += 1 }
        guard check.isThroughGateway else { return }
        gateways.nearMisses += 1
        guard asksRights else { return }
        gateways.rightsNearMisses += 1
        if let node, node != check.node { gateways.rightsElsewhere += 1 }
    }

    private mutating func pass(_ end: Int64) {
        if end < clock { late += 1 }
        clock = max(clock, end)
    }

    private mutating func report(_ guarantee: Guarantee, _ check: CheckRecord, _ since: Int64) {
        violationCount += 1
        let asksRights = askingRights.contains(check.token)
        if asksRights { rights.violations[guarantee, default: 0] += 1 }
        if check.isThroughGateway {
            gateways.violations[guarantee, default: 0] += 1
            if asksRights { gateways.rightsViolations[guarantee, default: 0] += 1 }
        }
        counts[guarantee, default: 0] += 1
        guard violations.count < 10_000 else { return }
        violations.append(Violation(guarantee: guarantee, check: check, since: since))
    }
}
