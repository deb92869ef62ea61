// Two batches on the wire across a failover, in each order that their answers can come: one was
// sent to the primary before it died, the other to a standby that was promoted without the last
// revocation. Real servers cannot be made to answer in these orders; the core is told them.
import Primitives
import Revocation
import Testing

@Suite struct FailoverRaceTests {
    private let old = DatabaseTimeline(timeline: "00000001", born: Timestamp(seconds: 1))
    private let new = DatabaseTimeline(timeline: "00000002", born: Timestamp(seconds: 2))

    /// Acknowledged by the primary that died, and not on the standby.
    private static let lost = entry(1)
    /// Acknowledged by the promoted standby, under a number below the cursor of before: numbers
    /// are given out again.
    private static let fresh = entry(2)

    private static func entry(_ subject: UInt64) -> RevocationEntry {
        RevocationEntry(
            RevocationSubject(.session, SessionID(high: 0, low: subject)),
            version: 0,
            expiresAt: Timestamp(seconds: 10_000)
        )
    }

    private func reading(_ timeline: DatabaseTimeline, low: UInt64) -> Reading {
        Reading(
            timeline: timeline,
            nextLow: low,
            databaseTime: Timestamp(seconds: 10),
            horizon: .minutes(15)
        )
    }

    /// A node, and the log of the promoted standby.
    private struct World {
        var core = ReadIndexCore()
        var set = RevocationSet()
        var log = RevocationSet()

        /// What the core wants done then, in words.
        mutating func step(_ event: ReadIndexCore.Event) -> [String] { core.step(event).texts }

        /// A read of everything has come from the standby: all of it is in the set.
        mutating func takeAll() { for entry in log.entries { set.insert(entry) } }

        /// Writes back what the set holds and the standby's log lacks.
        mutating func writeBack(_ batch: ReadIndexCore.Batch) -> [String] {
            for entry in set.entries where !log.covers(entry) { log.insert(entry) }
            return step(.restored(batch))
        }

        /// Whether a check that is answered now is refused.
        func refuses(_ entry: RevocationEntry) -> Bool { set.contains(entry.subject) }
    }

    /// Batch 1 is on its way from the primary, where `lost` is acknowledged; then the standby is
    /// promoted, `fresh` is acknowledged there, and a check comes that batch 2 is to cover.
    private func begun() -> World {
        var world = World()
        _ = world.step(.arrived(0))
        _ = world.step(.closing(0))
        _ = world.step(.completed(0, reading(old, low: 900)))
        #expect(world.step(.arrived(1)) == ["lead 1 of 1"])
        #expect(world.step(.closing(1)) == ["read 1 since 900"])
        world.log.insert(Self.fresh)
        #expect(world.step(.arrived(2)) == ["lead 2 of 2"])
        #expect(world.step(.closing(2)) == ["read 2 since 900"])
        // The standby answers first; the cursor has hidden what is revoked there.
        #expect(world.step(.completed(2, reading(new, low: 860))) == ["read 2 everything"])
        #expect(!world.refuses(Self.fresh))
        return world
    }

    @Test func `An answer of the old history confirms nothing once the new one is known (F4, W1)`()
    {
        var world = begun()
        world.takeAll()
        #expect(world.step(.completed(2, reading(new, low: 861))) == ["note", "restore 2"])
        // While that is being written back, the primary's answer is found in a buffer.
        world.set.insert(Self.lost)
        #expect(world.step(.completed(1, reading(old, low: 905))) == ["read 1 everything"])
        #expect(world.step(.arrived(3)) == [])
        #expect(world.writeBack(2) == ["answer 2", "lead 3 of 3"])
        #expect(world.refuses(Self.fresh) && world.refuses(Self.lost))
        // It has not taken the cursor back to its own history either.
        #expect(world.step(.closing(3)) == ["read 3 since 861"])
        #expect(world.step(.completed(3, reading(new, low: 863))) == ["note", "answer 3"])
        world.takeAll()
        #expect(world.step(.completed(1, reading(new, low: 864))) == ["note", "restore 1"])
        #expect(world.writeBack(1) == ["answer 1"])
        #expect(world.refuses(Self.fresh) && world.refuses(Self.lost))
        #expect(world.log.contains(Self.lost.subject))
    }

    @Test func `What the old history alone told, and told late, is written back too (H7, W2)`() {
        var world = begun()
        world.takeAll()
        #expect(world.step(.completed(2, reading(new, low: 861))) == ["note", "restore 2"])
        #expect(world.writeBack(2) == ["answer 2"])
        // This node did not know of it when it compared.
        #expect(!world.log.contains(Self.lost.subject))
        world.set.insert(Self.lost)
        #expect(world.step(.completed(1, reading(old, low: 905))) == ["read 1 everything"])
        // So that the shell compares what it is about to read.
        #expect(world.core.owesRestore(to: new))
        world.takeAll()
        #expect(world.step(.completed(1, reading(new, low: 862))) == ["note", "restore 1"])
        #expect(world.writeBack(1) == ["answer 1"])
        #expect(world.log.contains(Self.lost.subject))
        #expect(world.refuses(Self.fresh) && world.refuses(Self.lost))
        // Once: then it is a history like any other.
        #expect(!world.core.owesRestore(to: new))
        #expect(world.step(.arrived(3)) == ["lead 3 of 3"])
        #expect(world.step(.closing(3)) == ["read 3 since 862"])
        #expect(world.step(.completed(3, reading(new, low: 863))) == ["note", "answer 3"])
    }

    @Test func `The old history may answer those who came before, and nobody after (F4, H7, W1)`() {
        var world = begun()
        // Nothing of the new history is whole yet: check 1 came before all that it denies.
        world.set.insert(Self.lost)
        #expect(world.step(.completed(1, reading(old, low: 905))) == ["note", "answer 1"])
        #expect(world.refuses(Self.lost))
        #expect(world.step(.arrived(3)) == ["lead 3 of 3"])
        #expect(world.step(.closing(3)) == ["read 3 since 905"])
        #expect(world.step(.completed(3, reading(new, low: 861))) == ["read 3 everything"])
        #expect(!world.refuses(Self.fresh))
        world.takeAll()
        #expect(world.step(.completed(3, reading(new, low: 862))) == ["note", "restore 3"])
        #expect(world.writeBack(3) == ["answer 3"])
        #expect(world.refuses(Self.fresh) && world.log.contains(Self.lost.subject))
        #expect(world.step(.completed(2, reading(new, low: 863))) == ["note", "answer 2"])
        #expect(world.step(.arrived(4)) == ["lead 4 of 4"])
        #expect(world.step(.closing(4)) == ["read 4 since 863"])
    }

    @Test func `Two first reads across a failover leave nothing behind either (H7, W10)`() {
        var world = World()
        #expect(world.step(.arrived(1)) == ["lead 1 of 0"])
        #expect(world.step(.closing(0)) == ["read 0 everything"])
        #expect(world.step(.arrived(2)) == ["lead 2 of 1"])
        #expect(world.step(.closing(1)) == ["read 1 everything"])
        world.log.insert(Self.fresh)
        world.takeAll()
        #expect(world.step(.completed(1, reading(new, low: 860))) == ["note", "answer 2"])
        world.set.insert(Self.lost)
        #expect(world.step(.completed(0, reading(old, low: 905))) == ["note", "restore 0"])
        // It could not know, when it began, that it would be compared; so it is refused.
        #expect(world.step(.failed(0)) == ["refuse 1"])
        #expect(world.step(.arrived(3)) == ["lead 3 of 2"])
        #expect(world.step(.closing(2)) == ["read 2 everything"])
        #expect(world.core.owesRestore(to: new))
        world.takeAll()
        #expect(world.step(.completed(2, reading(new, low: 861))) == ["note", "restore 2"])
        #expect(world.writeBack(2) == ["answer 3"])
        #expect(world.log.contains(Self.lost.subject))
        #expect(world.refuses(Self.fresh) && world.refuses(Self.lost))
    }
}
