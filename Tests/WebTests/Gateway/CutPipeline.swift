// The handlers of a connection without a socket: the real front, desk, guard and parser, driven
// byte by byte on the loop of a real node. Behind the parser stands a mirror instead of the
// dispatcher, which sees nothing else than what the mirror shows: every head and body as the parser
// hands them on.
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Primitives

@testable import Web

/// One connection; belongs to the loop it was made on.
final class CutPipeline {
    private let channel = EmbeddedChannel()
    private let sink = Sink()
    private let front: VerifyFront

    init(_ desk: VerifyDesk, _ dispatcher: Dispatcher, _ limits: HTTPLimits) throws {
        let guardian = ConnectionGuard(limits) { code, detail in
            dispatcher.refuse(code, detail, peer: .loopback).http1Bytes
        }
        front = VerifyFront(desk, dispatcher, guardian, Drain(), limits, peer: .loopback)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([sink, front, guardian])
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false,
            withErrorHandling: false
        )
        try pipeline.addHandler(Mirror())
        channel.pipeline.fireChannelActive()
    }

    /// Everything that was answered, and whether our side has ended.
    var output: (bytes: [UInt8], isEnded: Bool) { (sink.bytes, sink.isEnded) }

    /// Whether nothing waits for a read of the log; all else is answered at once.
    var isQuiet: Bool { front.question == nil }

    func receive(_ bytes: ArraySlice<UInt8>) {
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
    }

    func close() {
        sink.isOpen = true
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
    }
}

/// Where the socket would be.
private final class Sink: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    var bytes: [UInt8] = []
    var isEnded = false
    /// Whether an end is passed on.
    var isOpen = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let buffer) = unwrapOutboundIn(data) {
            bytes += buffer.readableBytesView
        }
        promise?.succeed()
    }

    func flush(context: ChannelHandlerContext) {}

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        isEnded = true
        guard isOpen else { return promise?.succeed() ?? () }
        context.close(mode: mode, promise: promise)
    }
}

/// Answers a request with what it was.
private final class Mirror: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): (self.head, body) = (head, [])
        case .body(let bytes): body += bytes.readableBytesView
        case .end:
            guard let head else { return }
            answer(context, .ok, "\(head) \(body)", closes: !head.isKeepAlive)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer(context, .badRequest, "\(error)", closes: true)
    }

    private func answer(
        _ context: ChannelHandlerContext,
        _ status: HTTPResponseStatus,
        _ text: String,
        closes: Bool
    ) {
        let fields = HTTPHeaders([("Content-Length", "\(text.utf8.count)")])
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.triggerUserOutboundEvent(ConnectionEvent.answered(closes: closes), promise: nil)
    }
}

/// Many connections that get the same bytes, each in other pieces.
final class CutBatch: @unchecked Sendable {
    // Sendable: made, asked and closed on one event loop.

    private var pipelines: [CutPipeline]
    private let ways: [[Int]]

    /// - Parameter ways: for each connection, where the bytes are cut.
    init(
        _ bytes: [UInt8],
        _ ways: [[Int]],
        _ desk: VerifyDesk,
        _ dispatcher: Dispatcher,
        _ limits: HTTPLimits
    ) throws {
        self.ways = ways
        pipelines = try ways.map { cuts in
            let pipeline = try CutPipeline(desk, dispatcher, limits)
            var start = 0
            for end in cuts + [bytes.count] {
                pipeline.receive(bytes[start..<end])
                start = end
            }
            return pipeline
        }
    }

    /// Whether nothing is still to come.
    var isQuiet: Bool { pipelines.allSatisfy(\.isQuiet) }

    /// What the first connection has answered, and whether it has ended.
    var outcome: (bytes: [UInt8], isEnded: Bool) {
        let (bytes, isEnded) = pipelines[0].output
        return (Masked.answers(bytes), isEnded)
    }

    /// The cuts after which something else is answered than `wanted`.
    func differing(from wanted: (bytes: [UInt8], isEnded: Bool)) -> [[Int]] {
        zip(pipelines, ways).compactMap { pipeline, cuts in
            let (bytes, isEnded) = pipeline.output
            let isSame = isEnded == wanted.isEnded && Masked.answers(bytes) == wanted.bytes
            return isSame ? nil : cuts
        }
    }

    /// To be called before it is let go: its channels may end on their own loop alone.
    func close() {
        for pipeline in pipelines { pipeline.close() }
        pipelines = []
    }
}
