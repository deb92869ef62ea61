// S1 over many random schedules, and the proof that the monitor would have noticed.
import Testing

@Suite struct SimulationTests {
    private let steps = 60

    @Test func `No schedule of 20,000 answers a check too early (W1, S1, H1, H17, F4)`() {
        let base = UInt64.random(in: 0 ... .max / 2)
        var answers = 0
        var failovers = 0
        for seed in base..<(base + 20_000) {
            var simulation = Simulation(seed: seed)
            simulation.run(steps: steps)
            answers += simulation.answers
            failovers += simulation.failovers
            if let violation = simulation.violation {
                Issue.record("seed \(seed): \(violation)")
                return
            }
        }
        // Schedules in which nothing happens would prove nothing.
        #expect(answers > 50_000, "seeds from \(base)")
        #expect(failovers > 1000, "seeds from \(base)")
    }

    @Test(arguments: Mutation.allCases)
    func `The monitor notices each mutation`(_ mutation: Mutation) {
        let caught = (0..<5000).contains { seed in
            var simulation = Simulation(seed: UInt64(seed), mutation: mutation)
            simulation.run(steps: steps)
            return simulation.violation?.contains("without revocation") ?? false
        }
        #expect(caught, "\(mutation) went unnoticed")
    }
}
