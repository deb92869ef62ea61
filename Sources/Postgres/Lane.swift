// One lane per event loop: the connections that live on that loop and the calls that wait for them.
// Everything here runs on the loop; a caller on it never leaves it. Queues are bounded in length
// and time, and every waiter is resumed exactly once, whatever happens to its connection.
import DequeModule
import Logging
import NIOCore
import NIOPosix
import Primitives

/// The connections of one event loop.
final class Lane: ConnectionOwner, @unchecked Sendable {
    // Sendable: all state is touched on `loop` only. The doors for others (`submit`, `cancel`,
    // `start`, `close`, `give back`) check that; the rest is reached through them.

    let loop: any EventLoop
    let configuration: PostgresConfiguration
    let threadPool: NIOThreadPool
    let metrics: PoolMetrics
    let logger: Logger
    let epollThread: @Sendable () -> EpollThread?
    let reads: SharedConnections
    let urgent: SharedConnections
    let lists: SharedConnections
    let writes: SharedConnections
    var exclusive = ExclusiveConnections()
    var connections: [ObjectIdentifier: Connection] = [:]
    /// Connections being made, which must come home before the loop may end.
    var pending = 0
    var isClosing = false
    var closed: EventLoopPromise<Void>?
    /// Tells the other lanes; set before the first connection is made.
    var onReadOnly: @Sendable () -> Void = {}
    private var timer: Scheduled<Void>?
    private var wakesAt: MonotonicInstant?

    init(
        loop: any EventLoop,
        configuration: PostgresConfiguration,
        threadPool: NIOThreadPool,
        metrics: PoolMetrics,
        logger: Logger,
        epollThread: @escaping @Sendable () -> EpollThread?
    ) {
        self.loop = loop
        self.configuration = configuration
        self.threadPool = threadPool
        self.metrics = metrics
        self.logger = logger
        self.epollThread = epollThread
        reads = SharedConnections(role: .read, count: configuration.readConnections)
        urgent = SharedConnections(role: .urgent, count: configuration.urgentConnections)
        lists = SharedConnections(role: .list, count: configuration.listConnections)
        writes = SharedConnections(role: .write, count: configuration.writeConnections)
    }

    // MARK: Doors

    /// Takes a job: sends it at once when a connection has room, else lets it wait.
    func submit(_ job: Job) {
        loop.preconditionInEventLoop()
        job.isSubmitted = true
        guard !job.isCancelled else { return job.fail(CancellationError()) }
        guard !isClosing else {
            return job.fail(PostgresError(.connection, "the pool is closed").naming(job.name))
        }
        guard !isLate(job) else { return }
        guard case .run(let info, _) = job.purpose else { return lease(job) }
        note(job.deadline)
        let shared = shared(for: info.kind)
        if shared.waiting.isEmpty, let connection = shared.roomiest(configuration.pipelineDepth) {
            return connection.send(job)
        }
        wait(job, behind: shared.waiting.count) { shared.waiting.append($0) }
    }

    /// The connections for statements of this kind.
    private func shared(for kind: StatementKind) -> SharedConnections {
        switch kind {
        case .read: reads
        case .urgent: urgent
        case .list: lists
        case .write, .solo: writes
        }
    }

    /// Those a connection of this role is one of; nil for one that is nobody else's.
    func shared(of role: Connection.Role) -> SharedConnections? {
        switch role {
        case .read: reads
        case .urgent: urgent
        case .list: lists
        case .write: writes
        case .exclusive: nil
        }
    }

    /// Takes a job for a connection that its caller holds.
    func submit(_ job: Job, on connection: Connection) {
        loop.preconditionInEventLoop()
        job.isSubmitted = true
        guard !job.isCancelled else { return job.fail(CancellationError()) }
        guard !isLate(job) else { return }
        note(job.deadline)
        connection.send(job)
    }

    /// Fails a job whose time was up before it could be sent, so that nothing of it can happen.
    private func isLate(_ job: Job) -> Bool {
        guard job.deadline <= .now else { return false }
        metrics.late.increment()
        job.fail(PostgresError(.deadline, "time was up before it was sent").naming(job.name))
        return true
    }

    /// Lets a cancelled waiter go; what was sent stays in the pipeline as a tombstone.
    func cancel(_ job: Job, on connection: Connection? = nil) {
        loop.preconditionInEventLoop()
        job.isCancelled = true
        guard job.isSubmitted, job.isAwaited else { return }
        let now = MonotonicInstant.now
        job.abandon(CancellationError(), at: now)
        if let connection { return connection.close("its task was cancelled in mid-command") }
        note(now + configuration.tombstoneLimit)
        removeUnawaited()
    }

    // MARK: Waiting

    /// Everybody who waits, whatever for.
    var waiters: [Job] {
        let shared = [reads, urgent, lists, writes].map(\.waiting)
        return Array((shared + [exclusive.waiting]).joined())
    }

    /// Lets a job wait behind so many `others`, or refuses it.
    func wait(_ job: Job, behind others: Int, append: (Job) -> Void) {
        guard others < configuration.queueLimit else {
            metrics.refused.increment()
            return job.fail(PostgresError(.overloaded, "too many wait").naming(job.name))
        }
        let until = MonotonicInstant.now + configuration.waitLimit
        job.waitsUntil = until
        append(job)
        metrics.waiting.add(1)
        note(min(until, job.deadline))
    }

    private func removeUnawaited() {
        var removed = 0
        func clean(_ queue: inout Deque<Job>) {
            let before = queue.count
            queue.removeAll { !$0.isAwaited }
            removed += before - queue.count
        }
        clean(&reads.waiting)
        clean(&urgent.waiting)
        clean(&lists.waiting)
        clean(&writes.waiting)
        clean(&exclusive.waiting)
        metrics.waiting.add(-removed)
    }

    // MARK: What connections tell

    func madeProgress(_ connection: Connection) {
        if let shared = shared(of: connection.role) { drain(shared, into: connection) }
        if isClosing { closeIdle() }
    }

    /// Sends what waits.
    ///
    /// Sending may lose the connection and so come back to the lane: the queue is
    /// never held across it.
    private func drain(_ shared: SharedConnections, into connection: Connection) {
        while connection.inFlight < configuration.pipelineDepth, !connection.isClosed,
            let job = shared.waiting.popFirst()
        {
            metrics.waiting.add(-1)
            if job.isAwaited { connection.send(job) }
        }
    }

    func lost(_ connection: Connection) {
        // One that was never taken up is its maker's affair.
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        if let shared = shared(of: connection.role) {
            replace(shared, connection)
        } else {
            exclusiveLost(connection)
        }
        if isClosing { closeIdle() }
    }

    func becameReadOnly(_ connection: Connection) { onReadOnly() }

    /// Closes every connection to a server that takes no writes any more.
    ///
    /// The reading ones too: what its successor commits is never seen there (W1, revocation.md
    /// H10).
    func leaveReadOnlyServer() {
        loop.preconditionInEventLoop()
        for connection in Array(connections.values) where !connection.isClosed {
            connection.close("the server became read-only")
        }
    }

    private func replace(_ shared: SharedConnections, _ connection: Connection) {
        guard let index = shared.slots.firstIndex(where: { $0 === connection }) else { return }
        shared.slots[index] = nil
        guard !isClosing else { return }
        metrics.lost.increment()
        // One that was lost right after it was made is no reason to hurry.
        let wasShort = MonotonicInstant.now - connection.since < configuration.maximumBackOff
        reconnect(connection.role, index, failures: wasShort ? 1 : 0)
    }

    // MARK: Time

    /// Makes sure that the lane looks at its deadlines at `instant` or before.
    func note(_ instant: MonotonicInstant) {
        if let wakesAt, wakesAt <= instant { return }
        timer?.cancel()
        wakesAt = instant
        let delay = max(0, (instant - .now).wholeMicroseconds + 1)
        timer = loop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: .microseconds(delay)) {
            self.wakesAt = nil
            self.sweep()
        }
    }

    private func sweep() {
        let now = MonotonicInstant.now
        var next: MonotonicInstant?
        for connection in Array(connections.values) {
            guard
                let due = connection.sweep(now, tombstoneLimit: configuration.tombstoneLimit)
            else { continue }
            next = min(next ?? due, due)
        }
        for job in waiters {
            let due = min(job.deadline, job.waitsUntil ?? job.deadline)
            guard due <= now else {
                next = min(next ?? due, due)
                continue
            }
            metrics.refused.increment()
            job.fail(
                PostgresError(
                    connections.isEmpty ? .connection : .overloaded,
                    "no connection became free in time"
                ).naming(job.name)
            )
        }
        removeUnawaited()
        if isClosing { closeIdle() }
        if let next { note(next) }
    }
}
