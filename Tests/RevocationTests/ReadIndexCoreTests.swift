// The batching of read-indexes as a pure state machine: who is covered by which read, and what
// happens when a read fails, its leader leaves, or the database gets another history.
import Primitives
import Revocation
import Testing

@Suite struct ReadIndexCoreTests {
    private let one = DatabaseTimeline(timeline: "00000001", born: Timestamp(seconds: 1))
    private let two = DatabaseTimeline(timeline: "00000002", born: Timestamp(seconds: 2))

    private func reading(_ timeline: DatabaseTimeline, low: UInt64) -> Reading {
        Reading(
            timeline: timeline,
            nextLow: low,
            databaseTime: Timestamp(seconds: 10),
            horizon: .minutes(15)
        )
    }

    @Test func `Checks that arrive while a batch is open share its read`() {
        var core = ReadIndexCore()
        #expect(core.step(.arrived(1)).texts == ["lead 1 of 0"])
        #expect(core.step(.arrived(2)).texts == [])
        #expect(core.step(.arrived(3)).texts == [])
        #expect(core.step(.closing(0)).texts == ["read 0 everything"])
        #expect(core.step(.completed(0, reading(one, low: 5))).texts == ["note", "answer 1 2 3"])
    }

    @Test func `A check that arrives after a batch was closed waits for the next (H17, W1)`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        #expect(core.step(.arrived(2)).texts == ["lead 2 of 1"])
        #expect(core.step(.completed(0, reading(one, low: 5))).texts == ["note", "answer 1"])
        #expect(core.step(.closing(1)).texts == ["read 1 since 5"])
    }

    @Test func `At most two batches are on the wire`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(1))
        #expect(core.step(.arrived(3)).texts == [])
        #expect(core.step(.arrived(4)).texts == [])
        #expect(
            core.step(.completed(1, reading(one, low: 5))).texts
                == ["note", "answer 2", "lead 3 of 2"]
        )
        #expect(core.step(.closing(2)).texts == ["read 2 since 5"])
    }

    @Test func `A failover while the cursor is forgotten is written back all the same (H7)`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.completed(0, reading(one, low: 5)))
        // A member of the authority has lost what it said, and then the primary goes as well.
        _ = core.step(.forget)
        _ = core.step(.arrived(2))
        #expect(core.step(.closing(1)).texts == ["read 1 everything"])
        let effects = core.step(.completed(1, reading(two, low: 3)))
        let isRestoring = effects.contains { if case .restore = $0 { true } else { false } }
        #expect(isRestoring)
    }

    @Test func `Those behind a leader that left are covered by a later read`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(0))
        #expect(core.step(.abandoned(0)).texts == ["lead 2 of 1"])
        #expect(core.step(.closing(1)).texts == ["read 1 everything"])
        #expect(core.step(.completed(1, reading(one, low: 5))).texts == ["note", "answer 2"])
    }

    @Test func `Those behind a leader that left join the batch that is open already`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(0))
        _ = core.step(.arrived(3))
        #expect(core.step(.abandoned(0)).texts == [])
        _ = core.step(.closing(1))
        #expect(core.step(.completed(1, reading(one, low: 5))).texts == ["note", "answer 3 2"])
    }

    @Test func `A read that fails refuses all whom it was to cover (W10)`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(0))
        #expect(core.step(.failed(0)).texts == ["refuse 1 2"])
        #expect(core.step(.arrived(3)).texts == ["lead 3 of 1"])
    }

    @Test func `Another history means reading everything and restoring first (F4, H7)`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.completed(0, reading(one, low: 900)))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(1))
        #expect(core.step(.completed(1, reading(two, low: 7))).texts == ["read 1 everything"])
        #expect(core.step(.completed(1, reading(two, low: 8))).texts == ["note", "restore 1"])
        #expect(core.step(.restored(1)).texts == ["answer 2"])
        _ = core.step(.arrived(3))
        #expect(core.step(.closing(2)).texts == ["read 2 since 8"])
    }

    @Test func `A restore that failed is done again, and holds nobody up for ever (H7)`() {
        var core = ReadIndexCore(slots: 1)
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.completed(0, reading(one, low: 900)))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(1))
        _ = core.step(.completed(1, reading(two, low: 7)))
        _ = core.step(.arrived(3))
        _ = core.step(.completed(1, reading(two, low: 8)))
        #expect(core.step(.failed(1)).texts == ["refuse 2", "lead 3 of 2"])
        #expect(core.step(.closing(2)).texts == ["read 2 everything"])
        #expect(core.step(.completed(2, reading(two, low: 9))).texts == ["note", "restore 2"])
        #expect(core.step(.restored(2)).texts == ["answer 3"])
    }

    @Test func `The cursor never goes back, whichever read answers last (H1)`() {
        var core = ReadIndexCore()
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(1))
        _ = core.step(.completed(1, reading(one, low: 20)))
        _ = core.step(.completed(0, reading(one, low: 10)))
        _ = core.step(.arrived(3))
        #expect(core.step(.closing(2)).texts == ["read 2 since 20"])
    }

    @Test func `A reading is compared with memory only in another history, or after one (H7)`() {
        var core = ReadIndexCore()
        #expect(!core.owesRestore(to: one))
        _ = core.step(.arrived(1))
        _ = core.step(.closing(0))
        _ = core.step(.completed(0, reading(one, low: 5)))
        #expect(!core.owesRestore(to: one))
        #expect(core.owesRestore(to: two))
        _ = core.step(.arrived(2))
        _ = core.step(.closing(1))
        _ = core.step(.completed(1, reading(two, low: 5)))
        #expect(core.step(.completed(1, reading(two, low: 6))).texts == ["note", "restore 1"])
        _ = core.step(.failed(1))
        #expect(core.owesRestore(to: two))
    }

    @Test func `One check too many is turned away, and room comes back (W8)`() {
        var core = ReadIndexCore(slots: 2, waiterLimit: 2)
        _ = core.step(.arrived(1))
        _ = core.step(.arrived(2))
        #expect(core.step(.arrived(3)).texts == ["overloaded 3"])
        _ = core.step(.closing(0))
        _ = core.step(.failed(0))
        #expect(core.step(.arrived(4)).texts == ["lead 4 of 1"])
    }
}

extension [ReadIndexCore.Effect] {
    /// The effects in words.
    var texts: [String] {
        map { effect in
            switch effect {
            case .lead(let waiter, let batch): "lead \(waiter) of \(batch)"
            case .read(let batch, .everything): "read \(batch) everything"
            case .read(let batch, .since(let low, _)): "read \(batch) since \(low)"
            case .note: "note"
            case .restore(let batch, _): "restore \(batch)"
            case .answer(let waiters): "answer \(Self.list(waiters))"
            case .refuse(let waiters): "refuse \(Self.list(waiters))"
            case .overloaded(let waiter): "overloaded \(waiter)"
            }
        }
    }

    private static func list(_ waiters: [ReadIndexCore.Waiter]) -> String {
        waiters.map(\.description).joined(separator: " ")
    }
}
