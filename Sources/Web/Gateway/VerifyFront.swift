// The first handler of a connection where the fast path is on. It reads heads from their raw bytes
// and answers what it fully understands. Anything else that it can frame goes on unchanged, and
// what follows waits until the general path has answered; what it cannot frame goes on with all
// that follows, for good: two parsers never look at one doubtful byte (row 256). One request is in
// flight at a time, so answers keep their order.
internal import Access
internal import HTTPTypes
internal import NIOCore
internal import Primitives
internal import Revocation
internal import Sessions

/// The fast path on one connection.
final class VerifyFront: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private enum State: Equatable {
        case idle
        /// The head at the front of `held` waits at the desk.
        case checking
        /// The general path has a request; so many bytes of it are still to come.
        case passing(Int, isAnswered: Bool)
        /// This handler is out of it, for good.
        case handedOver
        case ended
    }

    let dispatcher: Dispatcher
    private static let route = GatewayAPI.verify.info.pattern.text
    private let desk: VerifyDesk
    private let guardian: ConnectionGuard
    private let drain: Drain
    private let reader: VerifyHeadReader
    let peer: IPAddress
    /// Whether the peer is a configured proxy.
    let isPeerTrusted: Bool
    private let heldLimit: Int
    private var state = State.idle
    private var held = ByteBuffer()
    private var head = VerifyHead()
    private var context: ChannelHandlerContext?
    /// The other side has ended; what it sent before is answered first.
    private var isInputClosed = false
    private var isReadDue = false
    private var isReading = false
    private var isProceeding = false
    private var isWritable = true
    private var isCompleteDue = false

    /// What waits at the desk, while it does.
    var question: Question?

    /// A request that waits.
    struct Question {
        let credential: Credential
        let requirements: Requirements?
        /// What route rules are asked about; nil where there are none.
        let route: RouteQuestion?
        /// What `X-Org` names.
        let organisation: OrganisationID?
        /// There where the sampler will look at the answer again.
        let sample: SampleStart?

        /// What is known of the credential before the wait.
        enum Credential {
            case token(CheckedToken)
            case flawed(CredentialFlaw)
            /// By the rules as they were it did not matter.
            case unread
        }
    }

    init(
        _ desk: VerifyDesk,
        _ dispatcher: Dispatcher,
        _ guardian: ConnectionGuard,
        _ drain: Drain,
        _ limits: HTTPLimits,
        peer: IPAddress
    ) {
        self.desk = desk
        self.dispatcher = dispatcher
        self.guardian = guardian
        self.drain = drain
        self.peer = peer
        isPeerTrusted = dispatcher.isTrusted(peer)
        reader = VerifyHeadReader(limits)
        heldLimit = 2 * limits.headBytes
    }

    /// Whether the answer in the making is the connection's last.
    var closes: Bool {
        let isDraining = guardian.isDraining || drain.hasBegun
        return head.closes || isDraining && held.readableBytes <= head.length
    }

    /// How many bytes wait here.
    var heldBytes: Int { held.readableBytes }

    /// Whether nothing has come that is unanswered here.
    var isIdle: Bool { state == .idle && held.readableBytes == 0 }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guardian.front = self
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        state = .ended
        question = nil
        held = ByteBuffer()
        context = nil
        guardian.front = nil
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        isReading = true
        switch state {
        case .handedOver:
            isCompleteDue = true
            context.fireChannelRead(data)
        case .ended: break
        case .passing(let left, _) where left > 0:
            let count = min(left, buffer.readableBytes)
            if let slice = buffer.readSlice(length: count) { forward(slice, context) }
            // It may have been answered in the meantime.
            if case .passing(_, let isAnswered) = state {
                state = .passing(left - count, isAnswered: isAnswered)
                hold(&buffer)
                resumeIfAnswered()
            }
        case .idle, .checking, .passing:
            hold(&buffer)
            proceed(context)
        }
    }

    private func hold(_ buffer: inout ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        guard held.readableBytes > 0 else {
            held = buffer
            return
        }
        // What is answered would stay in front of what comes, for as long as the connection lasts.
        held.discardReadBytes()
        held.writeBuffer(&buffer)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        switch state {
        // The guard lingers: what comes is thrown away.
        case .ended: context.read()
        // Asked for here, the next bytes are not asked for through all handlers behind.
        case .idle, .checking: if held.readableBytes <= heldLimit { context.read() }
        case .passing, .handedOver: break
        }
        guard isCompleteDue else { return }
        isCompleteDue = false
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        context.fireChannelWritabilityChanged()
        proceed(context)
    }

    /// Whoever sends and never reads is not read from any more.
    func read(context: ChannelHandlerContext) {
        if state != .handedOver, held.readableBytes > heldLimit {
            isReadDue = true
        } else {
            context.read()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            isInputClosed = true
            if case .passing(let left, _) = state, left > 0 { handOver(context) }
            passOnEnd(context)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Tells the general path that nothing more will come, once that is so.
    private func passOnEnd(_ context: ChannelHandlerContext) {
        guard isInputClosed else { return }
        if state == .idle, isWritable || held.readableBytes == 0 {
            handOver(context)
        }
        guard state == .handedOver || state == .ended else { return }
        isInputClosed = false
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    // MARK: Requests

    /// Answers or passes on what is held, as far as it goes.
    private func proceed(_ context: ChannelHandlerContext) {
        guard !isProceeding else { return }
        isProceeding = true
        defer { isProceeding = false }
        while state == .idle, held.readableBytes > 0, isWritable {
            let start = held.withUnsafeReadableBytes { bytes -> VerifyDesk.Start? in
                switch reader.read(bytes) {
                case .incomplete: return nil
                case .foreign:
                    state = .handedOver
                    return .general
                case .whole(let head):
                    self.head = head
                    guard head.isVerify, head.bodyBytes == 0 else { return .general }
                    return desk.take(head, bytes, from: self)
                }
            }
            switch start {
            case nil:
                guardian.frontHolds()
                return passOnEnd(context)
            case .waiting:
                state = .checking
                guardian.frontBegins()
            case .ready:
                state = .checking
                if !desk.answer(self) { guardian.frontBegins() }
            case .refused(let error):
                state = .checking
                refuse(error)
            case .general:
                // Whatever comes behind a request that ends the connection is the guard's affair.
                if state == .handedOver || head.closes { handOver(context) } else { pass(context) }
            }
        }
        if isReadDue, held.readableBytes <= heldLimit {
            isReadDue = false
            context.read()
        }
        passOnEnd(context)
    }

    private func pass(_ context: ChannelHandlerContext) {
        let whole = head.length + head.bodyBytes
        let count = min(whole, held.readableBytes)
        state = .passing(whole - count, isAnswered: false)
        if let slice = held.readSlice(length: count) { forward(slice, context) }
    }

    private func handOver(_ context: ChannelHandlerContext) {
        state = .handedOver
        guardian.front = nil
        guard held.readableBytes > 0 else { return }
        let rest = held
        held = ByteBuffer()
        forward(rest, context)
    }

    private func forward(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        context.fireChannelRead(wrapInboundOut(bytes))
        // Outside a turn of reading nobody else says that it is complete.
        if isReading { isCompleteDue = true } else { context.fireChannelReadComplete() }
    }

    // MARK: What the guard tells

    /// Whether a head has begun here and not ended.
    var isHolding: Bool { state == .idle && held.readableBytes > 0 }

    /// The general path has answered the request that it was given.
    func generalAnswered() {
        guard case .passing(let left, _) = state else { return }
        state = .passing(left, isAnswered: true)
        resumeIfAnswered()
    }

    /// The guard is closing the connection.
    func guardEnds() {
        if state != .handedOver { state = .ended }
        question = nil
        held = ByteBuffer()
    }

    private func resumeIfAnswered() {
        guard state == .passing(0, isAnswered: true), let context else { return }
        state = .idle
        proceed(context)
    }

    // MARK: Out

    /// Has the request at the front taken anew.
    func retake() {
        guard let context, state == .checking else { return }
        question = nil
        state = .idle
        proceed(context)
    }

    /// Lets the request pass; `answer` is written out in full.
    func pass(_ answer: ByteBuffer) {
        dispatcher.logPassed(route: Self.route, peer: peer) { VerifyHead.request(headBytes()) }
        finish(answer)
    }

    /// Refuses the request at the front.
    func refuse(_ error: any Error) {
        var reply = dispatcher.refuse(
            VerifyHead.request(headBytes()),
            route: Self.route,
            peer: peer,
            error
        )
        if closes { reply.headers[.connection] = "close" }
        if head.isHead { reply.body = [] }
        finish(reply.http1Bytes)
    }

    private func headBytes() -> [UInt8] {
        held.getBytes(at: held.readerIndex, length: head.length) ?? []
    }

    private func finish(_ answer: ByteBuffer) {
        guard let context, state == .checking else { return }
        question = nil
        let isLast = closes
        held.moveReaderIndex(forwardBy: head.length)
        // An idle connection keeps no buffer.
        if held.readableBytes == 0 { held = ByteBuffer() }
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(answer)), promise: nil)
        if isLast {
            state = .ended
            held = ByteBuffer()
            guardian.frontEnds()
            return
        }
        state = .idle
        guardian.frontAnswered()
        proceed(context)
    }
}
