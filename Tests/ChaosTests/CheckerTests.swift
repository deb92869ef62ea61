// The checker itself: a history that breaks a guarantee must be flagged, and one that only looks
// like it must not. A checker that never fails proves nothing (W1, W2).
import ChaosKit
import Testing

@Suite struct CheckerTests {
    /// Token 1 is covered by session 10 and account 20.
    private static func checker() -> Checker {
        var checker = Checker(nearness: 5, handling: 2)
        checker.issued(1, coveredBy: [10, 20])
        checker.issued(2, coveredBy: [11, 20])
        return checker
    }

    private static func check(
        _ token: Int32,
        _ answer: CheckAnswer,
        _ start: Int64,
        _ end: Int64,
        bound: Int64? = nil
    ) -> CheckRecord {
        CheckRecord(token: token, node: 0, answer: answer, start: start, end: end, bound: bound)
    }

    @Test func `an acceptance that began after a covering acknowledgement is flagged (W1)`() {
        for subject: Int32 in [10, 20] {
            var checker = Self.checker()
            checker.acknowledged(subject, end: 100)
            checker.checked(Self.check(1, .accepted, 101, 110))
            #expect(checker.violations.map(\.guarantee) == [.acknowledged])
            #expect(checker.violationCount == 1)
        }
    }

    @Test func `an acceptance that began before the acknowledgement may be answered after it`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(1, .accepted, 100, 300))
        checker.checked(Self.check(1, .accepted, 99, 300))
        #expect(checker.violationCount == 0)
        #expect(checker.verdicts == 2)
    }

    @Test func `a revocation of something else flags nothing`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(2, .accepted, 200, 210))
        #expect(checker.violationCount == 0)
    }

    @Test func `the first of two acknowledgements counts`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.acknowledged(10, end: 500)
        checker.checked(Self.check(1, .accepted, 501, 510))
        #expect(checker.violations.first?.since == 100)
    }

    @Test func `an acceptance that began after a denial is flagged (W2)`() {
        var checker = Self.checker()
        checker.checked(Self.check(1, .revoked, 50, 60))
        checker.checked(Self.check(1, .accepted, 60, 70))
        #expect(checker.violationCount == 0)
        checker.checked(Self.check(1, .accepted, 61, 71))
        #expect(checker.violations.map(\.guarantee) == [.denied])
    }

    @Test func `a bounded acceptance is flagged beyond bound and handling only`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(1, .accepted, 132, 140, bound: 30))
        #expect(checker.violationCount == 0)
        checker.checked(Self.check(1, .accepted, 133, 141, bound: 30))
        #expect(checker.violations.map(\.guarantee) == [.bounded])
    }

    @Test func `without an allowance the bound is exact (S3)`() {
        var checker = Checker(nearness: 5)
        checker.issued(1, coveredBy: [10])
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(1, .accepted, 130, 140, bound: 30))
        #expect(checker.violationCount == 0)
        checker.checked(Self.check(1, .accepted, 131, 141, bound: 30))
        #expect(checker.counts == [.bounded: 1])
    }

    @Test func `a bounded near miss comes soon after the bound, not after the acknowledgement`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(1, .revoked, 101, 102, bound: 30))
        checker.checked(Self.check(1, .revoked, 131, 132, bound: 30))
        checker.checked(Self.check(1, .revoked, 135, 136, bound: 30))
        checker.checked(Self.check(1, .revoked, 136, 137, bound: 30))
        #expect(checker.nearMisses == 2)
    }

    @Test func `only verdicts soon after an acknowledgement are near misses`() {
        var checker = Self.checker()
        checker.acknowledged(10, end: 100)
        checker.checked(Self.check(1, .revoked, 100, 110))
        checker.checked(Self.check(1, .revoked, 101, 110))
        checker.checked(Self.check(1, .unknown, 102, 110))
        checker.checked(Self.check(1, .revoked, 105, 110))
        checker.checked(Self.check(1, .revoked, 106, 110))
        #expect(checker.nearMisses == 2)
        #expect(checker.unknown == 1)
    }

    @Test func `a right that was taken is judged as a token, and counted apart (W11)`() {
        var checker = Self.checker()
        // The first permission is taken from one account, then from all who have the role 30.
        checker.issued(3, coveredBy: [12, 30], asksRights: true)
        checker.issued(4, coveredBy: [13, 30], asksRights: true)
        checker.checked(Self.check(3, .accepted, 50, 60))
        checker.acknowledged(12, end: 100, ofRights: true)
        checker.checked(Self.check(4, .accepted, 101, 102))
        #expect(checker.violationCount == 0)
        checker.checked(Self.check(3, .accepted, 101, 103))
        checker.acknowledged(30, end: 200, ofRights: true)
        checker.checked(Self.check(4, .accepted, 201, 202))
        checker.checked(Self.check(1, .accepted, 201, 203))
        #expect(checker.counts == [.acknowledged: 2])
        var wanted = RightsTally()
        wanted.acknowledgements = 2
        wanted.verdicts = 4
        wanted.accepted = 4
        wanted.nearMisses = 2
        wanted.violations = [.acknowledged: 2]
        #expect(checker.rights == wanted)
        #expect(checker.verdicts == 5)
    }

    @Test func `what a gateway answers is judged by the same rule, and counted apart (W1, W11)`() {
        var checker = Self.checker()
        checker.issued(3, coveredBy: [12], asksRights: true)
        func check(
            _ token: Int32,
            _ node: UInt8,
            _ answer: CheckAnswer,
            _ start: Int64
        )
            -> CheckRecord
        {
            CheckRecord(
                token: token,
                node: node,
                answer: answer,
                start: start,
                end: start + 1,
                isThroughGateway: true
            )
        }
        checker.checked(check(3, 1, .accepted, 50))
        checker.acknowledged(12, end: 100, by: 0, ofRights: true)
        checker.checked(check(3, 0, .revoked, 101))
        checker.checked(check(3, 1, .revoked, 102))
        // A gateway whose node is away says neither.
        checker.checked(check(3, 2, .unknown, 103))
        #expect(checker.violationCount == 0)
        checker.checked(check(3, 2, .accepted, 104))
        #expect(checker.violations.map(\.guarantee) == [.acknowledged])
        #expect(checker.violations.first?.description.contains("gateway before node 2") == true)
        checker.acknowledged(10, end: 200)
        checker.checked(check(1, 2, .accepted, 201))
        checker.checked(Self.check(1, .revoked, 202, 203))
        var wanted = GatewayTally()
        wanted.verdicts = 5
        wanted.accepted = 3
        wanted.nearMisses = 4
        wanted.rightsNearMisses = 3
        wanted.rightsElsewhere = 2
        wanted.violations = [.acknowledged: 2]
        wanted.rightsViolations = [.acknowledged: 1]
        #expect(checker.gateways == wanted)
        #expect(checker.verdicts == 6)
        #expect(checker.nearMisses == 5)
        #expect(checker.violationCount == 2)
    }

    @Test func `events out of order are counted`() {
        var checker = Self.checker()
        checker.checked(Self.check(1, .accepted, 101, 110))
        checker.acknowledged(10, end: 100)
        #expect(checker.late == 1)
    }

    @Test func `the same seed gives the same faults`() {
        var one = Dice(seed: 7)
        var same = Dice(seed: 7)
        var other = Dice(seed: 8)
        let first = (0..<50).map { _ in one.choose([("a", weight: 3), ("b", weight: 1)]) }
        let again = (0..<50).map { _ in same.choose([("a", weight: 3), ("b", weight: 1)]) }
        let different = (0..<50).map { _ in other.choose([("a", weight: 3), ("b", weight: 1)]) }
        #expect(first == again)
        #expect(first != different)
    }
}
