// How a lane makes its connections and keeps them: shared ones are made at the start and again,
// with growing pauses, when lost; exclusive ones are made when a transaction asks for one.
import DequeModule
import Logging
import NIOCore
import NIOPosix
import Primitives

/// The shared connections of one role, and who waits for one.
final class SharedConnections {
    let role: Connection.Role
    var slots: [Connection?]
    var waiting: Deque<Job> = []

    init(role: Connection.Role, count: Int) {
        precondition(count > 0, "a pool needs at least one connection of each kind")
        self.role = role
        slots = Array(repeating: nil, count: count)
    }

    /// The open connection with the fewest statements in flight, if it has room.
    func roomiest(_ depth: Int) -> Connection? {
        var best: Connection?
        for case let connection? in slots where connection.inFlight < best?.inFlight ?? depth {
            best = connection
        }
        return best
    }
}

/// The connections for transactions.
struct ExclusiveConnections {
    var idle: [Connection] = []
    /// Open or being made, idle or held.
    var count = 0
    var connecting = 0
    var waiting: Deque<Job> = []
}

/// A connection that travels with its holder and is only touched on its loop.
typealias LoopBoundConnection = NIOLoopBound<Connection>

extension Lane {
    /// Makes the shared connections; fails with the first attempt that does.
    func start() -> EventLoopFuture<Void> {
        loop.preconditionInEventLoop()
        var attempts: [EventLoopFuture<Void>] = []
        for shared in [reads, urgent, lists, writes] {
            for index in shared.slots.indices {
                attempts.append(connect(shared.role, index, failures: 0))
            }
        }
        let all = attempts
        return EventLoopFuture.andAllComplete(all, on: loop).flatMap {
            EventLoopFuture.andAllSucceed(all, on: self.loop)
        }
    }

    private func connect(
        _ role: Connection.Role,
        _ index: Int,
        failures: Int
    ) -> EventLoopFuture<Void> {
        make(role).assumeIsolated().flatMapThrowing { connection in
            guard !connection.isClosed else {
                throw PostgresError(.connection, "the connection was lost as soon as it was made")
            }
            guard let shared = self.shared(of: role) else {
                preconditionFailure("exclusive connections have no slot")
            }
            shared.slots[index] = connection
            self.madeProgress(connection)
        }.flatMapErrorThrowing { error in
            self.reconnect(role, index, failures: failures + 1)
            throw error
        }.nonisolated()
    }

    /// Connects again after a pause that doubles, with jitter so that nodes do not come in step.
    func reconnect(_ role: Connection.Role, _ index: Int, failures: Int) {
        guard !isClosing else { return }
        let smallest = configuration.minimumBackOff.wholeMicroseconds
        let largest = configuration.maximumBackOff.wholeMicroseconds
        let pause = failures == 0 ? 0 : min(largest, smallest << min(Int64(failures) - 1, 20))
        let jitter = Int64(Entropy.system.next() % 1000)
        let delay = TimeAmount.microseconds(pause / 2 + pause * jitter / 2000)
        loop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: delay) {
            guard !self.isClosing else { return }
            self.connect(role, index, failures: failures).whenFailure { _ in }
        }
    }

    /// A new connection, watched and configured.
    private func make(_ role: Connection.Role) -> EventLoopFuture<Connection> {
        let configuration = configuration
        pending += 1
        let made = threadPool.runIfActive(eventLoop: loop) {
            try ServerConnection.open(configuration)
        }
        return made.assumeIsolated().always { _ in self.pending -= 1 }
            .flatMapThrowing { try self.adopt($0, role) }
            .flatMapErrorThrowing { error in
                self.metrics.connectFailures.increment()
                self.logger.warning("PostgreSQL connection failed", metadata: ["why": "\(error)"])
                if self.isClosing { self.closeIdle() }
                throw error
            }.nonisolated()
    }

    private func adopt(_ server: ServerConnection, _ role: Connection.Role) throws -> Connection {
        let connection = Connection(
            server,
            role: role,
            loop: loop,
            owner: self,
            logger: logger,
            metrics: metrics
        )
        let kernel = configuration.usesKernelPolling
        guard !isClosing, connection.open(fallback: epollThread, usesKernelPolling: kernel) else {
            connection.close("not wanted any more")
            throw PostgresError(.connection, "the pool is closed or the socket cannot be watched")
        }
        metrics.connects.increment()
        connections[ObjectIdentifier(connection)] = connection
        // Reads that write by mistake fail here instead of being lost with a neighbour's failure.
        if role.isReadOnly {
            let job = Job(
                .run(Self.readOnly, parameters: []),
                deadline: .after(configuration.statementDeadline)
            )
            job.isAlone = true
            connection.send(job)
        }
        return connection
    }

    private static let readOnly = StatementInfo(
        name: "connection.read_only",
        sql: "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        kind: .read
    )

    // MARK: Exclusive connections

    /// Grants a connection to a transaction, or lets it wait for one.
    func lease(_ job: Job) {
        if let connection = exclusive.idle.popLast() { return grant(job, connection) }
        wait(job, behind: exclusive.waiting.count) { exclusive.waiting.append($0) }
        if job.isAwaited { makeExclusive() }
    }

    private func grant(_ job: Job, _ connection: Connection) {
        metrics.leased.add(1)
        let bound = NIOLoopBound(connection, eventLoop: loop)
        job.succeed(.lease(Lease(lane: self, connection: bound)))
    }

    private func makeExclusive() {
        guard exclusive.count < configuration.transactionConnections,
            exclusive.connecting < exclusive.waiting.count, !isClosing
        else { return }
        exclusive.count += 1
        exclusive.connecting += 1
        make(.exclusive).assumeIsolated().whenComplete { result in
            self.exclusive.connecting -= 1
            switch result {
            case .success(let connection): self.offer(connection)
            case .failure(let error):
                self.exclusive.count -= 1
                self.nextWaiter()?.fail(error)
                self.makeExclusive()
            }
        }
    }

    private func nextWaiter() -> Job? {
        while let job = exclusive.waiting.popFirst() {
            metrics.waiting.add(-1)
            if job.isAwaited { return job }
        }
        return nil
    }

    private func offer(_ connection: Connection) {
        guard !connection.isClosed else { return }
        guard !isClosing else { return connection.close("the pool is closed") }
        guard let job = nextWaiter() else { return exclusive.idle.append(connection) }
        grant(job, connection)
    }

    /// Takes a connection back from its holder; one that is not at rest is closed.
    func giveBack(_ connection: Connection) {
        loop.preconditionInEventLoop()
        metrics.leased.add(-1)
        guard connection.isClosed || connection.isIdle else {
            return connection.close("given back in the middle of something")
        }
        offer(connection)
    }

    func exclusiveLost(_ connection: Connection) {
        exclusive.idle.removeAll { $0 === connection }
        exclusive.count -= 1
        makeExclusive()
    }

    // MARK: Closing

    /// Refuses new work, lets work in flight finish within the drain limit, closes all.
    func close() -> EventLoopFuture<Void> {
        loop.preconditionInEventLoop()
        if let closed { return closed.futureResult }
        let promise = loop.makePromise(of: Void.self)
        closed = promise
        isClosing = true
        let error = PostgresError(.connection, "the pool is closed")
        for job in waiters {
            metrics.waiting.add(-1)
            job.fail(error.naming(job.name))
        }
        reads.waiting.removeAll()
        urgent.waiting.removeAll()
        lists.waiting.removeAll()
        writes.waiting.removeAll()
        exclusive.waiting.removeAll()
        let limit = TimeAmount.microseconds(configuration.drainLimit.wholeMicroseconds)
        loop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: limit) {
            for connection in Array(self.connections.values) { connection.close("closing") }
        }
        closeIdle()
        return promise.futureResult
    }

    func closeIdle() {
        for connection in Array(connections.values) {
            let isHeld =
                connection.role == .exclusive && !exclusive.idle.contains { $0 === connection }
            if !isHeld, connection.isIdle, !connection.isClosed { connection.close("closing") }
        }
        if connections.isEmpty, pending == 0 { closed?.succeed(()) }
    }
}
