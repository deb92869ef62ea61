// The way to one Redis: a connection on every event loop of the group, so that a request that
// lives on a loop is answered there and never changes threads. A Redis that is down is no error
// at start and no queue later: calls fail at once, and callers fall back.
package import Logging
internal import NIOCore
package import NIOPosix
package import Primitives
internal import ServiceLifecycle
internal import Synchronization

/// Connections to one Redis.
package final class RedisPool: Sendable, Service {
    private struct Member: Sendable {
        let loop: any EventLoop
        let link: NIOLoopBoundBox<RedisLink>
        let readiness: RedisLink.Readiness
    }

    private let members: [Member]
    private let commandDeadline: Duration
    private let metrics: RedisMetrics
    private let turn = Atomic<Int>(0)

    /// A pool that is not connected yet.
    ///
    /// - Throws: only when the CA file of the configuration cannot be used.
    package init(
        configuration: RedisConfiguration,
        eventLoopGroup: MultiThreadedEventLoopGroup,
        scripts: [RedisScript],
        logger: Logger,
        metrics: MetricsRegistry
    ) throws {
        let instruments = RedisMetrics(metrics, pool: configuration.name)
        commandDeadline = configuration.commandDeadline
        self.metrics = instruments
        let loops = Array(eventLoopGroup.makeIterator()).prefix(configuration.connectionLimit)
        members = try loops.map { loop in
            let readiness = RedisLink.Readiness()
            let link = RedisLink(
                loop: loop,
                connector: try RedisConnector(configuration),
                settings: (configuration, scripts),
                readiness: readiness,
                observers: (logger, instruments)
            )
            let box = NIOLoopBoundBox<RedisLink>.makeBoxSendingValue(link, eventLoop: loop)
            return Member(loop: loop, link: box, readiness: readiness)
        }
    }

    /// Whether at least one connection is ready.
    package var isAvailable: Bool {
        members.contains { $0.readiness.flag.load(ordering: .relaxed) }
    }

    /// Tries to connect, once; after that it keeps trying by itself.
    ///
    /// Never fails.
    package func start() async {
        await withTaskGroup(of: Void.self) { group in
            for member in members {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        member.loop.execute { member.link.value.start { continuation.resume() } }
                    }
                }
            }
        }
    }

    /// Starts, and closes when the service is shut down.
    package func run() async throws {
        await start()
        do {
            try await gracefulShutdown()
        } catch {
            // Cancelled instead of shut down: the same end.
        }
        await close()
    }

    /// Closes every connection; what is under way fails.
    package func close() async {
        for member in members {
            await withCheckedContinuation { continuation in
                member.loop.execute {
                    member.link.value.close()
                    continuation.resume()
                }
            }
        }
    }

    /// Sends a command and waits for its reply.
    ///
    /// Waits until the earlier of `deadline` and the pool's own command deadline. A command that
    /// was sent is never sent again: after `.deadline`, `.connection` or a cancellation it may
    /// have been executed or not.
    ///
    /// - Throws: `RedisError`, or `CancellationError`.
    package func send(_ command: RedisCommand, deadline: Deadline?) async throws -> RedisValue {
        let member = member()
        let call = RedisCall(command, until: effective(deadline))
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submit(call, .task(continuation), to: member)
            }
        } onCancel: {
            member.loop.execute { member.link.value.cancel(call) }
        }
    }

    /// Sends a command and calls back on the event loop of the connection.
    ///
    /// On an event loop of the group: that loop's connection, in the order of the calls, and one
    /// write for all commands of a tick. `completion` may run before this returns (a refusal).
    package func submit(
        _ command: RedisCommand,
        deadline: Deadline?,
        completion: @escaping @Sendable (Result<RedisValue, any Error>) -> Void
    ) {
        let call = RedisCall(command, until: effective(deadline))
        submit(call, .callback(completion), to: member())
    }

    /// Runs a script by its digest; loads it and runs it once more if Redis does not know it.
    ///
    /// - Throws: as `send`.
    package func run(
        _ script: RedisScript,
        keys: [String],
        arguments: [RedisArgument],
        deadline: Deadline?
    ) async throws -> RedisValue {
        let until = effective(deadline)
        let command = script.command(keys: keys, arguments: arguments)
        do {
            return try await send(command, deadline: until)
        } catch let error as RedisError where error.code == "NOSCRIPT" {
            // Nothing has run yet, so running it now cannot run it twice.
            metrics.scriptLoads.increment()
            _ = try await send(script.loading, deadline: until)
            return try await send(command, deadline: until)
        }
    }

    /// Sends several commands on one connection, with nothing between them, and calls back on its
    /// event loop with all replies.
    ///
    /// A connection that has not answered all of them by the deadline is given up: nothing that
    /// comes late can be taken for the answer to something else (revocation.md H16).
    ///
    /// - Parameter commands: what to send on the connection of this number; a connection that is
    ///   made anew has a new number.
    package func exchange(
        deadline: Deadline,
        commands: @escaping @Sendable (_ connection: UInt64) -> [RedisCommand],
        completion: @escaping @Sendable (Result<RedisExchange, RedisError>) -> Void
    ) {
        let member = member()
        let until = effective(deadline)
        if member.loop.inEventLoop {
            member.link.value.exchange(until: until, commands, completion)
        } else {
            member.loop.execute { member.link.value.exchange(until: until, commands, completion) }
        }
    }

    /// Gives up the connection of this number, if there still is one.
    package func drop(connection: UInt64) {
        for member in members {
            member.loop.execute { member.link.value.drop(connection) }
        }
    }

    private func submit(_ call: RedisCall, _ waiter: RedisCall.Waiter, to member: Member) {
        call.waiter = waiter
        if member.loop.inEventLoop {
            member.link.value.submit(call)
        } else {
            member.loop.execute { member.link.value.submit(call) }
        }
    }

    private func effective(_ deadline: Deadline?) -> Deadline {
        let own = Deadline.after(commandDeadline)
        return deadline.map { min($0, own) } ?? own
    }

    /// The caller's own loop if it is on one and connected; else the loops in turn.
    private func member() -> Member {
        if let current = MultiThreadedEventLoopGroup.currentEventLoop,
            let own = members.first(where: { $0.loop === current }),
            own.readiness.flag.load(ordering: .relaxed)
        {
            return own
        }
        let start = turn.wrappingAdd(1, ordering: .relaxed).oldValue & Int.max
        for offset in 0..<members.count {
            let member = members[(start &+ offset & Int.max) % members.count]
            if member.readiness.flag.load(ordering: .relaxed) { return member }
        }
        return members[start % members.count]
    }
}
