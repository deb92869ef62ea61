// The live campaign: real stores and nodes, faults by a seed, bursts of checks around each
// acknowledged revocation, and the checker over all of it. Ends with 1 where the guarantee was
// broken. `Chaos minutes=2 seed=1 [lossy=1] [mutant=NAME expect=violation] [faults=A,B]`
import ChaosKit
import Glibc
import TestKit

/// What is asked of a campaign.
struct CampaignPlan: Sendable {
    var seconds = 120.0
    var seed: UInt64 = 1
    var topology = Topology.pg
    /// Whether PostgreSQL may lose acknowledged commits in a failover (A1 broken, on purpose).
    var mayLose = false
    /// What is broken in the nodes on purpose; they must be debug builds.
    var mutant: String?
    /// Whether a violation is what is wanted.
    var expectsViolation = false
    var faults: [FaultKind]?
    var people = 12
    var connections = 40
    /// More than one is cheaper, but a node begins the second when the first is answered.
    var burst = 1
    var binary = ""

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
    }

    private mutating func set(_ name: String, _ value: String) throws {
        switch name {
        case "minutes": seconds = (Double(value) ?? 0) * 60
        case "seed": seed = UInt64(value) ?? 0
        case "authority":
            guard let known = Topology(rawValue: value) else { throw ChaosError(value) }
            topology = known
        case "lossy": mayLose = value == "1"
        case "mutant": mutant = value.isEmpty ? nil : value
        case "expect": expectsViolation = value == "violation"
        case "faults":
            faults = FaultKind.allCases.filter { value.split(separator: ",").contains("\($0)") }
        case "people": people = Int(value) ?? people
        case "connections": connections = Int(value) ?? connections
        case "burst": burst = Int(value) ?? burst
        case "binary": binary = value
        default: throw ChaosError("no such option: \(name)")
        }
    }
}

@main enum Chaos {
    static func main() async {
        do {
            let plan = try CampaignPlan(Array(CommandLine.arguments.dropFirst()))
            let isGood = try await Campaign(plan).run()
            exit(isGood ? 0 : 1)
        } catch {
            say("chaos: \(error)")
            exit(2)
        }
    }

    /// Writes a line.
    static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }
}
