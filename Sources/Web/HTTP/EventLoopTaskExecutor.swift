// Runs a connection's task on the connection's own event loop, so that a request never changes
// threads on its way to the stores of the same loop; that halves the time of a short query.
internal import NIOCore

/// A task executor that is an event loop.
final class EventLoopTaskExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
