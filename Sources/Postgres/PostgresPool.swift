// The door to PostgreSQL: one lane per event loop. A task that prefers one of the loops is served
// by its own lane without changing threads; others are spread round robin. Nothing here blocks, and
// every call ends by its deadline, its cancellation or an answer.
package import Logging
import NIOCore
package import NIOPosix
package import Primitives
import ServiceLifecycle
import Synchronization

/// A pool of pipelined connections to one database.
package final class PostgresPool: PostgresExecutor, Service {
    /// The settings it was made with.
    package let configuration: PostgresConfiguration
    private let lanes: [Lane]
    private let next = Atomic<Int>(0)
    private let isStarted = Atomic<Bool>(false)
    private let epoll: EpollOnDemand

    /// A pool without connections; `start` or `run` makes the first.
    package init(
        configuration: PostgresConfiguration,
        eventLoopGroup: MultiThreadedEventLoopGroup,
        threadPool: NIOThreadPool,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.configuration = configuration
        let epoll = EpollOnDemand()
        self.epoll = epoll
        let metrics = PoolMetrics(metrics)
        var lanes: [Lane] = []
        for loop in eventLoopGroup.makeIterator() {
            lanes.append(
                Lane(
                    loop: loop,
                    configuration: configuration,
                    threadPool: threadPool,
                    metrics: metrics,
                    logger: logger,
                    epollThread: { epoll.thread() }
                )
            )
        }
        self.lanes = lanes
        for lane in lanes {
            lane.onReadOnly = { [weak self] in self?.leaveReadOnlyServer() }
        }
    }

    private func leaveReadOnlyServer() {
        for lane in lanes { lane.loop.execute { lane.leaveReadOnlyServer() } }
    }

    /// Makes the shared connections of every loop.
    ///
    /// - Throws: `PostgresError` of kind `.connection` when one cannot be made; the pool then is
    ///   closed.
    package func start() async throws {
        let isFirst = isStarted.exchange(true, ordering: .relaxed) == false
        guard isFirst else { return }
        do {
            let starts = lanes.map { lane in lane.loop.flatSubmit { lane.start() } }
            for start in starts { try await start.get() }
        } catch {
            await close()
            throw error
        }
    }

    /// Starts unless started, then keeps the connections until graceful shutdown, and closes.
    package func run() async throws {
        try await start()
        do {
            try await gracefulShutdown()
        } catch is CancellationError {
            // Cancelled instead of shut down gracefully: close all the same.
        }
        await close()
    }

    /// Refuses new calls, lets those in flight finish within the drain limit, closes.
    package func close() async {
        for end in lanes.map({ lane in lane.loop.flatSubmit { lane.close() } }) {
            do {
                try await end.get()
            } catch {
                preconditionFailure("closing a lane never fails: \(error)")
            }
        }
        await epoll.stop()
    }

    package func result(
        of info: StatementInfo,
        parameters: [UInt8],
        deadline: Deadline?
    ) async throws -> PostgresResult {
        let limit = deadline ?? .after(configuration.statementDeadline)
        let answer = try await withinRequest(info.name) { request in
            // Nobody needs a late read. What a write that was sent has done must be known, and
            // `lock_timeout` sees to it that it is known soon.
            let isRead = info.kind.isRead && deadline == nil
            let until = isRead ? min(limit, request ?? limit) : limit
            return try await submit(Job(.run(info, parameters: parameters), deadline: until))
        }
        guard case .result(let result) = answer else {
            preconditionFailure("a statement is answered by a result")
        }
        return result
    }

    /// Runs `body` unless the request it belongs to is over; a failure that may come from the lack
    /// of time says so.
    ///
    /// After the answer that time was up, nothing of a request can happen any more: what was not
    /// sent never is, and what was sent has been waited for.
    private func withinRequest(
        _ doing: String,
        _ body: (Deadline?) async throws -> Job.Answer
    ) async throws -> Job.Answer {
        guard let request = RequestDeadline.current else { return try await body(nil) }
        guard !request.hasPassed else { throw DeadlineExceeded(doing: doing) }
        do {
            return try await body(request)
        } catch let error as PostgresError where error.isTransient && request.hasPassed {
            throw DeadlineExceeded(doing: error.description)
        }
    }

    /// Runs `body` on a connection of its own; the caller ends it as it found it.
    ///
    /// A connection that is in the middle of something afterwards is closed.
    package func session<R>(
        deadline: Deadline? = nil,
        _ body: (PostgresSession) async throws -> R
    ) async throws -> R {
        let deadline = deadline ?? .after(configuration.statementDeadline)
        let answer = try await withinRequest("transaction") { _ in
            try await submit(Job(.lease, deadline: deadline))
        }
        guard case .lease(let lease) = answer else {
            preconditionFailure("a wish for a connection is answered by one")
        }
        let session = PostgresSession(lease, deadline: deadline)
        defer { session.end() }
        return try await body(session)
    }

    /// Runs SQL of one or more statements by the simple protocol, without parameters.
    ///
    /// Several statements are one transaction unless they say otherwise. For migrations and tests.
    package func script(_ sql: String, deadline: Deadline? = nil) async throws {
        try await session(deadline: deadline) { try await $0.script(sql) }
    }

    private func submit(_ job: Job) async throws -> Job.Answer {
        let lane = lane()
        return try await withTaskCancellationHandler {
            try await unsafe withUnsafeThrowingContinuation { continuation in
                unsafe job.await(continuation)
                if lane.loop.inEventLoop {
                    lane.submit(job)
                } else {
                    lane.loop.execute { lane.submit(job) }
                }
            }
        } onCancel: {
            lane.loop.execute { lane.cancel(job) }
        }
    }

    /// The lane of the loop this runs on, or the next one.
    private func lane() -> Lane {
        if let current = MultiThreadedEventLoopGroup.currentEventLoop,
            let lane = lanes.first(where: { $0.loop === current })
        {
            return lane
        }
        let ticket = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return lanes[Int(UInt(bitPattern: ticket) % UInt(lanes.count))]
    }
}

/// The epoll thread, made by the first lane whose kernel refuses AIO.
private final class EpollOnDemand: Sendable {
    private let made = Mutex<EpollThread?>(nil)

    func thread() -> EpollThread? {
        made.withLock { made in
            if made == nil { made = EpollThread() }
            return made
        }
    }

    func stop() async {
        let thread = made.withLock { $0.take() }
        await thread?.stop()
    }
}
