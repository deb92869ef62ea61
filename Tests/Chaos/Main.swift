// The live campaign: real stores and nodes, faults by a seed, bursts of checks around each
// acknowledged revocation, and the checker over all of it. Ends with 1 where the guarantee was
// broken. `Chaos minutes=2 seed=1 topology=pg|redis-1|redis-3 [mode=bounded] [lossy=1]
// [primaries=2] [binary=PATH] [people=N] [administrators=N] [connections=N] [lease=MS] [faults=A,B]
// [through=nodes|both|gateways] [pairs=1] [talk=1] [mutant=NAME expect=violation]`
import Glibc

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
