// S1 over many random schedules of the real cores, and the proof that the monitor would have
// noticed what must not happen: each rule broken, and each assumption A1 to A4 (revocation.md 4).
// `WATCHWORD_SCHEDULES` sets how many schedules are run (`make schedules`: 100,000) and
// `WATCHWORD_SEED` the first of them; the seed of a failure is its schedule.
import Glibc
import Revocation
import TestKit
import Testing

// One after the other: each keeps a core busy.
@Suite(.serialized) struct AuthoritySimulationTests {
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
    ) async throws {
        let base = Self.number("WATCHWORD_SEED") ?? 0
        // Seconds of work on a thread of the pool would hold up the tests beside this one.
        let tally = try await Blocking.run {
            var tally = Tally()
            for seed in base..<(base + Self.schedules) where tally.violation == nil {
                tally.add(Self.run(seed, size), seed)
            }
            return tally
        }
        #expect(tally.violation == nil, "\(size) members")
        // Schedules in which nothing happens would prove nothing.
        let least = Int(Self.schedules) / 10
        #expect(tally.confirmations > least, "seeds from \(base)")
        #expect(tally.acknowledgements > least, "seeds from \(base)")
        #expect(tally.adoptions > least, "seeds from \(base)")
        #expect(tally.failovers > least, "seeds from \(base)")
        #expect(tally.strangers > least / 2, "seeds from \(base)")
    }

    /// What came of many schedules.
    private struct Tally {
        var violation: String?
        var (confirmations, acknowledgements, adoptions) = (0, 0, 0)
        var (failovers, strangers) = (0, 0)

        mutating func add(_ simulation: AuthoritySimulation, _ seed: UInt64) {
            confirmations += simulation.confirmations
            acknowledgements += simulation.acknowledgements
            adoptions += simulation.adoptions
            failovers += simulation.failovers
            strangers += simulation.strangers
            violation = simulation.violation.map { "seed \(seed): \($0)" }
        }
    }

    private static func run(
        _ seed: UInt64,
        _ size: Int,
        _ fault: AuthorityFault? = nil
    ) -> AuthoritySimulation {
        var simulation = AuthoritySimulation(seed: seed, size: size, fault: fault)
        simulation.run(steps: steps)
        return simulation
    }

    @Test(arguments: AuthorityFault.allCases)
    func `The monitor notices each broken rule and each broken assumption`(
        _ fault: AuthorityFault
    ) async throws {
        for size in fault.noticedSizes {
            let isCaught = try await Blocking.run {
                (0..<Self.patience * fault.rarity).contains { seed in
                    let violation = Self.run(seed, size, fault).violation
                    return violation?.contains("without revocation") ?? false
                }
            }
            #expect(isCaught, "\(fault) went unnoticed with \(size) members")
        }
    }

    @Test(arguments: [1, 3])
    func `A member that forgets and keeps its token is found out by its head (A4, H5)`(
        _ size: Int
    ) async throws {
        let isFound = try await Blocking.run {
            (0..<Self.patience).contains { seed in
                Self.run(seed, size, .forgetfulMember).distrusts.contains { reason in
                    if case .headWentBack = reason { true } else { false }
                }
            }
        }
        #expect(isFound)
    }

    @Test func `A seed is a schedule`() {
        for seed: UInt64 in 0..<200 {
            #expect(Self.run(seed, 3).outcome == Self.run(seed, 3).outcome)
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
            .publishesToStrangers, .fencesStrangers, .asksStrangers, .joinsInFlight,
            .readsStaleReplica, .skipsXmin, .ignoresEcho, .splitsTheSnapshot,
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
