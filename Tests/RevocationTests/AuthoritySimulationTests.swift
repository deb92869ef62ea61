// S1 over many random schedules of the real cores, and the proof that the monitor would have
// noticed what must not happen: each rule broken, and each assumption A1 to A4 (revocation.md 4).
// `WATCHWORD_SCHEDULES` sets how many schedules are run (`make schedules`: 100,000) and
// `WATCHWORD_SEED` the first of them; the seed of a failure is its schedule.
import Glibc
import Revocation
import Testing

@Suite struct AuthoritySimulationTests {
    private static let steps = 160
    /// Within so many schedules each fault must be noticed.
    private static let patience: UInt64 = 10_000

    /// How many schedules are run for one number of members.
    private static let schedules = (number("WATCHWORD_SCHEDULES") ?? 10_000) / 2

    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test(arguments: [1, 3])
    func `No schedule of the real cores answers a check too early (W1, S1, H1-H20, F1-F5)`(
        _ size: Int
    ) {
        let base = Self.number("WATCHWORD_SEED") ?? 0
        var (confirmations, acknowledgements, adoptions, failovers) = (0, 0, 0, 0)
        for seed in base..<(base + Self.schedules) {
            var simulation = AuthoritySimulation(seed: seed, size: size)
            simulation.run(steps: Self.steps)
            confirmations += simulation.confirmations
            acknowledgements += simulation.acknowledgements
            adoptions += simulation.adoptions
            failovers += simulation.failovers
            if let violation = simulation.violation {
                Issue.record("\(size) members, seed \(seed): \(violation)")
                return
            }
        }
        // Schedules in which nothing happens would prove nothing.
        let least = Int(Self.schedules) / 10
        #expect(confirmations > least, "seeds from \(base)")
        #expect(acknowledgements > least, "seeds from \(base)")
        #expect(adoptions > least, "seeds from \(base)")
        #expect(failovers > least, "seeds from \(base)")
    }

    @Test(arguments: AuthorityFault.allCases)
    func `The monitor notices each broken rule and each broken assumption`(
        _ fault: AuthorityFault
    ) {
        for size in fault.noticedSizes {
            let caught = (0..<Self.patience * fault.rarity).first { seed in
                var simulation = AuthoritySimulation(seed: seed, size: size, fault: fault)
                simulation.run(steps: Self.steps)
                return simulation.violation?.contains("without revocation") ?? false
            }
            #expect(caught != nil, "\(fault) went unnoticed with \(size) members")
        }
    }

    @Test(arguments: [1, 3])
    func `A member that forgets and keeps its token is found out by its head (A4, H5)`(
        _ size: Int
    ) {
        let found = (0..<Self.patience).first { seed in
            var simulation = AuthoritySimulation(seed: seed, size: size, fault: .forgetfulMember)
            simulation.run(steps: Self.steps)
            let reasons = simulation.distrusts.filter { reason in
                if case .headWentBack = reason { true } else { false }
            }
            return !reasons.isEmpty
        }
        #expect(found != nil)
    }

    @Test func `A seed is a schedule`() {
        for seed: UInt64 in 0..<200 {
            var first = AuthoritySimulation(seed: seed, size: 3)
            var second = AuthoritySimulation(seed: seed, size: 3)
            first.run(steps: Self.steps)
            second.run(steps: Self.steps)
            #expect(first.outcome == second.outcome)
        }
    }
}

extension AuthorityFault {
    /// How many times more schedules it may take than others do: the parts of a split question must
    /// be answered on either side of a whole adoption.
    fileprivate var rarity: UInt64 { self == .splitsThePoll ? 8 : 1 }

    /// With how many members the schedules are dense enough to show the fault.
    fileprivate var noticedSizes: [Int] {
        switch self {
        case .adoptsWithoutDrain, .tokenIsEpoch, .splitsThePoll: [1]
        case .readQuorumOne, .writeQuorumOne, .fencesOneOfThree: [3]
        case .acknowledgesBeforeLeases, .checksNoToken, .readsAuthorityBeforeCommit,
            .joinsInFlight, .readsStaleReplica, .skipsXmin, .ignoresEcho, .splitsTheSnapshot,
            .lossyFailover, .twoPrimaries, .frozenClock, .forgetfulMember:
            [1, 3]
        }
    }
}

extension AuthoritySimulation {
    /// What two runs of one schedule have in common.
    fileprivate var outcome: [UInt64] {
        [acknowledged, nodes[0].memory, nodes[1].memory, UInt64(answers), UInt64(now)]
    }
}
