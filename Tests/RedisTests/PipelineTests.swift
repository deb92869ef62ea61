// The bookkeeping of replies without any I/O: every order of events is just a list of calls.
import Primitives
import Testing

@testable import Redis

@Suite struct PipelineTests {
    private let start = MonotonicInstant(nanoseconds: 0)

    private func pipeline(inFlight: Int = 8, waiting: Int = 8) -> Pipeline<Int> {
        Pipeline(limits: .init(inFlight: inFlight, waiting: waiting, tombstone: .seconds(1)))
    }

    private func deadline(_ milliseconds: Int) -> Deadline {
        Deadline(start + .milliseconds(milliseconds))
    }

    private func waiter(_ recipient: Pipeline<Int>.Recipient) -> Int? {
        if case .waiter(let waiter, _) = recipient { waiter } else { nil }
    }

    private func isNobody(_ recipient: Pipeline<Int>.Recipient) -> Bool {
        if case .nobody = recipient { true } else { false }
    }

    private func isUnexpected(_ recipient: Pipeline<Int>.Recipient) -> Bool {
        if case .unexpected = recipient { true } else { false }
    }

    @Test func `replies reach waiters in the order of sending`() {
        var pipeline = pipeline()
        for number in 1...3 {
            #expect(pipeline.submit(number, until: deadline(100), at: start) != nil)
        }
        #expect([pipeline.next(), pipeline.next(), pipeline.next()] == [1, 2, 3])
        #expect(pipeline.next() == nil)
        #expect((1...3).map { _ in waiter(pipeline.reply()) } == [1, 2, 3])
        #expect(pipeline.isEmpty)
    }

    @Test func `a reply nobody waits for is unexpected, also while a command waits to be sent`() {
        var pipeline = pipeline()
        #expect(isUnexpected(pipeline.reply()))
        _ = pipeline.submit(1, until: deadline(100), at: start)
        #expect(isUnexpected(pipeline.reply()))
        #expect(pipeline.next() == 1)
        #expect(waiter(pipeline.reply()) == 1)
    }

    @Test func `a waiter that leaves keeps its place, and its reply reaches nobody else`() {
        var pipeline = pipeline()
        let first = pipeline.submit(1, until: deadline(100), at: start)
        _ = pipeline.submit(2, until: deadline(100), at: start)
        _ = pipeline.next()
        _ = pipeline.next()
        #expect(first.flatMap { pipeline.abandon($0, at: start) } == 1)
        #expect(first.flatMap { pipeline.abandon($0, at: start) } == nil)
        #expect(pipeline.inFlight == 2)
        #expect(isNobody(pipeline.reply()))
        #expect(waiter(pipeline.reply()) == 2)
        #expect(first.flatMap { pipeline.abandon($0, at: start) } == nil)
    }

    @Test func `a waiter that leaves before its command is sent takes the command along`() {
        var pipeline = pipeline(inFlight: 1)
        _ = pipeline.submit(1, until: deadline(100), at: start)
        #expect(pipeline.next() == 1)
        let second = pipeline.submit(2, until: deadline(100), at: start)
        _ = pipeline.submit(3, until: deadline(100), at: start)
        #expect(second.flatMap { pipeline.abandon($0, at: start) } == 2)
        #expect(pipeline.next() == nil)
        #expect(waiter(pipeline.reply()) == 1)
        #expect(pipeline.next() == 3)
        #expect(waiter(pipeline.reply()) == 3)
        #expect(pipeline.isEmpty)
    }

    @Test func `both limits hold, and waiters who left do not make room for more`() {
        var pipeline = pipeline(inFlight: 2, waiting: 3)
        for number in 1...2 {
            #expect(pipeline.submit(number, until: deadline(100), at: start) != nil)
            #expect(pipeline.next() == number)
        }
        let waiting = (3...5).map { pipeline.submit($0, until: deadline(100), at: start) }
        let areAllThere = waiting.allSatisfy { $0 != nil }
        #expect(areAllThere)
        #expect(pipeline.submit(6, until: deadline(100), at: start) == nil)
        #expect(waiting[0].flatMap { pipeline.abandon($0, at: start) } == 3)
        #expect(pipeline.submit(6, until: deadline(100), at: start) == nil)
        #expect((pipeline.inFlight, pipeline.waiting) == (2, 3))
        #expect(waiter(pipeline.reply()) == 1)
        #expect(pipeline.next() == 4)
        #expect(pipeline.submit(6, until: deadline(100), at: start) != nil)
    }

    @Test func `only late waiters expire, each once`() {
        var pipeline = pipeline(inFlight: 2)
        for (number, limit) in [(1, 100), (2, 50), (3, 60), (4, 200)] {
            _ = pipeline.submit(number, until: deadline(limit), at: start)
        }
        _ = pipeline.next()
        _ = pipeline.next()
        #expect(pipeline.nextEvent == start + .milliseconds(50))
        #expect(pipeline.expire(at: start + .milliseconds(60)) == [2, 3])
        #expect(pipeline.expire(at: start + .milliseconds(60)) == [])
        #expect(pipeline.nextEvent == start + .milliseconds(100))
        #expect(waiter(pipeline.reply()) == 1)
        #expect(isNobody(pipeline.reply()))
        #expect(pipeline.next() == 4)
    }

    @Test func `an overdue reply makes the connection stuck, a late one in time does not`() {
        var pipeline = pipeline()
        _ = pipeline.submit(1, until: deadline(100), at: start)
        _ = pipeline.next()
        _ = pipeline.expire(at: start + .milliseconds(100))
        #expect(!pipeline.isStuck(at: start + .milliseconds(1099)))
        #expect(pipeline.isStuck(at: start + .milliseconds(1100)))
        #expect(pipeline.nextEvent == start + .milliseconds(1100))
        #expect(isNobody(pipeline.reply()))
        #expect(!pipeline.isStuck(at: start + .seconds(60)))
        #expect(pipeline.nextEvent == nil)
    }

    @Test func `a lost connection gives back every waiter once, and old tickets mean nothing`() {
        var pipeline = pipeline(inFlight: 2)
        let tickets = (1...4).map { pipeline.submit($0, until: deadline(100), at: start) }
        _ = pipeline.next()
        _ = pipeline.next()
        _ = tickets[1].flatMap { pipeline.abandon($0, at: start) }
        #expect(pipeline.drain() == [1, 3, 4])
        #expect(pipeline.isEmpty && pipeline.inFlight == 0 && pipeline.waiting == 0)
        _ = pipeline.submit(5, until: deadline(100), at: start)
        let abandoned = tickets.map { $0.flatMap { pipeline.abandon($0, at: start) } }
        let areNone = abandoned.allSatisfy { $0 == nil }
        #expect(areNone)
        #expect(pipeline.drain() == [5])
    }

    @Test func `the pause doubles to its maximum, varies, and starts over after a success`() {
        var shortest = Backoff(minimum: .milliseconds(50), maximum: .milliseconds(300))
        let low = Entropy { 0 }
        #expect(
            (0..<5).map { _ in shortest.pause(entropy: low) }
                == [25, 50, 100, 150, 150].map { .milliseconds($0) }
        )
        shortest.reset()
        #expect(shortest.pause(entropy: low) == .milliseconds(25))
        var longest = Backoff(minimum: .milliseconds(50), maximum: .milliseconds(300))
        #expect(longest.pause(entropy: Entropy { 25_000 }) == .milliseconds(50))
    }
}
