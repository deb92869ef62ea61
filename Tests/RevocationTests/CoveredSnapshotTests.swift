// What a node may leave unread: nothing of a snapshot that it has not read in full.
import Primitives
import Testing

@testable import Revocation

@Suite struct CoveredSnapshotTests {
    private let one = DatabaseTimeline(timeline: "00000001", born: Timestamp(seconds: 1))
    private let two = DatabaseTimeline(timeline: "00000002", born: Timestamp(seconds: 2))

    private func reading(_ history: DatabaseTimeline, _ snapshot: String) -> Reading {
        Reading(
            timeline: history,
            nextLow: 5,
            snapshot: snapshot,
            databaseTime: Timestamp(seconds: 10),
            horizon: .minutes(15)
        )
    }

    @Test func `Two readings alike make it quiet, and a third that differs does not`() {
        var covered = CoveredSnapshot()
        let first = covered.note(reading(one, "5:5:"), of: .everything)
        #expect(first && !covered.isQuiet)
        #expect(covered.isOf(reading(one, "5:5:")))
        let second = covered.note(reading(one, "5:5:"), of: .since(low: 5, on: one))
        #expect(second && covered.isQuiet)
        // A later one, one with somebody in between, and the same numbers of another history.
        for other in [reading(one, "5:6:"), reading(one, "5:6:5"), reading(two, "5:5:")] {
            #expect(!covered.isOf(other))
        }
        let third = covered.note(reading(one, "5:6:"), of: .since(low: 5, on: one))
        #expect(third && !covered.isQuiet)
    }

    /// Two batches find a promoted standby: one has read everything, and then the other reads from
    /// the cursor of before, which lies beyond what has been revoked since (H7).
    @Test func `What was read from another history's cursor covers nothing (H7, S1, W1)`() {
        var covered = CoveredSnapshot()
        let before = covered.note(reading(one, "9:9:"), of: .everything)
        let whole = covered.note(reading(two, "5:5:"), of: .everything)
        #expect(before && whole)
        for _ in 0..<2 {
            let foreign = covered.note(reading(two, "6:6:"), of: .since(low: 9, on: one))
            #expect(!foreign && !covered.isQuiet)
            #expect(!covered.isOf(reading(two, "6:6:")))
        }
        let own = covered.note(reading(two, "6:6:"), of: .since(low: 5, on: two))
        #expect(own && covered.isOf(reading(two, "6:6:")))
    }
}
