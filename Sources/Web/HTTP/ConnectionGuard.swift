// The first handler of every connection: passes on only bytes whose framing is beyond doubt, keeps
// the clock (slow heads, slow bodies, idle connections, answers that never end), and closes so that
// the last answer is not lost. One timer per connection, ticking, instead of one per request.
internal import NIOCore
internal import Primitives

/// What a handler of the pipeline tells the guard, as outbound events.
enum ConnectionEvent: Sendable {
    /// An answer has been written; the connection may end with it.
    case answered(closes: Bool)
}

/// Guards one connection.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    let limits: HTTPLimits
    private let refusal: (ProblemCode, String) -> ByteBuffer
    private var framing: RequestFraming
    private var held = ByteBuffer()
    /// Requests passed on whose answers are not yet written.
    private var outstanding = 0
    /// A refusal that waits for the answers before it.
    private var pending: RequestFraming.Violation?
    /// Whether input is thrown away from now on.
    private var isDeaf = false
    var due: NIODeadline
    private var ticker: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    /// A handler in front that answers some requests itself; nil once it is out of the way.
    var front: VerifyFront?

    /// Whether the node is on its way down: the connection ends with the last answer that is due.
    private(set) var isDraining = false

    /// Whether whatever comes is answered that this address has too many connections.
    private let isRefused: Bool

    init(
        _ limits: HTTPLimits,
        isRefused: Bool = false,
        refusal: @escaping (ProblemCode, String) -> ByteBuffer
    ) {
        self.limits = limits
        self.isRefused = isRefused
        self.refusal = refusal
        framing = RequestFraming(limits)
        // One that is refused may not hold its place by saying nothing.
        due = .now() + TimeAmount(isRefused ? limits.lingerTime : limits.headTime)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        tick(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ticker?.cancel()
        self.context = nil
        front = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        ticker?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDeaf else { return }
        if isRefused {
            return write(.init(.tooManyConnections, "This address has too many."), context)
        }
        var buffer = unwrapInboundIn(data)
        hold(&buffer)
        var step = RequestFraming.Step()
        let before = framing.place
        var violation: RequestFraming.Violation?
        do throws(RequestFraming.Violation) {
            try held.withUnsafeReadableBytes { bytes throws(RequestFraming.Violation) in
                try framing.take(bytes, &step)
            }
        } catch {
            violation = error
        }
        outstanding += step.heads
        moveDeadline(step, before)
        if step.accepted > 0, let slice = held.readSlice(length: step.accepted) {
            context.fireChannelRead(wrapInboundOut(slice))
        }
        // An idle connection keeps no buffer of what it has read (W8).
        if held.readableBytes == 0 { held = ByteBuffer() }
        if let violation {
            refuse(violation, context)
        } else if framing.closesAfter, framing.place == .head {
            // Answered before its body was there, nothing else will end it.
            if outstanding > 0 { goDeaf() } else if !isDeaf { endAfterFlush(context) }
        }
    }

    private func hold(_ buffer: inout ByteBuffer) {
        guard held.readableBytes > 0 else {
            held = buffer
            return
        }
        // What was passed on would stay in front, for as long as the connection lasts (W8).
        held.discardReadBytes()
        held.writeBuffer(&buffer)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext,
        event: Any,
        promise: EventLoopPromise<Void>?
    ) {
        guard let event = event as? ConnectionEvent else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        promise?.succeed()
        switch event {
        case .answered(let closes):
            outstanding -= 1
            if closes || (outstanding == 0 && isDeaf && pending == nil) {
                endAfterFlush(context)
            } else if outstanding == 0, let pending {
                write(pending, context)
            } else if framing.place == .head {
                due = .now() + TimeAmount(held.readableBytes > 0 ? limits.headTime : waitTime)
            }
            if !isDeaf { front?.generalAnswered() }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // It ends here: whoever is behind would close over what is unread, which is a reset.
        if event is ChannelShouldQuiesceEvent { return beginDrain(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // What is thrown away is nobody's back-pressure.
        if isLingering { context.read() }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            endOutput(context, promise)
        } else {
            context.close(mode: mode, promise: promise)
        }
    }

    /// While answers are due, the time they may take; else the time a connection may idle.
    private var waitTime: Duration {
        if outstanding > 0 { return limits.requestTime + limits.writeTime }
        return isDraining ? limits.lingerTime : limits.idleTime
    }

    private func moveDeadline(_ step: RequestFraming.Step, _ before: RequestFraming.Place) {
        let left = held.readableBytes - step.accepted
        if framing.place != .head {
            // The body's time runs from its head; more bytes do not extend it.
            if step.heads > 0 { due = .now() + TimeAmount(limits.bodyTime) }
        } else if left > 0, outstanding == 0 {
            // The head's time runs from its first byte.
            if step.accepted > 0 || held.readableBytes == left && !isHeadTimed {
                due = .now() + TimeAmount(limits.headTime)
            }
        } else if step.ends > 0 {
            due = .now() + TimeAmount(waitTime)
        }
        isHeadTimed = framing.place == .head && left > 0
    }
    var isHeadTimed = true

    private func refuse(_ violation: RequestFraming.Violation, _ context: ChannelHandlerContext) {
        goDeaf()
        if violation.isInBody, outstanding > 0 {
            // The handler that waits for the body answers.
            context.fireErrorCaught(BrokenRequest(violation.code, violation.detail))
        } else if violation.isInBody {
            endAfterFlush(context)
        } else if outstanding > 0 {
            pending = violation
        } else {
            write(violation, context)
        }
    }

    private func write(_ violation: RequestFraming.Violation, _ context: ChannelHandlerContext) {
        pending = nil
        isDeaf = true
        let bytes = refusal(violation.code, violation.detail)
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
        endAfterFlush(context)
    }

    private func goDeaf() {
        isDeaf = true
        front?.guardEnds()
        held = ByteBuffer()
        due = .now() + TimeAmount(limits.requestTime + limits.writeTime)
    }

    /// Ends our side once everything is written, and the whole connection a little later.
    func endAfterFlush(_ context: ChannelHandlerContext) {
        goDeaf()
        endOutput(context, nil)
    }

    /// Half-closes when the other side has taken what was written before, and reads on: to close
    /// over bytes that nobody has read is a reset, and takes answers on their way with it.
    private func endOutput(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        guard !isLingering else { return context.close(mode: .output, promise: promise) }
        isDeaf = true
        isLingering = true
        due = .now() + TimeAmount(limits.writeTime)
        // A half-close after the other side's is a whole one, at once, so it waits its turn.
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            guard let self, let context = self.context else { return promise?.succeed() ?? () }
            due = min(due, .now() + TimeAmount(limits.lingerTime))
            context.close(mode: .output, promise: promise)
        }
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: written)
        // Whoever does not read any more would never notice the other side's end.
        context.read()
    }
    private var isLingering = false

    private func tick(_ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        if now >= due {
            expire(context)
            if isLingering, now >= due { return }
        }
        let shortest = min(limits.headTime, limits.bodyTime, limits.idleTime, limits.lingerTime)
        let wait = max(TimeAmount(shortest / 4), .milliseconds(5))
        ticker = context.eventLoop.assumeIsolated().scheduleTask(in: wait) { [weak self] in
            self?.tick(context)
        }
    }

    private func expire(_ context: ChannelHandlerContext) {
        if isLingering || isDeaf {
            isLingering = true
            context.close(mode: .all, promise: nil)
        } else if framing.place != .head {
            var late = RequestFraming.Violation(.requestTimeout, "The body came too slowly.")
            late.isInBody = true
            refuse(late, context)
        } else if outstanding == 0, held.readableBytes > 0 || front?.isHolding == true {
            write(.init(.requestTimeout, "The request head came too slowly."), context)
        } else if outstanding == 0 {
            endAfterFlush(context)
        } else {
            isLingering = true
            context.close(mode: .all, promise: nil)
        }
    }
}

// A drain: what has come is answered, the last answer says that it is the last, and whoever is idle
// has a moment for the request that may be on its way already.
extension ConnectionGuard {
    /// Whether nothing has come that is unanswered, but for the request that is being answered.
    var isLastAnswer: Bool {
        outstanding <= 1 && held.readableBytes == 0 && (front?.heldBytes ?? 0) == 0
    }

    private func beginDrain(_ context: ChannelHandlerContext) {
        guard !isDraining else { return }
        isDraining = true
        // A drain has an end, whatever the requests in flight do.
        let end = TimeAmount(limits.drainTime)
        context.eventLoop.assumeIsolated().scheduleTask(in: end) { [weak self] in self?.endDrain() }
        let isIdle = outstanding == 0 && held.readableBytes == 0 && front?.isIdle ?? true
        if isIdle, !isDeaf { due = .now() + TimeAmount(limits.lingerTime) }
    }

    private func endDrain() {
        guard let context else { return }
        if !isLingering { endAfterFlush(context) }
        due = min(due, .now() + TimeAmount(limits.lingerTime))
    }
}

// What a handler in front tells, so that its requests are timed as those that pass through here.
extension ConnectionGuard {
    /// The beginning of a head is there; its time runs from its first byte.
    func frontHolds() {
        guard !isHeadTimed else { return }
        isHeadTimed = true
        due = .now() + TimeAmount(limits.headTime)
    }

    /// A request is being answered in front.
    func frontBegins() {
        isHeadTimed = false
        due = .now() + TimeAmount(limits.requestTime + limits.writeTime)
    }

    /// It has been answered.
    func frontAnswered() {
        isHeadTimed = false
        due = .now() + TimeAmount(waitTime)
    }

    /// It has been answered, and the connection ends with it.
    func frontEnds() {
        if let context { endAfterFlush(context) }
    }
}
