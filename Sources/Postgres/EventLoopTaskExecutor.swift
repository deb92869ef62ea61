// Tasks that live on an event loop. A task that prefers the loop its connections belong to never
// changes threads while it waits for them, which is worth a factor of two (spike B0). It must not
// block: everything else on the loop would wait with it.
package import NIOCore

/// Runs the jobs of tasks that prefer it on one event loop.
package final class EventLoopTaskExecutor: TaskExecutor {
    /// The loop on which jobs run.
    package let eventLoop: any EventLoop

    /// An executor for `eventLoop`; make one per loop and keep it.
    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        unsafe UnownedTaskExecutor(ordinary: self)
    }
}

/// Runs `body`, and the tasks it starts, on the loop of `executor`.
///
/// `body` is `@concurrent` so that it begins there: a closure that inherits its caller's isolation
/// would stay on the caller's thread until it first waits.
package func withEventLoopPreference<Value: Sendable, Failure: Error>(
    _ executor: EventLoopTaskExecutor,
    _ body: @concurrent @Sendable () async throws(Failure) -> Value
) async throws(Failure) -> Value {
    try await withTaskExecutorPreference(executor, operation: body)
}
