// S1 over many random schedules, and the proof that the monitor would have noticed.
import TestKit
import Testing

@Suite(.serialized) struct SimulationTests {
    /// What came of many schedules.
    private struct Tally {
        var (answers, failovers) = (0, 0)
        var violation: String?
    }

    private static func run(_ seed: UInt64, _ mutation: Mutation? = nil) -> Simulation {
        var simulation = Simulation(seed: seed, mutation: mutation)
        simulation.run(steps: 60)
        return simulation
    }

    @Test func `No schedule of 20,000 answers a check too early (W1, S1, H1, H17, F4)`()
        async throws
    {
        let base = UInt64.random(in: 0 ... .max / 2)
        // Seconds of work on a thread of the pool would hold up the tests beside this one.
        let tally = try await Blocking.run {
            var tally = Tally()
            for seed in base..<(base + 20_000) where tally.violation == nil {
                let simulation = Self.run(seed)
                tally.answers += simulation.answers
                tally.failovers += simulation.failovers
                tally.violation = simulation.violation.map { "seed \(seed): \($0)" }
            }
            return tally
        }
        #expect(tally.violation == nil)
        // Schedules in which nothing happens would prove nothing.
        #expect(tally.answers > 50_000, "seeds from \(base)")
        #expect(tally.failovers > 1000, "seeds from \(base)")
    }

    @Test(arguments: Mutation.allCases)
    func `The monitor notices each mutation`(_ mutation: Mutation) async throws {
        let isCaught = try await Blocking.run {
            (0..<5000).contains { seed in
                let violation = Self.run(UInt64(seed), mutation).violation
                return violation?.contains("without revocation") ?? false
            }
        }
        #expect(isCaught, "\(mutation) went unnoticed")
    }
}
