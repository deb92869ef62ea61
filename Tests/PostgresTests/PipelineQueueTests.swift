// The bookkeeping of a pipeline, without a server: which answer goes to whom, and when.
import Testing

@testable import Postgres

@Suite struct PipelineQueueTests {
    private typealias Queue = PipelineQueue<Int, String, String>

    /// Answers the oldest entry and gives what is to be done, spelled out.
    private func answer(_ queue: inout Queue, _ reply: Queue.Reply) -> String? {
        queue.received(reply)
        return queue.ended().map(Self.spell)
    }

    private func sync(_ queue: inout Queue, verdict: String? = nil) -> [String] {
        queue.synced(verdict: verdict).map(Self.spell)
    }

    private static func spell(_ action: Queue.Action) -> String {
        switch action {
        case .deliver(let job, let answer): "deliver \(job) \(answer)"
        case .fail(let job, let failure): "fail \(job) \(failure)"
        case .retryAlone(let job): "retry \(job)"
        case .prepared(let job, let isReady): "prepared \(job) \(isReady)"
        }
    }

    private func queue(_ jobs: ClosedRange<Int>, _ mode: Queue.Mode) -> Queue {
        var queue = Queue()
        for job in jobs { queue.appendExecute(job, mode) }
        queue.appendSync()
        return queue
    }

    @Test func `reads are answered at once, and those skipped by a failure are repeated`() {
        var queue = queue(1...3, .read)
        #expect(answer(&queue, .success("a")) == "deliver 1 a")
        #expect(answer(&queue, .failure("x")) == "fail 2 x")
        #expect(answer(&queue, .skipped) == nil)
        #expect(queue.expectsSync)
        #expect(sync(&queue) == ["retry 3"])
        #expect(queue.isEmpty)
        #expect(queue.statements == 0)
    }

    @Test func `a write is not answered before its sync`() {
        var queue = queue(1...2, .write)
        #expect(answer(&queue, .success("a")) == nil)
        #expect(answer(&queue, .success("b")) == nil)
        #expect(sync(&queue) == ["deliver 1 a", "deliver 2 b"])
    }

    @Test func `a group with a failure is repeated whole, the culprit included`() {
        var queue = queue(1...3, .write)
        #expect(answer(&queue, .success("a")) == nil)
        #expect(answer(&queue, .failure("x")) == nil)
        #expect(answer(&queue, .skipped) == nil)
        #expect(sync(&queue) == ["retry 1", "retry 2", "retry 3"])
    }

    @Test func `a write alone keeps its failure`() {
        var queue = queue(1...1, .write)
        #expect(answer(&queue, .failure("x")) == nil)
        #expect(sync(&queue) == ["fail 1 x"])
    }

    @Test func `a commit that was not confirmed fails all of it and repeats nothing (H8)`() {
        var queue = queue(1...2, .write)
        _ = answer(&queue, .success("a"))
        _ = answer(&queue, .success("b"))
        #expect(sync(&queue, verdict: "w") == ["fail 1 w", "fail 2 w"])
    }

    @Test func `nothing of a transaction is repeated`() {
        var queue = queue(1...3, .transaction)
        _ = answer(&queue, .success("a"))
        _ = answer(&queue, .failure("x"))
        _ = answer(&queue, .skipped)
        #expect(sync(&queue) == ["deliver 1 a", "fail 2 x", "fail 3 x"])
    }

    @Test func `a failed preparation is its own statement's failure`() {
        var queue = Queue()
        queue.appendPrepare(1)
        queue.appendExecute(1, .read)
        queue.appendExecute(2, .read)
        queue.appendSync()
        #expect(answer(&queue, .failure("syntax")) == "prepared 1 false")
        #expect(answer(&queue, .skipped) == "fail 1 syntax")
        #expect(answer(&queue, .skipped) == nil)
        #expect(sync(&queue) == ["retry 2"])
    }

    @Test func `a lost connection gives back every job once`() {
        var queue = Queue()
        queue.appendPrepare(1)
        queue.appendExecute(1, .write)
        queue.appendExecute(2, .write)
        queue.appendSync()
        queue.appendExecute(3, .write)
        _ = answer(&queue, .success("prepared"))
        _ = answer(&queue, .success("a"))
        #expect(queue.drain() == [1, 2, 3])
        #expect(queue.isEmpty)
        #expect(queue.statements == 0)
    }
}
