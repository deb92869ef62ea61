// One connection to Redis on one event loop, remade for ever until closed. Commands of one loop
// tick leave in one write. When it is down, commands fail at once: nothing queues for a Redis that
// may not come back, and nothing that was sent is ever sent again (it may have been executed).
internal import Logging
internal import NIOCore
internal import Primitives
internal import Synchronization

/// A connection that heals.
///
/// Everything but `isReady` belongs to the event loop.
final class RedisLink {
    enum State {
        case idle
        case connecting
        /// Connected; signing in and loading scripts.
        case greeting(any Channel)
        case ready(any Channel)
        case pausing(Scheduled<Void>)
        case closed
    }

    /// Shared with the pool, which reads it from any thread.
    final class Readiness: Sendable {
        let flag = Atomic<Bool>(false)
    }

    /// The largest command, and so the most one command can add to the write buffer.
    static let commandBytesLimit = 16 << 20
    /// No more commands are put on the wire while so many bytes wait to be written.
    static let unwrittenBytesLimit = 1 << 20

    let loop: any EventLoop
    let configuration: RedisConfiguration
    let scripts: [RedisScript]
    let connector: RedisConnector
    let logger: Logger
    let metrics: RedisMetrics
    let readiness: Readiness
    var state: State = .idle
    var backoff: Backoff
    var lastFailure = RedisError(.connection("not started"))
    /// The number of the current or the latest connection; no two of the process are alike.
    var connection: UInt64 = 0
    /// Told once, after the first attempt to connect.
    var firstAttempt: [() -> Void] = []
    private var pipeline: Pipeline<RedisCall>
    private var outgoing = ByteBuffer()
    private var isFlushScheduled = false
    private var alarm: (at: MonotonicInstant, task: Scheduled<Void>)?
    /// The instant of the current read; nil once its one round trip has been recorded.
    private var readAt: MonotonicInstant?

    init(
        loop: any EventLoop,
        connector: RedisConnector,
        settings: (RedisConfiguration, [RedisScript]),
        readiness: Readiness,
        observers: (Logger, RedisMetrics)
    ) {
        self.loop = loop
        self.connector = connector
        (configuration, scripts) = settings
        self.readiness = readiness
        (logger, metrics) = observers
        backoff = Backoff(
            minimum: configuration.reconnectMinimum,
            maximum: configuration.reconnectMaximum
        )
        pipeline = Self.emptyPipeline(configuration)
    }

    private static func emptyPipeline(_ configuration: RedisConfiguration) -> Pipeline<RedisCall> {
        Pipeline(
            limits: .init(
                inFlight: configuration.inFlightLimit,
                waiting: configuration.waitingLimit,
                tombstone: configuration.tombstoneLimit
            )
        )
    }

    // MARK: Commands

    /// Takes a caller's command, or tells its waiter at once why not.
    func submit(_ call: RedisCall) {
        guard case .ready = state else {
            metrics.refused.increment()
            return call.complete(.failure(lastFailure))
        }
        enqueue(call)
    }

    /// Takes a command whatever the state; the greeting uses it directly.
    func enqueue(_ call: RedisCall) {
        if call.isCancelled { return call.complete(.failure(CancellationError())) }
        let now = MonotonicInstant.now
        guard call.deadline.instant > now else {
            metrics.late.increment()
            return call.complete(.failure(RedisError(.deadline)))
        }
        guard call.command.byteCount <= Self.commandBytesLimit else {
            return refuse(call, limit: "commandBytesLimit")
        }
        guard let ticket = pipeline.submit(call, until: call.deadline, at: now) else {
            return refuse(call, limit: "waitingLimit")
        }
        call.ticket = ticket
        metrics.waiting.add(1)
        if alarm.map({ call.deadline.instant < $0.at }) ?? true { setAlarm(call.deadline.instant) }
        scheduleFlush()
    }

    /// The waiter leaves; its reply, if the command was sent, is dropped when it comes.
    func cancel(_ call: RedisCall) {
        call.isCancelled = true
        guard let ticket = call.ticket, pipeline.abandon(ticket, at: .now) != nil else { return }
        metrics.late.increment()
        call.complete(.failure(CancellationError()))
    }

    private func refuse(_ call: RedisCall, limit: String) {
        metrics.refused.increment()
        call.complete(.failure(RedisError(.overloaded(limit: limit))))
    }

    // MARK: Writing

    /// Everything submitted until the loop comes round again goes out in one write.
    func scheduleFlush() {
        guard !isFlushScheduled, pipeline.waiting > 0 else { return }
        isFlushScheduled = true
        loop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    private func flush() {
        guard let channel = liveChannel, channel.isWritable else { return }
        let waitingBefore = pipeline.waiting
        let inFlightBefore = pipeline.inFlight
        while outgoing.readableBytes < Self.unwrittenBytesLimit, let call = pipeline.next() {
            call.command.write(to: &outgoing)
        }
        metrics.waiting.add(pipeline.waiting - waitingBefore)
        guard outgoing.readableBytes > 0 else { return }
        let sent = pipeline.inFlight - inFlightBefore
        metrics.inFlight.add(sent)
        metrics.commands.increment(by: sent)
        channel.writeAndFlush(outgoing, promise: nil)
        // A large buffer is not kept; a small one is written over once the channel lets go of it.
        if outgoing.capacity > Self.unwrittenBytesLimit { outgoing = ByteBuffer() }
        outgoing.clear()
        if channel.isWritable { scheduleFlush() }
    }

    var liveChannel: (any Channel)? {
        switch state {
        case .greeting(let channel), .ready(let channel): channel
        case .idle, .connecting, .pausing, .closed: nil
        }
    }

    // MARK: Reading

    func beginReplies() { readAt = .now }

    func endReplies() { scheduleFlush() }

    /// Hands a reply to its waiter; false when the connection has been given up.
    func receive(_ reply: Result<RedisValue, RedisError>) -> Bool {
        guard let channel = liveChannel else { return false }
        let before = pipeline.inFlight
        let recipient = pipeline.reply()
        metrics.inFlight.add(pipeline.inFlight - before)
        if case .failure = reply { metrics.faults.increment() }
        switch recipient {
        case .waiter(let call, let submitted):
            if let readAt {
                metrics.roundTrip.record(readAt - submitted)
                self.readAt = nil
            }
            call.complete(reply.mapError { $0 })
        case .nobody: break
        case .unexpected:
            // Redis says why it hangs up ("max number of clients reached") without being asked.
            if case .failure(let error) = reply {
                lose(channel, because: RedisError(.connection(error.description)))
            } else {
                lose(channel, because: RedisError(.protocolViolation("a reply nobody asked for")))
            }
        }
        return liveChannel != nil
    }

    // MARK: Time

    private func setAlarm(_ instant: MonotonicInstant) {
        alarm?.task.cancel()
        let delay = max(.zero, instant - .now).wholeMicroseconds + 1
        let task = loop.assumeIsolated().scheduleTask(in: .microseconds(delay)) {
            self.alarm = nil
            self.tick()
        }
        alarm = (instant, task)
    }

    private func tick() {
        let now = MonotonicInstant.now
        for call in pipeline.expire(at: now) {
            metrics.late.increment()
            call.complete(.failure(RedisError(.deadline)))
        }
        if pipeline.isStuck(at: now), let channel = liveChannel {
            return lose(channel, because: RedisError(.connection("Redis has stopped answering")))
        }
        if alarm == nil, let next = pipeline.nextEvent { setAlarm(next) }
    }

    /// Forgets everything under way and tells all waiters; the link's state is set before.
    func dropEverything(because failure: RedisError) {
        alarm?.task.cancel()
        alarm = nil
        metrics.inFlight.add(-pipeline.inFlight)
        metrics.waiting.add(-pipeline.waiting)
        outgoing.clear()
        for call in pipeline.drain() { call.complete(.failure(failure)) }
    }
}
