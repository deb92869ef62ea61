// The set in memory against the simplest thing that does the same: a dictionary.
import Primitives
import Revocation
import Testing

@Suite struct RevocationSetTests {
    private struct Mark: Equatable {
        var version: Int64
        var expiresAt: Timestamp
    }

    private func entry(_ dice: inout Dice, subjects: Int) -> RevocationEntry {
        let kinds = RevocationKind.allCases
        let kind = kinds[dice.below(kinds.count)]
        // As UUIDv7: the first half is a time, and nearly the same in all.
        let id = SessionID(high: 0x0193_4000_0000_7000 + dice.next() % 4, low: dice.next())
        let few = SessionID(high: 7, low: UInt64(dice.below(subjects)))
        let isVersioned = kind == .signature || kind == .accountState || kind == .global
        return RevocationEntry(
            RevocationSubject(kind, dice.below(2) == 0 ? id : few),
            version: isVersioned ? Int64(dice.below(50)) + 1 : 0,
            expiresAt: Timestamp(seconds: Int64(1000 + dice.below(1000)))
        )
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `It holds what a dictionary holds, through growth and pruning (W2)`(seed: UInt64) {
        var dice = Dice(seed: seed)
        var set = RevocationSet()
        var model: [RevocationSubject: Mark] = [:]
        for round in 0..<40 {
            for _ in 0..<200 {
                let entry = entry(&dice, subjects: 100)
                set.insert(entry)
                let known = model[entry.subject]
                model[entry.subject] = Mark(
                    version: max(known?.version ?? 0, entry.version),
                    expiresAt: max(known?.expiresAt ?? entry.expiresAt, entry.expiresAt)
                )
            }
            if round % 4 == 3 {
                let now = Timestamp(seconds: Int64(1000 + dice.below(40) * (round + 1) / 4))
                set.prune(before: now)
                model = model.filter { $0.value.expiresAt >= now }
            }
            #expect(set.count == model.count)
        }
        var held: [RevocationSubject: Mark] = [:]
        for entry in set.entries {
            held[entry.subject] = Mark(version: entry.version, expiresAt: entry.expiresAt)
        }
        #expect(held == model)
        for (subject, mark) in model {
            #expect(set.contains(subject))
            #expect(set.lowestVersion(of: subject) == mark.version)
        }
        for _ in 0..<2000 {
            let other = entry(&dice, subjects: 200).subject
            #expect(set.contains(other) == (model[other] != nil))
        }
    }

    @Test func `A round of small steps prunes all of it, and the next waits 30 seconds`() {
        var set = RevocationSet()
        var dice = Dice(seed: 5)
        for _ in 0..<5000 { set.insert(entry(&dice, subjects: 1)) }
        let end = Timestamp(seconds: 3000)
        for _ in 0..<256 { set.pruneStep(before: end) }
        #expect(set.count == 0)
        let late = RevocationEntry(
            RevocationSubject(.session, SessionID(high: 1, low: 1)),
            version: 0,
            expiresAt: Timestamp(seconds: 3001)
        )
        set.insert(late)
        for _ in 0..<256 { set.pruneStep(before: end + .seconds(20)) }
        #expect(set.count == 1)
        for _ in 0..<256 { set.pruneStep(before: end + .seconds(31)) }
        #expect(set.count == 0)
    }

    @Test func `An older revocation neither lowers a version nor shortens a life (S4-T1)`() {
        var set = RevocationSet()
        let subject = RevocationSubject(.signature, AccountID(high: 1, low: 2))
        let late = Timestamp(seconds: 2000)
        set.insert(RevocationEntry(subject, version: 9, expiresAt: late))
        set.insert(RevocationEntry(subject, version: 3, expiresAt: Timestamp(seconds: 1000)))
        set.prune(before: Timestamp(seconds: 1500))
        #expect(set.lowestVersion(of: subject) == 9)
        #expect(set.entries == [RevocationEntry(subject, version: 9, expiresAt: late)])
    }

    @Test func `An entry is kept to the end of the second in which it expires (W2)`() {
        let subject = RevocationSubject(.session, SessionID(high: 1, low: 2))
        let expiry = Timestamp(microseconds: 2_000_000_001)
        var set = RevocationSet()
        set.insert(RevocationEntry(subject, version: 0, expiresAt: expiry))
        set.prune(before: Timestamp(microseconds: 2_000_000_002))
        #expect(set.contains(subject))
        set.prune(before: Timestamp(microseconds: 2_001_000_001))
        #expect(!set.contains(subject))
        #expect(set.count == 0)
    }

    @Test func `What a set covers is what it has at least as strong and as long (H7)`() {
        let subject = RevocationSubject(.signature, AccountID(high: 1, low: 2))
        func entry(_ version: Int64, _ seconds: Int64) -> RevocationEntry {
            RevocationEntry(subject, version: version, expiresAt: Timestamp(seconds: seconds))
        }
        var set = RevocationSet()
        #expect(!set.covers(entry(5, 1000)))
        set.insert(entry(5, 1000))
        #expect(set.covers(entry(5, 1000)))
        #expect(set.covers(entry(4, 999)))
        #expect(!set.covers(entry(6, 999)))
        #expect(!set.covers(entry(5, 1001)))
    }

    @Test func `Its parts are all of it`() {
        var set = RevocationSet()
        var dice = Dice(seed: 6)
        for _ in 0..<5000 { set.insert(entry(&dice, subjects: 100)) }
        let parts = RevocationSet.parts.map { set.entries(of: $0) }
        #expect(parts.map(\.count).reduce(0, +) == set.count)
        #expect(Set(parts.joined()).count == set.count)
    }
}
