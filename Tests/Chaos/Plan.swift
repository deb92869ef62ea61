// What is asked of a campaign, from the words of its command line.
import ChaosKit
import Glibc
import TestKit

/// Which authority the nodes ask.
///
/// Each is a configuration of the same rig.
enum Topology: String, CaseIterable, Sendable {
    /// PostgreSQL alone, the default.
    case pg
    /// One member.
    case one = "redis-1"
    /// Three members.
    case three = "redis-3"

    /// How many Redis servers are members.
    var members: Int {
        switch self {
        case .pg: 0
        case .one: 1
        case .three: 3
        }
    }
}

/// What is asked of a campaign.
struct CampaignPlan: Sendable {
    var seconds = 120.0
    var seed: UInt64 = 1
    var topology = Topology.pg
    /// Whether PostgreSQL may lose acknowledged commits in a failover (A1 broken, on purpose).
    var mayLose = false
    /// Whether the primary of before goes on beside the new one (A2 broken, on purpose), which the
    /// checker must notice.
    var hasTwoPrimaries = false
    /// How old an answer may be, in milliseconds; nil for the linear mode.
    var bound: Int?
    /// What is broken in the nodes on purpose; they must be debug builds.
    var mutant: String?
    /// Whether a violation is what is wanted; the first one ends the campaign.
    var expectsViolation = false
    /// Whether nodes agree on revocations that nobody has acknowledged yet (S2).
    ///
    /// With members one learns of such a one from PostgreSQL and another has not heard of it (H18).
    var agrees: Bool { topology == .pg }
    var faults: [FaultKind]?
    /// Whether two faults always come together, where they can.
    var comesInPairs = false
    /// Whether all that was broken is told, whatever came of it.
    var isTalkative = false
    var people = 16
    /// How many administrators take rights from others all the time.
    var administrators = 6
    var connections = 40
    /// How many of the connections lead through the gateways.
    var through = Through.both
    var binary = ""
    /// The lease of the members, in milliseconds.
    var lease = 2000

    init(_ arguments: [String]) throws {
        guard let real = realpath("/proc/self/exe", nil) else { throw ChaosError("no /proc") }
        defer { free(real) }
        let folder = String(cString: real).split(separator: "/").dropLast().joined(separator: "/")
        binary = "/\(folder)/watchword"
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw ChaosError("not name=value: \(argument)") }
            try set(parts[0], parts[1])
        }
        // A commit that is lost takes the change of the rights with it, not its entry in the log
        // alone, and nodes can write back the entry alone.
        if mayLose { administrators = 0 }
        if hasTwoPrimaries {
            guard !mayLose, topology == .pg else {
                throw ChaosError("primaries=2 is for PostgreSQL alone, with its standby")
            }
            faults = [.partPrimaries]
            expectsViolation = true
        }
        for kind in faults ?? [] where !kind.isPossible(self) {
            throw ChaosError("\(kind) needs another topology than \(topology.rawValue)")
        }
    }

    private mutating func set(_ name: String, _ value: String) throws {
        switch name {
        case "minutes": seconds = try number(name, value) * 60
        case "seed": seed = UInt64(try number(name, value))
        case "topology":
            guard let known = Topology(rawValue: value) else { throw ChaosError(value) }
            topology = known
        case "lossy": mayLose = value == "1"
        case "primaries": hasTwoPrimaries = value == "2"
        case "mode":
            guard ["linear", "bounded"].contains(value) else { throw ChaosError(value) }
            bound = value == "bounded" ? 100 : nil
        case "mutant": mutant = value.isEmpty ? nil : value
        case "expect": expectsViolation = value == "violation"
        case "faults":
            faults = try value.split(separator: ",").map { word in
                guard let kind = FaultKind.allCases.first(where: { "\($0)" == word }) else {
                    throw ChaosError("no such fault: \(word)")
                }
                return kind
            }
        case "people": people = Int(try number(name, value))
        case "administrators": administrators = Int(try number(name, value))
        case "connections": connections = Int(try number(name, value))
        case "through":
            guard let known = Through(rawValue: value) else { throw ChaosError(value) }
            through = known
        case "lease": lease = Int(try number(name, value))
        case "pairs": comesInPairs = value == "1"
        case "talk": isTalkative = value == "1"
        case "binary": binary = value
        default: throw ChaosError("no such option: \(name)")
        }
    }

    private func number(_ name: String, _ value: String) throws -> Double {
        guard let number = Double(value), number >= 0 else {
            throw ChaosError("\(name)=\(value) is no number")
        }
        return number
    }
}
