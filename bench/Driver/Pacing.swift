// A client that sends at a constant rate whatever the server does. Each answer's time counts from
// when its request was due, not from when it could be sent, so a server that stalls cannot hide the
// requests that it held up (no coordinated omission).
import NIOCore
import NIOHTTP1
import NIOPosix
import Primitives

/// What is sent, how often, and for how long.
struct Pacing: Sendable {
    let path: String
    let token: String
    let interval: Duration
    let total: Int

    /// Sends as the options say.
    static func run(_ options: Options) async throws -> String {
        let rate = try options.integer("rate", default: 1000)
        let duration = try options.duration
        let pacing = Pacing(
            path: try options.text("path"),
            token: try options.text("token"),
            interval: .seconds(1) / rate,
            total: Int(duration.inSeconds * Double(rate))
        )
        let port = try options.integer("port", default: 0)
        let connections = try options.integer("connections", default: 64)
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let done = loop.makePromise(of: PacedResult.self)
        let pacer = try await loop.submit {
            NIOLoopBound(Pacer(pacing, loop: loop, done: done), eventLoop: loop)
        }.get()
        for _ in 0..<connections {
            _ = try await ClientBootstrap(group: loop)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHTTPClientHandlers()
                        try pipeline.addHandler(PacedConnection(pacer.value))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        }
        try await loop.submit { pacer.value.begin() }.get()
        return try await done.futureResult.get().json
    }
}

/// The times of all answers.
struct PacedResult: Sendable {
    /// In microseconds, sorted.
    let times: [Int64]
    let failures: Int

    var json: String {
        func at(_ share: Double) -> Double {
            let index = min(times.count - 1, Int(Double(times.count) * share))
            return times.isEmpty ? -1 : Double(times[index]) / 1000
        }
        return """
            {"count":\(times.count),"failures":\(failures),"p50_ms":\(at(0.5)),\
            "p90_ms":\(at(0.9)),"p99_ms":\(at(0.99)),"p999_ms":\(at(0.999)),"max_ms":\(at(1))}
            """
    }
}

/// Deals requests out to connections when they are due; lives on one event loop.
private final class Pacer {
    let pacing: Pacing
    private let loop: any EventLoop
    private let done: EventLoopPromise<PacedResult>
    private var idle: [PacedConnection] = []
    /// When the requests were due that no connection was free for; taken from `firstWaiting` on.
    private var waiting: [MonotonicInstant] = []
    private var firstWaiting = 0
    private var next = MonotonicInstant.now
    private var issued = 0
    private var times: [Int64] = []
    private var failures = 0

    init(_ pacing: Pacing, loop: any EventLoop, done: EventLoopPromise<PacedResult>) {
        self.pacing = pacing
        self.loop = loop
        self.done = done
        times.reserveCapacity(pacing.total)
    }

    func begin() {
        next = .now
        tick()
    }

    /// A connection has nothing to do.
    func free(_ connection: PacedConnection) {
        guard firstWaiting < waiting.count else { return idle.append(connection) }
        connection.send(due: waiting[firstWaiting])
        firstWaiting += 1
    }

    /// A request was answered.
    func answered(due: MonotonicInstant, isGood: Bool) {
        times.append(Int64((MonotonicInstant.now - due).wholeMicroseconds))
        if !isGood { failures += 1 }
        guard times.count == pacing.total else { return }
        done.succeed(PacedResult(times: times.sorted(), failures: failures))
    }

    func fail(_ error: any Error) { done.fail(error) }

    private func tick() {
        let now = MonotonicInstant.now
        while issued < pacing.total, next <= now {
            if idle.isEmpty {
                waiting.append(next)
            } else {
                // In turn, or some would be idle until the server closes them.
                idle.removeFirst().send(due: next)
            }
            issued += 1
            next = next + pacing.interval
        }
        guard issued < pacing.total else { return }
        let pause = max(.zero, next - .now)
        loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) { self.tick() }
    }
}

/// One connection: a request at a time.
private final class PacedConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let pacer: Pacer
    private var context: ChannelHandlerContext?
    private var due = MonotonicInstant.now
    private var isGood = false

    init(_ pacer: Pacer) { self.pacer = pacer }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        pacer.free(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        pacer.fail(BenchFailure("the server closed a connection"))
    }

    func send(due: MonotonicInstant) {
        self.due = due
        guard let context else { return }
        let head = HTTPRequestHead(
            version: .http1_1,
            method: .GET,
            uri: pacer.pacing.path,
            headers: ["Host": "127.0.0.1", "Authorization": "Bearer \(pacer.pacing.token)"]
        )
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): isGood = head.status == .ok
        case .body: break
        case .end:
            pacer.answered(due: due, isGood: isGood)
            pacer.free(self)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        pacer.fail(error)
        context.close(promise: nil)
    }
}
